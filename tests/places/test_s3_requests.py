"""Requests that obstore has no call for: how they are signed, what is repeated, what an answer becomes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import traceback
from datetime import timedelta
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from streamflow.places.cloud_connect import connect
from streamflow.places.urls import Location
from tests.places.scripted import Answer, Scripted, error, on_instance

pytest.importorskip("obstore", reason="needs the extra objects")

ID, SECRET = "AKIAC4N4RY", "c4n4ry/secret+key"

pytestmark = pytest.mark.may_leak(
    "threads", "files", reason="obstore keeps its connections and tokio's own descriptors"
)


@pytest.fixture(params=["keys", "instance"])
def way(request, monkeypatch):
    """Keys that were given, by which requests are signed here, and those of an instance, by which obstore signs."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return request.param


def store(server, way="keys", **more):
    keys = {"access_key_id": ID, "secret_access_key": SECRET}
    options = {"endpoint": server.url, "region": "eu-west-1"}
    options |= keys if way == "keys" else {"metadata_endpoint": server.url}
    retry = {"max_retries": 2, "backoff": {"init_backoff": timedelta(milliseconds=1)}}
    return connect(Location("s3", "bucket", "k"), options | {"retry_config": retry} | more, 1)


def answering(function):
    return Scripted(on_instance(function, ID, SECRET))


def signature(request, host):
    """Return what the signature of a request has to be, by AWS's own description of it, and what it is."""
    pairs = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
    told = dict(pairs)
    if "authorization" in request.headers:
        fields = dict(one.split("=", 1) for one in request.headers["authorization"].partition(" ")[2].split(", "))
        credential, names, given = fields["Credential"], fields["SignedHeaders"], fields["Signature"]
        date, payload = request.headers["x-amz-date"], request.headers["x-amz-content-sha256"]
    else:
        credential, names, given = told["X-Amz-Credential"], "host", told["X-Amz-Signature"]
        date, payload = told["X-Amz-Date"], "UNSIGNED-PAYLOAD"
    query = "&".join(
        sorted(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs if name != "X-Amz-Signature")
    )
    headers = {**request.headers, "host": host}
    lines = "".join(f"{name}:{headers[name]}\n" for name in names.split(";"))
    canonical = f"{request.method}\n{urlsplit(request.target).path}\n{query}\n{lines}\n{names}\n{payload}"
    scope = credential.partition("/")[2]
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{SECRET}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex(), given


@pytest.mark.parametrize("key", ["k", "a dir/ü+&=?.csv", ""])
async def test_what_is_signed_is_what_is_sent(way, key):
    async with answering(lambda _: Answer(200, b"<R><A>1</A></R>")) as server:
        requests = await store(server, way)._requests(key)
        headers = {"content-type": "t/s", "x-amz-meta-a": "b c/+&"}
        root = await requests.send("POST", {"uploads": ""}, b"x", headers)

    (request,) = server.of_s3
    assert root is not None
    assert root.findtext("A") == "1"
    wanted, found = signature(request, urlsplit(server.url).netloc)
    assert found == wanted
    assert request.path == (f"/bucket/{key}" if key else "/bucket")
    assert (request.method, request.body, request.headers["content-type"]) == ("POST", b"x", "t/s")
    assert request.query["uploads"] == ""
    assert {**request.query, **request.headers}["x-amz-meta-a"] == "b c/+&"
    # AWS refuses such headers unless they are signed.
    assert [name for name in request.headers if name.startswith("x-amz-meta")] == (
        ["x-amz-meta-a"] if way == "keys" else []
    )


async def test_a_session_token_and_the_environment_reach_the_signature(monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-a-role")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    async with Scripted(lambda _: Answer(200)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        opened = connect(
            Location("s3", "bucket", "k"), {"access_key_id": ID, "secret_access_key": SECRET, "region": "x"}, 1
        )
        await (await opened._requests("k")).send("DELETE", {"uploadId": "1"})

    (request,) = server.requests
    assert request.headers["x-amz-security-token"] == "token-of-a-role"
    assert "x-amz-security-token" in request.headers["authorization"]
    wanted, found = signature(request, urlsplit(server.url).netloc)
    assert found == wanted


