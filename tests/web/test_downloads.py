"""Files and objects as responses: of one version, and only as far as it is asked for."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

import streamflow as sf
from streamflow.places import memory
from streamflow.places.stores import Fetched, Stored, Terms
from streamflow.places.urls import parse
from streamflow.web.downloads import FILE_BLOCK, OBJECT_BLOCK, _bytes_of_object, file, object_
from tests.web.calling import call
from tests.web.servers import fetch, get_and_leave, serving, until
from tests.web.test_ndjson import app_of

DATA = os.urandom(3 * OBJECT_BLOCK + 12_345)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "größe.csv"
    path.write_bytes(DATA)
    os.utime(path, (1767323045.5, 1767323045.5))
    return path


class Counting(memory.MemoryStore):
    """A store that writes down what is asked of it."""

    def __init__(self):
        super().__init__()
        self.asked = []

    async def get(self, key, start, length, etag):
        self.asked.append((start, length, etag))
        return await super().get(key, start, length, etag)


@pytest.fixture
async def store():
    store = Counting()
    await store.put("data.csv", DATA, Terms("text/csv"))
    return store


# ------------------------------------------------------------------------------------------------------------ files


async def test_a_file_is_sent_as_it_is(path):
    async with serving(app_of(lambda: file(path))) as url:
        answer = await fetch(url)

    assert (answer.status, answer.complete) == (200, True)
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(DATA).digest()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["last-modified"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert "content-disposition" not in answer.headers


async def test_only_the_part_of_a_file_that_was_asked_for_is_read(path, monkeypatch):
    read = []
    plain = os.read

    def counted(descriptor, size):
        data = plain(descriptor, size)
        read.append(len(data))
        return data

    monkeypatch.setattr(os, "read", counted)

    answer = await call(file(path), headers={"Range": "bytes=1000000-1000099"})

    assert (answer.status, answer.body) == (206, DATA[1_000_000:1_000_100])
    assert sum(read) == 100


async def test_a_download_of_a_file_is_resumed(path):
    first = await call(file(path), headers={"Range": "bytes=0-999"})
    rest = await call(file(path), headers={"Range": "bytes=1000-", "If-Range": first.headers["etag"]})

    assert rest.status == 206
    assert first.body + rest.body == DATA


async def test_a_file_that_was_changed_is_another_version(path):
    first = await call(file(path))
    path.write_bytes(DATA[::-1])

    again = await call(file(path), headers={"Range": "bytes=1000-", "If-Range": first.headers["etag"]})

    assert again.status == 200
    assert again.body == DATA[::-1]
    assert (await call(file(path), headers={"If-None-Match": again.headers["etag"]})).status == 304


async def test_a_client_that_leaves_in_the_middle_leaves_no_file_open(path):
    """H76: the leak check looks for descriptors and threads."""
    responses = []

    async def app(scope, receive, send):
        responses.append(file(path))
        await responses[-1](scope, receive, send)

    path.write_bytes(DATA * 8)
    async with serving(app) as url:
        got = await get_and_leave(url, after=100_000)
        await until(lambda: responses[0].outcome)

    assert len(got) >= 100_000
    assert responses[0].outcome == "disconnect"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_resumes_a_download_that_broke_off(path, tmp_path):
    target = tmp_path / "copy"
    target.write_bytes(DATA[:1_234_567])
    async with serving(app_of(lambda: file(path))) as url:
        command = ["curl", "--silent", "--show-error", "--fail", "-C", "-", "-o", str(target), url]
        curl = await asyncio.create_subprocess_exec(*command)
        assert await curl.wait() == 0

    assert target.read_bytes() == DATA


async def test_an_empty_file_is_an_empty_answer(tmp_path):
    (tmp_path / "empty").write_bytes(b"")

    answer = await call(file(tmp_path / "empty"))

    assert (answer.status, answer.body, answer.complete) == (200, b"", True)
    assert answer.headers["content-length"] == "0"
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_a_file_that_is_replaced_between_headers_and_bytes_is_an_error(path, monkeypatch):
    """What was looked at is not what would be read."""
    response = file(path)
    plain = response._place

    async def found():
        place = await plain()
        other = path.with_suffix(".new")
        other.write_bytes(DATA[::-1])
        os.replace(other, path)
        return place

    response._place = found

    with pytest.raises(sf.ObjectChanged, match="was changed while it was sent"):
        await call(response)
    assert response.outcome == "error"


async def test_a_file_that_is_changed_while_it_is_sent_breaks_the_connection_off(path):
    seen = []

    class Changing(bytes):
        pass

    def app_with(change):
        async def app(scope, receive, send):
            async def spied(message):
                await send(message)
                if message.get("body") and not seen:
                    seen.append(1)
                    change()

            await file(path)(scope, receive, spied)

        return app

    async with serving(app_with(lambda: os.utime(path))) as url:
        answer = await fetch(url)

    assert (answer.status, answer.complete) == (200, False)
    assert len(DATA) > 2 * FILE_BLOCK


HOSTILE = [
    "",
    "..",
    "../..",
    "a\0b",
    "größe.csv\0",
    "n" * 300,
    "n/" * 3000,
    "\ud800",
    "folder",
    "folder/",
    "pipe",
    "circle",
]
"""Names as clients send them, to whoever makes a path of them."""


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("opener", [file, lambda path: object_(f"file://{path}")], ids=["file", "object"])
@pytest.mark.parametrize("ranges", [{}, {"Range": "bytes=0-1"}], ids=["whole", "range"])
async def test_a_name_that_is_no_file_is_a_404_that_tells_nothing(path, name, opener, ranges):
    """As Starlette's `StaticFiles` does it. A pipe is not opened: that would wait for ever."""
    (path.parent / "folder").mkdir()
    os.mkfifo(path.parent / "pipe")
    (path.parent / "circle").symlink_to(path.parent / "circle")

    app = Starlette(routes=[Route("/", endpoint_of(lambda: opener(f"{path.parent}/{name}")))])
    async with asyncio.timeout(5):
        answer = await call(app, headers=ranges)

    assert (answer.status, answer.body) == (404, b"Not Found")


