"""Operators that decouple what is above from what is below: buffer and conflate.

What lives here: how many items may wait, and what happens when there are more. What must not: channels of the engine's
own, which stand at every boundary anyway; the task that takes the input (waiting.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from inspect import isawaitable
from typing import Any, Literal, overload

from streamflow.engine.feeding import reading
from streamflow.errors import LimitExceeded, UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.stage_shapes import Passing
from streamflow.machinery.variables import A, B
from streamflow.machinery.waits.waiting import Admit, Waiting
from streamflow.stages import Stage
from streamflow.types import MaybeAwaitable, StageFunction

__all__ = ["buffer", "conflate"]


def buffer(n: int, *, overflow: Literal["block", "drop_newest", "drop_oldest", "fail"] = "block") -> Passing[object]:
    """Let up to `n` items wait here, so that both sides run in tasks of their own; changes no item.

    Example:
        async def slow(number):
            await asyncio.sleep(1.0)
            return number

        await sf.stream(range(10)).spaced(0.3).buffer(1, overflow="drop_oldest").map(slow).collect()
        # gives [0, 1, 2, 3, 6, 9]

    * emits when: an item comes and the stage below is ready for it.
    * backpressures when: `n` items wait, with `overflow="block"`; otherwise never.
    * completes when: the input ends, and what waits has been emitted.
    * on error: passes it on after the items before it, those that wait included.
    * on early stop: the items that wait are discarded, and counted.

    With `overflow="block"` a full buffer holds the source back. For a source that must not be held back (a sensor, a
    feed of prices) say what to lose instead. The input is then taken as soon as it comes, in a task of its own. What is
    dropped is counted as dropped in the report. The channels below hold one item each, so that a busy consumer is
    noticed; two items may be on their way to it beside the `n`.

    Args:
        n: how many items may wait.
        overflow: what to do when an item comes and `n` wait: `"block"` holds the source back; `"drop_newest"` drops the
            item that came; `"drop_oldest"` drops the one that has waited longest; `"fail"` raises `LimitExceeded` after
            the items that wait.

    Raises `UsageError` for an `n` that is no whole number of at least 1, and for another word. Cancellation: the items
    that wait are discarded.
    """
    check_capacity("buffer(n)", n)
    if overflow == "block":
        return Passing(_unchanged, name=f"buffer({n})", capacity=n, one_to_one=True)
    if overflow not in tuple(_POLICIES):
        raise UsageError(f"overflow must be 'block', {', '.join(map(repr, _POLICIES))}; not {overflow!r}.")
    return Passing(
        _between(lambda: Waiting(n, _POLICIES[overflow](n))),
        name=f"buffer({n}, {overflow})",
        drops=True,
        holds_items=n,
        output_capacity=1,
    )


async def _unchanged(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
    async for item in items:
        yield item


def _between(make: Callable[[], Waiting[Any]]) -> StageFunction[Any, Any]:
    async def between(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        async with reading(items) as reader, make().taking(reader) as waiting:
            while await waiting.some():
                yield waiting.items.popleft()

    return between


def _drop_newest(n: int) -> Admit[Any]:
    def admit(waiting: deque[Any], item: Any) -> None:
        if len(waiting) < n:
            waiting.append(item)

    return admit


def _drop_oldest(n: int) -> Admit[Any]:
    def admit(waiting: deque[Any], item: Any) -> None:
        if len(waiting) >= n:
            waiting.popleft()
        waiting.append(item)

    return admit


def _fail(n: int) -> Admit[Any]:
    def admit(waiting: deque[Any], item: Any) -> None:
        if len(waiting) >= n:
            raise LimitExceeded(
                f"buffer({n}) is full and another item came: the stage below is too slow. Raise n, or choose what "
                f"to lose by overflow='drop_newest' or 'drop_oldest', or hold the source back by overflow='block'."
            )
        waiting.append(item)

    return admit


_POLICIES: dict[str, Callable[[int], Admit[Any]]] = {
    "drop_newest": _drop_newest,
    "drop_oldest": _drop_oldest,
    "fail": _fail,
}


@overload
def conflate(fn: Callable[[A, A], MaybeAwaitable[A]]) -> Stage[A, A]: ...
@overload
def conflate(fn: Callable[[B, A], MaybeAwaitable[B]], *, seed: Callable[[A], MaybeAwaitable[B]]) -> Stage[A, B]: ...
def conflate(fn: Callable[[Any, Any], Any], *, seed: Callable[[Any], Any] | None = None) -> Stage[Any, Any]:
    """Combine the items that come while the stage below is busy into one, by `fn(aggregate, item)`.

    Example:
        async def slow(number):
            await asyncio.sleep(1.0)
            return number

        await sf.stream(range(10)).spaced(0.3).conflate(lambda old, latest: latest).map(slow).collect()
        # gives [0, 1, 2, 3, 6, 9]

    * emits when: the stage below is ready, whatever has come since; an idle one gets each item at once.
    * backpressures when: never; the input is taken as soon as it comes, in a task of its own.
    * completes when: the input ends, and what waits has been emitted.
    * on error: of `fn`, `seed` or the input: ends the stream after what waits, combined so far.
    * on early stop: what waits is discarded.

    Only one aggregate waits, so `fn` decides how large it grows. The channels below hold one item each, so that a busy
    consumer is noticed, whatever stands between; `buffer(n)` below sets its own. Two aggregates may be on their way to
    the consumer beside the one that grows.

    Args:
        fn: called with the aggregate that waits and the next item, in order, one call at a time; returns the new
            aggregate. Sync or async.
        seed: makes an aggregate of the first item, where it is to be something else than the item. Sync or async.

    Raises `UsageError` when `fn` or `seed` is no callable. Cancellation: what waits is discarded.
    """
    check_callable("conflate", fn)
    if seed is not None:
        check_callable("conflate(seed)", seed)
    return Stage(_between(lambda: Waiting(1, _combine(fn, seed))), name="conflate", callable=fn, output_capacity=1)


def _combine(fn: Callable[[Any, Any], Any], seed: Callable[[Any], Any] | None) -> Admit[Any]:
    def admit(waiting: deque[Any], item: Any) -> Awaitable[None] | None:
        if not waiting and seed is None:
            waiting.append(item)
            return None
        result = fn(waiting[0], item) if waiting or seed is None else seed(item)
        if isawaitable(result):
            return _combined_later(waiting, result)
        waiting.clear()
        waiting.append(result)
        return None

    return admit


async def _combined_later(waiting: deque[Any], result: Awaitable[Any]) -> None:
    """Wait for a call; the aggregate it is about must not be emitted meanwhile, but if the call fails it must."""
    before = list(waiting)
    waiting.clear()
    try:
        before = [await result]
    finally:
        waiting.extend(before)
