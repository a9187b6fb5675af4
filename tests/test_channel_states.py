"""The state table in the docstring of `streamflow.channel`, cell by cell.

The table is read from the docstring and every cell is executed, so documentation and behaviour cannot part.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import pytest

import streamflow.channel
from streamflow.channel import Channel, Slot
from streamflow.errors import ChannelClosed, EndOfChannel, ReaderGone

Cell: TypeAlias = tuple[str, str, str]


class Boom(Exception):
    """The failure the channel is failed with."""


FAILURE = Boom()

# --- reading the table -----------------------------------------------------------------------------------------------


def rows(text: str) -> list[list[str]]:
    """Return the rows of the one simple table in a docstring; lines without a first column go on with the row above."""
    ruled = re.search(r"^(=+ [= ]+=)\n(.*?\n)\1\n(.*?\n)\1$", text, re.MULTILINE | re.DOTALL)
    assert ruled, "the state table is missing"
    columns = [match.span() for match in re.finditer("=+", ruled[1])]
    table: list[list[str]] = []
    for line in (ruled[2] + ruled[3]).splitlines():
        cells = [line[begin:end].strip() for begin, end in columns]
        beyond = line[columns[-1][1] :]
        assert not beyond.strip(), f"text beyond the last column: {beyond!r}"
        if cells[0]:
            table.append(cells)
        else:
            table[-1] = [f"{above} {below}".strip() for above, below in zip(table[-1], cells, strict=True)]
    return table


def read_table() -> list[Cell]:
    """Return (operation, state, what happens) for every operation; a row may name several."""
    (_, *states), *body = rows(streamflow.channel.__doc__ or "")
    return [
        (operation, state, cell)
        for names, *cells in body
        for operation in names.split(", ")
        for state, cell in zip(states, cells, strict=True)
    ]


# --- the states ------------------------------------------------------------------------------------------------------

ITEM = "item"


def close(channel: Channel[Any]) -> None:
    channel.close()


def shut(channel: Channel[Any]) -> None:
    channel.shutdown()


def shut_at_once(channel: Channel[Any]) -> None:
    channel.shutdown(immediate=True)


def fail(channel: Channel[Any]) -> None:
    channel.fail(FAILURE)


def abandon(channel: Channel[Any]) -> None:
    channel.abandon()


def stay(channel: Channel[Any]) -> None:
    pass


# How each state is entered, with one item in the channel before; with `False`, with none.
STATES: dict[str, list[tuple[Callable[[Channel[Any]], None], bool]]] = {
    "open": [(stay, False), (stay, True)],
    "closed, has items": [(close, True), (shut, True)],
    "drained": [(close, False), (shut, False), (shut_at_once, True)],
    "failed": [(fail, True), (fail, False)],
    "reader gone": [(abandon, True), (abandon, False)],
}
NAMES = {"closed, has items": "closed"}

Ways: TypeAlias = tuple[Callable[[Channel[Any]], None], bool]


def made(state: str, way: Ways) -> Channel[Any]:
    enter, with_item = way
    channel: Channel[Any] = Channel(2)
    if with_item:
        channel.put_nowait(ITEM)
    enter(channel)
    assert channel.state == NAMES.get(state, state)
    return channel


# --- the operations --------------------------------------------------------------------------------------------------


async def put(channel: Channel[Any]) -> None:
    await channel.put("new")


async def put_nowait(channel: Channel[Any]) -> None:
    channel.put_nowait("new")


async def put_many(channel: Channel[Any]) -> None:
    await channel.put_many(["new"])


async def reserve(channel: Channel[Any]) -> None:
    async with channel.reserve() as slot:
        slot.put("new")


async def get(channel: Channel[Any]) -> Any:
    return await channel.get()


async def get_many(channel: Channel[Any]) -> Any:
    (item,) = await channel.get_many()
    return item


async def get_nowait(channel: Channel[Any]) -> Any:
    return channel.get_nowait()


async def async_for(channel: Channel[Any]) -> Any:
    async for item in channel:
        return item
    return "the iteration ended"


WRITES = {"put": put, "put_nowait": put_nowait, "put_many": put_many, "reserve": reserve}
READS = {"get": get, "get_many": get_many, "get_nowait": get_nowait, "async for": async_for}
ENDINGS = {"close": close, "fail": fail, "abandon": abandon, "shutdown": shut}


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


def look(channel: Channel[Any]) -> tuple[Any, ...]:
    stats = channel.stats()
    return (channel.state, stats.items, stats.put, stats.got, stats.discarded, channel.room(), list(channel._queue))


async def refused(channel: Channel[Any], operation: str, error: type[BaseException]) -> None:
    """The operation raises exactly this, at once and every time, and changes nothing."""
    before = look(channel)
    for _ in range(2):
        with pytest.raises(error) as caught:
            await {**WRITES, **READS}[operation](channel)
        assert type(caught.value) is error
    assert look(channel) == before


async def waits(channel: Channel[Any], operation: str, then: Callable[[], object], result: Any = None) -> None:
    """The operation waits, and goes on after `then()`."""
    task = asyncio.ensure_future({**WRITES, **READS}[operation](channel))
    await settle()
    assert not task.done()
    then()
    assert await task == result


async def takes_the_item(channel: Channel[Any], operation: str) -> None:
    assert await READS[operation](channel) == ITEM


async def takes_then_fails(channel: Channel[Any], operation: str) -> None:
    if channel.qsize():
        await takes_the_item(channel, operation)
    for _ in range(2):
        with pytest.raises(Boom) as caught:
            await READS[operation](channel)
        assert caught.value is FAILURE


async def writes_until_full(channel: Channel[Any], operation: str) -> None:
    while channel.room():
        before = channel.qsize()
        await WRITES[operation](channel)
        assert channel.qsize() == before + 1


async def waits_for_room(channel: Channel[Any], operation: str) -> None:
    await writes_until_full(channel, operation)
    await waits(channel, operation, channel.get_nowait)
    assert channel.qsize() == 2


async def says_full(channel: Channel[Any], operation: str) -> None:
    await writes_until_full(channel, operation)
    await refused(channel, operation, asyncio.QueueFull)


async def waits_for_items(channel: Channel[Any], operation: str) -> None:
    if channel.qsize():
        await takes_the_item(channel, operation)
    await waits(channel, operation, lambda: channel.put_nowait("new"), "new")


async def says_empty(channel: Channel[Any], operation: str) -> None:
    if channel.qsize():
        await takes_the_item(channel, operation)
    await refused(channel, operation, asyncio.QueueEmpty)


async def ends_iteration(channel: Channel[Any], operation: str) -> None:
    for _ in range(2):
        assert await READS[operation](channel) == "the iteration ended"


async def does_nothing(channel: Channel[Any], operation: str) -> None:
    before = look(channel)
    ENDINGS[operation](channel)
    assert look(channel) == before


async def closes(channel: Channel[Any], operation: str) -> None:
    items = channel.qsize()
    ENDINGS[operation](channel)
    assert channel.state == ("closed" if items else "drained")
    assert channel.qsize() == items


async def fails(channel: Channel[Any], operation: str) -> None:
    items = channel.qsize()
    ENDINGS[operation](channel)
    assert channel.state == "failed"
    assert channel.qsize() == items


async def discards(channel: Channel[Any], operation: str) -> None:
    items = list(channel._queue)
    assert channel.abandon() == items
    assert channel.state == "reader gone"
    assert (channel.qsize(), channel.stats().discarded) == (0, len(items))


async def leaves(channel: Channel[Any], operation: str) -> None:
    before = channel.stats().discarded
    assert channel.abandon() == []
    assert (channel.state, channel.stats().discarded) == ("reader gone", before)


Check: TypeAlias = Callable[[Channel[Any], str], Awaitable[None]]


def raising(error: type[BaseException]) -> Check:
    async def check(channel: Channel[Any], operation: str) -> None:
        await refused(channel, operation, error)

    return check


CHECKS: dict[str, Check] = {
    "waits for room": waits_for_room,
    "QueueFull: full": says_full,
    "ChannelClosed": raising(ChannelClosed),
    "ReaderGone": raising(ReaderGone),
    "waits for items": waits_for_items,
    "item": takes_the_item,
    "EndOfChannel": raising(EndOfChannel),
    "item, then the failure": takes_then_fails,
    "QueueEmpty: empty": says_empty,
    "ends": ends_iteration,
    "closes": closes,
    "fails": fails,
    "nothing": does_nothing,
    "discards": discards,
    "leaves": leaves,
}


# --- every cell ------------------------------------------------------------------------------------------------------


def cells() -> list[Any]:
    """Return every cell in every way its state is entered, without the two that need somebody waiting or a slot."""
    return [
        pytest.param(operation, state, way, cell, id=f"{operation}-{state}-{way[0].__name__}-{'item' * way[1]}")
        for operation, state, cell in read_table()
        if operation != "slot.put" and cell != "refuses waiters"
        for way in STATES[state]
    ]


@pytest.mark.parametrize(("operation", "state", "way", "cell"), cells())
async def test_the_cell_is_true(operation, state, way, cell):
    await CHECKS[cell](made(state, way), operation)


SLOT_CELLS = [(state, cell) for operation, state, cell in read_table() if operation == "slot.put"]


@asynccontextmanager
async def slot_in(state: str) -> AsyncIterator[tuple[Channel[Any], Slot[Any]]]:
    """Reserve a slot in an open channel that then gets into `state`; only a shutdown drains one that holds a slot."""
    channel: Channel[Any] = Channel(2)
    if state == "closed, has items":
        channel.put_nowait(ITEM)
    async with channel.reserve() as slot:
        {**{name: ways[0][0] for name, ways in STATES.items()}, "drained": shut}[state](channel)
        assert channel.state == NAMES.get(state, state)
        yield channel, slot


@pytest.mark.parametrize(("state", "cell"), SLOT_CELLS)
async def test_the_cell_of_a_slot_is_true(state, cell):
    async with slot_in(state) as (channel, slot):
        before = channel.qsize()
        if cell == "puts":
            slot.put("new")
            assert channel.qsize() == before + 1
            return
        error = {"ChannelClosed": ChannelClosed, "ReaderGone": ReaderGone}[cell]
        with pytest.raises(error) as caught:
            slot.put("new")
        assert type(caught.value) is error
        assert channel.qsize() == before


WAITING_CELLS = [(state, operation) for operation, state, cell in read_table() if cell == "refuses waiters"]


@pytest.mark.parametrize(("state", "operation"), WAITING_CELLS)
async def test_the_cell_about_waiting_writers_is_true(state, operation):
    channel: Channel[Any] = Channel(1)
    channel.put_nowait(ITEM)
    writer = asyncio.ensure_future(channel.put("late"))
    await settle()
    STATES[state][0][0](channel)
    await settle()
    assert not writer.done()
    ENDINGS[operation](channel)
    with pytest.raises(ChannelClosed) as caught:
        await writer
    assert type(caught.value) is ChannelClosed
    assert channel.get_nowait() == ITEM
    with pytest.raises((EndOfChannel, Boom)):
        channel.get_nowait()


# --- the sentences below the table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [close, fail])
async def test_writers_and_slots_from_before_the_end_are_served_first(end):
    """C6"""
    channel: Channel[Any] = Channel(2)
    channel.put_nowait(1)
    async with channel.reserve() as slot:
        writers = [asyncio.ensure_future(channel.put(number)) for number in (3, 4)]
        await settle()
        end(channel)
        slot.put(2)
    taken = []
    with suppress(Boom):
        async for item in channel:
            taken.append(item)  # noqa: PERF401  # a failure keeps what came before it
    assert taken == [1, 2, 3, 4]
    await asyncio.wait(writers)


@pytest.mark.parametrize(
    ("end", "error"), [(abandon, ReaderGone), (shut, ChannelClosed), (shut_at_once, ChannelClosed)]
)
@pytest.mark.parametrize("before", [stay, close, fail])
async def test_writers_and_slots_are_turned_away_when_nobody_will_read(before, end, error):
    channel: Channel[Any] = Channel(2)
    channel.put_nowait(1)
    async with channel.reserve() as slot:
        writers = [asyncio.ensure_future(channel.put(number)) for number in (3, 4)]
        await settle()
        before(channel)
        end(channel)
        with pytest.raises(error) as caught:
            slot.put(2)
        assert type(caught.value) is error
        for writer in writers:
            with pytest.raises(error) as caught:
                await writer
            assert type(caught.value) is error


@pytest.mark.parametrize(("state", "way"), [(state, way) for state, ways in STATES.items() for way in ways])
async def test_looking_at_it_and_finishing_tasks_works_in_every_state(state, way):
    channel = made(state, way)
    queued = channel.qsize()
    assert NAMES.get(state, state) in repr(channel)
    assert channel.stats().items == channel.held() == queued
    assert (channel.empty(), channel.full(), channel.room()) == (not queued, False, 2 - queued)
    for _ in range(queued):
        channel.task_done()
    await channel.join()
    with pytest.raises(ValueError, match="task_done"):
        channel.task_done()


async def test_waiting_readers_see_the_ending_of_every_kind():
    """C7"""
    for end, expected in ((close, EndOfChannel), (fail, Boom), (abandon, EndOfChannel), (shut, EndOfChannel)):
        channel: Channel[Any] = Channel(2)
        readers = [asyncio.ensure_future(channel.get()) for _ in range(3)]
        await settle()
        end(channel)
        for reader in readers:
            with pytest.raises(expected):
                await reader


# --- the table itself ------------------------------------------------------------------------------------------------

LOOKS = {"account", "task_done", "join", "stats", "qsize", "room", "held", "empty", "full", "maxsize", "state"}
FOR_THE_ENGINE = {
    *("borrow", "closing", "failure", "fill", "grasp", "in_hand", "limit_bytes", "note_dropped", "note_peak"),
    "put_reserved",
    *("release", "unreserve", "wait_for_items", "wait_for_room", "wake", "weighs", "over", "lend", "low_water"),
    *("all_taken", "discard_oldest"),
}


def test_every_public_method_is_in_the_table_or_needs_none():
    public = {name for name in dir(Channel) if not name.startswith("_")}
    in_table = {operation for operation, _, _ in read_table()}
    assert public - in_table - LOOKS <= FOR_THE_ENGINE, "give it a row in the table, or add it to FOR_THE_ENGINE"
    assert in_table - public == {"async for", "slot.put"}


def test_every_state_of_the_table_can_be_entered_and_every_cell_is_checked():
    table = read_table()
    assert {state for _, state, _ in table} == set(STATES)
    assert len(table) == len({(operation, state) for operation, state, _ in table}) == 13 * 5
    assert {cell for _, _, cell in table} - set(CHECKS) == {"puts", "refuses waiters"}
