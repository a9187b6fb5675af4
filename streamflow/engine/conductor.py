"""How a run ends: one state machine over the segments of a plan.

What lives here: `Run`. What must not: what the segments do (segments), what a channel allows (channel), what their
endings come to (outcome), texts about a run (observe).

Endings travel along the channels, never around them:

* *Down*: when a segment has ended, its channel is closed, or failed with its error; the reader below takes what came
  before, then sees the end or the error (P3). A clean end is passed on only after everything above has settled, so an
  error while closing a source still reaches the sink before it commits (E15).
* *Up*: when a segment has ended for whatever reason, its input is left and the segment above is asked to stop, once, in
  the same step. So cleanup runs sink first, one after another, as if nested (X15). A cancellation from outside is the
  same thing begun at the sink; segments that have not begun are called off at once, so nothing is opened for nothing.
  A segment that somebody else has cancelled already (a loop that shuts down, a timeout of its own) is left to that: a
  second cancellation would land in its cleanup and cut it short.
* *Grace*: a segment that has not stopped `grace` seconds after it was asked is cancelled again, then once more; then
  the run ends without it and says so by name (`StageDidNotStop`).

* *Drained*: the source is made to end where it is (`Segment.end_reading`), and what was opened beside it; all the rest
  is an ending on the way down like any other.

There is no conductor task. The done-callbacks of the segment tasks drive the machine synchronously, so there is nothing
that could itself be cancelled halfway; `over` is the future that everybody waits for.

Who waits waits twice (C, H25-H27): the first wait can be cancelled and starts the stop; the second is shielded from
anyio scopes and repeats after every native cancel, so control returns only when everything is closed.

A run that starts inside another one is entered in the ledger of that one until everybody has left it (nested), and has
its grace, unless it was given one of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import anyio

from streamflow.channel import Channel
from streamflow.engine.budget import Budget
from streamflow.engine.names import place
from streamflow.engine.nested import Ledger, Numbers, dropped_in, here, sums
from streamflow.engine.outcome import Outcome
from streamflow.engine.planner import SegmentPlan, segments_of
from streamflow.engine.reader import Reader
from streamflow.engine.segments import Segment
from streamflow.engine.telling import described
from streamflow.engine.unfinished import HURRIED, give_up, running
from streamflow.engine.writer import Writer
from streamflow.stages import GRACE, Plan

__all__ = ["Run"]

_MOMENT = 0.05  # seconds until it is looked at again whether a foreign cancellation is over


class Run:
    """One execution of a plan: its segments, its channels, and how it ended.

    With a sink, `await run.wait()` gives the sink's value. Without one, the last channel's items are read from
    `run.output`, and `run.close()` ends it.
    """

    def __init__(self, plan: Plan) -> None:
        """Wire everything; nothing runs yet."""
        self.plan = plan
        self.segments: list[Segment] = []
        self.channels: list[Channel[Any]] = []
        self.output: Reader[Any] | None = None
        self.cancelled = False
        self.drained = False
        self.started_at = 0.0
        self.ended_at = 0.0
        self.grace = plan.grace
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.label = plan.name
        self.nested = Ledger(plan.grace)
        self._outer: Ledger | None = None
        self._attended = False
        self._waiters: list[asyncio.Future[None]] = []
        self._timers: list[asyncio.TimerHandle] = []
        self._wire(segments_of(plan))
        self.inlet = self.channels[0]
        """Where its items come in. For a channel that is filled from outside, and left with the run, put that here."""

    def _wire(self, segment_plans: Sequence[SegmentPlan]) -> None:
        reader: Reader[Any] | None = None
        for at, segment_plan in enumerate(segment_plans):
            budget = Budget()
            if reader is not None:
                reader.budget = budget
            writer: Writer[Any] | None = None
            last = at == len(segment_plans) - 1
            if segment_plan.sink is None:
                below = "the consumer" if last else segment_plans[at + 1].name
                channel: Channel[Any] = Channel(segment_plan.capacity, name=f"{segment_plan.name} > {below}")
                self.channels.append(channel)
                writer = Writer(channel, budget, self.plan.max_bytes)
            self.segments.append(Segment(segment_plan, reader, writer, budget))
            reader = Reader(self.channels[-1]) if writer is not None else None
        self.output = reader
        self._places = {segment: at for at, segment in enumerate(self.segments)}
        self.outcome = Outcome(self.plan, self.segments, self._places, reader)

    def start(self) -> None:
        """Start every segment's task, sink first, so that readers wait before writers write."""
        self.started_at = perf_counter()
        running.add(self)
        self._enter_outer()
        outer = place.get()
        token = here.set(self.nested)  # the tasks inherit it
        for segment in reversed(self.segments):
            segment.pipeline = self.label if outer is None else outer.pipeline
            segment.start().add_done_callback(partial(self._task_done, segment))
        here.reset(token)

    # --- within another run --------------------------------------------------------------------------------------

    def _enter_outer(self) -> None:
        self._outer = outer = here.get()
        if outer is not None:
            outer.enter(self, self.nested)
            self.grace = self.nested.grace = outer.grace if self.grace == GRACE else self.grace

    def _leave_outer(self) -> None:
        """Be forgotten by the outer run, once it is over and nobody will take its last items any more."""
        if self._outer is None or not self.over.done():
            return
        if self.output is None or self.output.channel.state == "reader gone":
            self.inlet.abandon()
            self._outer.leave(self)
            self._outer.forget(self.drain)
            self._outer = None

    def account(self) -> Numbers:
        """Return what it comes to as a part of another run."""
        channels = [channel.account() for channel in self.channels]
        if self.inlet is not self.channels[0]:
            channels.insert(0, self.inlet.account())
        failed = dropped = 0
        for segment in self.segments:
            failed = failed or segment.failed_here
            dropped += sum(dropped_in(segment))
        came, went = channels[0][0], channels[-1][1]
        return Numbers(1, int(not self.over.done()), int(failed), came, went, dropped, *sums(channels))

    def attend(self) -> None:
        """Promise to look at how it ends: what fails in it is then not told to the event loop."""
        self._attended = True

    # --- the state machine ---------------------------------------------------------------------------------------

    def _above(self, segment: Segment) -> Segment | None:
        at = self._places[segment]
        return self.segments[at - 1] if at else None

    def _below(self, segment: Segment) -> Segment | None:
        at = self._places[segment] + 1
        return self.segments[at] if at < len(self.segments) else None

    def _task_done(self, segment: Segment, _task: asyncio.Task[None]) -> None:
        self._ended(segment)

    def _ended(self, segment: Segment) -> None:
        """A segment's task is done, or was given up."""
        if segment.finished:
            return
        if segment.task is not None and segment.task.cancelled():
            segment.never_began()
        segment.finished = True
        with contextlib.suppress(Exception):  # a note on an error is a help; it must not stop the machine
            self.outcome.note_end(segment)
        if segment.error is not None and segment.writer is not None:
            segment.writer.channel.fail(segment.error)
        self._leave_input(segment)
        self._settle(segment)

    def _leave_input(self, segment: Segment) -> None:
        """Leave what a segment read, and in the same step ask the segment above to stop."""
        if segment.reader is not None:
            segment.reader.channel.abandon()
        above = self._above(segment)
        if above is not None:
            self._stop(above)

    def _stop(self, segment: Segment) -> None:
        """Ask a segment to stop, once. It is cancelled, unless the reader that left makes it end by itself."""
        if segment.asked or segment.finished:
            return
        segment.asked = True
        self._later(self.grace, self._overdue, segment, 2)
        self._cancel(segment)

    def _cancel(self, segment: Segment) -> None:
        if segment.task is None or segment.ends_by_itself():
            return
        if segment.task.cancelling():
            self._later(_MOMENT, self._cancel, segment)
        else:
            segment.task.cancel()

    def _later(self, seconds: float, action: Callable[..., None], *args: Any) -> None:
        self._timers.append(self.over.get_loop().call_later(seconds, action, *args))

    def hurry(self) -> list[str]:
        """End the grace of what is stopping, and shorten that of what will be; return the names of what is open."""
        self.grace = self.nested.grace = min(self.grace, HURRIED)
        stopping = any(segment.asked for segment in self.segments)
        still_open = [segment for segment in self.segments if stopping and not segment.finished]
        for segment in still_open:
            if segment.asked:
                self._overdue(segment, 1)
        return [f"{segment.plan.name!r} of {self.plan.name}" for segment in still_open]

    def _overdue(self, segment: Segment, tries: int) -> None:
        """The grace is over: cancel again, in case the first cancel was swallowed (H14); at last go on without it."""
        if segment.finished or segment.task is None:
            return
        if tries:
            segment.task.cancel()
            self._later(min(HURRIED, self.grace), self._overdue, segment, tries - 1)
        else:
            self._give_up(segment)

    def _give_up(self, segment: Segment) -> None:
        give_up(segment, self.grace)
        segment.ended_at = perf_counter()
        self._ended(segment)

    def _settle(self, segment: Segment | None) -> None:
        """Pass the ending of a segment down once everything above it has settled, and so on to the last one."""
        while segment is not None and self._can_settle(segment):
            segment.settled = True
            if segment.reader is not None:
                segment.reader.channel.abandon()  # what a writer in its last step still put is counted
            if segment.writer is not None:
                trouble = segment.error if segment.error is not None else self.outcome.trouble_above(segment)
                segment.writer.channel.fail(trouble) if trouble is not None else segment.writer.channel.close()
            segment = self._below(segment)
        if self.segments[-1].settled:
            self._finish()

    def _can_settle(self, segment: Segment) -> bool:
        above = self._above(segment)
        return segment.finished and not segment.settled and (above is None or above.settled)

    def _finish(self) -> None:
        if self.over.done():
            return
        self.ended_at = perf_counter()
        for timer in self._timers:
            timer.cancel()
        running.discard(self)
        self.over.set_result(None)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._leave_outer()
        if self.cancelled and not self._attended:
            self._report()

    def _report(self) -> None:
        """Nobody awaits a run whose iterator was dropped: tell the loop what failed while it was being closed."""
        for cause in self.outcome.causes():
            self.over.get_loop().call_exception_handler(
                {
                    "message": f"an error while {self.plan.name}, whose iterator was dropped, was being closed",
                    "exception": cause,
                }
            )

    # --- asking from outside -------------------------------------------------------------------------------------

    def drain(self) -> bool:
        """Stop reading sources; what they have given goes on to the end. Return whether the run goes on. Never waits.

        A source that consists of further ones (`merge`) ends when they do, and so do those beside the input of a stage.
        One whose items are pieces of a whole is left to come to its end.
        """
        if not self.started_at or self.cancelled or self.over.done():
            return False
        loop = self.over.get_loop()
        if asyncio._get_running_loop() is not loop:  # noqa: SLF001  # the documented way raises
            loop.call_soon_threadsafe(self.drain)
        elif not self.nested.drained:
            further, first, source = self.nested.drain(), self.segments[0], self.plan.source
            goes_on = not (source.whole or first.asked or first.closing or first.finished)
            self.drained = goes_on or bool(further)
            if goes_on:
                first.end_reading(by_itself=any(further) and source.composite)
        return True

    def cancel(self) -> None:
        """Stop the run: the sink first, then what is above, each when the one below has ended. Twice is harmless."""
        if self.output is not None:
            self.output.channel.abandon()
        if self.over.done():
            self._leave_outer()
            return
        self.cancelled = True
        self._stop(self.segments[-1])
        for segment in self.segments:
            if not segment.begun:
                self._stop(segment)

    async def wait(self) -> Any:
        """Wait until everything is closed; return the sink's value or raise what went wrong.

        Cancellation: stops the run, waits until everything is closed or its grace is over, then goes on as it came.
        """
        self.attend()
        try:
            await self._until_over()
        except asyncio.CancelledError as error:
            self.cancel()
            await self._wait_closed()
            self.outcome.note_on(error)
            raise
        return self.result()

    async def _until_over(self) -> None:
        """Wait for the end; a cancellation ends the wait. `asyncio.wait` would do, and take a turn of the loop more."""
        if not self.over.done():
            waiter = self.over.get_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    async def _wait_closed(self) -> None:
        with anyio.CancelScope(shield=True):
            while not self.over.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await self._until_over()

    async def close(self, *, failing: bool = False) -> None:
        """Leave as the consumer: stop what still runs, wait until it is closed, raise what failed while closing.

        `failing` says that the consumer leaves because of an error: then what failed ahead of demand counts too.
        """
        self.attend()
        if self.output is not None:
            self.output.channel.abandon()
        self._leave_outer()
        self._stop(self.segments[-1])
        try:
            if self.output is not None:
                await self.output.rest()
            await asyncio.wait([self.over])  # one turn longer, in which a stage below may say that it has enough
        except asyncio.CancelledError as error:
            await self._wait_closed()
            self.outcome.note_on(error)
            raise
        self.outcome.raise_causes(failing=failing)

    async def close_after(self, error: BaseException) -> None:
        """Close because of `error`, which is about to be raised: what fails in closing is told on it, not instead."""
        try:
            await self.close(failing=True)
        except asyncio.CancelledError:
            raise
        except BaseException as second:  # noqa: BLE001  # whatever it is, the first one is the one to see (H18)
            if second is not error:
                error.add_note(f"while {self.plan.name} was being closed because of it: {described(second)}")

    def result(self) -> Any:
        """Return the sink's value, or raise the cause bare, or the causes as a group (P4)."""
        self.outcome.raise_causes()
        if self.cancelled:
            raise asyncio.CancelledError
        return self.segments[-1].value
