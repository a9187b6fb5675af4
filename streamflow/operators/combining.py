"""Operators that combine several sources into one, item by item: chain, merge, race, interleave.

What lives here: in which order items leave. What must not: tuples of items (zipping.py), order by value (ordering.py),
whose turn it is when several have something (rounds.py).

As a stage the input comes first and the further sources after it; standing first, an operator combines its own sources.
Each further source has a run of its own: one task, one context, closed there. A plain iterable is pulled in the
operator's own task.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Literal, TypeVar, overload

from streamflow.engine.inlet import NONE, Inlet
from streamflow.engine.inlets import Inlets, beside_an_input, inlets_of
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.several.combinations import Merged
from streamflow.machinery.several.rounds import Rounds
from streamflow.types import SourceLike

__all__ = ["chain", "interleave", "merge", "race"]

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")

Sources = Sequence[SourceLike[Any]]
Output = AsyncGenerator[Any, None]


# A union for each number of sources, since mypy would join two types to `object`.
@overload
def chain(source: SourceLike[T1], /) -> Merged[T1]: ...
@overload
def chain(source: SourceLike[T1], source2: SourceLike[T2], /) -> Merged[T1 | T2]: ...
@overload
def chain(source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], /) -> Merged[T1 | T2 | T3]: ...
@overload
def chain(*sources: SourceLike[T]) -> Merged[T]: ...
def chain(*sources: SourceLike[Any]) -> Merged[Any]:
    """Emit the items of one source after another.

    Example: `await sf.pipeline(sf.chain(["january"], ["february", "march"]), sf.collect())` gives
    `["january", "february", "march"]`.

    * emits when: the source whose turn it is has an item.
    * backpressures when: the stage below does; the source at work may run 64 items ahead.
    * completes when: the last source ends. The next one is opened only when the one before has ended and been closed.
    * on error: of a source: raised after the items before it; the sources after it are never opened.
    * on early stop: the source at work is closed; those after it are never opened.

    To put a few items before or after a stream, `prepend` and `append` are shorter.

    Args:
        sources: what comes after the input, or after each other; none is fine.

    Raises `UsageError` for what cannot be a source. Cancellation: the source at work is closed.
    """

    async def chained(sources: Sources) -> Output:
        further = beside_an_input(sources)
        for number, source in enumerate(sources, 1):
            async with inlets_of("chain", (source,), first=number, on_demand=False, further=further) as inlets:
                inlet = inlets.all[0]
                while await inlets.wait_for(inlet):
                    for item in inlet.hand:
                        yield item

    return Merged.of("chain", sources, chained, on_demand=False)


@overload
def merge(
    source: SourceLike[T1],
    /,
    *,
    weights: Sequence[int] | None = ...,
    priority: bool = ...,
    end: Literal["all", "any"] = ...,
) -> Merged[T1]: ...
@overload
def merge(
    source: SourceLike[T1],
    source2: SourceLike[T2],
    /,
    *,
    weights: Sequence[int] | None = ...,
    priority: bool = ...,
    end: Literal["all", "any"] = ...,
) -> Merged[T1 | T2]: ...
@overload
def merge(
    source: SourceLike[T1],
    source2: SourceLike[T2],
    source3: SourceLike[T3],
    /,
    *,
    weights: Sequence[int] | None = ...,
    priority: bool = ...,
    end: Literal["all", "any"] = ...,
) -> Merged[T1 | T2 | T3]: ...
@overload
def merge(
    *sources: SourceLike[T], weights: Sequence[int] | None = ..., priority: bool = ..., end: Literal["all", "any"] = ...
) -> Merged[T]: ...
def merge(
    *sources: SourceLike[Any],
    weights: Sequence[int] | None = None,
    priority: bool = False,
    end: Literal["all", "any"] = "all",
) -> Merged[Any]:
    """Emit the items of several sources as they come, fairly: a source that always has items starves nobody.

    Example: `await sf.pipeline(sf.merge(sf.stream(["late"]).delay(1.0), ["early", "too"]), sf.collect())` gives
    `["early", "too", "late"]`.

    * emits when: any source has an item; where several have, they take turns.
    * backpressures when: the stage below does. While that is idle no further source is pulled; one item of each may be
      held, up to 16 where the stage below takes them without a pause.
    * completes when: all sources have ended; with `end="any"` when the first has.
    * on error: of any source: raised at its turn, after its items before it; the others are closed.
    * on early stop: all sources are closed, each in its own task.

    The items of each source keep their order. A source that is a stream with stages keeps its own channels, of 64 items
    each; its source is pulled only while the merge waits. A `buffer(n)` in it says to run ahead anyway.

    Args:
        sources: what is merged with the input, or with each other.
        weights: how many turns each source has in a round where all have items, the input's first: `(3, 1)`. Whole
            numbers of at least 1, one for each source.
        priority: an earlier source goes first whenever it has something; a later one may starve.
        end: "all" ends with the last source; "any" with the first that ends, and drops what is held of the others.

    Raises `UsageError` for what cannot be a source, for weights that do not fit, and for `weights` with `priority`.
    Cancellation: all sources are closed, each in its own task; items that are held are dropped.
    """
    _check_turns(len(sources), weights, priority=priority, end=end)

    async def merged(sources: Sources) -> Output:
        _check_weights_fit(sources, weights)
        async with inlets_of("merge", sources) as inlets:
            rounds = Rounds(inlets, weights=weights, priority=priority, all_of_them=end == "all")
            while await rounds.have_something():
                for item in rounds.items():
                    yield item

    return Merged.of("merge", sources, merged, drops=end == "any")


_TURNS = 10_000  # of a round; each is an entry of a list


def _check_turns(count: int, weights: Sequence[int] | None, *, priority: bool, end: str) -> None:
    if end not in ("all", "any"):
        raise UsageError(f'merge(end) must be "all" or "any", not {end!r}.')
    if weights is None:
        return
    if priority:
        raise UsageError("merge: priority=True leaves no turns to share by weights=; give one of the two.")
    if not isinstance(weights, Sequence):
        raise UsageError(f"merge(weights) must be a sequence of whole numbers, such as (3, 1), not {weights!r}.")
    for weight in weights:
        check_capacity("each of merge(weights)", weight)
    if sum(weights) > _TURNS:
        raise UsageError(f"merge(weights): a round of {sum(weights):,} turns is too long; write the shares smaller.")
    if len(weights) not in {count, count + 1}:
        raise UsageError(
            f"merge: {len(weights)} weights for {count} sources. Give one for each source; "
            f"where merge is a stage, one more, which comes first, for its input."
        )


def _check_weights_fit(sources: Sources, weights: Sequence[int] | None) -> None:
    """Say what could not be known before: whether there is an input beside the sources."""
    if weights is not None and len(weights) != len(sources):
        raise UsageError(
            f"merge: {len(weights)} weights for {len(sources)} sources, the input included where it is a stage."
        )


@overload
def race(source: SourceLike[T1], /) -> Merged[T1]: ...
@overload
def race(source: SourceLike[T1], source2: SourceLike[T2], /) -> Merged[T1 | T2]: ...
@overload
def race(source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], /) -> Merged[T1 | T2 | T3]: ...
@overload
def race(*sources: SourceLike[T]) -> Merged[T]: ...
def race(*sources: SourceLike[Any]) -> Merged[Any]:
    """Emit the items of the source that is first to emit one, fail or end; the others are closed at once.

    Example: `await sf.stream(["slow mirror"]).delay(1.0).race(sf.stream(["fast mirror"]).delay(0.2)).collect()` gives
    `["fast mirror"]`.

    * emits when: the first source answers, then whenever that one has an item.
    * backpressures when: the stage below does.
    * completes when: the source that won ends.
    * on error: of the source that won: passed on. To fail is an answer too: a source that fails first has won.
    * on early stop: the source at work is closed.

    Of sources that have something at the same moment the earlier one wins. What a loser had ready, one item, is
    dropped. The losers are asked to stop before the first item leaves, and have stopped when the race is over.

    Args:
        sources: what runs against the input, or against each other.

    Raises `UsageError` for what cannot be a source. Cancellation: all sources are closed.
    """

    async def raced(sources: Sources) -> Output:
        async with inlets_of("race", sources) as inlets:
            winner = await _first_to_answer(inlets)
            for inlet in inlets.all:
                if inlet is not winner:
                    inlet.abandon()
            while winner is not None and await inlets.wait_for(winner):
                for item in winner.hand:
                    yield item

    return Merged.of("race", sources, raced, drops=True)


async def _first_to_answer(inlets: Inlets[Any]) -> Inlet[Any] | None:
    """Return the inlet that has an item or has ended. Raises the failure of one that failed first."""
    while inlets.all:
        for inlet in inlets.all:
            if not inlet.lacks():
                return inlet
        await inlets.wait(inlets.all)
    return None


@overload
def interleave(source: SourceLike[T1], /, *, n: int = ...) -> Merged[T1]: ...
@overload
def interleave(source: SourceLike[T1], source2: SourceLike[T2], /, *, n: int = ...) -> Merged[T1 | T2]: ...
@overload
def interleave(
    source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], /, *, n: int = ...
) -> Merged[T1 | T2 | T3]: ...
@overload
def interleave(*sources: SourceLike[T], n: int = ...) -> Merged[T]: ...
def interleave(*sources: SourceLike[Any], n: int = 1) -> Merged[Any]:
    """Emit `n` items of each source in turn, always in the same order: the first of each, then the second of each.

    Example: `await sf.stream(["ad 1", "ad 2"]).interleave(["text 1", "text 2", "text 3"]).collect()` gives
    `["ad 1", "text 1", "ad 2", "text 2", "text 3"]`.

    * emits when: the source whose turn it is has an item; the others wait for it.
    * backpressures when: the stage below does. While that is idle no further source is pulled; one item of each may be
      held, up to 16 where the stage below takes them without a pause.
    * completes when: all sources have ended; one that has ended is passed over.
    * on error: of a source: raised at its turn; the others are closed.
    * on early stop: all sources are closed, each in its own task.

    Args:
        sources: what takes turns with the input, or with each other.
        n: how many items of each source in a row, at least 1.

    Raises `UsageError` for what cannot be a source, and for an `n` that is no whole number of at least 1.
    Cancellation: all sources are closed; items that are held are dropped.
    """
    check_capacity("interleave(n)", n)

    async def interleaved(sources: Sources) -> Output:
        async with inlets_of("interleave", sources) as inlets:
            while inlets.all:
                for inlet in tuple(inlets.all):
                    for _ in range(n):
                        item = next(inlet.hand, NONE)
                        if item is NONE and (item := await inlets.next_of(inlet)) is NONE:
                            break
                        yield item

    return Merged.of("interleave", sources, interleaved)
