"""What one task of a run does: take from a reader, go through its stages, put into a writer.

What lives here: the four bodies (async source or stage, fused chain, sink) and how an error is traced to its stage.
What must not: how endings travel between segments (the conductor's).

A segment owns one task and one context for its whole life; its generators are pulled and closed only there. It is asked
to stop at most once: `stop()`. A segment parked at the room of its writer has its generator standing at a `yield`, so
it ends by `aclose()`; anywhere else it is cancelled.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from time import perf_counter
from typing import Any

from streamflow.engine.budget import Budget
from streamflow.engine.chain import Chain
from streamflow.engine.ends import Reader, Writer
from streamflow.engine.planner import Part, SegmentPlan
from streamflow.engine.stretches import Stretches
from streamflow.errors import StageCancelled
from streamflow.stages import NeedsAwait, Stage, resumed
from streamflow.types import Transform

__all__ = ["Segment"]

Feed = Reader[Any] | Stretches[Any]


class Segment:
    """One task of a run and what is known of it."""

    def __init__(self, plan: SegmentPlan, reader: Reader[Any] | None, writer: Writer[Any] | None, budget: Budget) -> None:
        """Describe it; `start` makes the task."""
        self.plan = plan
        self.reader = reader
        self.writer = writer
        self.budget = budget
        self.task: asyncio.Task[None] | None = None
        self.asked = False
        self.finished = False
        self.settled = False
        self.error: BaseException | None = None
        self.late = False
        self.stopped = False
        self.value: Any = None
        self.started_at = 0.0
        self.ended_at = 0.0
        self.chain: Chain | None = None
        if writer is not None and reader is not None and plan.fused:
            writer.input = reader.channel

    def start(self) -> asyncio.Task[None]:
        """Make the task; it begins at the loop's next turn, when everything is wired."""
        self.started_at = perf_counter()
        self.task = asyncio.create_task(self._main(), name=f"streamflow: {self.plan.name}")
        return self.task

    def stop(self) -> None:
        """Ask it to stop, once. The reader of its channel has left, which unparks a waiting writer; else cancel it."""
        if self.asked or self.finished:
            return
        self.asked = True
        if self.task is not None and not (self.writer is not None and self.writer.parked):
            self.task.cancel()

    async def _main(self) -> None:
        try:
            await asyncio.sleep(0)  # an eager task must not run before the wiring is finished (H24)
            self.value = await self._body()
        except BaseException as error:  # noqa: BLE001  # every failure is carried on as a value, KeyboardInterrupt too
            self.error = self._judge(error)
        finally:
            self.ended_at = perf_counter()

    async def _body(self) -> Any:
        try:
            if self.plan.sink is not None:
                assert self.reader is not None
                return await self.plan.sink.function(self.reader)
            if self.plan.fused:
                await self._run_chain()
            else:
                await self._run_generator(self._open_generator())
        finally:
            if self.reader is not None:
                await self.reader.close()
        return None

    def never_began(self) -> None:
        """The task was cancelled before its first step, so nothing was opened."""
        self.ended_at = perf_counter()
        self.error = self._judge(asyncio.CancelledError())

    def _judge(self, error: BaseException) -> BaseException | None:
        """What an exception that left the body means: a stop that was asked for is none (P4)."""
        self.late = self.asked
        if not isinstance(error, asyncio.CancelledError):
            return error
        if self.asked:
            self.stopped = True
            return None
        stray = StageCancelled(
            f"stage {self.plan.name!r} ended in a CancelledError although nobody cancelled it; "
            f"something it awaits was cancelled from inside (a closed pool, an executor that shut down)"
        )
        stray.__cause__ = error
        return stray

    # --- async generators ----------------------------------------------------------------------------------------

    def _open_generator(self) -> AsyncIterator[Any]:
        if self.plan.source is not None:
            return self.plan.source.__aiter__()
        assert self.reader is not None
        return aiter(self.plan.stages[0].function(self.reader))

    async def _run_generator(self, items: AsyncIterator[Any]) -> None:
        assert self.writer is not None
        try:
            await self.writer.pump(items)
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    # --- fused chains --------------------------------------------------------------------------------------------

    async def _run_chain(self) -> None:
        source = self.plan.source
        self.chain = Chain(self.plan.stages, from_source=source is not None)
        opened = iter(source.open()) if source is not None else None  # type: ignore[arg-type]  # synchronous by plan
        feed = Stretches(opened, self.budget) if opened is not None else self.reader
        assert feed is not None
        try:
            await self._pass_on(self.chain, feed)
        except NeedsAwait as signal:
            await self._run_awaiting(signal, feed)
        finally:
            if inspect.isgenerator(opened):
                opened.close()

    async def _pass_on(self, chain: Chain, feed: Feed) -> None:
        writer, limit = self.writer, self.reader.channel.maxsize if self.reader is not None else 0
        assert writer is not None
        while chain.done_at() is None and (hand := feed.take(limit) or await feed.wait_hand(limit)) is not None:
            items = chain.over(hand)
            if writer.put_now(items):
                chain.check_ended()
            elif not chain.is_dry(hand) or writer.channel.weighs:
                if not await writer.pour(items):
                    return
                chain.check_ended()
        for tail in chain.tails():
            if not await writer.pour(tail):
                return

    async def _run_awaiting(self, signal: NeedsAwait, feed: Feed) -> None:
        """Go on with async stages from the one whose callable turned out to return awaitables."""
        assert self.chain is not None
        at = next(index for index, transform in enumerate(self.chain.transforms) if transform is signal.transform)
        refit = self.plan.stages[at].refit
        assert refit is not None
        generators = [rest := self._rest_before(at, feed)]
        generators.append(resumed(refit, signal, rest))
        for stage in self.plan.stages[at + 1 :]:
            generators.append(stage.function(generators[-1]))  # type: ignore[arg-type]  # library stages are generators
        try:
            await self._run_generator(generators[-1])
        finally:
            for generator in reversed(generators):
                await generator.aclose()

    async def _rest_before(self, at: int, feed: Feed) -> AsyncGenerator[Any, None]:
        """What the transforms before `at` still give, after the stretch of input that the signal carries on with."""
        assert self.chain is not None
        before = self.chain.transforms[:at]
        has_more = True
        while has_more and (hand := await feed.next_hand()) is not None:
            for item in self.chain.prefix(hand, at):
                yield item
            has_more = not any(transform.done for transform in before)
        for index, transform in enumerate(before):
            for item in _through(before[index + 1 :], transform.finish()):
                yield item

    # --- what is known of it -------------------------------------------------------------------------------------

    def counts(self) -> list[int]:
        """Items at every edge of this segment: before its first stage, between its stages, after the last."""
        came = self.reader.channel.stats().got if self.reader is not None else None
        went = self.writer.channel.stats().put if self.writer is not None else came or 0
        if self.chain is not None:
            return self.chain.counts(came, went)
        if came is None:
            return [went] * (len(self.plan.stages) + 1)
        return [came] + [went] * max(1, len(self.plan.stages))

    def guilty(self, error: BaseException) -> tuple[Part, int | None]:
        """Return the part that raised, and the number (from 1) of the item it was at; `None` for a source."""
        stages = [part for part in self.plan.parts if isinstance(part.step, Stage)]
        at = self.chain.guilty(error) if self.chain is not None else 0
        if not stages or at is None:
            return self.plan.parts[0], self.counts()[0] if self.reader is not None else None
        counts = self.counts()
        # An edge whose count is known only from behind has not seen the failing item.
        behind = self.reader is None and counts[at] == counts[-1]
        return stages[at], counts[at] + behind

    @property
    def failed_here(self) -> bool:
        """Whether an error began in this segment, rather than being passed on from above."""
        return self.error is not None and not (self.reader is not None and self.reader.raised is self.error)

    def doing(self) -> str:
        """What the task is doing now, in words."""
        if self.finished or self.ended_at:
            return "failed" if self.failed_here else "stopped" if self.asked else "finished"
        if not self.started_at:
            return "not started"
        if self.reader is not None and self.reader.channel.stats().readers_waiting:
            return "waiting for input"
        if self.writer is not None and self.writer.channel.stats().writers_waiting:
            return "waiting for room"
        return "working"

    def seconds(self) -> tuple[float, float, float]:
        """Seconds working, waiting for input, and waiting for room, until now or until it ended."""
        if not self.started_at:
            return 0.0, 0.0, 0.0
        alive = (self.ended_at or perf_counter()) - self.started_at
        waited_in = self.reader.channel.stats().waited_for_items if self.reader is not None else 0.0
        waited_out = self.writer.channel.stats().waited_for_room if self.writer is not None else 0.0
        return max(0.0, alive - waited_in - waited_out - self.budget.paused), waited_in, waited_out


def _through(transforms: list[Transform[Any, Any]], items: Iterator[Any]) -> Iterator[Any]:
    for transform in transforms:
        items = transform.apply(items)
    return items
