"""Whether what was read is what was stored: by each checksum that S3 tells, in one piece and in parts."""

from __future__ import annotations

import base64
import hashlib
import itertools
import zlib

import hypothesis
import hypothesis.strategies as st
import pytest

import streamflow as sf
from streamflow.errors import FormatError, ObjectChanged, UsageError
from streamflow.places import objects
from streamflow.places.blocks import MIB
from streamflow.places.verifying import Checksum, Wanted
from tests.places.scripted import Answer, Scripted, tag

KEYS = {"access_key_id": "ID", "secret_access_key": "SECRET", "region": "us-east-1"}
DATA = bytes(range(256)) * 400

cloudy = pytest.mark.may_leak("threads", "files", reason="obstore keeps its connections and tokio's own descriptors")


def of_parts(data, part):
    digests = [hashlib.md5(data[at : at + part]).digest() for at in range(0, len(data), part)]
    return hashlib.md5(b"".join(digests)).digest()


@hypothesis.given(st.binary(max_size=60), st.lists(st.integers(0, 20), max_size=8), st.integers(1, 25))
def test_however_it_is_cut_the_checksum_is_the_same(data, sizes, part):
    """L1"""
    whole = Checksum(Wanted("MD5", hashlib.md5, hashlib.md5(data).digest(), None, "e"))
    parts = Checksum(Wanted("MD5", hashlib.md5, of_parts(data, part), part, "e"))
    wrong = Checksum(Wanted("MD5", hashlib.md5, of_parts(data + b"x", part), part, "e"))
    for size in [*sizes, len(data)]:
        piece, data = data[:size], data[size:]
        for each in (whole, parts, wrong):
            each.update(piece)
    whole.check("k")
    parts.check("k")
    with pytest.raises(FormatError, match="k: what was read is not what was stored: it has the MD5"):
        wrong.check("k")


def test_the_checksum_of_parts_that_grow_as_ours_do():
    """H69, H71: the parts double after each thousand."""
    data = bytes(number % 251 for number in range(1000 * 10 + 3 * 20 + 5))
    cuts = [*range(0, 10_000, 10), *range(10_000, len(data), 20)]
    digests = [hashlib.sha256(data[at : at + (10 if at < 10_000 else 20)]).digest() for at in cuts]
    digest = hashlib.sha256(b"".join(digests)).digest()
    right = Checksum(Wanted("SHA256", hashlib.sha256, digest, 10, "e", grows=True))
    wrong = Checksum(Wanted("SHA256", hashlib.sha256, digest, 10, "e"))
    for at in range(0, len(data), 777):
        right.update(data[at : at + 777])
        wrong.update(data[at : at + 777])
    right.check("k")
    with pytest.raises(FormatError):
        wrong.check("k")


class Told:
    """One object with the headers that a HEAD tells, of which a byte may be flipped on the way."""

    def __init__(self, etag, flipped=None, first=None, **told):
        data = bytearray(DATA)
        if flipped is not None:
            data[flipped] ^= 1
        self.sent, self.first = bytes(data), first
        self.headers = {"etag": etag, "last-modified": "Mon, 23 Nov 2026 00:00:00 GMT"}
        self.told = {name.replace("_", "-"): value for name, value in told.items()}

    def answer(self, request):
        if request.method == "HEAD":
            size = self.first if "partNumber" in request.query else len(DATA)
            mode = request.headers.get("x-amz-checksum-mode") == "ENABLED"
            return Answer(200, headers={"content-length": str(size), **self.headers, **(self.told if mode else {})})
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        last = min(last, len(DATA) - 1)
        told = {"content-range": f"bytes {first}-{last}/{len(DATA)}", **self.headers}
        return Answer(206, self.sent[first : last + 1], told)


def composite(part):
    return f'"{of_parts(DATA, part).hex()}-{-(-len(DATA) // part)}"'


def grown_composite():
    """The ETag of a thousand parts of 50 bytes and as many of 100 as are needed."""
    ends = [*range(0, 50_000, 50), *range(50_000, len(DATA), 100), len(DATA)]
    digests = [hashlib.md5(DATA[start:end]).digest() for start, end in itertools.pairwise(ends)]
    return f'"{hashlib.md5(b"".join(digests)).hexdigest()}-{len(digests)}"'


def b64(digest):
    return base64.b64encode(digest).decode()


