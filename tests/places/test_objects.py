"""Objects in memory and on disk, by URL; the cloud's are in test_cloud.py."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing
from functools import partial

import hypothesis
import hypothesis.strategies as st
import pytest

from streamflow.errors import CommitUnknown, MissingExtra, ObjectChanged, TruncatedError, UsageError
from streamflow.places import memory, objects, ranges
from streamflow.places.memory import MemoryStore
from streamflow.places.stores import Fetched, Stored
from streamflow.places.written import Written

CANARY = "c4n4ry"


async def collected(source):
    async with aclosing(source.open()) as blocks:
        return [block async for block in blocks]


# ---------------------------------------------------------------------------------------------------- write, then read


async def test_what_was_written_to_memory_is_read_again_in_the_same_process(feed):
    written = await objects.write("memory://test-objects/a/b.csv")(feed(b"hello ", bytearray(b"world")))

    assert written == Written("memory://test-objects/a/b.csv", 11, durable=False, etag=written.etag)
    assert b"".join(await collected(objects.read("memory://test-objects/a/b.csv"))) == b"hello world"
    assert memory.bucket("test-objects").content("a/b.csv") == b"hello world"
    await objects.delete("memory://test-objects/a/b.csv")
    assert not await objects.exists("memory://test-objects/a/b.csv")


async def test_a_file_url_is_a_file(tmp_path, feed):
    url = f"file://{tmp_path}/a%20b"
    written = await objects.write(url)(feed(b"hello"))

    assert (tmp_path / "a b").read_bytes() == b"hello"
    assert written == Written(str(tmp_path / "a b"), 5, durable=True)
    assert await collected(objects.read(url, block=3, offset=1)) == [b"ell", b"o"]
    assert await objects.info(url) == Stored(5, None)
    assert await objects.exists(url)
    await objects.delete(url)
    assert not await objects.exists(url)
    with pytest.raises(FileNotFoundError):
        await objects.delete(url)


@hypothesis.given(
    items=st.lists(st.binary(max_size=30), max_size=8), part_size=st.integers(1, 40), block=st.integers(1, 40)
)
def test_however_it_is_cut_what_is_read_is_what_was_written(items, part_size, block):
    store = MemoryStore()

    async def main():
        async def feeds():
            for item in items:
                yield item

        written = await objects.write("k", store=store, part_size=part_size)(feeds())
        return written, await collected(objects.read("k", store=store, block=block))

    with asyncio.Runner() as runner:
        written, blocks = runner.run(main())
    assert b"".join(blocks) == b"".join(items)
    assert (written.bytes, written.durable) == (len(b"".join(items)), False)
    assert all(0 < len(read) <= block for read in blocks)
    assert store.uploads == 0


# ------------------------------------------------------------------------------------------------------------- read


async def test_a_part_of_an_object_is_read_by_offset_and_length():
    store = MemoryStore()
    await store.put("k", bytes(range(100)))

    async def read(**options):
        return b"".join(await collected(objects.read("k", store=store, block=7, **options)))

    assert await read(offset=10, length=25) == bytes(range(10, 35))
    assert await read(offset=95) == bytes(range(95, 100))
    assert await read(offset=100) == b""
    assert await read(offset=1000) == b""
    assert await read(length=0) == b""
    with pytest.raises(TruncatedError, match="ended 5 bytes early, at byte 100"):
        await read(offset=90, length=15)


async def test_a_missing_object_is_not_found_by_its_url():
    with pytest.raises(FileNotFoundError, match="none/here"):
        await collected(objects.read("memory://test-objects/none/here"))
    with pytest.raises(FileNotFoundError):
        await objects.info("memory://test-objects/none/here")


async def test_an_object_overwritten_while_it_is_read_is_an_error_and_never_a_splice():
    """H68. What was under way already is still of the first version."""
    store = MemoryStore()
    await store.put("k", b"A" * 100_000)
    got = []

    async def read():
        async with aclosing(objects.read("k", store=store, block=100).open()) as blocks:
            async for block in blocks:
                got.append(block)
                await store.put("k", b"B" * 100_000)

    with pytest.raises(ObjectChanged, match="overwritten"):
        await read()
    assert set(b"".join(got)) == set(b"A")


class Answers(MemoryStore):
    """A store that answers reads as it is told."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)
        self.asked = []

    async def get(self, key, start, length, etag):
        self.asked.append((start, length, etag))
        return self.answers.pop(0)


