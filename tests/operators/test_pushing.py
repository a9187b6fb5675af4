"""`push`: a source that callbacks, other tasks and other threads put items into."""

from __future__ import annotations

import asyncio
import threading

import pytest

import streamflow as sf
from streamflow.operators.pushing import Push, push
from streamflow.resolving import resolve_source
from streamflow.testing import Gate, cancel_everywhere


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def in_thread(work):
    """Run `work` in a thread; return a task of what comes of it."""
    return asyncio.ensure_future(asyncio.to_thread(work))


# --- putting, ending ---------------------------------------------------------------------------------------------


async def test_what_is_put_comes_out_in_order_and_close_ends_it():
    events = push(4)

    async def produce():
        for number in range(50):
            await events.put(number)
        events.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(produce())
        assert await sf.stream(events).collect() == list(range(50))


async def test_put_waits_for_room_and_holds_the_producer_back():
    """F1: and who still puts when nobody reads any more is told."""
    events, put = push(2), []

    async def produce():
        for number in range(100):
            await events.put(number)
            put.append(number)

    producing = asyncio.create_task(_outcome(produce()))
    async with sf.stream(events).buffer(1).open() as items:
        assert await anext(items) == 0
        await turns(100)
        assert len(put) == events.stats().got + 2 <= 6
    assert isinstance(await producing, sf.ReaderGone)


async def test_put_nowait_serves_a_callback():
    events = push(10)
    loop = asyncio.get_running_loop()
    for number in range(3):
        loop.call_soon(events.put_nowait, number)
    loop.call_soon(events.close)

    assert await sf.stream(events).collect() == [0, 1, 2]


async def test_fail_ends_it_with_that_very_error_after_the_items_before_it():
    events, got, error = push(4), [], LookupError("lost")
    events.put_nowait(1)
    events.fail(error)

    with pytest.raises(LookupError) as caught:
        await sf.stream(events).for_each(got.append)
    assert caught.value is error
    assert got == [1]


async def test_after_the_end_nothing_can_be_put():
    events = push(4)
    events.close()

    with pytest.raises(sf.ChannelClosed):
        await events.put(1)
    with pytest.raises(sf.ChannelClosed):
        events.put_nowait(1)
    assert await sf.stream(events).collect() == []


async def test_after_the_consumer_left_who_puts_gets_reader_gone():
    events = push(4)
    events.put_nowait(1)
    assert await sf.stream(events).first() == 1

    with pytest.raises(sf.ReaderGone):
        await events.put(2)
    with pytest.raises(sf.ReaderGone):
        events.put_nowait(2)
    with pytest.raises(sf.ReaderGone):
        await in_thread(lambda: events.put_threadsafe(2))


async def test_who_waits_for_room_when_the_consumer_leaves_gets_reader_gone():
    events = push(1)
    async with asyncio.TaskGroup() as tasks:
        async with sf.stream(events).buffer(1).open() as items:
            putting = [tasks.create_task(_outcome(events.put(number))) for number in range(12)]
            await anext(items)
            await turns()
        outcomes = [await task for task in putting]

    assert outcomes[0] is None
    assert isinstance(outcomes[-1], sf.ReaderGone)


async def _outcome(work):
    try:
        return await work
    except Exception as error:  # noqa: BLE001  # looked at by the test
        return error


async def test_a_push_is_read_once():
    """P2: what was used up must not look like an empty stream."""
    events = push(4)
    events.close()
    assert await sf.stream(events).collect() == []

    with pytest.raises(sf.UsageError, match="Make a new one for each run"):
        await sf.stream(events).collect()


async def test_its_block_closes_it():
    events = push(4)
    with events:
        await events.put(1)

    assert await sf.stream(events).collect() == [1]


async def test_an_exception_in_its_block_is_no_clean_end():
    """P5."""
    events, error = push(4), ValueError("broken")
    events.put_nowait(1)
    with pytest.raises(ValueError, match="broken"), events:
        raise error

    with pytest.raises(ValueError, match="broken") as caught:
        await sf.stream(events).collect()
    assert caught.value is error


async def test_a_cancellation_in_its_block_is_no_clean_end():
    """P5, X7."""
    events = push(1)

    async def produce():
        with events:
            for number in range(9):
                await events.put(number)

    producing = asyncio.create_task(produce())
    await turns()
    producing.cancel()
    await asyncio.wait((producing,))

    with pytest.raises(sf.StageCancelled, match="push"):
        await sf.stream(events).collect()


