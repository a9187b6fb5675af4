"""The methods of `operators/pacing.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import pacing

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Pacing"]

T_co = TypeVar("T_co", covariant=True)


class Pacing(Methods[T_co]):
    """Methods that slow items down."""

    __slots__ = ()

    @spelled(pacing.throttle)
    def throttle(
        self, rate: float, *, per: float = 1.0, burst: float = 1, cost: Callable[[T_co], float] | None = None
    ) -> Stream[T_co]:
        """Let through at most `rate` items in `per` seconds; see `sf.throttle`."""
        return self.through(pacing.throttle(rate, per=per, burst=burst, cost=cost))

    @spelled(pacing.spaced)
    def spaced(self, seconds: float) -> Stream[T_co]:
        """Emit items at least `seconds` apart; see `sf.spaced`."""
        return self.through(pacing.spaced(seconds))

    @spelled(pacing.delay)
    def delay(self, seconds: float, *, maxsize: int = 16) -> Stream[T_co]:
        """Emit each item `seconds` after it was taken; see `sf.delay`."""
        return self.through(pacing.delay(seconds, maxsize=maxsize))
