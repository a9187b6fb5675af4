"""Uploads that may not overwrite, and those left open: against a real S3-protocol server, and a scripted one."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from streamflow.errors import CommitUnknown
from streamflow.places import objects
from streamflow.places.blocks import MIB
from tests.places.scripted import Answer, Bucket3, Scripted, error

pytest.importorskip("obstore", reason="needs the extra objects")

PART = 5 * MIB
KEYS = {"access_key_id": "ID", "secret_access_key": "SECRET", "region": "us-east-1"}
LARGE = [bytes([number]) * PART for number in range(3)]

pytestmark = [
    pytest.mark.may_leak("threads", "files", reason="obstore keeps its connections and tokio's own descriptors"),
    pytest.mark.slow,
]


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
    # What is not signed as a header is refused by AWS.
    assert not [name for name in posts[0].headers if name.startswith("x-amz-")]


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


@pytest.mark.parametrize("overwrite", [True, False])
async def test_a_commit_whose_answer_is_lost_is_found_to_have_happened(feed, overwrite):
    """H65: the object that is there is known by its mark, or by the ETag that follows from its parts."""
    s3 = Bucket3()

    def answer(request):
        answered = s3.answer(request)
        return Answer(cut=-1) if committing(request) else answered

    async with Scripted(answer) as server:
        written = await scripted(server, overwrite=overwrite)(feed(*LARGE))

    assert written.bytes == 3 * PART
    assert written.etag == s3.objects["/bucket/k"][1]["etag"]


@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("code", ["InternalError", "InvalidPart"])
async def test_a_commit_that_is_answered_by_200_with_an_error_is_an_error_and_leaves_nothing(feed, overwrite, code):
    """H65"""
    s3 = Bucket3()

    def answer(request):
        return Answer(200, b"\n " + error(code)) if committing(request) else s3.answer(request)

    async with Scripted(answer) as server:
        with pytest.raises(OSError, match=f"{code}|missing field `ETag`") as caught:
            await scripted(server, overwrite=overwrite)(feed(*LARGE))

    assert not isinstance(caught.value, CommitUnknown)
    assert (s3.objects, s3.uploads) == ({}, {})


@pytest.mark.parametrize("overwrite", [True, False])
async def test_a_part_that_fails_twice_is_sent_again(feed, overwrite):
    """H72"""
    s3, failing = Bucket3(), [Answer(500), Answer(503, error("SlowDown"))]

    def answer(request):
        return failing.pop() if request.query.get("partNumber") == "2" and failing else s3.answer(request)

    async with Scripted(answer) as server:
        await scripted(server, overwrite=overwrite)(feed(*LARGE))

    assert s3.objects["/bucket/k"][0] == b"".join(LARGE)
    assert failing == []


async def test_a_part_that_keeps_failing_aborts_the_upload(feed):
    s3 = Bucket3()

    def answer(request):
        return Answer(403, error("ExpiredToken")) if request.query.get("partNumber") == "2" else s3.answer(request)

    async with Scripted(answer) as server:
        for overwrite in (True, False):
            with pytest.raises(PermissionError, match="ExpiredToken"):
                await scripted(server, overwrite=overwrite)(feed(*LARGE))

    assert (s3.objects, s3.uploads) == ({}, {})


async def test_an_upload_that_could_not_be_aborted_after_all_is_noted(feed):
    """P6: obstore's writer does not say so, therefore the store is asked."""
    s3 = Bucket3()

    def answer(request):
        refused = request.query.get("partNumber") == "2" or request.method == "DELETE"
        return Answer(403, error("ExpiredToken")) if refused else s3.answer(request)

    async with Scripted(answer) as server:
        with pytest.raises(PermissionError, match="ExpiredToken") as caught:
            await scripted(server)(feed(*LARGE))

    assert len(s3.uploads) == 1
    assert "could not be aborted, parts of it may be left there" in caught.value.__notes__[0]
