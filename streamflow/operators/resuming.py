"""Where a run that is made again goes on: from the start, after what was emitted, or at a position the source knows.

What lives here: `resumable`, a source that can be opened at a position, and `Place`, which one `retry` asks for what to
run next and which of its items are new. What must not: errors, pauses and attempts (retrying.py).

An iterator can be iterated once: taken up again after a failure it would end early, and look complete (H38). So what
gives the same iterator a second time is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, TypeVar, cast

from streamflow.callables import caller, is_coroutine_function, name_of, unwrapped
from streamflow.engine.feeding import reading
from streamflow.errors import UsageError
from streamflow.machinery.attempts import Emitted
from streamflow.machinery.functions.per_item import check_callable
from streamflow.resolving import parts_of
from streamflow.stages import Source, Stage
from streamflow.types import MaybeAwaitable, SourceLike

__all__ = ["Again", "Place", "Resumable", "Resume", "resumable"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Resume: TypeAlias = Literal["start", "after"]
"""Where another run goes on: `"start"`: its items are emitted again; `"after"`: those emitted already are skipped."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Resumable(Source[T_co]):
    """A source that can be opened after any of its items; made by `resumable`.

    Args:
        open_after: opens it after a position.
        position: the position of an item.
        start: the position before the first item.
    """

    open_after: Callable[[Any], SourceLike[T_co]] = field(kw_only=True)
    position: Callable[[Any], Any] = field(kw_only=True)
    start: Any = field(default=None, kw_only=True)


def resumable(
    open: Callable[[Any], MaybeAwaitable[SourceLike[T]]],  # noqa: A002  # the standard word
    position: Callable[[T], object],
    *,
    start: object = None,
) -> Resumable[T]:
    """Make a source that `retry` opens again after the last item it emitted: no item comes twice, none is missing.

    Example:
        failures = [ConnectionError("reset by peer")]

        def ids_after(last):
            yield last + 1
            if failures:
                raise failures.pop()
            yield last + 2

        await sf.stream(sf.resumable(ids_after, lambda number: number, start=0)).retry(3).collect()  # gives [1, 2, 3]

    * emits when: what `open` returned does.
    * backpressures when: the stage below does.
    * completes when: what `open` returned ends.
    * on error: passes it on; `retry`, directly after it, opens it after the last item emitted.
    * on early stop: what is open is closed.

    Stages belong below the `retry`: what they make has no position in the source.

    Args:
        open: called with a position; returns (or, as a coroutine function, awaits) an iterable or async iterable of
            the items *after* it, in the same order each time.
        position: returns the position of an item; called with each item, just before it is emitted. No coroutine
            function.
        start: what `open` is called with to begin; `None` by default.

    Raises `UsageError` when `open` or `position` is no such function. Cancellation: what is open is closed.
    """
    check_callable("resumable(open)", open)
    check_callable("resumable(position)", position)
    if is_coroutine_function(position):
        raise UsageError("resumable(position) must not be a coroutine function: it only looks at the item.")

    def open_after(place: object) -> SourceLike[T]:
        opened = open(place)
        return _awaited(opened) if inspect.isawaitable(opened) else opened

    return Resumable(
        lambda: open_after(start),
        name=name_of(open),
        where=caller(),
        synchronous=inspect.isgeneratorfunction(unwrapped(open)),
        open_after=open_after,
        position=position,
        start=start,
    )


async def _awaited(opening: Awaitable[SourceLike[T]]) -> AsyncGenerator[T, None]:
    async with reading(await opening) as reader:
        async for item in reader:
            yield item


@dataclass(frozen=True, slots=True)
class Again:
    """A source and the stages after it, as a run takes them."""

    source: Source[Any]
    stages: tuple[Stage[Any, Any], ...]

    @property
    def __streamflow_parts__(self) -> tuple[Source[Any], tuple[Stage[Any, Any], ...]]:
        """What `parts_of` asks for."""
        return self.source, self.stages


class Place:
    """How far one use of `retry` has come. This one goes on from the start: every item is new."""

    @staticmethod
    def of(items: object, resume: Resume | None) -> Place:
        """Return the place for what stands above, or raise `UsageError` where nobody knows how to go on."""
        source, stages = parts_of(items)
        if resume is not None:
            return {"start": Place, "after": _AfterEmitted}[resume](source, stages)
        if isinstance(source, Resumable) and not stages:
            return _AtPosition(source)
        raise UsageError(f"retry cannot know where to go on after a failure of {source.name!r}. {_advice(source)}")

    def __init__(self, source: Source[Any], stages: tuple[Stage[Any, Any], ...]) -> None:
        """Begin at the start."""
        self.above = Again(_never_twice(source), stages)

    def next_run(self) -> AsyncIterable[Any]:
        """Return what to run now, from where it has to go on."""
        return cast("AsyncIterable[Any]", self.above)

    def new_of(self, batch: Sequence[T]) -> Iterable[T]:
        """Return the items of the run's next batch that are to be emitted, which then happens."""
        return batch

    def check_end(self) -> None:
        """The run has ended cleanly: raise `StageError` if it cannot be complete."""


class _AfterEmitted(Place):
    """Goes on after as many items as were emitted."""

    def __init__(self, source: Source[Any], stages: tuple[Stage[Any, Any], ...]) -> None:
        super().__init__(source, stages)
        self._emitted = Emitted()

    def next_run(self) -> AsyncIterable[Any]:
        self._emitted.begin()
        return super().next_run()

    def new_of(self, batch: Sequence[T]) -> Iterable[T]:
        return self._emitted.new_of(batch)

    def check_end(self) -> None:
        self._emitted.check_end(self.above.source.name)


class _AtPosition(Place):
    """Goes on after the position of the last item emitted, which is asked for before anybody changes the item."""

    def __init__(self, source: Resumable[Any]) -> None:
        super().__init__(replace(source, open=lambda: source.open_after(self._last)), ())
        self._position = source.position
        self._last = source.start

    def new_of(self, batch: Sequence[T]) -> Iterator[T]:
        for item in batch:
            self._last = self._position(item)
            yield item


def _never_twice(source: Source[T]) -> Source[T]:
    """Return the same source, which refuses to give an iterator that it has given before."""
    before: object = None

    def open_new() -> SourceLike[T]:
        nonlocal before
        opened = source.open()
        if opened is before and isinstance(opened, (Iterator, AsyncIterator)):
            raise UsageError(
                f"The source {source.name!r} gives the same iterator again, which has been read already; items would "
                f"be missing. Pass a function that opens it anew: an async generator function, or sf.resumable."
            )
        before = opened
        return opened

    return replace(source, open=open_new)


def _advice(source: Source[Any]) -> str:
    if isinstance(source, Resumable):
        return "It is resumable, but there are stages between: put the retry directly after it, the stages after that."
    return (
        "Write resume='after' if it gives the same items again in the same order (a file, a query with an order): "
        "those emitted already are skipped. Write resume='start' if items may be emitted twice (a live feed). "
        "Or make it sf.resumable(open, position)."
    )
