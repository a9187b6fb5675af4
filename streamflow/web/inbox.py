"""The one reader of an ASGI `receive`: a request's body and the news that the client is gone come the same way.

What lives here: `Inbox`. What must not: limits on a body (requests.py), what is done when the client is gone
(client.py).

Two parties want messages: whoever reads the body, and the response, which waits for `http.disconnect`. If both call
`receive`, each throws away what the other needs: an upload is lost with status 200 (H74). So both ask here.

How it works. One of them at a time waits in `receive`; the other waits for what comes of it. One message of the body is
kept until it is taken, and nothing is received before that, so a slow reader stops the client. A reader that has enough
says so (`abandon`); then what comes is dropped, so that a disconnect is still seen behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from streamflow.errors import UsageError
from streamflow.web.refusals import ClientDisconnected

__all__ = ["Inbox", "Receive"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

_KEY = "streamflow.inbox"  # in the scope


class Inbox:
    """What a client sends in one HTTP request.

    Example:
        inbox = Inbox.of(scope, receive)
        data, more = await inbox.body_message()
        await inbox.disconnected()

    `gone` says whether the client has been seen to be gone, `claimed` how many read the body here or are
    going to.
    """

    def __init__(self, receive: Receive) -> None:
        """Read from `receive`, which nobody else calls from now on."""
        self.gone = False
        self.claimed = 0
        self.receive = receive
        self._held: tuple[bytes, bool] | None = None
        self._whole = False  # nothing more will come of the body
        self._dropping = self._lost = False
        self._receiving = False
        self._waiters: list[asyncio.Future[None]] = []

    @classmethod
    def of(cls, scope: MutableMapping[str, Any], receive: Receive) -> Inbox:
        """Return the inbox of a request for who reads its body: the one that its scope holds, or a new one."""
        inbox = cls.watching(scope, receive)
        inbox.claimed += 1
        inbox._changed()  # noqa: SLF001  # its own
        return inbox

    @classmethod
    def watching(cls, scope: MutableMapping[str, Any], receive: Receive) -> Inbox:
        """Return the same for who only wants to know when the client is gone."""
        inbox = scope.get(_KEY)
        # A middleware may have put a `receive` of its own before the app that it calls.
        if not isinstance(inbox, Inbox) or inbox.receive != receive:
            inbox = scope[_KEY] = Inbox(receive)
        return inbox

    @staticmethod
    def forget(scope: MutableMapping[str, Any]) -> None:
        """Take it out of the scope: the scope, the inbox and the server's `receive` hold each other in a circle."""
        scope.pop(_KEY, None)

    @property
    def server(self) -> Any:
        """What is behind `receive`, if it can be asked whether the client is gone (`disconnected`): that of uvicorn."""
        behind = getattr(self.receive, "__self__", None)
        return behind if isinstance(getattr(behind, "disconnected", None), bool) else None

    @property
    def unread(self) -> bool:
        """Whether bytes of a body are here that nobody has said to read."""
        return self._held is not None and not self.claimed

    @property
    def whole(self) -> bool:
        """Whether all of the body has come here."""
        return self._whole

    async def body_message(self) -> tuple[bytes, bool]:
        """Return the next bytes of the body, and whether more may come; `(b"", False)` after the end.

        Raises `ClientDisconnected` where the client is gone before the end of the body, `UsageError` where some of it
        was dropped before anybody asked. Cancellation: nothing is lost that has arrived here; a message that the server
        hands over in that very moment may be.
        """
        self.claimed, self._dropping = max(self.claimed, 1), False
        while self._held is None:
            if self._lost:
                raise UsageError(
                    "The body of this request was dropped before it was asked for: it is a GET or the like, or the "
                    "response was told ignore_body=True. Call web.body(request) before the response is sent."
                )
            if self._whole:
                return b"", False
            if self.gone:
                raise ClientDisconnected
            await self._step()
        held, self._held = self._held, None
        self._changed()
        return held

    async def disconnected(self) -> None:
        """Return when the client is gone. Cancellation: nothing is lost."""
        while not self.gone:
            await self.news()

    async def news(self) -> None:
        """Wait until something has come or changed, receiving it where nobody else does. Cancellation: as `change`."""
        if self._held is None:
            await self._step()
        else:
            await self.change()

    def unclaim(self) -> None:
        """One who was going to read the body will not."""
        self.claimed -= 1
        self._changed()

    def abandon(self) -> None:
        """Nobody reads the rest of the body: drop it as it comes."""
        self._dropping = True
        self._lost = self._lost or self._held is not None
        self._held = None
        self._changed()

    async def _step(self) -> None:
        """Receive one message, or wait until who does that has."""
        if self._receiving:
            await self.change()
            return
        self._receiving = True
        try:
            self._take_in(await self.receive())
        finally:
            self._receiving = False
            self._changed()

    def _take_in(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            self.gone = True
        elif message["type"] == "http.request":
            data, more = message.get("body") or b"", bool(message.get("more_body", False))
            self._whole = self._whole or not more
            if data and self._dropping:
                self._lost = True
            elif data:
                self._held = data, more

    async def change(self) -> None:
        """Wait until a message came or was taken, or somebody else has to receive. Cancellation: nothing is lost."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)

    def _changed(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
