"""The methods of `operators/batching.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import batching
from streamflow.types import MaybeAwaitable

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Batching"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Batching(Methods[T_co]):
    """Methods that cut a stream into batches."""

    __slots__ = ()

    @spelled(batching.batched)
    def batched(
        self,
        n: int | None = None,
        *,
        within: float | None = None,
        max_weight: float | None = None,
        weight: Callable[[T_co], MaybeAwaitable[float]] | None = None,
    ) -> Stream[tuple[T_co, ...]]:
        """Group items into tuples, limited by count, by weight or bytes, and by time together; see `sf.batched`."""
        return self.through(batching.batched(n, within=within, max_weight=max_weight, weight=weight))

    @spelled(batching.batch_waiting)
    def batch_waiting(self, n: int) -> Stream[tuple[T_co, ...]]:
        """Group whatever is waiting into tuples of up to `n`, without waiting for more; see `sf.batch_waiting`."""
        return self.through(batching.batch_waiting(n))

    @spelled(batching.unbatch)
    def unbatch(self: Batching[Iterable[U]]) -> Stream[U]:
        """Emit every item of every batch: the inverse of `batched`; see `sf.unbatch`."""
        return self.through(batching.unbatch())

    @spelled(batching.rechunk)
    def rechunk(self: Batching[bytes | bytearray | memoryview], size: int) -> Stream[bytes]:
        """Cut bytes into pieces of exactly `size` bytes, however they were cut before; see `sf.rechunk`."""
        return self.through(batching.rechunk(size))
