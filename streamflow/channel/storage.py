"""What a channel keeps its items in, and which of two hot paths is in use: C where it was compiled, else Python.

What lives here: the choice, and the storage in both forms. What must not: rules; both forms obey the same ones.

`_speed.c` is compiled when streamflow is installed, if there is a C compiler. Nothing depends on it but speed. With
`STREAMFLOW_PURE=1` in the environment it is left alone, which is how the tests hold both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice, repeat, starmap
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from streamflow.compiled import compiled

if TYPE_CHECKING:
    from streamflow.channel._speed import Ring

__all__ = ["Storage", "fill", "make_storage", "speedups", "take", "why_pure"]

T = TypeVar("T")

Storage: TypeAlias = "deque[T] | Ring[T]"


speedups, why_pure = compiled("streamflow.channel._speed")
"""The module in C, or `None`; and why it is not in use, in words."""


def _fill(storage: deque[T], items: Iterator[T], limit: int) -> None:
    storage.extend(islice(items, limit))


def _take(storage: deque[T], limit: int) -> list[T]:
    if len(storage) <= limit:
        batch = list(storage)
        storage.clear()
        return batch
    return list(starmap(storage.popleft, repeat((), limit)))  # never asks an item whether it equals something


make_storage: Any = deque if speedups is None else speedups.Ring
"""Make an empty storage."""

fill: Any = _fill if speedups is None else speedups.Ring.fill
"""`fill(storage, iterator, limit)` moves up to `limit` items in; what came before an error of the iterator stays."""

take: Any = _take if speedups is None else speedups.Ring.take
"""`take(storage, limit)` takes up to `limit` of the oldest items, as a list."""
