"""One pipeline that is kept going: its states, and the task that runs it again and again.

What lives here: `Kept` and the snapshot `PipelineStatus`. What must not: several pipelines, deadlines (supervisor.py),
whether to restart (restarting.py).

    new -> starting -> running -> finished                    it ended by itself
                          |  ^
                          v  |
                       restarting                             the pause after a failure
                          |
                          v
                        failed                                too often, or by a mistake that no restart mends
    stop(): running -> draining -> drained | failed           what was in flight is finished and committed
            starting, restarting -> drained                   there is nothing in flight
    cancel(): any of them -> cancelled                        nothing is committed; everything is closed
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from streamflow.engine.telling import described
from streamflow.errors import StageCancelled, UsageError
from streamflow.jobs import Job
from streamflow.observe.statistics import RunStats
from streamflow.serving.restarting import Restart, Restarts

__all__ = ["Kept", "PipelineStatus", "Recipe", "State"]

_log = logging.getLogger("streamflow.serving")

Recipe: TypeAlias = Job[Any] | Callable[[], Job[Any] | Awaitable[Job[Any]]]
"""How a pipeline is made for each start: a (sync or async) function, or a `Pipeline` whose source can be read again."""

State: TypeAlias = Literal[
    "new",
    "starting",
    "running",
    "restarting",
    "finished",
    "failed",
    "draining",
    "drained",
    "cancelled",
]
"""Where a supervised pipeline stands."""


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """Where one supervised pipeline stands: a snapshot.

    `state` is one of `"new"`, `"starting"`, `"running"`, `"restarting"` (the pause after a failure), `"finished"` (it
    ended by itself), `"failed"` (for good), `"draining"`, `"drained"`, `"cancelled"`; `seconds` is for how long.
    `begun` says whether it ever got going. `runs` counts the starts, `failures` the runs that failed; `error` tells
    the last failure; `starts_in` is the rest of the pause in seconds. `run` has the numbers of the present run, or of
    the last.
    """

    name: str
    state: State
    seconds: float
    begun: bool
    runs: int
    failures: int
    error: str | None
    starts_in: float | None
    run: RunStats | None


class Kept:
    """A pipeline and the task that keeps it going, from `start()` until it has `ended`."""

    def __init__(self, name: str, recipe: Recipe, rule: Restart, steady: float) -> None:
        """Prepare; nothing is made yet."""
        _check_recipe(name, recipe)
        self.name = name
        self.state: State = "new"
        self.task: asyncio.Task[None] | None = None
        self._recipe = recipe
        self._restarts = Restarts(rule)
        self._steady = steady
        self._job: Job[Any] | None = None
        self._stopping = asyncio.Event()
        self._since = self._next = 0.0
        self._begun = False
        self._runs = self._failures = 0
        self._error: str | None = None

    def start(self) -> None:
        """Start the task that keeps it."""
        self._enter("starting")
        self.task = asyncio.create_task(self._keep(), name=f"streamflow:supervisor:{self.name}")

    # --- keeping ---------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        try:
            await asyncio.sleep(0)  # an eager task must not run inside the one that starts it (H24)
            while not self._stopping.is_set():
                pause = await self._one_run()
                if pause is None:
                    return
                await self._rest(pause)
            self._enter("drained")
        except asyncio.CancelledError:
            late = " before it was drained" if self.state == "draining" else ""
            self._enter("cancelled")
            _log.warning("Pipeline %s was cancelled%s.", self.name, late, extra=self._fields("cancelled"))
            raise

    async def _one_run(self) -> float | None:
        """Run it once; return the pause before the next run, `None` if that was the last."""
        try:
            job = await self._made()
            if self._stopping.is_set():
                return 0.0
            self._job, self._runs = job, self._runs + 1
            self._enter("running")
            await job.run()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the pipeline's
            return self._failed(error)
        except asyncio.CancelledError as error:
            if _asked_to_stop():
                raise
            stray = StageCancelled(f"{self.name} ended in a CancelledError although nobody cancelled it")
            stray.__cause__ = error
            return self._failed(stray)
        return self._ended()

    async def _made(self) -> Job[Any]:
        self._enter("starting")
        if isinstance(self._recipe, Job):
            return self._recipe
        made = self._recipe()
        job = await made if inspect.isawaitable(made) else made
        if not isinstance(job, Job):
            raise UsageError(
                f"The function that makes the pipeline {self.name!r} returned {type(job).__name__}, not a Pipeline. "
                f"Write `return sf.Pipeline(source, *stages, sink)`, or `.to(sink)` at the end of a stream."
            )
        return job

    def _failed(self, error: BaseException) -> float | None:
        self._begun = self.begun
        self._failures += 1
        self._error = described(error)  # the error itself would keep the frames it came through, and their items
        pause = None if self._stopping.is_set() else self._restarts.after_failure(error, self._now())
        if pause is None:
            self._enter("failed")
            _log.error("Pipeline %s has failed for good.", self.name, exc_info=error, extra=self._fields("failed"))
        else:
            self._log_restart(error, pause)
        return pause

    def _log_restart(self, error: BaseException, pause: float) -> None:
        _log.warning(
            "Pipeline %s failed and starts again in %.3g s (%s).",
            self.name,
            pause,
            self._restarts.told(),
            exc_info=error,
            extra=self._fields("restarting"),
        )

    def _ended(self) -> float | None:
        self._begun = True
        stopped = self._stopping.is_set()
        pause = None if stopped else self._restarts.after_end()
        if pause is None:
            self._enter("drained" if stopped else "finished")
            _log.info("Pipeline %s has ended: %s.", self.name, self.state, extra=self._fields(self.state))
        return pause

    async def _rest(self, pause: float) -> None:
        """Wait for the next start, or until it is stopped."""
        self._enter("restarting")
        self._next = self._since + pause
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._stopping.wait()

    def _fields(self, event: str) -> dict[str, Any]:
        return {"pipeline": self.name, "event": event, "runs": self._runs, "failures": self._failures}

    def _enter(self, state: State) -> None:
        self.state = state
        self._since = self._now()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    # --- stopping --------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Start no further run; let the present one stop reading, finish what is in flight and commit. Never waits."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self.state == "running" and self._job is not None:
            self._enter("draining")
            self._job.drain()

    def cancel(self) -> None:
        """Cancel the run: nothing is committed. Its task ends when everything is closed. Never waits."""
        self._stopping.set()
        if self.task is not None and not self.task.cancelling():
            self.task.cancel()

    # --- looking ---------------------------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """Whether it will not run any more."""
        return self.state in {"finished", "failed", "drained", "cancelled"}

    @property
    def begun(self) -> bool:
        """Whether it ever got going: its source has given an item, it ran for the steady time, or it ended well."""
        if not self._begun and self.state in {"running", "draining"}:
            given = self._job is not None and self._job.stats().stages[0].items_out > 0
            self._begun = given or self._now() - self._since >= self._steady
        return self._begun

    def status(self) -> PipelineStatus:
        """Return a snapshot."""
        now = self._now()
        return PipelineStatus(
            name=self.name,
            state=self.state,
            seconds=now - self._since if self.state != "new" else 0.0,
            begun=self.begun,
            runs=self._runs,
            failures=self._failures,
            error=self._error,
            starts_in=max(0.0, self._next - now) if self.state == "restarting" else None,
            run=self._job.stats() if self._job is not None and self._runs else None,
        )


def _check_recipe(name: str, recipe: object) -> None:
    if not isinstance(recipe, Job) and not callable(recipe):
        raise UsageError(
            f"The pipeline {name!r} must be a function that returns a new Pipeline for each start, not "
            f"{type(recipe).__name__}. Write: lambda: sf.Pipeline(source, *stages, sink)"
        )


def _asked_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
