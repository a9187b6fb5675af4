"""Cleanup and commit that run to their end although the caller is cancelled.

What lives here: `until_done`, which waits for a future through every cancellation, and `finish`, which runs a coroutine
that way and keeps a deadline. What must not: what is cleaned up; knowledge of stages, files or uploads.

How it works. There are two kinds of cancellation, and each passes through the guard against the other. An anyio scope
cancels again at every await, so the wait happens inside `anyio.CancelScope(shield=True)`. A native `task.cancel()` goes
straight through that shield, so the work runs in a task of its own, and the caller waits for it in a loop, remembering
that it was cancelled. Nothing here calls `uncancel()`: `task.cancelling()` is left as it was found, so
`asyncio.timeout`, `asyncio.TaskGroup` and anyio scopes above still recognise their own request.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

import anyio

from streamflow.engine.telling import described
from streamflow.errors import PipelineTimeout, StageDidNotStop, UsageError

__all__ = ["finish", "until_done"]

R = TypeVar("R")

# asyncio holds tasks weakly; one that would not stop must not vanish halfway through what it does.
_left_behind: set[asyncio.Task[Any]] = set()


async def until_done(future: asyncio.Future[Any], *, within: float | None = None) -> asyncio.CancelledError | None:
    """Wait until `future` is done, or for `within` seconds, through any number of cancellations of the caller.

    Example: `cancelled = await until_done(task)`, then look at `task.done()` and `task.result()`.

    Returns the first cancellation that arrived while waiting, for the caller to raise again, or `None`. The future is
    never cancelled and its exception is not raised here.
    """
    loop = asyncio.get_running_loop()
    deadline = math.inf if within is None else loop.time() + within
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        left = math.inf
        while not future.done() and left > 0:
            left = deadline - loop.time()
            try:
                # Once even without time left, so that the work at least begins.
                await asyncio.wait((future,), timeout=None if within is None else max(0, left))
            except asyncio.CancelledError as error:
                # Its traceback would tie this frame and the exception into a cycle.
                cancelled = cancelled or error.with_traceback(None)
    return cancelled


async def finish(coroutine: Coroutine[Any, Any, R], *, grace: float | None = None) -> R:
    """Run a piece of cleanup or a commit to its end, whatever cancels the caller meanwhile.

    Example: `await finish(upload.abort(), grace=5)`.

    The coroutine runs in a task of its own, in a copy of the caller's context; its result is returned, its exception
    raised.

    Args:
        coroutine: the work. It is awaited even when the caller has been cancelled already.
        grace: its deadline in seconds; `None` for no deadline.

    Raises `PipelineTimeout` when the deadline passed and the work stopped as it was then cancelled; `StageDidNotStop`
    when it did not stop within the same time again (it is left running). Both messages say where it stood.

    Cancellation: `CancelledError` is raised after the work has ended. When the work failed too, the cancellation wins,
    with the failure as its `__cause__` and in a note.
    """
    if grace is not None and not grace >= 0:
        coroutine.close()
        raise UsageError(f"grace is a number of seconds, 0 or more, or None for no deadline; not {grace!r}")
    task = asyncio.create_task(coroutine, name=f"streamflow:finish:{_name(coroutine)}")
    cancelled = await until_done(task, within=grace)
    late: StageDidNotStop | PipelineTimeout | None = None
    if not task.done():
        late, again = await _stop(task, coroutine, grace or 0)
        cancelled = cancelled or again
    try:
        return _outcome(task, late, cancelled)
    finally:
        # An exception kept in the frame it passes through is a cycle, and keeps the items in all frames alive.
        del cancelled, late


def _outcome(task: asyncio.Task[R], late: Exception | None, cancelled: asyncio.CancelledError | None) -> R:
    try:
        try:
            result = _result(task, late)
        except BaseException as failure:
            if cancelled is None:
                raise
            cancelled.add_note(f"While being cancelled, {task.get_name()} failed: {described(failure)}")
            raise cancelled from failure
        if cancelled is not None:
            raise cancelled
        return result
    finally:
        del late, cancelled


def _result(task: asyncio.Task[R], late: Exception | None) -> R:
    try:
        if late is not None:
            raise late from _failure(task)
        return task.result()
    finally:
        del late


def _failure(task: asyncio.Task[Any]) -> BaseException | None:
    """Return what a task that was cancelled at its deadline died of, if it was something else than that."""
    return task.exception() if task.done() and not task.cancelled() else None


async def _stop(
    task: asyncio.Task[Any], coroutine: Coroutine[Any, Any, Any], grace: float
) -> tuple[StageDidNotStop | PipelineTimeout, asyncio.CancelledError | None]:
    """Cancel the overdue task, give it the same grace once more, and say how that ended."""
    where = f"{_name(coroutine)} was {_position(coroutine)}"
    task.cancel()
    # At least a few turns of the loop, or a grace of 0 could not even be answered.
    cancelled = await until_done(task, within=max(grace, 0.1))
    if task.done():
        return PipelineTimeout(f"Cleanup did not end within {grace:g} s and was cancelled: {where}."), cancelled
    _left_behind.add(task)
    task.add_done_callback(_forget)
    return StageDidNotStop(
        f"Cleanup did not end within {grace:g} s, nor when it was cancelled then: {where}."
    ), cancelled


def _forget(task: asyncio.Task[Any]) -> None:
    _left_behind.discard(task)
    # Retrieved so that the loop does not report it again: StageDidNotStop has been raised for it.
    if not task.cancelled():
        task.exception()


def _name(coroutine: object) -> str:
    return getattr(coroutine, "__qualname__", type(coroutine).__name__)


def _position(coroutine: Any) -> str:
    """Return where a suspended coroutine stands: `awaiting at file:line` of the innermost frame that can be seen."""
    inner, frame = coroutine, None
    while inner is not None:
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "ag_frame", None) or frame
        inner = getattr(inner, "cr_await", None) or getattr(inner, "ag_await", None)
    return "not started" if frame is None else f"awaiting at {frame.f_code.co_filename}:{frame.f_lineno}"
