"""The methods of `operators/timing.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import timing

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Timing"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Timing(Methods[T_co]):
    """Methods for which it matters when an item comes."""

    __slots__ = ()

    @spelled(timing.debounce)
    def debounce(self, seconds: float) -> Stream[T_co]:
        """Emit an item when no other has come for `seconds`; see `sf.debounce`."""
        return self.through(timing.debounce(seconds))

    @spelled(timing.sample)
    def sample(self, seconds: float) -> Stream[T_co]:
        """Emit the latest item every `seconds`; see `sf.sample`."""
        return self.through(timing.sample(seconds))

    @spelled(timing.timeout)
    def timeout(
        self, *, first: float | None = None, between: float | None = None, total: float | None = None
    ) -> Stream[T_co]:
        """Fail with `PipelineTimeout` when the input takes too long; see `sf.timeout`."""
        return self.through(timing.timeout(first=first, between=between, total=total))

    @overload
    def heartbeat(self, seconds: float, item: Callable[[], Awaitable[U]]) -> Stream[T_co | U]: ...
    @overload
    def heartbeat(self, seconds: float, item: Callable[[], U]) -> Stream[T_co | U]: ...
    @overload
    def heartbeat(self, seconds: float, item: U) -> Stream[T_co | U]: ...
    @spelled(timing.heartbeat)
    def heartbeat(self, seconds: float, item: Any) -> Stream[Any]:
        """Emit `item` whenever nothing has come for `seconds`; see `sf.heartbeat`."""
        return self.through(timing.heartbeat(seconds, item))

    @spelled(timing.timed)
    def timed(self) -> Stream[tuple[float, T_co]]:
        """Pair each item with the moment at which it passes; see `sf.timed`."""
        return self.through(timing.timed())
