"""Operators that run several calls at once: map with `concurrency`.

What lives here: the crew of workers and the order of their results. What must not: anything sequential (elements.py).

N worker tasks live for the whole run (a task per item costs several times more). Each claims a place, takes an item,
calls, and hands in its result; the stage's own generator emits results as soon as they may leave, whether or not the
source has another item ready. A place is given back when its result has been emitted, so at most `2 * concurrency` items
are running or waiting for their turn, and nothing is taken from the input without a place (H53).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import aclosing
from inspect import isawaitable
from typing import Any, Generic, TypeVar

from streamflow.engine.ends import Reader
from streamflow.engine.feeding import reading
from streamflow.errors import EndOfChannel, StageCancelled, UsageError
from streamflow.limits import check_capacity
from streamflow.operators.elements import check_callable, map_each
from streamflow.stages import Stage
from streamflow.types import MaybeAwaitable

__all__ = ["map"]

A = TypeVar("A")
B = TypeVar("B")


def map(  # noqa: A001  # the standard word
    fn: Callable[[A], MaybeAwaitable[B]], *, concurrency: int = 1, ordered: bool = True
) -> Stage[A, B]:
    """Call `fn` (sync or async) for each item and emit what it returns.

    Example: `sf.map(fetch, concurrency=16)`

    * emits when: a result is there, and with `ordered=True` those before it have left; never waits for the next input
    first. * backpressures when: the stage below does; then at most `2 * concurrency` items are at work or done and waiting.
    * completes when: the input ended and the last result left. * on error: of a call: surfaces at its turn, after the
    results before it; the other calls are cancelled and awaited. * on early stop: calls in flight are cancelled and awaited.

    Args:
        fn: called with each item; with `concurrency` above 1 it should be a coroutine function.
        concurrency: how many calls may run at once, at least 1.
        ordered: keep the order of the input (else results leave as they are done).

    Raises `UsageError` for bounds that cannot mean anything, and for `ordered=False` without concurrency, which has no
    effect. A `CancelledError` out of a call is that item's error (`StageCancelled`). Cancellation: no further call starts;
    those in flight are cancelled and awaited.
    """
    check_capacity("concurrency", concurrency)
    check_callable("map", fn)
    if concurrency == 1:
        if not ordered:
            raise UsageError("ordered=False has no effect without concurrency= of at least 2: one call at a time keeps order.")
        return map_each(fn)

    async def mapped(items: AsyncIterable[A]) -> AsyncGenerator[B, None]:
        async with reading(items) as reader:
            crew = _Crew(fn, reader, concurrency, ordered=ordered)
            try:
                async with aclosing(crew.results()) as results:
                    async for result in results:
                        yield result
            finally:
                await crew.dismiss()

    name = f"map(concurrency={concurrency})" if ordered else f"map(concurrency={concurrency}, ordered=False)"
    return Stage(mapped, name=name, callable=fn, concurrency=concurrency, holds_items=2 * concurrency, one_to_one=True)


class _Crew(Generic[A, B]):
    def __init__(self, fn: Callable[[A], Any], reader: Reader[A], size: int, *, ordered: bool) -> None:
        self._fn = fn
        self._reader = reader
        self._size = size
        self._ordered = ordered
        self._workers: set[asyncio.Task[None]] = set()
        self._places = 2 * size
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._idle = 0
        self._taken = 0
        self._next = 0
        self._early: dict[int, tuple[Any, BaseException | None]] = {}
        self._done: deque[tuple[Any, BaseException | None]] = deque()
        self._news: asyncio.Future[None] | None = None
        self._ended = False
        self._failure: BaseException | None = None

    # --- the emitting side ---------------------------------------------------------------------------------------

    async def results(self) -> AsyncGenerator[B, None]:
        self._hire()
        while True:
            while self._done:
                value, error = self._done.popleft()
                if error is not None:
                    raise error
                self._give_place()
                yield value
            if not self._workers:
                break
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        if self._failure is not None:
            raise self._failure

    async def dismiss(self) -> None:
        self._ended = True
        for worker in self._workers:
            worker.cancel()
        while self._workers:
            await asyncio.wait(self._workers)

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # --- the workers ---------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        worker = asyncio.create_task(self._work())
        self._workers.add(worker)
        worker.add_done_callback(self._left)

    def _left(self, worker: asyncio.Task[None]) -> None:
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            self._failure = self._failure or error
        self._tell()

    async def _work(self) -> None:
        while not self._ended:
            await self._claim_place()
            self._idle += 1
            try:
                item = await self._reader.get()
            except EndOfChannel:
                self._ended = True
                return
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001  # the error of a stage above: after the results before it
                self._ended = True
                self._failure = error
                return
            finally:
                self._idle -= 1
            number = self._taken
            self._taken += 1
            if not self._idle and len(self._workers) < self._size:
                self._hire()
            value, error = await self._call(item)
            del item  # do not hold it while waiting for the next one (H57)
            self._hand_in(number, value, error)
            del value

    async def _call(self, item: A) -> tuple[Any, BaseException | None]:
        try:
            value = self._fn(item)
            return (await value if isawaitable(value) else value), None
        except asyncio.CancelledError as error:
            if self._ended and (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            stray = StageCancelled("a call of map() ended in a CancelledError although nobody cancelled it")
            stray.__cause__ = error
            return None, stray
        except BaseException as error:  # noqa: BLE001  # carried to its turn
            return None, error

    def _hand_in(self, number: int, value: Any, error: BaseException | None) -> None:
        if error is not None:
            self._ended = True  # nothing after it will be wanted
        if not self._ordered:
            self._done.append((value, error))
        else:
            self._early[number] = (value, error)
            while self._next in self._early:
                self._done.append(self._early.pop(self._next))
                self._next += 1
        self._tell()

    async def _claim_place(self) -> None:
        if self._places > 0 and not self._waiting:
            self._places -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn  # cancelled only when the whole crew is dismissed

    def _give_place(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._places += 1
