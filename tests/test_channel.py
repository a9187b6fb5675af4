"""What a channel promises when nobody cancels: order, turns, bounds in items and bytes, endings, accounts."""

from __future__ import annotations

import asyncio
import collections
import itertools
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from streamflow.channel import Channel, ChannelStats
from streamflow.errors import ChannelClosed, EndOfChannel, ReaderGone, UsageError

LAP = 256  # operations that need not wait, after which other tasks get a turn


class Boom(Exception):
    """A failure of the tests' own."""


async def settle(rounds: int = 12) -> None:
    """Let every task run until it waits."""
    for _ in range(rounds):
        await asyncio.sleep(0)


def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(coroutine)


def filled(maxsize: int, items: int | None = None, **options: Any) -> Channel[Any]:
    channel: Channel[Any] = Channel(maxsize, **options)
    for number in range(maxsize if items is None else items):
        channel.put_nowait(number)
    return channel


def drain(channel: Channel[Any]) -> list[Any]:
    items = []
    while channel.qsize():
        items.append(channel.get_nowait())
    return items


async def rest(channel: Channel[Any]) -> list[Any]:
    return [item async for item in channel]


def balances(channel: Channel[Any]) -> bool:
    stats = channel.stats()
    return stats.put == stats.got + stats.discarded + stats.items


def assert_balanced(channel: Channel[Any]) -> None:
    assert balances(channel)


# --- order and turns -------------------------------------------------------------------------------------------------


async def test_items_keep_their_order_and_falsy_items_are_carried():
    """E7"""
    channel: Channel[object] = Channel(8)
    items = [0, None, "", False, [], b"", 7]
    await channel.put_many(items)
    channel.close()
    assert await rest(channel) == items


async def test_blocked_writers_are_all_admitted_in_the_order_they_came():
    """F13"""
    channel = filled(1)
    writers = [start(channel.put(name)) for name in "abcdef"]
    await settle()
    assert channel.stats().writers_waiting == 6
    assert [await channel.get() for _ in range(7)] == [0, *"abcdef"]
    assert all(writer.done() for writer in writers)


async def test_all_writers_go_on_at_once_when_a_reader_makes_room_for_all():
    """F13"""
    channel = filled(4)
    writers = [start(channel.put(name)) for name in "abcd"]
    await settle()
    assert await channel.get_many() == [0, 1, 2, 3]
    await settle()
    assert all(writer.done() for writer in writers)
    assert drain(channel) == list("abcd")


async def test_blocked_readers_are_served_in_the_order_they_came():
    """F13"""
    channel: Channel[int] = Channel(8)
    order: list[tuple[str, int]] = []

    async def read(name: str) -> None:
        order.append((name, await channel.get()))

    readers = [start(read(name)) for name in "abc"]
    await settle()
    await channel.put_many([1, 2, 3])
    await settle()
    assert order == [("a", 1), ("b", 2), ("c", 3)]
    assert all(reader.done() for reader in readers)


async def test_a_newcomer_does_not_overtake_a_waiting_writer():
    """H8: the freed slot belongs to the writer that waited, although the newcomer runs first."""
    channel = filled(1)
    waiting = start(channel.put("waiting"))
    await settle()
    assert await channel.get() == 0
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait("newcomer")
    newcomer = start(channel.put("newcomer"))
    assert [await channel.get(), await channel.get()] == ["waiting", "newcomer"]
    await asyncio.wait([waiting, newcomer])


async def test_a_waiting_writer_is_admitted_within_one_round_of_a_greedy_task():
    """H8: a task that gets and puts in turns cannot starve another writer."""
    channel = filled(1)
    order: list[str] = []

    async def greedy() -> None:
        for number in range(1_000):
            await channel.get()
            await channel.put(number)
            order.append("greedy")

    async def modest() -> None:
        await channel.put("modest")
        order.append("modest")

    putting, feeding = start(modest()), start(greedy())
    await settle()
    assert order == ["modest"]
    feeding.cancel()
    await asyncio.wait([putting, feeding])


async def test_a_newcomer_does_not_overtake_a_waiting_reader():
    """H8"""
    channel: Channel[str] = Channel(4)
    waiting = start(channel.get())
    await settle()
    channel.put_nowait("first")
    with pytest.raises(asyncio.QueueEmpty):
        channel.get_nowait()
    asyncio.get_running_loop().call_soon(channel.put_nowait, "second")
    assert await channel.get() == "second"  # it runs before the reader that was woken for the first item
    assert await waiting == "first"


async def test_get_nowait_takes_what_no_waiting_reader_is_owed():
    channel: Channel[int] = Channel(4)
    waiting = start(channel.get())
    await settle()
    await channel.put_many([1, 2])
    taken = channel.get_nowait()
    assert {taken, await waiting} == {1, 2}


async def test_get_many_leaves_waiting_readers_their_items():
    """A greedy reader once took the item another one had been woken for, who then saw the end of an open channel."""
    channel: Channel[int] = Channel(4)
    greedy = start(channel.get_many())
    modest = start(channel.get())
    await settle()
    channel.put_nowait(1)
    channel.put_nowait(2)
    assert await greedy == [1]
    assert await modest == 2


async def test_get_many_takes_all_that_is_free_and_not_more_than_its_limit():
    channel = filled(5)
    assert await channel.get_many(2) == [0, 1]
    assert await channel.get_many() == [2, 3, 4]
    waiting = start(channel.get_many(3))
    await settle()
    assert not waiting.done()
    channel.put_nowait("late")
    assert await waiting == ["late"]


