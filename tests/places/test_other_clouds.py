"""Google Cloud Storage and Azure, as far as a script can play them: what requests go out, how answers are understood.

Neither of them was asked itself.
"""

from __future__ import annotations

import traceback
from contextlib import aclosing

import pytest

import streamflow as sf
from streamflow.errors import ObjectChanged, UsageError
from streamflow.places import objects
from tests.places.scripted import Answer, Scripted

pytest.importorskip("obstore", reason="needs the extra objects")

MIB = 1024 * 1024
SECRET = "YzRuNHJ5c2VjcmV0a2V5"  # base64, as Azure's keys are
MODIFIED = "Mon, 23 Nov 2026 00:00:00 GMT"
DATA = bytes(range(100))

pytestmark = pytest.mark.may_leak(
    "threads", "files", reason="obstore keeps its connections and tokio's own descriptors"
)


def google(server):
    return {"base_url": server.url, "bearer_token": SECRET, "retry_config": {"max_retries": 0}}


def azure(server):
    options = {"account_name": "account", "account_key": SECRET, "endpoint": server.url}
    return options | {"retry_config": {"max_retries": 0}}


CLOUDS = [pytest.param("gs", google, id="google"), pytest.param("az", azure, id="azure")]


def reading(request):
    headers = {"etag": '"v1"', "last-modified": MODIFIED, "content-type": "text/csv", "x-ms-blob-type": "BlockBlob"}
    headers |= {"x-goog-meta-origin": "test", "x-ms-meta-origin": "test"}
    if request.headers.get("if-match", '"v1"') != '"v1"':
        return Answer(412)
    told = request.headers.get("range") or request.headers.get("x-ms-range")
    if told is None:
        return Answer(200, DATA, headers)
    first, last = map(int, told.removeprefix("bytes=").split("-"))
    last = min(last, len(DATA) - 1)
    headers["content-range"] = f"bytes {first}-{last}/{len(DATA)}"
    return Answer(206, DATA[first : last + 1], headers)


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_an_object_is_read_in_ranges_pinned_to_its_version(scheme, options):
    async with Scripted(reading) as server:
        read = objects.read(f"{scheme}://bucket/dir/k", block=40, **options(server))
        assert b"".join(await sf.stream(read).collect()) == DATA

    assert {one.method for one in server.requests} == {"GET"}
    assert all(one.path.endswith("/bucket/dir/k") for one in server.requests)
    assert [one.headers.get("if-match") for one in server.requests] == [None, '"v1"']


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_a_changed_object_is_an_error(scheme, options):
    """H68"""
    changed = []

    def answer(request):
        return Answer(412) if changed else reading(request)

    async with Scripted(answer) as server:
        read = objects.read(f"{scheme}://bucket/k", block=10, **options(server))
        async with aclosing(read.open()) as blocks:
            assert await anext(blocks) == DATA[:10]
            changed.append(True)
            with pytest.raises(ObjectChanged, match=f"{scheme}://bucket/k"):
                assert [block async for block in blocks] == [DATA[10:20], DATA[20:30]]


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_what_is_stored_beside_it_is_told(scheme, options):
    async with Scripted(reading) as server:
        found = await objects.info(f"{scheme}://bucket/k", **options(server))

    assert (found.size, found.etag, found.content_type, found.metadata) == (100, '"v1"', "text/csv", {"origin": "test"})
    assert server.lines == [server.lines[0]]
    assert server.requests[0].method == "HEAD"


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_a_small_object_is_one_request_that_may_have_a_condition(scheme, options, feed):
    async with Scripted(lambda _: Answer(201, headers={"etag": '"v1"'})) as server:
        for overwrite in (True, False):
            sink = objects.write(
                f"{scheme}://bucket/k.csv", overwrite=overwrite, metadata={"origin": "test"}, **options(server)
            )
            assert (await sink(feed(b"a,b"))).etag == '"v1"'

    plain, conditional = server.requests
    assert (plain.method, plain.body) == ("PUT", b"a,b")
    assert plain.path.endswith("/bucket/k.csv")
    said = dict(conditional.headers)
    assert said.get("x-goog-if-generation-match") == "0" or said.get("if-none-match") == "*"
    assert not {"x-goog-if-generation-match", "if-none-match"} & plain.headers.keys()
    assert "text/csv" in (said.get("content-type"), said.get("x-ms-blob-content-type"))
    assert "test" in (said.get("x-goog-meta-origin"), said.get("x-ms-meta-origin"))


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_an_object_that_is_there_is_not_overwritten(scheme, options, feed):
    def answer(request):
        return reading(request) if request.method == "HEAD" else Answer(412 if scheme == "gs" else 409)

    async with Scripted(answer) as server:
        sink = objects.write(f"{scheme}://bucket/k", overwrite=False, **options(server))
        with pytest.raises(FileExistsError, match="overwrite=False"):
            await sink(feed(b"new"))


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_a_large_object_that_may_not_overwrite_is_refused_before_anything_is_sent(scheme, options, feed):
    def answer(request):
        assert request.method == "HEAD"
        return Answer(404)

    async with Scripted(answer) as server:
        sink = objects.write(f"{scheme}://bucket/k", part_size=5 * MIB, overwrite=False, **options(server))
        with pytest.raises(OSError, match="give part_size= above"):
            await sink(feed(bytes(5 * MIB), b"x"))


