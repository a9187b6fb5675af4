"""S3 through obstore, against a real S3-protocol server on loopback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import traceback
import urllib.request
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import timedelta

import pytest

import streamflow as sf
from streamflow.errors import ObjectChanged, UsageError
from streamflow.places import objects
from streamflow.places.blocks import MIB
from streamflow.places.cloud import CloudStore
from tests.places.scripted import Answer, Bucket3, Scripted

pytest.importorskip("obstore", reason="needs the extra objects")

ID, SECRET = "AKIAC4N4RY", "c4n4ry/secret+key"
PART = 5 * MIB

pytestmark = [
    pytest.mark.may_leak("threads", "files", reason="obstore keeps its connections and tokio's own descriptors"),
    pytest.mark.slow,
]


@pytest.fixture
def options(s3_server):
    return {"endpoint": s3_server, "access_key_id": ID, "secret_access_key": SECRET, "region": "us-east-1"}


async def collected(source):
    async with aclosing(source.open()) as blocks:
        return [block async for block in blocks]


@pytest.mark.parametrize("size", [0, 1, 100_000])
async def test_a_small_object_is_one_request_and_is_read_again(bucket, options, feed, size):
    data = os.urandom(size)
    url = f"s3://{bucket.name}/dir/small"
    written = await objects.write(url, **options)(feed(data[: size // 2], data[size // 2 :]))

    assert (written.url, written.bytes, written.durable) == (url, size, True)
    head = bucket.head("dir/small")
    assert (head["ETag"], head["Content-Length"]) == (written.etag, str(size))
    assert "-" not in written.etag  # a multipart object's ETag ends in the number of its parts
    assert b"".join(await collected(objects.read(url, block=7000, **options))) == data


@pytest.mark.parametrize("equal", [False, True])
async def test_a_large_object_goes_up_in_parts_and_is_read_in_ranges(bucket, options, feed, equal):
    data = os.urandom(3 * PART + 12345)
    url = f"s3://{bucket.name}/large"
    pieces = [data[at : at + 300_000] for at in range(0, len(data), 300_000)]
    written = await objects.write(url, part_size=PART, equal_parts=equal, **options)(feed(*pieces))

    assert written.bytes == len(data)
    assert written.etag.endswith('-4"')
    assert bucket.left() == (["large"], [])
    blocks = await collected(objects.read(url, **options))
    assert b"".join(blocks) == data
    assert max(map(len, blocks)) <= 3 * MIB // 2
    assert len(blocks) <= 2 * len(data) // MIB
    assert max(map(len, await collected(objects.read(url, block=3 * MIB, **options)))) > 3 * MIB // 2
    assert max(map(len, await collected(objects.read(url, block=1000, **options)))) <= 1500
    assert (
        b"".join(await collected(objects.read(url, offset=PART - 1, length=3, **options))) == data[PART - 1 : PART + 2]
    )


@pytest.mark.parametrize("equal", [False, True])
async def test_a_failure_above_aborts_the_upload(bucket, options, feed, equal):
    """E15, H61: after parts have gone up."""
    sink = objects.write(f"s3://{bucket.name}/k", part_size=PART, concurrency=1, equal_parts=equal, **options)
    with pytest.raises(ValueError, match="above"):
        await sink(feed(bytes(PART), bytes(PART), bytes(PART), ValueError("above")))
    assert bucket.left() == ([], [])


class Endless:
    """Gives so many parts, says so, and then nothing for ever."""

    def __init__(self, count):
        self.left = count
        self.given = asyncio.Event()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.left:
            self.given.set()
            await asyncio.Event().wait()
        self.left -= 1
        return bytes(PART)


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("parts", [0, 1, 3])
async def test_cancelled_on_its_way_up_it_leaves_no_object_and_no_upload(
    bucket, options, cancelled_after, parts, equal
):
    """X2, X21, H29: the cancellation comes when so many parts have been handed over."""
    items = Endless(parts)
    sink = objects.write(f"s3://{bucket.name}/k", part_size=PART, concurrency=2, equal_parts=equal, **options)
    task = await cancelled_after(lambda: sink(items), 0, items.given)

    assert task.cancelled()
    assert bucket.left() == ([], [])


@pytest.mark.parametrize("equal", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34, 55])
async def test_cancelled_while_the_upload_is_begun_its_id_is_not_lost(  # noqa: PLR0917  # fixtures
    bucket, options, cancelled_after, feed, turns, equal
):
    """H29."""
    sink = objects.write(f"s3://{bucket.name}/k", part_size=PART, equal_parts=equal, **options)
    task = await cancelled_after(lambda: sink(feed(*[bytes(PART)] * 3)), turns)

    keys, open_uploads = bucket.left()
    assert open_uploads == []
    assert keys == [] or bucket.head("k")["Content-Length"] == str(3 * PART)
    assert task.cancelled() or keys


async def test_an_object_overwritten_between_two_ranges_is_an_error(bucket, options):
    """H68."""
    bucket.put("k", b"A" * 1000)
    got = []

    async def read():
        async with aclosing(objects.read(f"s3://{bucket.name}/k", block=10, **options).open()) as blocks:
            async for block in blocks:
                got.append(block)
                bucket.put("k", b"B" * 1000)

    with pytest.raises(ObjectChanged, match="overwritten while it was read") as caught:
        await read()
    assert set(b"".join(got)) == set(b"A")
    assert isinstance(caught.value, OSError)


async def test_every_range_asks_for_the_version_it_continues(bucket, options):
    """H68: the server itself refuses another one, before it sends it."""
    from obstore.store import S3Store  # noqa: PLC0415  # an extra

    store = CloudStore(S3Store(bucket.name, client_options={"allow_http": True}, **options))
    bucket.put("k", b"abc")
    stored = await store.info("k")

    assert [piece async for piece in (await store.get("k", 1, 5, stored.etag)).data] == [b"bc"]
    with pytest.raises(ObjectChanged):
        await store.get("k", 1, 5, '"another"')


@pytest.mark.parametrize("etag", ['W/"v"', None], ids=["weak", "missing"])
async def test_without_an_exact_etag_the_time_tells_versions_apart(options, etag):
    """H68: no server may grant a condition on a weak ETag, so it is not asked for."""
    version, changing = 1, False

    def answer(request):
        nonlocal version
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        headers = {"content-range": f"bytes {first}-{min(last, 99)}/100"}
        headers["last-modified"] = f"Mon, 23 Nov 2026 00:00:0{version} GMT"
        if etag:
            headers["etag"] = etag
        body = bytes([64 + version]) * (min(last, 99) - first + 1)
        version += changing
        return Answer(412 if "if-match" in request.headers else 206, body, headers)

    async with Scripted(answer) as server:
        source = objects.read("s3://bucket/k", block=10, **(options | {"endpoint": server.url}))
        assert b"".join(await collected(source)) == b"A" * 100
        changing, got = True, []
        with pytest.raises(ObjectChanged):
            await sf.stream(source).tap(got.append).collect()
    assert set(b"".join(got)) == set(b"A")


async def test_a_body_that_is_cut_is_continued(options):
    """H66"""
    s3, cuts = Bucket3(), [5, 0, 7]
    s3.objects["/bucket/k"] = (data := bytes(range(100)), {"etag": '"v"'})

    def answer(request):
        answered = s3.answer(request)
        return replace(answered, cut=cuts.pop()) if cuts else answered

    async with Scripted(answer) as server:
        options |= {"endpoint": server.url, "retry_config": {"backoff": {"init_backoff": timedelta(milliseconds=1)}}}
        assert b"".join(await collected(objects.read("s3://bucket/k", block=50, **options))) == data
    assert {request.headers.get("if-match") for request in server.requests[2:]} <= {'"v"', None}
    assert cuts == []


@pytest.mark.parametrize("way", ["one connection at a time", "a pool of one"])
async def test_more_open_streams_than_connections_never_wait_for_each_other(bucket, options, way):
    """H50: four objects are read in turns, each held open while the others go on."""
    s3 = Bucket3()
    for number in range(4):
        s3.objects[f"/{bucket.name}/{number}"] = (bytes([number]) * 300_000, {"etag": f'"{number}"'})
        bucket.put(str(number), bytes([number]) * 300_000)
    pool = {"client_options": {"pool_max_idle_per_host": "1"}}
    async with Scripted(s3.answer, at_once=1) as server, AsyncExitStack() as stack:
        options |= {"endpoint": server.url} if way == "one connection at a time" else pool
        sources = [objects.read(f"s3://{bucket.name}/{number}", block=10_000, **options) for number in range(4)]
        streams = [await stack.enter_async_context(aclosing(source.open())) for source in sources]
        for _ in range(30):
            assert [(await anext(stream))[0] for stream in streams] == [0, 1, 2, 3]


@pytest.mark.parametrize("equal", [False, True])
async def test_type_and_metadata_are_stored_and_told(bucket, options, feed, equal):
    for key, items in (("small.csv", [b"a,b"]), ("large.csv", [bytes(PART), b"x"])):
        url = f"s3://{bucket.name}/{key}"
        sink = objects.write(url, part_size=PART, equal_parts=equal, metadata={"origin": "a & b"}, **options)
        await sink(feed(*items))
        found = await objects.info(url, **options)

        assert bucket.head(key)["Content-Type"] == found.content_type == "text/csv"
        assert bucket.head(key)["x-amz-meta-origin"] == found.metadata["origin"] == "a & b"
        assert found.modified is not None


@pytest.mark.parametrize("equal", [False, True])
async def test_parts_carry_a_checksum_that_the_server_keeps(options, feed, equal):
    """H71: and the whole body is a part of the signature."""
    async with Scripted((s3 := Bucket3()).answer) as server:
        options |= {"endpoint": server.url}
        await objects.write("s3://bucket/k", part_size=PART, equal_parts=equal, **options)(feed(bytes(PART), b"x"))
        await objects.write("s3://bucket/small", **options)(feed(b"x"))
        await objects.write("s3://bucket/none", checksum_algorithm=None, **options)(feed(b"x"))

    puts = {(one.path, one.query.get("partNumber")): one for one in server.requests if one.method == "PUT"}
    for sent in puts.values():
        digest = hashlib.sha256(sent.body)
        assert sent.headers["x-amz-content-sha256"] == digest.hexdigest()
        told = None if sent.path == "/bucket/none" else base64.b64encode(digest.digest()).decode()
        assert sent.headers.get("x-amz-checksum-sha256") == told
    assert set(puts) == {("/bucket/k", "1"), ("/bucket/k", "2"), ("/bucket/small", None), ("/bucket/none", None)}
    assert s3.uploads == {}


async def test_a_signed_url_allows_one_thing_to_anybody(bucket, options):
    bucket.put("a%20b", b"abc")
    url = f"s3://{bucket.name}/a b"
    link = await objects.sign(url, expires=60, **options)
    into = await objects.sign(f"s3://{bucket.name}/new", "PUT", expires=60, **options)
    request = urllib.request.Request(into, b"new", {"content-type": "text/plain"}, method="PUT")

    assert await asyncio.to_thread(fetched, link) == b"abc"
    await asyncio.to_thread(fetched, request)
    assert await collected(objects.read(f"s3://{bucket.name}/new", **options)) == [b"new"]
    assert "X-Amz-Expires=60" in link
    assert SECRET not in link


def fetched(request):
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


async def test_a_store_of_obstore_s_own_has_its_credentials_blotted_out(options, refusing):
    """H100"""
    from obstore.store import S3Store  # noqa: PLC0415  # an extra

    store = S3Store("bucket", client_options={"allow_http": True}, **(options | {"endpoint": refusing}))
    for run in (lambda: objects.info("k", store=store), lambda: collected(objects.list("k", store=store))):
        with pytest.raises(PermissionError) as caught:
            await run()
        assert_no_secret(caught.value)


async def test_what_is_missing_is_not_found(bucket, options, feed):
    with pytest.raises(FileNotFoundError, match="none"):
        await collected(objects.read(f"s3://{bucket.name}/none", **options))
    with pytest.raises(FileNotFoundError, match="bucket"):
        await collected(objects.read("s3://no-such-bucket/k", **options))
    with pytest.raises(FileNotFoundError, match="bucket"):
        await objects.write("s3://no-such-bucket/k", **options)(feed(b"abc"))
    with pytest.raises(FileNotFoundError, match="bucket"):
        await objects.write("s3://no-such-bucket/k", part_size=PART, **options)(feed(*[bytes(PART)] * 3))


async def test_the_verbs_around_it(bucket, options):
    bucket.put("k", b"abc")
    url = f"s3://{bucket.name}/k"

    assert (await objects.info(url, **options)).size == 3
    assert await objects.exists(url, **options)
    await objects.delete(url, **options)
    await objects.delete(url, **options)
    assert not await objects.exists(url, **options)


async def test_an_offset_past_the_end_reads_nothing(bucket, options):
    bucket.put("k", b"abc")

    assert await collected(objects.read(f"s3://{bucket.name}/k", offset=100, **options)) == []


async def test_it_is_configured_by_the_environment(bucket, feed, monkeypatch, s3_server):
    """An http endpoint is allowed because it was named."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    await objects.write(f"s3://{bucket.name}/k")(feed(b"abc"))

    assert await collected(objects.read(f"s3://{bucket.name}/k")) == [b"abc"]


