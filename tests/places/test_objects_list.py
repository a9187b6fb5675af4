"""What is in a store: by prefix, by pattern, and what was never ended; in memory, on disk, on a server."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

import pytest

import streamflow as sf
from streamflow.errors import UsageError
from streamflow.places import objects
from streamflow.places.blocks import MIB
from streamflow.places.memory import MemoryStore
from tests.places.scripted import Answer, Bucket3, Scripted

KEYS = {"access_key_id": "ID", "secret_access_key": "SECRET", "region": "us-east-1"}
NAMES = ["a.csv", "logs/2024-01.csv", "logs/2024-02.csv", "logs/2024-02.txt", "logs/deep/er.csv", "logs2/x"]

cloudy = pytest.mark.may_leak("threads", "files", reason="obstore keeps its connections and tokio's own descriptors")


class Kept:
    """The same objects in one of three places."""

    def __init__(self, kind, request):
        self.options = {}
        if kind == "memory":
            self.options = {"store": MemoryStore()}
            self.base = "memory://bucket/"
            for name in NAMES:
                asyncio.run(self.options["store"].put(name, name.encode()))
        elif kind == "file":
            path = request.getfixturevalue("tmp_path")
            self.base = path.as_uri() + "/"
            for name in NAMES:
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).write_text(name)
        else:
            pytest.importorskip("obstore", reason="needs the extra objects")
            bucket = request.getfixturevalue("bucket")
            self.base = f"s3://{bucket.name}/"
            self.options = {"endpoint": request.getfixturevalue("s3_server"), **KEYS}
            for name in NAMES:
                bucket.put(name, name.encode())

    async def names(self, pattern):
        found = await sf.stream(objects.list(self.base + pattern, **self.options)).collect()
        assert all(one.size == len(one.url.removeprefix(self.base)) for one in found)
        assert all(one.modified.tzinfo for one in found)
        return [one.url.removeprefix(self.base) for one in found]


@pytest.fixture(params=["memory", "file", pytest.param("s3", marks=cloudy)])
def kept(request):
    return Kept(request.param, request)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*.csv", ["a.csv"]),
        ("logs/", NAMES[1:5]),
        ("logs/*.csv", NAMES[1:3]),
        ("logs/2024-0[2-9].*", NAMES[2:4]),
        ("logs/2024-??.csv", NAMES[1:3]),
        ("**/*.csv", ["a.csv", *NAMES[1:3], NAMES[4]]),
        ("logs/none*", []),
    ],
)
@cloudy
async def test_objects_are_found_by_prefix_and_by_pattern(kept, pattern, names):
    assert sorted(await kept.names(pattern)) == sorted(names)


@cloudy
async def test_everything_is_listed_in_order(kept):
    assert sorted(await kept.names("")) == NAMES
    if "file" not in kept.base:
        assert await kept.names("") == NAMES
        assert await kept.names("logs") == NAMES[1:]
        assert await kept.names("logs/2024-02") == NAMES[2:4]


@cloudy
async def test_what_was_listed_can_be_read(kept):
    found = await sf.stream(objects.list(kept.base + "logs/", **kept.options)).collect()
    many = objects.read_many(kept.base + "logs/", **kept.options)

    assert b"".join(await sf.stream(many).collect()) == "".join(one for one in NAMES[1:5]).encode()
    for one in found:
        assert (await objects.info(one.url, **kept.options)).size == one.size


async def test_a_file_with_an_odd_name_is_listed_by_a_url_that_opens_it(tmp_path):
    (tmp_path / "a b%20?.csv").write_bytes(b"abc")
    (found,) = await sf.stream(objects.list(f"file://{quote(str(tmp_path))}")).collect()

    assert await sf.stream(objects.read(found.url)).collect() == [b"abc"]


async def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        await sf.stream(objects.list(f"file://{tmp_path}/none")).collect()


@cloudy
async def test_a_listing_of_many_pages_is_read_as_it_is_asked_for():
    pytest.importorskip("obstore", reason="needs the extra objects")
    entry = "<Contents><Key>k{}</Key><LastModified>2026-01-01T00:00:00Z</LastModified><Size>1</Size></Contents>"

    def answer(request):
        page = int(request.query.get("continuation-token", "0"))
        more = f"<NextContinuationToken>{page + 1}</NextContinuationToken>" if page < 3 else ""
        entries = "".join(entry.format(f"{page}-{number:03}") for number in range(1000))
        return Answer(200, f"<ListBucketResult>{entries}{more}</ListBucketResult>".encode())

    async with Scripted(answer) as server:
        source = objects.list("s3://bucket", endpoint=server.url, **KEYS)
        assert len(await sf.stream(source).take(10).collect()) == 10
        assert len(server.requests) <= 2
        assert len(await sf.stream(source).collect()) == 4000


# -------------------------------------------------------------------------------------------------------------- many


async def test_many_objects_are_read_at_once_and_each_through_its_own_stages(monkeypatch):
    store = MemoryStore()
    for number in range(5):
        await store.put(f"part-{number}", f"n\n{number}\n".encode())
    source = objects.read_many("part-", sf.csv.parse(), store=store, concurrency=3)

    assert await sf.stream(source).collect() == [{"n": str(number)} for number in range(5)]
    merged = objects.read_many("part-", sf.csv.parse(), store=store, concurrency=3, ordered=False)
    assert sorted(row["n"] for row in await sf.stream(merged).collect()) == list("01234")


async def test_an_error_in_one_of_many_names_it():
    store = MemoryStore()
    await store.put("a", b"x")
    await store.put("b", b"y")
    real = store.get

    async def get(key, *options):
        if key == "b":
            raise OSError("no luck")
        return await real(key, *options)

    store.get = get
    with pytest.raises(OSError, match="no luck") as caught:
        await sf.stream(objects.read_many("", store=store)).collect()
    assert "It was in the content of 'b'." in caught.value.__notes__


# --------------------------------------------------------------------------------------------------------- leftovers


async def test_leftovers_in_memory_are_listed_and_cleaned_by_prefix_and_age():
    store = MemoryStore()
    await store.begin("tmp/a", 1, 1)
    await store.begin("other", 1, 1)
    (found,) = await sf.stream(objects.leftovers("memory://bucket/tmp/", store=store)).collect()

    assert found.url == "memory://bucket/tmp/a"
    assert abs((datetime.now(UTC) - found.begun).total_seconds()) < 60
    assert await objects.clean_leftovers("memory://bucket/tmp/", older_than=3600, store=store) == []
    assert await objects.clean_leftovers("memory://bucket/tmp/", older_than=0, store=store) == [found]
    assert store.uploads == 1


@cloudy
async def test_leftovers_on_a_server_are_listed_and_cleaned_by_prefix(bucket, s3_server):
    """H29: as a process leaves them that was killed."""
    pytest.importorskip("obstore", reason="needs the extra objects")
    for key in ("tmp/a", "tmp/b%20c", "other"):
        bucket.asked("POST", f"/{key}?uploads")
    options = {"endpoint": s3_server, **KEYS}
    found = await sf.stream(objects.leftovers(f"s3://{bucket.name}/tmp/", **options)).collect()

    assert [one.url for one in found] == [f"s3://{bucket.name}/tmp/a", f"s3://{bucket.name}/tmp/b c"]
    assert all(one.begun.tzinfo for one in found)
    assert await objects.clean_leftovers(f"s3://{bucket.name}/tmp/", older_than=0, **options) == found
    assert len(bucket.left()[1]) == 1
    assert len(await sf.stream(objects.leftovers(f"s3://{bucket.name}", **options)).collect()) == 1


@cloudy
@pytest.mark.parametrize(
    ("date", "older_than", "cleaned"),
    [
        ("Thu, 01 Jan 2026 00:30:00 GMT", 1801, False),
        ("Thu, 01 Jan 2026 00:30:00 GMT", 1800, True),
        ("Wed, 31 Dec 2025 23:59:59 GMT", 0, True),  # whole seconds: it may have been the same one
        ("Thu, 01 Jan 2026 00:30:00 -0000", 1801, True),  # of no zone
        ("soon", 1801, True),
        (None, 1801, True),
    ],
)
async def test_the_age_of_an_upload_is_by_the_clock_of_the_store_if_it_tells_it(date, older_than, cleaned):
    """By the clock of this machine all of them are far older."""
    pytest.importorskip("obstore", reason="needs the extra objects")
    s3 = Bucket3()
    s3.uploads["u"] = ("/bucket/k", {}, {})

    def answer(request):
        answered = s3.answer(request)
        return replace(answered, headers={**answered.headers, "date": date}) if date else answered

    async with Scripted(answer) as server:
        found = await objects.clean_leftovers("s3://bucket", older_than=older_than, endpoint=server.url, **KEYS)
    assert [one.url for one in found] == ["s3://bucket/k"] * cleaned
    assert len(s3.uploads) == (not cleaned)


@cloudy
async def test_leftovers_of_many_pages_are_all_found():
    pytest.importorskip("obstore", reason="needs the extra objects")
    upload = (
        "<Upload><Key>k{0}</Key><UploadId>u{0}</UploadId><Initiated>2026-01-01T00:00:0{0}.000Z</Initiated></Upload>"
    )

    def answer(request):
        assert request.query["prefix"] == "k"
        page = int(request.query.get("key-marker", "0"))
        more = f"<NextKeyMarker>{page + 1}</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker>"
        told = f"<IsTruncated>{'true' if page < 2 else 'false'}</IsTruncated>{more if page < 2 else ''}"
        xmlns = "http://s3.amazonaws.com/doc/2006-03-01/"
        return Answer(200, f"<List xmlns='{xmlns}'>{upload.format(page)}{told}</List>".encode())

    async with Scripted(answer) as server:
        source = objects.leftovers("s3://bucket/k", endpoint=server.url, **KEYS)
        assert [one.id for one in await sf.stream(source).collect()] == ["u0", "u1", "u2"]


@cloudy
@pytest.mark.parametrize("prefix", [None, "a folder/of its own"])
async def test_a_killed_write_leaves_an_upload_that_is_found_and_cleaned(bucket, s3_server, prefix):
    """H29: the process was killed in the middle; here the upload is only forgotten."""
    obstore = pytest.importorskip("obstore", reason="needs the extra objects")
    from obstore.store import S3Store  # noqa: PLC0415  # an extra

    store = S3Store(bucket.name, prefix=prefix, endpoint=s3_server, client_options={"allow_http": True}, **KEYS)
    writer = obstore.open_writer_async(store, "dir/k", buffer_size=5 * MIB)
    await writer.write(bytes(6 * MIB))
    (found,) = await sf.stream(objects.leftovers("dir/", store=store)).collect()

    assert found.key == "dir/k"
    assert await objects.clean_leftovers("dir/", older_than=0, store=store) == [found]
    assert bucket.left() == ([], [])


# ------------------------------------------------------------------------------------------------------------ misuse


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: objects.list("memory://b", region="x"), "region would have no effect"),
        (lambda: objects.list("no-url"), "not the URL"),
        (lambda: objects.leftovers("file:///tmp"), "no multipart uploads of files"),
        (lambda: objects.read_many("memory://b", sf.csv.parse(), ordered=False), "no effect without concurrency"),
        (lambda: objects.read_many("memory://b", ordered=False), "would mix the bytes of different objects"),
        (lambda: objects.read_many("memory://b", concurrency=2, ordered=False), "would mix the bytes of different"),
    ],
)
def test_a_call_that_means_nothing_is_refused_at_once(call, message):
    """P10"""
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("older_than", [-1, float("nan"), float("inf"), True])
async def test_an_age_that_is_none_is_refused(older_than):
    with pytest.raises(UsageError, match="older_than"):
        await objects.clean_leftovers("memory://b", older_than=older_than)


async def test_a_store_that_cannot_list_says_what_it_needs():
    class Small:
        begin = MemoryStore.begin

    with pytest.raises(UsageError, match=r"stores\.Listing"):
        objects.list("k", store=Small())
    with pytest.raises(UsageError, match=r"stores\.Sweeping"):
        objects.leftovers("k", store=Small())
