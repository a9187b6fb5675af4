"""What a store of obstore's was told: our uploads say to the server what its own say, and keys are found or not."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest

from streamflow.places import s3_options
from streamflow.places.cloud import CloudStore
from streamflow.places.cloud_upload import CloudUpload
from streamflow.places.s3_options import KeyRing, key_ring
from streamflow.places.s3_signing import Keys
from streamflow.places.s3_upload import S3Upload, grows
from streamflow.places.stores import Terms
from tests.places.scripted import Answer, Bucket3, Scripted, on_instance

pytest.importorskip("obstore", reason="needs the extra objects")

pytestmark = pytest.mark.may_leak(
    "threads", "files", reason="obstore keeps its connections and tokio's own descriptors"
)

ID, SECRET, PART = "AKIAC4N4RY", "c4n4ry/secret+key", 1000
GIVEN = {"access_key_id": ID, "secret_access_key": SECRET}
HTTP = {"allow_http": True}


@pytest.fixture(autouse=True)
def _without_an_environment(monkeypatch):
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "CHECKSUM_ALGORITHM", "ENDPOINT_URL"):
        monkeypatch.delenv(f"AWS_{name}", raising=False)


def store(url, client=HTTP, **options):
    from obstore.store import S3Store  # noqa: PLC0415  # an extra

    options = {"region": "eu-west-1", "endpoint": url, **options}
    return S3Store("bucket", client_options=client, **options)


# ----------------------------------------------------------------------------------------------------- what is said

CUSTOMER = base64.b64encode(bytes(32)).decode()
TOLD = [
    pytest.param({}, id="nothing"),
    pytest.param({"checksum_algorithm": "SHA256"}, id="checksums"),
    pytest.param({"unsigned_payload": True, "checksum_algorithm": "sha256"}, id="unsigned bodies"),
    pytest.param({"request_payer": True}, id="the requester pays"),
    pytest.param({"session_token": "of a session"}, id="token"),
    pytest.param({"server_side_encryption": "AES256"}, id="encrypted"),
    pytest.param(
        {"aws_server_side_encryption": "aws:kms", "sse_kms_key_id": "arn:x", "sse_bucket_key_enabled": True}, id="kms"
    ),
    pytest.param({"aws_server_side_encryption": "aws:kms:dsse", "sse_bucket_key_enabled": False}, id="kms twice"),
    pytest.param({"server_side_encryption": "sse-c", "sse_customer_key_base64": CUSTOMER}, id="a key of one's own"),
    pytest.param({"client": HTTP | {"default_content_type": "text/x"}}, id="a type for all"),
    pytest.param({"client": HTTP | {"default_headers": {"x-team": "orders"}, "user_agent": "me"}}, id="headers"),
]
# They are of the line, or differ each time.
OURS = {"authorization", "x-amz-date", "accept", "accept-encoding", "connection", "host"}


def said(request):
    """Return what a request says, but for what cannot be the same twice."""
    kind = request.headers.get("content-type") if "uploads" in request.query else None
    headers = {name: value for name, value in request.headers.items() if name not in {*OURS, "content-type"}}
    if request.headers.get("user-agent", "").startswith(("object_store", "Python")):
        del headers["user-agent"]
    if request.method == "POST" and "uploadId" in request.query:
        headers.pop("x-amz-content-sha256")  # the list of parts is written differently
        headers.pop("content-length")
    names = request.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    unsigned = {name for name in headers if name.startswith("x-amz-")} - {*names}
    return request.method, request.query.get("partNumber"), headers, kind, unsigned


@pytest.mark.parametrize("options", TOLD)
@pytest.mark.parametrize("terms", [Terms(), Terms("text/csv", {"origin": "a & b"})], ids=["plain", "with a type"])
async def test_uploads_of_ours_say_what_those_of_obstore_say(options, terms):
    """And every `x-amz-` header is a part of the signature, since AWS refuses others."""
    heard = []
    for equal in (True, False):
        async with Scripted((s3 := Bucket3()).answer) as server:
            cloud = CloudStore(store(server.url, **GIVEN, **options))
            upload = await cloud.begin("k", PART, 1, Terms(terms.content_type, terms.metadata, equal_parts=equal))
            assert isinstance(upload, CloudUpload if equal else S3Upload)
            await upload.part(1, bytes(PART))
            await upload.part(2, b"end")
            stored = await upload.complete()
        assert s3.objects["/bucket/k"][0] == bytes(PART) + b"end"
        assert stored.size == PART + 3
        heard.append(
            sorted((said(one) for one in server.requests if one.method != "HEAD"), key=lambda one: str(one[:2]))
        )
    assert heard[0] == heard[1]
    assert all(unsigned == set() for *_, unsigned in heard[1])


async def test_a_checksum_that_the_server_kept_is_named_at_the_end():
    """AWS refuses to complete an upload of checked parts otherwise."""
    s3, sent = Bucket3(), []

    def answer(request):
        if request.method == "POST" and "uploadId" in request.query:
            sent.append(request.body)
        told = s3.answer(request)
        kept = {name: value for name, value in request.headers.items() if name == "x-amz-checksum-sha256"}
        return Answer(told.status, told.body, {**told.headers, **kept})

    async with Scripted(answer) as server:
        upload = await CloudStore(store(server.url, checksum_algorithm="SHA256", **GIVEN)).begin("k", PART, 1)
        await upload.part(1, b"data")
        await upload.complete()
    assert b"<ChecksumSHA256>Om6weQ85rIfJTzhWst0sXREOaBFgImGpqSPTuyOtyLc=</ChecksumSHA256>" in sent[0]


async def test_a_checksum_that_python_has_not_is_left_to_obstore():
    cloud = CloudStore(store("http://127.0.0.1:1", checksum_algorithm="CRC64NVME", **GIVEN))
    assert isinstance(await cloud.begin("k", PART, 1), CloudUpload)


@pytest.mark.parametrize("keys", [{}, GIVEN])
async def test_what_is_not_to_be_signed_is_left_to_obstore(keys):
    """A bucket that anybody may write to: there may be no keys at all, and to look for them takes seconds."""
    s3 = Bucket3()
    async with Scripted(s3.answer) as server:
        upload = await CloudStore(store(server.url, skip_signature=True, **keys)).begin("k", PART, 1)
        assert isinstance(upload, CloudUpload)
        await upload.part(1, bytes(PART))
        await upload.part(2, b"end")
        await upload.complete()
    assert s3.objects["/bucket/k"][0] == bytes(PART) + b"end"
    assert not any("authorization" in request.headers for request in server.requests)


async def test_s3_express_whose_sessions_have_keys_of_their_own_is_left_to_obstore():
    """It signs URLs by the user's keys there, which the server would refuse for parts."""
    from obstore.store import S3Store  # noqa: PLC0415  # an extra

    express = S3Store("bucket--usw2-az1--x-s3", region="us-west-2", s3_express=True, **GIVEN)
    assert isinstance(await CloudStore(express).begin("k", PART, 1), CloudUpload)


