"""One pipeline that is kept going: the task that runs it again and again.

What lives here: `Kept`. What must not: what its states mean (states.py), several pipelines, deadlines (supervisor.py),
whether to restart (restarting.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from streamflow.engine.telling import described
from streamflow.errors import StageCancelled, UsageError
from streamflow.jobs import Job
from streamflow.observe.statistics import RunStats
from streamflow.serving.making import check_bare, made_by
from streamflow.serving.restarting import Restart, Restarts
from streamflow.serving.states import PipelineStatus, State

__all__ = ["Kept", "PipelineStatus", "Recipe"]

_log = logging.getLogger("streamflow.serving")

Recipe: TypeAlias = Job[Any] | Callable[[], Job[Any] | Awaitable[Job[Any]]]
"""How a pipeline is made for each start: a (sync or async) function, or a `Pipeline` whose source can be read again."""


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
        self.task.add_done_callback(self._settle)

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

    def _settle(self, task: asyncio.Task[None]) -> None:
        """Its task is over: see that this is said, also of one that was cancelled before its first step."""
        if task.cancelled() and not self.over:
            self._enter("cancelled")

    async def _one_run(self) -> float | None:
        """Run it once; return the pause before the next run, `None` if that was the last."""
        try:
            job = await self._made()
            if self._stopping.is_set():
                return 0.0
            self._job, self._runs = job, self._runs + 1
            self._enter("running")
            _log.info("Pipeline %s starts.", self.name, extra=self._fields("started"))
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
        job = await made_by(self._recipe)
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
            _log.info("Pipeline %s reads no more and finishes.", self.name, extra=self._fields("draining"))
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
            numbers = self._numbers()
            given = numbers is not None and numbers.stages[0].items_out > 0
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
            run=self._numbers(),
        )

    def _numbers(self) -> RunStats | None:
        try:
            return self._job.stats() if self._job is not None else None
        except UsageError:
            return None  # its run could not even begin


def _check_recipe(name: str, recipe: object) -> None:
    if isinstance(recipe, Job):
        return
    if not callable(recipe):
        raise UsageError(
            f"The pipeline {name!r} must be a function that returns a new Pipeline for each start, not "
            f"{type(recipe).__name__}. Write: lambda: sf.Pipeline(source, *stages, sink)"
        )
    check_bare(recipe)


def _asked_to_stop() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
