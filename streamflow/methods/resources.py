"""The methods of `operators/resources.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import resources
from streamflow.operators.resources import Opening

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Resources"]

T_co = TypeVar("T_co", covariant=True)
C = TypeVar("C")
U = TypeVar("U")


class Resources(Methods[T_co]):
    """Methods with a resource of their own."""

    __slots__ = ()

    @overload
    def map_with(
        self,
        open: Callable[[], Opening[C] | Awaitable[Opening[C]]],
        fn: Callable[[C, T_co], Awaitable[U]],
    ) -> Stream[U]: ...
    @overload
    def map_with(
        self,
        open: Callable[[], Opening[C] | Awaitable[Opening[C]]],
        fn: Callable[[C, T_co], U],
    ) -> Stream[U]: ...
    @spelled(resources.map_with)
    def map_with(
        self,
        open: Callable[[], Any],  # noqa: A002  # the word for it
        fn: Callable[[Any, T_co], Any],
    ) -> Stream[Any]:
        """Call `fn(resource, item)` for each item, with a resource opened once for the run; see `sf.map_with`."""
        return self.through(resources.map_with(open, fn))