async def test_a_name_that_is_no_text_is_a_name_all_the_same(path):
    name = os.fsdecode(b"\xff.csv")
    (path.parent / name).write_bytes(b"a")

    answer = await call(file(path.parent / name))

    assert (answer.body, answer.headers["content-type"]) == (b"a", "text/csv; charset=utf-8")


async def test_a_file_that_must_not_be_read_is_an_error_that_tells_the_client_nothing(path, monkeypatch):
    """It is the server's trouble, and belongs into its log: as root, a file's mode would stop nobody."""

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("streamflow.web.downloads.os.stat", refuse)
    async with serving(Starlette(routes=[Route("/", endpoint_of(lambda: file(path)))])) as url:
        answer = await fetch(url)

    assert (answer.status, answer.body) == (500, b"Internal Server Error")


def endpoint_of(respond):
    async def endpoint(request):
        return respond()

    return endpoint


@pytest.mark.parametrize("name", ["missing", ".", "größe.csv/x"])
async def test_what_is_no_file_is_a_404_of_the_framework(path, name):
    async def not_found(request, error):
        from starlette.responses import PlainTextResponse  # noqa: PLC0415

        return PlainTextResponse("nothing here", 404)

    async def endpoint(request):
        return file(path.parent / name)

    app = Starlette(routes=[Route("/", endpoint)], exception_handlers={404: not_found})
    answer = await call(app)

    assert (answer.status, answer.body) == (404, b"nothing here")


async def test_what_is_told_by_the_user_counts(path):
    answer = await call(file(path, media_type="text/plain", filename="Größe.csv", headers={"x-more": "1"}))

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''Gr%C3%B6%C3%9Fe.csv")
    assert answer.headers["x-more"] == "1"


# ---------------------------------------------------------------------------------------------------------- objects


async def test_an_object_is_sent_as_it_was_stored(store):
    async with serving(app_of(lambda: object_("data.csv", store=store))) as url:
        answer = await fetch(url)

    assert (answer.status, answer.body == DATA, answer.complete) == (200, True, True)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["etag"] == (await store.info("data.csv")).etag
    assert "last-modified" in answer.headers


async def test_only_the_part_of_an_object_that_was_asked_for_is_asked_of_its_store(store):
    etag = (await store.info("data.csv")).etag

    answer = await call(object_("data.csv", store=store), headers={"Range": "bytes=-100"})

    assert (answer.status, answer.body) == (206, DATA[-100:])
    assert store.asked == [(len(DATA) - 100, 100, etag)]


async def test_an_object_is_asked_for_in_blocks(store):
    await call(object_("data.csv", store=store))

    assert [length for _, length, _ in store.asked] == [OBJECT_BLOCK] * 3 + [12_345]


