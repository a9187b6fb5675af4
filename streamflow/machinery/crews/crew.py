"""The crew behind `map(concurrency=n)`: n workers that live for the whole run.

What lives here: `Crew`. What must not: the operator and its words (concurrency.py), the order of the results
(turns.py), anything that not every concurrent map needs (ruled_crew.py).

How it works. A task per item costs several times more than the call, so up to n worker tasks take item after item.
Whoever emits the results, the stage's own generator, never waits for input; the workers never wait for each other:

* *Input.* The reader's hand is shared: taking from it is one call of `next`. Who finds it empty takes what is in the
  channel; where that is empty too, one worker waits for more, and the others rest.
* *Rest.* A worker with nothing to take rests on a future. Who is about to wait for a call wakes or hires the next
  worker, two if there is more: a crew of thousands is at work after a few turns of the loop, an idle one is no bigger
  than it needs, and a synchronous callable keeps just one.
* *Time.* Synchronous calls would keep the loop to themselves: after half a millisecond of them the worker gives others
  a turn (P8).
"""

# ruff: noqa: SLF001  # it looks into the channel, as the reader does

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from inspect import isawaitable
from operator import length_hint
from time import perf_counter
from types import CoroutineType
from typing import Any, Generic, TypeVar

from streamflow.engine.reader import Reader
from streamflow.errors import StageCancelled
from streamflow.machinery.crews.turns import NONE, Failed, Turns
from streamflow.machinery.tasks.dismissing import dismiss

__all__ = ["SLICE", "Crew", "stray"]

A = TypeVar("A")

SLICE = 0.0005
"""Seconds that calls may keep the loop to themselves, as the engine's own budget."""

_SEVERAL = 2


class Crew(Turns, Generic[A]):
    """The workers of one stage in one run."""

    def __init__(
        self, fn: Callable[..., Any], reader: Reader[A], size: int, *, ordered: bool, max_waiting: int | None = None
    ) -> None:
        """Prepare; `max_waiting` finished results may wait beside `size` calls at work, by default as many as those."""
        window = size + (size if max_waiting is None else max_waiting)
        super().__init__(size, window, reader.budget, ordered=ordered)
        self._fn = fn
        self._reader = reader
        self._hiring = True
        self._hand: Iterator[A] = iter(())
        self._fetching = False
        self._dismissed = False
        self._late: list[BaseException] = []

    def start(self) -> None:
        """Hire the first worker; the others come when there is something to do for them."""
        self._hire()

    async def emitted(self) -> AsyncGenerator[Any, None]:
        """Run it: emit the results at their turns, and dismiss it at the end. As `ready`, without its calls."""
        results, leaving = self._results, 0
        try:
            self.start()
            while await self.results_are_ready():
                while (result := results.pop(leaving, NONE)) is not NONE:
                    if type(result) is Failed:
                        self._take_failure(result)
                        del result  # the frame does not hold what it raises
                        self._raise_failure()
                    self._leaving = leaving = leaving + 1
                    yield result
                    self._emitted = leaving  # whoever asks again has passed this one on
                    if self._resting and self._taken - leaving <= self._low:
                        self._wake()
        finally:
            await self.dismiss()

    async def dismiss(self) -> None:
        """Cancel the calls in flight and wait until all have ended, whatever cancels the caller meanwhile."""
        self._ended = self._dismissed = True
        try:
            await dismiss(self._workers, self._late)
        finally:
            self._results.clear()

    def _hire(self) -> None:
        worker = asyncio.create_task(self._work())
        self._workers.add(worker)
        self._hiring = len(self._workers) < self._size
        worker.add_done_callback(self._left)

    def _left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if worker.cancelled() and not self._dismissed:
            self._end(stray("the reading of the input", None))
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

    async def _work(self) -> None:
        await asyncio.sleep(0)  # an eager task must not run inside the one that hires it (H24)
        fn, results, ordered = self._fn, self._results, self._ordered
        while True:
            # What `_take` and `_file` do, without the calls: they would cost a tenth of the time of an item.
            if self._ended or self._taken - self._emitted >= self._window or (item := next(self._hand, NONE)) is NONE:
                if not await self._more():
                    return
                continue
            number = self._taken
            self._taken = number + 1
            waits = False
            try:
                result = fn(item)
                if type(result) is CoroutineType or isawaitable(result):
                    waits = True
                    if self._resting or self._hiring:
                        self._recruit()
                    result = await result
            except BaseException as error:  # noqa: BLE001  # carried to its turn
                result = self._failed(error, number + 1)
            if not ordered:
                number = self._filed
                self._filed = number + 1
            results[number] = result
            if self._news is not None and number == self._leaving:
                self._tell()
            del item, result  # not held while waiting for the next item (H57)
            if not waits and perf_counter() - self._seen > SLICE:
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
            await self._rest()
        elif not self._grasp():
            await self._fetch()
        return True

    def _grasp(self) -> bool:
        """Take into the hand what the channel has, without waiting; return whether that is anything."""
        channel = self._reader.channel
        if not channel._queue:
            return False
        self._hand = channel.grasp(max(1, channel.maxsize // 2))
        return True

    async def _rest(self) -> None:
        rest: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._resting.append(rest)
        await rest  # cancelled only when the whole crew is dismissed

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

    def _failed(self, error: BaseException, number: int) -> Failed:
        """Return the error of a call, to be filed; when it was cancelled on dismissal, let that through."""
        if self._dismissed:
            if isinstance(error, asyncio.CancelledError):
                raise error
            self._late.append(error)
        self._ended = True  # what comes after it will not be wanted
        if isinstance(error, asyncio.CancelledError):
            error = stray("a call of map()", error)
        return Failed(error, number)


def stray(what: str, error: BaseException | None) -> StageCancelled:
    """Return the error that a cancellation is which nobody asked for."""
    cancelled = StageCancelled(f"{what} ended in a CancelledError although nobody cancelled it")
    cancelled.__cause__ = error
    return cancelled
