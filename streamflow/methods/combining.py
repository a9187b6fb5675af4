"""The methods of `operators/combining.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import combining
from streamflow.types import SourceLike

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Combining"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")
U1 = TypeVar("U1")
U2 = TypeVar("U2")
U3 = TypeVar("U3")


class Combining(Methods[T_co]):
    """Methods that combine the stream with further sources, item by item."""

    __slots__ = ()

    @overload
    def chain(self, source: SourceLike[U1], /) -> Stream[T_co | U1]: ...
    @overload
    def chain(self, source: SourceLike[U1], source2: SourceLike[U2], /) -> Stream[T_co | U1 | U2]: ...
    @overload
    def chain(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], /
    ) -> Stream[T_co | U1 | U2 | U3]: ...
    @overload
    def chain(self, *sources: SourceLike[U]) -> Stream[T_co | U]: ...
    @spelled(combining.chain)
    def chain(self, *sources: SourceLike[Any]) -> Stream[Any]:
        """Emit the items of one source after another; see `sf.chain`."""
        return self.through(combining.chain(*sources))

    @overload
    def merge(
        self,
        source: SourceLike[U1],
        /,
        *,
        weights: Sequence[int] | None = ...,
        priority: bool = ...,
        end: Literal["all", "any"] = ...,
    ) -> Stream[T_co | U1]: ...
    @overload
    def merge(
        self,
        source: SourceLike[U1],
        source2: SourceLike[U2],
        /,
        *,
        weights: Sequence[int] | None = ...,
        priority: bool = ...,
        end: Literal["all", "any"] = ...,
    ) -> Stream[T_co | U1 | U2]: ...
    @overload
    def merge(
        self,
        source: SourceLike[U1],
        source2: SourceLike[U2],
        source3: SourceLike[U3],
        /,
        *,
        weights: Sequence[int] | None = ...,
        priority: bool = ...,
        end: Literal["all", "any"] = ...,
    ) -> Stream[T_co | U1 | U2 | U3]: ...
    @overload
    def merge(
        self,
        *sources: SourceLike[U],
        weights: Sequence[int] | None = ...,
        priority: bool = ...,
        end: Literal["all", "any"] = ...,
    ) -> Stream[T_co | U]: ...
    @spelled(combining.merge)
    def merge(
        self,
        *sources: SourceLike[Any],
        weights: Sequence[int] | None = None,
        priority: bool = False,
        end: Literal["all", "any"] = "all",
    ) -> Stream[Any]:
        """Emit the items of several sources as they come, fairly; see `sf.merge`."""
        return self.through(combining.merge(*sources, weights=weights, priority=priority, end=end))

    @overload
    def race(self, source: SourceLike[U1], /) -> Stream[T_co | U1]: ...
    @overload
    def race(self, source: SourceLike[U1], source2: SourceLike[U2], /) -> Stream[T_co | U1 | U2]: ...
    @overload
    def race(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], /
    ) -> Stream[T_co | U1 | U2 | U3]: ...
    @overload
    def race(self, *sources: SourceLike[U]) -> Stream[T_co | U]: ...
    @spelled(combining.race)
    def race(self, *sources: SourceLike[Any]) -> Stream[Any]:
        """Emit the items of the source that is first to emit one, fail or end; see `sf.race`."""
        return self.through(combining.race(*sources))

    @overload
    def interleave(self, source: SourceLike[U1], /, *, n: int = ...) -> Stream[T_co | U1]: ...
    @overload
    def interleave(
        self, source: SourceLike[U1], source2: SourceLike[U2], /, *, n: int = ...
    ) -> Stream[T_co | U1 | U2]: ...
    @overload
    def interleave(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], /, *, n: int = ...
    ) -> Stream[T_co | U1 | U2 | U3]: ...
    @overload
    def interleave(self, *sources: SourceLike[U], n: int = ...) -> Stream[T_co | U]: ...
    @spelled(combining.interleave)
    def interleave(self, *sources: SourceLike[Any], n: int = 1) -> Stream[Any]:
        """Emit `n` items of each source in turn; see `sf.interleave`."""
        return self.through(combining.interleave(*sources, n=n))
