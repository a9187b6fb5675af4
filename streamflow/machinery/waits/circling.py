"""Items that go round: a run of stages whose outputs may become its inputs again.

What lives here: `Circle`. What must not: the operators and their words (cycles.py).

How it works. The stages are a run of their own. Its source gives what waits to go round, and when nothing waits, what
comes from above. Whoever takes the outputs, the operator's own generator, queues what they send back before it emits
them. So there are two ends, and both are bounded: what waits, by `maxsize`; what is inside, by the channels.

*The end.* When the input has ended and nothing waits, items may still be inside. Where every stage emits one item for
each, they are counted. Otherwise the source ends, so that the stages flush and the run drains; if that sends anything
back, the next run begins with it.

*The deadlock.* While `maxsize` items wait, no output is taken. That is backpressure, and passes when the stages take
items in. But if every channel of the cycle has a writer that waits for room, nobody can ever move again (H47): then it
is an error. Nothing tells of that state, so it is looked for every now and then, only while it is full.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from inspect import isawaitable
from types import TracebackType
from typing import Any, Self, cast

from streamflow.engine.conductor import Run
from streamflow.engine.feeding import Feeder, reading
from streamflow.engine.reader import Reader
from streamflow.engine.shielding import until_done
from streamflow.errors import CycleDeadlock
from streamflow.stages import Source, Stage
from streamflow.types import SourceLike

__all__ = ["Circle"]

_INSIDE = 16  # items in each channel of the cycle, where more may wait outside
_A_WHILE = 0.02  # seconds between two looks whether anything can still move


class Circle:
    """One run of a cycle: `async with Circle(...) as circle: async for out in circle.outputs()`."""

    def __init__(
        self,
        name: str,
        items: AsyncIterable[Any],
        stages: tuple[Stage[Any, Any], ...],
        back: Callable[[Any], Any],
        maxsize: int,
    ) -> None:
        """Begin nothing yet."""
        self._name = name
        self._items = items
        self._stages = stages
        self._back = back
        self._maxsize = maxsize
        self._counted = all(stage.one_to_one for stage in stages)
        self._waiting: deque[Any] = deque()
        self._inside = 0
        self._input_ended = False
        self._source_ended = False
        self._coming: asyncio.Task[bool] | None = None
        self._news: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Take the input."""
        self._reader: Reader[Any] = await self._closing.enter_async_context(reading(self._items))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave the input."""
        await self._closing.__aexit__(kind, error, traceback)

    async def outputs(self) -> AsyncGenerator[Any, None]:
        """Emit what leaves the stages, in as many runs of them as it takes."""
        while not self._input_ended or self._waiting:
            self._source_ended = False
            async with aclosing(self._round()) as outs:
                async for out in outs:
                    yield out
            if not self._source_ended:
                return  # the stages had enough

    async def _round(self) -> AsyncGenerator[Any, None]:
        circle = cast("SourceLike[Any]", self)  # by its parts
        async with Feeder(circle, name=self._name, maxsize=min(_INSIDE, self._maxsize)) as run:
            async for out in run.reader:
                await self._send_back(out, run)
                self._inside -= 1
                self._tell_news()
                yield out

    @property
    def __streamflow_parts__(self) -> tuple[Source[Any], tuple[Stage[Any, Any], ...]]:
        """What a round is made of: the source of what goes in, and the stages."""
        return Source(self._inputs, name=f"input of {self._name}"), self._stages

    # --- in ------------------------------------------------------------------------------------------------------

    async def _inputs(self) -> AsyncGenerator[Any, None]:
        """What goes in: what waits to go round, else what comes from above."""
        try:
            while not self._source_ended:
                if self._waiting or await self._something_comes():
                    self._inside += 1
                    item = self._waiting.popleft()
                    self._tell_room()
                    yield item
        finally:
            await _stopped(self._coming)
            self._coming = None

    async def _something_comes(self) -> bool:
        """Wait until something goes round or comes from above, or neither can be; return whether something waits."""
        if self._input_ended and not (self._counted and self._inside):
            self._source_ended = True
        elif self._input_ended:
            await self._wait_for_any([])
        else:
            self._coming = self._coming or asyncio.create_task(self._reader.wait(), name=f"input of {self._name}")
            await self._wait_for_any([self._coming])
            if not self._waiting and self._coming.done():
                await self._take_one(self._coming)
        return bool(self._waiting)

    async def _take_one(self, came: asyncio.Task[bool]) -> None:
        """Let one item from above in: it goes first, since nothing waits."""
        self._coming = None
        came.result()
        hand = self._reader.take(1) or await self._reader.wait_hand(1)
        if hand is None:
            self._input_ended = True
        else:
            self._waiting.append(next(hand))

    async def _wait_for_any(self, coming: list[asyncio.Task[bool]]) -> None:
        self._news = asyncio.get_running_loop().create_future()
        either: list[asyncio.Future[Any]] = [self._news, *coming]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)

    def _tell_news(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    # --- back ----------------------------------------------------------------------------------------------------

    async def _send_back(self, out: Any, run: Run) -> None:
        found = self._back(out)
        if isawaitable(found):
            found = await found
        if isinstance(found, AsyncIterable):
            async with reading(found, maxsize=1) as items:
                async for item in items:
                    await self._queue(item, run)
        elif found is not None:
            for item in found:
                await self._queue(item, run)

    async def _queue(self, item: Any, run: Run) -> None:
        while len(self._waiting) >= self._maxsize:
            await self._wait_for_room(run)
        self._waiting.append(item)
        self._tell_news()

    async def _wait_for_room(self, run: Run) -> None:
        room = self._room = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(_A_WHILE):
                await room
        if not room.done() or room.cancelled():
            self._refuse_deadlock(run)

    def _tell_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _refuse_deadlock(self, run: Run) -> None:
        if all(channel.stats().writers_waiting for channel in run.channels):
            stages = ", ".join(repr(segment.plan.name) for segment in run.segments[1:])
            raise CycleDeadlock(
                f"{self._name}: {self._maxsize:,} items wait to go round, the most that maxsize allows, and every "
                f"stage of the cycle waits for room: {stages}. Nothing could ever move again. Send back fewer items "
                f"than come out, or raise maxsize= to the most that may ever have to wait."
            )


async def _stopped(task: asyncio.Task[bool] | None) -> None:
    if task is not None:
        task.cancel()
        if (cancelled := await until_done(task)) is not None:
            raise cancelled
