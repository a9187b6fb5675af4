"""The methods of `operators/interspersing.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import interspersing
from streamflow.operators.sinks import MISSING

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Interspersing"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Interspersing(Methods[T_co]):
    """Methods that put something between the items."""

    __slots__ = ()

    @spelled(interspersing.intersperse)
    def intersperse(self, separator: U, *, start: U = MISSING, end: U = MISSING) -> Stream[T_co | U]:
        """Put `separator` between each two items, and `start` and `end` around them; see `sf.intersperse`."""
        return self.through(interspersing.intersperse(separator, start=start, end=end))
