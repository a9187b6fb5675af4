"""The methods of `operators/sinks.py`: each runs the stream and returns the value of the sink."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import sinks
from streamflow.stages import Sink
from streamflow.types import MaybeAwaitable

__all__ = ["Sinks"]

D = TypeVar("D")
K = TypeVar("K")
R = TypeVar("R")
V = TypeVar("V")
T_co = TypeVar("T_co", covariant=True)


class Sinks(Methods[T_co]):
    """Methods that run the stream and keep items, or nothing. Cancelling one ends the run it began, nothing else."""

    __slots__ = ()

    @spelled(sinks.collect)
    async def collect(self, limit: int | None = None) -> list[T_co]:
        """Run it and return every item in a list; see `sf.collect`."""
        return await self.to(sinks.collect(limit)).run()

    @overload
    async def to_dict(
        self,
        key: Callable[[T_co], K],
        value: Callable[[T_co], V],
        *,
        duplicates: Literal["error", "first", "last"] = ...,
    ) -> dict[K, V]: ...
    @overload
    async def to_dict(
        self, key: Callable[[T_co], K], value: None = ..., *, duplicates: Literal["error", "first", "last"] = ...
    ) -> dict[K, T_co]: ...
    @overload
    async def to_dict(
        self: Methods[tuple[K, V]],
        key: None = ...,
        value: None = ...,
        *,
        duplicates: Literal["error", "first", "last"] = ...,
    ) -> dict[K, V]: ...
    @spelled(sinks.to_dict)
    async def to_dict(
        self: Methods[Any],
        key: Callable[[Any], Any] | None = None,
        value: Callable[[Any], Any] | None = None,
        *,
        duplicates: Literal["error", "first", "last"] = "error",
    ) -> dict[Any, Any]:
        """Run it and gather the items into a dict; see `sf.to_dict`."""
        make: Callable[..., Sink[Any, dict[Any, Any]]] = sinks.to_dict  # which of its forms, it finds out itself
        return await self.to(make(key, value, duplicates=duplicates)).run()

    @spelled(sinks.count)
    async def count(self) -> int:
        """Run it and return how many items there were; see `sf.count`."""
        return await self.to(sinks.count()).run()

    @overload
    async def first(self) -> T_co: ...
    @overload
    async def first(self, default: D) -> T_co | D: ...
    @spelled(sinks.first)
    async def first(self, default: Any = sinks.MISSING) -> Any:
        """Run it until the first item and return that, or `default`; see `sf.first`."""
        return await self.to(sinks.first(default)).run()

    @overload
    async def last(self) -> T_co: ...
    @overload
    async def last(self, default: D) -> T_co | D: ...
    @spelled(sinks.last)
    async def last(self, default: Any = sinks.MISSING) -> Any:
        """Run it and return the last item, or `default`; see `sf.last`."""
        return await self.to(sinks.last(default)).run()

    @overload
    async def single(self) -> T_co: ...
    @overload
    async def single(self, default: D) -> T_co | D: ...
    @spelled(sinks.single)
    async def single(self, default: Any = sinks.MISSING) -> Any:
        """Run it and return the only item there is, or `default`; see `sf.single`."""
        return await self.to(sinks.single(default)).run()

    @spelled(sinks.reduce)
    async def reduce(self, fn: Callable[[R, T_co], MaybeAwaitable[R]], initial: R) -> R:
        """Run it and fold the items into one value; see `sf.reduce`."""
        return await self.to(sinks.reduce(fn, initial)).run()
