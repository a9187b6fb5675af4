"""Operators that feed results back: expand, feedback.

What lives here: the operators. What must not: going round itself (circling.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar, overload

from streamflow.callables import name_of
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.variables import A
from streamflow.machinery.waits.circling import Circle
from streamflow.operators.concurrency import map as map_concurrently
from streamflow.resolving import resolve_stage
from streamflow.stages import Stage

__all__ = ["expand", "feedback"]

B = TypeVar("B")

Several: TypeAlias = Iterable[A] | AsyncIterable[A] | None
"""What goes round: items, or nothing."""


def expand(
    fn: Callable[[A], Several[A] | Awaitable[Several[A]]],
    *,
    concurrency: int = 1,
    ordered: bool = True,
    maxsize: int = 1024,
) -> Stage[A, A]:
    """Emit each item, and then every item that `fn` makes of it, and of those, and so on: a walk through a tree.

    Example:
        folders = {"/": ["/etc", "/home"], "/home": ["/home/ann"]}
        await sf.stream(["/"]).expand(folders.get, concurrency=8).collect()  # gives ["/", "/etc", "/home", "/home/ann"]

    * emits when: the call for an item has returned; breadth first with `ordered=True`.
    * backpressures when: the stage below does.
    * completes when: the input has ended and the last item has been walked through.
    * on error: of a call: surfaces at its turn, after the items before it; what waits is dropped.
    * on early stop: calls in flight are cancelled and awaited; what waits is dropped.

    Args:
        fn: called with each item (sync or async); returns the items to go on with, an iterable, an async iterable, or
            `None` for none.
        concurrency: how many calls may run at once, at least 1.
        ordered: keep the order in which the items were found; else items leave as their calls are done.
        maxsize: how many items may wait for their turn. A crawler's frontier lives here.

    Raises `UsageError` for bounds that cannot mean anything, and `CycleDeadlock` when more than `maxsize` items would
    have to wait. Items are not compared, so for a graph with loops keep a set of those seen in `fn`.
    Cancellation: as early stop.
    """
    check_callable("expand", fn)
    check_capacity("expand(maxsize)", maxsize)

    async def visited(item: A) -> tuple[A, Any]:
        found = fn(item)
        return item, await found if isawaitable(found) else found

    stages = (map_concurrently(visited, concurrency=concurrency, ordered=ordered),)

    async def expanded(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        circle = Circle(f"expand({name_of(fn)})", items, stages, lambda pair: pair[1], maxsize)
        async with circle, aclosing(circle.outputs()) as pairs:
            async for item, _ in pairs:
                yield item

    name = "expand" if concurrency == 1 else f"expand(concurrency={concurrency})"
    return Stage(expanded, name=name, callable=fn, concurrency=concurrency, holds_items=maxsize + 2 * concurrency + 32)


@overload
def feedback(
    stages: Callable[[AsyncIterable[A]], AsyncIterable[B]],
    back: Callable[[B], Several[A] | Awaitable[Several[A]]],
    *,
    maxsize: int = ...,
) -> Stage[A, B]: ...
@overload
def feedback(
    stages: Sequence[Callable[..., Any]], back: Callable[[Any], Any], *, maxsize: int = ...
) -> Stage[Any, Any]: ...
def feedback(
    stages: Callable[[Any], AsyncIterable[Any]] | Sequence[Callable[..., Any]],
    back: Callable[[Any], Several[Any] | Awaitable[Several[Any]]],
    *,
    maxsize: int = 1024,
) -> Stage[Any, Any]:
    """Run the items through stages of their own, emit what comes out, and send what `back` makes of it in again.

    Example: `await sf.stream([20]).feedback(sf.map(lambda n: n // 2), lambda n: [n] if n > 1 else None).collect()`
    gives `[10, 5, 2, 1]`: halved until it is 1.

    * emits when: an output leaves the stages; what `back` makes of it has been queued then.
    * backpressures when: the stage below does.
    * completes when: the input has ended and nothing goes round any more: the last item has drained.
    * on error: of a stage or of `back`: surfaces after the outputs before it; what goes round is dropped.
    * on early stop: the stages are stopped and closed; what goes round is dropped.

    Stages that emit exactly one item for each (`map`) keep going round without a pause. With any others nobody can tell
    from outside whether an item is still inside; whenever nothing waits, their input is ended, so that they flush, and
    what comes back then goes through a fresh run of them: state that a stage keeps does not go round.

    Args:
        stages: a stage, or several in a list.
        back: called with each output, in order (sync or async); returns the items to send in again, an iterable, an
            async iterable, or `None` for none.
        maxsize: how many items may wait to go round.

    Raises `UsageError` for what is no stage, and `CycleDeadlock` when `maxsize` items wait to go round and every stage
    of the cycle waits for room: then nothing could ever move again. Cancellation: as early stop.
    """
    check_callable("feedback(back)", back)
    check_capacity("feedback(maxsize)", maxsize)
    given = list(stages) if isinstance(stages, (list, tuple)) else [stages]
    if not given:
        raise UsageError("feedback needs at least one stage to go round through.")
    inner = tuple(resolve_stage(stage) for stage in given)
    names = " > ".join(stage.name for stage in inner)

    async def fed_back(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        circle = Circle(f"feedback({names})", items, inner, back, maxsize)
        async with circle, aclosing(circle.outputs()) as outs:
            async for out in outs:
                yield out

    held = sum(stage.holds_items for stage in inner) + 32 * (len(inner) + 1)
    return Stage(
        fed_back,
        name=f"feedback({names})",
        concurrency=max(stage.concurrency for stage in inner),
        threads=sum(stage.threads for stage in inner),
        holds_items=maxsize + held,
    )
