"""The run of one task by itself: no channel, nothing above or below it.

What lives here: `Lone`. What must not: what the task does; how endings travel between segments (conductor.py).

A response that sends what its source gives has nothing to hand over. As a `Run` it would have a channel that stays
empty, a reader that waits for nothing and a state machine of one state, and making those takes longer than sending a
small answer. What is left are the promises, and they are kept by the same parts: the task is a `Segment`, which tells a
stop from a failure (P4); what it comes to is an `Outcome`; it is asked to stop once, has its grace, is cancelled twice
more and then left, by name; runs inside it are in its ledger; and whoever waits is let go only when it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any

from streamflow.channel import Channel
from streamflow.engine.budget import Budget
from streamflow.engine.names import place
from streamflow.engine.nested import Ledger, Numbers, here
from streamflow.engine.outcome import Outcome
from streamflow.engine.planner import Part, SegmentPlan
from streamflow.engine.segments import Segment
from streamflow.engine.shielding import until_done
from streamflow.engine.unfinished import HURRIED, give_up, running
from streamflow.stages import GRACE, Plan

__all__ = ["Lone"]


class Lone:
    """One execution of a source that does its work by itself. `await lone.run()`, once.

    Args:
        plan: of the source; it has no stages and no sink.
        work: what the task does.
    """

    def __init__(self, plan: Plan, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Nothing runs yet."""
        self.plan = plan
        self.label = plan.name
        self.grace = plan.grace
        self.nested = Ledger(plan.grace)
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.started_at = 0.0
        self.ended_at = 0.0
        self._segment = _Working(SegmentPlan((Part(1, plan.source),)), work)
        self._waiter: asyncio.Future[None] | None = None
        self._outer: Ledger | None = None
        self.segments = [self._segment]
        self.channels: list[Channel[Any]] = []
        self._outcome = Outcome(plan, self.segments, {self._segment: 0}, None)

    async def run(self) -> None:
        """Run it to its end. Raises what the work raises.

        Cancellation: stops it, waits until it has ended or its grace is over, then goes on as it came.
        """
        task = self._start()
        self._waiter = self.over.get_loop().create_future()
        try:
            await self._waiter
        except asyncio.CancelledError as error:
            await self._stop(task)
            self._outcome.note_on(error)
            raise
        self._outcome.raise_causes(failing=True)

    def _start(self) -> asyncio.Task[None]:
        self.started_at = perf_counter()
        running.add(self)
        self._outer = here.get()
        if self._outer is not None:
            self._outer.enter(self, self.nested)
            self.grace = self.nested.grace = self._outer.grace if self.grace == GRACE else self.grace
        outer = place.get()
        token = here.set(self.nested)  # the task inherits it
        self._segment.pipeline = self.label if outer is None else outer.pipeline
        task = self._segment.start()
        here.reset(token)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._segment.never_began()
        self._finish()

    def _finish(self) -> None:
        """The task has ended, or was given up."""
        if self.over.done():
            return
        self._segment.finished = True
        with contextlib.suppress(Exception):  # a note on an error is a help
            self._outcome.note_end(self._segment)
        self.ended_at = perf_counter()
        running.discard(self)
        self.over.set_result(None)
        if self._outer is not None:
            self._outer.leave(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _stop(self, task: asyncio.Task[None]) -> None:
        """Cancel it, wait for its grace; twice more, in case the cancellation was swallowed (H14)."""
        self._segment.asked = True
        if not task.cancelling():  # else somebody has, and a second one would land in the cleanup
            task.cancel()
        for again in range(3):
            await until_done(self.over, within=min(HURRIED, self.grace) if again else self.grace)
            if self.over.done():
                return
            task.cancel()
        give_up(self._segment, self.grace)
        self._finish()

    def hurry(self) -> list[str]:
        """End its grace if it is stopping; return its name if it is still open."""
        self.grace = self.nested.grace = min(self.grace, HURRIED)
        if not self._segment.asked or self._segment.task is None:
            return []
        self._segment.task.cancel()
        return [f"{self._segment.plan.name!r} of {self.plan.name}"]

    def account(self) -> Numbers:
        """Return what it comes to as a part of another run: it hands no items over."""
        return Numbers(1, int(not self.over.done()), int(self._segment.failed_here))


class _Working(Segment):
    """A segment with a body of its own."""

    def __init__(self, plan: SegmentPlan, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(plan, None, None, Budget())
        self._work = work

    def _body(self) -> Coroutine[Any, Any, None]:
        return self._work()