WAYS = [
    pytest.param({}, {}, S3Upload, id="none"),
    pytest.param({"proxy_excludes": "10.0.0.0/8"}, {}, CloudUpload, id="excludes"),
    pytest.param({"proxy_ca_certificate": "x"}, {}, CloudUpload, id="certificate of the proxy"),
    pytest.param({"proxy_url": "https://proxy"}, {}, CloudUpload, id="proxy by TLS"),
    pytest.param({"proxy_url": "http://proxy"}, {}, S3Upload, id="proxy"),
    pytest.param({"proxy_url": "http://proxy"}, {"NO_PROXY": "a.example"}, CloudUpload, id="proxy in any case"),
    pytest.param({}, {"ALL_PROXY": "socks5://proxy"}, CloudUpload, id="socks"),
    pytest.param({}, {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": "a.example"}, S3Upload, id="excepted by name"),
    pytest.param({}, {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": "10.0.0.0/8"}, CloudUpload, id="excepted network"),
    pytest.param({}, {"NO_PROXY": "10.0.0.0/8"}, S3Upload, id="no proxy"),
]


@pytest.mark.parametrize(("client", "environment", "kind"), WAYS)
async def test_a_way_that_only_obstore_knows_is_left_to_obstore(monkeypatch, client, environment, kind):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    async with Scripted(Bucket3().answer) as server:
        told = store(server.url, HTTP | client, retry_config={"max_retries": 0}, **GIVEN)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        requests = await CloudStore(told)._requests("k")
    assert grows(requests, Terms()) == (kind is S3Upload)


async def test_a_proxy_for_all_is_asked(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    async with Scripted((s3 := Bucket3()).answer) as server:
        monkeypatch.setenv("ALL_PROXY", server.url)
        upload = await CloudStore(store("http://s3.invalid", **GIVEN)).begin("k", PART, 1)
        assert isinstance(upload, S3Upload)
        await upload.part(1, bytes(PART))
        await upload.complete()
    assert s3.objects["/bucket/k"][0] == bytes(PART)


# --------------------------------------------------------------------------------------------------- where keys are


async def ring_of(told):
    from obstore import sign_async  # noqa: PLC0415  # an extra

    return await key_ring(told, await sign_async(told, "GET", "k", timedelta(seconds=60)))


@pytest.mark.parametrize("token", [None, "of a session"])
async def test_keys_that_were_given_are_found(token):
    more = {"session_token": token} if token else {}
    ring = await ring_of(store("http://127.0.0.1:1", **GIVEN, **more))
    assert await ring.keys() == Keys(ID, SECRET, token)


async def test_keys_of_the_environment_are_found(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of a session")
    told = store("http://127.0.0.1:1")
    assert await (await ring_of(told)).keys() == Keys(ID, SECRET, "of a session")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another by now")
    assert await ring_of(told) is None


def provider(expires_at=None):
    given = {"access_key_id": ID, "secret_access_key": SECRET, "token": None, "expires_at": expires_at}

    def provide():
        provide.calls += 1
        return given

    provide.calls = 0
    return provide


async def test_keys_of_a_provider_are_found_and_asked_for_before_they_expire(monkeypatch):
    later = datetime.now(UTC) + timedelta(minutes=7)
    provide = provider(later)
    ring = KeyRing(provide)
    assert {await ring.keys(), await ring.keys()} == {Keys(ID, SECRET)}
    assert provide.calls == 1

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return later - timedelta(minutes=4)

    monkeypatch.setattr(s3_options, "datetime", Clock)
    await ring.keys()
    assert provide.calls == 2
    assert await (await ring_of(store("http://127.0.0.1:1", credential_provider=provider()))).keys() == Keys(ID, SECRET)


async def test_a_provider_may_be_async():
    async def provide():
        return provider()()

    ring = await ring_of(store("http://127.0.0.1:1", credential_provider=provide))
    assert await ring.keys() == Keys(ID, SECRET)


@pytest.mark.parametrize("overwrite", [True, False])
async def test_keys_that_obstore_fetches_are_not_ours_so_parts_stay_equal(overwrite):
    """Each request of ours would fetch them anew; obstore's writer does so once."""
    s3 = Bucket3()
    async with Scripted(on_instance(s3.answer, ID, SECRET)) as server:
        cloud = CloudStore(store(server.url, metadata_endpoint=server.url))
        upload = await cloud.begin("k", PART, 1, Terms(metadata={"origin": "a & b"}, overwrite=overwrite))
        assert isinstance(upload, CloudUpload if overwrite else S3Upload)
        await upload.part(1, bytes(PART))
        await upload.part(2, b"end")
        await upload.complete()

    assert s3.objects["/bucket/k"][0] == bytes(PART) + b"end"
    assert s3.objects["/bucket/k"][1]["x-amz-meta-origin"] == "a & b"


async def test_an_encryption_that_cannot_be_asked_for_is_refused_before_anything_is_sent():
    """P10: a signed URL cannot say it, and an object that is not encrypted would be worse than none."""
    async with Scripted(on_instance(Bucket3().answer, ID, SECRET)) as server:
        cloud = CloudStore(store(server.url, metadata_endpoint=server.url, server_side_encryption="AES256"))
        with pytest.raises(OSError, match="server_side_encryption goes with overwrite=False"):
            await cloud.begin("k", PART, 1, Terms(overwrite=False))
    assert server.of_s3 == []


@pytest.mark.parametrize("told", ["R2", "terms"])
@pytest.mark.parametrize("overwrite", [True, False])
async def test_where_parts_must_be_equal_they_are(told, overwrite):
    async with Scripted(Bucket3().answer) as server:
        url = "http://account.r2.cloudflarestorage.com" if told == "R2" else server.url
        cloud = CloudStore(store(url, HTTP | ({"proxy_url": server.url} if told == "R2" else {}), **GIVEN))
        upload = await cloud.begin("k", PART, 1, Terms(overwrite=overwrite, equal_parts=told == "terms"))
        assert isinstance(upload, CloudUpload if overwrite else S3Upload)
        assert upload.equal_parts
        await upload.part(1, bytes(PART))
        await upload.abort()
