"""Operators that run several calls at once: map with `concurrency`.

What lives here: the operator. What must not: anything sequential (elements.py), the workers (crew.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from typing import Any, overload

from streamflow.engine.feeding import reading
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.operators.crew import NONE, Crew
from streamflow.operators.elements import map_each
from streamflow.operators.per_item import check_callable
from streamflow.operators.variables import A, B
from streamflow.stages import Stage

__all__ = ["map"]


# The second form tells mypy what the first tells pyright: a coroutine function gives what its coroutines return.
@overload
def map(  # noqa: A001  # the standard word
    fn: Callable[[A], Awaitable[B] | B], *, concurrency: int = ..., ordered: bool = ...
) -> Stage[A, B]: ...
@overload
def map(  # noqa: A001  # the standard word
    fn: Callable[[A], Awaitable[B]], *, concurrency: int = ..., ordered: bool = ...
) -> Stage[A, B]: ...
def map(  # noqa: A001  # the standard word
    fn: Callable[[A], Any], *, concurrency: int = 1, ordered: bool = True
) -> Stage[A, Any]:
    """Call `fn` (sync or async) for each item and emit what it returns.

    Example: `sf.map(fetch, concurrency=16)`

    * emits when: a result is there and, with `ordered=True`, those before it have left; never waits for the next input
      first.
    * backpressures when: the stage below does; then at most `2 * concurrency` items are at work or done and waiting.
    * completes when: the input ended and the last result left.
    * on error: of a call: surfaces at its turn, after the results before it; the other calls are cancelled and awaited.
    * on early stop: calls in flight are cancelled and awaited.

    Args:
        fn: called with each item; with `concurrency` above 1 it should be a coroutine function.
        concurrency: how many calls may run at once, at least 1.
        ordered: keep the order of the input; else results leave as they are done, and one slow call holds up nobody.

    Raises `UsageError` for bounds that cannot mean anything, and for `ordered=False` without concurrency, which has no
    effect. A `CancelledError` out of a call is that item's error (`StageCancelled`). Cancellation: no further call
    starts; those in flight are cancelled and awaited.
    """
    check_capacity("concurrency", concurrency)
    check_callable("map", fn)
    if concurrency == 1:
        if not ordered:
            raise UsageError(
                "ordered=False has no effect without concurrency= of at least 2: one call at a time keeps the order."
            )
        return map_each(fn)

    async def mapped(items: AsyncIterable[A]) -> AsyncGenerator[Any, None]:
        async with reading(items) as reader:
            crew = Crew(fn, reader, concurrency, ordered=ordered)
            try:
                while await crew.results_are_ready():
                    while (result := crew.next_result()) is not NONE:
                        yield result
            finally:
                await crew.dismiss()

    name = f"map(concurrency={concurrency})" if ordered else f"map(concurrency={concurrency}, ordered=False)"
    return Stage(mapped, name=name, callable=fn, concurrency=concurrency, holds_items=2 * concurrency, one_to_one=True)
