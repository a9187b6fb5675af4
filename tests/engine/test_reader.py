"""The reading end of a channel as the engine uses it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from streamflow.channel import Channel
from streamflow.engine import budget
from streamflow.engine.budget import Budget
from streamflow.engine.reader import Reader
from streamflow.errors import EndOfChannel


class Boom(Exception):
    pass


@asynccontextmanager
async def reading(items: Iterable[Any] | None, maxsize: int = 8) -> AsyncGenerator[Reader[Any]]:
    """A reader of a channel that holds the items and is closed; of one that is empty and open for `None`."""
    channel: Channel[Any] = Channel(maxsize)
    reader = Reader(channel, Budget())
    if items is not None:
        for item in items:
            channel.put_nowait(item)
        channel.close()
    try:
        yield reader
    finally:
        await reader.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


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
    async with reading(None, 4) as reader:
        waiting = [asyncio.ensure_future(reader.get()) for _ in range(3)]
        await settle()
        for item in "abc":
            reader.channel.put_nowait(item)
        assert [await task for task in waiting] == ["a", "b", "c"]


async def test_an_iteration_and_a_get_that_both_wait_are_served_in_turn():
    async with reading(None, 4) as reader:
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
    async with reading(None, 8) as reader:
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
    async with reading(None) as reader:
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
    async with reading(None) as reader:
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
    async with reading(None) as reader:
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
    async with reading(None) as reader:
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
    async with reading(None) as reader:
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
    async with reading(None) as reader:
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
    async with reading(None) as reader:
        waiting = asyncio.ensure_future(reader.next_hand())
        await settle()
        assert reader.channel.stats().readers_waiting == 1
        reader.channel.close()
        assert await waiting is None
        stats = reader.channel.stats()
        assert stats.readers_waiting == 0
        assert stats.waited_for_items > 0


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


@pytest.mark.parametrize("way", ["each", "batches"])
async def test_a_reader_that_need_not_wait_for_items_gives_the_other_tasks_turns(way, slow_clock):
    """P8, H10"""
    async with reading(range(100), 1000) as reader:

        async def read() -> bool:
            async for _ in reader if way == "each" else reader.batches():
                pass
            return True

        assert await turns_while(read()) >= 100


async def test_an_input_of_the_engine_is_an_async_iterable_like_any_other():
    async with reading("abc") as reader:
        assert isinstance(reader, AsyncIterable)
        assert isinstance(aiter(reader), AsyncIterator)
        assert aiter(reader) is aiter(reader)
