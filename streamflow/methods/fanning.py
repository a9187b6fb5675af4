"""The methods of `operators/fanning.py`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from streamflow.machinery.fans.fan import Overflow
from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import fanning
from streamflow.stages import MAXSIZE

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Fanning"]

T_co = TypeVar("T_co", covariant=True)


class Fanning(Methods[T_co]):
    """Methods that give every item to several."""

    __slots__ = ()

    @spelled(fanning.tap_to)
    def tap_to(
        self,
        sink: Callable[[AsyncIterable[T_co]], Awaitable[Any]] | Sequence[Any],
        *,
        maxsize: int = MAXSIZE,
        overflow: Overflow = "drop_newest",
        errors: Literal["raise"] | Callable[[Exception], object] = "raise",
    ) -> Stream[T_co]:
        """Pass items on unchanged and give each to a side sink as well; see `sf.tap_to`."""
        return self.through(fanning.tap_to(sink, maxsize=maxsize, overflow=overflow, errors=errors))

    @overload
    def tee(
        self, n: Literal[2] = ..., *, maxsize: int = ..., overflow: Overflow = ...
    ) -> tuple[Stream[T_co], Stream[T_co]]: ...
    @overload
    def tee(
        self, n: Literal[3], *, maxsize: int = ..., overflow: Overflow = ...
    ) -> tuple[Stream[T_co], Stream[T_co], Stream[T_co]]: ...
    @overload
    def tee(self, n: int, *, maxsize: int = ..., overflow: Overflow = ...) -> tuple[Stream[T_co], ...]: ...
    @spelled(fanning.tee)
    def tee(self, n: int = 2, *, maxsize: int = MAXSIZE, overflow: Overflow = "block") -> tuple[Stream[T_co], ...]:
        """Make `n` sources of one: each gives every item, and the source is read once; see `sf.tee`."""
        ways = fanning.tee(cast("Stream[T_co]", self), n, maxsize=maxsize, overflow=overflow)
        return tuple(map(self._stream_of, ways))
