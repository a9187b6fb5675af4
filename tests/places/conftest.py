"""What the tests of places share: items to write, cancellation at every turn, and a real S3 server on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator

import anyio
import pytest

Function = Callable[[], Awaitable[object]]


class Feed:
    """Gives the loop a turn before each item; raises those that are exceptions. No generator: nothing has to close it."""

    def __init__(self, *items: object) -> None:
        self._items = iter(items)

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> object:
        await asyncio.sleep(0)
        try:
            item = next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None
        if isinstance(item, BaseException):
            raise item
        return item


@pytest.fixture
def feed() -> type[Feed]:
    return Feed


async def _turns(count: int, begun: asyncio.Event | None) -> None:
    if begun is not None:
        await begun.wait()
    for _ in range(count):
        await asyncio.sleep(0)


async def _native(
    function: Function, turns: int, begun: asyncio.Event | None = None, times: int = 1
) -> asyncio.Task[object]:
    async def called() -> object:
        return await function()

    task = asyncio.ensure_future(called())
    await _turns(turns, begun)
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait({task})
    return task


async def _native_twice(function: Function, turns: int, begun: asyncio.Event | None = None) -> asyncio.Task[object]:
    return await _native(function, turns, begun, times=2)


async def _anyio(function: Function, turns: int, begun: asyncio.Event | None = None) -> asyncio.Task[object]:
    scope = anyio.CancelScope()

    async def called() -> object:
        with scope:
            return await function()
        raise asyncio.CancelledError  # so that all kinds end alike for the test

    task = asyncio.ensure_future(called())
    await _turns(turns, begun)
    scope.cancel()
    await asyncio.wait({task})
    return task


@pytest.fixture(params=[_native, _native_twice, _anyio], ids=["native", "native-twice", "anyio"])
def cancelled_after(request) -> Callable[..., Awaitable[asyncio.Task[object]]]:
    """Calls a coroutine function and cancels it after so many turns of the loop; gives the ended task (X2, X21).

    The turns are counted from the start, or from when the event given as `begun` is set.
    """
    return request.param


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A real S3-protocol server on a free port of loopback; gives its URL."""
    server = pytest.importorskip("moto.server", reason="needs moto[s3,server]")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    with contextlib.suppress(Exception):
        running.stop()