async def test_a_store_that_ignores_the_version_asked_for_is_caught():
    """H68: not every S3 server honours If-Match."""
    store = Answers(Fetched(b"AA", Stored(4, '"1"')), Fetched(b"BB", Stored(4, '"2"')))

    with pytest.raises(ObjectChanged):
        await collected(objects.read("k", store=store, block=2))
    assert store.asked == [(0, 2, None), (2, 2, '"1"')]


async def test_without_etags_a_changed_size_is_noticed():
    store = Answers(Fetched(b"AA", Stored(4, None)), Fetched(b"BB", Stored(5, None)))

    with pytest.raises(ObjectChanged):
        await collected(objects.read("k", store=store, block=2))


async def test_an_answer_that_was_cut_is_continued_where_it_ended():
    """H66."""
    v = Stored(6, '"1"')
    store = Answers(Fetched(b"ab", v), Fetched(b"c", v), Fetched(b"def", v))

    assert b"".join(await collected(objects.read("k", store=store, block=2))) == b"abcdef"
    assert [start for start, _, _ in store.asked] == [0, 2, 3]


async def test_a_body_shorter_than_its_length_is_truncated():
    """P5."""
    v = Stored(6, '"1"')
    store = Answers(Fetched(b"abc", v), Fetched(b"", v))

    with pytest.raises(TruncatedError, match="ended 3 bytes early, at byte 3"):
        await collected(objects.read("k", store=store, block=6))


async def test_ranges_grow_so_that_the_first_item_comes_soon(monkeypatch):
    store = MemoryStore()
    await store.put("k", bytes(1000))
    lengths = []
    real = store.get

    async def get(key, start, length, etag):
        lengths.append(length)
        return await real(key, start, length, etag)

    store.get = get
    monkeypatch.setattr(ranges, "_SLOW", float("inf"))
    monkeypatch.setattr(ranges, "_NEAR", 80)
    blocks = await collected(objects.read("k", store=store, block=10))

    assert lengths[:5] == [10, 40, 80, 80, 80]
    assert {len(block) for block in blocks} == {10}


async def test_reading_cancelled_at_any_turn_leaves_nothing(cancelled_after):
    store = MemoryStore()
    await store.put("k", bytes(100))
    for turns in range(40):
        task = await cancelled_after(lambda: collected(objects.read("k", store=store, block=10)), turns)

        assert task.cancelled() or len(b"".join(task.result())) == 100


async def test_reading_stops_early_and_leaves_nothing():
    store = MemoryStore(latency=0.001)
    await store.put("k", bytes(100))
    async with aclosing(objects.read("k", store=store, block=10).open()) as blocks:
        await anext(blocks)


# ------------------------------------------------------------------------------------------------------------ write


@pytest.mark.parametrize("before", [0, 3, 4, 40])
async def test_a_failure_above_leaves_no_object_and_no_upload(feed, before):
    """E15, H61."""
    store = MemoryStore()
    with pytest.raises(ValueError, match="above"):
        await objects.write("k", store=store, part_size=4)(feed(bytes(before), ValueError("above")))
    assert (store.keys(), store.uploads) == ([], 0)


async def test_an_item_that_is_not_bytes_leaves_nothing(feed):
    store = MemoryStore()
    with pytest.raises(UsageError, match=r"objects\.write\(k\) takes bytes, not dict"):
        await objects.write("k", store=store, part_size=4)(feed(bytes(10), {"a": 1}))
    assert (store.keys(), store.uploads) == ([], 0)


class Slow(MemoryStore):
    """Every request takes a few turns of the loop and no time, and so does the answer that brings an upload's id."""

    async def _travel(self, size):
        for _ in range(3):
            await asyncio.sleep(0)

    async def begin(self, key, *options):
        upload = await super().begin(key, *options)
        await self._travel(0)
        return upload


