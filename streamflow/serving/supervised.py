"""A supervisor as something to serve.

What lives here: `Supervised`, which gives a `Supervisor` the face of a pipeline that is run and drained. What must not:
restarts, states (supervisor.py), signals and deadlines (service.py).
"""

from __future__ import annotations

from streamflow.errors import StageError
from streamflow.serving.supervisor import Supervisor

__all__ = ["Supervised"]


class Supervised:
    """Runs a supervisor until all its pipelines have ended, by themselves or drained."""

    name = "supervisor"

    def __init__(self, supervisor: Supervisor) -> None:
        """Start nothing yet."""
        self.supervisor = supervisor
        self.running = False

    async def run(self) -> None:
        """Keep the pipelines going. Raises `StageError` if one failed for good, or was cancelled by somebody else.

        Cancellation: cancels the pipelines, waits until they are closed, then goes on.
        """
        self.running = True
        try:
            async with self.supervisor:
                await self.supervisor.wait()
        finally:
            self.running = False
        self._raise_what_failed()

    def drain(self) -> bool:
        """Drain every pipeline; return whether they go on. Never waits, and sets no deadline."""
        if self.running:
            self.supervisor.begin_stop()
        return self.running

    def doing(self) -> str:
        """Say where each pipeline stands."""
        return ", ".join(f"{name!r} ({state})" for name, state in self.supervisor.health().states.items())

    def _raise_what_failed(self) -> None:
        stats = self.supervisor.stats()
        failed = [
            f"{name}: {status.error or 'cancelled'}"
            for name, status in stats.items()
            if status.state in {"failed", "cancelled"}
        ]
        if failed:
            raise StageError(f"{len(failed)} of {len(stats)} supervised pipelines failed for good: {'; '.join(failed)}")