async def test_google_gets_a_large_object_in_parts(feed):
    def answer(request):
        if "uploads" in request.query:
            return Answer(200, b"<R><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></R>")
        if request.method == "POST":
            return Answer(200, b"<R><ETag>v1</ETag></R>")
        return reading(request) if request.method == "HEAD" else Answer(200, headers={"etag": '"p"'})

    async with Scripted(answer) as server:
        sink = objects.write("gs://bucket/k", part_size=5 * MIB, **google(server))
        assert (await sink(feed(bytes(5 * MIB), b"x"))).bytes == 5 * MIB + 1

    assert sorted(server.lines) == [
        "HEAD /bucket/k",
        "POST /bucket/k",
        "POST /bucket/k",
        "PUT /bucket/k",
        "PUT /bucket/k",
    ]
    puts = {one.query["partNumber"]: len(one.body) for one in server.requests if one.method == "PUT"}
    assert puts == {"1": 5 * MIB, "2": 1}


async def test_azure_gets_a_large_object_in_blocks_and_a_list_of_them(feed):
    def answer(request):
        return reading(request) if request.method == "HEAD" else Answer(201, headers={"etag": '"v1"'})

    async with Scripted(answer) as server:
        sink = objects.write("az://bucket/k", part_size=MIB, **azure(server))
        assert (await sink(feed(bytes(MIB), bytes(MIB), b"x"))).bytes == 2 * MIB + 1

    puts = [one for one in server.requests if one.method == "PUT"]
    assert sorted(one.query["comp"] for one in puts) == ["block", "block", "block", "blocklist"]
    assert puts[-1].query["comp"] == "blocklist"


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_a_failure_above_never_commits(scheme, options, feed):
    """E15. Azure forgets blocks without a list by itself; Google is told to."""

    def answer(request):
        body = b"<R><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></R>" if "uploads" in request.query else b""
        return Answer(204 if request.method == "DELETE" else 201, body, {"etag": '"p"'})

    async with Scripted(answer) as server:
        sink = objects.write(f"{scheme}://bucket/k", part_size=5 * MIB, **options(server))
        with pytest.raises(ValueError, match="above"):
            await sink(feed(bytes(5 * MIB), bytes(5 * MIB), ValueError("above")))

    assert not [one for one in server.requests if one.query.get("comp") == "blocklist"]
    assert [one.method for one in server.requests if one.method == "DELETE"] == (["DELETE"] if scheme == "gs" else [])
    assert [one for one in server.requests if one.method == "POST" and "uploadId" in one.query] == []


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_their_open_uploads_cannot_be_asked_for_and_the_error_says_what_to_do(scheme, options):
    async with Scripted(lambda _: Answer(500)) as server:
        with pytest.raises(UsageError, match="lifecycle rule"):
            await sf.stream(objects.leftovers(f"{scheme}://bucket", **options(server))).collect()
    assert server.requests == []


@pytest.mark.parametrize(("scheme", "options"), CLOUDS)
async def test_no_key_and_no_token_ever_appears(scheme, options, feed):
    """H100"""
    refusal = f"<Error><Code>AuthenticationFailed</Code><Message>{SECRET}</Message></Error>".encode()
    async with Scripted(lambda _: Answer(403, refusal)) as server:
        sink = objects.write(f"{scheme}://bucket/k", **options(server))
        source = objects.read(f"{scheme}://bucket/k", **options(server))
        for run in (lambda: sink(feed(b"x")), lambda: sf.stream(source).collect()):
            with pytest.raises(PermissionError) as caught:
                await run()
            assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(sink) + repr(source)


async def test_azure_signs_urls():
    async with Scripted(lambda _: Answer(200)) as server:
        link = await objects.sign("az://bucket/k", expires=60, **azure(server))
    assert "sig=" in link
    assert "/bucket/k" in link
    assert SECRET not in link
