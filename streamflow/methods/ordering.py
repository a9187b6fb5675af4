"""The methods of `operators/ordering.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import ordering
from streamflow.types import MaybeAwaitable, SourceLike

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Ordering"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
U1 = TypeVar("U1")
U2 = TypeVar("U2")


class Ordering(Methods[T_co]):
    """Methods that combine the stream with further sources by the order of the items."""

    __slots__ = ()

    @overload
    def merge_sorted(
        self,
        source: SourceLike[U1],
        /,
        *,
        key: Callable[[T_co | U1], MaybeAwaitable[Any]] | None = ...,
        reverse: bool = ...,
    ) -> Stream[T_co | U1]: ...
    @overload
    def merge_sorted(
        self,
        source: SourceLike[U1],
        source2: SourceLike[U2],
        /,
        *,
        key: Callable[[T_co | U1 | U2], MaybeAwaitable[Any]] | None = ...,
        reverse: bool = ...,
    ) -> Stream[T_co | U1 | U2]: ...
    @overload
    def merge_sorted(
        self, *sources: SourceLike[U], key: Callable[[T_co | U], MaybeAwaitable[Any]] | None = ..., reverse: bool = ...
    ) -> Stream[T_co | U]: ...
    @spelled(ordering.merge_sorted)
    def merge_sorted(
        self,
        *sources: SourceLike[Any],
        key: Callable[[Any], MaybeAwaitable[Any]] | None = None,
        reverse: bool = False,
    ) -> Stream[Any]:
        """Merge sources that are sorted already into one sorted stream; see `sf.merge_sorted`."""
        return self.through(ordering.merge_sorted(*sources, key=key, reverse=reverse))
