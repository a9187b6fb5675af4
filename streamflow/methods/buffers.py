"""The methods of `operators/buffers.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import buffers
from streamflow.types import MaybeAwaitable

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Buffers"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Buffers(Methods[T_co]):
    """Methods that decouple."""

    __slots__ = ()

    @spelled(buffers.buffer)
    def buffer(
        self, n: int, *, overflow: Literal["block", "drop_newest", "drop_oldest", "fail"] = "block"
    ) -> Stream[T_co]:
        """Let up to `n` items wait here, so that both sides run in tasks of their own; see `sf.buffer`."""
        return self.through(buffers.buffer(n, overflow=overflow))

    @overload
    def conflate(self: Buffers[T], fn: Callable[[T, T], MaybeAwaitable[T]]) -> Stream[T]: ...
    @overload
    def conflate(
        self, fn: Callable[[U, T_co], MaybeAwaitable[U]], *, seed: Callable[[T_co], MaybeAwaitable[U]]
    ) -> Stream[U]: ...
    @spelled(buffers.conflate)
    def conflate(self, fn: Callable[[Any, Any], Any], *, seed: Callable[[Any], Any] | None = None) -> Stream[Any]:
        """Combine the items that come while the stage below is busy into one; see `sf.conflate`."""
        return self.through(buffers.conflate(fn) if seed is None else buffers.conflate(fn, seed=seed))
