"""Shared streams with real servers and 50 real clients, of which some are slow: nobody else suffers, all is counted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import websockets
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

import streamflow as sf
from streamflow.web.lifespan import lifespan
from streamflow.web.shared import Shared, Slow
from streamflow.web.sse import sse
from streamflow.web.websockets import send_to
from tests.web import servers
from tests.web.servers import connect, fetch, hang_up, read_answer, reset, serving, until

pytestmark = pytest.mark.slow

FAST, SLOW = 40, 10
PADDING = "x" * 12_000


@pytest.fixture(autouse=True)
def _small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system hold little for a client that does not read; what it holds else is megabytes."""
    listener = servers.listener

    def small() -> socket.socket:
        bound = listener()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        return bound

    monkeypatch.setattr(servers, "listener", small)


class Feed:
    """An upstream of so many numbered items, which waits until everybody is there."""

    def __init__(self, items: int) -> None:
        self.items = items
        self.given = self.closed = 0
        self.go = asyncio.Event()

    async def source(self) -> AsyncGenerator[dict[str, Any], None]:
        try:
            await self.go.wait()
            for number in range(self.items):
                yield {"number": number, "padding": PADDING}
                self.given = number + 1
                await asyncio.sleep(0.001)
        finally:
            self.closed += 1


@asynccontextmanager
async def served(shared: Shared[Any], **options: Any) -> AsyncGenerator[str, None]:
    async def events(request: Any) -> Any:
        return sse(shared.stream(name=request.query_params["name"]), **options)

    async def messages(websocket: Any) -> None:
        await websocket.accept()
        await shared.stream(name=websocket.query_params["name"]).to(send_to(websocket, json=True)).run()

    routes = [Route("/events", events), WebSocketRoute("/socket", messages)]
    app = Starlette(routes=routes, lifespan=lifespan(shared=[shared]))
    async with serving(app, lifespan=True, ws="websockets-sansio") as url:
        yield url


def numbers(body: bytes) -> list[int]:
    return [json.loads(line[6:])["number"] for line in body.split(b"\n") if line.startswith(b"data: ")]


async def read_events(url: str, name: str, begin: asyncio.Event | None = None) -> tuple[list[int], bool]:
    """Get events; a slow client reads nothing before `begin`. Returns them, and whether the response was whole."""
    reader, writer = await connect(f"{url}/events?name={name}", room=None if begin is None else 4096)
    try:
        if begin is not None:
            await begin.wait()
        answer = await read_answer(reader)
    finally:
        await hang_up(writer)
    return numbers(answer.body), answer.complete


async def read_socket(url: str, name: str, begin: asyncio.Event | None = None) -> tuple[list[int], bool]:
    """The same by a WebSocket; one that reads nothing lets a few messages wait in the client."""
    address = f"{url.replace('http', 'ws', 1)}/socket?name={name}"
    got = []
    async with websockets.connect(address, max_queue=1, compression=None) as connection:
        if begin is not None:
            await begin.wait()
        with contextlib.suppress(websockets.ConnectionClosedError):
            async for message in connection:
                got.append(json.loads(message)["number"])  # noqa: PERF401  # what came before an error counts
    return got, connection.close_code == 1000


@pytest.mark.parametrize("rule", ["drop_oldest", "drop_newest", "latest"])
async def test_slow_clients_lose_items_which_are_counted_for_each_exactly(rule: Slow) -> None:
    feed, begin = Feed(120), asyncio.Event()
    shared = Shared(sf.Source(feed.source), maxsize=16, slow=rule)
    async with served(shared) as url, asyncio.TaskGroup() as group:
        fast = [group.create_task((read_events, read_socket)[at % 2](url, "fast")) for at in range(FAST)]
        slow = [group.create_task((read_events, read_socket)[at % 2](url, "slow", begin)) for at in range(SLOW)]
        await until(lambda: len(shared.stats().clients) == FAST + SLOW)
        feed.go.set()
        await until(lambda: feed.given == 120)
        lost = {client.name: client.dropped for client in shared.stats().clients if client.name.startswith("slow")}
        assert len(lost) == SLOW
        assert min(lost.values()) > 5
        begin.set()
        results = [await client for client in [*fast, *slow]]
        await until(lambda: shared.stats().left == FAST + SLOW)
        stats = shared.stats()

    for got, whole in results:
        assert whole
        assert got == sorted(set(got))
    assert sum(feed.items - len(got) for got, _ in results) == stats.dropped
    assert (stats.items, stats.ended, stats.clients) == (feed.items, 0, ())
    if rule != "drop_newest":
        assert all(got[-1] == feed.items - 1 for got, _ in results)
    assert feed.closed == 1


