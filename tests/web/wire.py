"""A client and a server in one, for tests that need no real one: what comes is scripted, what is sent is kept."""

from __future__ import annotations

import asyncio
import itertools


class Wire:
    """Give it to an app: `await app(wire.scope, wire.receive, wire.send)`.

    `messages` are bodies of the request, in order; then `receive` waits until `leave()`. While `hold()` is in force no
    `send` returns, as for a client that does not read. `per_send` is how many seconds each body takes. `ended` says
    whether the last message was given, even to nobody. One that `tells` notes at once that the client has left, where
    it can be looked at, as uvicorn does.
    """

    def __init__(self, *messages, method="GET", spec="2.3", headers=(), per_send=0.0, tells=False):
        self.scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"version": "3.0", "spec_version": spec},
            "method": method,
            "path": "/",
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        }
        self.sent = []
        self.ended = False
        self.per_send = per_send
        self.fails_when_gone = spec >= "2.4"
        self._coming = [
            {"type": "http.request", "body": body, "more_body": more}
            for body, more in itertools.zip_longest(messages, [True] * (len(messages) - 1), fillvalue=False)
        ]
        self._gone = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()

        if tells:
            self.disconnected = False

    def leave(self):
        self._gone.set()
        if hasattr(self, "disconnected"):
            self.disconnected = True

    def hold(self):
        self._open.clear()

    def go_on(self):
        self._open.set()

    async def receive(self):
        if self._coming:
            return self._coming.pop(0)
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        if self._gone.is_set() and self.fails_when_gone:
            raise OSError("the peer is gone")
        self.ended = not message.get("more_body", True)
        if self._gone.is_set():
            return
        if self.per_send and message["type"] == "http.response.body":
            await asyncio.sleep(self.per_send)
        await self._open.wait()
        if message["type"] == "http.response.body":
            bytes(message["body"])  # as a server does
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def bodies(self):
        return [message["body"] for message in self.sent[1:]]

    @property
    def body(self):
        return b"".join(self.bodies)

    @property
    def complete(self):
        return bool(self.sent) and not self.sent[-1].get("more_body", True)


async def exchanged(app, wire=None, **kinds):
    """Run an app to its end; gives the wire."""
    wire = wire or Wire(b"", **kinds)
    await app(wire.scope, wire.receive, wire.send)
    return wire