async def test_one_of_obstore_s_own_stores_may_be_given(bucket, options, feed):
    from obstore.store import S3Store  # noqa: PLC0415  # an extra

    store = S3Store(bucket.name, client_options={"allow_http": True}, **options)
    await objects.write("a/b", store=store)(feed(b"abc"))

    assert await collected(objects.read("a/b", store=store)) == [b"abc"]
    assert bucket.left() == (["a/b"], [])


def test_a_part_that_s3_would_refuse_at_the_end_is_refused_at_the_beginning(options):
    with pytest.raises(UsageError, match="part_size is at least 5242880 bytes"):
        objects.write("s3://bucket/k", part_size=PART - 1, **options)


@pytest.mark.parametrize("wrong", [{"nonsense": 1}, {"region": object()}, {"endpoint": "no url"}])
async def test_an_option_that_does_not_exist_is_refused_without_secrets(options, wrong, feed):
    """P10, H100."""
    with pytest.raises((UsageError, OSError)) as caught:
        await objects.write("s3://bucket/k", retry_config={"max_retries": 0}, **(options | wrong))(feed(b"x"))
    assert_no_secret(caught.value)


def assert_no_secret(error):
    text = "".join(traceback.format_exception(error)) + repr(error) + "".join(getattr(error, "__notes__", []))
    assert SECRET not in text
    assert ID not in text
    assert error.__context__ is None or SECRET not in str(error.__context__)


