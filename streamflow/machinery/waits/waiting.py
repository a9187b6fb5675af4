"""What waits between an input that is never held back and a consumer that may be busy.

What lives here: `Waiting`, under `buffer(overflow=...)` and `conflate`. What must not: what becomes of an item where
there is no room for it (buffers.py).

A task of its own takes every item as soon as it comes; the stage's generator gives out what waits. An item finds no
room only while the stage below is busy: whoever emits, and could, has its turn before that is decided. So an idle
consumer is given what there is, also when many items come at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Generic, TypeAlias, TypeVar

from streamflow.engine.reader import Reader
from streamflow.machinery.tasks.owned import Owned

__all__ = ["Admit", "Waiting"]

A = TypeVar("A")

Admit: TypeAlias = Callable[[deque[Any], A], Awaitable[None] | None]
"""Finds a place for an item among those that wait. Where it raises, those that wait are emitted first."""


class Waiting(Generic[A]):
    """The items of one stage in one run that wait to be emitted.

    Args:
        room: how many may wait.
        admit: called for each item, in order, one call at a time.
    """

    def __init__(self, room: int, admit: Admit[A]) -> None:
        """Nothing waits."""
        self._room = room
        self._admit = admit
        self.items: deque[Any] = deque()
        """What waits; whoever emits takes from the left."""
        self._ended = False
        self._failure: BaseException | None = None
        self._patient = False  # whether a turn was given since something was last emitted
        self._news: asyncio.Future[None] | None = None
        self._tasks = Owned(self._end)

    @asynccontextmanager
    async def taking(self, reader: Reader[A]) -> AsyncGenerator[Waiting[A], None]:
        """Take the input in a task of its own, for a block."""
        async with self._tasks:
            self._tasks.start(lambda: self._take(reader))
            yield self

    async def some(self) -> bool:
        """Wait until there is something to emit; `False` at the end. Raises the failure after what waited."""
        self._patient = False
        while not self.items:
            if self._ended:
                self._raise_failure()
                return False
            self._news = asyncio.get_running_loop().create_future()
            try:
                await self._news
            finally:
                self._news = None
        return True

    def _raise_failure(self) -> None:
        error, self._failure = self._failure, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame: let the frame not hold the error

    async def _take(self, reader: Reader[A]) -> None:
        while not self._tasks.leaving and (hand := await reader.next_hand()) is not None:
            await self._take_all(hand)
        self._end(None)

    async def _take_all(self, hand: Iterator[A]) -> None:
        for item in hand:
            if len(self.items) >= self._room:
                await self._let_emit()
            place = self._admit(self.items, item)
            if place is not None:
                await place
            self._tell()

    async def _let_emit(self) -> None:
        """Give whoever emits its turn. Where it is not waiting for news it is busy, or has just given away its turn."""
        while len(self.items) >= self._room and self._news is not None:  # noqa: ASYNC110  # no event to wait for
            await asyncio.sleep(0)
        if len(self.items) >= self._room and not self._patient:
            self._patient = True
            await asyncio.sleep(0)

    def _end(self, failure: BaseException | None) -> None:
        """Nothing more comes; after what waits comes this failure."""
        self._ended, self._failure = True, failure
        self._tell()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
