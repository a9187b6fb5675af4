"""A crew with rules: items with the same key one at a time, and a limit that changes while it works.

What lives here: `RuledCrew`. What must not: how the limit is found (adaptive.py), what a call does (calling.py).

* *Keys.* A key is *busy* while one of its items is at work; the items that are taken meanwhile wait in its line. Each
  has its place in the window, so the lines are bounded; a key whose line is empty is forgotten. Whoever ends a call
  makes the next in that line *due*, and what is due goes before what is new.
* *The limit.* At work is what was taken, less what is done and what waits for its key. Nobody begins a call while as
  many are at work as may.
* *Failures.* After one, items that come after it are not begun. Those in line that come before it are, since their
  turn comes before its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from inspect import isawaitable
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.machinery.adaptive import Limiter
from streamflow.machinery.crews.crew import SLICE, Crew
from streamflow.machinery.crews.turns import NONE, Failed

__all__ = ["RuledCrew"]

A = TypeVar("A")


class _Job(NamedTuple):
    item: Any
    number: int
    key: Hashable


class RuledCrew(Crew[A]):
    """The workers of one stage in one run, whose calls get the number of the item (from 1) too."""

    def __init__(
        self,
        call: Callable[[A, int], Awaitable[Any]],
        reader: Reader[A],
        size: int,
        *,
        ordered: bool,
        max_waiting: int | None = None,
        key: Callable[[A], Hashable] | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        """Prepare; with a `limiter`, `size` is the highest limit it may set."""
        super().__init__(call, reader, size, ordered=ordered, max_waiting=max_waiting)
        self._call = call
        self._key = key
        self._limiter = limiter
        self._at_work = 0
        self._lines: dict[Hashable, deque[_Job]] = {}
        self._due: deque[Hashable] = deque()
        self._first_failed: int | None = None

    @property
    def limit(self) -> int:
        """How many calls may be at work now."""
        return self._size if self._limiter is None else self._limiter.limit

    async def _work(self) -> None:
        await asyncio.sleep(0)  # an eager task must not run inside the one that hires it (H24)
        while True:
            job = self._next_job()
            if job is None:
                if not await self._more():
                    return
                continue
            self._at_work += 1
            self._recruit()
            try:
                result = await self._call(job.item, job.number)
            except BaseException as error:  # noqa: BLE001  # carried to its turn
                result = self._failed(error, job.number)
            self._at_work -= 1
            self._file(job.number - 1, result)
            self._leave_line(job.key)
            del result, job  # not held while waiting for the next item (H57)
            if perf_counter() - self._seen > SLICE:
                await asyncio.sleep(0)
                self._seen = perf_counter()

    def _next_job(self) -> _Job | None:
        while self._at_work < self.limit:
            if self._due:
                job = self._first_in_line(self._due.popleft())
            elif (item := self._take()) is NONE:
                return None
            else:
                job = self._lined_up(item, self._taken)
            if job is not None:
                return job
        return None

    def _first_in_line(self, key: Hashable) -> _Job | None:
        """Return the next job with this key; after a failure that comes before it, nobody wants it any more."""
        job = self._lines[key].popleft()
        if self._first_failed is None or (self._ordered and job.number < self._first_failed):
            return job
        del self._lines[key]
        return None

    def _lined_up(self, item: A, number: int) -> _Job | None:
        """Return the job if its key is free; else it waits in line."""
        if self._key is None:
            return _Job(item, number, None)
        try:
            job = _Job(item, number, _checked(self._key(item)))
            line = self._lines.get(job.key)
        except BaseException as error:  # noqa: BLE001  # carried to its turn
            self._file(number - 1, self._failed(error, number))
            return None
        if line is None:
            self._lines[job.key] = deque()
            return job
        line.append(job)
        return None

    def _leave_line(self, key: Hashable) -> None:
        if self._key is None:
            return
        if self._lines[key]:
            self._due.append(key)
        else:
            del self._lines[key]

    def _recruit(self) -> None:
        if self._at_work >= self.limit:
            return
        if self._due and (self._resting or self._hiring):
            if self._resting:
                self._wake()
            else:
                self._hire()
        elif self._resting or self._hiring:
            super()._recruit()

    async def _more(self) -> bool:
        if self._at_work < self.limit:
            return await super()._more()
        if self._ended and not self._due:
            return False
        await self._rest()
        return True

    def _failed(self, error: BaseException, number: int) -> Failed:
        failed = super()._failed(error, number)
        self._first_failed = min(number, self._first_failed or number)
        return failed


def _checked(key: Any) -> Hashable:
    if isawaitable(key):
        close = getattr(key, "close", None)
        if close is not None:
            close()
        raise UsageError("key= returned an awaitable; it must be a synchronous function that gives something hashable.")
    hashable: Hashable = key
    return hashable
