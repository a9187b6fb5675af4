"""Cancelling whoever waits at a channel, at every step of the loop, in every way: nothing is lost, nobody sleeps on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest

from streamflow.channel import Channel
from streamflow.errors import ChannelClosed, EndOfChannel, ReaderGone
from streamflow.testing import cancel_everywhere

STEPS = range(9)  # more than any of these operations takes


class Boom(Exception):
    """A failure of the tests' own."""


async def settle(rounds: int = 12) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


def start(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(coroutine)


def filled(maxsize: int, **options: Any) -> Channel[Any]:
    channel: Channel[Any] = Channel(maxsize, **options)
    for number in range(maxsize):
        channel.put_nowait(number)
    return channel


class Victim:
    """An operation in a task of its own, to be cancelled natively or by an anyio scope."""

    def __init__(self, operation: Awaitable[Any], kind: str) -> None:
        self.kind = kind
        self.scope = anyio.CancelScope()
        self.value: Any = None
        self.returned = False
        self.task = start(self._run(operation))

    async def _run(self, operation: Awaitable[Any]) -> None:
        with self.scope:
            self.value = await operation
            self.returned = True

    def cancel(self) -> None:
        self.scope.cancel() if self.kind == "scope" else self.task.cancel()

    async def ended(self) -> None:
        """Wait for its end, which must be a return or a cancellation."""
        await asyncio.wait([self.task])
        if not self.task.cancelled():
            self.task.result()


KINDS = pytest.mark.parametrize("kind", ["native", "scope"])
BYTES = pytest.mark.parametrize("options", [{}, {"max_bytes": 1_000}], ids=["items", "bytes"])


# --- writers ---------------------------------------------------------------------------------------------------------

# Each puts items called "victim"; it returns what is certain to be in the channel if the operation returns.


async def put(channel: Channel[Any], log: list[Any]) -> None:
    await channel.put("victim")
    log.append("victim")


async def put_many(channel: Channel[Any], log: list[Any]) -> None:
    def pulled() -> Any:
        for _ in range(2):
            log.append("victim")
            yield "victim"

    await channel.put_many(pulled())


async def reserve(channel: Channel[Any], log: list[Any]) -> None:
    async with channel.reserve() as slot:
        await asyncio.sleep(0)
        slot.put("victim")
        log.append("victim")


@KINDS
@BYTES
@pytest.mark.parametrize("operation", [put, put_many, reserve])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_blocked_writer_cancelled_at_any_step_loses_nothing_and_blocks_nobody(operation, place, options, kind):
    """P2, H3, H9: what it had put is there once, the writers before and after it are served in order."""
    for step in STEPS:
        channel = filled(2, **options)
        log: list[str] = []
        others = [start(channel.put(f"before {number}")) for number in range(place)]
        victim = Victim(operation(channel, log), kind)
        others += [start(channel.put(f"after {number}")) for number in range(2 - place)]
        await settle()
        taken = [channel.get_nowait()]
        await settle(step)
        victim.cancel()
        await settle()
        while channel.qsize() or channel.stats().writers_waiting:
            taken.append(channel.get_nowait())
            await settle()
        await victim.ended()
        assert all(other.done() for other in others)
        assert [item for item in taken if item != "victim"] == [
            *(0, 1),
            *(f"before {number}" for number in range(place)),
            *(f"after {number}" for number in range(2 - place)),
        ]
        assert taken.count("victim") == len(log) - channel.stats().discarded
        assert channel.stats().discarded <= (1 if "max_bytes" in options and operation is put_many else 0)
        assert victim.returned is False or len(log) == (2 if operation is put_many else 1)
        stats = channel.stats()
        assert (stats.put, stats.got, stats.bytes) == (stats.got + stats.discarded, len(taken), 0)
        assert channel.room() == 2


@KINDS
async def test_a_cancelled_put_many_leaves_the_rest_in_the_iterable(kind):
    """F1"""
    for step in STEPS:
        channel = filled(2)
        source = iter(range(100, 110))
        victim = Victim(channel.put_many(source), kind)
        await settle()
        assert channel.get_nowait() == 0
        await settle(step)
        victim.cancel()
        await victim.ended()
        put = [channel.get_nowait() for _ in range(channel.qsize())]
        assert [*put, *source] == [1, *range(100, 110)]


@KINDS
async def test_a_put_many_cancelled_while_its_item_waits_for_bytes_counts_the_item(kind):
    """P2: the one item that was taken to be weighed is in the account."""
    channel: Channel[bytes] = Channel(4, max_bytes=4)
    channel.put_nowait(b"abc")
    source = iter([b"d", b"too heavy for now", b"rest"])
    victim = Victim(channel.put_many(source), kind)
    await settle()
    victim.cancel()
    await victim.ended()
    assert [channel.get_nowait(), channel.get_nowait()] == [b"abc", b"d"]
    stats = channel.stats()
    assert (stats.put, stats.got, stats.discarded) == (3, 2, 1)
    assert list(source) == [b"rest"]


@KINDS
async def test_a_reservation_cancelled_in_its_body_gives_the_room_to_the_next(kind):
    for step in STEPS:
        channel: Channel[str] = Channel(1)

        async def forever(channel: Channel[str] = channel) -> None:
            async with channel.reserve():
                await asyncio.Event().wait()

        victim = Victim(forever(), kind)
        other = start(channel.put("other"))
        await settle(1 + step)  # a task that never began would leave its coroutine behind
        victim.cancel()
        await settle()
        assert other.done()
        assert (channel.get_nowait(), channel.room()) == ("other", 1)
        await victim.ended()


# --- readers ---------------------------------------------------------------------------------------------------------


async def get(channel: Channel[Any], log: list[Any]) -> None:
    log.append(await channel.get())


async def get_many(channel: Channel[Any], log: list[Any]) -> None:
    log.extend(await channel.get_many())


async def iterate(channel: Channel[Any], log: list[Any]) -> None:
    async for item in channel:
        log.append(item)
        await asyncio.sleep(0)


async def wait_and_grasp(channel: Channel[Any], log: list[Any]) -> None:
    await channel.wait_for_items()
    log.extend(channel.grasp(8))
    channel.release()


@KINDS
@BYTES
@pytest.mark.parametrize("operation", [get, get_many, iterate, wait_and_grasp])
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_blocked_reader_cancelled_at_any_step_loses_nothing_and_blocks_nobody(operation, place, options, kind):
    """P2, H1, H6, H9: every item is with a reader or still in the channel, and the other readers go on."""
    for step in STEPS:
        channel: Channel[Any] = Channel(8, **options)
        log: list[Any] = []
        others = [start(channel.get()) for _ in range(place)]
        victim = Victim(operation(channel, log), kind)
        others += [start(channel.get()) for _ in range(2 - place)]
        await settle()
        channel.put_nowait("a")
        channel.put_nowait("b")
        await settle(step)
        victim.cancel()
        await settle()
        channel.put_nowait("c")
        channel.put_nowait("d")
        await settle()
        assert all(other.done() for other in others)
        await victim.ended()
        left = [channel.get_nowait() for _ in range(channel.qsize())]
        assert sorted([other.result() for other in others] + log + left) == ["a", "b", "c", "d"]
        assert [other.result() for other in others] == sorted(other.result() for other in others)
        assert (channel.stats().got, channel.stats().bytes) == (4, 0)


@KINDS
async def test_an_item_handed_over_in_the_tick_of_the_cancel_is_not_lost(kind):
    """X22, H6: fifty times, at every distance between the two."""
    for distance in STEPS:
        channel: Channel[int] = Channel(100)
        taken: list[int] = []
        for number in range(50):
            victim = Victim(get(channel, taken), kind)
            await settle()
            channel.put_nowait(number)
            await settle(distance)
            victim.cancel()
            await victim.ended()
        taken += [channel.get_nowait() for _ in range(channel.qsize())]
        assert taken == list(range(50))


@KINDS
async def test_room_made_in_the_tick_of_the_cancel_is_not_lost(kind):
    """X22 for writers: fifty times, the item is in the channel exactly if `put` returned."""
    for distance in STEPS:
        channel = filled(1)
        done: list[Any] = []
        taken = []
        for _ in range(50):
            victim = Victim(put(channel, done), kind)
            await settle()
            taken.append(channel.get_nowait())
            await settle(distance)
            victim.cancel()
            await victim.ended()
            channel.put_nowait("filler") if channel.room() else None
        taken += [channel.get_nowait() for _ in range(channel.qsize())]
        assert taken.count("victim") == len(done)
        assert channel.room() == 1


@KINDS
async def test_a_reader_cancelled_in_its_timeout_loses_nothing(kind):
    """H3, H37: an item that races with a timeout is taken or still there, and the iteration goes on."""
    for step in STEPS:
        channel: Channel[str] = Channel(4)
        taken: list[str] = []

        async def read(channel: Channel[str] = channel, taken: list[str] = taken) -> None:
            async for item in channel:
                taken.append(item)  # noqa: PERF401  # a cancellation keeps what came before

        victim = Victim(read(), kind)
        await settle()
        channel.put_nowait("a")
        await settle(step)
        victim.cancel()
        await victim.ended()
        channel.put_nowait("b")
        channel.close()
        await read()
        assert taken == ["a", "b"]


# --- the wake-up goes on ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
async def test_waiters_cancelled_in_any_order_leave_the_last_one_its_turn(order):
    """H9: a wake-up that went to a cancelled waiter is passed on, on both sides."""
    for cancelled in range(5):
        writing = filled(1)
        writers = [start(writing.put(f"w{number}")) for number in range(4)]
        reading: Channel[str] = Channel(4)
        readers = [start(reading.get()) for _ in range(4)]
        await settle()
        writing.get_nowait()
        reading.put_nowait("item")
        for number in order[:cancelled]:
            writers[number].cancel()
            readers[number].cancel()
        await settle()
        left = sorted(order[cancelled:])
        assert [writer.done() and not writer.cancelled() for writer in writers] == [
            bool(left) and number == left[0] for number in range(4)
        ]
        assert writing.qsize() == (1 if left else 0)
        assert [reader.done() and not reader.cancelled() for reader in readers] == [
            bool(left) and number == left[0] for number in range(4)
        ]
        assert reading.qsize() == (0 if left else 1)
        stats = writing.stats(), reading.stats()
        assert (stats[0].writers_waiting, stats[1].readers_waiting) == (max(0, len(left) - 1),) * 2
        for task in [*writers, *readers]:
            task.cancel()
        await asyncio.wait([*writers, *readers])


@KINDS
async def test_a_heavy_writer_that_is_cancelled_lets_the_light_one_behind_it_in(kind):
    channel: Channel[bytes] = Channel(8, max_bytes=10)
    channel.put_nowait(b"12345678")
    heavy = Victim(channel.put(b"12345"), kind)
    await settle()
    light = start(channel.put(b"1"))
    await settle()
    assert not light.done()
    heavy.cancel()
    await heavy.ended()
    await settle()
    assert light.done()
    assert channel.stats().bytes == 9


@KINDS
async def test_the_last_blocked_writer_that_is_cancelled_after_the_end_lets_the_readers_see_it(kind):
    """C6, H9: readers wait for the writers from before the end, so they must learn that the last of them left."""
    for step in STEPS:
        channel: Channel[str] = Channel(1)
        async with channel.reserve():
            victim = Victim(channel.put("never"), kind)
            await settle()
            channel.close()
            readers = [start(channel.get()) for _ in range(2)]
            await settle(step)
            victim.cancel()
            await victim.ended()
        for reader in readers:
            with pytest.raises(EndOfChannel):
                await reader


@KINDS
@pytest.mark.parametrize(
    ("end", "errors"),
    [
        (Channel.close, ()),
        (lambda channel: channel.fail(Boom()), ()),
        (Channel.abandon, (ReaderGone,)),
        (Channel.shutdown, (ChannelClosed,)),
    ],
    ids=["close", "fail", "abandon", "shutdown"],
)
async def test_a_cancel_in_the_tick_of_the_end_is_a_cancel(end, errors, kind):
    """X7: whichever comes first, the writer is cancelled or turned away, and nothing complains later (E8)."""
    for step, cancel_first in itertools.product(range(4), (True, False)):
        channel = filled(1)
        victim = Victim(channel.put("victim"), kind)
        other = Victim(channel.put("other"), kind)
        await settle()
        steps = [victim.cancel, lambda channel=channel: end(channel)]
        for act in steps if cancel_first else steps[::-1]:
            act()
            await settle(step)
        await settle()
        while channel.qsize():
            assert channel.get_nowait() in {0, "other"}
            await settle()
        for each in (victim, other):
            try:
                await each.ended()
            except errors as error:
                assert type(error) is errors[0]  # noqa: PT017  # it may also end without one
        assert not victim.returned
        assert channel.stats().writers_waiting == 0


async def test_a_cancelled_join_leaves_the_channel_as_it_was():
    channel = filled(1)
    joining = start(channel.join())
    await settle()
    joining.cancel()
    await asyncio.wait([joining])
    again = start(channel.join())
    await settle()
    assert not again.done()
    channel.task_done()
    await again


@KINDS
@pytest.mark.parametrize("operation", [put, get])
async def test_an_operation_cancelled_where_it_gives_others_a_turn_had_no_effect(operation, kind):
    """H3, H10: the one suspension of an operation that need not wait comes before it touches anything."""
    channel: Channel[Any] = Channel(4)
    channel.put_nowait("there")
    channel._turn = 1
    log: list[Any] = []
    victim = Victim(operation(channel, log), kind)
    await settle(1)
    assert not victim.task.done()
    victim.cancel()
    await victim.ended()
    assert (log, channel.qsize(), channel.stats().got) == ([], 1, 0)


# --- whole transfers, in every way there is --------------------------------------------------------------------------


class Transfer:
    """Two writers and two readers; the whole group is cancelled."""

    def __init__(self, make: Callable[[], Channel[Any]]) -> None:
        self.channel = make()
        self.sent: list[Any] = []
        self.received: list[Any] = []

    async def __call__(self) -> None:
        async with asyncio.TaskGroup() as readers:
            for _ in range(2):
                readers.create_task(iterate(self.channel, self.received))
            try:
                async with asyncio.TaskGroup() as writers:
                    writers.create_task(self.write_each("x"))
                    writers.create_task(self.write_slots("yy"))
            finally:
                self.channel.close()

    async def write_each(self, name: str) -> None:
        for number in range(4):
            await self.channel.put((name, number))
            self.sent.append((name, number))

    async def write_slots(self, name: str) -> None:
        for number in range(4):
            async with self.channel.reserve(len(name)) as slot:
                await asyncio.sleep(0)
                slot.put((name, number))
                self.sent.append((name, number))


def weighed() -> Channel[Any]:
    return Channel(3, max_bytes=4, size=lambda item: len(item[0]))


@pytest.mark.parametrize("make", [lambda: Channel(1), lambda: Channel(3), weighed], ids=["one", "three", "bytes"])
@pytest.mark.parametrize(
    "seed", [None, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]
)
def test_a_transfer_cancelled_after_every_step_loses_and_doubles_nothing(make, seed):
    """P2, X21, gate a"""

    def check(state: Transfer, outcome: Any) -> None:
        left = [state.channel.get_nowait() for _ in range(state.channel.qsize())]
        assert sorted(state.received + left) == sorted(state.sent)
        for name in ("x", "yy"):
            mine = [item for item in state.received + left if item[0] == name]
            assert set(mine) == {(name, number) for number in range(len(mine))}
        assert outcome.ended != "returned" or len(state.received) == 8
        stats = state.channel.stats()
        assert (stats.writers_waiting, stats.readers_waiting, stats.put) == (0, 0, len(state.sent))
        assert state.channel.room() == state.channel.maxsize

    runs = cancel_everywhere(lambda: Transfer(make), check, seed=seed)
    assert runs > 6 * 20
