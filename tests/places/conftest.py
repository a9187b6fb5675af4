"""What the tests of places share: items to write, cancellation at every turn, and a real S3 server on loopback."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import re
import subprocess
import sys
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import ClassVar

import anyio
import pytest

Function = Callable[[], Awaitable[object]]


class Feed:
    """Gives the loop a turn before each item; raises those that are exceptions. Nothing has to close it."""

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


_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
sys.stdin.read()  # until the tests are over
"""


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A real S3-protocol server in a process of its own, on a free port of loopback; gives its URL."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("needs moto[s3,server]")
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


class Bucket:
    """A new bucket on the server, seen without a client library: by requests whose signature nobody checks."""

    _count = itertools.count()
    headers: ClassVar = {
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, Signature=0",
        "Content-Type": "application/octet-stream",
    }

    def __init__(self, server: str) -> None:
        self.name = f"bucket-{next(self._count)}"
        self._url = f"{server}/{self.name}"
        self.asked("PUT")

    def asked(self, method: str, path: str = "", body: bytes | None = None) -> tuple[Mapping[str, str], str]:
        """Return the headers and the body of an answer."""
        request = urllib.request.Request(
            self._url + path, data=body, method=method, headers=self.headers
        )  # on loopback
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.headers, answer.read().decode()

    def put(self, key: str, body: bytes) -> None:
        self.asked("PUT", f"/{key}", body)

    def head(self, key: str) -> Mapping[str, str]:
        return self.asked("HEAD", f"/{key}")[0]

    def left(self) -> tuple[list[str], list[str]]:
        """Return the keys in it, and the uploads that are neither completed nor aborted."""
        keys = re.findall("<Key>(.*?)</Key>", self.asked("GET", "?list-type=2")[1])
        return keys, re.findall("<UploadId>(.*?)</UploadId>", self.asked("GET", "?uploads")[1])


@pytest.fixture
def bucket(s3_server) -> Bucket:
    return Bucket(s3_server)