@pytest.mark.parametrize("limit", [0, -1, True, 1.5])
async def test_get_many_refuses_a_limit_that_means_nothing(limit):
    """F14"""
    channel = filled(2)
    with pytest.raises(UsageError, match="limit"):
        await channel.get_many(limit)
    assert channel.qsize() == 2


async def test_a_full_ring_of_channels_runs_for_ever():
    """F9: with one slot each, a task that feeds itself through two channels never deadlocks."""
    ahead, back = Channel[int](1), Channel[int](1)

    async def echo() -> None:
        async for item in ahead:
            await back.put(item + 1)

    echoing = start(echo())
    number = 0
    for _ in range(100):
        await ahead.put(number)
        number = await back.get()
    ahead.close()
    await echoing
    assert number == 100


# --- other tasks get a turn ------------------------------------------------------------------------------------------


async def ticks_during(work: Coroutine[Any, Any, Any]) -> int:
    """Return how often another task ran while `work` did."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = start(tick())
    await work
    ticking.cancel()
    await asyncio.wait([ticking])
    return ticks


async def put_each(channel: Channel[Any], count: int) -> None:
    for number in range(count):
        await channel.put(number)


async def get_each(channel: Channel[Any], count: int) -> None:
    for _ in range(count):
        await channel.get()


async def iterate(channel: Channel[Any], count: int) -> None:
    channel.close()
    assert len(await rest(channel)) == count


async def reserve_each(channel: Channel[Any], count: int) -> None:
    for number in range(count):
        async with channel.reserve() as slot:
            slot.put(number)


async def put_generator(channel: Channel[Any], count: int) -> None:
    assert await channel.put_many(number for number in range(count)) == count


async def get_batches(channel: Channel[Any], count: int) -> None:
    while count:
        count -= len(await channel.get_many(64))


@pytest.mark.parametrize("options", [{}, {"max_bytes": 1 << 30}], ids=["items", "bytes"])
@pytest.mark.parametrize("work", [put_each, put_generator, reserve_each, get_each, get_batches, iterate])
async def test_an_operation_that_never_waits_gives_other_tasks_a_turn(work, options):
    """H10, P8: at least one turn every 256 items (twice that for a batch that begins just before)."""
    count = 20 * LAP
    reading = work in {get_each, get_batches, iterate}
    channel = filled(count + 1, count if reading else 0, **options)
    ticks = await ticks_during(work(channel, count))
    assert ticks >= count // (2 * LAP)


async def test_a_timer_fires_while_one_task_puts_and_gets_in_turns():
    """H10"""
    channel: Channel[int] = Channel(1)
    called: list[int] = []
    for number in range(3 * LAP):
        if number == LAP:
            asyncio.get_running_loop().call_soon(called.append, number)
        await channel.put(number)
        await channel.get()
    assert called


# --- the bound in items ----------------------------------------------------------------------------------------------


async def test_the_bound_in_items_is_exact():
    """P1"""
    channel: Channel[int] = Channel(3)
    pulled: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(10):
            pulled.append(number)
            yield number

    writer = start(channel.put_many(numbers()))
    await settle()
    assert (channel.qsize(), channel.room(), channel.held(), pulled) == (3, 0, 3, [0, 1, 2])
    assert channel.full()
    await channel.get()
    await settle()
    assert pulled == [0, 1, 2, 3]
    channel.abandon()
    with pytest.raises(ReaderGone):
        await writer


async def test_put_many_takes_nothing_from_the_iterable_before_there_is_room():
    """F1: if the reader fails, the rest is still in the source."""
    channel = filled(2)
    source = iter(range(10, 20))
    writer = start(channel.put_many(source))
    await settle()
    channel.abandon()
    with pytest.raises(ReaderGone):
        await writer
    assert next(source) == 10


@pytest.mark.parametrize(
    "items", [[1, 2, 3], (1, 2, 3), range(1, 4), iter([1, 2, 3])], ids=lambda items: type(items).__name__
)
@pytest.mark.parametrize("options", [{}, {"max_bytes": 100}], ids=["items", "bytes"])
async def test_put_many_of_a_list_that_just_fits_does_not_wait(items, options):
    """It once waited for more room to learn that nothing was left, which hung a task that reads afterwards."""
    channel: Channel[int] = Channel(3, **options)
    items = iter([1, 2, 3]) if isinstance(items, Iterator) else items  # the parameter would be used up
    async with asyncio.timeout(5):
        assert await channel.put_many(items) == 3
    assert drain(channel) == [1, 2, 3]


@pytest.mark.parametrize("options", [{}, {"max_bytes": 100}], ids=["items", "bytes"])
async def test_put_many_of_nothing_waits_for_nothing(options):
    channel = filled(1, **options)
    assert await channel.put_many([]) == 0
    channel.close()
    with pytest.raises(ChannelClosed):
        await channel.put_many([])


async def test_put_many_of_a_long_list_goes_through_a_narrow_channel():
    channel: Channel[int] = Channel(3)
    writer = start(channel.put_many(range(1_000)))
    taken = [await channel.get() for _ in range(1_000)]
    assert taken == list(range(1_000))
    assert await writer == 1_000


@pytest.mark.parametrize("options", [{}, {"max_bytes": 100}], ids=["items", "bytes"])
async def test_the_items_before_an_error_of_the_iterable_are_in_the_channel(options):
    """P3"""
    channel: Channel[int] = Channel(8, **options)

    def failing() -> Iterator[int]:
        yield 1
        yield 2
        raise Boom

    with pytest.raises(Boom):
        await channel.put_many(failing())
    assert drain(channel) == [1, 2]
    assert_balanced(channel)


@pytest.mark.parametrize("options", [{}, {"max_bytes": 100}], ids=["items", "bytes"])
@pytest.mark.parametrize("ending", ["exhausted", "failing"])
async def test_a_turn_that_is_not_used_passes_on(options, ending):
    """H9: put_many whose iterable turns out to be empty once left the writers behind it, and the reader, asleep."""
    channel = filled(1, **options)

    def nothing() -> Iterator[int]:
        if ending == "failing":
            raise Boom
        yield from ()

    first = start(channel.put_many(nothing()))
    second = start(channel.put("second"))
    await settle()
    assert await channel.get() == 0
    reader = start(channel.get())
    await settle()
    assert reader.done()
    assert second.done()
    assert reader.result() == "second"
    (result,) = await asyncio.gather(first, return_exceptions=True)
    assert isinstance(result, Boom) if ending == "failing" else result == 0


@pytest.mark.parametrize("options", [{}, {"max_bytes": 100}], ids=["items", "bytes"])
async def test_a_turn_that_is_not_used_lets_the_end_be_seen(options):
    """C7: the reader of a closed channel does not wait for a writer that had nothing to put."""
    channel = filled(1, **options)
    writer = start(channel.put_many(item for item in ()))
    await settle()
    channel.close()
    assert await rest(channel) == [0]
    assert await writer == 0


async def test_several_writers_of_many_items_all_make_progress():
    """F13: after each stretch a writer goes to the end of the queue."""
    channel: Channel[tuple[str, int]] = Channel(2)
    writers = [start(channel.put_many(zip(name * 20, range(20), strict=True))) for name in "abc"]
    taken = [await channel.get() for _ in range(30)]
    counts = collections.Counter(name for name, _ in taken)
    assert min(counts.values()) >= 8
    for name in "abc":
        mine = [number for owner, number in taken if owner == name]
        assert mine == list(range(len(mine)))
    channel.abandon()
    for writer in writers:
        with pytest.raises(ReaderGone):
            await writer


# --- two-phase put ---------------------------------------------------------------------------------------------------


async def test_a_reservation_takes_room_and_gives_an_unused_one_back():
    channel: Channel[str] = Channel(1)
    async with channel.reserve() as slot:
        assert (channel.room(), channel.held(), channel.qsize()) == (0, 0, 0)
        with pytest.raises(asyncio.QueueFull):
            channel.put_nowait("other")
        slot.put("mine")
        assert channel.qsize() == 1
    assert channel.room() == 0
    assert await channel.get() == "mine"
    async with channel.reserve():
        pass
    assert channel.room() == 1


async def test_a_reservation_waits_for_room_before_anything_is_produced():
    channel = filled(1)
    produced: list[str] = []

    async def produce() -> None:
        async with channel.reserve() as slot:
            produced.append("made")
            slot.put("made")

    producer = start(produce())
    await settle()
    assert not produced
    assert await channel.get() == 0
    assert await channel.get() == "made"
    await producer


async def test_an_unused_reservation_wakes_the_next_writer():
    channel: Channel[str] = Channel(1)
    async with channel.reserve():
        writer = start(channel.put("next"))
        await settle()
        assert not writer.done()
    await settle()
    assert writer.done()
    assert await channel.get() == "next"


async def test_room_for_two_admits_two_waiting_reservations():
    """H9: the first one passes the wake-up on when it has its room."""
    channel = filled(2)

    async def produce(name: str) -> None:
        async with channel.reserve() as slot:
            await both.wait()
            slot.put(name)

    both = asyncio.Barrier(2)
    producers = [start(produce(name)) for name in "ab"]
    await settle()
    assert await channel.get_many() == [0, 1]
    async with asyncio.timeout(5):
        await asyncio.wait(producers)
    assert sorted(drain(channel)) == ["a", "b"]


async def test_a_body_that_raises_gives_its_reservation_back():
    channel: Channel[str] = Channel(1)
    with pytest.raises(Boom):
        async with channel.reserve():
            raise Boom
    assert channel.room() == 1


async def test_a_slot_takes_one_item_only():
    """P10"""
    channel: Channel[int] = Channel(4)
    async with channel.reserve() as slot:
        slot.put(1)
        with pytest.raises(UsageError, match="Reserve once for each item"):
            slot.put(2)
    with pytest.raises(UsageError, match="Reserve once for each item"):
        slot.put(3)
    assert drain(channel) == [1]
    assert channel.room() == 4


@pytest.mark.parametrize("nbytes", [-1, 1.5, None])
async def test_a_reservation_of_a_size_that_means_nothing_is_refused(nbytes):
    """F14"""
    channel: Channel[bytes] = Channel(1, max_bytes=10)
    with pytest.raises(UsageError, match="nbytes"):
        async with channel.reserve(nbytes):
            pytest.fail("the body must not run")
    assert channel.room() == 1


async def test_the_end_comes_after_a_slot_that_was_reserved_before_it():
    """C6: a reader once saw the end while a slot was held, and the slot's item was never taken."""
    for finish in (Channel.close, lambda channel: channel.fail(Boom())):
        channel: Channel[str] = Channel(2)
        async with channel.reserve() as slot:
            finish(channel)
            reader = start(channel.get())
            await settle()
            assert not reader.done()
            slot.put("late")
        assert await reader == "late"
        with pytest.raises((EndOfChannel, Boom)):
            await channel.get()


