"""The upstream of a shared stream: it runs while somebody listens.

What lives here: `Upstream` and its `Session`s. What must not: clients and what they lose (shared.py).

How it works. One task, which belongs to the block, runs a *session*: it waits until somebody listens, runs the source
into a hub, and stops it again when nobody has listened for `linger` seconds. Each session has a hub of its own, and the
next one is there before the last one is closed: who comes meanwhile joins the next.

That task is also why the upstream is no part of the run of the client that came first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from streamflow.engine.shielding import finish
from streamflow.engine.telling import described
from streamflow.operators.hub import Hub
from streamflow.streams import Stream

__all__ = ["Session", "Upstream"]

T = TypeVar("T")

_log = logging.getLogger("streamflow.web")


class Session(Generic[T]):
    """A hub, and how many listen to it."""

    def __init__(self, name: str, maxsize: int) -> None:
        """Begin without listeners."""
        self.hub: Hub[T] = Hub(maxsize, name=name)
        self.listeners = 0


class Upstream(Generic[T]):
    """A source that is run into a hub while it is wanted, from `open()` to `close()`.

    Args:
        source: what is run; opened again for each session.
        name: for statistics, errors and the log.
        maxsize: capacity in items of its channels, and of a listener who does not say otherwise.
        always: run it from the beginning, and until the end.
        linger: seconds for which it goes on when nobody listens any more.
    """

    def __init__(self, source: Stream[T], *, name: str, maxsize: int, always: bool, linger: float) -> None:
        """Nothing runs yet."""
        self.closed = False
        self.error: str | None = None
        self.sessions = 0
        self._source = source
        self._name = name
        self._maxsize = maxsize
        self._always = always
        self._linger = linger
        self._keeper: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._before = 0  # items of former sessions
        self._running = False
        self.session: Session[T] = Session(name, maxsize)
        """The one that a listener joins now."""

    @property
    def is_open(self) -> bool:
        """Whether it was opened and not closed yet."""
        return self._keeper is not None and not self.closed

    @property
    def items(self) -> int:
        """How many items it has given in all."""
        return self._before + self.session.hub.stats().published

    def state(self) -> str:
        """Return where it stands: closed, running, idle or failed."""
        if not self.is_open:
            return "closed"
        if self._running:
            return "running"
        return "idle" if self.error is None else "failed"

    # --- from its beginning to its end -----------------------------------------------------------------------------

    def open(self) -> None:
        """Be ready for listeners. It may be opened again when it is closed."""
        self.closed, self.error = False, None
        self.session, self._news = Session(self._name, self._maxsize), asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(), name=f"streamflow:shared:{self._name}")

    async def close(self) -> None:
        """Stop it; listeners get the end after what waits for them. Twice is harmless.

        Cancellation: waits all the same until it is closed, then goes on as it came.
        """
        if self._keeper is None:
            return
        self.closed = True
        self._keeper.cancel()
        await finish(_ended(self._keeper))

    def join(self) -> Session[T]:
        """Listen from now on, until `leave`."""
        self.session.listeners += 1
        self._news.set()
        return self.session

    def leave(self, session: Session[T]) -> None:
        """Listen no more."""
        session.listeners -= 1
        self._news.set()

    # --- sessions --------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        await asyncio.sleep(0)  # an eager task must not run inside the one that starts it (H24)
        try:
            if self._always:
                await self._one_session(self.session)
            while True:
                await self._until_news(lambda: self.session.listeners > 0)
                await self._one_session(self.session)
        finally:
            self.session.hub.close()

    async def _one_session(self, session: Session[T]) -> None:
        """Run the source for as long as it is wanted, and close it."""
        self.sessions += 1
        self._running, self.error = True, None
        pouring = asyncio.create_task(self._pour(session), name=f"streamflow:shared:{self._name}:upstream")
        pouring.add_done_callback(lambda _: self._news.set())
        try:
            while not pouring.done() and (self._always or session.listeners):
                await self._until_news(lambda: pouring.done() or not (self._always or session.listeners))
                await self._lingered(session, pouring)
        finally:
            pouring.cancel()
            self._before += session.hub.stats().published
            self.session = Session(self._name, self._maxsize)
            await finish(_ended(pouring))
            self._running = False

    async def _pour(self, session: Session[T]) -> None:
        """Run the source into the hub; its end is that of the hub."""
        try:
            await self._source.to(session.hub.sink(), name=self._name, maxsize=self._maxsize).run()
        except Exception as error:  # noqa: BLE001  # the listeners get it
            self.error = described(error)
            _log.error("The upstream of %s failed.", self._name, exc_info=error, extra={"pipeline": self._name})
            session.hub.fail(error)
        finally:
            session.hub.close()

    async def _lingered(self, session: Session[T], pouring: asyncio.Task[None]) -> None:
        """Wait a while for another listener, when the last one has left."""
        if self._linger and not pouring.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._linger):
                    await self._until_news(lambda: pouring.done() or session.listeners > 0)

    async def _until_news(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
