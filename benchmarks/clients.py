"""Many clients of one server: what a slow one holds, what one that vanishes leaves, and two large transfers.

What lives here: the three measurements, and the goals. What must not: the server (`clients_app.py`), what a client
does (`clients_crowd.py`).

* A thousand clients read 10 KB/s of an endless response. The server's memory must be flat and small, and the source
  must have produced no more than was taken and what lies between: channels, transports, buffers of the system.
* A thousand clients vanish at every moment, in every way. Afterwards the server has what it had after a thousand others
  had vanished, and every cursor was closed in the task that read it. Meanwhile another client gets its answers.
* A large object is uploaded and downloaded again through the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from typing import Any
from urllib.request import Request, urlopen

from benchmarks.clients_crowd import ENDINGS, RECEIVED_AHEAD, connected, slow, vanishing
from benchmarks.processes import ROOT
from benchmarks.results import Ratio, Result
from benchmarks.tables import machine, table

__all__ = ["run"]

_KIB, _MIB = 1 << 10, 1 << 20
_RATE = 10_000
_MOST_PER_CLIENT = 256
_MOST_TRANSFER = 150
_LONGEST_PING = 100
_BETWEEN = 64 + 64 + 64 + 2 * 16 + 2 * RECEIVED_AHEAD // _KIB + 4
"""KiB between source and client: the channel, the piece at hand, the transport, the system's buffers, an item."""


def run(*, clients: int = 1_000, seconds: float = 6, mebibytes: int = 2_048) -> Result:
    """Start a server for each measurement; return the tables and the ratios."""
    if sys.platform != "linux":
        return Result("This asks Linux for the memory of a process and for the state of a connection.")
    with _serving("--small") as port:
        slowly, first = asyncio.run(_slow_clients(port, clients, seconds))
    with _serving("--small") as port:
        vanished, second = asyncio.run(_vanishing_clients(port, clients))
    with _serving() as port:
        transferred, third = _transfer(port, mebibytes)
    return Result(f"{machine()}\n\n{slowly}\n\n{vanished}\n\n{transferred}", [*first, *second, *third])


@contextmanager
def _serving(*options: str) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="streamflow-clients-", dir=ROOT / ".cache") as folder:
        command = [sys.executable, "-m", "benchmarks.clients_app", folder, *options]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
            assert server.stdout is not None
            assert server.stdin is not None
            try:
                yield int(server.stdout.readline())
            finally:
                server.stdin.close()


def _state(port: int) -> dict[str, int]:
    with urlopen(f"http://127.0.0.1:{port}/state") as answer:  # our own server
        found: dict[str, int] = json.load(answer)
        return found


async def _looked(port: int) -> dict[str, int]:
    return await asyncio.to_thread(_state, port)


# ------------------------------------------------------------------------------------------------------- slow clients


async def _slow_clients(port: int, clients: int, seconds: float) -> tuple[str, list[Ratio]]:
    before, over, taken = await _looked(port), asyncio.Event(), [0]
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(slow(port, "/endless", _RATE, over, taken))
        while (early := await _looked(port))["begun"] < clients:  # noqa: ASYNC110  # another process is asked
            await asyncio.sleep(0.1)
        await asyncio.sleep(seconds / 2)
        early = await _looked(port)
        await asyncio.sleep(seconds)
        late, got = await _looked(port), taken[0]
        over.set()
    each = (late["memory"] - before["memory"]) / clients / _KIB
    ahead = (late["produced"] - got) / clients / _KIB
    rows = [
        ["memory of the server per client", f"{each:.0f} KiB"],
        ["produced and not yet taken, per client", f"{ahead:.0f} KiB of at most {_BETWEEN} KiB"],
        ["taken", f"{got / _MIB:.0f} MiB, {got / clients / (seconds * 1.5) / 1000:.1f} KB/s and client"],
    ]
    text = f"{clients:,} clients that read {_RATE // 1000} KB/s of an endless response:\n\n{table(['', ''], rows)}"
    return text, [
        Ratio("clients.slow.memory", "memory per slow client", each, at_most=_MOST_PER_CLIENT, unit="KiB"),
        Ratio("clients.slow.later", "memory later / early", late["memory"] / early["memory"], at_most=1.05),
        Ratio("clients.slow.ahead", "produced ahead / what fits between", ahead / _BETWEEN, at_most=1.0),
    ]


# -------------------------------------------------------------------------------------------------- vanishing clients


