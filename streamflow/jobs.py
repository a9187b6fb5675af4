"""A plan with a sink that can be run, watched while it runs, and asked afterwards how it went.

What lives here: `Job`, the running half of `Pipeline`. What must not: composing (streams.py), how a run ends (engine/).
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar, cast

from streamflow.engine.conductor import Run
from streamflow.engine.telling import described
from streamflow.errors import UsageError
from streamflow.observe.explain import explain
from streamflow.observe.report import Report
from streamflow.observe.statistics import RunStats, snapshot
from streamflow.stages import Plan

__all__ = ["Job"]

R_co = TypeVar("R_co", covariant=True)


class Job(Generic[R_co]):
    """A plan that can be run: `Job(plan)`. Users meet it as `sf.Pipeline`.

    Example: `value = await Job(plan).run()`
    """

    def __init__(self, plan: Plan) -> None:
        """Prepare; nothing runs yet."""
        self._plan = plan
        self._run: Run | None = None
        self._ending: tuple[str, str | None] | None = None
        self._report: Report | None = None

    def __repr__(self) -> str:
        """Show the names of its steps and where it stands."""
        plan = self._plan
        names = [plan.source.name, *(stage.name for stage in plan.stages), plan.sink.name if plan.sink else ""]
        return f"<{type(self).__name__} {plan.name!r} {' > '.join(names)}: {self._state()}>"

    @property
    def name(self) -> str:
        """The name it was given, or `"pipeline"`."""
        return self._plan.name

    @property
    def running(self) -> bool:
        """Whether a run of it goes on."""
        return self._run is not None and not self._run.over.done()

    def _state(self) -> str:
        if self._run is None:
            return "not run"
        return "running" if self._ending is None else self._ending[0]

    async def run(self) -> R_co:
        """Run to the end; return the sink's value. May be called again after it ended, if the source can be read again.

        Returns only when the last stage has flushed, the sink has committed and everything is closed. Raises the first
        real failure bare, with a note that names the stage; several independent ones as an `ExceptionGroup`. Raises
        `UsageError` while it is running already.

        Cancellation: stops every stage, sink first, waits until all are closed (at most about `grace` seconds each),
        then goes on; what the sink had accepted is committed whole or not at all.
        """
        if self.running:
            raise UsageError(f"{self._plan.name} is already running; make another Pipeline to run it twice at once.")
        self._ending = self._report = None
        self._run = run = Run(self._plan)
        run.start()
        outcome, error = "succeeded", None
        try:
            return cast("R_co", await run.wait())
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except BaseException as failure:
            outcome, error = "failed", described(failure)
            raise
        finally:
            self._ending = "drained" if run.drained and outcome == "succeeded" else outcome, error

    def drain(self) -> bool:
        """Stop reading the source, finish what is in flight and commit: `run()` then returns the sink's value.

        Example:
            running = asyncio.create_task(job.run())
            ...
            job.drain()
            total = await running                  # of all that the source had given

        Returns at once: whether there is a run that comes to its end now. Without one (before the start, after the end,
        in a run that is being cancelled) it does nothing; neither does a second call. It may be called from any thread.
        `report.outcome` is then `"drained"`.

        What the source has given is delivered, also the item that waits for room; the stages see an ordinary end. A
        source that waits for its next item is cancelled at that `await`, in its own task, and its `finally` runs; one
        that stands at its `yield` is closed there. A plain iterable ends at the item that it is at. It is for sources
        whose items each stand for themselves: half of a file is delivered as if it were the whole.

        Nothing here waits, so nothing can be cancelled; a run that drains is cancelled as ever.
        """
        return self._run is not None and self._run.drain()

    def stats(self) -> RunStats:
        """Return the numbers of the run that goes on, or of the last one. Raises `UsageError` before the first."""
        if self._run is None:
            raise UsageError(f"{self._plan.name} has not been run: there are no numbers before `await pipeline.run()`.")
        return snapshot(self._run)

    @property
    def report(self) -> Report:
        """How the last run went, drawn up when it is first asked for. Raises `UsageError` before the run has ended."""
        if self._run is None or self._ending is None:
            raise UsageError(
                f"{self._plan.name} has not ended: there is a report after `await pipeline.run()`. "
                f"For the numbers of a run that goes on write pipeline.stats()."
            )
        if self._report is None:
            self._report = Report(snapshot(self._run), *self._ending)
        return self._report

    def explain(self) -> str:
        """Return the plan as text: tasks, channels, fused stages, threads, and the most that is held in memory."""
        return explain(self._plan)
