"""The methods of `operators/aggregates.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import aggregates
from streamflow.operators.sinks import MISSING
from streamflow.types import MaybeAwaitable

__all__ = ["Aggregates"]

D = TypeVar("D")
T_co = TypeVar("T_co", covariant=True)


class Aggregates(Methods[T_co]):
    """Methods that run the stream and compare, add or question the items."""

    __slots__ = ()

    @overload
    async def min(self, *, key: Callable[[T_co], Any] | None = ...) -> T_co: ...
    @overload
    async def min(self, *, key: Callable[[T_co], Any] | None = ..., default: D) -> T_co | D: ...
    @spelled(aggregates.min)
    async def min(self, *, key: Callable[[T_co], Any] | None = None, default: Any = MISSING) -> Any:
        """Return the smallest item, the first of equal ones; see `sf.min`."""
        return await self.to(aggregates.min(key=key, default=default)).run()

    @overload
    async def max(self, *, key: Callable[[T_co], Any] | None = ...) -> T_co: ...
    @overload
    async def max(self, *, key: Callable[[T_co], Any] | None = ..., default: D) -> T_co | D: ...
    @spelled(aggregates.max)
    async def max(self, *, key: Callable[[T_co], Any] | None = None, default: Any = MISSING) -> Any:
        """Return the largest item, the first of equal ones; see `sf.max`."""
        return await self.to(aggregates.max(key=key, default=default)).run()

    @overload
    async def sum(self) -> T_co | int: ...
    @overload
    async def sum(self, start: D) -> T_co | D: ...
    @spelled(aggregates.sum)
    async def sum(self, start: Any = 0) -> Any:
        """Add up the items; see `sf.sum`."""
        return await self.to(aggregates.sum(start)).run()

    @spelled(aggregates.any)
    async def any(self, fn: Callable[[T_co], MaybeAwaitable[object]] | None = None) -> bool:
        """Return whether `fn` is true for some item, and end the stream there; see `sf.any`."""
        return await self.to(aggregates.any(fn)).run()

    @spelled(aggregates.all)
    async def all(self, fn: Callable[[T_co], MaybeAwaitable[object]] | None = None) -> bool:
        """Return whether `fn` is true for every item, ending the stream at the first that is not; see `sf.all`."""
        return await self.to(aggregates.all(fn)).run()
