"""A thousand clients of one server: slow ones, and ones that vanish.

What lives here: what a client does with its socket. What must not: the server (`clients_app.py`), judging.

Sockets are used bare, since a stream of asyncio would read ahead of what its user asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Awaitable, Callable

__all__ = ["ENDINGS", "RECEIVED_AHEAD", "connected", "slow", "vanishing"]

RECEIVED_AHEAD = 4_096
"""The size asked for a client's buffer of the system; Linux takes twice as much."""

_SIP = 1_024


async def connected(port: int, path: str) -> socket.socket:
    """Return a socket on which the request has been sent."""
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_AHEAD)
    client.settimeout(0)
    try:
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    except BaseException:
        client.close()
        raise
    return client


async def slow(port: int, path: str, rate: float, until: asyncio.Event, taken: list[int]) -> None:
    """Read so many bytes per second until the event, and add each sip to `taken`."""
    loop = asyncio.get_running_loop()
    with await connected(port, path) as client:
        while not until.is_set():
            taken[0] += len(await loop.sock_recv(client, _SIP))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until.wait(), _SIP / rate)


async def _closed(_client: socket.socket, _over: asyncio.Event) -> None:
    """Hang up as programs do that have read enough."""


async def _reset(client: socket.socket, _over: asyncio.Event) -> None:
    """Hang up as programs do that are killed: the connection is reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _half_open(client: socket.socket, _over: asyncio.Event) -> None:
    """Say that nothing more will be sent, and go on listening for a moment."""
    client.shutdown(socket.SHUT_WR)
    await asyncio.sleep(0.2)


async def _deaf(_client: socket.socket, over: asyncio.Event) -> None:
    """Stay, and read nothing more, until it is said that it is over."""
    await over.wait()


ENDINGS: dict[str, Callable[[socket.socket, asyncio.Event], Awaitable[None]]] = {
    "closed": _closed,
    "reset": _reset,
    "half-open": _half_open,
    "never reading": _deaf,
}
"""How a client may go."""


async def vanishing(port: int, path: str, ending: str, chance: random.Random, over: asyncio.Event) -> None:
    """Ask, read up to some bytes, perhaps none, and go."""
    loop, left = asyncio.get_running_loop(), chance.choice([0, 0, 1, 200, 5_000, 50_000, 200_000])
    with contextlib.suppress(ConnectionError), await connected(port, path) as client:
        while left > 0:
            got = await loop.sock_recv(client, min(left, 65_536))
            if not got:
                return
            left -= len(got)
        await ENDINGS[ending](client, over)
