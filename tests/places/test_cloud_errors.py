"""An error of a cloud names the object by its whole URL, and no credential: whichever request it was."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import aclosing

import pytest

import streamflow as sf
from streamflow.errors import ObjectChanged, UsageError
from streamflow.places import cloud, objects
from streamflow.places.blocks import MIB
from streamflow.places.cloud import CloudStore
from streamflow.places.obstore_library import place_of
from tests.places.scripted import Answer, Bucket3, Scripted, error

stores = pytest.importorskip("obstore.store", reason="needs the extra objects")

SECRET = "c4n4ry/secret+key"
KEYS = {"access_key_id": "AKIAC4N4RY", "secret_access_key": SECRET, "region": "x", "retry_config": {"max_retries": 0}}
URL = "s3://bucket/dir/k"
PART = 5 * MIB

pytestmark = pytest.mark.may_leak(
    "threads", "files", reason="obstore keeps its connections and tokio's own descriptors"
)


async def all_of(source):
    async with aclosing(aiter(source)) as items:
        return [item async for item in items]


def write(feed, *items, **options):
    return objects.write(URL, part_size=PART, **options)(feed(*items))


REQUESTS = {
    "read": lambda options, _: all_of(objects.read(URL, **options)),
    "verified": lambda options, _: all_of(objects.read(URL, verify=True, **options)),
    "info": lambda options, _: objects.info(URL, **options),
    "delete": lambda options, _: objects.delete(URL, **options),
    "list": lambda options, _: all_of(objects.list(URL, **options)),
    "leftovers": lambda options, _: all_of(objects.leftovers("s3://bucket", **options)),
    "put": lambda options, feed: write(feed, b"x", **options),
    "parts": lambda options, feed: write(feed, bytes(PART), b"x", **options),
    "create": lambda options, feed: write(feed, bytes(PART), b"x", overwrite=False, **options),
}


@pytest.mark.parametrize("status", [400, 403, 404, 500])
@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_every_request_that_is_refused_names_the_whole_url(request_, status, feed):
    """H100"""
    async with Scripted(lambda _: Answer(status, error("Refused"))) as server:
        with pytest.raises(OSError) as caught:  # noqa: PT011  # what it says is the point
            await request_({"endpoint": server.url, **KEYS}, feed)
    assert ("s3://bucket/" if request_ is REQUESTS["leftovers"] else URL) in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("store", "place"),
    [
        (lambda: stores.S3Store("bucket", region="x"), "s3://bucket/"),
        (lambda: stores.S3Store("bucket", region="x", prefix="a/b"), "s3://bucket/a/b/"),
        (lambda: stores.GCSStore("bucket", skip_signature=True), "gs://bucket/"),
        (lambda: stores.AzureStore("box", account_name="a", account_key="a2V5"), "az://box/"),
        (stores.MemoryStore, ""),
    ],
)
def test_a_store_of_obstore_s_own_tells_its_place(store, place):
    assert place_of(store()) == place


async def test_a_key_that_holds_a_credential_is_named_without_it():
    """H100: somebody may have taken a signed URL for a key."""
    signed = f"s3://bucket/k?X-Amz-Signature={'abcdef' * 9}"
    async with Scripted(lambda _: Answer(404)) as server:
        with pytest.raises(FileNotFoundError, match=r"s3://bucket/k\?X-Amz-Signature=\*\*\*") as caught:
            await objects.info(signed, endpoint=server.url, **KEYS)
    assert "abcdef" * 9 not in "".join(traceback.format_exception(caught.value))


def test_a_store_that_was_given_its_client_s_options_wrongly_is_refused_by_name(capfd):
    """obstore takes them, and panics when it is asked what it was told."""
    with pytest.raises(UsageError, match=r"belong into client_options"):
        CloudStore(stores.S3Store("bucket", region="x", timeout="5s"))
    capfd.readouterr()  # a Rust panic speaks to stderr


# ------------------------------------------------------------------------------------- overwritten while it is read


@pytest.mark.parametrize("pinned", [False, True], ids=["the first range", "a later range"])
@pytest.mark.parametrize("grants", [False, True], ids=["412", "another ETag"])
async def test_overwritten_while_the_body_is_cut_it_is_an_object_that_changed(pinned, grants):
    """H68: obstore continues with If-Match, or compares the ETag, and then tells only that the body broke off."""
    s3 = Bucket3()
    s3.objects["/bucket/dir/k"] = (b"A" * 100, {"etag": '"1"'})
    cuts = [None, 20] if pinned else [20]

    def answer(request):
        cut = cuts.pop(0) if cuts and request.method == "GET" else None
        told = {name: value for name, value in request.headers.items() if not (grants and name == "if-match")}
        answered = s3.answer(type(request)(request.method, request.target, told, request.body))
        if cut is None:
            return answered
        s3.objects["/bucket/dir/k"] = (b"B" * 100, {"etag": '"2"'})
        return Answer(answered.status, answered.body, answered.headers, cut)

    options = KEYS | {"retry_config": {"max_retries": 1}}
    got = []
    async with Scripted(answer) as server:
        source = sf.stream(objects.read(URL, block=50, endpoint=server.url, **options)).tap(got.append)
        with pytest.raises(ObjectChanged, match=f"{URL} was overwritten while it was read"):
            await source.collect()
    assert set(b"".join(got)) <= set(b"A")
    assert cuts == []


@pytest.mark.parametrize("status", [200, 503, None], ids=["unchanged", "busy", "silent"])
async def test_a_body_that_breaks_off_of_an_object_that_did_not_change_is_as_it_was_told(status, monkeypatch):
    """Nor is it another error where the store cannot be asked, or does not answer."""
    monkeypatch.setattr(cloud, "_LOOK", 10.0 if status else 0.05)
    s3 = Bucket3()
    s3.objects["/bucket/dir/k"] = (b"A" * 100, {"etag": '"1"'})

    async def answer(request):
        answered = s3.answer(request)
        if request.method == "HEAD":
            await asyncio.sleep(0 if status else 60)
            return answered if status == 200 else Answer(status)
        return Answer(answered.status, answered.body, answered.headers, cut=20)

    async with Scripted(answer) as server:
        with pytest.raises(OSError, match=URL) as caught:
            await all_of(objects.read(URL, endpoint=server.url, **KEYS))
    assert type(caught.value) is OSError
    assert [line for line in server.lines if "HEAD" in line] == ["HEAD /bucket/dir/k"]


async def test_removed_while_the_body_is_cut_it_is_not_found():
    s3 = Bucket3()
    s3.objects["/bucket/dir/k"] = (b"A" * 100, {"etag": '"1"'})

    def answer(request):
        answered = s3.answer(request)
        s3.objects.clear()
        return Answer(answered.status, answered.body, answered.headers, 20 if answered.status == 206 else None)

    async with Scripted(answer) as server:
        with pytest.raises(FileNotFoundError, match=URL):
            await all_of(objects.read(URL, endpoint=server.url, **KEYS))
