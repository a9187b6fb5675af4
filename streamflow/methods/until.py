"""The methods of `operators/until.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import until
from streamflow.operators.until import Sign

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Until"]

T_co = TypeVar("T_co", covariant=True)


class Until(Methods[T_co]):
    """Methods that wait for a sign from another source."""

    __slots__ = ()

    @spelled(until.take_until)
    def take_until(self, other: Sign) -> Stream[T_co]:
        """Pass the items until another source gives its first item, or an event is set; see `sf.take_until`."""
        return self.through(until.take_until(other))

    @spelled(until.skip_until)
    def skip_until(self, other: Sign) -> Stream[T_co]:
        """Drop the items until another source gives its first item, or an event is set; see `sf.skip_until`."""
        return self.through(until.skip_until(other))
