"""The codecs of a response: everything comes back, at once, and nothing looks whole that is not."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
import zlib

import httpx2
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

import streamflow.web.compressing as module
from streamflow.errors import MissingExtra, UsageError
from streamflow.web.compressing import CODINGS, codings, encoder
from streamflow.web.ndjson import ndjson
from streamflow.web.responses import StreamResponse
from tests.web.calling import call
from tests.web.servers import IN_PYTHON, fetch, serving
from tests.web.test_ndjson import app_of, reading

brotli = pytest.importorskip("brotli")


class Client:
    """What reads one coding, as an HTTP client does."""

    def __init__(self, name):
        self._made = {"gzip": _Gunzip, "br": _Unbrotli, "zstd": _Unzstd}[name]()

    def feed(self, data):
        return self._made.read(data)

    @property
    def whole(self):
        return self._made.whole


class _Gunzip:
    def __init__(self):
        self._library = zlib.decompressobj(16 + 15)

    def read(self, data):
        return self._library.decompress(data)

    @property
    def whole(self):
        return self._library.eof and not self._library.unused_data


class _Unbrotli:
    def __init__(self):
        self._library = brotli.Decompressor()

    def read(self, data):
        return self._library.process(data) if data else b""

    @property
    def whole(self):
        return self._library.is_finished()


class _Unzstd:
    def __init__(self):
        self._library = zstd.ZstdDecompressor()

    def read(self, data):
        return self._library.decompress(data)

    @property
    def whole(self):
        return self._library.eof and not self._library.unused_data


def everything(codec, *pieces):
    return b"".join([*map(codec.feed, pieces), codec.finish()])


each = pytest.mark.parametrize("name", CODINGS)
DATA = b"".join(b"%d,customer %d,paid\r\n" % (number, number % 7) for number in range(400)) + bytes(range(256))


@each
def test_comes_back_as_it_was_at_every_cut_and_nothing_stays_behind(name):
    short = DATA[:150] + DATA[-50:]
    for cut in range(len(short) + 1):
        codec, client = encoder(name), Client(name)
        before = client.feed(codec.feed(short[:cut]))
        assert before == short[:cut]
        rest = client.feed(codec.feed(short[cut:]) + codec.finish())
        assert before + rest == short
        assert client.whole


@each
@given(pieces=st.lists(st.binary(max_size=3000), max_size=12))
def test_the_client_has_all_that_was_fed(name, pieces):
    codec, client = encoder(name), Client(name)
    for piece in pieces:
        assert client.feed(codec.feed(piece)) == piece
    assert client.feed(codec.finish()) == b""
    assert client.whole


@each
def test_is_whole_only_after_its_end(name):
    """A response that failed midway must not look complete: what was fed is readable, and has no end."""
    codec, client = encoder(name), Client(name)

    assert client.feed(codec.feed(DATA)) == DATA
    assert not client.whole


@each
def test_nothing_fed_is_nothing_sent(name):
    assert encoder(name).feed(b"") == b""


@each
@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_takes_anything_that_is_bytes(name, kind):
    assert Client(name).feed(everything(encoder(name), kind(b"rows" * 100))) == b"rows" * 100


@each
def test_rows_get_three_times_smaller(name):
    assert len(everything(encoder(name), *[DATA] * 20)) * 3 < len(DATA) * 20


def test_what_is_asked_for_in_general_is_what_is_installed():
    assert codings(True) == codings("auto") == CODINGS
    assert codings(None) == codings(False) == ()


def test_names_are_taken_in_their_order():
    assert codings(("gzip", "br")) == ("gzip", "br")
    assert codings(["zstd"]) == ("zstd",)
    assert codings("gzip") == ("gzip",)


@pytest.mark.parametrize("wrong", ["deflate", ("gzip", "lzma"), (3,), "GZIP"])
def test_a_name_that_is_not_known_is_refused_with_those_that_are(wrong):
    with pytest.raises(UsageError, match=r"no content coding that is known here: write 'zstd', 'br', 'gzip'"):
        codings(wrong)


def test_an_encoder_of_no_known_name_is_refused():
    with pytest.raises(UsageError, match="'deflate'"):
        encoder("deflate")


def test_without_the_extras_gzip_is_what_there_is(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    module._is_installed.cache_clear()
    try:
        assert codings("auto") == ("gzip",)
    finally:
        module._is_installed.cache_clear()


@pytest.mark.parametrize(("name", "library", "extra"), [("br", "brotli", "brotli"), ("zstd", "backports.zstd", "zstd")])
def test_one_that_is_asked_for_by_name_and_not_installed_says_what_to_install(monkeypatch, name, library, extra):
    monkeypatch.setitem(sys.modules, library, None)

    with pytest.raises(MissingExtra, match=rf'pip install -e "\.\[{extra}\]"'):
        codings((name,))


# ---------------------------------------------------------------------------------------------------- in a response


@each
@pytest.mark.parametrize("size", [10, 16_384, 20_000, 65_536, 70_000, 200_000])
async def test_an_item_is_decoded_by_the_client_before_the_next_is_made(name, size):
    """Also one that is as large as a piece: it leaves because it is full, not because its time is over."""
    item = os.urandom(size)
    go_on = asyncio.Event()

    async def items():
        yield item
        await go_on.wait()
        yield b"the next"

    make = app_of(lambda: StreamResponse(items(), compress=name, within=0.01))
    async with serving(make) as url, reading(url, {"Accept-Encoding": name}) as (head, chunk):
        client, got = Client(name), b""
        while len(got) < size:
            got += client.feed(await chunk())
        assert got == item
        assert head.headers["content-encoding"] == name
        go_on.set()
        while not client.whole:
            got += client.feed(await chunk())
        assert got == item + b"the next"


@pytest.mark.slow
@each
@pytest.mark.parametrize("server", IN_PYTHON)
async def test_a_long_body_comes_back_as_it_was(name, server):
    rows = [b"%d,customer %d,paid\r\n" % (number, number % 7) for number in range(60_000)]

    async with serving(app_of(lambda: StreamResponse(rows, compress=True, media_type="text/csv")), server) as url:
        answer = await fetch(url, headers={"Accept-Encoding": f"{name}, deflate;q=0.1"})

    client = Client(name)
    assert client.feed(answer.body) == b"".join(rows)
    assert client.whole
    assert answer.complete
    assert "content-length" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert len(answer.body) * 3 < sum(map(len, rows))


@each
async def test_a_body_that_fails_midway_never_looks_whole(name):
    """H79"""

    def rows():
        for _ in range(10):
            yield os.urandom(20_000)
        raise OSError("the database is gone")

    async with serving(app_of(lambda: StreamResponse(rows(), compress=name))) as url:
        answer = await fetch(url, headers={"Accept-Encoding": name})

    client = Client(name)
    client.feed(answer.body)
    assert not answer.complete
    assert not client.whole


async def compressed(accepted="gzip", method="GET", **options):
    options = {"compress": True, "media_type": "text/csv", **options}
    return await call(StreamResponse([b"row\r\n" * 100], **options), method, {"Accept-Encoding": accepted})


async def test_a_length_that_was_told_is_not_told_any_more_unless_it_is_the_compressed_one():
    answer = await compressed(headers={"content-length": "500", "etag": '"v1"'})

    assert answer.headers.get("content-length") in {None, str(len(answer.body))}
    assert answer.headers["etag"] == 'W/"v1"'
    assert zlib.decompress(answer.body, 31) == b"row\r\n" * 100


@pytest.mark.parametrize("kind", ["image/png", "application/gzip", "application/zip"])
async def test_what_is_compressed_already_is_sent_as_it_is(kind):
    answer = await compressed(media_type=kind)

    assert answer.body == b"row\r\n" * 100
    assert "content-encoding" not in answer.headers
    assert "vary" not in answer.headers


async def test_a_part_is_sent_as_it_is():
    answer = await compressed(status_code=206, headers={"content-range": "bytes 0-499/1000"})

    assert answer.body == b"row\r\n" * 100
    assert "content-encoding" not in answer.headers


async def test_a_client_that_does_not_ask_gets_the_bytes_as_they_are():
    answer = await compressed("identity")

    assert answer.body == b"row\r\n" * 100
    assert answer.headers["vary"] == "Accept-Encoding"


async def test_the_headers_alone_are_those_of_the_compressed_body():
    answer = await compressed(method="HEAD", headers={"content-length": "500"})

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "content-length" not in answer.headers
    assert answer.headers["content-encoding"] == "gzip"


# ------------------------------------------------------------------------------------------------------ real clients


@pytest.mark.slow
async def test_a_client_library_reads_each_line_as_soon_as_it_is_made():
    go_on = asyncio.Event()

    async def items():
        for number in range(3):
            go_on.clear()
            yield {"number": number}
            await go_on.wait()

    got = []
    async with (
        serving(app_of(lambda: ndjson(items(), compress=True))) as url,
        httpx2.AsyncClient() as client,
        client.stream("GET", url) as response,
    ):
        assert response.headers["content-encoding"] in CODINGS
        async for line in response.aiter_lines():
            got.append(line)
            go_on.set()

    assert got == ['{"number":0}', '{"number":1}', '{"number":2}']


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_reads_what_it_asked_for_and_says_that_a_body_was_cut():
    rows = [b"row %d\r\n" % number for number in range(10_000)]

    def failing():
        for _ in range(10):
            yield os.urandom(20_000)
        raise OSError("the database is gone")

    async with serving(app_of(lambda: StreamResponse(rows, compress=True))) as url:
        assert await curl(url) == (0, b"".join(rows))
    async with serving(app_of(lambda: StreamResponse(failing(), compress=True))) as url:
        status, _ = await curl(url)
    assert status == CURL_SAYS_PARTIAL


CURL_SAYS_PARTIAL = 18


async def curl(url):
    command = ["curl", "--silent", "--compressed", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return process.returncode, out
