from __future__ import annotations

import asyncio

import pytest

from streamflow.errors import ObjectChanged
from streamflow.places import memory
from streamflow.places.memory import MemoryStore
from streamflow.places.stores import Fetched, Store, Terms


async def test_an_object_is_put_and_read_in_ranges():
    store: Store = MemoryStore()
    stored = await store.put("k", b"0123456789")

    assert stored == await store.info("k")
    assert await store.get("k", 3, 4, stored.etag) == Fetched(b"3456", stored)
    assert (await store.get("k", 8, 100, None)).data == b"89"
    assert (await store.get("k", 10, 1, None)).data == b""


async def test_an_upload_is_invisible_until_it_is_completed():
    store = MemoryStore()
    upload = await store.begin("k", 3, 2)
    await upload.part(2, b"def")
    await upload.part(1, b"abc")
    await upload.part(3, b"g")

    assert (store.keys(), store.uploads) == ([], 1)
    assert (await upload.complete()).size == 7
    assert (store.keys(), store.uploads) == (["k"], 0)
    assert store.content("k") == b"abcdefg"
    assert (await store.get("k", 2, 3, None)).data == b"cde"


async def test_an_aborted_upload_leaves_nothing_and_may_be_aborted_twice():
    store = MemoryStore()
    upload = await store.begin("k", 3, 2)
    await upload.part(1, b"abc")
    await upload.abort()
    await upload.abort()

    assert (store.keys(), store.uploads) == ([], 0)


async def test_every_version_has_its_own_etag():
    store = MemoryStore()
    first = await store.put("k", b"same")
    second = await store.put("k", b"same")

    assert first.etag != second.etag
    with pytest.raises(ObjectChanged):
        await store.get("k", 0, 1, first.etag)


async def test_what_is_not_there_is_not_found_and_deleting_it_is_no_error():
    store = MemoryStore()
    await store.put("k", b"x")
    await store.delete("k")
    await store.delete("k")

    for missing in (store.info("k"), store.get("k", 0, 1, None)):
        with pytest.raises(FileNotFoundError, match="k"):
            await missing
    with pytest.raises(FileNotFoundError):
        store.content("k")


def test_buckets_last_as_long_as_the_process():
    assert memory.bucket("test-memory-a") is memory.bucket("test-memory-a")
    assert memory.bucket("test-memory-a") is not memory.bucket("test-memory-b")


@pytest.mark.virtual_time
async def test_a_slow_store_takes_its_time_per_request_and_per_byte():
    store = MemoryStore(latency=1.0, bytes_per_second=10.0)
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await store.put("k", bytes(50))
    assert loop.time() - begin == pytest.approx(6.0)

    begin = loop.time()
    await store.info("k")
    assert loop.time() - begin == pytest.approx(1.0)


@pytest.mark.virtual_time
async def test_requests_at_once_share_the_line():
    store = MemoryStore(latency=1.0, bytes_per_second=10.0)
    begin = asyncio.get_running_loop().time()
    await asyncio.wait([asyncio.ensure_future(store.put(key, bytes(50))) for key in "ab"])

    assert asyncio.get_running_loop().time() - begin == pytest.approx(11.0)


def test_its_repr_counts():
    assert repr(MemoryStore()) == "<MemoryStore 0 objects, 0 bytes, 0 open uploads>"


async def test_what_may_not_be_overwritten_is_not_and_metadata_is_kept():
    store = MemoryStore()
    terms = Terms("text/x", {"a": "b"}, overwrite=False)
    await store.put("k", b"first", terms)
    upload = await store.begin("k", 1, 1, terms)
    for late in (store.put("k", b"second", terms), upload.complete()):
        with pytest.raises(FileExistsError, match="overwrite=False"):
            await late
    assert store.uploads == 1
    await upload.abort()

    found = await store.info("k")
    assert (found.content_type, found.metadata, store.content("k")) == ("text/x", {"a": "b"}, b"first")
    assert (await store.put("k", b"second")).metadata == {}


async def test_it_lists_by_prefix_in_order_and_knows_its_open_uploads():
    store = MemoryStore()
    for key in ("b/2", "a", "b/1"):
        await store.put(key, key.encode())
    await store.begin("b/3", 1, 1)

    assert [key async for key, _ in store.listing("b/")] == ["b/1", "b/2"]
    (left,) = [one async for one in store.leftovers("b/")]
    assert left.key == "b/3"
    assert [one async for one in store.leftovers("a")] == []
    await store.discard(left)
    await store.discard(left)
    assert store.uploads == 0
