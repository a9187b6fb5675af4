"""Sinks whose value follows the input: `collect()` gives a list of what it takes, whatever that is.

What lives here: `Collected`, `First` and their kin: subclasses of `Sink` with a more exact signature, so a type checker
knows the pipeline's value. What must not: behaviour.

`Sink[A, R]` fixes both types when it is made, but `sf.collect()` is made before anybody knows its input. A generic
`__call__` leaves the question open until the stage before it answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable
from typing import Any, Generic, TypeVar

from streamflow.machinery.stage_shapes import Given
from streamflow.stages import Sink

__all__ = ["ByKey", "Collected", "First", "FirstOr", "FromPairs", "Summed"]

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)
D = TypeVar("D")
K = TypeVar("K")
V = TypeVar("V")


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


class Summed(Sink[Any, Any], Generic[D]):
    """A sink whose value is like an item, or like what it began with: `sum`."""

    __slots__ = ()

    def __call__(self, items: AsyncIterable[A]) -> Awaitable[A | D]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        return self.function(items)


class ByKey(Sink[A_contra, Any], Generic[A_contra, K]):
    """A sink whose value is a dict of the items: `to_dict(key)`."""

    __slots__ = ()

    def __call__(self, items: Given[A, A_contra]) -> Awaitable[dict[K, A]]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        same: Any = items
        return self.function(same)


class FromPairs(Sink[Any, Any]):
    """A sink whose value is a dict of items that are pairs: `to_dict()`."""

    __slots__ = ()

    def __call__(self, items: AsyncIterable[tuple[K, V]]) -> Awaitable[dict[K, V]]:
        """Run it by hand over any async iterable: `await sink(rows)`."""
        return self.function(items)
