"""Operators that give every item to several: broadcast to sinks, tee into streams, tap_to a side sink.

What lives here: the operators. What must not: how items get to several (fan.py), what becomes of branches that are runs
(branches.py) or streams (splitting.py); operators that give each item to one of several (branching.py).

Items are shared, not copied: every branch gets the same object (H56). A branch that changes an item changes it for the
others; let it make a new one, or put `sf.map(copy.copy)` first in it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import Any, Literal, TypeAlias, TypeVar, overload

from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.fans.branches import Branch, Branches, Parts
from streamflow.machinery.fans.fan import Fan, Outlet, Overflow
from streamflow.machinery.fans.fan_shapes import FanPassing, FanSink
from streamflow.machinery.fans.splitting import Split
from streamflow.machinery.variables import A
from streamflow.stages import MAXSIZE, Source
from streamflow.types import SourceLike

__all__ = ["broadcast", "tap_to", "tee"]

T = TypeVar("T")
R = TypeVar("R")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")

_Sink: TypeAlias = Callable[[AsyncIterable[T]], Awaitable[R]]
_Branch: TypeAlias = _Sink[Any, Any] | Sequence[Any]
_Rules: TypeAlias = Overflow | Sequence[Overflow]
_Untyped: TypeAlias = FanSink[Any, tuple[Any, ...]]


# The lists stand in forms of their own: where several forms fit, mypy takes `Any` for the value.
@overload
def broadcast(one: _Sink[A, R1], /, *, overflow: _Rules = ..., maxsize: int = ...) -> FanSink[A, tuple[R1]]: ...
@overload
def broadcast(
    one: _Sink[A, R1], two: _Sink[A, R2], /, *, overflow: _Rules = ..., maxsize: int = ...
) -> FanSink[A, tuple[R1, R2]]: ...
@overload
def broadcast(
    one: _Sink[A, R1], two: _Sink[A, R2], three: _Sink[A, R3], /, *, overflow: _Rules = ..., maxsize: int = ...
) -> FanSink[A, tuple[R1, R2, R3]]: ...
@overload
def broadcast(one: Sequence[Any], /, *more: _Branch, overflow: _Rules = ..., maxsize: int = ...) -> _Untyped: ...
@overload
def broadcast(
    one: _Sink[Any, Any], two: Sequence[Any], /, *more: _Branch, overflow: _Rules = ..., maxsize: int = ...
) -> _Untyped: ...
@overload
def broadcast(
    one: _Sink[Any, Any],
    two: _Sink[Any, Any],
    three: Sequence[Any],
    /,
    *more: _Branch,
    overflow: _Rules = ...,
    maxsize: int = ...,
) -> _Untyped: ...
@overload
def broadcast(
    one: _Sink[Any, Any],
    two: _Sink[Any, Any],
    three: _Sink[Any, Any],
    four: _Branch,
    /,
    *more: _Branch,
    overflow: _Rules = ...,
    maxsize: int = ...,
) -> _Untyped: ...
def broadcast(*branches: _Branch, overflow: _Rules = "block", maxsize: int = MAXSIZE) -> FanSink[Any, Any]:
    """Give every item to several sinks; the value is the tuple of their values.

    Example: `await sf.pipeline([3, 1, 2], sf.broadcast(sf.max(), [sf.map(str), sf.collect()]))` gives
    `(3, ["3", "1", "2"])`.

    * emits when: never; its value is there when every branch has committed.
    * backpressures when: a branch with `overflow="block"` has `maxsize` items waiting: the slowest sets the pace.
    * completes when: the input ended and every branch has committed, or every branch has ended early.
    * on error: of the input: every branch gets it, after the items before it. Of a branch: the other branches are
      aborted and the source is closed; several independent errors come as a group.
    * on early stop: a branch that has enough (`first()`, `take(3)`) leaves, and the others go on without it.

    Each branch runs in tasks of its own, and an item goes to all at once. Items are shared, not copied: a branch that
    changes an item changes it for all. `sink.stats()` tells what each branch was given and what it dropped.

    *All or nothing, as far as that goes.* No branch sees a clean end before the input has ended cleanly and every
    branch has taken all its items; and none after one has failed. The ends are passed on one after the other, in the
    order of the branches, each when the one before has committed. So if one fails in its last step, those after it are
    aborted, but those before it, and those that had ended early, have committed. Put the one most likely to fail first.

    Args:
        branches: sinks, or lists `[*stages, sink]`.
        overflow: what to do with an item for which a branch has no room; one word for all branches, or a list with one
            for each. `"block"`: wait. `"drop_newest"`: drop that item, `"drop_oldest"`: drop the one that waits
            longest, both for this branch only, and counted. `"fail"`: end everything with `LimitExceeded`.
        maxsize: how many items may wait for each branch.

    Raises `UsageError` for no branches, for what is no branch, and for bounds that cannot mean anything.
    Cancellation: every branch is cancelled and closed; one that had committed stays so.
    """
    check_capacity("broadcast(maxsize)", maxsize)
    parts = [Parts("broadcast", branch) for branch in branches]
    if not parts:
        raise UsageError("broadcast() needs at least one sink. To drop every item write sf.drain().")
    rules = _rules(overflow, len(parts))

    async def broadcasted(items: AsyncIterable[Any]) -> tuple[Any, ...]:
        async with reading(items) as reader:
            made = [
                Branch(f"branch {at} of broadcast", part.stages, part.sink, maxsize=maxsize, overflow=rule)
                for at, (part, rule) in enumerate(zip(parts, rules, strict=True), 1)
            ]
            runs[:] = [served := Branches("broadcast", made, reader)]
            fan: Fan[Any] = Fan(branch.outlet for branch in made)
            await served.serve(lambda: fan.deal(reader))
            return tuple(branch.value for branch in made)

    runs: list[Branches] = []
    name = f"broadcast({', '.join(part.name for part in parts)})"
    return FanSink(broadcasted, name=name, runs=runs)


def _rules(overflow: _Rules, count: int) -> list[Overflow]:
    rules: list[Any] = list(overflow) if isinstance(overflow, (list, tuple)) else [overflow] * count
    for rule in rules:
        Outlet.check_overflow(rule)
    if len(rules) != count:
        raise UsageError(f"overflow has {len(rules)} words for {count} branches: give one word, or one for each.")
    return rules


def tap_to(
    sink: Callable[[AsyncIterable[A]], Awaitable[Any]] | Sequence[Any],
    *,
    maxsize: int = MAXSIZE,
    overflow: Overflow = "drop_newest",
    errors: Literal["raise"] | Callable[[Exception], object] = "raise",
) -> FanPassing[A]:
    """Pass items on unchanged and give each to a side sink as well, which does not hold them back.

    Example:
        audit = []
        total = await sf.stream([10, 20]).tap_to(sf.for_each(audit.append)).sum()
        total, audit  # gives (30, [10, 20])

    * emits when: an item comes; it has been offered to the side sink then.
    * backpressures when: the stage below does; the side sink only with `overflow="block"`, when `maxsize` items wait
      for it.
    * completes when: the input ended and the side sink has committed.
    * on error: of the input: the side sink gets it too, and is closed before it is passed on. Of the side sink: ends
      the stream at once, unless `errors` says otherwise.
    * on early stop: the side sink is aborted: nobody here can know whether the stages below succeeded. One that has
      enough (`first()`) leaves, and the items go on without it.

    Items are shared, not copied. The value of the side sink is dropped. `stage.stats()` tells what it was given and
    what it dropped.

    Args:
        sink: a sink, or a list `[*stages, sink]`.
        maxsize: how many items may wait for the side sink.
        overflow: what to do with an item for which there is no room: `"drop_newest"` drops that item, `"drop_oldest"`
            the one that waits longest, both for the side sink only, and counted; `"fail"` ends the stream with
            `LimitExceeded`; `"block"` holds the stream back after all.
        errors: `"raise"`, or a function (sync or async) called with the error of the side sink; then the items go on
            without it.

    Raises `UsageError` for what is no sink and for bounds that cannot mean anything. Cancellation: the side sink is
    cancelled and closed.
    """
    check_capacity("tap_to(maxsize)", maxsize)
    Outlet.check_overflow(overflow)
    parts = Parts("tap_to", sink)
    if errors != "raise" and not callable(errors):
        raise UsageError(f'tap_to(errors) is "raise" or a function to call with the error, not {errors!r}.')

    async def tapped(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        async with reading(items) as reader:
            branch = Branch("the side of tap_to", parts.stages, parts.sink, maxsize=maxsize, overflow=overflow)
            runs[:] = [side := _Side(branch, reader, None if errors == "raise" else errors)]
            fan: Fan[A] = Fan([branch.outlet])
            side.start()
            try:
                try:
                    async for item in reader:
                        await (side.look() if side.failed else fan.to_all(item))
                        yield item
                except Exception as error:
                    if error is not reader.raised:
                        raise
                    side.pass_on(error)
                await side.end()
            except BaseException as error:
                await side.end_after(error)
                raise
            await side.look()

    runs: list[Branches] = []
    return FanPassing(tapped, name=f"tap_to({parts.name})", one_to_one=True, holds_items=maxsize, runs=runs)


class _Side(Branches):
    """The one branch beside a stream, and what is done when it fails."""

    def __init__(self, branch: Branch, reader: Reader[Any], tell: Callable[[Exception], object] | None) -> None:
        """Take the branch; `tell` is called with its error, where that is not to be raised."""
        super().__init__("tap_to", [branch], reader)
        self._tell = tell
        self._told = False

    def leave(self) -> None:
        """The side sink has ended: that ends the stream if it has failed, and nobody is to be told instead."""
        if self.failed and self._tell is None:
            super().leave()

    def pass_on(self, error: BaseException) -> None:
        """Give the branch the error of the input, which is raised here whatever the branch makes of it."""
        super().pass_on(error)
        self._errors.append(error)

    async def look(self) -> None:
        """Raise what failed, or tell it, once."""
        if self._tell is None:
            self.raise_errors()
        elif not self._told:
            try:
                self.raise_own()
            except Exception as error:  # noqa: BLE001  # it is told
                self._told = True
                result = self._tell(error)
                if isawaitable(result):
                    await result
        self.raise_input_error()


@overload
def tee(
    source: SourceLike[A], n: Literal[2] = ..., *, maxsize: int = ..., overflow: Overflow = ...
) -> tuple[Source[A], Source[A]]: ...
@overload
def tee(
    source: SourceLike[A], n: Literal[3], *, maxsize: int = ..., overflow: Overflow = ...
) -> tuple[Source[A], Source[A], Source[A]]: ...
@overload
def tee(source: SourceLike[A], n: int, *, maxsize: int = ..., overflow: Overflow = ...) -> tuple[Source[A], ...]: ...
def tee(
    source: SourceLike[A], n: int = 2, *, maxsize: int = MAXSIZE, overflow: Overflow = "block"
) -> tuple[Source[A], ...]:
    """Make `n` sources of one: each gives every item, and the source is read once.

    Example:
        left, right = sf.tee([1, 2, 3])
        await sf.stream(left).zip(sf.stream(right).map(lambda number: number**2)).collect()
        # gives [(1, 1), (2, 4), (3, 9)]

    * emits when: an item comes and every branch with `overflow="block"` has room for it.
    * backpressures when: `maxsize` items wait for one of the branches: the slowest sets the pace.
    * completes when: the source ended and is closed.
    * on error: every branch gets it, after the items before it.
    * on early stop: a branch that leaves, fails, or is dropped without having been read sets the pace no more; when the
      last one leaves, the source is closed before that one has ended.

    The source is started by the first branch that is read; what comes then is kept for the others, so each sees the
    first item. A branch that nobody has begun to read sets the pace like a slow one.

    So read the branches *side by side*, in tasks or by an operator that reads several. Whoever reads one to its end
    before the other waits for ever once more than `maxsize` items lie between them. So does
    `zip(left.filter(rare), right)`: each item that the filter leaves out takes the branches one further apart.

    Items are shared, not copied: a branch that changes an item changes it for all. A branch can be read again, which
    reads the source again, once every branch has been begun.

    Args:
        source: what is read once.
        n: how many branches, at least 1.
        maxsize: how many items may wait for each branch.
        overflow: what to do with an item for which a branch has no room: `"block"` waits; `"drop_newest"` drops that
            item, `"drop_oldest"` the one that waits longest, both for this branch only; `"fail"` ends this branch with
            `LimitExceeded`.

    Raises `UsageError` for what is no source and for bounds that cannot mean anything. Cancellation: of the task that
    reads a branch: that branch leaves.
    """
    check_capacity("tee(n)", n)
    check_capacity("tee(maxsize)", maxsize)
    Outlet.check_overflow(overflow)
    split: Split[A] = Split("tee", source, n, lambda fan, reader: fan.deal(reader), maxsize=maxsize, overflow=overflow)
    return split.sources()