async def test_the_end_comes_when_the_last_slot_is_given_back():
    channel: Channel[str] = Channel(2)
    async with channel.reserve():
        channel.close()
        readers = [start(rest(channel)) for _ in range(2)]
        await settle()
        assert channel.state == "closed"
    assert await asyncio.gather(*readers) == [[], []]
    assert channel.state == "drained"


async def test_a_held_slot_does_not_keep_readers_after_a_shutdown():
    channel: Channel[str] = Channel(2)
    async with channel.reserve() as slot:
        channel.shutdown()
        with pytest.raises(EndOfChannel):
            await channel.get()
        with pytest.raises(ChannelClosed):
            slot.put("late")


# --- the bound in bytes ----------------------------------------------------------------------------------------------


async def test_the_bound_in_bytes_holds_whichever_is_reached_first():
    """P1"""
    channel: Channel[bytes] = Channel(3, max_bytes=10)
    channel.put_nowait(b"x" * 6)
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait(b"x" * 5)
    channel.put_nowait(b"x" * 4)
    channel.put_nowait(b"")
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait(b"")
    assert channel.stats().bytes == 10


async def test_one_oversize_item_passes_through_an_empty_channel_only():
    """F19"""
    channel: Channel[bytes] = Channel(4, max_bytes=10)
    big = b"x" * 25
    channel.put_nowait(b"")
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait(big)
    writer = start(channel.put(big))
    await settle()
    assert not writer.done()
    assert await channel.get() == b""
    await writer
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait(b"")
    assert await channel.get() == big
    assert channel.stats().bytes == 0


