"""Requests that obstore only signs: what is sent, what is repeated, what an answer becomes."""

from __future__ import annotations

import hashlib
import hmac
import traceback
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from streamflow.places.cloud_connect import connect
from streamflow.places.urls import Location
from tests.places.scripted import Answer, Scripted, error

pytest.importorskip("obstore", reason="needs the extra objects")

ID, SECRET = "AKIAC4N4RY", "c4n4ry/secret+key"

pytestmark = pytest.mark.may_leak(
    "threads", "files", reason="obstore keeps its connections and tokio's own descriptors"
)


def store(server, **more):
    options = {"endpoint": server.url, "access_key_id": ID, "secret_access_key": SECRET, "region": "eu-west-1"}
    retry = {"max_retries": 2, "backoff": {"init_backoff": timedelta(milliseconds=1)}}
    return connect(Location("s3", "bucket", "k"), options | {"retry_config": retry} | more, 1)


def signature(request, host):
    """Return what the signature in a URL has to be, by AWS's own description of it."""
    pairs = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
    told = dict(pairs)
    query = "&".join(
        sorted(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs if name != "X-Amz-Signature")
    )
    canonical = "\n".join(
        [request.method, urlsplit(request.target).path, query, f"host:{host}\n", "host", "UNSIGNED-PAYLOAD"]
    )
    scope = told["X-Amz-Credential"].partition("/")[2]
    text = "\n".join(["AWS4-HMAC-SHA256", told["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex(), told["X-Amz-Signature"]


@pytest.mark.parametrize("key", ["k", "a dir/ü+&=?.csv", ""])
async def test_what_is_signed_is_what_is_sent(key):
    async with Scripted(lambda _: Answer(200, b"<R><A>1</A></R>")) as server:
        requests = await store(server)._requests(key)
        root = await requests.send("POST", {"uploads": "", "x-amz-meta-a": "b c/+&"}, b"x", {"content-type": "t/s"})

    (request,) = server.requests
    assert root is not None
    assert root.findtext("A") == "1"
    wanted, found = signature(request, urlsplit(server.url).netloc)
    assert found == wanted
    assert request.path == (f"/bucket/{key}" if key else "/bucket")
    assert (request.query["uploads"], request.query["x-amz-meta-a"]) == ("", "b c/+&")
    assert (request.method, request.body, request.headers["content-type"]) == ("POST", b"x", "t/s")


async def test_a_session_token_and_the_environment_reach_the_signature(monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-a-role")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    async with Scripted(lambda _: Answer(200)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        opened = connect(
            Location("s3", "bucket", "k"), {"access_key_id": ID, "secret_access_key": SECRET, "region": "x"}, 1
        )
        await (await opened._requests("k")).send("DELETE", {"uploadId": "1"})

    assert server.requests[0].query["X-Amz-Security-Token"] == "token-of-a-role"
    wanted, found = signature(server.requests[0], urlsplit(server.url).netloc)
    assert found == wanted


async def test_a_part_is_sent_by_obstore_with_its_checksum():
    async with Scripted(lambda _: Answer(200, headers={"etag": '"e"'})) as server:
        requests = await store(server)._requests("dir/k")
        assert await requests.put({"partNumber": "7", "uploadId": "a/b+c"}, b"data") == '"e"'

    (request,) = server.requests
    assert (request.method, request.path, request.body) == ("PUT", "/bucket/dir/k", b"data")
    assert (request.query["partNumber"], request.query["uploadId"]) == ("7", "a/b+c")
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(b"data").hexdigest()
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256")
    assert "x-amz-checksum-sha256" in request.headers


@pytest.mark.parametrize(
    "failing",
    [
        Answer(503, error("SlowDown")),
        Answer(500),
        Answer(200, b"   " + error("InternalError")),
        Answer(cut=-1),
        Answer(200, b"<R>long</R>", cut=3),
    ],
    ids=["503", "500", "200-with-error", "reset", "cut"],
)
async def test_what_fails_for_now_is_repeated(failing):
    """H65"""
    answers = [failing, failing, Answer(200, b"<R><A>1</A></R>")]
    async with Scripted(lambda _: answers.pop(0)) as server:
        root = await (await store(server)._requests("k")).send("POST", {"uploadId": "1"})

    assert root is not None
    assert root.findtext("A") == "1"
    assert answers == []


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        (Answer(404, error("NoSuchUpload")), FileNotFoundError, "NoSuchUpload"),
        (Answer(403, error("AccessDenied")), PermissionError, "AccessDenied"),
        (Answer(412, error("PreconditionFailed")), FileExistsError, "PreconditionFailed"),
        (Answer(409, error("ConditionalRequestConflict")), FileExistsError, "Conflict"),
        (Answer(400, error("MalformedXML")), OSError, "status 400 MalformedXML so it is"),
        (Answer(200, error("InvalidPart")), OSError, "status 200 InvalidPart"),
        (Answer(200, b"<html><p>a proxy"), OSError, "not XML"),
        (Answer(503), OSError, "status 503"),
        (Answer(cut=-1), OSError, "status none"),
    ],
)
async def test_what_is_refused_is_an_error_that_says_why_and_no_credential(answer, kind, told):
    """H65, H100"""
    async with Scripted(lambda _: answer) as server:
        requests = await store(server)._requests("k")
        with pytest.raises(kind, match=told) as caught:
            await requests.send("POST", {"uploadId": "1"})

    text = "".join(traceback.format_exception(caught.value))
    assert SECRET not in text
    assert ID not in text
    assert "X-Amz-Signature=" not in text.replace("X-Amz-Signature=***", "")
    assert type(caught.value) is kind


async def test_a_part_that_is_refused_is_an_error_without_credentials():
    async with Scripted(lambda _: Answer(403, error("AccessDenied"))) as server:
        requests = await store(server)._requests("k")
        with pytest.raises(PermissionError, match="refused the credentials") as caught:
            await requests.put({"partNumber": "1", "uploadId": "1"}, b"data")
    assert SECRET not in "".join(traceback.format_exception(caught.value))