class Interrupted:
    """A consumer that is cancelled while a producer puts."""

    def __init__(self):
        self.got, self.put = [], []

    async def __call__(self):
        self.events = push(2)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.produce())
            async for item in self.events:
                self.got.append(item)

    async def produce(self):
        with self.events:
            for number in range(4):
                await self.events.put(number)
                self.put.append(number)


def test_whenever_it_is_cancelled_no_item_is_lost_or_doubled():
    """X22, P2."""

    def check(state, outcome):
        assert state.got == list(range(len(state.got)))
        stats = state.events.stats() if hasattr(state, "events") else None
        assert stats is None or stats.put == stats.got + stats.discarded + stats.items
        assert outcome.ended != "returned" or state.got == list(range(4))

    cancel_everywhere(Interrupted, check)


# --- overflow ----------------------------------------------------------------------------------------------------


def filled(overflow, count=5, **options):
    events = push(2, overflow=overflow, **options)
    for number in range(count):
        events.put_nowait(number)
    return events


async def rest_of(events):
    events.close()
    return await sf.stream(events).collect()


async def test_block_refuses_what_cannot_wait():
    """F17."""
    events = filled("block", 2)

    with pytest.raises(asyncio.QueueFull, match=r"await push\.put\(item\)"):
        events.put_nowait(2)
    assert events.dropped == 0
    assert await rest_of(events) == [0, 1]


@pytest.mark.parametrize(("overflow", "left"), [("drop_newest", [0, 1]), ("drop_oldest", [3, 4])])
async def test_what_is_dropped_is_counted(overflow, left):
    """F17."""
    events = filled(overflow)
    await events.put(5)
    events = filled(overflow)
    stats = events.stats()

    assert events.dropped == 3
    assert (stats.put, stats.got, stats.discarded, stats.items) == (5, 0, 3, 2)
    assert await rest_of(events) == left
    stats = events.stats()
    assert (stats.put, stats.got, stats.discarded, stats.items) == (5, 2, 3, 0)


async def test_fail_ends_the_stream_after_what_waits_and_tells_the_one_who_puts():
    """F17."""
    events, got = filled("fail", 2), []
    with pytest.raises(sf.LimitExceeded, match="full and another item came"):
        await events.put(2)

    with pytest.raises(sf.LimitExceeded):
        await sf.stream(events).for_each(got.append)
    assert got == [0, 1]
    with pytest.raises(sf.ChannelClosed):
        events.put_nowait(3)


@pytest.mark.parametrize("maxsize", [1, 2])
async def test_drop_oldest_keeps_the_newest_though_a_reader_was_just_woken(maxsize):
    events = push(maxsize, overflow="drop_oldest")
    reading = aiter(events)
    waiting = asyncio.ensure_future(anext(reading))
    await turns()

    for number in range(9):
        events.put_nowait(number)

    assert await waiting == 9 - maxsize
    assert events.dropped == 9 - maxsize
    await reading.aclose()


async def test_drop_oldest_makes_room_in_bytes():
    events = push(10, max_bytes=10, overflow="drop_oldest")
    for item in (b"aaaa", b"bbbb", b"c", b"ddddddd", b"e" * 50, b"f"):
        events.put_nowait(item)

    assert await rest_of(events) == [b"f"]
    assert events.dropped == 5


async def test_what_a_policy_drops_never_waits():
    events = push(1, overflow="drop_newest")
    async with asyncio.timeout(5):
        for number in range(100):
            await events.put(number)

    assert events.dropped == 99
    assert await rest_of(events) == [0]


# --- threads -----------------------------------------------------------------------------------------------------


async def test_several_threads_put_every_item_in_their_own_order():
    events = push(3)

    def produce(first):
        for number in range(100):
            events.put_threadsafe((first, number))

    async def produce_all():
        await asyncio.wait([in_thread(lambda n=n: produce(n)) for n in range(4)])
        events.close()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(produce_all())
        got = await sf.stream(events).collect()

    assert len(got) == 400
    assert [[n for f, n in got if f == first] for first in range(4)] == [list(range(100))] * 4


