"""The methods of `operators/branching.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import branching
from streamflow.stages import MAXSIZE
from streamflow.types import MaybeAwaitable

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Branching"]

T_co = TypeVar("T_co", covariant=True)


class Branching(Methods[T_co]):
    """Methods that give each item to the one it belongs to."""

    __slots__ = ()

    @spelled(branching.partition)
    def partition(
        self, fn: Callable[[T_co], MaybeAwaitable[object]], *, maxsize: int = MAXSIZE
    ) -> tuple[Stream[T_co], Stream[T_co]]:
        """Make two sources of one: the items for which `fn` is true, and the others; see `sf.partition`."""
        true, false = branching.partition(cast("Stream[T_co]", self), fn, maxsize=maxsize)
        return self._stream_of(true), self._stream_of(false)
