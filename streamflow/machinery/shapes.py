"""Sinks whose value follows the input: `collect()` gives a list of what it takes, whatever that is.

What lives here: `Collected`, `First`, `FirstOr`: subclasses of `Sink` with a more exact signature, so a type checker
knows the pipeline's value. What must not: behaviour.

`Sink[A, R]` fixes both types when it is made, but `sf.collect()` is made before anybody knows its input. A generic
`__call__` leaves the question open until the stage before it answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable
from typing import Any, Generic, TypeVar

from streamflow.stages import Sink

__all__ = ["Collected", "First", "FirstOr"]

A = TypeVar("A")
D = TypeVar("D")


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
