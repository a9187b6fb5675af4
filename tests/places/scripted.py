"""A server on loopback that answers as a test says: for what no real server does when asked.

What lives here: `Scripted`, the requests as it saw them, `Bucket3`, a small S3 to answer by, and `on_instance`, which
gives keys to obstore alone. What must not: tests.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Request:
    """What came in, with the names of headers in small letters."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What goes out. `cut` closes the connection after so many bytes of the body, or before anything if below 0."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None


Answering = Callable[[Request], Answer | Awaitable[Answer]]


class Scripted:
    """Answers each request by a function. Each connection serves one request, at most `at_once` of them together."""

    def __init__(self, answering: Answering, at_once: int = 100, tls: ssl.SSLContext | None = None) -> None:
        self._answering = answering
        self._tls = tls
        self._room = asyncio.Semaphore(at_once)
        self._busy: set[asyncio.Task[None]] = set()
        self.requests: list[Request] = []
        self.url = ""

    @property
    def of_s3(self) -> list[Request]:
        """The requests so far, without those for credentials."""
        return [request for request in self.requests if not request.path.startswith("/latest/")]

    @property
    def lines(self) -> list[str]:
        """The methods and paths of the requests so far."""
        return [f"{request.method} {request.path}" for request in self.requests]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, ssl=self._tls)
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        task.add_done_callback(lambda _: writer.close())  # one that is cancelled before it began closes nothing

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._room:
                request = await _read(reader)
                self.requests.append(request)
                answer = self._answering(request)
                if inspect.isawaitable(answer):
                    answer = await answer
                writer.write(_written(request, answer))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> Request:
    first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return Request(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def _written(request: Request, answer: Answer) -> bytes:
    headers = {"connection": "close", "content-length": str(len(answer.body)), **answer.headers}
    head = f"HTTP/1.1 {answer.status} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    body = b"" if request.method == "HEAD" else answer.body
    if answer.cut is not None:
        return (head.encode() + b"\r\n" + body[: answer.cut]) if answer.cut >= 0 else b""
    return head.encode() + b"\r\n" + body


class Bucket3:
    """One bucket's worth of S3: objects, ranges and multipart uploads, as simple as can be.

    A test wraps `answer` to disturb it.
    """

    modified: Mapping[str, str] = {"last-modified": "Mon, 23 Nov 2026 00:00:00 GMT"}

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.uploads: dict[str, tuple[str, dict[str, str], dict[int, bytes]]] = {}
        self._begun = 0

    def answer(self, request: Request) -> Answer:
        key, query = request.path, request.query
        if "uploads" in query:
            return self._begin(key, request) if request.method == "POST" else self._open()
        if "uploadId" in query:
            return self._of_upload(key, request)
        if request.method == "PUT":
            return self._keep(key, request.body, request)
        if request.method == "DELETE":
            self.objects.pop(key, None)
            return Answer(204)
        return self._get(key, request) if key in self.objects else Answer(404, error("NoSuchKey"))

    def _get(self, key: str, request: Request) -> Answer:
        data, headers = self.objects[key]
        if request.headers.get("if-match", headers["etag"]) != headers["etag"]:
            return Answer(412, error("PreconditionFailed"))
        if "range" not in request.headers:
            return Answer(200, data, {**self.modified, **headers})
        first, last = (int(number) for number in request.headers["range"].removeprefix("bytes=").split("-"))
        last = min(last, len(data) - 1)
        if first > last:
            return Answer(416, error("InvalidRange"))
        told = {"content-range": f"bytes {first}-{last}/{len(data)}", **self.modified, **headers}
        return Answer(206, data[first : last + 1], told)

    def _begin(self, key: str, request: Request) -> Answer:
        self._begun += 1
        number = f"upload/{self._begun}+x"
        self.uploads[number] = (key, _kept(request), {})
        return Answer(200, f"<R><Bucket>b</Bucket><Key>k</Key><UploadId>{number}</UploadId></R>".encode())

    def _open(self) -> Answer:
        entries = "".join(
            f"<Upload><Key>{key.split('/', 2)[2]}</Key><UploadId>{number}</UploadId>"
            f"<Initiated>2026-01-01T00:00:00Z</Initiated></Upload>"
            for number, (key, _, _) in self.uploads.items()
        )
        return Answer(200, f"<List>{entries}<IsTruncated>false</IsTruncated></List>".encode())

    def _of_upload(self, key: str, request: Request) -> Answer:
        number = request.query["uploadId"]
        if number not in self.uploads:
            return Answer(404, error("NoSuchUpload"))
        _, kept, parts = self.uploads[number]
        if request.method == "PUT":
            parts[int(request.query["partNumber"])] = request.body
            return Answer(200, headers={"etag": tag(request.body)})
        if request.method == "DELETE":
            del self.uploads[number]
            return Answer(204)
        digests = b"".join(hashlib.md5(parts[part]).digest() for part in sorted(parts))
        etag = f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'
        answer = self._keep(key, b"".join(parts[part] for part in sorted(parts)), request, kept, etag)
        if answer.status == 200:
            del self.uploads[number]
        body = f"<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>".encode()
        return Answer(answer.status, body if answer.status == 200 else answer.body)

    def _keep(
        self, key: str, data: bytes, request: Request, kept: dict[str, str] | None = None, etag: str | None = None
    ) -> Answer:
        if key in self.objects and request.headers.get("if-none-match") == "*":
            return Answer(412, error("PreconditionFailed"))
        etag = etag or tag(data)
        self.objects[key] = (data, {"etag": etag, **(_kept(request) if kept is None else kept)})
        return Answer(200, headers={"etag": etag})


def on_instance(answering: Answering, name: str, secret: str) -> Answering:
    """Answer as an instance's metadata service as well: with `metadata_endpoint` obstore fetches its keys there."""
    told = {"AccessKeyId": name, "SecretAccessKey": secret, "Token": "t", "Expiration": "2100-01-01T00:00:00Z"}
    answers = {
        "/latest/api/token": b"token",
        "/latest/meta-data/iam/security-credentials/": b"role",
        "/latest/meta-data/iam/security-credentials/role": json.dumps(told).encode(),
    }
    return lambda request: Answer(body=answers[request.path]) if request.path in answers else answering(request)


def _kept(request: Request) -> dict[str, str]:
    told = {**request.headers, **request.query}
    return {name: value for name, value in told.items() if name == "content-type" or name.startswith("x-amz-meta-")}


def tag(data: bytes) -> str:
    return f'"{hashlib.md5(data).hexdigest()}"'


def error(code: str) -> bytes:
    return f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>so it is</Message></Error>'.encode()
