"""The methods of `operators/edges.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import edges

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Edges"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Edges(Methods[T_co]):
    """Methods for the two ends of a stream."""

    __slots__ = ()

    @spelled(edges.prepend)
    def prepend(self, *items: U) -> Stream[T_co | U]:
        """Emit these items first, before the input is asked for anything; see `sf.prepend`."""
        return self.through(edges.prepend(*items))

    @spelled(edges.append)
    def append(self, *items: U) -> Stream[T_co | U]:
        """Emit these items after the last one of the input; see `sf.append`."""
        return self.through(edges.append(*items))

    @spelled(edges.default_if_empty)
    def default_if_empty(self, item: U) -> Stream[T_co | U]:
        """Pass the input; if it ends without a single item, emit `item` instead; see `sf.default_if_empty`."""
        return self.through(edges.default_if_empty(item))

    @spelled(edges.cycle)
    def cycle(self) -> Stream[T_co]:
        """Read the input again whenever it has ended, for ever; see `sf.cycle`."""
        return self.through(edges.cycle())

    @spelled(edges.repeat)
    def repeat(self, times: int) -> Stream[T_co]:
        """Read the input `times` times, one after another; see `sf.repeat`."""
        return self.through(edges.repeat(times))
