"""The items of a running stream: what `Stream.open()` gives and what `async for` over a `Stream` uses.

What lives here: `Items`, and `Opened`, the block around them. What must not: describing a stream (streams.py), how a
run ends (engine/).

*An iterator that is dropped stops its run*, so nothing here may keep one alive. The traceback of a cancellation holds
every frame that it went through, and whoever keeps the exception keeps them all: so our frames forget their iterator
when they are cancelled. The rest of it: engine/departures.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import contextmanager
from operator import length_hint
from types import TracebackType
from typing import Generic, TypeVar, cast

from streamflow.engine.conductor import Run
from streamflow.engine.departures import Attendance
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.observe.statistics import RunStats, snapshot
from streamflow.resolving import resolve_sink
from streamflow.stages import Plan

__all__ = ["Items", "Opened"]

R = TypeVar("R")
T = TypeVar("T")


class Items(Generic[T]):
    """The items of a running stream, to iterate once.

    Example:
        async with stream.open() as items:
            async for item in items:
                ...

    The run starts with the first item asked for. Cancelling a wait for an item loses nothing: ask again. One task at a
    time may ask. Iteration that was left goes on where it was.
    """

    def __init__(self, plan: Plan) -> None:
        """Prepare; nothing runs yet."""
        self._plan = plan
        self._run: Run | None = None
        self._hand: Iterator[T] = iter(())
        self._asking = False
        self._closed = False
        self._attendance: Attendance | None = None

    def __repr__(self) -> str:
        """Show the name and where it stands."""
        state = "closed" if self._closed else "not started" if self._run is None else "running"
        return f"<Items of {self._plan.name!r}: {state}>"

    def __aiter__(self) -> Items[T]:
        """Return itself."""
        return self

    async def __anext__(self) -> T:
        """Return the next item. At the end, and on an error, everything has been closed before it says so."""
        for item in self._hand:
            return item
        if self._closed:
            raise StopAsyncIteration
        if self._attendance is None or not self._attendance.noted:
            self._note_asker()
        try:
            hand = await self._next_hand()
        except asyncio.CancelledError:
            del self
            raise
        if hand is None:
            await self.aclose()
            raise StopAsyncIteration
        self._hand = hand
        return next(hand)

    async def some(self) -> list[T]:
        """Return the items that are there, up to half a channel, after waiting for one; an empty list at the end.

        Raises and closes as iteration does. Cancellation: nothing was taken.
        """
        if not length_hint(self._hand) and not self._closed:
            self._hand = await self._next_hand() or self._hand
        taken = list(self._hand)
        if not taken:
            await self.aclose()
        return taken

    async def _next_hand(self) -> Iterator[T] | None:
        with self._alone():
            try:
                return await self._output().next_hand()
            except asyncio.CancelledError:
                del self
                raise
            except BaseException as error:
                await self.close_after(error)
                raise

    def _note_asker(self) -> None:
        if self._attendance is None:
            self._attendance = Attendance(self)
        self._attendance.note()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._asking:
            raise UsageError(
                f"Two tasks ask {self._plan.name} for items at once. Give each its own stream, "
                f"or put the items into a Channel that both read."
            )
        self._asking = True
        try:
            yield
        finally:
            self._asking = False

    def _output(self) -> Reader[T]:
        if self._run is None:
            self._run = Run(self._plan)
            self._run.start()
        return cast("Reader[T]", self._run.output)

    async def into(self, sink: Callable[[AsyncIterable[T]], Awaitable[R]]) -> R:
        """Let a sink take what it wants; what it did not take is still here, and iteration goes on after it.

        Example:
            async with stream.open() as items:
                header = await items.into(sf.first())
                async for row in items:          # the rows after the header
                    ...

        Args:
            sink: a sink or a coroutine function, which may have enough before the end.

        Returns its value. Raises what the sink or a stage raises, after everything has been closed. A sink that takes
        items in batches has taken the whole of its last one. Cancellation: the sink is cancelled; the rest is here.
        """
        taker = resolve_sink(sink)
        with self._alone():
            output = self._output()
            reader = Reader(output.channel, output.budget)
            try:
                return cast("R", await taker.function(reader))
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                output.raised = output.raised or reader.raised
                await self.close_after(error)
                raise
            finally:
                await reader.rest()
                output.raised, output.exhausted = output.raised or reader.raised, output.exhausted or reader.exhausted

    async def aclose(self) -> None:
        """Stop the run and wait until everything is closed. Raises what failed while closing. Twice is harmless."""
        self._leave()
        if self._run is not None:
            await self._run.close()

    async def close_after(self, error: BaseException) -> None:
        """Close because of `error`, which is about to be raised; what fails while closing is told on it."""
        self._leave()
        if self._run is not None:
            await self._run.close_after(error)

    @property
    def is_over(self) -> bool:
        """Whether it has been closed; the end of the items closes it, too."""
        return self._closed

    def _leave(self) -> None:
        self._closed = True
        self._hand = iter(())

    def stats(self) -> RunStats:
        """Return the numbers of the run so far. Raises `UsageError` before the first item was asked for."""
        if self._run is None:
            raise UsageError("The stream has not started: it starts when the first item is asked for.")
        return snapshot(self._run)

    def __del__(self) -> None:
        """A dropped iterator stops its run; the loop then closes the stages, in their own tasks."""
        run = getattr(self, "_run", None)
        if run is not None and not (run.over.done() and self._closed):
            loop = run.over.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(run.cancel)


class Opened(Generic[T]):
    """A stream that runs for a block: what `Stream.open()` returns, to be entered once.

    It is no generator: if the garbage collector finds one together with the generator that it is used in, both are
    closed at once, and one of them in vain.
    """

    def __init__(self, items: Items[T]) -> None:
        """Prepare; nothing runs yet."""
        self._items: Items[T] | None = items

    async def __aenter__(self) -> Items[T]:
        """Return the items."""
        if self._items is None:
            raise UsageError("This block was entered before. Call open() again for another run: `stream.open()`.")
        self._entered, self._items = self._items, None
        return self._entered

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop the run, and wait until everything is closed."""
        if error is None:
            await self._entered.aclose()
        else:
            await self._entered.close_after(error)
