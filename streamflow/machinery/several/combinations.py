"""What a combination of several sources is made of: the stage, the source it is where it stands first, and its types.

What lives here: `Combined`, which builds both forms around one async generator over a list of sources, and subclasses
whose signatures tell a type checker what comes out. What must not: how the sources are combined.

As a stage the input is the first of the sources. So one generator function serves both forms.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from inspect import isasyncgen
from typing import Any, Generic, Self, TypeVar, TypeVarTuple

from streamflow.engine.feeding import costs_of
from streamflow.errors import UsageError
from streamflow.machinery.stage_shapes import MYPY
from streamflow.resolving import parts_of
from streamflow.stages import Combination, Source
from streamflow.types import SourceLike

__all__ = ["Body", "Combined", "Merged", "Zipped", "ZippedLongest"]

B = TypeVar("B")
Bs = TypeVarTuple("Bs")
F = TypeVar("F")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")
X = TypeVar("X")

Body = Callable[[Sequence[SourceLike[Any]]], AsyncGenerator[Any, None]]
"""The generator function of a combination: over its sources, the input among them."""

_FEW = 3


class Combined(Combination[Any, Any]):
    """A combination, built from one generator function over all sources."""

    __slots__ = ()

    @classmethod
    def of(
        cls,
        operator: str,
        sources: Sequence[SourceLike[Any]],
        body: Body,
        *,
        rows: bool = False,
        drops: bool = False,
        on_demand: bool = True,
    ) -> Self:
        """Build it.

        Args:
            operator: its name, for messages and plans.
            sources: the further ones.
            body: the generator function; as a stage it gets the input before them.
            rows: whether what it emits consists of an item of each source.
            drops: whether it may leave items of its input out.
            on_demand: whether its sources stand side by side and are pulled on demand, not one after another.

        Raises `UsageError` for what cannot be a source, naming its number.
        """
        name = f"{operator}({_names(operator, sources)})"
        costs = costs_of(sources, on_demand=on_demand)
        width = len(sources) if rows else 0

        def stage(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
            return body((items, *sources))

        def source() -> AsyncGenerator[Any, None]:
            return body(sources)

        alone = Source(
            source,
            name=name,
            holds=costs.bytes,
            holds_items=costs.items + max(1, width),
            threads=costs.threads,
            composite=True,
        )
        return cls(
            stage,
            name=name,
            drops=drops,
            holds=costs.bytes,
            holds_items=costs.items + 1 + width,
            groups=1 + width,
            threads=costs.threads,
            alone=alone,
        )


def _names(operator: str, sources: Sequence[SourceLike[Any]]) -> str:
    """Check the sources; return their names, for `explain()`."""
    names = [_name(operator, number, source) for number, source in enumerate(sources, 1)]
    for number, source in enumerate(sources, 1):
        if isasyncgen(source) and any(source is other for other in sources[: number - 1]):
            raise UsageError(
                f"{operator}: source {number} is the same generator object as an earlier one, and two tasks cannot "
                f"share it. Give the generator function itself to run it twice."
            )
    return ", ".join(names) if len(names) <= _FEW else f"{len(names)} sources"


def _name(operator: str, number: int, source: SourceLike[Any]) -> str:
    if isinstance(source, (list, tuple)) and source and all(isinstance(item, AsyncIterable) for item in source):
        raise UsageError(
            f"{operator}: source {number} is a {type(source).__name__} of {len(source)} sources. "
            f"Write {operator}(*sources) to combine them; to emit the sources themselves as items write iter(sources)."
        )
    try:
        return parts_of(source)[0].name
    except UsageError as error:
        error.add_note(f"source {number} of {operator}")
        raise


class Merged(Combined, Generic[T]):
    """A combination that emits the items of its sources as they are: `merge`, `chain`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Merged[B], owner: object = None, /
            ) -> Callable[[AsyncIterable[X]], AsyncIterator[X | B]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see stage_shapes.py

    else:

        def __call__(self, items: AsyncIterable[X]) -> AsyncIterator[X | T]:
            """Apply it by hand: `async for item in sf.merge(more)(items)`."""
            return self.function(items)

    def __aiter__(self) -> AsyncIterator[T]:
        """Iterate the combination of its own sources outside a pipeline."""
        return aiter(self.alone)


class Zipped(Combined, Generic[*Ts]):
    """A combination that emits tuples of an item of each source: `zip`, `zip_latest`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Zipped[*Bs], owner: object = None, /
            ) -> Callable[[AsyncIterable[X]], AsyncIterator[tuple[X, *Bs]]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see stage_shapes.py

    else:

        def __call__(self, items: AsyncIterable[X]) -> AsyncIterator[tuple[X, *Ts]]:
            """Apply it by hand: `async for pair in sf.zip(more)(items)`."""
            return self.function(items)

    def __aiter__(self) -> AsyncIterator[tuple[*Ts]]:
        """Iterate the combination of its own sources outside a pipeline."""
        return aiter(self.alone)


class ZippedLongest(Combined, Generic[F, *Ts]):
    """The same where a source that has ended is filled up: `zip_longest`. `F` is the type of the filling."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: ZippedLongest[B, *Bs], owner: object = None, /
            ) -> Callable[[AsyncIterable[X]], AsyncIterator[tuple[X | B, *Bs]]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see stage_shapes.py

    else:

        def __call__(self, items: AsyncIterable[X]) -> AsyncIterator[tuple[X | F, *Ts]]:
            """Apply it by hand: `async for pair in sf.zip_longest(more)(items)`."""
            return self.function(items)

    def __aiter__(self) -> AsyncIterator[tuple[*Ts]]:
        """Iterate the combination of its own sources outside a pipeline."""
        return aiter(self.alone)
