"""What one task of a run does: take from a reader, go through its stages, put into a writer.

What lives here: the four bodies (async source or stage, fused chain, sink) and how an error is traced to its stage.
What must not: how endings travel between segments (the conductor's).

A segment owns one task and one context for its whole life; its generators are pulled and closed only there. It is asked
to stop at most once; the one of the source may have been asked to end its reading before (a drain). A segment parked at
the room of its writer has its generator standing at a `yield`, so it ends by `aclose()`; anywhere else it is cancelled.

Timeouts, task groups and cancel scopes around a `yield` are legal in a stage (H32, H33). When one of them strikes while
the generator stands there, the cancellation arrives in the segment's own wait for room; nobody asked the segment to
stop, so it is thrown into the generator, where its scope knows it (striking.py).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from time import perf_counter
from typing import Any

from streamflow.engine.awaiting import going_on
from streamflow.engine.budget import Budget
from streamflow.engine.chain import Chain
from streamflow.engine.generators import Generators, Nest
from streamflow.engine.names import Place, place
from streamflow.engine.planner import Part, SegmentPlan
from streamflow.engine.reader import Reader
from streamflow.engine.stretches import Stretches, stretches
from streamflow.engine.striking import struck
from streamflow.engine.writer import Writer
from streamflow.errors import StageCancelled
from streamflow.stages import NeedsAwait, Source, Stage

__all__ = ["Segment"]

Feed = Reader[Any] | Stretches


class Segment:
    """One task of a run and what is known of it."""

    def __init__(
        self, plan: SegmentPlan, reader: Reader[Any] | None, writer: Writer[Any] | None, budget: Budget
    ) -> None:
        """Describe it; `start` makes the task."""
        self.plan = plan
        self.reader = reader
        self.writer = writer
        self.budget = budget
        self.pipeline = ""
        self.task: asyncio.Task[None] | None = None
        self.begun = False
        self.asked = False
        self.drained = False
        self.closing = False
        self.finished = False
        self.settled = False
        self.error: BaseException | None = None
        self.late = False
        self.stopped = False
        self.value: Any = None
        self.started_at = 0.0
        self.ended_at = 0.0
        self.chain: Chain | None = None
        self._generators: Generators | None = None
        self._source: Stretches | None = None
        if writer is not None and reader is not None and plan.fused:
            writer.input = reader.channel

    def start(self) -> asyncio.Task[None]:
        """Make the task; it begins at the loop's next turn, when everything is wired."""
        self.started_at = perf_counter()
        self.task = asyncio.create_task(self._main(), name=f"streamflow: {self.plan.name}")
        return self.task

    def ends_by_itself(self) -> bool:
        """Whether it needs no cancellation to stop: it has ended, is closing, or is parked and its reader has left."""
        return self.finished or self.closing or (self.writer is not None and self.writer.parked)

    def end_reading(self, *, by_itself: bool) -> None:
        """Let the source end here, as if it had no more; what it has given goes on. For the segment of the source.

        `by_itself`: it consists of others that were ended, and comes to its end when it has given what they gave.
        A plain iterable is cut. An async one is closed if it stands at a `yield`, once its item has been put; anywhere
        else it is cancelled, and that cancellation is an end like any other.
        """
        assert self.writer is not None
        assert self.task is not None
        self.drained = True
        if by_itself:
            return
        if self._source is not None:
            self._source.stop()
            return
        self.writer.ending = True
        if not self.writer.parked:
            self.task.cancel()

    async def _main(self) -> None:
        try:
            if self.writer is not None or self.reader is not None:
                await asyncio.sleep(0)  # an eager task must not run before the wiring is finished (H24)
            self.begun = True
            place.set(Place(self.pipeline, self.plan.name, self.plan.source is not None))
            self._end(await self._body(), None)
        except BaseException as error:  # noqa: BLE001  # every failure is carried on as a value, KeyboardInterrupt too
            self._end(None, error)

    async def _body(self) -> Any:
        try:
            if self.plan.sink is not None:
                assert self.reader is not None
                return await self.plan.sink.function(self.reader)
            if self.plan.fused:
                await self._run_chain()
            else:
                await self._run_generators(self._open_generators())
        finally:
            if self.reader is not None:
                await self.reader.rest()
        return None

    def never_began(self) -> None:
        """The task was cancelled before its first step, so nothing was opened."""
        self._end(None, asyncio.CancelledError())

    def _end(self, value: Any, error: BaseException | None) -> None:
        if self.finished:
            return  # it was given up; what it does now changes nothing any more
        self.ended_at = perf_counter()
        if self.writer is not None:
            self.writer.drop()
        self.value = value
        self.late = self.asked or self.closing
        self.error = None if error is None else self._judge(error)

    def _judge(self, error: BaseException) -> BaseException | None:
        """What an exception that left the body means: a stop that was asked for is none (P4)."""
        if self.late or self._reads_no_more:
            failure = _without_stops(error)
            self.stopped = failure is None
            return failure
        if isinstance(error, StopAsyncIteration):
            return _explained(RuntimeError(f"stage {self.plan.name!r} raised StopAsyncIteration"), error)
        if not isinstance(error, asyncio.CancelledError):
            return error
        stray = StageCancelled(
            f"stage {self.plan.name!r} ended in a CancelledError although nobody cancelled it; "
            f"something it awaits was cancelled from inside (a closed pool, an executor that shut down)"
        )
        return _explained(stray, error)

    @property
    def _reads_no_more(self) -> bool:
        """Whether its source was asked to end, and not by being cut: then a cancellation is the answer to that."""
        return self.writer is not None and self.writer.ending

    # --- async generators ----------------------------------------------------------------------------------------

    @property
    def generator(self) -> AsyncIterator[Any] | None:
        """The async generator that is at work, if it has any."""
        return self._generators.at_work() if self._generators is not None else None

    def _open_generators(self) -> Generators:
        if self.plan.source is None:
            assert self.reader is not None
            stage = self.plan.stages[0]
            if stage.nested:
                return Nest(stage.nested, self.reader)
            return Generators([aiter(stage.function(self.reader))])
        opened = self.plan.source.open()
        items = aiter(opened if isinstance(opened, AsyncIterable) else Source(lambda: opened))
        # A channel or a connection that iterates itself is its user's to close.
        return Generators([items], keep=items is opened and not isinstance(items, AsyncGenerator))

    async def _run_generators(self, generators: Generators) -> None:
        assert self.writer is not None
        self._generators = generators
        async with generators as items:
            try:
                ended = await self.writer.pump(items)
            except asyncio.CancelledError as error:
                if self._reads_no_more and not self.asked:
                    ended = False
                else:
                    ended = await struck(self.writer, items, error, lambda: self.asked, generators.throw)
            if self._reads_no_more:
                await self.writer.put_unput()
            self.closing = not ended

    # --- fused chains --------------------------------------------------------------------------------------------

    async def _run_chain(self) -> None:
        source = self.plan.source
        opened = iter(source.open()) if source is not None else None  # type: ignore[arg-type]  # synchronous by plan
        self._source = stretches(opened, self.budget) if opened is not None else None
        feed = self._source or self.reader
        assert feed is not None
        self.chain = Chain(self.plan.stages, from_source=self._source is not None and self._source.count is None)
        if opened is not None:
            self.chain.blame.note_source(opened)
        try:
            await self._pass_on(self.chain, feed)
        except NeedsAwait as signal:
            await self._run_awaiting(signal, feed)
        finally:
            self.chain.let_go()
            if self._source is not None:
                self._source.let_go()
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
            chain.check_ended()

    async def _run_awaiting(self, signal: NeedsAwait, feed: Feed) -> None:
        """Go on with async stages from the one whose callable turned out to return awaitables."""
        assert self.chain is not None
        await self._run_generators(Generators(going_on(self.chain, signal, feed.next_hand)))

    # --- what is known of it -------------------------------------------------------------------------------------

    def counts(self) -> list[int]:
        """Items at every edge of this segment: before its first stage, between its stages, after the last."""
        came = self._source.count if self._source is not None else None
        if self.reader is not None:
            came = self.reader.channel.stats().got
        went = self.writer.channel.stats().put if self.writer is not None else came or 0
        if self.chain is not None:
            failure = self.error if self.failed_here else None
            return self.chain.counts(came, went, None if failure is None else self.chain.blame.stage_of(failure))
        if came is None:
            return [went] * (len(self.plan.stages) + 1)
        return [came] + [went] * max(1, len(self.plan.stages))

    def guilty(self, error: BaseException) -> tuple[Part, int | None]:
        """Return the part that raised, and the number (from 1) of the item it was at; `None` for a source."""
        stages = [part for part in self.plan.parts if isinstance(part.step, Stage)]
        at = self.chain.blame.stage_of(error) if self.chain is not None else 0
        if not stages or at is None:
            return self.plan.parts[0], self.counts()[0] if self.reader is not None else None
        # Of several calls at once nobody here knows which item the failing one was about.
        several = self.plan.stages[at].concurrency > 1
        return stages[at], None if several else self.counts()[at]

    @property
    def failed_here(self) -> bool:
        """Whether an error began in this segment, rather than being passed on from above."""
        return self.error is not None and not (self.reader is not None and self.reader.raised is self.error)

    def doing(self) -> str:
        """What the task is doing now, in words."""
        if self.finished or self.ended_at:
            return self._ending()
        if not self.started_at:
            return "not started"
        if self.reader is not None and self.reader.channel.stats().readers_waiting:
            return "waiting for input"
        if self.writer is not None and self.writer.channel.stats().writers_waiting:
            return "waiting for room"
        return "working"

    def _ending(self) -> str:
        if self.error is not None:
            return "failed" if self.failed_here else "aborted"
        return "stopped" if self.asked else "drained" if self.drained else "finished"

    def seconds(self) -> tuple[float, float, float]:
        """Seconds working, waiting for input, and waiting for room, until now or until it ended."""
        if not self.started_at:
            return 0.0, 0.0, 0.0
        alive = (self.ended_at or perf_counter()) - self.started_at
        waited_in = waited_out = 0.0
        if self.reader is not None:
            waited_in = self.reader.channel.stats().waited_for_items + self.reader.waiting()
        if self.writer is not None:
            waited_out = self.writer.channel.stats().waited_for_room + self.writer.waiting()
        return max(0.0, alive - waited_in - waited_out - self.budget.paused), waited_in, waited_out


def _without_stops(error: BaseException) -> BaseException | None:
    """What is left of an error without the stop that was asked for; a task group around `yield` makes a group of it."""
    stops = (asyncio.CancelledError, GeneratorExit)
    if isinstance(error, BaseExceptionGroup):
        return error.split(stops)[1]
    return None if isinstance(error, stops) else error


def _explained(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error
