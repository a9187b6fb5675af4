"""Uploads by S3's own requests, and those left open: against a real S3-protocol server, and a scripted one."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from datetime import timedelta

import pytest

from streamflow.errors import CommitUnknown
from streamflow.places import objects
from streamflow.places.blocks import MIB
from streamflow.places.cloud_connect import connect
from streamflow.places.s3_line import Line
from streamflow.places.stores import Terms
from streamflow.places.uploads import Uploading
from streamflow.places.urls import Location
from tests.places.scripted import Answer, Bucket3, Scripted, error

pytest.importorskip("obstore", reason="needs the extra objects")

PART = 5 * MIB
# By S3's own requests, by these with a condition, by obstore's writer.
WAYS = [{}, {"overwrite": False}, {"equal_parts": True}]
KEYS = {"access_key_id": "ID", "secret_access_key": "SECRET", "region": "us-east-1"}
LARGE = [bytes([number]) * PART for number in range(3)]

pytestmark = [
    pytest.mark.may_leak("threads", "files", reason="obstore keeps its connections and tokio's own descriptors"),
    pytest.mark.slow,
]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    """obstore's are excused from the leak check; ours are not."""
    yield
    assert [one.name for one in threading.enumerate() if one.name.startswith("streamflow")] == []


def create(bucket, s3_server, key="k", **more):
    url = f"s3://{bucket.name}/{key}"
    return objects.write(url, part_size=PART, overwrite=False, endpoint=s3_server, **KEYS, **more)


@pytest.mark.parametrize("items", [[b"small"], LARGE], ids=["small", "large"])
async def test_a_new_object_is_written_and_an_old_one_is_not_overwritten(bucket, s3_server, feed, items):
    written = await create(bucket, s3_server, "a dir/k")(feed(*items))

    head = bucket.head("a%20dir/k")
    assert (head["ETag"], int(head["Content-Length"])) == (written.etag, sum(map(len, items)))
    with pytest.raises(FileExistsError, match="overwrite=False"):
        await create(bucket, s3_server, "a dir/k")(feed(*items))
    assert bucket.left() == (["a dir/k"], [])
    assert bucket.head("a%20dir/k")["ETag"] == written.etag


async def test_an_object_that_appears_while_it_is_written_is_not_overwritten(bucket, s3_server):
    """The store decides at the commit; a look before it would not have seen this one."""

    async def items():
        yield bytes(PART)
        yield bytes(PART)
        bucket.put("k", b"first")

    with pytest.raises(FileExistsError):
        await create(bucket, s3_server)(given := items())
    await given.aclose()
    assert bucket.left() == (["k"], [])
    assert bucket.head("k")["Content-Length"] == "5"


async def test_a_failure_above_aborts_the_upload(bucket, s3_server, feed):
    """E15, H61"""
    with pytest.raises(ValueError, match="above"):
        await create(bucket, s3_server)(feed(*LARGE, ValueError("above")))
    assert bucket.left() == ([], [])


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_cancelled_at_any_turn_no_upload_is_left(bucket, s3_server, cancelled_after, feed, turns):
    """X2, X21, H29"""
    task = await cancelled_after(lambda: create(bucket, s3_server)(feed(*LARGE)), turns)

    keys, open_uploads = bucket.left()
    assert open_uploads == []
    assert task.cancelled() or keys


# ------------------------------------------------------------------------------------------------------- as scripted


def scripted(server, **more):
    retry = {"max_retries": 2, "backoff": {"init_backoff": timedelta(milliseconds=1)}}
    options = {"endpoint": server.url, "retry_config": retry, "part_size": PART}
    return objects.write("s3://bucket/k", **options, **KEYS, **more)


async def test_type_and_metadata_travel_with_the_beginning(feed):
    async with Scripted((s3 := Bucket3()).answer) as server:
        sink = scripted(server, overwrite=False, content_type="text/x", metadata={"origin": "a & b"})
        await sink(feed(*LARGE))

    data, headers = s3.objects["/bucket/k"]
    assert data == b"".join(LARGE)
    assert (headers["content-type"], headers["x-amz-meta-origin"]) == ("text/x", "a & b")
    assert s3.uploads == {}
    posts = [request for request in server.requests if request.method == "POST"]
    assert [request.headers.get("if-none-match") for request in posts] == [None, "*"]
    # What is not signed is refused by AWS.
    signed = posts[0].headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    assert {name for name in posts[0].headers if name.startswith("x-amz-")} <= {*signed}