@pytest.mark.parametrize("put", [lambda channel, items: channel.put_many(items), None], ids=["put_many", "put"])
async def test_a_stream_of_oversize_items_flows(put):
    """F19"""
    channel: Channel[bytes] = Channel(4, max_bytes=1)
    items = [bytes([number]) * 100 for number in range(20)]

    async def write() -> None:
        if put is not None:
            await put(channel, items)
        else:
            for item in items:
                await channel.put(item)
        channel.close()

    writer = start(write())
    assert await rest(channel) == items
    await writer
    assert channel.stats().peak == 1


async def test_a_light_item_does_not_overtake_a_heavy_one():
    channel: Channel[bytes] = Channel(8, max_bytes=10)
    channel.put_nowait(b"12345678")
    heavy = start(channel.put(b"heavy"))
    await settle()
    light = start(channel.put(b"!"))
    await settle()
    assert channel.full()
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait(b"")
    assert [await channel.get() for _ in range(3)] == [b"12345678", b"heavy", b"!"]
    await asyncio.wait([heavy, light])


async def test_put_many_keeps_its_turn_while_it_waits_for_bytes():
    """H9: it once queued up again behind the others without waking them: reader and writers waited for ever."""
    channel: Channel[bytes] = Channel(1, max_bytes=10)
    channel.put_nowait(b"first")
    many = start(channel.put_many(item for item in (b"second",)))
    other = start(channel.put(b"third"))
    await settle()
    taken = [await channel.get()]
    async with asyncio.timeout(5):
        taken += [await channel.get(), await channel.get()]
    assert taken == [b"first", b"second", b"third"]
    await asyncio.wait([many, other])


async def test_put_many_waits_for_bytes_ahead_of_later_writers():
    channel: Channel[bytes] = Channel(2, max_bytes=10)
    channel.put_nowait(b"1234")
    channel.put_nowait(b"567890")
    many = start(channel.put_many(item for item in (b"12345678",)))
    other = start(channel.put(b"a"))
    await settle()
    assert await channel.get() == b"1234"
    await settle()
    assert (many.done(), other.done()) == (False, False)
    async with asyncio.timeout(5):
        assert [await channel.get() for _ in range(3)] == [b"567890", b"12345678", b"a"]
    await asyncio.wait([many, other])


async def test_a_size_function_weighs_items_that_have_no_size_of_their_own():
    channel: Channel[str] = Channel(8, max_bytes=10, size=len)
    channel.put_nowait("12345678")
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait("abc")
    assert channel.stats().bytes == 8


@pytest.mark.parametrize("size", [-1, 0.5, None, "3"])
async def test_a_size_that_means_nothing_is_refused_and_costs_no_room(size):
    """F14, P10: a negative size would silently lift the bound."""
    channel: Channel[int] = Channel(2, max_bytes=10, size=lambda item: size)
    with pytest.raises(UsageError, match="size of an item"):
        channel.put_nowait(1)
    with pytest.raises(UsageError, match="size of an item"):
        await channel.put(1)
    with pytest.raises(UsageError, match="size of an item"):
        await channel.put_many([1])
    async with channel.reserve() as slot:
        with pytest.raises(UsageError, match="size of an item"):
            slot.put(1)
    assert (channel.room(), channel.qsize(), channel.stats().bytes) == (2, 0, 0)
    assert_balanced(channel)


