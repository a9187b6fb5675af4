"""Pipelines that run until they are told to stop: the ladder that signals, the deadline and failures climb.

What lives here: `Service`, one state machine over the jobs of one `serve`. What must not: how signals arrive
(engine/signals.py), what a job does when it is drained or cancelled (engine/).

The ladder has four rungs, and nothing goes down it: *running*, *draining*, *cancelling*, *leaving*. The first signal
drains; a second one cancels, and so does the deadline; the third leaves the process. A signal that finds nothing left
to do on its rung, because the deadline had cancelled already, ends the grace of what is being closed. A job that fails
makes the others drain: what they have in flight is not lost for it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

from streamflow.engine.shielding import until_done
from streamflow.engine.signals import say
from streamflow.engine.unfinished import hurry, left_running
from streamflow.jobs import Job
from streamflow.serving.logs import Telling
from streamflow.serving.supervised import Supervised

__all__ = ["DRAIN", "Runs", "Service"]

Runs: TypeAlias = Job[Any] | Supervised
"""What can be run, drained and cancelled."""

DRAIN = 20.0
"""Seconds in which a pipeline may finish."""

_SECOND, _THIRD = 2, 3
_PATIENCE = 2.0  # seconds for what does not end although it was cancelled, before it keeps a process for ever (H21)


class Service:
    """The jobs of one `serve`, from the first signal's point of view.

    Args:
        drain: seconds that the jobs have to finish once they were asked to; 0 cancels them at once; `None` leaves it to
            the jobs (`_time`).
    """

    def __init__(self, drain: float | None) -> None:
        """Run nothing yet; a signal may come already."""
        self._drain = drain
        self._signals: list[signal.Signals] = []
        self._jobs: dict[asyncio.Task[Any], Runs] = {}
        self._draining = self._cancelling = False
        self._preparing: asyncio.Task[Any] | None = asyncio.current_task()
        self._timer: asyncio.TimerHandle | None = None
        self._telling = Telling(logging.getLogger("streamflow.serving"))

    # --- running ---------------------------------------------------------------------------------------------------

    async def run(self, jobs: Sequence[Runs]) -> list[Any]:
        """Run the jobs until all have ended; return their values, or raise as `serve` says.

        Cancellation: cancels all jobs, waits until they are closed, then goes on.
        """
        self._preparing = None
        for job in jobs:
            self._jobs[asyncio.create_task(self._one(job), name=f"streamflow: {job.name}")] = job
        try:
            await self._until_over()
        except asyncio.CancelledError:
            self._cancel("serve was cancelled")
            for task in self._jobs:
                await until_done(task)
            raise
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if self._signals and left_running():
                asyncio.get_running_loop().call_later(_PATIENCE, self._leave_late)
        return self._values()

    async def _one(self, job: Runs) -> Any:
        if self._draining:
            return None  # a signal came before its first step: nothing was read
        if isinstance(job, Supervised):
            return await job.run()  # it tells itself what becomes of its pipelines
        self._telling.started(job)
        try:
            value = await job.run()
        except BaseException as error:
            self._telling.ended(job, error)
            raise
        self._telling.ended(job, None)
        return value

    async def _until_over(self) -> None:
        running = set(self._jobs)
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            failed = [self._jobs[task].name for task in done if not task.cancelled() and task.exception() is not None]
            if failed and running:
                self._finish(f"{failed[0]} failed")

    def _values(self) -> list[Any]:
        failures = [error for task in self._jobs if not task.cancelled() and (error := task.exception()) is not None]
        try:
            if len(failures) == 1:
                raise failures[0]
            if failures:
                raise BaseExceptionGroup(f"{len(failures)} pipelines failed", failures)
        finally:
            failures.clear()  # the traceback holds this frame: let the frame not hold the errors
        if any(task.cancelled() for task in self._jobs):
            self.leave()
        return [task.result() for task in self._jobs]

    def leave(self) -> None:
        """End as a process does that a signal stopped before its work was done; as cancelled, if no signal came."""
        if self._signals:
            raise SystemExit(128 + self._signals[0])
        raise asyncio.CancelledError

    # --- the ladder ------------------------------------------------------------------------------------------------

    @property
    def told_to_stop(self) -> bool:
        """Whether a signal has come."""
        return bool(self._signals)

    def on_signal(self, number: signal.Signals) -> None:
        """Climb one rung."""
        self._signals.append(number)
        if len(self._signals) >= _THIRD:
            self._leave_now()
        elif len(self._signals) == _SECOND and self._cancelling:
            names = ", ".join(hurry()) or "what is being closed"
            say(f"{number.name} again: no more waiting for {names}. Once more leaves at once.")
        elif len(self._signals) == _SECOND:
            self._cancel(f"{number.name} again")
        else:
            self._finish(number.name)

    def _finish(self, why: str) -> None:
        """Let all jobs come to their end, in time."""
        if self._draining:
            return
        self._draining = True
        seconds = self._time()
        if not seconds:
            self._cancel(why)
            return
        for task, job in self._jobs.items():
            if not task.done() and job.drain() and isinstance(job, Job):
                self._telling.draining(job, why, seconds)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._cancel, f"not finished within {seconds:g} s")

    def _time(self) -> float:
        """Return the seconds to finish: what was said, or the most that one of the jobs may take."""
        if self._drain is not None:
            return self._drain
        own = [job.supervisor.drain if isinstance(job, Supervised) else DRAIN for job in self._jobs.values()]
        return max(own, default=DRAIN)

    def _cancel(self, why: str) -> None:
        """Stop all jobs: what they have not committed is taken back."""
        if self._cancelling:
            return
        self._draining = self._cancelling = True
        if self._preparing is not None:
            self._preparing.cancel()
        for task, job in self._jobs.items():
            if not task.done():
                if job.running and isinstance(job, Job):
                    self._telling.cancelling(job, why)
                task.cancel()

    def _leave_late(self) -> None:
        if names := left_running():
            self._exit([f"no more waiting for tasks that do not end when they are cancelled ({', '.join(names)})."])

    def _leave_now(self) -> None:
        """Leave the process as it is, and say what is lost."""
        open_jobs = [job for task, job in self._jobs.items() if not task.done() and job.running]
        lines = [f"{self._signals[-1].name} for the third time: leaving with work unfinished."]
        self._exit([*lines, *(f"unfinished: {_unfinished(job)}" for job in open_jobs)])

    def _exit(self, lines: list[str]) -> NoReturn:
        try:
            for line in lines:
                say(line)
        finally:  # also where nobody can be told: the terminal is gone, standard error is closed
            os._exit(128 + self._signals[0])


def _unfinished(job: Runs) -> str:
    if isinstance(job, Supervised):
        return f"{job.name}: {job.doing()}"
    stats = job.stats()
    stages = ", ".join(
        f"{stage.name!r} ({stage.state})"
        for stage in stats.stages
        if stage.state not in {"finished", "drained", "stopped", "failed", "aborted"}
    )
    held = sum(channel.items for channel in stats.channels)
    return f"{job.name}: {held:,} items in flight; {stages or 'all stages have ended'}"
