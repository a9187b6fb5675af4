"""The methods of `operators/elements.py`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import elements
from streamflow.types import MaybeAwaitable

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Elements"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
Ts = TypeVarTuple("Ts")


class Elements(Methods[T_co]):
    """Methods on single items."""

    __slots__ = ()

    @overload
    def starmap(self: Methods[tuple[*Ts]], fn: Callable[[*Ts], Awaitable[U]]) -> Stream[U]: ...
    @overload
    def starmap(self: Methods[tuple[*Ts]], fn: Callable[[*Ts], U]) -> Stream[U]: ...
    @spelled(elements.starmap)
    def starmap(self: Methods[Any], fn: Callable[..., Any]) -> Stream[Any]:
        """Call `fn` with the members of each item as its arguments; see `sf.starmap`."""
        return self.through(elements.starmap(fn))

    @spelled(elements.filter)
    def filter(self, fn: Callable[[T_co], MaybeAwaitable[object]]) -> Stream[T_co]:
        """Keep the items for which `fn` is true; see `sf.filter`."""
        return self.through(elements.filter(fn))

    @overload
    def filter_map(self, fn: Callable[[T_co], Awaitable[U | None]]) -> Stream[U]: ...
    @overload
    def filter_map(self, fn: Callable[[T_co], U | None]) -> Stream[U]: ...
    @spelled(elements.filter_map)
    def filter_map(self, fn: Callable[[T_co], Any]) -> Stream[Any]:
        """Call `fn` for each item and emit what it returns, but for `None`; see `sf.filter_map`."""
        return self.through(elements.filter_map(fn))

    @spelled(elements.flatten)
    def flatten(self: Methods[Iterable[U] | AsyncIterable[U]]) -> Stream[U]:
        """Emit every item of the items, which are iterables; see `sf.flatten`."""
        return self.through(elements.flatten())

    @spelled(elements.tap)
    def tap(self, fn: Callable[[T_co], MaybeAwaitable[object]]) -> Stream[T_co]:
        """Call `fn` with each item and pass it on; see `sf.tap`."""
        return self.through(elements.tap(fn))

    @spelled(elements.enumerate)
    def enumerate(self, start: int = 0) -> Stream[tuple[int, T_co]]:
        """Number the items: emit `(number, item)` for each; see `sf.enumerate`."""
        return self.through(elements.enumerate(start))

    @overload
    def cast(self, type_: type[U]) -> Stream[U]: ...
    @overload
    def cast(self, type_: UnionType) -> Stream[Any]: ...
    @spelled(elements.cast)
    def cast(self, type_: Any) -> Stream[Any]:
        """Check that every item is an instance of `type_`; see `sf.cast`."""
        return self.through(elements.cast(type_))
