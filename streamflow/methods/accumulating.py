"""The methods of `operators/accumulating.py`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import accumulating
from streamflow.types import MaybeAwaitable

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Accumulating"]

T_co = TypeVar("T_co", covariant=True)
S = TypeVar("S")
U = TypeVar("U")


class Accumulating(Methods[T_co]):
    """Methods that carry something from item to item."""

    __slots__ = ()

    @spelled(accumulating.scan)
    def scan(self, fn: Callable[[U, T_co], MaybeAwaitable[U]], initial: U) -> Stream[U]:
        """Fold the items into a running value and emit it after each item; see `sf.scan`."""
        return self.through(accumulating.scan(fn, initial))

    @overload
    def map_state(
        self,
        fn: Callable[[S, T_co], Awaitable[tuple[S, U]]],
        make: Callable[[], S],
        *,
        at_end: Callable[[S], Iterable[U] | AsyncIterable[U] | Awaitable[Iterable[U]]] | None = ...,
    ) -> Stream[U]: ...
    @overload
    def map_state(
        self,
        fn: Callable[[S, T_co], tuple[S, U]],
        make: Callable[[], S],
        *,
        at_end: Callable[[S], Iterable[U] | AsyncIterable[U] | Awaitable[Iterable[U]]] | None = ...,
    ) -> Stream[U]: ...
    @spelled(accumulating.map_state)
    def map_state(
        self, fn: Callable[[Any, T_co], Any], make: Callable[[], Any], *, at_end: Callable[[Any], Any] | None = None
    ) -> Stream[Any]:
        """Map with a state that goes from item to item; see `sf.map_state`."""
        return self.through(accumulating.map_state(fn, make, at_end=at_end))

    @spelled(accumulating.pairwise)
    def pairwise(self) -> Stream[tuple[T_co, T_co]]:
        """Emit each item together with the one before it; see `sf.pairwise`."""
        return self.through(accumulating.pairwise())

    @spelled(accumulating.sliding)
    def sliding(self, n: int, *, step: int = 1) -> Stream[tuple[T_co, ...]]:
        """Emit windows of exactly `n` items as tuples; see `sf.sliding`."""
        return self.through(accumulating.sliding(n, step=step))