async def test_of_writers_at_once_one_wins_and_the_others_leave_nothing(feed):
    async with Scripted((s3 := Bucket3()).answer) as server:
        sinks = [scripted(server, overwrite=False)(feed(bytes([number]) * PART, b"x")) for number in (1, 2, 3)]
        endings = await asyncio.gather(*sinks, return_exceptions=True)

    won = [one for one in endings if not isinstance(one, BaseException)]
    assert [one.etag for one in won] == [s3.objects["/bucket/k"][1]["etag"]]
    assert [type(one) for one in endings if one not in won] == [FileExistsError] * 2
    assert s3.uploads == {}


def committing(request):
    return request.method == "POST" and "uploadId" in request.query


@pytest.mark.parametrize("terms", WAYS)
async def test_a_commit_whose_answer_is_lost_is_found_to_have_happened(feed, terms):
    """H65: the object that is there is known by its mark, or by the ETag that follows from its parts."""
    s3 = Bucket3()

    def answer(request):
        answered = s3.answer(request)
        return Answer(cut=-1) if committing(request) else answered

    async with Scripted(answer) as server:
        written = await scripted(server, **terms)(feed(*LARGE))

    assert written.bytes == 3 * PART
    assert written.etag == s3.objects["/bucket/k"][1]["etag"]


async def test_the_same_bytes_of_another_writer_are_not_taken_for_ours(feed):
    """H65: of two writers of one object at once one wins; the other hears of it and leaves nothing."""
    s3 = Bucket3()

    def answer(request):
        if committing(request) and not s3.objects:
            digests = b"".join(hashlib.md5(part).digest() for part in LARGE)
            etag = f'"{hashlib.md5(digests).hexdigest()}-3"'
            theirs = {"etag": etag, "x-amz-meta-streamflowid": "another"}
            s3.objects["/bucket/k"] = (b"".join(LARGE), theirs)
        return s3.answer(request)

    async with Scripted(answer) as server:
        with pytest.raises(FileExistsError):
            await scripted(server, overwrite=False)(feed(*LARGE))
    assert s3.uploads == {}


async def test_without_marks_the_etag_of_a_new_object_tells_that_it_is_ours(feed):
    s3 = Bucket3()

    def answer(request):
        answered = s3.answer(request)
        if committing(request):
            s3.objects["/bucket/k"][1].pop("x-amz-meta-streamflowid", None)
            return Answer(cut=-1)
        return answered

    async with Scripted(answer) as server:
        written = await scripted(server, overwrite=False)(feed(*LARGE))
    assert written.etag == s3.objects["/bucket/k"][1]["etag"]


@pytest.mark.parametrize("terms", WAYS)
@pytest.mark.parametrize("code", ["InternalError", "InvalidPart"])
async def test_a_commit_that_is_answered_by_200_with_an_error_is_an_error_and_leaves_nothing(feed, terms, code):
    """H65"""
    s3 = Bucket3()

    def answer(request):
        return Answer(200, b"\n " + error(code)) if committing(request) else s3.answer(request)

    async with Scripted(answer) as server:
        with pytest.raises(OSError, match=f"{code}|missing field `ETag`") as caught:
            await scripted(server, **terms)(feed(*LARGE))

    assert not isinstance(caught.value, CommitUnknown)
    assert (s3.objects, s3.uploads) == ({}, {})


@pytest.mark.parametrize("terms", WAYS)
async def test_a_part_that_fails_twice_is_sent_again(feed, terms):
    """H72"""
    s3, failing = Bucket3(), [Answer(500), Answer(503, error("SlowDown"))]

    def answer(request):
        return failing.pop() if request.query.get("partNumber") == "2" and failing else s3.answer(request)

    async with Scripted(answer) as server:
        await scripted(server, **terms)(feed(*LARGE))

    assert s3.objects["/bucket/k"][0] == b"".join(LARGE)
    assert failing == []