async def _vanishing_clients(port: int, clients: int) -> tuple[str, list[Ratio]]:
    chance = random.Random(1)  # noqa: S311  # no secret; the same on every machine
    over, pings = asyncio.Event(), list[float]()
    await _wave(port, clients, chance)
    before = await _settled(port)
    pinging = asyncio.create_task(_ping(port, over, pings))
    deaf = await _wave(port, clients, chance)
    over.set()
    await pinging
    after = await _settled(port)
    left = {what: after[what] - before[what] for what in ("open", "tasks", "files")}
    left |= {"cursors of those that read nothing": deaf, "closed in another task": after["foreign"]}
    grown = max(0, after["memory"] - before["memory"]) / clients / _KIB
    rows = [[f"left: {what}", str(number)] for what, number in left.items()]
    rows += [
        ["memory afterwards, per client that was there", f"{grown:.1f} KiB"],
        ["cursors begun", f"{after['begun'] - before['begun']:,}"],
        [f"longest of {len(pings)} other requests meanwhile", f"{max(pings) * 1e3:.0f} ms"],
    ]
    ways = ", ".join(ENDINGS)
    text = f"{clients:,} clients that vanish ({ways}):\n\n{table(['', ''], rows)}"
    return text, [
        Ratio("clients.vanished.left", "cursors, tasks, files left; cursors closed elsewhere", sum(left.values()), 0),
        Ratio("clients.vanished.memory", "memory left per client", grown, at_most=8, unit="KiB"),
        Ratio("clients.vanished.ping", "longest other request", max(pings) * 1e3, at_most=_LONGEST_PING, unit="ms"),
    ]


async def _wave(port: int, clients: int, chance: random.Random) -> int:
    """Let so many come and go; return how many cursors were open when only those were left that read nothing."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for ending in islice(cycle(ENDINGS), clients):
            group.create_task(vanishing(port, "/impatient", ending, chance, over))
            await asyncio.sleep(0.002)
        left = (await _settled(port))["open"]
        over.set()
    return left


async def _settled(port: int) -> dict[str, int]:
    """Wait until no cursor is open, but not for ever; what is left then is told."""
    for _ in range(100):
        found = await _looked(port)
        if not found["open"]:
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.5)
    return await _looked(port)


async def _ping(port: int, over: asyncio.Event, took: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while not over.is_set():
        start = time.perf_counter()
        with await connected(port, "/ping") as client:
            if b"200 OK" not in await loop.sock_recv(client, 4_096):
                raise AssertionError("/ping was not answered")
        took.append(time.perf_counter() - start)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), 0.05)


# -------------------------------------------------------------------------------------------------------- large objects


def _transfer(port: int, mebibytes: int) -> tuple[str, list[Ratio]]:
    """Upload and download; blocks that are made as they are sent, so that nothing here holds them either."""
    sent, size = hashlib.sha256(), mebibytes * _MIB

    def body() -> Iterator[bytes]:
        chance = random.Random(2)  # noqa: S311
        block = chance.randbytes(_MIB)
        for number in range(mebibytes):
            piece = number.to_bytes(8, "big") + block[8:]
            sent.update(piece)
            yield piece

    address = f"http://127.0.0.1:{port}/objects/large.bin"
    start = time.perf_counter()
    upload: Any = Request(address, data=body(), method="PUT", headers={"Content-Length": str(size)})
    with urlopen(upload) as answer:  # noqa: S310
        if json.load(answer) != {"bytes": size}:
            raise AssertionError("the server stored another number of bytes")
    middle, received = time.perf_counter(), hashlib.sha256()
    with urlopen(address) as answer:
        while piece := answer.read(_MIB):
            received.update(piece)
    end = time.perf_counter()
    if received.digest() != sent.digest():
        raise AssertionError("what came back is not what was sent")
    peak = _state(port)["peak"] / _MIB
    rows = [
        ["uploaded", f"{mebibytes / (middle - start):,.0f} MiB/s"],
        ["downloaded", f"{mebibytes / (end - middle):,.0f} MiB/s, SHA-256 equal"],
        ["most memory of the server", f"{peak:.0f} MiB"],
    ]
    text = f"{mebibytes:,} MiB into the embedded object store and back:\n\n{table(['', ''], rows)}"
    return text, [Ratio("clients.transfer.peak", "most memory", peak, at_most=_MOST_TRANSFER, unit="MiB")]
