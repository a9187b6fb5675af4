"""`serve`: run pipelines as a process does that is told by signals when to stop.

What lives here: the call, and what may be served. What must not: what a signal does (service.py), words about it
(logs.py).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias, TypeVar, overload

from streamflow.callables import name_of
from streamflow.engine.signals import listening
from streamflow.errors import UsageError
from streamflow.jobs import Job
from streamflow.limits import check_capacity
from streamflow.serving.making import made_by
from streamflow.serving.service import Runs, Service
from streamflow.serving.supervised import Supervised
from streamflow.serving.supervisor import Supervisor

__all__ = ["Served", "answer_of", "check_apart", "checked", "made", "serve", "serve_all"]

R = TypeVar("R")

Served: TypeAlias = Job[R] | Callable[[], Job[R] | Awaitable[Job[R]]]
"""A pipeline, or a function that makes one, sync or async."""


@overload
async def serve(pipeline: Supervisor, /, *, drain: float | None = ...) -> None: ...


@overload
async def serve(pipeline: Served[R], /, *, drain: float | None = ...) -> R: ...


@overload
async def serve(
    pipeline: Served[Any] | Supervisor | Supervised,
    second: Served[Any] | Supervisor | Supervised,
    /,
    *pipelines: Served[Any] | Supervisor | Supervised,
    drain: float | None = ...,
) -> list[Any]: ...


async def serve(
    pipeline: Served[Any] | Supervisor | Supervised,
    /,
    *pipelines: Served[Any] | Supervisor | Supervised,
    drain: float | None = None,
) -> Any:
    """Run a pipeline, or several side by side, until they end or a signal tells them to; return the sink's value.

    Example:
        job = sf.stream(orders).map(enrich, concurrency=16).batched(500, within=1).to(insert, name="orders")
        sf.run(sf.serve(job))                      # or asyncio.run(sf.serve(job)), or `await sf.serve(job)`

    The first SIGTERM or SIGINT drains: the sources are read no more, what they have given is finished and committed
    (`Pipeline.drain`), and `serve` returns: exit code 0. A second one, or the deadline, cancels: what is not committed
    is taken back, and `SystemExit(128 + the first signal)` is raised. The third leaves the process at once and lists on
    standard error what is unfinished. While `serve` goes on these two signals are its own, also inside `sf.run`; then
    the handlers that were there before are put back.

    It is for pipelines whose items each stand for themselves. Half of a file that is being copied would be committed as
    if it were the whole: run such a job with `sf.run(job.run())`, or with `drain=0`, which cancels at the first signal.

    Args:
        pipeline: a `Pipeline`, a function that makes one (sync or async), or a `Supervisor`, whose value is `None`.
        pipelines: more of them, run in the same event loop.
        drain: seconds from the first signal to the deadline; 0 cancels at once. `None` is 20 seconds, and for a
            `Supervisor` the `drain` that it was made with; of several the longest. What is said here counts for all.

    Returns the sink's value, or the list of them; `None` for a pipeline that had not begun when the first signal came.

    Several are drained together. If one fails, the others are drained too, and then its error is raised; errors of
    several come as an `ExceptionGroup`. Starts and ends are told on the logger `streamflow.serving`, with numbers.

    Raises what the pipelines raise, and `UsageError` for what is no pipeline. Where signals cannot be handled (outside
    the main thread, on Windows) a warning is logged and the pipelines run without.

    Cancellation: cancels the pipelines, waits until they are closed, then goes on.
    """

    async def making() -> list[Runs]:
        return [await made(each) for each in (pipeline, *pipelines)]

    values = await serve_all(making, drain)
    return values if pipelines else values[0]


async def serve_all(making: Callable[[], Awaitable[Sequence[Runs]]], drain: float | None) -> list[Any]:
    """Run what `making` returns as `serve` does; return the list of their values.

    Signals are heard from the first step on, before anything is made.
    """
    if drain is not None and (drain != 0 or isinstance(drain, bool)):
        check_capacity("drain", drain, whole=False)
    service = Service(drain)
    with listening(service.on_signal) as heard:
        if not heard:
            logging.getLogger("streamflow.serving").warning(
                "Signals are not handled here: that takes the main thread, and not Windows. Cancel the task instead."
            )
        try:
            jobs = await making()
        except asyncio.CancelledError:
            if service.told_to_stop:
                service.leave()
            raise
        check_apart(jobs)
        return await service.run(jobs)


def check_apart(jobs: Sequence[Runs]) -> None:
    """Raise `UsageError` for one that is already running, or that is among them twice."""
    things = [job.supervisor if isinstance(job, Supervised) else job for job in jobs]
    for at, job in enumerate(jobs):
        if job.running or things[at] in things[:at]:
            raise UsageError(f"{job.name} is already running, or given twice; make another Pipeline of it.")


async def made(served: Served[Any] | Supervisor | Supervised) -> Runs:
    """Return the pipeline, made by the function if it is one. Raises `UsageError` for anything else."""
    return checked(served, await answer_of(served))


async def answer_of(served: object) -> object:
    """Return what a function that is to make something gives, awaited if need be; anything else as it is."""
    if isinstance(served, Job) or not callable(served):
        return served
    return await made_by(served)


def checked(served: object, thing: object) -> Runs:
    """Return `thing`, which came of `served`, if it is a pipeline. Raises `UsageError` for anything else."""
    if isinstance(thing, (Job, Supervised)):
        return thing
    if isinstance(thing, Supervisor):
        return Supervised(thing)
    if inspect.iscoroutine(thing):
        thing.close()
    hint = "A Pipeline is made by sf.Pipeline(source, *stages, sink), or by stream.to(sink)."
    raise UsageError(f"{_described(served, thing)} {hint}")


def _described(served: object, thing: object) -> str:
    if inspect.iscoroutine(thing):
        return "Only pipelines can be served, and this is a coroutine: write sf.serve(job), not sf.serve(job.run())."
    kind = type(thing).__name__
    if thing is not served:
        return f"{name_of(served)!r} returned {kind}, not a Pipeline."
    missing = " It has no sink yet: it is a stream." if hasattr(thing, "__streamflow_parts__") else ""
    return f"Only pipelines can be served, not {kind}.{missing}"
