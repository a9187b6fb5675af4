"""A proxy on loopback that makes an HTTP server faulty, on order, and counts what it did.

What lives here: `FaultProxy` and the faults. What must not: any knowledge of S3, and any fault that may happen or not.
It runs on the loop of the test; whoever speaks through it must do so from a thread of its own or asynchronously.

How it works. The proxy reads one request after another from a connection, asks the server over a new connection each
time, and passes bodies on as they come. `proxy.add(fault, ...)` says which exchanges a fault is for: those whose
`METHOD /path?query` matches, or those of one connection; the first so many of them pass, and it strikes so often. A
fault is for one direction, `up` (the request's body) or `down` (the answer's). Its `happened` is counted when the
fault is on the wire, not when it was ordered: a cut after more bytes than there are has not happened.

Example:
    async with FaultProxy("http://127.0.0.1:5000") as proxy:
        cut = proxy.add(Cut(after=65536), "GET /bucket/key")
        ...  # use proxy.url
        assert cut.happened == 1
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit

Pieces = AsyncGenerator[bytes, None]
F = TypeVar("F", bound="Fault")

_BLOCK = 64 * 1024
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing a socket with this sends a reset instead of an end


class _Closed(Exception):
    """The connection to the client ends here, cleanly (`reset=False`) or not."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__(reset)
        self.reset = reset


@dataclass(kw_only=True)
class Fault:
    """What happens to a body on its way. This one lets it pass."""

    happened: int = 0

    async def wire(self, pieces: Pieces) -> Pieces:
        """Pass the body on, with the fault."""
        async for piece in pieces:
            yield piece


@dataclass
class Latency(Fault):
    """Waits so many seconds before the body."""

    seconds: float

    async def wire(self, pieces: Pieces) -> Pieces:
        self.happened += 1
        await asyncio.sleep(self.seconds)
        async for piece in pieces:
            yield piece


@dataclass
class Slices(Fault):
    """Sends the body in pieces of so many bytes, with a pause after each: a trickle."""

    size: int
    pause: float = 0.0

    async def wire(self, pieces: Pieces) -> Pieces:
        async for piece in pieces:
            for at in range(0, len(piece), self.size):
                yield piece[at : at + self.size]
                self.happened += 1
                await asyncio.sleep(self.pause)


@dataclass
class _After(Fault):
    """Something that happens once so many bytes of the body have been passed on."""

    after: int = 0

    async def wire(self, pieces: Pieces) -> Pieces:
        left = self.after
        async for piece in pieces:
            if len(piece) > left:
                if left:
                    yield piece[:left]
                self.happened += 1
                rest = await self.strike(piece[left:])
                left = 1 << 62  # once
                yield rest
            else:
                left -= len(piece)
                yield piece

    async def strike(self, rest: bytes) -> bytes:
        """Return what comes instead of the rest of the piece, or end the connection."""
        raise NotImplementedError


@dataclass
class Cut(_After):
    """Ends the connection, cleanly for TCP, in the middle of the body."""

    async def strike(self, rest: bytes) -> bytes:
        raise _Closed(reset=False)


@dataclass
class Reset(_After):
    """Resets the connection in the middle of the body."""

    async def strike(self, rest: bytes) -> bytes:
        raise _Closed(reset=True)


@dataclass
class Stall(_After):
    """Sends nothing more, and leaves the connection open, until the proxy is closed or `over` is set.

    It sets `reached` then, so a test can do something in the middle of a body.
    """

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def strike(self, rest: bytes) -> bytes:
        self.reached.set()
        await self.over.wait()
        return rest


@dataclass
class Corrupt(_After):
    """Changes one byte."""

    async def strike(self, rest: bytes) -> bytes:
        return bytes([rest[0] ^ 0xFF]) + rest[1:]