async def test_a_part_is_sent_with_its_digest(way):
    """A checksum goes along where the upload could be begun with one."""
    async with answering(lambda _: Answer(200, headers={"etag": '"e"'})) as server:
        requests = await store(server, way)._requests("dir/k")
        body = [memoryview(b"da"), memoryview(b"ta")]
        query = {"partNumber": "7", "uploadId": "a/b+c"}
        told = await requests.put(query, body, await requests.digest(body))
    assert told["etag"] == '"e"'

    (request,) = server.of_s3
    digest = hashlib.sha256(b"data")
    assert (request.method, request.path, request.body) == ("PUT", "/bucket/dir/k", b"data")
    assert (request.query["partNumber"], request.query["uploadId"]) == ("7", "a/b+c")
    assert request.headers["x-amz-content-sha256"] == digest.hexdigest()
    wanted, found = signature(request, urlsplit(server.url).netloc)
    assert found == wanted
    checksum = base64.b64encode(digest.digest()).decode() if way == "keys" else None
    assert request.headers.get("x-amz-checksum-sha256") == checksum


async def test_bodies_may_be_left_out_of_the_signature():
    async with Scripted(lambda _: Answer(200, headers={"etag": '"e"'})) as server:
        requests = await store(server, unsigned_payload=True)._requests("k")
        await requests.put({"partNumber": "1", "uploadId": "1"}, [memoryview(b"data")], bytes(32))

    (request,) = server.requests
    assert request.headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    wanted, found = signature(request, urlsplit(server.url).netloc)
    assert found == wanted


async def test_a_part_that_is_given_up_ends_at_once():
    """X2: whatever time it had."""
    reached = asyncio.Event()

    async def silent(_):
        reached.set()
        await asyncio.Event().wait()

    async with Scripted(silent) as server, asyncio.timeout(20):
        requests = await store(server, client_options={"timeout": "1h"})._requests("k")
        part = asyncio.ensure_future(
            requests.put({"partNumber": "1", "uploadId": "1"}, [memoryview(b"data")], bytes(32))
        )
        await reached.wait()
        part.cancel()
        await asyncio.wait({part})
    assert part.cancelled()
    assert len(server.requests) == 1


async def test_a_server_that_asks_for_patience_gets_it(monkeypatch):
    """Retry-After counts where it is longer than our own wait."""
    answers, waits, real = (
        [Answer(503, error("SlowDown"), {"retry-after": "7"}), Answer(503), Answer(200)],
        [],
        asyncio.sleep,
    )

    async def sleep(seconds):
        waits.append(seconds)
        await real(0)

    async with Scripted(lambda _: answers.pop(0)) as server:
        requests = await store(server)._requests("k")
        monkeypatch.setattr(asyncio, "sleep", sleep)
        await requests.send("DELETE", {"uploadId": "1"})
    assert waits[0] == 7
    assert waits[1] < 1


@pytest.mark.parametrize(("within", "count"), [(1.0, 1), (1000.0, 2)])
async def test_a_large_part_may_be_repeated_for_longer(within, count):
    """It takes longer than all repetitions of a small one together, and fails as easily."""
    retry = {"retry_timeout": timedelta(milliseconds=20), "backoff": {"init_backoff": timedelta(milliseconds=50)}}
    answers = [Answer(503), Answer(200, headers={"etag": '"e"'})]
    async with Scripted(lambda _: answers.pop(0)) as server:
        requests = await store(server, retry_config=retry)._requests("k")
        query = {"partNumber": "1", "uploadId": "1"}
        with contextlib.suppress(OSError):
            await requests.put(query, [memoryview(b"data")], bytes(32), within=within)
    assert len(server.requests) == count


@pytest.mark.parametrize(
    "failing",
    [
        Answer(503, error("SlowDown")),
        Answer(500),
        Answer(200, b"   " + error("InternalError")),
        Answer(cut=-1),
        Answer(200, b"<R>long</R>", cut=3),
        Answer(400, error("XAmzContentSHA256Mismatch")),
    ],
    ids=["503", "500", "200-with-error", "reset", "cut", "damaged"],
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
async def test_what_is_refused_is_an_error_that_says_why_and_no_credential(way, answer, kind, told):
    """H65, H100"""
    async with answering(lambda _: answer) as server:
        requests = await store(server, way)._requests("k")
        with pytest.raises(kind, match=told) as caught:
            await requests.send("POST", {"uploadId": "1"})

    text = "".join(traceback.format_exception(caught.value))
    assert SECRET not in text
    assert ID not in text
    assert "X-Amz-Signature=" not in text.replace("X-Amz-Signature=***", "")
    assert type(caught.value) is kind


async def test_a_part_that_is_refused_is_an_error_without_credentials(way):
    async with answering(lambda _: Answer(403, error("AccessDenied"))) as server:
        requests = await store(server, way)._requests("k")
        with pytest.raises(PermissionError, match="refused the credentials") as caught:
            await requests.put({"partNumber": "1", "uploadId": "1"}, [memoryview(b"data")], bytes(32))
    assert SECRET not in "".join(traceback.format_exception(caught.value))