async def test_a_thread_waits_for_room():
    """P1: from a thread, too."""
    events, put, gate = push(2), [], Gate()

    def produce():
        with_end = [*range(12), None]
        for number in with_end:
            events.put_threadsafe(number)
            put.append(number)
        events.close_threadsafe()

    async def consume(items):
        got = []
        async for item in items:
            await gate.passage()
            got.append(item)
        return got

    producing = in_thread(produce)
    run = asyncio.create_task(sf.pipeline(events, consume, maxsize=1))
    while not (gate.waiting and events.stats().writers_waiting):  # noqa: ASYNC110  # a thread changes it
        await asyncio.sleep(0)
    assert len(put) <= 5
    gate.open()
    assert await run == [*range(12), None]
    await producing


async def test_a_timeout_that_passes_has_put_nothing():
    events = filled("block", 2)

    with pytest.raises(sf.PipelineTimeout, match="no room"):
        await in_thread(lambda: events.put_threadsafe(9, timeout=0.01))
    await in_thread(events.close_threadsafe)

    assert await sf.stream(events).collect() == [0, 1]


async def test_a_failure_can_come_from_a_thread():
    events = push(4)

    def produce():
        events.put_threadsafe(1)
        events.fail_threadsafe(OSError("unplugged"))

    producing = in_thread(produce)
    with pytest.raises(OSError, match="unplugged"):
        await sf.stream(events).collect()
    await producing


async def test_a_threadsafe_put_in_the_loops_own_thread_is_refused():
    events = push(4)

    with pytest.raises(sf.UsageError, match=r"own thread.*await push\.put\(item\)"):
        events.put_threadsafe(1)


@pytest.mark.parametrize("call", ["put_nowait", "close", "fail"])
async def test_what_is_not_for_threads_is_refused_there(call):
    """A reader would not be woken."""
    events = push(4)
    arguments = {"put_nowait": (1,), "close": (), "fail": (OSError(),)}[call]

    with pytest.raises(sf.UsageError, match=r"In a thread write push\.put_threadsafe\(item\)"):
        await in_thread(lambda: getattr(events, call)(*arguments))


def test_a_thread_cannot_put_before_there_is_a_loop():
    events = push(4)

    with pytest.raises(sf.UsageError, match="No event loop"):
        events.put_threadsafe(1)
    with pytest.raises(sf.UsageError, match="No event loop"):
        events.close_threadsafe()


def test_made_before_the_loop_it_belongs_to_the_first_that_uses_it():
    events = push(4)
    events.put_nowait(1)
    events.close()

    async def main():
        return await sf.stream(events).collect()

    assert asyncio.run(main()) == [1]


@pytest.mark.parametrize("full", [False, True])
def test_a_thread_is_not_left_waiting_by_a_loop_that_ends(full):
    """H44."""
    outcome = []

    async def main():
        events = push(1)
        if full:
            events.put_nowait(0)
        started, thread = asyncio.Event(), threading.Thread(target=produce, args=(events,))
        thread.start()
        asyncio.get_running_loop().call_later(0.01, started.set)
        await started.wait()
        return thread

    def produce(events):
        try:
            while True:
                events.put_threadsafe(1)
        except sf.ReaderGone as error:
            outcome.append(error)

    thread = asyncio.run(main())
    thread.join(10)

    assert not thread.is_alive()
    assert "event loop" in str(outcome[0])


# --- misuse ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("maxsize", [0, -1, 1.5, True, None])
def test_a_bound_that_cannot_mean_anything_is_refused(maxsize):
    """F14."""
    with pytest.raises(sf.UsageError, match="maxsize"):
        push(maxsize)


def test_an_unknown_policy_is_refused_with_those_there_are():
    with pytest.raises(sf.UsageError, match="'block', 'drop_newest', 'drop_oldest', 'fail'; not 'drop'"):
        push(1, overflow="drop")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True])
def test_a_timeout_that_cannot_mean_anything_is_refused(timeout):
    with pytest.raises(sf.UsageError, match="timeout"):
        push(1).put_threadsafe(1, timeout=timeout)


def test_the_plan_shows_its_name_and_what_it_holds():
    """F4."""
    source = resolve_source(push(7, max_bytes=1000, name="clicks"))

    assert (source.name, source.holds_items, source.holds) == ("clicks", 7, 1000)


def test_in_the_place_of_a_stage_it_is_refused_as_the_source_it_is():
    """E9."""
    with pytest.raises(sf.UsageError, match="source"):
        sf.stream([1]).through(push(7))


def test_it_shows_where_it_stands():
    events = filled("block", 2, name="clicks")

    assert repr(events) == "<Push 'clicks': open, 2 of 2 items>"
    assert isinstance(events, Push)
