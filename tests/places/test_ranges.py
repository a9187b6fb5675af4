"""Ranges of one version: in order, some ahead and no more, continued where they were cut, dropped at the end."""

from __future__ import annotations

import asyncio

import hypothesis
import hypothesis.strategies as st
import pytest

from streamflow.errors import ObjectChanged, TruncatedError
from streamflow.places.memory import MemoryStore
from streamflow.places.ranges import AHEAD, Ranges, blocks_of
from streamflow.places.stores import Fetched
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
            # Also in pieces, an empty one among them, as a cloud's store may give it.
            return Fetched((data[:3], data[3:3], data[3:]) if self.count % 2 else data, found.stored)
        finally:
            self.busy -= 1


async def all_of(ranges):
    pieces = []
    try:
        while found := await ranges.next():
            pieces.extend(map(bytes, found))
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
    assert store.busiest <= AHEAD + 1
    assert store.busy == 0


@hypothesis.given(pieces=st.lists(st.binary(max_size=20)), size=st.integers(1, 25), views=st.booleans())
def test_however_it_came_in_pieces_the_blocks_are_whole_and_not_too_large(pieces, size, views):
    """L1"""
    blocks = list(blocks_of(map(memoryview, pieces) if views else pieces, size))
    assert b"".join(blocks) == b"".join(pieces)
    assert all(type(block) is bytes and len(block) <= size for block in blocks)


def test_a_piece_that_is_a_block_is_handed_on_as_it_is():
    pieces = [b"abcd", b"efgh", b"i", b"j"]
    blocks = list(blocks_of(pieces, 6))
    assert blocks == [b"abcd", b"efghij"]
    assert blocks[0] is pieces[0]


def test_so_many_are_under_way_and_no_more():
    """P1: also while nobody takes what has come."""
    store = Watched(bytes(1000))

    async def main():
        ranges = Ranges(store, HERE, 10, 0, None)
        await ranges.next()
        for _ in range(200):
            await asyncio.sleep(0)
        assert store.count == 1 + AHEAD
        store.gate = asyncio.Event()
        await ranges.next()
        await asyncio.sleep(0)
        assert store.busy == 1
        await ranges.close()
        assert store.busy == 0

    asyncio.run(main())


def test_what_came_before_a_failure_is_given_before_it():
    """P3: although the later request has failed long since."""
    store = Watched(b"A" * 100)
    real = store.get

    async def get(key, start, length, etag):
        if start >= 30:
            raise OSError("no luck")
        return await real(key, start, length, etag)

    store.get = get
    got = []

    async def main():
        ranges = Ranges(store, HERE, 10, 0, None)
        try:
            while pieces := await ranges.next():
                got.append(sum(map(len, pieces)))
        finally:
            await ranges.close()

    with pytest.raises(OSError, match="no luck"):
        asyncio.run(main())
    assert got == [10, 20]


def test_another_version_is_an_error_although_its_size_is_the_same():
    """H68"""
    store = Watched(b"A" * 100)

    async def main():
        ranges = Ranges(store, HERE, 10, 0, None)
        try:
            assert b"".join(await ranges.next()) == b"A" * 10
            await store.put("k", b"B" * 100)
            while pieces := await ranges.next():
                assert set(b"".join(pieces)) == set(b"A")
        finally:
            await ranges.close()

    with pytest.raises(ObjectChanged):
        asyncio.run(main())
