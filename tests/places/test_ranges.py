"""Ranges of one version: in order, some ahead and no more, continued where they were cut, dropped at the end."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing

import hypothesis
import hypothesis.strategies as st
import pytest

from streamflow.errors import ObjectChanged, TruncatedError
from streamflow.places import objects
from streamflow.places import ranges as ranges_module
from streamflow.places.memory import MemoryStore
from streamflow.places.ranges import Ranges, blocks_of
from streamflow.places.stores import Fetched, Stored
from streamflow.places.urls import Location

HERE = Location("memory", "b", "k")


class Watched(MemoryStore):
    """Counts what is under way; gives at most so many bytes at once, later requests sooner."""

    def __init__(self, data, cuts=()):
        super().__init__()
        self.stored = asyncio.run(self.put("k", data)) if data is not None else None
        self.cuts = list(cuts)
        self.busy = self.busiest = self.count = 0
        self.gate = None

    async def get(self, key, start, length, etag):
        self.count += 1
        self.busy += 1
        self.busiest = max(self.busiest, self.busy)
        try:
            for _ in range(20 - self.count % 7):
                await asyncio.sleep(0)
            if self.gate is not None:
                await self.gate.wait()
            found = await super().get(key, start, length, etag)
            most = self.cuts.pop() if self.cuts else length
            data = found.data[:most]
            return Fetched(self.arriving(data) if self.count % 2 else data, found.stored)
        finally:
            self.busy -= 1

    async def arriving(self, data):
        """Give it as it comes from a cloud."""
        self.busy += 1
        try:
            for piece in (data[:3], data[3:3], data[3:]):
                yield piece
                await asyncio.sleep(0)
        finally:
            self.busy -= 1


async def all_of(ranges):
    pieces = []
    try:
        while data := await ranges.next():
            pieces.append(bytes(data))
    finally:
        await ranges.close()
    return pieces


@hypothesis.given(
    data=st.binary(max_size=80),
    block=st.integers(1, 30),
    offset=st.integers(0, 90),
    length=st.none() | st.integers(0, 80),
    cuts=st.lists(st.integers(1, 12), max_size=6),
)
def test_however_it_is_asked_for_it_comes_in_order_and_whole(data, block, offset, length, cuts):
    """L1, H66"""
    store = Watched(data, cuts)
    ranges = Ranges(store, HERE, block, offset, length)
    wanted = data[offset:] if length is None else data[offset : offset + length]
    if length is not None and len(wanted) < length:
        with pytest.raises(TruncatedError, match=f"at byte {max(offset, min(len(data), offset + length))}"):
            asyncio.run(all_of(ranges))
    else:
        assert b"".join(asyncio.run(all_of(ranges))) == wanted
    assert store.busiest <= 4
    assert store.busy == 0


@pytest.mark.parametrize(("slow", "most"), [(float("inf"), 2), (-1.0, 4)], ids=["near", "far"])
def test_so_many_are_under_way_and_no_more(slow, most, monkeypatch):
    """P1: also while nobody takes what has come."""
    monkeypatch.setattr(ranges_module, "_SLOW", slow)
    monkeypatch.setattr(ranges_module, "RANGE", 20)
    monkeypatch.setattr(ranges_module, "_NEAR", 60)
    store = Watched(bytes(10_000))

    async def settled():
        for _ in range(200):
            await asyncio.sleep(0)

    async def main():
        ranges = Ranges(store, HERE, 10, 0, None)
        for _ in range(20):
            await ranges.next()
        await settled()
        count = store.count
        await settled()
        assert (store.busy, store.count) == (0, count)
        store.gate = asyncio.Event()
        waits = False
        while not waits:
            taken = asyncio.ensure_future(ranges.next())
            await settled()
            waits = not taken.done()
        assert 1 <= store.busy <= most
        taken.cancel()
        await asyncio.wait({taken})
        await ranges.close()
        assert store.busy == 0

    asyncio.run(main())
    assert store.busiest <= most


@pytest.mark.parametrize(
    ("slow", "wanted"),
    [(float("inf"), [10, 40, 60, 60, 60]), (-1.0, [10, 40, 60, 20, 20])],
    ids=["near", "far"],
)
def test_of_a_near_store_ranges_are_long_and_of_a_far_one_short_and_several(slow, wanted, monkeypatch):
    monkeypatch.setattr(ranges_module, "_SLOW", slow)
    monkeypatch.setattr(ranges_module, "_NEAR", 60)
    monkeypatch.setattr(ranges_module, "RANGE", 20)
    monkeypatch.setattr(ranges_module, "_LATE", 5)
    monkeypatch.setattr(ranges_module, "HOLDS", 4 * 20)
    store = MemoryStore()
    asked, ahead = [], []

    async def get(key, start, length, etag):
        asked.append(length)
        return await MemoryStore.get(store, key, start, length, etag)

    async def main():
        await store.put("k", bytes(1000))
        store.get = get
        ranges = Ranges(store, HERE, 10, 0, None)
        taken = 0
        while data := await ranges.next():
            taken += len(data)
            for _ in range(5):
                await asyncio.sleep(0)
            ahead.append(sum(asked) - taken)

    asyncio.run(main())
    assert asked[:5] == wanted
    # Of a near store the next one is asked for when the one before is used up but for little.
    assert max(ahead) <= (60 + 5 if slow > 0 else 4 * 20)
    assert max(ahead[3:]) >= (60 if slow > 0 else 3 * 20)


@hypothesis.given(
    pieces=st.lists(st.binary(min_size=1, max_size=20)),
    size=st.integers(1, 25),
    fails=st.booleans(),
    views=st.booleans(),
)
def test_however_it_came_the_blocks_are_whole_and_neither_too_large_nor_needlessly_small(pieces, size, fails, views):
    """L1, P3"""

    class Given:
        closed = False

        async def next(self):
            if left:
                return memoryview(left.pop(0)) if views else left.pop(0)
            if fails:
                raise OSError("no luck")
            return b""

        async def close(self):
            self.closed = True

    given, left, blocks = Given(), list(pieces), []

    async def main():
        async for block in blocks_of(given, size):
            blocks.append(block)  # noqa: PERF401  # what came before the failure counts

    if fails:
        with pytest.raises(OSError, match="no luck"):
            asyncio.run(main())
    else:
        asyncio.run(main())
    assert given.closed
    assert b"".join(blocks) == b"".join(pieces)
    assert all(type(block) is bytes and 0 < len(block) <= size * 3 / 2 for block in blocks)
    assert all(len(one) + len(other) > size / 2 for one, other in itertools.pairwise(blocks))


def test_a_piece_that_is_nearly_a_block_is_handed_on_as_it_is():
    pieces = [b"abcdefghi", b"jkl", b"m", b"n", b"opqrst"]

    class Given:
        async def next(self):
            return pieces[len(blocks)] if len(blocks) < 2 else left.pop(0) if left else b""

        async def close(self):
            pass

    left, blocks = pieces[2:], []

    async def main():
        async for block in blocks_of(Given(), 6):
            blocks.append(block)  # noqa: PERF401  # the source counts them

    asyncio.run(main())
    assert blocks == [b"abcdefghi", b"jkl", b"mn", b"opqrst"]
    assert all(block is piece for block, piece in zip(blocks, pieces[:2], strict=False))


@pytest.mark.virtual_time
async def test_what_a_far_store_lets_wait_is_waited_for_by_four_at_once(monkeypatch):
    monkeypatch.setattr(ranges_module, "RANGE", 10)
    monkeypatch.setattr(ranges_module, "_NEAR", 60)
    store = MemoryStore()
    await store.put("k", bytes(810))
    store.latency = 1.0
    asked = []

    async def get(key, *options):
        asked.append(options)
        return await MemoryStore.get(store, key, *options)

    store.get = get
    began = asyncio.get_running_loop().time()
    async with aclosing(objects.read("k", store=store, block=10).open()) as blocks:
        assert sum([len(block) async for block in blocks]) == 810
    seconds = asyncio.get_running_loop().time() - began
    assert len(asked) >= 60
    assert seconds <= len(asked) / 3


async def test_a_piece_is_handed_on_as_it_is_while_the_rest_of_its_range_is_still_on_its_way():
    """Waiting for whole ranges, and copying them, made reading half as fast as it can be."""
    rest, piece = asyncio.Event(), bytes(60)
    store = MemoryStore()

    async def arriving():
        yield piece
        await rest.wait()
        yield bytes(40)

    async def get(*_):
        return Fetched(arriving(), Stored(100, '"1"'))

    store.get = get
    async with aclosing(objects.read("k", store=store, block=100).open()) as blocks:
        assert await anext(blocks) is piece
        rest.set()
        assert [block async for block in blocks] == [bytes(40)]


async def test_given_up_in_the_middle_of_an_answer_the_answer_is_closed():
    begun, closed = [], []
    store = MemoryStore()

    async def arriving():
        begun.append(True)
        try:
            yield b"a"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    async def get(*_):
        return Fetched(arriving(), Stored(100, '"1"'))

    store.get = get
    async with aclosing(objects.read("k", store=store, block=1).open()) as blocks:
        assert await anext(blocks) == b"a"
    assert begun
    assert closed == begun


def test_what_came_before_a_failure_is_given_before_it():
    """P3: although the later request has failed long since."""
    store = Watched(b"A" * 100)
    real = store.get

    async def get(key, start, length, etag):
        if start >= 10:
            raise OSError("no luck")
        return await real(key, start, length, etag)

    store.get = get
    got = []

    async def main():
        ranges = Ranges(store, HERE, 10, 0, None)
        try:
            while data := await ranges.next():
                got.append(len(data))
        finally:
            await ranges.close()

    with pytest.raises(OSError, match="no luck"):
        asyncio.run(main())
    assert sum(got) == 10


def test_another_version_is_an_error_although_its_size_is_the_same():
    """H68"""
    store = Watched(b"A" * 100)

    async def main():
        ranges = Ranges(store, HERE, 10, 0, None)
        try:
            assert set(bytes(await ranges.next())) == set(b"A")
            await store.put("k", b"B" * 100)
            while data := await ranges.next():
                assert set(bytes(data)) == set(b"A")
        finally:
            await ranges.close()

    with pytest.raises(ObjectChanged):
        asyncio.run(main())
