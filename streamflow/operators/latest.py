"""Operators for which only the latest counts: switch_map, with_latest_from.

What lives here: the operators, and the latest items of further sources. What must not: the inner iterables and their
tasks (switching.py); tuples that wait for each source (zipping.py); dropping what a busy consumer has no time for
(buffers.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
)
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar, TypeVarTuple, overload

from streamflow.callables import caller
from streamflow.engine.clock import turn
from streamflow.engine.feeding import costs_of, reading
from streamflow.engine.inlet import NONE
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.stage_shapes import MYPY
from streamflow.machinery.variables import A, B
from streamflow.machinery.waits.switching import AHEAD, Switch
from streamflow.machinery.waits.watching import Parts, Watch, input_or_news, parts_for, watching
from streamflow.stages import Stage
from streamflow.types import SourceLike

__all__ = ["WithLatest", "switch_map", "with_latest_from"]

T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
Ts = TypeVarTuple("Ts")
Bs = TypeVarTuple("Bs")
X = TypeVar("X")

_TURNS = 4  # turns of the loop until a source that has an item at once has given it


# The second form tells mypy what the first tells pyright: a coroutine function of a list gives the items of the list.
@overload
def switch_map(
    fn: Callable[[A], Iterable[B] | AsyncIterable[B] | Awaitable[Iterable[B] | AsyncIterable[B]]],
) -> Stage[A, B]: ...
@overload
def switch_map(fn: Callable[[A], Awaitable[Iterable[B] | AsyncIterable[B]]]) -> Stage[A, B]: ...
def switch_map(fn: Callable[[A], Any]) -> Stage[A, Any]:
    """Call `fn` for each item and emit the items of what it returns, until the next item comes: then that takes over.

    Example:
        async def typed():
            for text in ["s", "st", "str"]:
                yield text
                await asyncio.sleep(0.1)

        async def search(text):
            await asyncio.sleep(0.3)
            return [f"{text}ing", f"{text}eam"]

        await sf.pipeline(typed, sf.switch_map(search), sf.collect())  # gives ["string", "stream"]

    * emits when: the present inner iterable has an item.
    * backpressures when: never above; the inner iterable reads at most 16 items ahead of the stage below.
    * completes when: the input ended, and then the last inner iterable ended.
    * on error: of `fn` or an inner iterable: ends the stream after the items before it. Of the input: ends the stream
      after what the inner iterable has emitted before it.
    * on early stop: the inner iterable that is open is closed, in its own task.

    When an item comes, the call for the item before, or what that returned, is cancelled and closed, and that is
    awaited; then `fn` is called for the new one. The input is taken as soon as it comes, also while the stage below is
    busy. Of several items that come at once, or while an inner iterable is being closed, `fn` is called for the last
    one only.

    What was emitted before the switch is delivered; what the old inner iterable had read ahead, because the stage below
    was busy, is dropped. The channels below hold one item each, so that little of what is out of date is on its way;
    where that does not matter, `buffer(n)` below is faster. In the report, dropped is by how many fewer items came out
    than went in.

    Args:
        fn: called with an item (sync or async); returns an iterable, an async iterable, or an awaitable of one. A plain
            iterable gives way to the next item only between its items.

    Raises `UsageError` when `fn` is no callable. Cancellation: the inner iterable that is open is closed and awaited.
    """
    check_callable("switch_map", fn)
    where = caller()

    async def switched(items: AsyncIterable[A]) -> AsyncGenerator[Any, None]:
        async with reading(items) as reader, Switch(fn, reader, where).taking() as switch:
            while await switch.something_is_there():
                while (item := switch.next_item()) is not NONE:
                    yield item

    return Stage(switched, name="switch_map", callable=fn, drops=True, holds_items=2 * AHEAD + 2, output_capacity=1)


class WithLatest(Stage[Any, Any], Generic[*Ts]):
    """A stage that emits tuples of an item and the latest of further sources: `with_latest_from`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: WithLatest[*Bs], owner: object = None, /
            ) -> Callable[[AsyncIterable[X]], AsyncIterator[tuple[X, *Bs]]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see stage_shapes.py

    else:

        def __call__(self, items: AsyncIterable[X]) -> AsyncIterator[tuple[X, *Ts]]:
            """Apply it by hand: `async for item, rate in sf.with_latest_from(rates)(items)`."""
            return self.function(items)


@overload
def with_latest_from(other: SourceLike[T1], /) -> WithLatest[T1]: ...
@overload
def with_latest_from(other: SourceLike[T1], other2: SourceLike[T2], /) -> WithLatest[T1, T2]: ...
@overload
def with_latest_from(
    other: SourceLike[T1], other2: SourceLike[T2], other3: SourceLike[T3], /
) -> WithLatest[T1, T2, T3]: ...
@overload
def with_latest_from(
    other: SourceLike[T1], other2: SourceLike[T2], other3: SourceLike[T3], other4: SourceLike[T4], /
) -> WithLatest[T1, T2, T3, T4]: ...
@overload
def with_latest_from(*others: SourceLike[Any]) -> WithLatest[*tuple[Any, ...]]: ...
def with_latest_from(*others: SourceLike[Any]) -> WithLatest[*tuple[Any, ...]]:
    """Emit each item with the latest of each other source: `(item, latest, ...)`.

    Example:
        orders = sf.stream(["order 1", "order 2", "order 3"]).spaced(1.0)
        rates = sf.stream([1.10, 1.15]).spaced(1.5)
        await orders.with_latest_from(rates).collect()  # gives [("order 1", 1.1), ("order 2", 1.1), ("order 3", 1.15)]

    * emits when: an item comes, and each other source has had one.
    * backpressures when: the stage below does; the others are read on all the same.
    * completes when: the input ends.
    * on error: of the input: passes it on after the tuples before it; of another source: raised at once.
    * on early stop: all other sources are closed, each in its own task.

    Only the input makes it emit; `zip_latest` emits for every new item of any source. Items that come before each other
    source has had its first one are dropped, and counted. The others run in runs of their own, as fast as they can, and
    only the latest item of each is kept. One that has ended keeps its last item; if it had none, every item is dropped.
    Others that have an item at once are heard before the input; of a list, or another collection, the last item counts
    from the start.

    Args:
        others: the other sources.

    Raises `UsageError` without any, and for what cannot be a source. Cancellation: all sources are closed.
    """
    if not others:
        raise UsageError("with_latest_from() needs another source: write with_latest_from(exchange_rates).")
    parts = [parts_for("with_latest_from", other) for other in others]
    costs = costs_of(others)

    async def combined(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        async with reading(items) as reader, _latest_of(parts) as latest:
            while await latest.input_comes(reader):
                hand = await reader.next_hand()
                if hand is None:
                    return
                for item in hand if latest.complete else latest.dropping(hand):
                    yield (item, *latest.items)
                    latest.check()

    return WithLatest(
        combined,
        name=f"with_latest_from({', '.join(each.source.name for each in parts)})",
        drops=True,
        holds=costs.bytes,
        holds_items=1 + len(others) + costs.items,
        groups=1 + len(others),
        threads=costs.threads,
    )


class _Latest:
    """The latest items of further sources in one run; `NONE` for one that had none yet."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items
        self.watches: list[Watch] = []

    @property
    def complete(self) -> bool:
        return all(item is not NONE for item in self.items)

    def check(self) -> None:
        """Raise the failure of one that failed; one that has ended needs no more looking after."""
        for watch in self.watches:
            if watch.changed:
                self.watches = [other for other in self.watches if other is not watch]
                watch.check()

    async def input_comes(self, reader: Reader[Any]) -> bool:
        """Wait until there is input, or its end. Raises the failure of a source. Cancellation: nothing was taken."""
        self.check()
        while not await input_or_news(reader, self.watches):
            self.check()
        return True

    async def give_turns(self) -> None:
        """Let those that have an item at once give it."""
        for _ in range(_TURNS):
            if not self.complete:
                await turn()
        self.check()

    @staticmethod
    def dropping(hand: Iterator[Any]) -> Iterator[Any]:
        """Take what is there and give nothing."""
        return iter(deque(hand, maxlen=0))


@asynccontextmanager
async def _latest_of(sources: list[Parts]) -> AsyncGenerator[_Latest, None]:
    """Follow the sources beside a block."""
    latest = _Latest([NONE] * len(sources))
    running = []
    for at, parts in enumerate(sources):
        if not parts.plain:
            running.append(_kept(parts, latest.items, at))
        elif isinstance(opened := parts.source.open(), Collection):
            latest.items[at] = next(iter(deque(opened, maxlen=1)), NONE)
        else:
            running.append(_kept(Parts(replace(parts.source, open=partial(_opened, opened))), latest.items, at))
    async with watching("with_latest_from", running) as watches:
        latest.watches = watches
        await latest.give_turns()
        yield latest


def _opened(items: SourceLike[Any]) -> SourceLike[Any]:
    return items


def _kept(parts: Parts, items: list[Any], at: int) -> Parts:
    """Put a stage after a source that keeps the latest item in a list, and emits nothing."""
    return Parts(parts.source, (*parts.stages, Stage(name="latest", transform=lambda: _Keep(items, at))))


class _Keep:
    done = False

    def __init__(self, items: list[Any], at: int) -> None:
        self._items = items
        self._at = at

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        for item in items:
            self._items[self._at] = item
        yield from ()

    def finish(self) -> Iterator[Any]:
        return iter(())
