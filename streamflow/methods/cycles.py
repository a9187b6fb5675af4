"""The methods of `operators/cycles.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import cycles

if TYPE_CHECKING:
    from streamflow.streams import StageLike, Stream

__all__ = ["Cycles"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Cycles(Methods[T_co]):
    """Methods that feed results back."""

    __slots__ = ()

    @spelled(cycles.expand)
    def expand(
        self,
        fn: Callable[[T_co], cycles.Several[T_co] | Awaitable[cycles.Several[T_co]]],
        *,
        concurrency: int = 1,
        ordered: bool = True,
        maxsize: int = 1024,
    ) -> Stream[T_co]:
        """Emit each item, and then every item that `fn` makes of it, and so on; see `sf.expand`."""
        return self.through(cycles.expand(fn, concurrency=concurrency, ordered=ordered, maxsize=maxsize))

    @overload
    def feedback(
        self,
        stages: StageLike[T_co, U],
        back: Callable[[U], cycles.Several[T_co] | Awaitable[cycles.Several[T_co]]],
        *,
        maxsize: int = ...,
    ) -> Stream[U]: ...
    @overload
    def feedback(
        self, stages: Sequence[Callable[..., Any]], back: Callable[[Any], Any], *, maxsize: int = ...
    ) -> Stream[Any]: ...
    @spelled(cycles.feedback)
    def feedback(self, stages: Any, back: Callable[[Any], Any], *, maxsize: int = 1024) -> Stream[Any]:
        """Run the items through stages of their own and send results in again; see `sf.feedback`."""
        return self.through(cycles.feedback(stages, back, maxsize=maxsize))
