"""The methods of `operators/fusing.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import fusing
from streamflow.operators.fusing import Nestable

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Fusing"]

T_co = TypeVar("T_co", covariant=True)
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")


class Fusing(Methods[T_co]):
    """Methods that say which stages share a task."""

    __slots__ = ()

    @overload
    def fuse(self, stage: Nestable[T_co, B], /) -> Stream[B]: ...
    @overload
    def fuse(self, stage1: Nestable[T_co, B], stage2: Nestable[B, C], /) -> Stream[C]: ...
    @overload
    def fuse(self, stage1: Nestable[T_co, B], stage2: Nestable[B, C], stage3: Nestable[C, D], /) -> Stream[D]: ...
    @overload
    def fuse(
        self, stage1: Nestable[T_co, B], stage2: Nestable[B, C], stage3: Nestable[C, D], stage4: Nestable[D, E], /
    ) -> Stream[E]: ...
    @overload
    def fuse(
        self,
        stage1: Nestable[T_co, B],
        stage2: Nestable[B, C],
        stage3: Nestable[C, D],
        stage4: Nestable[D, E],
        stage5: Nestable[E, F],
        /,
    ) -> Stream[F]: ...
    @overload
    def fuse(
        self,
        stage1: Nestable[T_co, B],
        stage2: Nestable[B, C],
        stage3: Nestable[C, D],
        stage4: Nestable[D, E],
        stage5: Nestable[E, F],
        stage6: Nestable[F, G],
        /,
    ) -> Stream[G]: ...
    @overload
    def fuse(
        self,
        stage1: Nestable[T_co, Any],
        stage2: Nestable[Any, Any],
        stage3: Nestable[Any, Any],
        stage4: Nestable[Any, Any],
        stage5: Nestable[Any, Any],
        stage6: Nestable[Any, Any],
        stage7: Nestable[Any, Any],
        /,
        *stages: Nestable[Any, Any],
    ) -> Stream[Any]: ...
    @spelled(fusing.fuse)
    def fuse(self, *stages: Any) -> Stream[Any]:
        """Nest stages in one task, with no channel between them; see `sf.fuse`."""
        return self.through(fusing.fuse(*stages))
