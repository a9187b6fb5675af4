"""The bound: what is in the channel, what it weighs, and what still fits.

What lives here: the attributes that count against `maxsize` and `max_bytes`, and the questions about them. What must
not: futures, waiting, waking. Nothing here changes what is in the channel.

Each layer of the channel sets its attributes in `_init`, which `asyncio.Queue` calls from its `__init__`.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from operator import length_hint
from typing import Any, TypeVar

from streamflow.channel.storage import Storage, make_storage
from streamflow.errors import UsageError
from streamflow.limits import byte_size, check_capacity

__all__ = ["NOTHING", "Bounded", "check_weight", "default_size"]

T = TypeVar("T")

# The hand of a reader that holds nothing.
NOTHING: Iterator[Any] = iter(())


def default_size(item: object) -> int:
    """Return the bytes of an item where the user gave no `size`: 0 for what has none."""
    return byte_size(item) or 0


def check_weight(name: str, weight: object) -> None:
    """Refuse what cannot be a number of bytes."""
    if not isinstance(weight, int) or weight < 0:
        raise UsageError(f"{name} must be a whole number of bytes, 0 or more, not {weight!r}.")


class Bounded(asyncio.Queue[T]):
    """A queue that knows exactly how much is in it."""

    # What asyncio.Queue keeps, where its published types are silent.
    _get_loop: Callable[[], asyncio.AbstractEventLoop]
    _loop: asyncio.AbstractEventLoop | None
    _finished: asyncio.Event
    _unfinished_tasks: int
    _queue: Storage[T]
    _getters: deque[asyncio.Future[None]]
    _putters: deque[asyncio.Future[None]]

    def __init__(
        self,
        maxsize: int = 1024,
        *,
        max_bytes: int | None = None,
        size: Callable[[T], int] | None = None,
        name: str = "channel",
    ) -> None:
        """Make an open, empty channel."""
        check_capacity("maxsize", maxsize)
        if max_bytes is not None:
            check_capacity("max_bytes", max_bytes)
        elif size is not None:
            raise UsageError("size= has no effect without max_bytes=; give the bound in bytes as well.")
        super().__init__(maxsize)
        self.name = name
        self.max_bytes = max_bytes
        self._size: Callable[[T], int] | None = None if max_bytes is None else size or default_size

    def _init(self, maxsize: int) -> None:
        self._queue = make_storage()
        self._capacity = maxsize
        self._weights: deque[int] = deque()
        self._bytes = 0
        self._hand: Iterator[T] = NOTHING
        self._hand_bytes = 0
        self._reserved = 0
        self._reserved_bytes = 0
        self._lent = 0
        self._entered = self._taken = self._discarded = self._dropped = self._bytes_put = 0
        self._in_batch = False
        self._peak = self._peak_bytes = 0

    def room(self) -> int:
        """Return how many more items may be put now; exact, items in the reader's hand included."""
        return self._capacity - len(self._queue) - length_hint(self._hand) - self._reserved - self._lent

    def held(self) -> int:
        """Return how many items are in the channel now, those in the reader's hand included."""
        return len(self._queue) + length_hint(self._hand)

    def full(self) -> bool:
        """Return whether a `put_nowait` of an item without weight would be refused."""
        return bool(self._putters) or not self._fits(0)

    def _fits(self, weight: int) -> bool:
        if self.room() <= 0:
            return False
        if self._size is None or not weight:
            return self._size is None or self._bytes + self._reserved_bytes <= self._byte_limit
        used = self._bytes + self._reserved_bytes
        return used + weight <= self._byte_limit or not (used or self.held() or self._reserved)

    @property
    def _byte_limit(self) -> float:
        return math.inf if self.max_bytes is None else self.max_bytes

    @property
    def weighs(self) -> bool:
        """Whether items are counted in bytes as well."""
        return self._size is not None

    def _weigh(self, item: T) -> int:
        if self._size is None:
            return 0
        weight = self._size(item)
        check_weight("the size of an item", weight)
        return weight

    def note_peak(self) -> None:
        """Note how full it is. Between two takes it only grows, so looking just before each take sees every peak."""
        held = len(self._queue) + length_hint(self._hand)
        if held > self._peak:
            self._peak = held
        if self._bytes > self._peak_bytes:
            self._peak_bytes = self._bytes
