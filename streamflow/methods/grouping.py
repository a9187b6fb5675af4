"""The methods of `operators/grouping.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from streamflow.machinery.functions.packing import MOST
from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import grouping
from streamflow.types import MaybeAwaitable, StageFunction

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Grouping"]

T_co = TypeVar("T_co", covariant=True)
H = TypeVar("H", bound=Hashable)
K = TypeVar("K")
U = TypeVar("U")


class Grouping(Methods[T_co]):
    """Methods that group items by what they are."""

    __slots__ = ()

    @overload
    def group_adjacent(
        self, key: Callable[[T_co], Awaitable[K]], *, max_items: int = ...
    ) -> Stream[tuple[K, tuple[T_co, ...]]]: ...
    @overload
    def group_adjacent(
        self, key: Callable[[T_co], K], *, max_items: int = ...
    ) -> Stream[tuple[K, tuple[T_co, ...]]]: ...
    @spelled(grouping.group_adjacent)
    def group_adjacent(self, key: Callable[[T_co], Any], *, max_items: int = MOST) -> Stream[Any]:
        """Group neighbours with equal keys: emits `(key, (item, ...))` for each run; see `sf.group_adjacent`."""
        return self.through(grouping.group_adjacent(key, max_items=max_items))

    @spelled(grouping.split_after)
    def split_after(
        self, fn: Callable[[T_co], MaybeAwaitable[object]], *, max_items: int = MOST
    ) -> Stream[tuple[T_co, ...]]:
        """End the group after each item for which `fn` returns something true; see `sf.split_after`."""
        return self.through(grouping.split_after(fn, max_items=max_items))

    @spelled(grouping.split_when)
    def split_when(
        self, fn: Callable[[T_co], MaybeAwaitable[object]], *, max_items: int = MOST
    ) -> Stream[tuple[T_co, ...]]:
        """Begin a new group at each item for which `fn` returns something true; see `sf.split_when`."""
        return self.through(grouping.split_when(fn, max_items=max_items))

    @overload
    def group_by(
        self,
        key: Callable[[T_co], Awaitable[H]],
        stages: Callable[[H], StageFunction[T_co, U]],
        *,
        max_open: int = ...,
        overflow: Literal["close", "fail"] = ...,
        idle: float | None = ...,
        maxsize: int = ...,
    ) -> Stream[U]: ...
    @overload
    def group_by(
        self,
        key: Callable[[T_co], H],
        stages: Callable[[H], StageFunction[T_co, U]],
        *,
        max_open: int = ...,
        overflow: Literal["close", "fail"] = ...,
        idle: float | None = ...,
        maxsize: int = ...,
    ) -> Stream[U]: ...
    @overload
    def group_by(
        self,
        key: Callable[[T_co], Any],
        stages: Callable[[Any], Sequence[StageFunction[Any, Any]]],
        *,
        max_open: int = ...,
        overflow: Literal["close", "fail"] = ...,
        idle: float | None = ...,
        maxsize: int = ...,
    ) -> Stream[Any]: ...
    @spelled(grouping.group_by)
    def group_by(
        self,
        key: Callable[[T_co], Any],
        stages: Callable[[Any], Any],
        *,
        max_open: int = 1_000,
        overflow: Literal["close", "fail"] = "close",
        idle: float | None = None,
        maxsize: int = 16,
    ) -> Stream[Any]:
        """Send the items of each key through stages of their own, side by side; see `sf.group_by`."""
        return self.through(
            grouping.group_by(key, stages, max_open=max_open, overflow=overflow, idle=idle, maxsize=maxsize)
        )