async def test_a_part_that_keeps_failing_aborts_the_upload(feed):
    s3 = Bucket3()

    def answer(request):
        return Answer(403, error("ExpiredToken")) if request.query.get("partNumber") == "2" else s3.answer(request)

    async with Scripted(answer) as server:
        for terms in WAYS:
            with pytest.raises(PermissionError, match="ExpiredToken"):
                await scripted(server, **terms)(feed(*LARGE))

    assert (s3.objects, s3.uploads) == ({}, {})


@pytest.mark.parametrize("terms", WAYS)
async def test_an_upload_that_could_not_be_aborted_after_all_is_noted(feed, terms):
    """P6: obstore's writer does not say so, therefore the store is asked."""
    s3 = Bucket3()

    def answer(request):
        refused = request.query.get("partNumber") == "2" or request.method == "DELETE"
        return Answer(403, error("ExpiredToken")) if refused else s3.answer(request)

    async with Scripted(answer) as server:
        with pytest.raises(PermissionError, match="ExpiredToken") as caught:
            await scripted(server, **terms)(feed(*LARGE))

    assert len(s3.uploads) == 1
    assert "could not be aborted, parts of it may be left there" in caught.value.__notes__[0]


# ------------------------------------------------------------------------------------------------ parts of other sizes


async def grown(url, size, terms=None, first=1000, **more):
    """Write so many bytes in parts that double after every two; return what was sent."""
    store = connect(Location("s3", "bucket", "k"), {"endpoint": url, **KEYS, **more}, first)
    up = Uploading(store, "k", "s3://bucket/k", first, 2, terms or Terms(), grows_every=2)
    data = bytes(number % 251 for number in range(size))
    at = 0
    while size - at >= up.wanted:
        end = at + up.wanted
        await up.send(data[at:end])
        at = end
    await up.drain(data[at:])
    await up.complete()
    return data


def sizes(server):
    puts = [request for request in server.requests if request.method == "PUT"]
    return [len(request.body) for request in sorted(puts, key=lambda one: int(one.query["partNumber"]))]


@pytest.mark.parametrize("overwrite", [True, False])
async def test_parts_grow(overwrite):
    """H69"""
    async with Scripted((s3 := Bucket3()).answer) as server:
        data = await grown(server.url, 17_500, Terms(overwrite=overwrite))
    assert sizes(server) == [1000, 1000, 2000, 2000, 4000, 4000, 3500]
    assert s3.objects["/bucket/k"][0] == data


@pytest.mark.parametrize("overwrite", [True, False])
async def test_parts_stay_equal_where_the_store_or_the_user_wants_that(overwrite):
    """Cloudflare R2 refuses others when the upload is completed."""
    r2 = "http://account.r2.cloudflarestorage.com"
    for equal in (True, False):
        terms = Terms(overwrite=overwrite, equal_parts=equal)
        async with Scripted((s3 := Bucket3()).answer) as server:
            url = server.url if equal else r2
            proxy = {} if equal else {"client_options": {"proxy_url": server.url}}
            data = await grown(url, 3500, terms, **proxy)
        assert sizes(server) == [1000, 1000, 1000, 500]
        assert s3.objects["/bucket/k"][0] == data


async def test_a_larger_part_has_more_time(monkeypatch):
    """A part of four times the size may take four times as long as was said for the first."""
    seen, real = [], Line.request

    def request(line, method, *more):
        sending = real(line, method, *more)
        if method == "PUT":
            seen.append(sending.allowed)
        return sending

    monkeypatch.setattr(Line, "request", request)
    async with Scripted(Bucket3().answer) as server:
        await grown(server.url, 12_500, client_options={"timeout": "30s"})
    assert seen == [30, 30, 60, 60, 120, 75]  # the last has 2,500 bytes


async def test_options_of_the_user_reach_the_upload(feed):
    async with Scripted((s3 := Bucket3()).answer) as server:
        await scripted(server, equal_parts=True)(feed(*LARGE, b"x"))
    assert s3.objects["/bucket/k"][0] == b"".join(LARGE) + b"x"
    assert "aws4_request" in server.requests[0].headers["authorization"]
    assert server.requests[0].headers["user-agent"].startswith("object_store")  # obstore's writer
