"""One object on its way: the order and size of parts, what is under way at once, and the answers that get lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streamflow.engine.shielding import finish
from streamflow.errors import CommitUnknown
from streamflow.places import uploads
from streamflow.places.blocks import MIB
from streamflow.places.memory import MemoryStore
from streamflow.places.stores import Terms
from streamflow.places.uploads import Uploading

TIB = MIB**2


def uploading(store, part_size=4, concurrency=3):
    return Uploading(store, "k", "memory://b/k", part_size, concurrency)


async def finished(up, data=b""):
    while len(data) >= up.wanted:
        part, data = data[: up.wanted], data[up.wanted :]
        await up.send(part)
    await up.drain(data)
    return await finish(up.complete())


class Watched(MemoryStore):
    """Counts what is under way, and can fail at a given part or at the commit."""

    def __init__(self, *, fails_at=None, lost=None, **options):
        super().__init__(**options)
        self.requests = []
        self.busy = self.busiest = self.bytes = self.most_bytes = 0
        self.busiest_at = {}
        self.fails_at = fails_at
        self.lost = lost

    async def put(self, key, data, *terms):
        self.requests.append("put")
        if self.lost == "before":
            raise OSError("connection reset")
        stored = await super().put(key, data, *terms)
        if self.lost:
            raise OSError("connection reset")
        return stored

    async def begin(self, key, *options):
        self.requests.append("begin")
        upload = await super().begin(key, *options)
        part, complete = upload.part, upload.complete

        async def watched(number, data):
            self.busy += 1
            self.bytes += len(data)
            self.busiest = max(self.busiest, self.busy)
            self.most_bytes = max(self.most_bytes, self.bytes)
            self.busiest_at[len(data)] = max(self.busiest_at.get(len(data), 0), self.busy)
            try:
                for _ in range(5 - number % 3):  # so that they end out of order
                    await asyncio.sleep(0)
                if number == self.fails_at:
                    raise OSError(f"part {number} refused")
                await part(number, data)
            finally:
                self.busy -= 1
                self.bytes -= len(data)

        async def losing():
            self.requests.append("complete")
            if self.lost == "before":
                raise OSError("connection reset")
            stored = await complete()
            if self.lost:
                raise OSError("connection reset")
            return stored

        upload.part, upload.complete = watched, losing
        return upload


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 8, 41])
async def test_what_is_sent_arrives_in_order(size):
    store = Watched()
    data = bytes(range(size))
    stored = await finished(uploading(store), data)

    assert store.content("k") == data
    assert stored.size == size
    assert store.uploads == 0
    assert store.requests == (["put"] if size < 4 else ["begin", "complete"])


async def test_parts_under_way_are_bounded():
    store = Watched()
    await finished(uploading(store, concurrency=3), bytes(400))

    assert store.busiest == 3


async def test_the_commit_waits_for_every_part():
    store = Watched()
    up = uploading(store)
    await up.send(b"abcd")
    await up.drain(b"e")

    assert store.busy == 0
    assert store.keys() == []
    await up.abort()


async def test_parts_grow_as_they_are_sent_and_fewer_are_under_way():
    """H69, H72: never more than part_size times concurrency bytes, until one part alone is larger."""
    store = Watched()
    up = Uploading(store, "k", "memory://b/k", 4, 4, grows_every=2)
    sizes = []
    for _ in range(7):
        sizes.append(up.wanted)
        await up.send(bytes(up.wanted))
    await up.drain(b"")

    assert sizes == [4, 4, 8, 8, 16, 16, 32]
    assert store.most_bytes == 32
    assert store.busiest == 2
    assert store.busiest_at == {4: 2, 8: 2, 16: 1, 32: 1}
    await up.abort()


async def test_parts_stay_equal_where_it_is_asked_for():
    store = Watched()
    up = Uploading(store, "k", "memory://b/k", 4, 4, Terms(equal_parts=True), grows_every=1)
    for _ in range(3):
        assert up.wanted == 4
        await up.send(bytes(4))
    await up.abort()


async def test_where_parts_must_be_equal_the_limit_is_told(monkeypatch):
    """H69."""
    monkeypatch.setattr(uploads, "PARTS", 3)
    store = MemoryStore()
    up = Uploading(store, "k", "memory://b/k", 4, 3, Terms(equal_parts=True))
    with pytest.raises(OSError, match=r"expected_size= or part_size=") as caught:
        await finished(up, bytes(16))
    assert caught.value.errno
    await up.abort()
    assert store.uploads == 0


async def test_an_upload_that_cuts_by_itself_gets_pieces_and_the_limit_counts_its_parts(monkeypatch):
    """H69"""
    monkeypatch.setattr(uploads, "PARTS", 3)
    store = MemoryStore()
    up = uploading(store, part_size=3 * MIB)
    await up.send(bytes(up.wanted))
    up._upload.cuts = True
    assert up.wanted == MIB
    for _ in range(6):
        await up.send(bytes(MIB))
    with pytest.raises(OSError, match=f"larger than the 3 parts that a store takes, from {3 * MIB} bytes on"):
        await up.send(b"x")
    await up.abort()


@pytest.mark.parametrize("fails_at", [1, 2, 5, 6])
async def test_the_failure_of_a_part_is_raised_and_abort_leaves_nothing(fails_at):
    store = Watched(fails_at=fails_at)
    up = uploading(store)
    with pytest.raises(OSError, match=f"part {fails_at} refused"):
        await finished(up, bytes(23))
    await up.abort()

    assert (store.uploads, store.keys(), store.busy) == (0, [], 0)
    assert "complete" not in store.requests


async def test_abort_stops_the_parts_under_way():
    store = Watched()
    up = uploading(store)
    await up.send(bytes(4))
    await up.send(bytes(4))
    await up.abort()
    await up.abort()

    assert (store.busy, store.uploads) == (0, 0)


@pytest.mark.parametrize("size", [2, 9])
async def test_a_commit_whose_answer_is_lost_is_recognised_by_its_mark(size):
    """H65"""
    store = Watched(lost="after")
    up = uploading(store)
    stored = await finished(up, bytes(size))

    assert up.committed
    assert stored == await store.info("k")
    assert store.uploads == 0


class Forgetful(Watched):
    """Keeps no metadata."""

    async def info(self, key):
        return replace(await super().info(key), metadata={})


@pytest.mark.parametrize("size", [2, 9])
async def test_where_no_marks_are_kept_a_lost_answer_leaves_it_unknown_if_an_object_of_this_size_is_there(size):
    """H65"""
    with pytest.raises(CommitUnknown, match=f"connection reset.*{size} bytes"):
        await finished(uploading(Forgetful(lost="after")), bytes(size))


async def test_an_object_of_another_writer_is_not_taken_for_ours():
    """H65: of the same size, stored while our answer was lost."""
    store = Watched(lost="before")
    await finished(uploading(other := Watched()), b"another")
    store._objects = other._objects
    up = uploading(store)
    with pytest.raises(OSError, match="connection reset") as caught:
        await finished(up, b"our own")
    assert not isinstance(caught.value, CommitUnknown)
    assert not up.committed
    await up.abort()


@pytest.mark.parametrize("size", [2, 9])
async def test_a_repeated_request_that_finds_its_own_object_has_committed_it(size):
    """H65: the answer to the first was lost, and the second hears that the upload is gone or the object is there."""

    class Repeating(Watched):
        async def put(self, key, data, *terms):
            await super().put(key, data, *terms)
            raise FileExistsError("there is one")

        async def begin(self, key, *options):
            upload = await super().begin(key, *options)
            complete = upload.complete

            async def repeated():
                await complete()
                raise FileNotFoundError("no such upload")

            upload.complete = repeated
            return upload

    store = Repeating()
    up = Uploading(store, "k", "memory://b/k", 4, 3, Terms(overwrite=False))
    assert (await finished(up, bytes(size))).size == size
    assert up.committed


@pytest.mark.parametrize("size", [2, 9])
async def test_what_may_not_be_overwritten_is_not(size):
    store = Watched()
    await MemoryStore.put(store, "k", b"first")
    up = Uploading(store, "k", "memory://b/k", 4, 3, Terms(overwrite=False))
    with pytest.raises(FileExistsError, match="overwrite=False"):
        await finished(up, bytes(size))
    await up.abort()

    assert store.content("k") == b"first"
    assert store.requests == (["put"] if size < 4 else [])
    assert store.uploads == 0


async def test_an_object_that_appears_before_the_commit_is_not_overwritten():
    store = Watched()
    up = Uploading(store, "k", "memory://b/k", 4, 3, Terms(overwrite=False))
    await up.send(bytes(4))
    await MemoryStore.put(store, "k", b"first")
    await up.drain(b"")
    with pytest.raises(FileExistsError):
        await finish(up.complete())
    await up.abort()

    assert (store.content("k"), store.uploads) == (b"first", 0)


@pytest.mark.parametrize("size", [2, 9])
async def test_a_commit_that_did_not_happen_fails_with_its_own_error(size):
    """H65: the object is not there, or another one is."""
    store = Watched(lost="before")
    up = uploading(store)
    with pytest.raises(OSError, match="connection reset") as caught:
        await finished(up, bytes(size))
    assert not isinstance(caught.value, CommitUnknown)
    await up.abort()

    await MemoryStore.put(store, "k", b"another")
    up = uploading(store)
    with pytest.raises(OSError, match="connection reset") as caught:
        await finished(up, bytes(size))
    assert not isinstance(caught.value, CommitUnknown)
    await up.abort()


async def test_a_store_that_cannot_be_asked_leaves_the_commit_unknown():
    store = Watched(lost="after")

    async def info(key):
        raise OSError("still no connection")

    store.info = info
    with pytest.raises(CommitUnknown):
        await finished(uploading(store), b"x")


async def test_a_refused_commit_is_the_refusal():
    store = Watched()

    async def put(key, data, terms):
        raise PermissionError("not yours")

    store.put = put
    with pytest.raises(PermissionError, match="not yours"):
        await finished(uploading(store), b"x")
