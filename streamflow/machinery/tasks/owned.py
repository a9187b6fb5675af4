"""Tasks that a stage owns: started by it, and cancelled and awaited when it ends, however it ends.

What lives here: `Owned`. What must not: what the tasks do, or how they are stopped (dismissing.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from streamflow.errors import StageCancelled
from streamflow.machinery.tasks.dismissing import dismiss

__all__ = ["Owned"]


class Owned:
    """The tasks of one stage in one run; at the end of its block all of them have ended.

    Example:
        async with Owned(failed) as tasks:
            tasks.start(work)
            yield item

    Args:
        failed: called with the error of a task that failed. One that ends in a `CancelledError` nobody asked for has
            failed, too. What a task raises while it is being stopped is raised at the end of the block, or told on the
            error that is under way there.
    """

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        """Start nothing."""
        self._failed = failed
        self._tasks: set[asyncio.Task[None]] = set()
        self._late: list[BaseException] = []
        self.leaving = False

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine function in a task of its own."""
        task = asyncio.create_task(_begun(work))
        self._tasks.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = _stray(task) if task.cancelled() else task.exception()
        if self.leaving and task.cancelling():
            self._late += [] if error is None or task.cancelled() else [error]
        elif error is not None:
            self._failed(error)  # also where it had ended before it was to be stopped, and nobody knew yet

    async def __aenter__(self) -> Self:
        """Start nothing."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop what still runs, and wait until it has ended, whatever cancels the caller meanwhile."""
        self.leaving = True
        await dismiss(self._tasks, self._late)


async def _begun(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await asyncio.sleep(0)  # an eager task must not run inside the one that starts it (H24)
    await work()


def _stray(task: asyncio.Task[None]) -> StageCancelled:
    return StageCancelled(f"{task.get_name()} of a stage ended in a CancelledError although nobody cancelled it")
