"""Results that leave when their turn has come: the emitting side of several calls at once.

What lives here: `Turns`. What must not: tasks, and how results come about (crew.py).

* *Numbers.* An item gets its number when it is taken. Its result is filed under that number (or, unordered, under the
  number of results so far), and leaves when all smaller numbers have left. `_emitted` have left for good: the consumer
  has come back for the next one.
* *The window.* No item is taken unless fewer than the window are taken and not emitted: those at work, and those done
  and waiting for their turn or for the consumer (H49, H53).
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from time import perf_counter
from typing import Any

from streamflow.engine.budget import Budget

__all__ = ["NONE", "Failed", "Turns"]

NONE: Any = object()
"""What stands for "nothing"; `None` is data."""


class Failed:
    """The error of a call and the number of its item (from 1), filed like a result."""

    __slots__ = ("error", "number")

    def __init__(self, error: BaseException, number: int) -> None:
        """Keep both."""
        self.error = error
        self.number = number


class Turns:
    """The results of one stage in one run, and who works on them."""

    def __init__(self, size: int, window: int, budget: Budget, *, ordered: bool) -> None:
        """Prepare for results of `size` workers, of whose items at most `window` are taken and not emitted.

        `budget` are the turns of the segment that emits: a wait for results begins a new one.
        """
        self._size = size
        self._window = window
        # Room in the window wakes a worker not before there is enough of it, or each result would wake one for one item
        self._low = max(size, window - size)
        self._budget = budget
        self._ordered = ordered
        self._workers: set[asyncio.Task[None]] = set()
        self._resting: list[asyncio.Future[None]] = []
        self._taken = self._filed = self._leaving = self._emitted = 0
        self._results: dict[int, Any] = {}
        self._news: asyncio.Future[None] | None = None
        self._seen = perf_counter()
        self._ended = False
        self._failure: BaseException | None = None

    async def results_are_ready(self) -> bool:
        """Wait until `ready` has something; `False` when all have left. Then the input's failure is raised."""
        while self._leaving not in self._results:
            if self._ended and (self._leaving == self._taken or not self._workers):
                self._raise_failure()
                return False
            self._news = asyncio.get_running_loop().create_future()
            since = self._budget.rest()
            await self._news
            self._budget.renew(since)
            self._seen = perf_counter()
        return True

    def ready(self) -> Generator[Any, None, None]:
        """Give the results that may leave now, as long as there are any. Raises the error of a call at its turn."""
        results = self._results
        while (result := results.pop(self._leaving, NONE)) is not NONE:
            if type(result) is Failed:
                self._take_failure(result)
                del result
                self._raise_failure()
            self._leaving += 1
            yield result
            self._emitted = self._leaving  # whoever asks again has passed this one on
            if self._resting and self._taken - self._emitted <= self._low:
                self._wake()

    def _take_failure(self, failed: Failed) -> None:
        """The turn of a call that failed has come: its error is the next to be raised."""
        self._failure = failed.error
        self._failure.add_note(f"it was the call for item {failed.number}")

    def _raise_failure(self) -> None:
        error, self._failure = self._failure, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame: let the frame not hold the error

    def _file(self, number: int, result: Any) -> None:
        """Put a result where it waits for its turn; `number` is that of its item, from 0."""
        if not self._ordered:
            number = self._filed
            self._filed += 1
        self._results[number] = result
        if number == self._leaving:
            self._tell()

    def _end(self, failure: BaseException | None) -> None:
        """Nothing more is to be taken; after the last result comes this failure."""
        if not self._ended:
            self._ended, self._failure = True, failure
        self._tell()

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    def _wake(self) -> None:
        rest = self._resting.pop()
        if not rest.done():
            rest.set_result(None)
