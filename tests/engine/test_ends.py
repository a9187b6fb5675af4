"""The reader and the writer of a channel as the engine uses them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streamflow.channel import Channel
from streamflow.engine import budget
from streamflow.engine.budget import Budget
from streamflow.engine.ends import Reader, Writer
from streamflow.errors import EndOfChannel


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


@asynccontextmanager
async def reading(items: Iterable[Any], maxsize: int = 8) -> AsyncGenerator[Reader[Any]]:
    """A reader of a channel that holds the items and is closed."""
    async with ends(maxsize) as (reader, _):
        for item in items:
            reader.channel.put_nowait(item)
        reader.channel.close()
        yield reader


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


# --- reading in every way -------------------------------------------------------------------------------------------


async def test_it_gives_every_item_in_order_and_ends():
    async with reading(range(8)) as reader:
        assert [item async for item in reader] == list(range(8))
        assert [item async for item in reader] == []


async def test_an_iteration_that_was_left_goes_on_where_it_was():
    async with reading(range(6)) as reader:
        seen = []
        for limit in (1, 3, 9):
            async for item in reader:
                seen.append(item)
                if len(seen) >= limit:
                    break
        assert seen == list(range(6))


async def test_every_way_of_taking_may_be_mixed_and_loses_nothing():
    async with reading(range(8)) as reader:
        seen = [await anext(reader)]
        async for item in reader:
            seen.append(item)
            break
        seen.append(await reader.get())
        async for batch in reader.batches():
            seen += batch
            break
        seen.append(await anext(reader))
        seen += [item async for item in reader]
        assert seen == list(range(8))


async def test_get_takes_what_an_iteration_had_grasped_first():
    async with reading(range(4)) as reader:
        reader.budget.size = reader.budget.left = 4
        assert await anext(reader) == 0
        assert reader.channel.qsize() == 0  # the rest is in its hand
        assert [await reader.get() for _ in range(3)] == [1, 2, 3]
        with pytest.raises(EndOfChannel):
            await reader.get()


async def test_several_tasks_may_get_at_once_first_come_first_served():
    async with ends(4) as (reader, _):
        waiting = [asyncio.ensure_future(reader.get()) for _ in range(3)]
        await settle()
        for item in "abc":
            reader.channel.put_nowait(item)
        assert [await task for task in waiting] == ["a", "b", "c"]


async def test_an_iteration_and_a_get_that_both_wait_are_served_in_turn():
    async with ends(4) as (reader, _):
        first = asyncio.ensure_future(anext(reader))
        await settle()
        second = asyncio.ensure_future(reader.get())
        await settle()
        reader.channel.put_nowait("a")
        await settle()
        assert await first == "a"
        assert not second.done()
        reader.channel.put_nowait("b")
        assert await second == "b"


async def test_a_batch_is_all_that_is_there_up_to_half_the_channel():
    async with reading(range(8)) as reader:
        reader.budget.size = reader.budget.left = 512
        assert [batch async for batch in reader.batches()] == [[0, 1, 2, 3], [4, 5, 6, 7]]


async def test_a_batch_counts_against_the_bound_until_the_next_one_is_asked_for():
    """P1: as an item does that a stage has in hand, one is granted beyond the channel."""
    async with ends(8) as (reader, _):
        reader.budget.size = reader.budget.left = 512
        for item in range(8):
            reader.channel.put_nowait(item)
        batches = reader.batches()
        assert await anext(batches) == [0, 1, 2, 3]
        assert reader.channel.room() == 1
        assert await anext(batches) == [4, 5, 6, 7]
        assert reader.channel.room() == 8 - 3


async def test_a_falsy_item_is_data():
    """E7"""
    async with reading([0, None, "", False, []]) as reader:
        assert [item async for item in reader] == [0, None, "", False, []]


class Odd:
    """Says that it equals everything, as arrays, mocks and column expressions do in their ways."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None


async def test_no_item_is_taken_for_the_end_whatever_it_says_it_equals():
    odd = [Odd() for _ in range(8)]
    async with reading(odd) as reader:
        reader.budget.size = reader.budget.left = 3  # a hand that is not the whole queue
        taken = [item async for item in reader]
        assert [id(item) for item in taken] == [id(item) for item in odd]


