"""The methods of `operators/zipping.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import zipping
from streamflow.types import SourceLike

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Zipping"]

T_co = TypeVar("T_co", covariant=True)
F = TypeVar("F")
U1 = TypeVar("U1")
U2 = TypeVar("U2")
U3 = TypeVar("U3")
U4 = TypeVar("U4")


class Zipping(Methods[T_co]):
    """Methods that join the items of the stream with those of further sources."""

    __slots__ = ()

    @overload
    def zip(self, source: SourceLike[U1], /, *, strict: bool = ...) -> Stream[tuple[T_co, U1]]: ...
    @overload
    def zip(
        self, source: SourceLike[U1], source2: SourceLike[U2], /, *, strict: bool = ...
    ) -> Stream[tuple[T_co, U1, U2]]: ...
    @overload
    def zip(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], /, *, strict: bool = ...
    ) -> Stream[tuple[T_co, U1, U2, U3]]: ...
    @overload
    def zip(
        self,
        source: SourceLike[U1],
        source2: SourceLike[U2],
        source3: SourceLike[U3],
        source4: SourceLike[U4],
        /,
        *,
        strict: bool = ...,
    ) -> Stream[tuple[T_co, U1, U2, U3, U4]]: ...
    @overload
    def zip(self, *sources: SourceLike[Any], strict: bool = ...) -> Stream[tuple[Any, ...]]: ...
    @spelled(zipping.zip)
    def zip(self, *sources: SourceLike[Any], strict: bool = False) -> Stream[Any]:
        """Join the first item of each source into a tuple, then the second of each; see `sf.zip`."""
        return self.through(zipping.zip(*sources, strict=strict))

    @overload
    def zip_longest(self, source: SourceLike[U1], /) -> Stream[tuple[T_co | None, U1 | None]]: ...
    @overload
    def zip_longest(
        self, source: SourceLike[U1], source2: SourceLike[U2], /
    ) -> Stream[tuple[T_co | None, U1 | None, U2 | None]]: ...
    @overload
    def zip_longest(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], /
    ) -> Stream[tuple[T_co | None, U1 | None, U2 | None, U3 | None]]: ...
    @overload
    def zip_longest(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], source4: SourceLike[U4], /
    ) -> Stream[tuple[T_co | None, U1 | None, U2 | None, U3 | None, U4 | None]]: ...
    @overload
    def zip_longest(self, source: SourceLike[U1], /, *, fillvalue: F) -> Stream[tuple[T_co | F, U1 | F]]: ...
    @overload
    def zip_longest(
        self, source: SourceLike[U1], source2: SourceLike[U2], /, *, fillvalue: F
    ) -> Stream[tuple[T_co | F, U1 | F, U2 | F]]: ...
    @overload
    def zip_longest(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], /, *, fillvalue: F
    ) -> Stream[tuple[T_co | F, U1 | F, U2 | F, U3 | F]]: ...
    @overload
    def zip_longest(
        self,
        source: SourceLike[U1],
        source2: SourceLike[U2],
        source3: SourceLike[U3],
        source4: SourceLike[U4],
        /,
        *,
        fillvalue: F,
    ) -> Stream[tuple[T_co | F, U1 | F, U2 | F, U3 | F, U4 | F]]: ...
    @overload
    def zip_longest(self, *sources: SourceLike[Any], fillvalue: Any = ...) -> Stream[tuple[Any, ...]]: ...
    @spelled(zipping.zip_longest)
    def zip_longest(self, *sources: SourceLike[Any], fillvalue: Any = None) -> Stream[Any]:
        """Join the items of each source into tuples until the longest ends; see `sf.zip_longest`."""
        return self.through(zipping.zip_longest(*sources, fillvalue=fillvalue))

    @overload
    def zip_latest(self, source: SourceLike[U1], /) -> Stream[tuple[T_co, U1]]: ...
    @overload
    def zip_latest(self, source: SourceLike[U1], source2: SourceLike[U2], /) -> Stream[tuple[T_co, U1, U2]]: ...
    @overload
    def zip_latest(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], /
    ) -> Stream[tuple[T_co, U1, U2, U3]]: ...
    @overload
    def zip_latest(
        self, source: SourceLike[U1], source2: SourceLike[U2], source3: SourceLike[U3], source4: SourceLike[U4], /
    ) -> Stream[tuple[T_co, U1, U2, U3, U4]]: ...
    @overload
    def zip_latest(self, *sources: SourceLike[Any]) -> Stream[tuple[Any, ...]]: ...
    @spelled(zipping.zip_latest)
    def zip_latest(self, *sources: SourceLike[Any]) -> Stream[Any]:
        """Emit a tuple of the latest item of each source whenever any of them has a new one; see `sf.zip_latest`."""
        return self.through(zipping.zip_latest(*sources))
