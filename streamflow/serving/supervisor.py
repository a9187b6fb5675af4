"""Several pipelines kept going together: `Supervisor`.

What lives here: starting them, their health as one, and their common end. What must not: one pipeline's life (kept.py),
when to restart (restarting.py), servers (web/), signals (serve.py).

How it works. Each pipeline has a task of its own, which runs it, pauses after a failure and runs it again. One that
fails for good disturbs no other: that is for `health()` to tell. At the end each is drained; those that have not ended
at the deadline are cancelled; and control returns only when everything is closed, whatever cancels the caller
meanwhile. Whoever is cancelled is in a hurry: then nothing is drained any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from streamflow.engine.clock import seconds_of
from streamflow.engine.shielding import finish
from streamflow.errors import UsageError
from streamflow.serving.kept import Kept, Recipe
from streamflow.serving.restarting import Restart
from streamflow.serving.states import PipelineStatus, State

__all__ = ["Health", "Supervisor"]


@dataclass(frozen=True, slots=True)
class Health:
    """What an orchestrator asks for: a snapshot.

    `healthy`: no pipeline has failed for good; if one has, restart the process. `ready`: every pipeline has got going
    at least once, none has failed for good, and the supervisor is not stopping. `stopping`: it is. `states` has the
    state of each pipeline by name.
    """

    healthy: bool
    ready: bool
    stopping: bool
    states: Mapping[str, State]


class Supervisor:
    """Keeps named pipelines going for a block: restarts those that fail, drains them all at the end.

    Example:
        def orders() -> sf.Pipeline:
            return sf.Pipeline(queue_of_orders, sf.map(enrich, concurrency=16), sf.batched(500), write_to_database)

        async with sf.Supervisor({"orders": orders}) as supervisor:
            await something_else()              # meanwhile: supervisor.health(), supervisor.stats()

    In a web application `web.lifespan(supervisor)` is that block.

    Args:
        pipelines: names and, for each, a (sync or async) function that returns a new `Pipeline` for every start; or a
            `Pipeline`, if its source can be read again.
        restart: what to do when one has ended; `add()` takes a rule for a single one.
        drain: seconds that the pipelines may take at the end, together, to finish what is in flight; then they are
            cancelled, which takes at most their `grace` more.
        steady: seconds of running after which a pipeline has got going, even if no item has come yet.

    Raises `UsageError` for what cannot mean anything. A failure of a pipeline is never raised here: it is logged
    (logger `streamflow.serving`) and told by `health()` and `stats()`. It may be entered again after its end.

    Cancellation: of the block or of the draining, cancels what still runs at once, waits until it is closed, and then
    goes on as it came.
    """

    def __init__(
        self,
        pipelines: Mapping[str, Recipe] | None = None,
        *,
        restart: Restart | None = None,
        drain: float = 20.0,
        steady: float = 1.0,
    ) -> None:
        """Check and prepare; nothing runs before `async with`."""
        self._restart = restart or Restart()
        self.drain = seconds_of("Supervisor(drain)", drain)
        """Seconds that the pipelines may take at the end."""
        self._steady = seconds_of("Supervisor(steady)", steady)
        self._recipes: dict[str, tuple[Recipe, Restart]] = {}
        self._kept: dict[str, Kept] = {}
        self._running = False
        self.stopping = asyncio.Event()
        """Set when the end begins, for what would go on for ever: `stream.take_until(supervisor.stopping)`."""
        for name, recipe in (pipelines or {}).items():
            self.add(name, recipe)

    def __repr__(self) -> str:
        """Show the names and where they stand."""
        states = ", ".join(f"{name} {kept.state}" for name, kept in self._kept.items())
        return f"<Supervisor: {states or 'not started'}>"

    def add(self, name: str, recipe: Recipe, *, restart: Restart | None = None) -> None:
        """Supervise one more; inside the block it starts at once.

        Args:
            name: for health, statistics and the log; each only once.
            recipe: a function that returns a new `Pipeline`, or a `Pipeline`.
            restart: what to do when it has ended; `None` for the supervisor's own rule.

        Raises `UsageError` for a name that is taken, for what makes no pipeline, and when the end has begun.
        """
        if name in self._recipes:
            raise UsageError(f"There is a pipeline {name!r} in this supervisor already. Give each its own name.")
        if self._running and self.stopping.is_set():
            raise UsageError(f"The supervisor is stopping: {name!r} cannot be started any more.")
        rule = restart or self._restart
        kept = Kept(name, recipe, rule, self._steady)
        self._recipes[name] = recipe, rule
        self._kept[name] = kept
        if self._running:
            kept.start()

    # --- the block -------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Start every pipeline. Raises `UsageError` when it runs already."""
        if self._running:
            raise UsageError("This supervisor runs already; make another one for another block.")
        self._running = True
        if self.stopping.is_set():  # of the block before; else it stays, since somebody may wait for it already
            self.stopping = asyncio.Event()
        self._kept = {name: Kept(name, *made, self._steady) for name, made in self._recipes.items()}
        for kept in self._kept.values():
            kept.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Drain, at the deadline cancel, and return when everything is closed; if cancelled, cancel at once."""
        try:
            await (self._cancelled() if isinstance(error, asyncio.CancelledError) else self.stop())
        finally:
            self._running = False

    async def stop(self, deadline: float | None = None) -> None:
        """End early what the end of the block ends: drain every pipeline, then cancel. Twice is harmless.

        Args:
            deadline: seconds for the draining; `None` for what the supervisor was made with.

        Cancellation: cancels the pipelines at once, waits until they are closed, then goes on as it came.
        """
        self.begin_stop()
        try:
            if tasks := self._tasks():
                await asyncio.wait(tasks, timeout=self.drain if deadline is None else deadline)
        finally:
            await self._cancelled()

    def begin_stop(self) -> None:
        """Ask every pipeline to stop reading and to finish, without a deadline. Never waits: `wait()` does."""
        self.stopping.set()
        for kept in self._kept.values():
            kept.stop()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [kept.task for kept in self._kept.values() if kept.task is not None and not kept.task.done()]

    def cancel(self) -> None:
        """Cancel every pipeline that still runs, also while it is drained. Never waits: the end of the block does."""
        self.stopping.set()
        for kept in self._kept.values():
            kept.cancel()

    async def _cancelled(self) -> None:
        """Cancel what still runs, and wait until it is closed, whatever cancels the caller meanwhile."""
        self.cancel()
        if tasks := self._tasks():
            await finish(_all_done(tasks))

    async def wait(self) -> None:
        """Wait until no pipeline goes on any more: each has finished or failed for good, or was stopped.

        Example, a worker with several pipelines: `async with supervisor: await supervisor.wait()`.
        Cancellation: ends the wait, no pipeline.
        """
        while tasks := self._tasks():
            await asyncio.wait(tasks)

    # --- looking ---------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether every pipeline has got going at least once, none has failed for good, and nobody is stopping them."""
        return self.health().ready

    def health(self) -> Health:
        """Return what an orchestrator asks for; `web.status()` answers with it."""
        stopping = self.stopping.is_set()
        healthy = all(kept.state != "failed" for kept in self._kept.values())
        begun = self._running and all(kept.begun for kept in self._kept.values())
        states = {name: kept.state for name, kept in self._kept.items()}
        return Health(healthy=healthy, ready=healthy and begun and not stopping, stopping=stopping, states=states)

    def stats(self) -> dict[str, PipelineStatus]:
        """Return a snapshot of each pipeline by its name: its state, its restarts, the numbers of its run."""
        return {name: kept.status() for name, kept in self._kept.items()}


async def _all_done(tasks: list[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)
