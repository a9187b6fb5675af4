"""The crew behind `map(concurrency=n)`: n workers that live for the whole run, and the order of their results.

What lives here: `Crew`. What must not: the operator and its words (concurrency.py).

How it works. A task per item costs several times more than the call, so up to n worker tasks take item after item.
Whoever emits the results, the stage's own generator, never waits for input; the workers never wait for each other:

* *Numbers.* An item gets its number when it is taken. Its result is filed under that number (or, unordered, under the
  number of results so far), and leaves when all smaller numbers have left. `_emitted` have left for good: the consumer
  has come back for the next one.
* *The window.* No item is taken unless fewer than 2n are taken and not emitted: at most n at work and as many done and
  waiting for their turn (H49, H53).
* *Input.* The reader's hand is shared: taking from it is one call of `next`. One worker at a time fetches the next
  hand.
* *Rest.* A worker with nothing to take rests on a future. Who is about to wait for a call wakes or hires the next
  worker, two if there is more: a crew of thousands is at work after a few turns of the loop, an idle one is no bigger
  than it needs, and a synchronous callable keeps just one.
* *Time.* Synchronous calls would keep the loop to themselves: after half a millisecond of them the worker gives others
  a turn (P8).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from inspect import isawaitable
from operator import length_hint
from time import perf_counter
from typing import Any, Generic, TypeVar

import anyio

from streamflow.engine.reader import Reader
from streamflow.errors import StageCancelled

__all__ = ["NONE", "Crew"]

A = TypeVar("A")

NONE: Any = object()
"""What `next_result` returns when no result may leave now; `None` is data."""

_SLICE = 0.0005  # seconds, as the engine's own budget
_SEVERAL = 2


class _Failed:
    """The error of a call and the number of its item (from 1), filed like a result."""

    __slots__ = ("error", "number")

    def __init__(self, error: BaseException, number: int) -> None:
        self.error = error
        self.number = number


class Crew(Generic[A]):
    """The workers of one stage in one run."""

    def __init__(self, fn: Callable[[A], Any], reader: Reader[A], size: int, *, ordered: bool) -> None:
        """Prepare; the first worker is hired by `results_are_ready`."""
        self._fn = fn
        self._reader = reader
        self._size = size
        self._window = 2 * size
        self._ordered = ordered
        self._workers: set[asyncio.Task[None]] = set()
        self._resting: list[asyncio.Future[None]] = []
        self._hiring = True
        self._hand: Iterator[A] = iter(())
        self._fetching = False
        self._taken = self._filed = self._leaving = self._emitted = 0
        self._results: dict[int, Any] = {}
        self._news: asyncio.Future[None] | None = None
        self._seen = perf_counter()
        self._ended = self._dismissed = False
        self._failure: BaseException | None = None
        self._late: list[BaseException] = []

    # --- the emitting side ---------------------------------------------------------------------------------------

    async def results_are_ready(self) -> bool:
        """Wait until `next_result` has something; `False` when all have left. Then the input's failure is raised."""
        if self._hiring and not self._workers:
            self._hire()
        while self._leaving not in self._results:
            if self._ended and (self._leaving == self._taken or not self._workers):
                self._raise_failure()
                return False
            self._news = asyncio.get_running_loop().create_future()
            await self._news
            self._seen = perf_counter()
        return True

    def next_result(self) -> Any:
        """Return the next result that may leave now, or `NONE`. Raises the error of a call whose turn has come."""
        if self._emitted != self._leaving:
            self._emitted = self._leaving  # whoever asks again has passed the one before on
            if self._resting and self._taken - self._emitted <= self._size:
                self._wake()  # not before half the window is free, or each result would wake one worker for one item
        result = self._results.pop(self._leaving, NONE)
        if type(result) is _Failed:
            self._failure = result.error
            self._failure.add_note(f"it was the call for item {result.number}")
            del result
            self._raise_failure()
        if result is not NONE:
            self._leaving += 1
        return result

    def _raise_failure(self) -> None:
        error, self._failure = self._failure, None
        try:
            if error is not None:
                raise error
        finally:
            del error  # its traceback holds this frame: let the frame not hold the error

    def _tell(self) -> None:
        news, self._news = self._news, None
        if news is not None and not news.done():
            news.set_result(None)

    async def dismiss(self) -> None:
        """Cancel the calls in flight and wait until all have ended, whatever cancels the caller meanwhile.

        What a call raises instead of being cancelled is raised, or told on the error that is under way. A further
        cancellation is passed on to calls that have swallowed the first one, and raised in the end.
        """
        pending = sys.exception()
        self._ended = self._dismissed = True
        cancelled = await self._all_gone()
        self._results.clear()
        try:
            if cancelled is not None:
                raise cancelled
            for error in self._late:
                if not isinstance(pending, Exception):
                    raise error
                pending.add_note(f"while it was being cancelled, another call failed: {type(error).__name__}: {error}")
        finally:
            self._late.clear()
            del pending, cancelled

    async def _all_gone(self) -> asyncio.CancelledError | None:
        cancelled: asyncio.CancelledError | None = None
        with anyio.CancelScope(shield=True):
            while self._workers:
                for worker in self._workers:
                    worker.cancel()
                try:
                    await asyncio.wait(self._workers)
                except asyncio.CancelledError as error:
                    cancelled = error.with_traceback(None)
        return cancelled

    # --- the workers ---------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        worker = asyncio.create_task(self._work())
        self._workers.add(worker)
        self._hiring = len(self._workers) < self._size
        worker.add_done_callback(self._left)

    def _left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if worker.cancelled() and not self._dismissed:
            self._end(_stray("the reading of the input", None))
        elif not worker.cancelled() and (error := worker.exception()) is not None:
            self._end(error)
        self._tell()

    def _recruit(self) -> None:
        """Let other workers go on, if there is a place for an item and one in hand, or nobody who fetches."""
        if self._ended or self._fetching or self._taken - self._emitted >= self._window:
            return
        for _ in range(min(_SEVERAL, max(1, length_hint(self._hand)))):
            if self._resting:
                self._wake()
            elif self._hiring:
                self._hire()

    def _wake(self) -> None:
        rest = self._resting.pop()
        if not rest.done():
            rest.set_result(None)

    async def _work(self) -> None:
        await asyncio.sleep(0)  # an eager task must not run inside the one that hires it (H24)
        fn = self._fn
        while True:
            item = self._take()
            if item is NONE:
                if not await self._more():
                    return
                continue
            number, waits = self._taken, False
            try:
                result = fn(item)
                if waits := isawaitable(result):
                    if self._resting or self._hiring:
                        self._recruit()
                    result = await result
            except BaseException as error:  # noqa: BLE001  # carried to its turn
                result = self._failed(error, number)
            self._file(number - 1, result)
            del result  # not held while waiting for the next item (H57)
            if not waits and perf_counter() - self._seen > _SLICE:
                await asyncio.sleep(0)
                self._seen = perf_counter()

    def _take(self) -> Any:
        if self._ended or self._taken - self._emitted >= self._window:
            return NONE
        item = next(self._hand, NONE)
        if item is not NONE:
            self._taken += 1
        return item

    async def _more(self) -> bool:
        """There is nothing to take: fetch, or rest until something changes. Return whether to look again."""
        if self._ended:
            return False
        if self._fetching or self._taken - self._emitted >= self._window:
            rest: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._resting.append(rest)
            await rest  # cancelled only when the whole crew is dismissed
        else:
            await self._fetch()
        return True

    async def _fetch(self) -> None:
        self._fetching = True
        try:
            hand = await self._reader.next_hand()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001  # of a stage above: it comes after the results before it
            self._end(error)
        else:
            self._hand = hand or self._hand
            if hand is None:
                self._end(None)
        finally:
            self._fetching = False

    def _end(self, failure: BaseException | None) -> None:
        """Nothing more is to be taken; after the last result comes this failure."""
        if not self._ended:
            self._ended, self._failure = True, failure
        self._tell()

    def _failed(self, error: BaseException, number: int) -> _Failed:
        """Return the error of a call, to be filed; when it was cancelled on dismissal, let that through."""
        if self._dismissed:
            if isinstance(error, asyncio.CancelledError):
                raise error
            self._late.append(error)
        self._ended = True  # what comes after it will not be wanted
        if isinstance(error, asyncio.CancelledError):
            error = _stray("a call of map()", error)
        return _Failed(error, number)

    def _file(self, number: int, result: Any) -> None:
        if not self._ordered:
            number = self._filed
            self._filed += 1
        self._results[number] = result
        if number == self._leaving:
            self._tell()


def _stray(what: str, error: BaseException | None) -> StageCancelled:
    stray = StageCancelled(f"{what} ended in a CancelledError although nobody cancelled it")
    stray.__cause__ = error
    return stray
