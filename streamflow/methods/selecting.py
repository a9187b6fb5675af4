"""The methods of `operators/selecting.py`."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeVar

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import selecting
from streamflow.types import MaybeAwaitable

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Selecting"]

T_co = TypeVar("T_co", covariant=True)


class Selecting(Methods[T_co]):
    """Methods that let some items pass, by their place or by what came before."""

    __slots__ = ()

    @spelled(selecting.take)
    def take(self, n: int) -> Stream[T_co]:
        """Pass the first `n` items, then end the stream; see `sf.take`."""
        return self.through(selecting.take(n))

    @spelled(selecting.take_while)
    def take_while(self, fn: Callable[[T_co], MaybeAwaitable[object]], *, inclusive: bool = False) -> Stream[T_co]:
        """Pass items as long as `fn` is true, then end the stream; see `sf.take_while`."""
        return self.through(selecting.take_while(fn, inclusive=inclusive))

    @spelled(selecting.take_last)
    def take_last(self, n: int) -> Stream[T_co]:
        """Pass the last `n` items, once it is known which they are; see `sf.take_last`."""
        return self.through(selecting.take_last(n))

    @spelled(selecting.skip)
    def skip(self, n: int) -> Stream[T_co]:
        """Drop the first `n` items and pass all after them; see `sf.skip`."""
        return self.through(selecting.skip(n))

    @spelled(selecting.skip_while)
    def skip_while(self, fn: Callable[[T_co], MaybeAwaitable[object]]) -> Stream[T_co]:
        """Drop items as long as `fn` is true, and pass all after them; see `sf.skip_while`."""
        return self.through(selecting.skip_while(fn))

    @spelled(selecting.skip_last)
    def skip_last(self, n: int) -> Stream[T_co]:
        """Pass all items but the last `n`; see `sf.skip_last`."""
        return self.through(selecting.skip_last(n))

    @spelled(selecting.distinct)
    def distinct(self, n: int, *, key: Callable[[T_co], MaybeAwaitable[Hashable]] | None = None) -> Stream[T_co]:
        """Drop items that equal one of the `n` different ones seen last; see `sf.distinct`."""
        return self.through(selecting.distinct(n, key=key))

    @spelled(selecting.dedupe)
    def dedupe(self, *, key: Callable[[T_co], MaybeAwaitable[object]] | None = None) -> Stream[T_co]:
        """Drop items that equal the item before; see `sf.dedupe`."""
        return self.through(selecting.dedupe(key=key))
