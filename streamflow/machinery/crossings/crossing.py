"""From a thread into the event loop: a bounded crossing for items that a blocking iterable gives.

What lives here: `Crossing`. What must not: whose thread it is, and what is read (threaded.py).

How it works. The thread appends to a deque and the loop takes from it; each is one atomic step. What costs is waking
the loop, as much as some hundred items. So the loop, having taken everything, sleeps a few milliseconds and lets a few
items come together, unless there are many before. After a lull the first item wakes it at once: whatever the iterable
does next, an item is never kept for the sake of the one after it. The thread looks for room before it asks for an item,
so the bound is exact.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from streamflow.engine.telling import described

__all__ = ["Crossing"]

T = TypeVar("T")

_LULL = 0.005  # seconds for items to come together, where items were coming
_END: Any = object()


class Crossing(Generic[T]):
    """One iterable on its way from a thread into the loop.

    Example: `loop.run_in_executor(executor, crossing.run)`, then
    `while crossing.waiting or await crossing.more(): use(crossing.take())`, at last `crossing.stop()`.

    Args:
        maxsize: how many items may wait.
        open: called in the thread; returns an iterator and what closes it.
    """

    def __init__(self, maxsize: int, open: Callable[[], tuple[Iterator[T], Callable[[], object]]]) -> None:  # noqa: A002
        """Make it in the loop that will take the items."""
        self.waiting: deque[T] = deque()
        self._maxsize = maxsize
        self._open = open
        self._loop = asyncio.get_running_loop()
        self._changed = threading.Condition()
        self._blocked = self._stopped = self._over = False
        self._waiter: asyncio.Future[None] | None = None
        self._wanted = math.inf
        self._came = -math.inf
        self._failure: BaseException | None = None
        self._late: BaseException | None = None

    # --- in the thread ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Open, read and close. Raises nothing: what fails is raised in the loop, in its turn."""
        try:
            items, close = self._open()
        except BaseException as error:  # noqa: BLE001  # carried over as a value
            self._failure = error
        else:
            self._failure = _error_of(lambda: self._read(items))
            self._late = _error_of(close)
        with self._changed:
            self._over = True
            self._tell()

    def _read(self, items: Iterator[T]) -> None:
        while self._has_room() and (item := next(items, _END)) is not _END:
            with self._changed:
                self.waiting.append(item)
                if len(self.waiting) >= self._wanted:
                    self._tell()

    def _has_room(self) -> bool:
        """Wait for room; return whether there is somebody to read for."""
        if len(self.waiting) >= self._maxsize:
            with self._changed:
                self._blocked = True
                while len(self.waiting) >= self._maxsize and not self._stopped:
                    self._changed.wait()
                self._blocked = False
        return not self._stopped

    def _tell(self) -> None:
        self._wanted = math.inf
        if self._waiter is not None:
            self._loop.call_soon_threadsafe(self._wake)

    # --- in the loop -----------------------------------------------------------------------------------------------

    def take(self) -> T:
        """Take the next of the items that wait."""
        item = self.waiting.popleft()
        if self._blocked and len(self.waiting) <= self._maxsize // 2:
            self._notify()
        return item

    async def more(self) -> bool:
        """Wait until items wait; `False` at the end. Raises the iterable's failure, or that of its closing.

        Cancellation: nothing was taken.
        """
        coming = self._loop.time() - self._came < _LULL
        with self._changed:
            if not (self.waiting or self._over):
                self._waiter = self._loop.create_future()
                self._wanted = max(1, self._maxsize // 2) if coming else 1
            self._changed.notify()  # it may have begun to wait for room just as the last item was taken
        if self._waiter is not None:
            await self._wait(self._waiter, coming=coming)
        self._came = self._loop.time()
        if not self.waiting:
            self._raise_failure()
        return bool(self.waiting)

    async def _wait(self, waiter: asyncio.Future[None], *, coming: bool) -> None:
        timer = self._loop.call_later(_LULL, self._look) if coming else None
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _look(self) -> None:
        """It was long enough: take what there is, or else the next item as soon as it comes."""
        with self._changed:
            self._wanted = 1
        if self.waiting:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """Ask for no more: the thread ends when the read under way has returned."""
        self._stopped = True
        self._notify()

    def check_closed(self) -> None:
        """Raise what failed in closing, after the thread has ended, unless it was raised."""
        failure, self._failure, self._late = self._late, None, None
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # no cycle between the exception and this frame

    def _raise_failure(self) -> None:
        failure, late = self._failure, self._late
        self._failure = self._late = None
        try:
            if failure is not None and late is not None:
                failure.add_note(f"Closing it failed as well: {described(late)}")
            if failure is not None:
                raise failure
            if late is not None:
                raise late
        finally:
            del failure, late


def _error_of(work: Callable[[], object]) -> BaseException | None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001  # carried over as a value
        return error
    return None