CRC = zlib.crc32(DATA).to_bytes(4, "big")
WAYS = [
    pytest.param({"etag": tag(DATA)}, id="etag"),
    pytest.param({"etag": composite(10_000), "first": 10_000}, id="etag of parts"),
    pytest.param({"etag": composite(51_200), "first": 51_200}, id="etag of whole parts"),
    pytest.param({"etag": grown_composite(), "first": 50}, id="etag of parts that grow"),
    pytest.param({"etag": '"x"', "x_amz_checksum_crc32": b64(CRC)}, id="crc32"),
    pytest.param({"etag": '"x"', "x_amz_checksum_sha256": b64(hashlib.sha256(DATA).digest())}, id="sha256"),
    pytest.param({"etag": '"x"', "x_amz_checksum_sha1": b64(hashlib.sha1(DATA).digest())}, id="sha1"),
]


@cloudy
@pytest.mark.parametrize("told", WAYS)
async def test_what_is_whole_is_read_and_a_flipped_byte_is_an_error(told):
    """H71: wherever it is, and before the end is taken for one."""
    pytest.importorskip("obstore", reason="needs the extra objects")
    for flipped in (None, 0, len(DATA) // 2, len(DATA) - 1):
        async with Scripted(Told(flipped=flipped, **told).answer) as server:
            source = objects.read("s3://bucket/k", block=7000, verify=True, endpoint=server.url, **KEYS)
            if flipped is None:
                assert b"".join(await sf.stream(source).collect()) == DATA
            else:
                with pytest.raises(FormatError, match="not what was stored"):
                    await sf.stream(source).collect()


@cloudy
async def test_an_object_that_changed_after_its_checksum_was_told_is_an_error_before_its_first_byte():
    """H68"""
    pytest.importorskip("obstore", reason="needs the extra objects")
    old, new, got = Told(tag(DATA)), Told('"new"'), []
    async with Scripted(lambda one: (old if one.method == "HEAD" else new).answer(one)) as server:
        source = objects.read("s3://bucket/k", verify=True, endpoint=server.url, **KEYS)
        with pytest.raises(ObjectChanged):
            await sf.stream(source).tap(got.append).collect()
    assert got == []


@cloudy
@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"etag": '"x"'}, "no checksum that can be verified"),
        ({"etag": tag(DATA), "x_amz_server_side_encryption": "aws:kms"}, "no checksum"),
        ({"etag": tag(DATA), "x_amz_server_side_encryption_customer_algorithm": "AES256"}, "no checksum"),
        ({"etag": composite(10_000), "first": 5_000}, "parts of different sizes"),
    ],
)
async def test_what_cannot_be_verified_is_not_read_as_if_it_had_been(told, message):
    """P10"""
    pytest.importorskip("obstore", reason="needs the extra objects")
    async with Scripted(Told(**told).answer) as server:
        source = objects.read("s3://bucket/k", verify=True, endpoint=server.url, **KEYS)
        with pytest.raises(UsageError, match=message):
            await sf.stream(source).collect()
    assert "GET" not in {request.method for request in server.requests}


@cloudy
async def test_on_a_real_server_what_was_written_is_verified(bucket, s3_server, feed):
    pytest.importorskip("obstore", reason="needs the extra objects")
    options = {"endpoint": s3_server, **KEYS}
    for items in ([b""], [b"small"], [bytes(5 * MIB), b"x" * MIB]):
        await objects.write(f"s3://{bucket.name}/k", part_size=5 * MIB, **options)(feed(*items))
        source = objects.read(f"s3://{bucket.name}/k", verify=True, **options)
        assert b"".join(await sf.stream(source).collect()) == b"".join(items)


@cloudy
async def test_stopping_early_and_cancelling_leave_no_thread(cancelled_after):
    pytest.importorskip("obstore", reason="needs the extra objects")
    async with Scripted(Told(tag(DATA)).answer) as server:
        source = objects.read("s3://bucket/k", block=1000, verify=True, endpoint=server.url, **KEYS)
        assert len(await sf.stream(source).take(2).collect()) == 2
        for turns in (0, 3, 10, 30):
            task = await cancelled_after(sf.stream(source).collect, turns)
            assert task.cancelled() or len(task.result()) == 103


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: objects.read("memory://b/k", verify=True), "verify would have no effect"),
        (lambda: objects.read("file:///tmp/k", verify=True), "verify would have no effect"),
        (lambda: objects.read("s3://b/k", verify=True, offset=1), "needs the whole object"),
        (lambda: objects.read("s3://b/k", verify=True, length=1), "needs the whole object"),
    ],
)
def test_a_call_that_means_nothing_is_refused_at_once(call, message):
    """P10"""
    with pytest.raises(UsageError, match=message):
        call()
