"""Stages and sinks whose types follow their input: `take(3)` emits what it takes, whatever that is.

What lives here: `Unchanged`, `Grouped`, `Collected`, `First`, `FirstOr`: subclasses with a more exact signature, so
that a type checker can carry the type of the items through a pipeline. What must not: behaviour.

`Stage[A, B]` fixes both types when it is made, but `sf.take(3)` is made before anybody knows its input. A generic
`__call__` leaves the question open until a neighbour answers it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable
from typing import Any, Generic, TypeVar

from streamflow.stages import Sink, Stage

__all__ = ["Collected", "First", "FirstOr", "Grouped", "Unchanged"]

A = TypeVar("A")
D = TypeVar("D")


class Unchanged(Stage[Any, Any]):
    """A stage that emits items of the type it takes: `take`, `buffer`."""

    __slots__ = ()

    def __call__(self, items: AsyncIterable[A]) -> AsyncIterator[A]:
        """Apply it by hand, with no channel: `async for row in stage(rows)`."""
        return self.function(items)


class Grouped(Stage[Any, Any]):
    """A stage that emits tuples of the items it takes: `batched`."""

    __slots__ = ()

    def __call__(self, items: AsyncIterable[A]) -> AsyncIterator[tuple[A, ...]]:
        """Apply it by hand, with no channel: `async for batch in stage(rows)`."""
        return self.function(items)


class Collected(Sink[Any, Any]):
    """A sink whose value is the list of the items: `collect`."""

    __slots__ = ()

    def __call__(self, items: AsyncIterable[A]) -> Awaitable[list[A]]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        return self.function(items)


class First(Sink[Any, Any]):
    """A sink whose value is an item: `first()`."""

    __slots__ = ()

    def __call__(self, items: AsyncIterable[A]) -> Awaitable[A]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        return self.function(items)


class FirstOr(Sink[Any, Any], Generic[D]):
    """A sink whose value is an item or a default: `first(default=None)`."""

    __slots__ = ()

    def __call__(self, items: AsyncIterable[A]) -> Awaitable[A | D]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        return self.function(items)
