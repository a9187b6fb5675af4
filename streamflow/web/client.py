"""The client at the other end of a response: whether it is still there, and how fast it reads.

What lives here: `Client`. What must not: what is sent (sending.py), the request's body (inbox.py).

A server says in three ways that a client is gone, and none is enough. `receive` gives `http.disconnect`, but only to
who asks. `send` raises `OSError`, but only with ASGI 2.4 and later. Or nothing: `send` returns at once and takes
everything (H73, H82). And a client that is there and does not read is not gone for any of them. So: one task waits in
`receive` for as long as the response lasts; the event loop gets its turns (sending.py), or that task would never run;
`send` is watched by a clock.

uvicorn keeps a note of its own beside `receive`. Where that is in reach, it is looked at before each message, and the
task is made only when there is none for a while: for a short response it would cost more than all the rest of it.

Where nobody says it at all, the connection itself is looked at now and then (looking.py).

When the client has left, the task that attends is cancelled, once, as `asyncio.timeout` does it: the run of the
response stops, and `async with` takes the cancellation back. `reason` says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType
from typing import Literal, Self, TypeAlias

from streamflow.engine.shielding import until_done
from streamflow.errors import UsageError
from streamflow.web.cutting import is_closing
from streamflow.web.inbox import Inbox, Message
from streamflow.web.looking import Looking
from streamflow.web.patience import Patience

__all__ = ["Client", "Reason", "Send"]

Send: TypeAlias = Callable[[Message], Awaitable[None]]

Reason: TypeAlias = Literal["left", "stalled", "slow", "cancelled"]
"""Why a response was given up: the client left; it read nothing for `send_timeout`; it read more slowly than
`min_rate`; or the server (or a middleware) cancelled the request."""

_WINDOW = 30.0  # seconds over which a client may be slower than `min_rate`
_FIRST_STEP = 3  # turns of the loop in which a stream that has been started takes its first step
_SHORT = 0.05  # seconds without a message until a task waits for the client to leave, where the server can be asked
_CLAIM = 1.0  # seconds in which somebody has to say that he reads a body that is here
_FOLLOWS = 0.2  # seconds in which more of a body comes that nobody reads

_UNREAD = (
    "The request has a body that nobody reads, or that request.stream() reads beside this response, which would lose "
    "parts of it. Read it with web.body(request); if it does not matter, say ignore_body=True."
)


class Client:
    """Whom a response is sent to.

    Example:
        async with Client(inbox, send, send_timeout=30, min_rate=None, ignore_body=False) as client:
            await client.send(message)
        if client.reason: ...

    Args:
        inbox: of the request.
        send: of the server.
        send_timeout: seconds that it may take to hand over one piece; `None` for no limit.
        min_rate: bytes a second that the client has to take while it is waited for; `None` for no limit.
        ignore_body: whether a body that nobody reads is dropped rather than an error.
    """

    def __init__(
        self, inbox: Inbox, send: Send, *, send_timeout: float | None, min_rate: float | None, ignore_body: bool
    ) -> None:
        """Nothing is watched yet."""
        self.reason: Reason | None = None
        self.ended = False
        self.waited = 0.0
        self._inbox = inbox
        self._send = send
        self._timeout = send_timeout
        self._patience = Patience(None, min_rate, _WINDOW)
        self._server = inbox.server
        self._ignore_body = ignore_body
        self._rated = min_rate is not None
        self._error: BaseException | None = None
        self._struck = False
        self._looks_on = False
        self._watcher: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looking: Looking | None = None
        self._short = min(_SHORT, send_timeout or _SHORT)
        self._sent_at = -math.inf
        self._deadline = math.inf
        self._running_out: Reason = "stalled"

    @property
    def gone(self) -> bool:
        """Whether it has been seen to be gone."""
        return self._inbox.gone

    # --- attending -----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Begin to watch."""
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        if self._server is None or self._server.disconnected or not self._ignore_body:
            self._begin_to_watch()
        else:
            self._timer = self._loop.call_later(self._short, self._time_is_up)
        return self

    def _begin_to_watch(self) -> None:
        self._watcher = self._loop.create_task(self._watch(), name="streamflow:web:client")
        self._look_now_and_then()

    def _look_now_and_then(self) -> None:
        if self._looking is None:
            self._looking = Looking(self._inbox.receive, self._send, gone=partial(self._leave, "left"))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """End watching. The cancellation that the watch has caused ends here; its error is raised."""
        struck, self._struck = self._struck, True
        if self._looking is not None:
            self._looking.end()
            self._looking = None  # it knows us
        if self._timer is not None:
            self._timer.cancel()
        cancelled = None
        if self._watcher is not None and not self._watcher.done():
            self._watcher.cancel()
            cancelled = await until_done(self._watcher)
        stopped = struck and await self._taken_back(cancelled or error)
        if cancelled is not None and not stopped:
            raise cancelled
        if self._error is not None and (stopped or kind is None):
            raise self._error from None
        return stopped

    async def _taken_back(self, error: BaseException | None) -> bool:
        """Take back the cancellation of `_leave`; return whether it is what ended the block, and nothing else."""
        if not isinstance(error, asyncio.CancelledError):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)  # it has not arrived yet: let it
        if self._task.uncancel() > self._cancelling:
            raise asyncio.CancelledError  # somebody else has cancelled, too
        return isinstance(error, asyncio.CancelledError)

    async def _watch(self) -> None:
        try:
            await self._until_gone()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, it is raised where the block ends
            self._error = error
        self._leave("left")

    async def _until_gone(self) -> None:
        inbox = self._inbox
        for _ in range(_FIRST_STEP):
            await asyncio.sleep(0)  # a generator that never began would never run its `finally` (H77)
        if self._ignore_body and not inbox.claimed:
            inbox.abandon()
        self._looks_on = True
        while not inbox.gone:
            if inbox.unread and self.ended:
                inbox.abandon()
            elif inbox.unread:
                await self._for_a_reader()
            else:
                await inbox.news()

    async def _for_a_reader(self) -> None:
        """Somebody must read the body that is here; if it is read past the inbox, it is torn in two (H74)."""
        inbox = self._inbox
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLAIM):
                while inbox.unread:
                    await inbox.change()
        if inbox.unread:
            raise UsageError(_UNREAD)

    def fail(self, error: BaseException) -> None:
        """Stop who attends because of an error beside it, which is raised where the block ends."""
        if not self._struck:
            self._error = error
            self._leave("left")

    def _leave(self, reason: Reason) -> None:
        """Give the client up: stop who attends, once."""
        if self._struck or (self.ended and reason == "left"):
            return  # after the last message servers say that the client is gone, whether it is or not
        self._struck = True
        self.reason = None if self._error is not None else reason
        self._task.cancel()

    # --- sending -------------------------------------------------------------------------------------------------

    async def send(self, message: Message) -> None:
        """Hand a message to the server; it waits while the client does not read.

        Cancellation: the message may have been sent. That is how it ends where the client has left.
        """
        if self._server is not None and self._server.disconnected:
            await self._until_cancelled()
        began = self._now()
        if self._rated:
            self._hasten(began)
        elif self._timeout is not None:
            self._deadline = began + self._timeout
        if self._timer is None and self._deadline < math.inf:
            self._set_timer()
        try:
            await self._send(message)
        except OSError:
            await self._until_cancelled()
        except RuntimeError:  # that is what a closed transport of uvloop says
            if not is_closing(self._inbox.receive, self._send):
                raise
            await self._until_cancelled()
        finally:
            self._deadline = math.inf
            self._sent_at = self._now()
            self.waited += self._sent_at - began
        if self._rated:
            self._patience.waited(self._sent_at - began)
            self._patience.received(len(message.get("body", b"")))

    async def last_look(self) -> None:
        """See before the end whether the client is there: a response may be over before the watch has begun."""
        if self._server is None:
            await asyncio.sleep(0)
        while self._watcher is not None and not (self._looks_on or self._watcher.done()):  # noqa: ASYNC110  # 3 turns
            await asyncio.sleep(0)
        if self._struck:
            await self._loop.create_future()  # it is cancelled here
        if self._inbox.unread:
            await self._drop_the_body()

    async def _drop_the_body(self) -> None:
        """Do without what nobody has read: it would lie in the way of the end (lingering.py).

        Where nothing follows what is here, and that is not the end, somebody else has had the rest (H74).
        """
        torn = not (self._inbox.whole or self._ignore_body)
        self._inbox.abandon()
        if torn:
            try:
                async with asyncio.timeout(_FOLLOWS):
                    await self._inbox.change()
            except TimeoutError:
                raise UsageError(_UNREAD) from None

    async def _until_cancelled(self) -> None:
        """The server says that the client has left."""
        self.ended = False
        self._leave("left")
        await self._loop.create_future()

    def _hasten(self, began: float) -> None:
        """Set the deadline, where patience may end before `send_timeout` does."""
        left = self._patience.left()
        slow = left is not None and (self._timeout is None or left < self._timeout)
        limit = left if slow else self._timeout
        assert limit is not None
        self._deadline = began + limit
        self._running_out = "slow" if slow else "stalled"
        if self._timer is not None and self._deadline < self._timer.when():
            self._set_timer()

    def _set_timer(self) -> None:
        """One timer serves many sends: it looks again when it is due."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer, now = None, self._now()
        if self._deadline <= now:
            self._leave(self._running_out)
        elif self._watcher is None and now - self._sent_at < self._short:
            self._timer = self._loop.call_later(self._short, self._time_is_up)  # each message asks the server itself
            self._look_now_and_then()
        else:
            if self._watcher is None:
                self._begin_to_watch()
            if self._deadline < math.inf:
                self._set_timer()
