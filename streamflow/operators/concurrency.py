"""Operators that run several calls at once: map, flat_map, for_each.

What lives here: the operators and their words. What must not: one call at a time (elements.py), how the arguments are
made into a run (arranging.py), the workers (crew.py, flat_mapping.py), what happens when a call fails (policies.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Hashable, Iterable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, overload

from streamflow.engine.feeding import reading
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.crews.arranging import Concurrency, arranged
from streamflow.machinery.crews.calling import Calls
from streamflow.machinery.crews.flat_mapping import Lanes
from streamflow.machinery.crews.turns import NONE
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.policies import ErrorPolicy, Retry
from streamflow.machinery.variables import A, B
from streamflow.operators.elements import flat_map_each, map_each
from streamflow.stages import Sink, Stage
from streamflow.types import MaybeAwaitable

__all__ = ["flat_map", "for_each", "map"]

_AHEAD = 16


# The second form tells mypy what the first tells pyright: a coroutine function gives what its coroutines return.
@overload
def map(  # noqa: A001  # the standard word
    fn: Callable[[A], Awaitable[B] | B],
    *,
    concurrency: Concurrency = ...,
    ordered: bool = ...,
    max_waiting: int | None = ...,
    key: Callable[[A], Hashable] | None = ...,
    threads: int | None = ...,
    processes: int | None = ...,
    timeout: float | None = ...,
    retry: Retry | None = ...,
    errors: ErrorPolicy | None = ...,
) -> Stage[A, B]: ...
@overload
def map(  # noqa: A001  # the standard word
    fn: Callable[[A], Awaitable[B]],
    *,
    concurrency: Concurrency = ...,
    ordered: bool = ...,
    max_waiting: int | None = ...,
    key: Callable[[A], Hashable] | None = ...,
    threads: int | None = ...,
    processes: int | None = ...,
    timeout: float | None = ...,
    retry: Retry | None = ...,
    errors: ErrorPolicy | None = ...,
) -> Stage[A, B]: ...
def map(  # noqa: A001  # the standard word
    fn: Callable[[A], Any],
    *,
    concurrency: Concurrency = 1,
    ordered: bool = True,
    max_waiting: int | None = None,
    key: Callable[[A], Hashable] | None = None,
    threads: int | None = None,
    processes: int | None = None,
    timeout: float | None = None,
    retry: Retry | None = None,
    errors: ErrorPolicy | None = None,
) -> Stage[A, Any]:
    """Call `fn` (sync or async) for each item and emit what it returns.

    Example:
        async def fetch(number):
            await asyncio.sleep(1.0)
            return number * 10

        await sf.stream(range(4)).map(fetch, concurrency=16, timeout=5.0, retry=sf.Retry(3)).collect()
        # gives [0, 10, 20, 30]

    * emits when: a result is there and, with `ordered=True`, those before it have left; never waits for the next input
      first.
    * backpressures when: the stage below does; then at most `concurrency + max_waiting` items are at work or done and
      waiting.
    * completes when: the input ended and the last result left.
    * on error: of a call: surfaces at its turn, after the results before it; the other calls are cancelled and awaited.
    * on early stop: calls in flight are cancelled and awaited.

    Args:
        fn: called with each item; with `concurrency` above 1 it should be a coroutine function.
        concurrency: how many calls may run at once, at least 1; `"auto"` or an `Adaptive` finds out while they run.
        ordered: keep the order of the input; else results leave as they are done, and one slow call holds up nobody.
        max_waiting: how many finished results may wait for their turn or for the consumer before fewer calls begin,
            at least 0; by default as many as `concurrency`. More of them bridge a slow call in ordered mode.
        key: gives the key of an item (a plain function, something hashable). Items with the same key are called one at
            a time and in order, different keys side by side. An item that waits for its key counts as one in flight.
        threads: call `fn`, a plain function, in so many threads of this run; `concurrency` is as many unless it says
            more. It sees the context variables of the stage.
        processes: the same in so many processes. `fn`, the items and the results are pickled, so `fn` stands at the top
            of a module.
        timeout: seconds that a call may take, for each attempt; then it is cancelled and awaited, and fails with
            `PipelineTimeout`. Not for plain functions: nothing stops those.
        retry: which failures are tried again, how often, and after which pauses.
        errors: which failures are skipped, made by `skip_errors`; without it every failure ends the stream. What is
            skipped is counted as dropped.

    Raises `UsageError` for bounds that cannot mean anything, and for arguments without effect, such as `ordered=False`
    without concurrency. A `CancelledError` out of a call is that item's error (`StageCancelled`). Cancellation: no
    further call starts; those in flight are cancelled and awaited. A thread cannot be cancelled, so its call is
    awaited; processes are killed.
    """
    check_callable("map", fn)
    calls = Calls(fn=fn, threads=threads, processes=processes, timeout=timeout, retry=retry, errors=errors)
    job = arranged("map", calls, concurrency=concurrency, ordered=ordered, max_waiting=max_waiting, key=key)
    if job.one_by_one and job.plain:
        return map_each(fn)
    return Stage(
        job.results,
        name=job.name,
        callable=fn,
        concurrency=job.size,
        threads=job.threads,
        holds_items=1 if job.one_by_one else job.size + job.max_waiting,
        drops=errors is not None,
        one_to_one=errors is None,
    )


# The second form tells mypy what the first tells pyright: a coroutine function of a list gives the items of the list.
@overload
def flat_map(
    fn: Callable[[A], Iterable[B] | AsyncIterable[B] | Awaitable[Iterable[B] | AsyncIterable[B]]],
    *,
    concurrency: int = ...,
    ordered: bool = ...,
    ahead: int | None = ...,
) -> Stage[A, B]: ...
@overload
def flat_map(
    fn: Callable[[A], Awaitable[Iterable[B] | AsyncIterable[B]]],
    *,
    concurrency: int = ...,
    ordered: bool = ...,
    ahead: int | None = ...,
) -> Stage[A, B]: ...
def flat_map(
    fn: Callable[[A], Any], *, concurrency: int = 1, ordered: bool = True, ahead: int | None = None
) -> Stage[A, Any]:
    """Call `fn` for each item and emit every item of the iterable (or async iterable) that it returns.

    Example: `await sf.stream(["to be", "or not"]).flat_map(str.split).collect()` gives `["to", "be", "or", "not"]`.

    * emits when: an inner item is there and, with `ordered=True`, the inner iterables before it have been emitted.
    * backpressures when: the stage below does; then each open inner iterable is at most `ahead` items ahead.
    * completes when: the input and the last inner iterable ended.
    * on error: of `fn` or of an inner iterable: surfaces at its turn, after the items before it; the other inner
      iterators are closed.
    * on early stop: the inner iterators that are open are closed, each in its own task.

    Args:
        fn: called with each item; returns an iterable, an async iterable, or an awaitable of one.
        concurrency: how many inner iterables may be open at once, each read in a task of its own, at least 1. With 1
            they are read lazily, one after the other.
        ordered: emit all of the first inner iterable, then all of the second; else their items as they come.
        ahead: with concurrency: how many items of each inner iterable may be read and wait, by default 16.

    Raises `UsageError` for bounds that cannot mean anything, and for `ordered=False` or `ahead` without concurrency,
    where they have no effect. Cancellation: the open inner iterators are closed and awaited.
    """
    check_capacity("concurrency", concurrency)
    check_callable("flat_map", fn)
    if concurrency == 1:
        if not ordered or ahead is not None:
            word = "ahead=" if ordered else "ordered=False"
            raise UsageError(f"{word} has no effect without concurrency= of at least 2: inner items come one by one.")
        return flat_map_each(fn)
    each = _AHEAD if ahead is None else ahead
    check_capacity("ahead", each)

    async def flattened(items: AsyncIterable[A]) -> AsyncGenerator[Any, None]:
        async with reading(items) as reader:
            lanes = Lanes(fn, reader, concurrency, each, ordered=ordered)
            try:
                lanes.start()
                while await lanes.items_are_ready():
                    while (item := lanes.next_item()) is not NONE:
                        yield item
            finally:
                await lanes.dismiss()

    name = f"flat_map(concurrency={concurrency})" if ordered else f"flat_map(concurrency={concurrency}, ordered=False)"
    return Stage(flattened, name=name, callable=fn, concurrency=concurrency, holds_items=concurrency * (each + 1))


def for_each(
    fn: Callable[[A], MaybeAwaitable[object]],
    *,
    concurrency: Concurrency = 1,
    key: Callable[[A], Hashable] | None = None,
    threads: int | None = None,
    processes: int | None = None,
    timeout: float | None = None,
    retry: Retry | None = None,
    errors: ErrorPolicy | None = None,
) -> Sink[A, int]:
    """Call `fn` (sync or async) for each item; the value is the number of calls that returned.

    Example:
        async def send(message):
            await asyncio.sleep(0.1)

        await sf.pipeline(["one", "two", "three"], sf.for_each(send, concurrency=8))  # gives 3

    * emits when: never; its value is there at the end.
    * backpressures when: `concurrency` calls are at work.
    * completes when: the input ended and the last call returned.
    * on error: of a call: ends the pipeline at once; the other calls are cancelled and awaited.
    * on early stop: it never stops early.

    Args:
        fn: called with each item; what it returns is dropped, what it raises ends the pipeline.
        concurrency: how many calls may run at once, at least 1, `"auto"` or an `Adaptive`; with more than 1 they end in
            any order.
        key: gives the key of an item; items with the same key are called one at a time and in order, as for `map`.
        threads: call `fn`, a plain function, in so many threads of this run.
        processes: call `fn`, a plain function at the top of a module, in so many processes of this run.
        timeout: seconds that a call may take, for each attempt; not for plain functions.
        retry: which failures are tried again, how often, and after which pauses.
        errors: which failures are skipped, made by `skip_errors`.

    Raises `UsageError` when `fn` is no callable, for bounds that cannot mean anything, and for arguments without
    effect. Cancellation: calls in flight are cancelled and awaited; of threads and processes, as for `map`.
    """
    check_callable("for_each", fn)
    calls = Calls(fn=fn, threads=threads, processes=processes, timeout=timeout, retry=retry, errors=errors)
    job = arranged("for_each", calls, concurrency=concurrency, key=key)
    if job.one_by_one and job.plain:
        return Sink(lambda items: _called(fn, items), name=job.name)

    async def called(items: AsyncIterable[A]) -> int:
        total = 0
        async with aclosing(job.results(items)) as results:
            async for _ in results:
                total += 1
        return total

    return Sink(called, name=job.name, threads=job.threads)


async def _called(fn: Callable[[A], object], items: AsyncIterable[A]) -> int:
    total = 0
    async for item in items:
        result = fn(item)
        if isawaitable(result):
            await result
        total += 1
    return total