REFUSAL = f"""<?xml version="1.0"?><Error><Code>SignatureDoesNotMatch</Code><Message>does not match</Message>
<AWSAccessKeyId>{ID}</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 {SECRET}</StringToSign></Error>"""


@pytest.fixture
async def refusing():
    """A server that refuses every request and repeats the credentials in its answer, as S3 does."""

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        await reader.readexactly(length)
        body = b"" if head.startswith(b"HEAD") else REFUSAL.encode()
        writer.write(b"HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def test_wrong_credentials_are_a_permission_error_that_does_not_tell_them(options, feed, refusing):
    """H100."""
    wrong = options | {"endpoint": refusing}
    for run in (
        lambda: objects.write("s3://bucket/k", **wrong)(feed(b"abc")),
        lambda: objects.write("s3://bucket/k", part_size=PART, **wrong)(feed(bytes(PART), b"abc")),
        lambda: collected(objects.read("s3://bucket/k", **wrong)),
        lambda: objects.info("s3://bucket/k", **wrong),
    ):
        with pytest.raises(PermissionError, match="refused the credentials") as caught:
            await run()
        assert_no_secret(caught.value)


async def test_a_server_that_is_not_there_is_an_error_without_credentials(options, feed):
    """H100."""
    gone = options | {"endpoint": f"http://{ID}:{SECRET}@127.0.0.1:1", "retry_config": {"max_retries": 0}}
    with pytest.raises(OSError) as caught:  # noqa: PT011  # what it must not say is the point
        await objects.write("s3://bucket/k", **gone)(feed(b"abc"))
    assert_no_secret(caught.value)


def test_no_repr_tells_a_credential(options):
    """H100."""
    source, sink = objects.read("s3://b/k", **options), objects.write("s3://b/k", **options)
    from obstore.store import S3Store  # noqa: PLC0415  # an extra

    for thing in (source, sink, CloudStore(S3Store("bucket", **options))):
        assert SECRET not in repr(thing)
        assert ID not in repr(thing)