async def test_nothing_is_asked_of_the_store_for_a_client_that_has_it(store):
    etag = (await store.info("data.csv")).etag

    answer = await call(object_("data.csv", store=store), headers={"If-None-Match": etag})
    head = await call(object_("data.csv", store=store), "HEAD")

    assert (answer.status, head.status) == (304, 200)
    assert head.headers["content-length"] == str(len(DATA))
    assert store.asked == []


async def test_an_object_that_is_overwritten_while_it_is_sent_is_an_error_and_never_a_mixture(store):
    class Overwritten(Counting):
        async def get(self, key, start, length, etag):
            if start:
                await self.put(key, DATA[::-1])
            return await super().get(key, start, length, etag)

    other = Overwritten()
    await other.put("data.csv", DATA)
    async with serving(app_of(lambda: object_("data.csv", store=other))) as url:
        answer = await fetch(url)

    assert (answer.status, answer.complete) == (200, False)
    assert DATA.startswith(answer.body)


async def test_a_store_that_ignores_versions_is_found_out():
    class Careless(Counting):
        async def get(self, key, start, length, etag):
            fetched = await super().get(key, start, length, None)
            return Fetched(fetched.data, Stored(len(DATA), f'"{start}"', datetime(2026, 1, 1, tzinfo=UTC)))

    store = Careless()
    await store.put("data.csv", DATA)

    with pytest.raises(sf.ObjectChanged, match=r"data\.csv was overwritten while it was sent"):
        await call(object_("data.csv", store=store))


async def test_a_store_whose_answers_arrive_in_pieces_is_not_kept_waiting_by_a_slow_client():
    class Arriving(Counting):
        under_way = 0

        async def get(self, key, start, length, etag):
            fetched = await super().get(key, start, length, etag)
            return Fetched(self.pieces(bytes(fetched.data)), fetched.stored)

        async def pieces(self, data):
            self.under_way += 1
            try:
                for at in range(0, len(data), 100_000):
                    yield data[at : at + 100_000]
            finally:
                self.under_way -= 1

    store = Arriving()
    await store.put("data.csv", DATA)
    stored = await store.info("data.csv")
    source = _bytes_of_object(store, parse("memory://x/data.csv"), stored, 0, len(DATA))
    seen, got = [], b""
    async with sf.stream(source).open() as pieces:
        async for piece in pieces:
            got += piece
            seen.append(store.under_way)

    assert got == DATA
    assert set(seen) == {0}


async def test_answers_that_were_cut_are_gone_on_with_and_an_early_end_is_an_error():
    class Cutting(Counting):
        most = 100_000

        async def get(self, key, start, length, etag):
            return await super().get(key, start, min(length, self.most), etag)

    store = Cutting()
    await store.put("data.csv", DATA)
    assert (await call(object_("data.csv", store=store))).body == DATA

    store.most = 0
    with pytest.raises(sf.TruncatedError, match="ended 3158073 bytes early, at byte 0"):
        await call(object_("data.csv", store=store))


async def test_an_object_that_is_not_there_is_a_404(store):
    with pytest.raises(HTTPException) as raised:
        await call(object_("missing", store=store))
    assert raised.value.status_code == 404


class Refusing(memory.MemoryStore):
    """A store that refuses names, as S3 does with those that are too long."""

    async def info(self, key):
        raise ValueError(key)


@pytest.mark.parametrize("key", ["a\0b", "n" * 1025])
async def test_a_name_that_no_object_can_have_is_a_404(key):
    with pytest.raises(HTTPException) as raised:
        await call(object_(key, store=Refusing()))
    assert raised.value.status_code == 404


async def test_what_a_store_refuses_otherwise_is_an_error():
    with pytest.raises(ValueError, match="fine"):
        await call(object_("fine", store=Refusing()))
    with pytest.raises(HTTPException):
        await call(object_("memory://no-such-bucket/key"))


async def test_a_url_of_a_file_is_a_file(path):
    answer = await call(object_(path.as_uri()))

    assert answer.body == DATA


def test_what_is_no_url_is_refused_at_once():
    with pytest.raises(sf.UsageError, match="not the URL of an object"):
        object_("data.csv")
    with pytest.raises(sf.UsageError, match="would have no effect"):
        object_("memory://bucket/data.csv", config={"region": "eu"})


async def test_a_type_that_nobody_told_follows_from_the_suffix(store):
    await store.put("orders.csv.gz", b"x")
    await store.put("unknown", b"x")

    assert (await call(object_("orders.csv.gz", store=store))).headers["content-type"] == "application/gzip"
    assert (await call(object_("unknown", store=store))).headers["content-type"] == "application/octet-stream"
