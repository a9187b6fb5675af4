"""The methods of `operators/latest.py`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import latest
from streamflow.types import SourceLike

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Latest"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
U1 = TypeVar("U1")
U2 = TypeVar("U2")
U3 = TypeVar("U3")
U4 = TypeVar("U4")


class Latest(Methods[T_co]):
    """Methods for which only the latest counts."""

    __slots__ = ()

    @overload
    def switch_map(self, fn: Callable[[T_co], Awaitable[Iterable[U] | AsyncIterable[U]]]) -> Stream[U]: ...
    @overload
    def switch_map(self, fn: Callable[[T_co], Iterable[U] | AsyncIterable[U]]) -> Stream[U]: ...
    @spelled(latest.switch_map)
    def switch_map(self, fn: Callable[[T_co], Any]) -> Stream[Any]:
        """Emit the items of what `fn` returns, until the next item comes: then that takes over; see `sf.switch_map`."""
        return self.through(latest.switch_map(fn))

    @overload
    def with_latest_from(self, other: SourceLike[U1], /) -> Stream[tuple[T_co, U1]]: ...
    @overload
    def with_latest_from(self, other: SourceLike[U1], other2: SourceLike[U2], /) -> Stream[tuple[T_co, U1, U2]]: ...
    @overload
    def with_latest_from(
        self, other: SourceLike[U1], other2: SourceLike[U2], other3: SourceLike[U3], /
    ) -> Stream[tuple[T_co, U1, U2, U3]]: ...
    @overload
    def with_latest_from(
        self, other: SourceLike[U1], other2: SourceLike[U2], other3: SourceLike[U3], other4: SourceLike[U4], /
    ) -> Stream[tuple[T_co, U1, U2, U3, U4]]: ...
    @overload
    def with_latest_from(self, *others: SourceLike[Any]) -> Stream[tuple[Any, ...]]: ...
    @spelled(latest.with_latest_from)
    def with_latest_from(self, *others: SourceLike[Any]) -> Stream[Any]:
        """Emit each item with the latest of each other source; see `sf.with_latest_from`."""
        return self.through(latest.with_latest_from(*others))