async def test_waiting_takes_nothing():
    async with ends() as (reader, _):
        waiting = asyncio.ensure_future(reader.wait())
        await settle()
        assert not waiting.done()
        reader.channel.put_nowait("a")
        await waiting
        assert reader.channel.qsize() == 1
        await reader.wait()  # something is there
        assert await reader.get() == "a"


async def test_waiting_ends_at_the_end_and_while_something_is_in_hand():
    async with reading("ab") as reader:
        reader.budget.size = reader.budget.left = 2
        await anext(reader)
        await reader.wait()
        await anext(reader)
        await reader.wait()


# --- the end, failures, cancellation --------------------------------------------------------------------------------


async def test_a_failure_comes_after_the_items_before_it_once_and_then_iteration_ends():
    """X10, H17"""
    async with ends() as (reader, _):
        boom = Boom()
        reader.channel.put_nowait(1)
        reader.channel.fail(boom)
        assert await anext(reader) == 1
        with pytest.raises(Boom) as caught:
            await anext(reader)
        assert caught.value is boom
        assert reader.raised is boom
        assert [item async for item in reader] == []
        assert [batch async for batch in reader.batches()] == []
        assert await reader.next_hand() is None


async def test_a_failure_seen_by_get_is_known_to_have_been_raised():
    async with ends() as (reader, _):
        boom = Boom()
        reader.channel.fail(boom)
        with pytest.raises(Boom):
            await reader.get()
        assert reader.raised is boom
        assert await reader.next_hand() is None


async def test_the_end_is_known_to_have_been_reached():
    async with reading([]) as reader:
        assert not reader.exhausted
        assert [item async for item in reader] == []
        assert reader.exhausted
        assert reader.raised is None


async def test_a_reader_that_is_cancelled_while_it_waits_has_taken_nothing():
    """H1"""
    async with ends() as (reader, _):
        waiting = asyncio.ensure_future(reader.next_hand())
        await settle()
        waiting.cancel()
        reader.channel.put_nowait("a")
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert reader.channel.stats().readers_waiting == 0
        hand = await reader.next_hand()
        assert hand is not None
        assert list(hand) == ["a"]


async def test_a_cancelled_reader_passes_its_turn_on():
    """X22: an item is handed over and its receiver cancelled in the same step; the next in line gets it."""
    async with ends() as (reader, _):
        first = asyncio.ensure_future(reader.next_hand())
        await settle()
        second = asyncio.ensure_future(reader.get())
        await settle()
        reader.channel.put_nowait("a")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert await second == "a"


async def test_closing_discards_what_was_not_taken_and_counts_it():
    """P2"""
    async with ends() as (reader, _):
        reader.budget.size = reader.budget.left = 3
        for item in range(5):
            reader.channel.put_nowait(item)
        assert await anext(reader) == 0
        await reader.close()
        stats = reader.channel.stats()
        assert (stats.put, stats.got, stats.discarded, stats.items) == (5, 1, 4, 0)
        assert stats.state == "reader gone"
        assert [item async for item in reader] == []


async def test_the_seconds_it_waited_are_counted():
    async with ends() as (reader, _):
        waiting = asyncio.ensure_future(reader.next_hand())
        await settle()
        assert reader.channel.stats().readers_waiting == 1
        reader.channel.close()
        assert await waiting is None
        stats = reader.channel.stats()
        assert stats.readers_waiting == 0
        assert stats.waited_for_items > 0


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


async def turns_while(putting: Awaitable[bool]) -> int:
    """Return how many turns another task has while everything is put without a wait for room."""
    turns = 0
    task = asyncio.ensure_future(putting)
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


@pytest.mark.parametrize("way", ["each", "batches"])
async def test_a_reader_that_need_not_wait_for_items_gives_the_other_tasks_turns(way, slow_clock):
    """P8, H10"""
    async with reading(range(100), 1000) as reader:

        async def read() -> bool:
            async for _ in reader if way == "each" else reader.batches():
                pass
            return True

        assert await turns_while(read()) >= 100


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


# --- both ends under cancellation -----------------------------------------------------------------------------------


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


async def test_an_input_of_the_engine_is_an_async_iterable_like_any_other():
    async with reading("abc") as reader:
        assert isinstance(reader, AsyncIterable)
        assert isinstance(aiter(reader), AsyncIterator)
        assert aiter(reader) is aiter(reader)