@pytest.mark.parametrize("sizes", [(3,), (4, 4, 4, 4, 1)])
async def test_cancelled_at_any_turn_there_is_the_whole_object_or_nothing(feed, cancelled_after, sizes):
    """X2, X21, H28, H29; a cancellation that found it committed says so."""
    seen = set()
    for turns in range(60):
        store, notes = Slow(), []
        sink = objects.write("k", store=store, part_size=4, concurrency=2)
        task = await cancelled_after(partial(noted, lambda sink=sink: sink(feed(*map(bytes, sizes))), notes), turns)

        assert store.uploads == 0
        assert store.keys() == [] or len(store.content("k")) == sum(sizes)
        assert store.keys() or (task.cancelled() and not notes)
        assert not notes or "complete" in notes[0]
        seen.add((task.cancelled(), bool(store.keys())))
    assert {(True, False), (False, True)} <= seen


async def noted(function, notes):
    try:
        return await function()
    except asyncio.CancelledError as error:
        notes.extend(getattr(error, "__notes__", []))
        raise


async def test_a_cancellation_during_the_commit_says_that_the_object_is_complete(feed):
    """H28."""
    store, notes, entered, opened = MemoryStore(), [], asyncio.Event(), asyncio.Event()
    real = store.put

    async def put(key, *options):
        entered.set()
        await opened.wait()
        return await real(key, *options)

    store.put = put
    task = asyncio.ensure_future(noted(lambda: objects.write("k", store=store)(feed(b"abc")), notes))
    await entered.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    opened.set()
    await asyncio.wait({task})

    assert task.cancelled()
    assert "the object is complete" in notes[0]
    assert store.content("k") == b"abc"


async def test_an_upload_that_cannot_be_aborted_is_noted_and_hides_nothing(feed):
    store = MemoryStore()
    real = store.begin

    async def begin(*args):
        upload = await real(*args)

        async def abort():
            raise OSError("no connection")

        upload.abort = abort
        return upload

    store.begin = begin
    with pytest.raises(ValueError, match="above") as caught:
        await objects.write("k", store=store, part_size=4)(feed(bytes(10), ValueError("above")))
    assert "could not be aborted" in caught.value.__notes__[0]
    assert "no connection" in caught.value.__notes__[0]


async def test_a_lost_answer_is_a_commit_unknown_if_the_store_cannot_be_asked(feed):
    store = MemoryStore()
    real = store.put

    async def put(key, *options):
        await real(key, *options)
        raise OSError("connection reset")

    store.put = put
    assert (await objects.write("k", store=store)(feed(b"abc"))).etag == (await store.info("k")).etag

    async def info(key):
        raise OSError("still no connection")

    store.info = info
    with pytest.raises(CommitUnknown, match="connection reset"):
        await objects.write("k", store=store)(feed(b"abc"))


@pytest.mark.virtual_time
async def test_a_slow_store_holds_its_writer_back(feed):
    """P1: the sink takes no more items than it has room for."""
    store, pulled = MemoryStore(latency=1.0), []

    async def items():
        for number in range(100):
            pulled.append(number)
            yield bytes(4)

    task = asyncio.ensure_future(objects.write("k", store=store, part_size=4, concurrency=2)(given := items()))
    await asyncio.sleep(1.5)
    assert len(pulled) == 3
    task.cancel()
    await asyncio.wait({task})
    await given.aclose()
    assert store.uploads == 0


async def test_type_and_metadata_are_kept_and_told():
    store = MemoryStore()

    async def write(key, **options):
        await objects.write(key, store=store, part_size=2, **options)(given := one_by_one(b"ab", b"c"))
        await given.aclose()
        return await objects.info(key, store=store)

    found = await write("orders.csv", metadata={"origin": "test"})
    assert (found.content_type, found.metadata["origin"]) == ("text/csv", "test")
    assert found.modified is not None
    assert (await write("orders.csv.gz")).content_type == "application/gzip"
    assert (await write("orders.csv", content_type="text/x")).content_type == "text/x"
    assert (await write("plain")).content_type is None


async def one_by_one(*items):
    for item in items:
        yield item