@dataclass
class Answer(Fault):
    """Gives this answer instead of the server's. With `forward` the server is asked all the same, and not heard."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    forward: bool = False


@dataclass
class _Order:
    fault: Fault
    pattern: re.Pattern[str]
    direction: Literal["up", "down"]
    connection: int | None
    skip: int
    times: int

    def wanted(self, request: str, connection: int) -> bool:
        if not self.pattern.search(request) or self.connection not in {None, connection} or not self.times:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass
class _Head:
    """The first line and the headers of a message."""

    line: str
    headers: dict[str, str]

    @property
    def length(self) -> int | None:
        given = self.headers.get("content-length")
        return None if given is None else int(given)

    def encoded(self) -> bytes:
        lines = [self.line, *(f"{name}: {value}" for name, value in self.headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class FaultProxy:
    """Stands before the server at `upstream`, which may be changed while it runs (a server that was restarted).

    `requests` are the exchanges it has seen, as `METHOD /path?query`; `most` is how many were under way at once, at
    most `at_once`: an exchange beyond that waits, as it would for a server or a pool with so many connections.
    """

    def __init__(self, upstream: str, *, at_once: int = 1000) -> None:
        self.upstream = upstream
        self.most = 0
        self._room = asyncio.Semaphore(at_once)
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self.url = ""
        self.requests: list[str] = []
        self.connections = 0
        self._orders: list[_Order] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    def add(
        self,
        fault: F,
        matching: str = "",
        *,
        direction: Literal["up", "down"] = "down",
        connection: int | None = None,
        skip: int = 0,
        times: int = 1_000_000,
    ) -> F:
        """Order a fault for exchanges whose `METHOD /path?query` matches; faults of an exchange are applied in order.

        Args:
            fault: what happens; returned again, for its `happened`.
            matching: a regular expression, sought anywhere in the request.
            direction: whose body: of the request (`up`) or of the answer (`down`).
            connection: only on this connection; they are counted from 1.
            skip: so many matching exchanges pass first.
            times: so many are struck then.
        """
        self._orders.append(_Order(fault, re.compile(matching), direction, connection, skip, times))
        return fault

    async def idle(self) -> None:
        """Wait until no exchange is under way."""
        await self._idle.wait()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._served(reader, writer, self.connections), name=f"proxy-{self.connections}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _served(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        reset = False
        try:
            await self._connection(reader, writer, number)
        except _Closed as ending:
            reset = ending.reset
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side has left
        except RuntimeError as error:
            if "closed" not in str(error):  # uvloop's word for the same
                raise
        finally:
            await _closed(writer, reset=reset)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        while (head := await _head(reader)) is not None:
            async with self._room:
                self._under_way += 1
                self._idle.clear()
                self.most = max(self.most, self._under_way)
                try:
                    await self._exchange(head, reader, writer, number)
                finally:
                    self._under_way -= 1
                    if not self._under_way:
                        self._idle.set()

    async def _exchange(
        self, head: _Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        request = " ".join(head.line.split()[:2])
        self.requests.append(request)
        orders = [order for order in self._orders if order.wanted(request, number)]
        up = [order.fault for order in orders if order.direction == "up"]
        down = [order.fault for order in orders if order.direction == "down"]
        if head.headers.pop("expect", None):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        answer = next((fault for fault in down if isinstance(fault, Answer)), None)
        async with _wired(_body(reader, head.length or 0), up) as body:
            if answer is None or answer.forward:
                await self._forwarded(head, body, writer, down if answer is None else None)
            else:
                await _thrown_away(body)
        if answer is not None:
            await _answered(answer, writer, head)

    async def _forwarded(
        self, head: _Head, body: Pieces, writer: asyncio.StreamWriter, down: list[Fault] | None
    ) -> None:
        """Ask the server; pass its answer on, unless `down` is `None`."""
        parts = urlsplit(self.upstream)
        server, server_writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            server_writer.write(_Head(head.line, {**head.headers, "connection": "close"}).encoded())
            async for piece in body:
                server_writer.write(piece)
                await server_writer.drain()
            if not await self._passed(server, head, writer, down):
                raise _Closed(reset=False)
        finally:
            await _closed(server_writer, reset=True)

    async def _passed(
        self, server: asyncio.StreamReader, asked: _Head, writer: asyncio.StreamWriter, down: list[Fault] | None
    ) -> bool:
        """Pass an answer on; return whether the client knows where it ended."""
        answer = await _head(server)
        if answer is None:
            raise _Closed(reset=True)  # the server is gone
        empty = asked.line.startswith("HEAD ") or answer.line.split()[1] in {"204", "304"}
        answer.headers.pop("connection", None)
        known = empty or answer.length is not None
        if not known:
            answer.headers["connection"] = "close"
        async with _wired(_body(server, 0 if empty else answer.length), down or []) as pieces:
            if down is None:
                await _thrown_away(pieces)
                return True
            writer.write(answer.encoded())
            async for piece in pieces:
                writer.write(piece)
                await writer.drain()
        return known


async def _head(reader: asyncio.StreamReader) -> _Head | None:
    """Return the next message's head, or `None` if there is none."""
    try:
        text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = text[:-4].split("\r\n")
    if first.split()[1] == "100":
        return await _head(reader)
    pairs = (line.partition(":") for line in lines)
    return _Head(first, {name.lower(): value.strip() for name, _, value in pairs})


async def _body(reader: asyncio.StreamReader, length: int | None) -> Pieces:
    """Give a body of so many bytes, or to the end of the connection."""
    left = length
    while left is None or left > 0:
        piece = await reader.read(_BLOCK if left is None else min(left, _BLOCK))
        if not piece:
            if left is None:
                return
            raise _Closed(reset=False)  # what the one side broke off, the other must not take for whole
        left = None if left is None else left - len(piece)
        yield piece


@contextlib.asynccontextmanager
async def _wired(body: Pieces, faults: list[Fault]) -> AsyncIterator[Pieces]:
    """Give the body with its faults; afterwards each is closed, from the last."""
    stages = [body]
    for fault in faults:
        stages.append(fault.wire(stages[-1]))
    try:
        yield stages[-1]
    finally:
        for stage in reversed(stages):
            await stage.aclose()


async def _thrown_away(pieces: Pieces) -> None:
    async for _ in pieces:
        pass


async def _answered(answer: Answer, writer: asyncio.StreamWriter, asked: _Head) -> None:
    headers = {"content-length": str(len(answer.body)), **answer.headers}
    writer.write(_Head(f"HTTP/1.1 {answer.status} Scripted", headers).encoded())
    if not asked.line.startswith("HEAD "):
        writer.write(answer.body)
    answer.happened += 1
    await writer.drain()


async def _closed(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        with contextlib.suppress(AttributeError, OSError):  # uvloop has no socket any more where the other side left
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        writer.transport.abort()
    else:
        writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
