"""Operators that join an item of each source into a tuple: zip, zip_longest, zip_latest.

What lives here: what becomes of a row. What must not: when one is complete (rows.py), single items (combining.py).
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeVar, overload

from streamflow.engine.inlets import inlets_of
from streamflow.engine.nested import told_to_end
from streamflow.machinery.several.combinations import Zipped, ZippedLongest
from streamflow.machinery.several.rounds import Rounds
from streamflow.machinery.several.rows import Rows
from streamflow.types import SourceLike

__all__ = ["zip", "zip_latest", "zip_longest"]

F = TypeVar("F")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")

Sources = Sequence[SourceLike[Any]]
Output = AsyncGenerator[Any, None]


@overload
def zip(source: SourceLike[T1], /, *, strict: bool = ...) -> Zipped[T1]: ...  # noqa: A001  # the standard word
@overload
def zip(  # noqa: A001  # the standard word
    source: SourceLike[T1], source2: SourceLike[T2], /, *, strict: bool = ...
) -> Zipped[T1, T2]: ...
@overload
def zip(  # noqa: A001  # the standard word
    source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], /, *, strict: bool = ...
) -> Zipped[T1, T2, T3]: ...
@overload
def zip(  # noqa: A001  # the standard word
    source: SourceLike[T1],
    source2: SourceLike[T2],
    source3: SourceLike[T3],
    source4: SourceLike[T4],
    /,
    *,
    strict: bool = ...,
) -> Zipped[T1, T2, T3, T4]: ...
@overload
def zip(  # noqa: A001  # the standard word
    source: SourceLike[T1],
    source2: SourceLike[T2],
    source3: SourceLike[T3],
    source4: SourceLike[T4],
    source5: SourceLike[T5],
    /,
    *,
    strict: bool = ...,
) -> Zipped[T1, T2, T3, T4, T5]: ...
@overload
def zip(  # noqa: A001  # the standard word
    *sources: SourceLike[Any], strict: bool = ...
) -> Zipped[*tuple[Any, ...]]: ...
def zip(*sources: SourceLike[Any], strict: bool = False) -> Zipped[*tuple[Any, ...]]:  # noqa: A001
    """Join the first item of each source into a tuple, then the second of each, and so on.

    Example: `await sf.stream(["ann", "bob"]).zip([30, 25]).collect()` gives `[("ann", 30), ("bob", 25)]`.

    * emits when: each source has an item; all are waited for at once.
    * backpressures when: the stage below does; then no further source is pulled.
    * completes when: the shortest source ends; the others are closed.
    * on error: of a source: raised after the tuples before it; the others are closed.
    * on early stop: all sources are closed, each in its own task.

    What had been pulled of the longer sources for tuples that cannot be completed is dropped: at most one item of each,
    up to 16 where the consumer takes tuples without a pause. Whether a plain iterable has ended is found out before the
    other sources are asked.

    Args:
        sources: what is joined with the input's items, or with each other's.
        strict: a source that ends before the others is an error, not the end.

    Raises `UsageError` for what cannot be a source; with `strict`, `TruncatedError` (a `ValueError`) that names the
    source which ended first. Cancellation: all sources are closed; items that wait for their tuple are dropped.
    """

    async def zipped(sources: Sources) -> Output:
        async with inlets_of("zip", sources, plain_too=False) as inlets:
            rows, count = Rows(inlets), 0
            while await rows.are_whole():
                try:
                    for row in builtins.zip(*rows.columns(), strict=strict):
                        count += 1
                        yield row
                except ValueError as error:
                    if (broken_off := rows.broken_off(error, count)) is None:
                        raise
                    raise broken_off from None
            if strict and not told_to_end():
                await rows.check_all_ended(count)

    return Zipped.of("zip", sources, zipped, rows=True, drops=not strict)


@overload
def zip_longest(source: SourceLike[T1], /) -> ZippedLongest[None, T1 | None]: ...
@overload
def zip_longest(source: SourceLike[T1], source2: SourceLike[T2], /) -> ZippedLongest[None, T1 | None, T2 | None]: ...
@overload
def zip_longest(
    source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], /
) -> ZippedLongest[None, T1 | None, T2 | None, T3 | None]: ...
@overload
def zip_longest(
    source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], source4: SourceLike[T4], /
) -> ZippedLongest[None, T1 | None, T2 | None, T3 | None, T4 | None]: ...
@overload
def zip_longest(
    source: SourceLike[T1],
    source2: SourceLike[T2],
    source3: SourceLike[T3],
    source4: SourceLike[T4],
    source5: SourceLike[T5],
    /,
) -> ZippedLongest[None, T1 | None, T2 | None, T3 | None, T4 | None, T5 | None]: ...
@overload
def zip_longest(source: SourceLike[T1], /, *, fillvalue: F) -> ZippedLongest[F, T1 | F]: ...
@overload
def zip_longest(
    source: SourceLike[T1], source2: SourceLike[T2], /, *, fillvalue: F
) -> ZippedLongest[F, T1 | F, T2 | F]: ...
@overload
def zip_longest(
    source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], /, *, fillvalue: F
) -> ZippedLongest[F, T1 | F, T2 | F, T3 | F]: ...
@overload
def zip_longest(
    source: SourceLike[T1],
    source2: SourceLike[T2],
    source3: SourceLike[T3],
    source4: SourceLike[T4],
    /,
    *,
    fillvalue: F,
) -> ZippedLongest[F, T1 | F, T2 | F, T3 | F, T4 | F]: ...
@overload
def zip_longest(
    source: SourceLike[T1],
    source2: SourceLike[T2],
    source3: SourceLike[T3],
    source4: SourceLike[T4],
    source5: SourceLike[T5],
    /,
    *,
    fillvalue: F,
) -> ZippedLongest[F, T1 | F, T2 | F, T3 | F, T4 | F, T5 | F]: ...
@overload
def zip_longest(*sources: SourceLike[Any], fillvalue: Any = ...) -> ZippedLongest[Any, *tuple[Any, ...]]: ...
def zip_longest(*sources: SourceLike[Any], fillvalue: Any = None) -> ZippedLongest[Any, *tuple[Any, ...]]:
    """Join the items of each source into tuples until the longest ends; `fillvalue` stands for those that have ended.

    Example: `await sf.stream(["ann", "bob"]).zip_longest([30], fillvalue=0).collect()` gives
    `[("ann", 30), ("bob", 0)]`.

    * emits when: each source has an item or has ended; all are waited for at once.
    * backpressures when: the stage below does; then no further source is pulled.
    * completes when: all sources have ended.
    * on error: of a source: raised after the tuples before it; the others are closed.
    * on early stop: all sources are closed, each in its own task.

    Args:
        sources: what is joined with the input's items, or with each other's.
        fillvalue: what stands in a tuple for a source that has ended.

    Raises `UsageError` for what cannot be a source. Cancellation: all sources are closed; items that wait for their
    tuple are dropped.
    """

    async def zipped(sources: Sources) -> Output:
        async with inlets_of("zip_longest", sources, plain_too=False) as inlets:
            rows = Rows(inlets)
            while await rows.are_begun():
                if told_to_end() and not await rows.are_whole():
                    return  # what is missing in the last row is not there because nobody read it
                for row in itertools.zip_longest(*rows.columns(), fillvalue=fillvalue):
                    yield row

    return ZippedLongest.of("zip_longest", sources, zipped, rows=True)


@overload
def zip_latest(source: SourceLike[T1], /) -> Zipped[T1]: ...
@overload
def zip_latest(source: SourceLike[T1], source2: SourceLike[T2], /) -> Zipped[T1, T2]: ...
@overload
def zip_latest(source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], /) -> Zipped[T1, T2, T3]: ...
@overload
def zip_latest(
    source: SourceLike[T1], source2: SourceLike[T2], source3: SourceLike[T3], source4: SourceLike[T4], /
) -> Zipped[T1, T2, T3, T4]: ...
@overload
def zip_latest(
    source: SourceLike[T1],
    source2: SourceLike[T2],
    source3: SourceLike[T3],
    source4: SourceLike[T4],
    source5: SourceLike[T5],
    /,
) -> Zipped[T1, T2, T3, T4, T5]: ...
@overload
def zip_latest(*sources: SourceLike[Any]) -> Zipped[*tuple[Any, ...]]: ...
def zip_latest(*sources: SourceLike[Any]) -> Zipped[*tuple[Any, ...]]:
    """Emit a tuple of the latest item of each source whenever any of them has a new one.

    Example: `await sf.pipeline(sf.zip_latest(sf.interval(2.0, times=2), sf.interval(3.0, times=2)), sf.collect())`
    gives `[(0, 0), (1, 0), (1, 1)]`.

    * emits when: any source has an item, once each has had one.
    * backpressures when: the stage below does; then no further source is pulled.
    * completes when: all sources have ended; at once when one ends that never had an item.
    * on error: of a source: raised at its turn, after its items before it; the others are closed.
    * on early stop: all sources are closed, each in its own task.

    Nothing is dropped: until each source has had its first item, those that have are not asked for more. So each item
    is in at least one tuple, and the first tuple is made of the first items. Where several sources have something, they
    take turns.

    Args:
        sources: what is combined with the input, or with each other.

    Raises `UsageError` for what cannot be a source. Cancellation: all sources are closed; items that are held are
    dropped.
    """

    async def zipped(sources: Sources) -> Output:
        async with inlets_of("zip_latest", sources) as inlets:
            if not await Rows(inlets).are_whole():
                return
            latest = [next(inlet.hand) for inlet in inlets.all]
            yield tuple(latest)
            rounds = Rounds(inlets)
            while await rounds.have_something():
                for item in rounds.items():
                    latest[rounds.at.number - 1] = item
                    yield tuple(latest)

    return Zipped.of("zip_latest", sources, zipped, rows=True)
