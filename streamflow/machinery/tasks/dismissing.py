"""The end of tasks that work for a stage: cancelled and awaited, whatever happens meanwhile.

What lives here: `dismiss`. What must not: what the tasks do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Set as AbstractSet

import anyio

__all__ = ["dismiss"]


async def dismiss(workers: AbstractSet[asyncio.Task[None]], late: list[BaseException]) -> None:
    """Cancel the workers and wait until the set is empty, whatever cancels the caller meanwhile.

    Args:
        workers: tasks that leave the set when they are done.
        late: what their calls raised instead of being cancelled; it is raised, or told on the error that is under way.

    A further cancellation is passed on to calls that have swallowed the first one, and raised in the end.
    """
    pending = sys.exception()
    cancelled = await _all_gone(workers)
    try:
        if cancelled is not None:
            raise cancelled
        for error in late:
            if not isinstance(pending, Exception):
                raise error
            pending.add_note(f"while it was being cancelled, another call failed: {type(error).__name__}: {error}")
    finally:
        late.clear()
        del pending, cancelled


async def _all_gone(workers: AbstractSet[asyncio.Task[None]]) -> asyncio.CancelledError | None:
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while workers:
            for worker in workers:
                worker.cancel()
            try:
                await asyncio.wait(workers)
            except asyncio.CancelledError as error:
                cancelled = error.with_traceback(None)
    return cancelled
