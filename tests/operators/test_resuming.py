"""resumable: opened after the last item that was emitted, whatever the items and positions are."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.errors import UsageError
from streamflow.operators.resuming import resumable
from streamflow.operators.retrying import retry
from tests.operators.flaky import (
    AT_ONCE,
    Broken,
    Handle,
    collected,
    failure_of,
    got_before_failing,
)


class Table:
    """Rows with an id, read in order after an id, over a connection that breaks."""

    def __init__(self, *fails: int | None) -> None:
        self.fails = iter(fails)
        self.asked: list[Any] = []
        self.closed = 0

    async def rows_after(self, place: int | None) -> AsyncIterator[dict[str, int]]:
        self.asked.append(place)
        fails_after = next(self.fails, None)
        try:
            for row in itertools.islice(range(100, 106), 0 if place is None else place - 99, None):
                if fails_after == 0:
                    raise Broken
                fails_after = None if fails_after is None else fails_after - 1
                yield {"id": row}
        finally:
            self.closed += 1

    async def open(self, place: int | None) -> AsyncIterator[dict[str, int]]:
        await asyncio.sleep(0)
        return self.rows_after(place)


def id_of(row: dict[str, int]) -> int:
    return row["id"]


async def test_a_resumable_source_is_opened_after_the_last_item_emitted() -> None:
    table = Table(0, 2, 1, 0)

    got = await collected(resumable(table.rows_after, id_of), retry(5, on=Broken, backoff=AT_ONCE))

    assert [row["id"] for row in got] == [*range(100, 106)]
    assert table.asked == [None, None, 101, 102, 102]
    assert table.closed == 5


async def test_it_may_be_opened_by_a_coroutine_function() -> None:
    table = Table(2)

    got = await collected(resumable(table.open, id_of), retry(5, on=Broken, backoff=AT_ONCE))

    assert [row["id"] for row in got] == [*range(100, 106)]
    assert table.asked == [None, 101]
    assert table.closed == 2


async def test_positions_and_items_may_be_falsy() -> None:
    items = [0, "", None]
    asked: list[Any] = []

    def after(place: int) -> Iterator[Any]:
        asked.append(place)
        for item in items[place:]:
            if len(asked) == 2 and item == "":
                raise Broken
            yield item
            if len(asked) == 1:
                raise Broken

    source = resumable(after, lambda item: items.index(item) + 1, start=0)

    assert await collected(source, retry(4, on=Broken, backoff=AT_ONCE)) == items
    assert asked == [0, 1, 1]


async def test_the_position_is_taken_before_anybody_changes_the_item() -> None:
    table = Table(2)
    seen: list[int] = []

    def emptied(row: dict[str, int]) -> None:
        seen.append(row.pop("id"))

    await sf.pipeline(
        resumable(table.rows_after, id_of), retry(on=Broken, backoff=AT_ONCE), sf.map(emptied), sf.drain()
    )

    assert seen == [*range(100, 106)]


async def test_stages_between_hide_the_position() -> None:
    source = resumable(Table().rows_after, id_of)

    error = await failure_of(source, sf.map(id_of), retry(on=Broken))

    assert isinstance(error, UsageError)
    assert "directly after it" in str(error)


async def test_with_stages_between_it_may_be_run_from_the_start() -> None:
    table = Table(2)

    got = await collected(
        resumable(table.rows_after, id_of), sf.map(id_of), retry(on=Broken, backoff=AT_ONCE, resume="after")
    )

    assert got == [*range(100, 106)]
    assert table.asked == [None, None]


async def test_a_second_run_of_the_pipeline_begins_at_the_start() -> None:
    table = Table(3)
    flow = sf.stream(resumable(table.rows_after, id_of, start=102)).through(retry(2, on=Broken, backoff=AT_ONCE))

    assert await flow.map(id_of).collect() == [103, 104, 105]
    assert await flow.map(id_of).collect() == [103, 104, 105]
    assert table.asked[-1] == 102


async def test_an_error_of_the_position_ends_the_run_after_the_items_before_it() -> None:
    """P3."""
    table = Table()

    def position(row: dict[str, int]) -> int:
        return {100: 0, 101: 1}[row["id"]]

    got, error = await got_before_failing(resumable(table.rows_after, position), retry(on=LookupError))

    assert [row["id"] for row in got] == [100, 101]
    assert isinstance(error, KeyError)
    assert table.asked == [None]


async def test_an_iterator_that_is_not_opened_anew_is_refused() -> None:
    """H38."""
    same = Handle(range(5))

    def refuse(number: int) -> int:
        raise Broken

    source = resumable(lambda _place: same, int)

    error = await failure_of(source, sf.map(refuse), retry(on=Broken, backoff=AT_ONCE, resume="start"))

    assert isinstance(error, UsageError)


def test_misuse_of_resumable_is_told() -> None:
    async def later(_item: object) -> int:
        return 1

    with pytest.raises(UsageError, match="open"):
        resumable([1, 2], int)
    with pytest.raises(UsageError, match="position"):
        resumable(range, 3)
    with pytest.raises(UsageError, match="coroutine function"):
        resumable(range, later)


def test_it_shows_itself_as_other_sources_do() -> None:
    def ids_after(_last: object) -> range:
        return range(3)

    assert repr(resumable(ids_after, int)) == "<Source 'ids_after'>"