async def test_slow_clients_gate_all_and_when_they_vanish_the_others_get_every_item() -> None:
    feed = Feed(120)
    shared = Shared(sf.Source(feed.source), maxsize=8, slow="gate")
    async with served(shared) as url, asyncio.TaskGroup() as group:
        fast = [group.create_task(read_events(url, "fast")) for _ in range(FAST)]
        slow = [await connect(f"{url}/events?name=slow", room=4096) for _ in range(SLOW)]
        await until(lambda: len(shared.stats().clients) == FAST + SLOW)
        feed.go.set()
        await stands_still(lambda: feed.given)
        assert 0 < feed.given < 100

        for _, writer in slow:
            await reset(writer)
        results = [await client for client in fast]
        await until(lambda: not shared.stats().clients)

    assert results == [(list(range(feed.items)), True)] * FAST
    assert shared.stats().dropped == 0
    assert shared.stats().left == FAST + SLOW


async def test_a_client_that_takes_nothing_at_all_is_ended_by_the_send_timeout_and_gates_no_more() -> None:
    feed = Feed(120)
    shared = Shared(sf.Source(feed.source), maxsize=8, slow="gate")
    async with served(shared, send_timeout=0.5) as url, asyncio.TaskGroup() as group:
        fast = [group.create_task(read_events(url, "fast")) for _ in range(5)]
        frozen = [await connect(f"{url}/events?name=frozen", room=4096) for _ in range(5)]
        await until(lambda: len(shared.stats().clients) == 10)
        feed.go.set()
        results = [await client for client in fast]
        await until(lambda: shared.stats().left == 10)
        for _, writer in frozen:
            await reset(writer)

    assert results == [(list(range(feed.items)), True)] * 5


async def stands_still(number: Any, seconds: float = 0.5) -> None:
    """Wait until a number has not changed for a while."""
    before = None
    async with asyncio.timeout(10):
        while before is None or before != number():
            before = number()
            await asyncio.sleep(seconds)


async def test_slow_clients_are_sent_away_by_a_broken_connection_and_the_others_get_every_item() -> None:
    feed, begin = Feed(120), asyncio.Event()
    shared = Shared(sf.Source(feed.source), maxsize=60, slow="end")
    async with served(shared) as url, asyncio.TaskGroup() as group:
        fast = [group.create_task((read_events, read_socket)[at % 2](url, "fast")) for at in range(FAST)]
        slow = [group.create_task((read_events, read_socket)[at % 2](url, "slow", begin)) for at in range(SLOW)]
        await until(lambda: len(shared.stats().clients) == FAST + SLOW)
        feed.go.set()
        results = [await client for client in fast]
        begin.set()
        ends = [await client for client in slow]
        await until(lambda: shared.stats().left == FAST + SLOW)

    assert results == [(list(range(feed.items)), True)] * FAST
    for got, whole in ends:
        assert not whole
        assert got == list(range(len(got)))
        assert len(got) < feed.items
    assert shared.stats().ended == SLOW


async def test_clients_that_vanish_are_forgotten_while_the_upstream_is_quiet_and_then_it_stops() -> None:
    feed = Feed(10)
    shared = Shared(sf.Source(feed.source))
    async with served(shared) as url:
        clients = [await connect(f"{url}/events?name=client", headers={"X-At": str(at)}) for at in range(50)]
        await until(lambda: len(shared.stats().clients) == 50)
        for at, (_, writer) in enumerate(clients):
            await (reset if at % 2 else hang_up)(writer)
        await until(lambda: shared.stats().left == 50)
        await until(lambda: feed.closed == 1)
        await until(lambda: shared.stats().state == "idle")


async def test_a_head_request_does_not_start_the_upstream() -> None:
    """The source of a response to HEAD is never opened."""
    feed = Feed(1)
    shared = Shared(sf.Source(feed.source))
    async with served(shared) as url:
        assert (await fetch(f"{url}/events?name=x", "HEAD")).status == 200
        assert shared.stats().sessions == 0
