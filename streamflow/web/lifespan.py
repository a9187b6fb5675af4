"""Pipelines and shared streams that live as long as the application: `lifespan`.

What lives here: the order in which things begin and end. What must not: supervision (serving/), shared streams
(shared.py), routes (status.py).

The order. At the start: the user's own lifespan, so that pipelines find their database open; then the pipelines, then
the shared streams. When the server begins to stop, and still waits for its open responses: the shared streams end, and
`supervisor.stopping` is set, so that live responses end, too. When the server says so, after the last response: the
pipelines are drained, at the deadline cancelled; responses that the server has cancelled are waited for; then the
user's own lifespan ends. Nothing returns before everything below it is closed.

No signal handler is installed unasked: signals are the server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, TypeAlias

from streamflow.engine.shielding import finish
from streamflow.errors import UsageError
from streamflow.serving.kept import Recipe
from streamflow.serving.supervisor import Supervisor
from streamflow.stages import GRACE
from streamflow.web.shared import Shared
from streamflow.web.shutdown import Cleanups, Shutdown

__all__ = ["Lifespan", "OwnLifespan", "Supervised", "lifespan"]

Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]
"""What `FastAPI(lifespan=)` and `Starlette(lifespan=)` take: a function of the application."""

OwnLifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]
"""The same as users write it, with or without a state."""

Supervised: TypeAlias = Supervisor | Mapping[str, Recipe] | Callable[[Any], Supervisor | Mapping[str, Recipe]]
"""What is to be kept going: a supervisor, named pipelines, or a function of the application that returns these."""


def lifespan(
    supervised: Supervised | None = None,
    *,
    shared: Sequence[Shared[Any]] = (),
    own: OwnLifespan | None = None,
    drain: float = 20.0,
    note_signals: bool = False,
) -> Lifespan:
    """Keep pipelines and shared streams going as long as an application lives.

    Example:
        def orders() -> sf.Pipeline:
            return sf.Pipeline(queue_of_orders, sf.map(enrich, concurrency=16), write_to_database)

        app = FastAPI(lifespan=web.lifespan({"orders": orders}))
        app.mount("/pipelines", web.status())

    Pipelines that need what the application has opened: `web.lifespan(lambda app: {"orders": lambda:
    orders(app.state.pool)}, own=open_the_pool)`.

    In a handler the supervisor is `request.app.state.supervisor` and `request.state.supervisor`; what the user's own
    lifespan yields is in `request.state` as well.

    Args:
        supervised: a `Supervisor`; or names and functions that each return a new `Pipeline`; or a function of the
            application that returns one of these, called when `own` has begun.
        shared: streams for many clients, which are open meanwhile.
        own: the application's own lifespan: it begins first and ends last.
        drain: seconds in which pipelines may finish what is in flight when the application shuts down; those that have
            not ended then are cancelled, which takes at most their `grace` more. It counts only where no `Supervisor`
            is given, which has its own. What kills the process has to wait for longer than both, and for longer than
            the server waits for its responses (`timeout_graceful_shutdown` of uvicorn).
        note_signals: see SIGINT and SIGTERM before the server does, and pass them on to it. uvicorn does not need it.
            granian and hypercorn tell only after their last response that they stop, and wait for a live one for ever
            (hypercorn on Python 3.11 breaks it off): with this, live responses end by themselves at once. A worker
            process of hypercorn gets no signal when it has to stop, but sees it all the same. Where there are several,
            the first that has ended has the others killed: with this, they go on to their end.

    A pipeline that fails does not end the application: it is logged, and told by `web.status()`. What `own` raises is
    raised. Only the lifespan of the outermost application counts: those of mounted ones are not run by Starlette.

    Cancellation: a server that is in a hurry cancels instead of shutting down; then the pipelines are cancelled at
    once, and everything is closed before it goes on.
    """

    @asynccontextmanager
    async def around(app: Any) -> AsyncGenerator[Mapping[str, Any], None]:
        async with AsyncExitStack() as stack:
            given = await stack.enter_async_context(own(app)) if own is not None else None
            supervisor = _supervisor(supervised, app, drain)
            await stack.enter_async_context(_watched(supervisor, shared, note_signals=note_signals))
            await stack.enter_async_context(supervisor)
            for one in shared:
                await stack.enter_async_context(one)
            app.state.supervisor, app.state.shared = supervisor, tuple(shared)
            yield {**(given or {}), "supervisor": supervisor}

    return around


def _supervisor(supervised: Supervised | None, app: Any, drain: float) -> Supervisor:
    made = supervised(app) if callable(supervised) else supervised
    if isinstance(made, Supervisor):
        return made
    if made is not None and not isinstance(made, Mapping):
        raise UsageError(
            f"web.lifespan takes a Supervisor, or pipelines by name, or a function of the application that returns one "
            f'of these; not {type(made).__name__}. Write web.lifespan({{"orders": make_orders}}).'
        )
    return Supervisor(made, drain=drain)


@asynccontextmanager
async def _watched(
    supervisor: Supervisor, shared: Sequence[Shared[Any]], *, note_signals: bool
) -> AsyncGenerator[None, None]:
    """End what never ends as soon as the server begins to stop, and do not keep it waiting when it is in a hurry."""
    server, cleanups = Shutdown(), Cleanups()

    async def watch() -> None:
        await server.until(server.begun)
        supervisor.stopping.set()
        async with asyncio.TaskGroup() as closing:  # side by side: one that closes slowly keeps nobody waiting
            for one in shared:
                closing.create_task(one.close(), name="streamflow:lifespan:close")
            await server.until(server.hurried)
            supervisor.cancel()

    with server.noting() if note_signals else nullcontext():
        task = asyncio.create_task(watch(), name="streamflow:lifespan:watch")
        try:
            yield
            await cleanups.over(min(supervisor.drain, GRACE))
        finally:
            task.cancel()
            await finish(_over(task))


async def _over(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
