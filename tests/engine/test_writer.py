"""The writing end of a channel as the engine uses it, with a reader at the other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streamflow.channel import Channel
from streamflow.engine import budget
from streamflow.engine.budget import Budget
from streamflow.engine.reader import Reader
from streamflow.engine.writer import Writer


class Boom(Exception):
    pass


@asynccontextmanager
async def ends(maxsize: int = 8, max_bytes: int = 1 << 20) -> AsyncGenerator[tuple[Reader[Any], Writer[Any]]]:
    channel: Channel[Any] = Channel(maxsize)
    reader = Reader(channel, Budget())
    try:
        yield reader, Writer(channel, Budget(), max_bytes)
    finally:
        await reader.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def each(items: Iterable[Any]) -> AsyncGenerator[Any]:
    for item in items:
        yield item


async def put_all(way: str, writer: Writer[Any], items: Iterable[Any]) -> bool:
    """Put by the way of a generator (`pump`) or of a fused chain (`pour`), and close as the conductor does."""
    if way == "pour":
        ended = await writer.pour(iter(items))
    else:
        source = each(items)
        try:
            ended = await writer.pump(source)
        finally:
            await source.aclose()
    writer.channel.close()
    return ended


both_ways = pytest.mark.parametrize("way", ["pump", "pour"])


# --- writing --------------------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("maxsize", [1, 2, 3, 8, 1024])
async def test_everything_arrives_in_order_through_any_capacity(way, maxsize):
    """F9, L2"""
    async with ends(maxsize) as (reader, writer):
        writing = asyncio.ensure_future(put_all(way, writer, range(100)))
        assert [item async for item in reader] == list(range(100))
        assert await writing is True
        stats = reader.channel.stats()
        assert (stats.put, stats.got, stats.discarded) == (100, 100, 0)
        assert stats.peak <= maxsize


@both_ways
@pytest.mark.parametrize("maxsize", [1, 2, 8, 1000])
async def test_a_writer_that_nobody_reads_takes_only_what_the_channel_holds(way, maxsize):
    """F1, F5: a generator stands with one item in hand."""
    async with ends(maxsize) as (reader, writer):
        source = iter(range(10_000))
        writing = asyncio.ensure_future(put_all(way, writer, source))
        await settle()
        assert writer.parked
        assert reader.channel.held() == maxsize
        assert next(source) == maxsize + (way == "pump")
        await reader.close()
        assert await writing is False


@both_ways
async def test_the_bound_holds_with_a_hand_half_consumed(way):
    """P1"""
    async with ends(8) as (reader, writer):
        writing = asyncio.ensure_future(put_all(way, writer, range(100)))
        seen = []
        async for item in reader:
            seen.append(item)
            await settle()
            assert reader.channel.held() <= 8
            assert reader.channel.room() >= 0
        assert seen == list(range(100))
        await writing


@both_ways
async def test_a_writer_goes_on_when_half_of_what_was_taken_is_consumed(way):
    """Both sides overlap: the writer need not wait until a slow reader has finished its hand."""
    async with ends(8) as (reader, writer):
        writing = asyncio.ensure_future(put_all(way, writer, itertools.count()))
        await settle()
        reader.budget.size = reader.budget.left = 512
        queued = []
        for expected in range(8):
            assert await anext(reader) == expected
            await settle()
            queued.append(reader.channel.qsize())
        assert queued == [0, 0, 0, 0, 5, 5, 5, 5]
        await reader.close()
        assert await writing is False


async def test_the_first_item_arrives_while_the_stage_still_waits_for_its_second():
    async with ends(64) as (reader, writer):
        gate = asyncio.Event()

        async def slow() -> AsyncGenerator[str]:
            yield "first"
            await gate.wait()
            yield "second"

        source = slow()
        writing = asyncio.ensure_future(writer.pump(source))
        async with asyncio.timeout(5):
            assert await anext(reader) == "first"
        gate.set()
        await writing
        await source.aclose()


@both_ways
async def test_an_error_of_the_source_comes_after_the_items_before_it(way):
    """P3"""

    def failing() -> Iterator[int]:
        yield from range(5)
        raise Boom

    async with ends(8) as (reader, writer):
        with pytest.raises(Boom):
            await put_all(way, writer, failing())
        reader.channel.close()
        assert [item async for item in reader] == list(range(5))


async def test_a_fused_chain_may_put_without_waiting_and_says_whether_that_was_all():
    async with ends(4) as (_, writer):
        writer._budget.size = writer._budget.left = 512
        writer._weightless.add(int)
        assert writer.put_now(iter([1, 2])) is True
        more = iter([3, 4, 5])
        assert writer.put_now(more) is False
        assert list(writer.channel._queue) == [1, 2, 3, 4]
        assert list(more) == [5]
        assert writer.put_now(iter([6])) is False


@both_ways
async def test_a_reader_that_leaves_ends_the_writer_and_the_item_in_its_hand_is_counted(way):
    """P2"""
    async with ends(2) as (reader, writer):
        writing = asyncio.ensure_future(put_all(way, writer, range(100)))
        await settle()
        await reader.close()
        assert await writing is False
        stats = writer.channel.stats()
        assert (stats.put, stats.got, stats.discarded) == (2 + (way == "pump"), 0, 2 + (way == "pump"))


@both_ways
async def test_the_drains_and_the_seconds_a_writer_waited_are_counted(way):
    async with ends(4) as (reader, writer):
        writing = asyncio.ensure_future(put_all(way, writer, range(10)))
        await settle()
        stats = reader.channel.stats()
        assert (stats.drains, stats.writers_waiting) == (1, 1)
        assert [item async for item in reader] == list(range(10))
        await writing
        stats = reader.channel.stats()
        assert stats.drains >= 2
        assert stats.writers_waiting == 0
        assert stats.waited_for_room > 0


@pytest.fixture
def slow_clock(monkeypatch) -> None:
    """Every look at the clock finds that more than a slice has passed."""
    monkeypatch.setattr(budget, "perf_counter", itertools.count(step=2 * budget._SLICE).__next__)


async def turns_while(work: Awaitable[bool]) -> int:
    """Return how many turns another task has until the work is done."""
    turns = 0
    task = asyncio.ensure_future(work)
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    assert task.result() is True
    return turns


@both_ways
@pytest.mark.parametrize("item", [0, b"x"])
async def test_a_writer_that_need_not_wait_for_room_gives_the_other_tasks_turns(way, item, slow_clock):
    """P8, H10"""
    async with ends(1000) as (_, writer):
        assert await turns_while(put_all(way, writer, [item] * 100)) >= 100


async def test_a_chain_tells_the_channel_it_reads_that_its_hand_became_lighter_before_it_waits():
    """Or the writer above would wait until the whole hand is worked off."""
    async with ends(8) as (above, writer_above), ends(4) as (_, writer):
        writing = asyncio.ensure_future(put_all("pour", writer_above, range(100)))
        await settle()
        writer.input = above.channel
        hand = above.channel.grasp(8)
        pouring = asyncio.ensure_future(writer.pour(hand))
        await settle()
        assert writer.parked
        assert above.channel.held() == 8  # four are left in the hand, and four have come after them
        pouring.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pouring
        await above.close()
        assert await writing is False


# --- the account ----------------------------------------------------------------------------------------------------


def balances(writer: Writer[Any]) -> bool:
    stats = writer.channel.stats()
    return stats.put == stats.got + stats.discarded + stats.items


MIXED = [1, "two", b"three", 4, None, b"six"]


@both_ways
@pytest.mark.parametrize("items", [[0] * 6, [b"x"] * 6, MIXED], ids=["counted", "weighed", "weighed later"])
async def test_the_account_does_not_balance_when_an_item_was_lost(way, items):
    """P2: what was put is counted by who puts it, not told from where it is now."""
    async with ends() as (_, writer):
        assert await put_all(way, writer, items) is True
        assert balances(writer)
        writer.channel._queue.pop()
        assert not balances(writer)
        assert writer.channel.stats().put == 6


@both_ways
async def test_the_account_balances_when_the_source_fails_in_the_middle_of_a_batch(way):
    """P2"""

    def failing() -> Iterator[int]:
        yield from range(5)
        raise Boom

    async with ends() as (_, writer):
        writer._weightless.add(int)
        writer._budget.size = writer._budget.left = 512
        with pytest.raises(Boom):
            await put_all(way, writer, failing())
        stats = writer.channel.stats()
        assert (stats.put, stats.items) == (5, 5)


@both_ways
async def test_the_account_balances_in_the_middle_of_a_batch(way):
    """P9: the numbers of a run may be read while it goes on."""
    seen = []
    async with ends() as (_, writer):

        def looking() -> Iterator[int]:
            for number in range(5):
                yield number
                assert balances(writer)
                seen.append(writer.channel.stats().put)

        writer._weightless.add(int)
        writer._budget.size = writer._budget.left = 512
        assert await put_all(way, writer, looking()) is True
    assert seen == [1, 2, 3, 4, 5]


async def test_a_batch_with_an_item_whose_size_cannot_be_told_is_not_lost():
    """P2, P3: it came out of the chain before the error."""

    class Odd:
        @property
        def nbytes(self) -> int:
            raise Boom

    async with ends() as (reader, writer):
        writer._weightless.add(int)
        writer._budget.size = writer._budget.left = 512
        odd = Odd()
        with pytest.raises(Boom):
            writer.put_now(iter([1, odd, 3, odd]))
        assert balances(writer)
        reader.channel.close()
        assert [item async for item in reader] == [1, odd, 3, odd]


# --- items with a size in bytes -------------------------------------------------------------------------------------


async def watched(reader: Reader[Any], seen: list[Any], limit: int) -> None:
    async for item in reader:
        seen.append(item)
        stats = reader.channel.stats()
        assert stats.peak_bytes <= limit
        await asyncio.sleep(0)


@both_ways
async def test_bytes_are_bounded_from_the_first_item_on(way):
    """P1, H55"""
    async with ends(64, max_bytes=100) as (reader, writer):
        items = [bytes(30)] * 50
        writing = asyncio.ensure_future(put_all(way, writer, items))
        await settle()
        stats = reader.channel.stats()
        assert (stats.items, stats.bytes, stats.max_bytes) == (3, 90, 100)
        seen: list[bytes] = []
        await watched(reader, seen, 100)
        assert seen == items
        assert await writing is True


@both_ways
async def test_the_first_item_that_comes_out_of_a_fast_chain_is_weighed_alone(way):
    """H55: where thousands of items went in before, a whole batch of blocks would be made ahead."""
    async with ends(64, max_bytes=100) as (reader, writer):
        writer._budget.size = writer._budget.left = 512
        made = []

        def blocks() -> Iterator[bytes]:
            for number in range(50):
                made.append(number)
                yield bytes(60)

        writing = asyncio.ensure_future(put_all(way, writer, blocks()))
        await settle()
        assert len(made) == 2  # one in the channel, one in the writer's hand
        await reader.close()
        assert await writing is False


@both_ways
async def test_one_item_larger_than_the_bound_passes_an_empty_channel(way):
    """F19"""
    async with ends(64, max_bytes=10) as (reader, writer):
        items = [bytes(100), b"small", bytes(100)]
        writing = asyncio.ensure_future(put_all(way, writer, items))
        assert [item async for item in reader] == items
        assert await writing is True


@both_ways
async def test_weighing_begins_with_the_first_item_that_has_a_size(way):
    async with ends(64, max_bytes=100) as (reader, writer):
        items = [{"id": 1}, None, "text", *[bytes(60)] * 5, {"id": 2}, bytes(60)]
        writing = asyncio.ensure_future(put_all(way, writer, items))
        await settle()
        assert reader.channel.weighs
        assert reader.channel.stats().bytes == 60
        assert [item async for item in reader] == items
        assert await writing is True
        stats = reader.channel.stats()
        assert (stats.put, stats.got, stats.discarded) == (10, 10, 0)


async def test_a_batch_in_which_items_turn_out_to_have_a_size_is_put_again_one_by_one():
    """The batch was in the channel already, but nobody has seen it there."""
    async with ends(64, max_bytes=100) as (reader, writer):
        writer._weightless.add(dict)
        writer._budget.size = writer._budget.left = 512
        items = [{"id": 1}, {"id": 2}, *[bytes(60)] * 4]
        assert writer.put_now(iter(items)) is False
        writing = asyncio.ensure_future(writer.pour(iter([bytes(60)])))
        await settle()
        assert (reader.channel.stats().items, reader.channel.stats().bytes) == (3, 60)
        writing_then_close = asyncio.ensure_future(close_after(writing, reader.channel))
        assert [item async for item in reader] == [*items, bytes(60)]
        await writing_then_close


async def close_after(task: asyncio.Future[bool], channel: Channel[Any]) -> None:
    await task
    channel.close()


async def test_what_was_taken_back_and_never_put_is_counted_when_the_reader_leaves():
    """P2"""
    async with ends(64, max_bytes=100) as (reader, writer):
        writer._weightless.add(dict)
        writer._budget.size = writer._budget.left = 512
        writing = asyncio.ensure_future(put_all("pour", writer, [{"id": 1}, *[bytes(60)] * 5]))
        await settle()
        assert reader.channel.stats().items == 2
        await reader.close()
        assert await writing is False
        stats = reader.channel.stats()
        assert (stats.put, stats.got, stats.discarded) == (6, 0, 6)


async def test_a_new_type_without_a_size_changes_nothing():
    async with ends(64) as (reader, writer):
        writer._weightless.add(int)
        writer._budget.size = writer._budget.left = 512
        assert writer.put_now(iter([1, "two", 3.0])) is True
        assert not reader.channel.weighs
        reader.channel.close()
        assert [item async for item in reader] == [1, "two", 3.0]


# --- cancellation ---------------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("item", [0, b"x"])
async def test_a_writer_that_is_cancelled_while_it_waits_leaves_the_queue_of_writers(way, item):
    async with ends(2, max_bytes=2) as (reader, writer):
        source = each([item] * 10) if way == "pump" else None
        putting = writer.pump(source) if source is not None else writer.pour(iter([item] * 10))
        writing = asyncio.ensure_future(putting)
        await settle()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert reader.channel.stats().writers_waiting == 0
        assert not writer.parked
        if source is not None:
            await source.aclose()