@pytest.mark.parametrize("size", [3, 40])
async def test_what_may_not_be_overwritten_is_not_and_nothing_is_lost(feed, size):
    store = MemoryStore()
    sink = objects.write("k", store=store, part_size=4, overwrite=False)
    await sink(feed(b"1" * size))
    with pytest.raises(FileExistsError, match="overwrite=False"):
        await sink(feed(b"2" * size))

    assert (store.content("k"), store.uploads) == (b"1" * size, 0)


async def test_a_file_that_may_not_be_overwritten_is_not(tmp_path, feed):
    (tmp_path / "k").write_bytes(b"first")
    with pytest.raises(FileExistsError):
        await objects.write(f"file://{tmp_path}/k", overwrite=False)(feed(b"second"))
    assert (tmp_path / "k").read_bytes() == b"first"


# ----------------------------------------------------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: objects.read("memory://b/k", region="x"), "region would have no effect"),
        (lambda: objects.write("file:///tmp/k", region="x"), "region would have no effect"),
        (lambda: objects.write("memory://b/k", part_size=0), "part_size"),
        (lambda: objects.write("memory://b/k", concurrency=0), "concurrency"),
        (lambda: objects.write("memory://b/k", expected_size=-1), "expected_size"),
        (lambda: objects.read("memory://b/k", block=0), "block"),
        (lambda: objects.read("memory://b/k", offset=-1), "offset"),
        (lambda: objects.write("file:///tmp/k", content_type="a/b"), "content_type would have no effect"),
        (lambda: objects.write("file:///tmp/k", metadata={"a": "b"}), "metadata would have no effect"),
        (lambda: objects.write("memory://b/k", metadata={"A": "b"}), "no name that every store takes"),
        (lambda: objects.write("memory://b/k", metadata={"a": "b\nc: d"}), "printable ASCII"),
        (lambda: objects.read("k"), "not the URL of an object"),
        (lambda: objects.read("k", store=object()), "store= takes"),
        (lambda: objects.read(f"s3://a:{CANARY}@b/k"), "credentials do not belong"),
    ],
)
def test_a_call_that_means_nothing_is_refused_at_once(call, message):
    """P10, H100."""
    with pytest.raises(UsageError, match=message) as caught:
        call()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_the_clouds_need_their_extra_and_say_which(monkeypatch, scheme):
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(MissingExtra, match=r'pip install -e "\.\[objects\]"'):
        objects.read(f"{scheme}://bucket/key")


def test_memory_and_files_need_no_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)

    assert objects.read("memory://b/k").name == "objects.read(memory://b/k)"
    assert objects.write("file:///tmp/k").name == "files.write(/tmp/k)"


def test_sources_and_sinks_say_what_they_cost():
    assert objects.read("memory://b/k").holds == 16 * 1024 * 1024
    assert objects.write("memory://b/k", part_size=10, concurrency=3).holds == 50


@pytest.mark.parametrize(("expected", "part"), [(None, 8), (10**9, 8), (5 * 1024**4, 577)])
def test_an_expected_size_makes_parts_large_enough(expected, part):
    """H69: with a tenth to spare."""
    size = objects.write("memory://b/k", expected_size=expected, concurrency=1).holds // 3

    assert size == part * 1024 * 1024


@pytest.mark.parametrize("option", [{"part_size": 1 << 20}, {"concurrency": 2}, {"expected_size": 10}])
def test_an_option_about_parts_is_refused_for_a_file_which_has_none(option):
    """P10"""
    with pytest.raises(UsageError, match=f"{next(iter(option))} would have no effect"):
        objects.write("file:///tmp/never-written", **option)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expires": 0}, "expires"),
        ({"expires": float("nan")}, "expires"),
        ({"expires": 8 * 86400}, "at most 604800"),
        ({"expires": 60, "method": "POST"}, "method is one of"),
        ({"expires": 60}, "only objects in a cloud"),
    ],
)
@pytest.mark.parametrize("url", ["memory://b/k", "file:///tmp/k"])
async def test_what_cannot_be_signed_is_refused(url, options, message):
    """P10"""
    with pytest.raises(UsageError, match=message):
        await objects.sign(url, **options)
