"""A store that speaks as much of S3 as the benchmark `objects` needs, as quick as a Python program can be.

What lives here: the store, in a process of its own: `with serving() as url`. What must not: clients.

Servers for tests, such as moto, take several times as long for a request as its client does (for each range that is
asked for they copy the whole object), so a comparison there would be one of the server with itself. This one keeps what
it is sent as it came, in memory, and sends slices of it without a copy. It checks neither signatures nor checksums, and
forgets everything at the end. It knows one object at a time by its path: PUT, GET with a range, HEAD, DELETE, and
uploads in parts.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import cast
from urllib.parse import parse_qs, urlsplit

import uvloop

from benchmarks.processes import ROOT

__all__ = ["serving"]

_DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
_HEAD = 64 * 1024
_ANSWERS = {200: "OK", 204: "No Content", 206: "Partial Content", 404: "Not Found", 412: "Precondition Failed"}


class _Object:
    """What is stored under a key: its parts, and the headers that come back with it."""

    _numbers = itertools.count(1)

    def __init__(self, parts: list[memoryview], headers: dict[str, str]) -> None:
        self.parts = parts
        self.headers = headers
        self.size = sum(map(len, parts))
        self.etag = f'"{next(self._numbers):032x}"'

    def slices(self, start: int, end: int) -> Iterator[memoryview]:
        at = 0
        for part in self.parts:
            if at < end and at + len(part) > start:
                yield part[max(0, start - at) : end - at]
            at += len(part)


class _Store:
    """The objects, and the uploads that are not complete."""

    def __init__(self) -> None:
        self.objects: dict[str, _Object] = {}
        self.uploads: dict[str, tuple[dict[str, str], dict[int, memoryview]]] = {}
        self._ids = itertools.count(1)

    def begin(self, headers: dict[str, str]) -> str:
        number = str(next(self._ids))
        self.uploads[number] = (headers, {})
        return number

    def complete(self, key: str, number: str) -> _Object:
        headers, parts = self.uploads.pop(number)
        self.objects[key] = _Object([part for _, part in sorted(parts.items())], headers)
        return self.objects[key]


class _Connection(asyncio.BufferedProtocol):
    """One client's connection: requests one after the other, their bodies received where they will stay."""

    def __init__(self, store: _Store) -> None:
        self._store = store
        self._head = bytearray(_HEAD)
        self._filled = 0
        self._body: bytearray | None = None
        self._request: tuple[str, str, dict[str, str]] = ("", "", {})

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._out = cast("asyncio.Transport", transport)

    def get_buffer(self, _: int) -> memoryview:
        return memoryview(self._head if self._body is None else self._body)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        while self._step():
            pass

    def _step(self) -> bool:
        """Go on as far as the bytes reach; say whether something was done."""
        if self._body is not None:
            if self._filled < len(self._body):
                return False
            body, self._body, self._filled = self._body, None, 0
            self._answer(memoryview(body))
            return True
        end = self._head.find(b"\r\n\r\n", 0, self._filled)
        if end < 0:
            return False
        first, *lines = self._head[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self._request = (*first.split(" ")[:2], headers)  # type: ignore[assignment]  # a method and a target
        self._begin_body(bytes(self._head[end + 4 : self._filled]), int(headers.get("content-length", 0)))
        return True

    def _begin_body(self, begun: bytes, length: int) -> None:
        if "100-continue" in self._request[2].get("expect", ""):
            self._out.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # Clients here wait for an answer before they ask again, so nothing follows the body.
        self._body = bytearray(length)
        self._body[: len(begun)] = begun
        self._filled = len(begun)

    def _answer(self, body: memoryview) -> None:
        method, target, headers = self._request
        address = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
        kept = {name: value for name, value in headers.items() if name.startswith(("content-type", "x-amz-meta-"))}
        store, key = self._store, address.path
        if method == "POST" and "uploads" in query:
            self._xml("InitiateMultipartUploadResult", UploadId=store.begin(kept), Key=key)
        elif method == "POST" and "uploadId" in query:
            self._xml("CompleteMultipartUploadResult", ETag=store.complete(key, query["uploadId"]).etag, Key=key)
        elif method == "PUT" and "uploadId" in query:
            number = int(query["partNumber"])
            store.uploads[query["uploadId"]][1][number] = body
            self._send(200, {"ETag": f'"{number:032x}"'})
        elif method == "PUT":
            store.objects[key] = _Object([body], kept)
            self._send(200, {"ETag": store.objects[key].etag})
        elif method == "DELETE":
            store.uploads.pop(query.get("uploadId", ""), None)
            self._send(204, {})
        elif "uploads" in query or "list-type" in query:
            self._xml("ListMultipartUploadsResult" if "uploads" in query else "ListBucketResult", IsTruncated="false")
        else:
            self._get(key, headers, whole=method == "GET")

    def _get(self, key: str, headers: dict[str, str], *, whole: bool) -> None:
        found = self._store.objects.get(key)
        if found is None:
            self._send(404, {})
            return
        if headers.get("if-match", found.etag) != found.etag:
            self._send(412, {})
            return
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        start, end = (int(asked[1]), min(int(asked[2] or found.size - 1) + 1, found.size)) if asked else (0, found.size)
        told = {**found.headers, "ETag": found.etag, "Last-Modified": _DATE, "Accept-Ranges": "bytes"}
        if asked:
            told["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
        self._send(206 if asked else 200, told, end - start)
        if whole:
            self._out.writelines(found.slices(start, end))

    def _xml(self, root: str, **fields: str) -> None:
        inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
        body = f'<{root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}</{root}>'.encode()
        self._send(200, {"Content-Type": "application/xml"}, len(body))
        self._out.write(body)

    def _send(self, status: int, headers: dict[str, str], length: int = 0) -> None:
        length_said = {} if status == 204 else {"Content-Length": str(length)}
        lines = [f"{name}: {value}\r\n" for name, value in {**headers, **length_said}.items()]
        self._out.write(f"HTTP/1.1 {status} {_ANSWERS[status]}\r\n{''.join(lines)}\r\n".encode("latin-1"))


async def _serve() -> None:
    store, loop = _Store(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(store), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until the one who started it is done


@contextmanager
def serving() -> Iterator[str]:
    """Start the store on a free port of loopback; give its URL."""
    command = [sys.executable, "-m", "benchmarks.objects_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
        try:
            yield cast("str", server.stdout.readline().strip()) if server.stdout else ""
        finally:
            if server.stdin:
                server.stdin.close()


if __name__ == "__main__":
    uvloop.run(_serve())
