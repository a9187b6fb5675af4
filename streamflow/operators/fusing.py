"""The operator that nests stages in one task: fuse.

What lives here: which stages can be nested, and what they are together. What must not: opening, closing and blaming
them (engine/generators.py); fusing synchronous stages, which the planner does unasked.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from functools import partial
from typing import Any, TypeAlias, TypeVar, overload

from streamflow.callables import name_of
from streamflow.engine.generators import nested
from streamflow.errors import UsageError
from streamflow.resolving import is_stream_function, resolve_stage
from streamflow.stages import Stage

__all__ = ["Nestable", "fuse"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")

Nestable: TypeAlias = Callable[[AsyncIterable[A]], AsyncIterable[B]]
"""A stage that asks for no more of its input than `async for`."""


@overload
def fuse(stage: Nestable[A, B], /) -> Stage[A, B]: ...
@overload
def fuse(stage1: Nestable[A, B], stage2: Nestable[B, C], /) -> Stage[A, C]: ...
@overload
def fuse(stage1: Nestable[A, B], stage2: Nestable[B, C], stage3: Nestable[C, D], /) -> Stage[A, D]: ...
@overload
def fuse(
    stage1: Nestable[A, B], stage2: Nestable[B, C], stage3: Nestable[C, D], stage4: Nestable[D, E], /
) -> Stage[A, E]: ...
@overload
def fuse(
    stage1: Nestable[A, B],
    stage2: Nestable[B, C],
    stage3: Nestable[C, D],
    stage4: Nestable[D, E],
    stage5: Nestable[E, F],
    /,
) -> Stage[A, F]: ...
@overload
def fuse(
    stage1: Nestable[A, B],
    stage2: Nestable[B, C],
    stage3: Nestable[C, D],
    stage4: Nestable[D, E],
    stage5: Nestable[E, F],
    stage6: Nestable[F, G],
    /,
) -> Stage[A, G]: ...
@overload
def fuse(
    stage1: Nestable[A, Any],
    stage2: Nestable[Any, Any],
    stage3: Nestable[Any, Any],
    stage4: Nestable[Any, Any],
    stage5: Nestable[Any, Any],
    stage6: Nestable[Any, Any],
    stage7: Nestable[Any, Any],
    /,
    *stages: Nestable[Any, Any],
) -> Stage[A, Any]: ...
def fuse(*stages: Any) -> Stage[Any, Any]:
    """Nest stages in one task, with no channel between them: for stages that gain nothing from running side by side.

    Example:
        async def stamped(rows):
            number = 0
            async for row in rows:
                number += 1
                yield number, row

        async def shouted(rows):
            async for number, row in rows:
                yield f"{number} {row.upper()}!"

        await sf.stream(["to be", "or not"]).fuse(stamped, shouted).collect()  # gives ["1 TO BE!", "2 OR NOT!"]

    * emits when: the last of them does.
    * backpressures when: the stage below does. An item passes through all of them before the next one is taken.
    * completes when: the last of them ends; the others are closed then.
    * on error: of one of them: is raised at the `async for` of the next, which may catch it; a note says who raised it.
    * on early stop: they are closed one after another, the last one first.

    Each stage is an async generator function that costs an item little: a channel and a task of its own would cost more
    than they gain. A stage that waits (for a service, a disk) is better left out of it: beside a channel the others go
    on meanwhile. Synchronous operators alone (`map`, `filter` with plain functions) need no `fuse`.

    In plans and reports it is one stage, named "a + b + c". What one of them drops is counted where all the others emit
    an item for each. A timeout or cancel scope around a `yield` may be in any of them; one that strikes while the last
    of them waits for room below ends them all.

    Args:
        stages: two or more stages; one alone is returned as it is. Their input is an async iterable, without the
            further methods of a `Reader`.

    Raises `UsageError` for what is no stage, and for stages that need a channel of their own or more than one run of
    what is above: `buffer(n)`, `retry`, `repeat`, a function from `Stream` to `Stream`. Cancellation: reaches the stage
    that waits, and goes on through the others.
    """
    if not stages:
        raise UsageError("fuse needs stages: sf.fuse(parse, enrich).")
    parts = tuple(inner for number, stage in enumerate(stages, 1) for inner in _nestable(stage, number))
    if len(parts) == 1:
        return parts[0]
    known = all(part.drops or part.one_to_one for part in parts)
    groups = 1
    held = 0
    for part in parts:
        held += part.holds_items * groups
        groups *= part.groups
    return Stage(
        partial(nested, parts),
        name=" + ".join(part.name for part in parts),
        nested=parts,
        drops=known and any(part.drops for part in parts),
        one_to_one=all(part.one_to_one for part in parts),
        output_capacity=min((part.output_capacity for part in parts if part.output_capacity is not None), default=None),
        concurrency=max(part.concurrency for part in parts),
        threads=sum(part.threads for part in parts),
        holds=sum(part.holds for part in parts),
        holds_items=held,
        groups=groups,
    )


def _nestable(thing: object, number: int) -> tuple[Stage[Any, Any], ...]:
    """Return the stage or stages that it stands for, or refuse it."""
    if is_stream_function(thing):
        raise UsageError(
            f"{name_of(thing)!r}, stage {number} of sf.fuse, is a plain function. To call it for each item write "
            f"sf.map({name_of(thing)}); a function from Stream to Stream cannot be nested: use .through() for it."
        )
    try:
        stage = resolve_stage(thing)
    except UsageError as error:
        error.add_note(f"stage {number} of sf.fuse")
        raise
    if stage.capacity is not None:
        raise UsageError(
            f"{stage.name} has no effect inside sf.fuse, where no channel stands between the stages. Leave it out, or "
            f"write sf.fuse(...), sf.{stage.name}, sf.fuse(...)."
        )
    if stage.reopens:
        raise UsageError(
            f"{stage.name!r} runs what is above it again, which a stage inside sf.fuse cannot. "
            f"Write it after sf.fuse(...)."
        )
    return stage.nested or (stage,)