async def test_a_size_function_that_raises_leaves_the_turn_to_the_next():
    channel: Channel[int] = Channel(1, max_bytes=10, size=lambda item: 1 // item)
    channel.put_nowait(1)
    bad = start(channel.put_many(item for item in (0,)))
    good = start(channel.put(1))
    await settle()
    assert [await channel.get(), await channel.get()] == [1, 1]
    with pytest.raises(ZeroDivisionError):
        await bad
    await good
    assert channel.stats().discarded == 1  # taken from the iterable, and in no channel


async def test_a_reservation_counts_in_bytes():
    channel: Channel[bytes] = Channel(8, max_bytes=10)
    async with channel.reserve(8) as slot:
        with pytest.raises(asyncio.QueueFull):
            channel.put_nowait(b"abc")
        channel.put_nowait(b"ab")
        slot.put(b"12345678")
    assert channel.stats().bytes == 10
    assert drain(channel) == [b"ab", b"12345678"]


async def test_a_slot_that_was_used_for_less_lets_others_in():
    channel: Channel[bytes] = Channel(8, max_bytes=10)
    async with channel.reserve(10) as slot:
        writer = start(channel.put(b"12345"))
        await settle()
        assert not writer.done()
        slot.put(b"12345")
    await settle()
    assert writer.done()
    assert channel.stats().bytes == 10


async def test_a_slot_refuses_what_does_not_fit_and_can_still_be_used():
    channel: Channel[bytes] = Channel(8, max_bytes=10)
    channel.put_nowait(b"12345678")
    async with channel.reserve(1) as slot:
        with pytest.raises(UsageError, match="does not fit into the 1 bytes reserved"):
            slot.put(b"1234")
        slot.put(b"12")
    assert channel.stats().bytes == 10


async def test_an_oversize_item_may_use_the_only_slot_of_an_empty_channel():
    """F19"""
    channel: Channel[bytes] = Channel(8, max_bytes=10)
    async with channel.reserve() as slot:
        slot.put(b"x" * 50)
    assert channel.stats().bytes == 50


async def test_a_heavy_slot_does_not_break_the_bound_for_a_writer_that_was_just_woken():
    """P1: the writer looks again when it resumes, and keeps its place if somebody used what it was woken for."""
    channel: Channel[bytes] = Channel(8, max_bytes=10)
    channel.put_nowait(b"12345678")
    async with channel.reserve(2) as slot:
        writer = start(channel.put(b"12345"))
        later = start(channel.put(b"1"))
        await settle()
        assert channel.get_nowait() == b"12345678"  # wakes the writer
        slot.put(b"123456")  # and before it runs, more than was reserved goes in
        await settle()
        assert not writer.done()
        assert channel.stats().bytes == 6
    assert [await channel.get() for _ in range(3)] == [b"123456", b"12345", b"1"]
    await asyncio.wait([writer, later])
    assert channel.stats().peak_bytes <= 10


def test_a_size_without_a_bound_in_bytes_is_refused():
    """P10"""
    with pytest.raises(UsageError, match="max_bytes"):
        Channel(4, size=len)


# --- what the engine's exclusive reader and writer stand on ----------------------------------------------------------


async def test_the_hand_of_the_reader_counts_against_the_bound_until_it_is_consumed():
    """P1"""
    channel = filled(4)
    hand = channel.grasp(2)
    assert (channel.qsize(), channel.held(), channel.room()) == (2, 4, 0)
    assert next(hand) == 0
    assert (channel.held(), channel.room()) == (3, 1)
    channel.put_nowait("new")
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait("too many")
    assert list(hand) == [1]
    assert channel.room() == 1


async def test_consuming_the_hand_and_releasing_it_wakes_a_writer():
    channel = filled(4)
    hand = channel.grasp(4)
    writer = start(channel.put("next"))
    await settle()
    assert not writer.done()
    assert list(hand) == [0, 1, 2, 3]
    channel.release()
    await settle()
    assert writer.done()
    assert drain(channel) == ["next"]


async def test_grasp_takes_at_most_its_limit_and_no_more_than_there_is():
    channel = filled(5)
    assert list(channel.grasp(3)) == [0, 1, 2]
    assert list(channel.grasp(9)) == [3, 4]
    assert channel.stats().got == 5


async def test_a_heavy_hand_counts_in_bytes_until_it_is_released():
    """P1"""
    channel: Channel[bytes] = Channel(64, max_bytes=160)
    for _ in range(16):
        channel.put_nowait(b"x" * 10)
    hand = channel.grasp(64)
    light = list(hand)
    assert 1 < len(light) < 16  # the hand is kept light, so the writer need not wait for a whole channel
    writer = start(channel.put(b"y"))
    await settle()
    assert not writer.done()
    assert channel.stats().bytes == 160
    channel.release()
    await settle()
    assert writer.done()
    assert channel.stats().bytes == 160 - 10 * len(light) + 1


async def test_grasping_again_releases_the_bytes_of_the_hand_before():
    channel: Channel[bytes] = Channel(64, max_bytes=160)
    for _ in range(16):
        channel.put_nowait(b"x" * 10)
    taken = 0
    while channel.qsize():
        taken += len(list(channel.grasp(64)))
    channel.release()
    assert (taken, channel.stats().bytes, channel.room()) == (16, 0, 64)


async def test_one_heavy_item_goes_straight_on():
    """F19"""
    channel: Channel[bytes] = Channel(4, max_bytes=10)
    channel.put_nowait(b"x" * 100)
    writer = start(channel.put(b"y" * 100))
    await settle()
    assert list(channel.grasp(4)) == [b"x" * 100]
    channel.release()
    await settle()
    assert writer.done()


@pytest.mark.parametrize("options", [{}, {"max_bytes": 1_000}], ids=["items", "bytes"])
async def test_the_room_of_a_single_item_that_goes_straight_on_is_free_at_once(options):
    channel = filled(1, **options)
    writer = start(channel.put("next"))
    await settle()
    hand = channel.grasp(1)
    await settle()
    assert writer.done()
    assert (list(hand), drain(channel)) == ([0], ["next"])


async def test_the_engine_may_begin_to_weigh_when_the_first_heavy_item_comes():
    channel = filled(8, 0)
    channel.put_nowait("no size")
    channel.put_nowait(b"12345")
    assert not channel.weighs
    channel.limit_bytes(10)
    assert channel.weighs
    assert (channel.stats().bytes, channel.stats().bytes_put) == (5, 5)
    with pytest.raises(asyncio.QueueFull):
        channel.put_nowait(b"123456")
    assert drain(channel) == ["no size", b"12345"]
    assert channel.stats().bytes == 0


async def test_limiting_the_bytes_again_only_moves_the_limit():
    """It once weighed every queued item a second time."""
    channel: Channel[bytes] = Channel(8, max_bytes=10)
    channel.put_nowait(b"12345678")
    writer = start(channel.put(b"12345"))
    await settle()
    channel.limit_bytes(20)
    await settle()
    assert writer.done()
    assert channel.stats().bytes == 13
    assert drain(channel) == [b"12345678", b"12345"]
    assert channel.stats().bytes == 0


async def test_a_writer_may_sleep_until_there_is_room_for_many():
    """The engine's writer is woken for a stretch of items, not for each; it never sleeps beside an empty channel."""
    channel = filled(4)
    channel.low_water(3)
    writer = start(channel.put("next"))
    for _ in range(2):
        await settle()
        assert not writer.done()
        channel.get_nowait()
    await settle()
    assert not writer.done()
    channel.get_nowait()
    await settle()
    assert writer.done()
    assert drain(channel) == [3, "next"]


async def test_what_the_reader_lent_to_its_stage_counts_against_the_bound():
    """P1: a stage that takes its input in lists has them whole."""
    channel = filled(4)
    batch = list(channel.grasp(4))
    channel.lend(len(batch) - 1)
    writer = start(channel.put_many(range(10, 20)))
    await settle()
    assert (channel.qsize(), channel.room()) == (1, 0)
    channel.lend(0)
    await settle()
    assert (channel.qsize(), channel.room()) == (4, 0)
    channel.abandon()
    with pytest.raises(ReaderGone):
        await writer


async def test_a_writer_that_sleeps_until_there_is_much_room_is_turned_away_at_once():
    channel = filled(4)
    channel.low_water(4)
    writer = start(channel.put("next"))
    await settle()
    channel.abandon()
    with pytest.raises(ReaderGone):
        await writer
    assert channel.over


async def test_fill_moves_no_more_than_its_limit_and_says_when_the_iterator_ends():
    channel: Channel[int] = Channel(8)
    source = iter(range(5))
    assert channel.fill(source, 3) == 3
    assert channel.fill(source, 3) == 2
    assert drain(channel) == [0, 1, 2, 3, 4]


async def test_room_that_was_waited_for_is_there_in_the_same_step():
    channel = filled(2)

    async def write() -> int:
        await channel.wait_for_room()
        return channel.fill(iter("abc"), channel.room())

    writer = start(write())
    await settle()
    channel.grasp(2)
    list(channel.in_hand())
    channel.release()
    assert await writer == 2


async def test_waiting_for_items_ends_with_items_or_with_the_end():
    channel: Channel[int] = Channel(2)
    waiting = start(channel.wait_for_items())
    await settle()
    channel.put_nowait(1)
    await waiting
    assert list(channel.grasp(1)) == [1]
    waiting = start(channel.wait_for_items())
    await settle()
    channel.close()
    await waiting
    assert channel.state == "drained"


async def test_a_reader_that_was_woken_looks_again_when_the_items_were_grasped():
    """Nobody sees the end of a channel that is open, even where reading is mixed in a way it is not meant to be."""
    channel: Channel[int] = Channel(4)
    reader = start(channel.get())
    await settle()
    channel.put_nowait(1)
    assert list(channel.grasp(4)) == [1]
    await settle()
    assert not reader.done()
    channel.put_nowait(2)
    assert await reader == 2


# --- the ends --------------------------------------------------------------------------------------------------------


async def test_what_blocked_writers_had_handed_over_goes_in_ahead_of_the_end():
    """C6"""
    channel = filled(1)
    writers = [start(channel.put(name)) for name in "ab"]
    await settle()
    channel.close()
    channel.close()
    assert await rest(channel) == [0, "a", "b"]
    await asyncio.gather(*writers)
    assert channel.state == "drained"


async def test_a_failure_comes_after_what_was_handed_over_before_it():
    """H17, P3"""
    channel = filled(1)
    writer = start(channel.put("a"))
    await settle()
    failure = Boom()
    channel.fail(failure)
    assert [await channel.get(), await channel.get()] == [0, "a"]
    for _ in range(3):
        with pytest.raises(Boom) as caught:
            await channel.get()
        assert caught.value is failure
    await writer


async def test_a_failure_does_not_grow_its_traceback_with_each_reader():
    channel: Channel[int] = Channel(1)
    failure = Boom()
    channel.fail(failure)
    lengths = set()
    for _ in range(5):
        with pytest.raises(Boom) as caught:
            await channel.get()
        lengths.add(len(caught.traceback))
    assert len(lengths) == 1


async def test_a_source_of_no_items_ends_every_waiting_reader():
    """C7"""
    channel: Channel[int] = Channel(4)
    readers = [start(rest(channel)) for _ in range(3)]
    await settle()
    channel.close()
    assert await asyncio.gather(*readers) == [[], [], []]


async def test_the_reader_that_leaves_wakes_every_blocked_writer():
    """H5, F12"""
    channel = filled(1)
    writers = [start(channel.put(name)) for name in "abc"]
    await settle()
    assert channel.abandon() == [0]
    assert await asyncio.gather(*writers, return_exceptions=True) == [_any(ReaderGone)] * 3
    assert channel.abandon() == []


@pytest.mark.parametrize("end", [Channel.abandon, Channel.shutdown])
async def test_all_blocked_writers_are_woken_at_once_when_nobody_will_read(end):
    """H5: not one after the other, a loop iteration each."""
    channel = filled(1)
    writers = [start(channel.put(number)) for number in range(50)]
    await settle()
    end(channel)
    await settle(2)
    assert all(writer.done() for writer in writers)
    assert len(await asyncio.gather(*writers, return_exceptions=True)) == 50


class _any:  # noqa: N801  # reads as a word in the comparisons
    """Equal to every exception of exactly this class."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __eq__(self, other: object) -> bool:
        return type(other) is self.kind

    def __repr__(self) -> str:
        return f"<any {self.kind.__name__}>"


async def test_a_writer_that_was_just_woken_sees_that_the_reader_left():
    channel = filled(1)
    writer = start(channel.put("a"))
    await settle()
    channel.get_nowait()  # wakes the writer
    channel.abandon()  # before it runs
    with pytest.raises(ReaderGone):
        await writer
    assert channel.stats().items == 0


async def test_abandoning_returns_what_was_in_the_hand_first():
    """H6"""
    channel = filled(4)
    hand = channel.grasp(3)
    next(hand)
    assert channel.abandon() == [1, 2, 3]
    assert list(hand) == []
    stats = channel.stats()
    assert (stats.put, stats.got, stats.discarded, stats.items) == (4, 1, 3, 0)


async def test_shutdown_turns_waiting_writers_away_and_keeps_what_is_queued():
    """H4"""
    channel = filled(1)
    writer = start(channel.put("a"))
    await settle()
    channel.shutdown()
    with pytest.raises(ChannelClosed) as caught:
        await writer
    assert type(caught.value) is ChannelClosed
    assert await rest(channel) == [0]


async def test_an_immediate_shutdown_discards_and_counts_what_is_queued():
    """H4"""
    channel: Channel[bytes] = Channel(8, max_bytes=100)
    for _ in range(4):
        channel.put_nowait(b"1234")
    hand = channel.grasp(2)
    channel.shutdown(immediate=True)
    assert channel.stats().bytes == 8
    assert list(hand) == [b"1234"] * 2
    channel.release()
    stats = channel.stats()
    assert (stats.got, stats.discarded, stats.items, stats.bytes) == (2, 2, 0, 0)
    assert await rest(channel) == []


async def test_the_first_ending_stands():
    channel: Channel[int] = Channel(1)
    channel.close()
    channel.fail(Boom())
    assert await rest(channel) == []
    channel = Channel(1)
    channel.fail(Boom("first"))
    channel.fail(Boom("second"))
    channel.close()
    with pytest.raises(Boom, match="first"):
        await channel.get()


async def test_a_put_after_a_failure_names_it_as_the_cause():
    channel: Channel[int] = Channel(1)
    failure = Boom()
    channel.fail(failure)
    with pytest.raises(ChannelClosed, match="failed") as caught:
        await channel.put(1)
    assert caught.value.__cause__ is failure


@pytest.mark.parametrize(
    "failure", [EndOfChannel("of another channel"), StopAsyncIteration(), StopIteration()], ids=repr
)
async def test_no_failure_looks_like_the_end(failure):
    """P5, H36: a stage that died of another channel's end once ended this one cleanly."""
    channel = filled(1)
    channel.fail(failure)
    taken: list[int] = []

    async def read() -> None:
        async for item in channel:
            taken.append(item)  # noqa: PERF401  # what came before the failure is looked at

    with pytest.raises((EndOfChannel, RuntimeError)) as caught:
        await read()
    assert taken == [0]
    assert failure in (caught.value, caught.value.__cause__)


@pytest.mark.parametrize("error", [Boom, "text", None])
def test_failing_with_no_exception_object_is_refused(error):
    """P10"""
    channel: Channel[int] = Channel(1)
    with pytest.raises(UsageError, match=r"close\(\)"):
        channel.fail(error)
    assert channel.state == "open"


async def test_iteration_can_be_left_and_taken_up_again():
    """H37: a timeout around one item must not end the iteration, and `break` leaves nothing behind."""
    channel: Channel[int] = Channel(8)
    items = aiter(channel)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(items)
    await channel.put_many([1, 2, 3])
    channel.close()
    async for item in items:
        assert item == 1
        break
    assert [item async for item in items] == [2, 3]


async def test_several_readers_share_the_items():
    channel: Channel[int] = Channel(4)
    readers = [start(rest(channel)) for _ in range(3)]
    await channel.put_many(range(50))
    channel.close()
    parts = await asyncio.gather(*readers)
    assert sorted(itertools.chain(*parts)) == list(range(50))
    assert all(part == sorted(part) for part in parts)


# --- join, statistics, repr ------------------------------------------------------------------------------------------


async def reserve_and_put(channel: Channel[Any]) -> None:
    for number in range(3):
        async with channel.reserve() as slot:
            slot.put(number)


async def put_three(channel: Channel[Any], way: str) -> None:
    if way == "put":
        for number in range(3):
            await channel.put(number)
    elif way == "put_nowait":
        for number in range(3):
            channel.put_nowait(number)
    elif way == "put_many":
        assert await channel.put_many(range(3)) == 3
    elif way == "fill":
        assert channel.fill(iter(range(3)), 4) == 3
    else:
        await reserve_and_put(channel)


@pytest.mark.parametrize("way", ["put", "put_nowait", "put_many", "fill", "slot"])
async def test_the_account_does_not_balance_when_an_item_was_lost(way):
    """P2: what was put is counted where it goes in, so that an item that vanished is missed."""
    channel: Channel[Any] = Channel(4)
    await put_three(channel, way)
    assert balances(channel)
    channel._queue.popleft()
    assert not balances(channel)
    assert drain(channel) == [1, 2]
    assert (channel.stats().put, channel.stats().got) == (3, 2)


async def test_the_account_does_not_balance_when_an_item_was_put_behind_its_back():
    """P2"""
    channel = filled(4, 2)
    channel._queue.append(2)
    channel.abandon()
    assert not balances(channel)


async def test_the_account_balances_in_the_middle_of_a_batch():
    """P9: the numbers may be read by what the items come from."""
    channel: Channel[Any] = Channel(8)
    seen = []

    def looking() -> Iterator[int]:
        for number in range(5):
            yield number
            assert_balanced(channel)
            seen.append(channel.stats().put)

    assert await channel.put_many(looking()) == 5
    assert seen == [1, 2, 3, 4, 5]
    assert channel.stats().put == 5


async def test_join_waits_until_every_item_is_done():
    channel = filled(3)
    joining = start(channel.join())
    for _ in range(3):
        await settle()
        assert not joining.done()
        await channel.get()
        channel.task_done()
    await joining
    with pytest.raises(ValueError, match="task_done"):
        channel.task_done()


async def test_join_counts_what_came_in_bulk_and_through_slots():
    channel: Channel[int] = Channel(8)
    await channel.put_many([1, 2])
    channel.fill(iter([3]), 1)
    async with channel.reserve() as slot:
        slot.put(4)
    joining = start(channel.join())
    await settle()
    for _ in range(4):
        assert not joining.done()
        channel.task_done()
    await joining


@pytest.mark.parametrize("end", [Channel.abandon, lambda channel: channel.shutdown(immediate=True)])
async def test_join_does_not_wait_for_what_was_discarded(end):
    channel = filled(3)
    await channel.get()
    joining = start(channel.join())
    end(channel)
    await settle()
    assert not joining.done()
    channel.task_done()
    await joining


async def test_statistics_count_exactly():
    """P9, P2"""
    channel: Channel[bytes] = Channel(2, max_bytes=100, name="rows")
    fresh = channel.stats()
    assert (fresh.name, fresh.state, fresh.maxsize, fresh.max_bytes) == ("rows", "open", 2, 100)
    writer = start(channel.put_many([b"12", b"345", b"6"]))
    await settle()
    middle = channel.stats()
    assert (middle.put, middle.got, middle.items, middle.bytes, middle.bytes_put) == (2, 0, 2, 5, 5)
    assert (middle.writers_waiting, middle.readers_waiting, middle.drains) == (1, 0, 1)
    assert [await channel.get() for _ in range(3)] == [b"12", b"345", b"6"]
    reader = start(channel.get())
    await settle()
    waiting = channel.stats()
    assert waiting.readers_waiting == 1
    channel.put_nowait(b"last")
    await asyncio.gather(writer, reader)
    end = channel.stats()
    assert (end.put, end.got, end.items, end.discarded, end.bytes, end.bytes_put) == (4, 4, 0, 0, 0, 10)
    assert (end.peak, end.peak_bytes) == (2, 5)
    assert end.waited_for_room > 0
    assert end.waited_for_items > 0
    assert (fresh.put, middle.put) == (0, 2)


async def test_the_time_waited_counts_for_those_who_were_turned_away():
    channel = filled(1)
    writer = start(channel.put(1))
    await settle()
    channel.abandon()
    with pytest.raises(ReaderGone):
        await writer
    assert channel.stats().waited_for_room > 0


def test_statistics_are_a_snapshot_that_cannot_be_changed():
    stats = filled(2, 1).stats()
    assert isinstance(stats, ChannelStats)
    with pytest.raises(AttributeError):
        stats.put = 5


async def test_its_repr_shows_the_counts_and_who_waits():
    """P9"""
    channel: Channel[bytes] = Channel(2, max_bytes=10, name="rows")
    assert repr(channel).startswith("<Channel at 0x")
    assert "maxsize=2 name='rows' open items=0 bytes=0/10" in repr(channel)
    reader = start(channel.get())
    await settle()
    assert "_getters[1]" in repr(channel)
    channel.put_nowait(b"a")
    await reader
    await channel.put_many([b"abc", b"def"])
    writer = start(channel.put(b"g"))
    await settle()
    assert str(channel) == (
        "<Channel maxsize=2 name='rows' open items=2 bytes=6/10 _queue=[b'abc', b'def'] _putters[1] tasks=3>"
    )
    channel.abandon()
    assert "reader gone items=0" in repr(channel)
    with pytest.raises(ReaderGone):
        await writer


def test_its_repr_stays_short_when_items_are_large():
    channel = filled(1_000)
    channel.get_nowait()
    assert len(repr(channel)) < 250
    big: Channel[str] = Channel(1)
    big.put_nowait("x" * 100_000)
    assert len(repr(big)) < 250


def test_it_is_an_asyncio_queue_and_takes_a_type():
    channel = Channel[int](3)
    assert isinstance(channel, asyncio.Queue)
    assert (channel.maxsize, channel.empty(), channel.full(), channel.qsize()) == (3, True, False, 0)


async def test_using_it_from_another_event_loop_is_an_error():
    channel = filled(1)
    writer = start(channel.put(1))
    await settle()

    async def elsewhere() -> None:
        await channel.put(2)

    def in_a_thread() -> None:
        with pytest.raises(RuntimeError, match="different event loop"):
            asyncio.run(elsewhere())

    await asyncio.to_thread(in_a_thread)
    assert [await channel.get(), await channel.get()] == [0, 1]
    await writer
