"""merge_sorted: the order of the standard library, and an error where the input is in none."""

from __future__ import annotations

import asyncio
import functools
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.ordering import merge_sorted
from streamflow.testing import KINDS, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


def first(pair: tuple[int, str]) -> int:
    return pair[0]


async def first_later(pair: tuple[int, str]) -> int:
    await asyncio.sleep(0)
    return pair[0]


COLUMNS = st.lists(st.lists(st.integers(0, 9), max_size=30), max_size=4)


@given(COLUMNS, st.booleans(), st.sampled_from([first, first_later, functools.partial(first_later)]))
def test_it_is_the_order_of_the_standard_library_and_stable(columns: list[list[int]], reverse: bool, key: Any) -> None:
    tagged = [
        [(number, f"{name}{at}") for at, number in enumerate(sorted(column, reverse=reverse))]
        for name, column in zip("abcd", columns, strict=False)
    ]

    async def run() -> list[tuple[int, str]]:
        sources = [TrackedSource(column) if at % 2 else column for at, column in enumerate(tagged)]
        return await sf.pipeline(merge_sorted(*sources, key=key, reverse=reverse), sf.collect())

    assert asyncio.run(run()) == list(heapq.merge(*tagged, key=first, reverse=reverse))


async def test_without_a_key_the_items_themselves_are_compared() -> None:
    assert await sf.stream([1, 4, 9]).merge_sorted([2, 4, 6], TrackedSource([0, 10])).collect() == [
        *(0, 1, 2, 4, 4, 6, 9, 10)
    ]
    assert await sf.stream(list("zfa")).merge_sorted(list("yx"), reverse=True).collect() == list("zyxfa")


async def test_items_that_cannot_be_compared_are_never_compared() -> None:
    items = [{"at": 1, "of": "a"}, {"at": 1, "of": "b"}]

    got = await sf.pipeline(merge_sorted(items[:1], items[1:], items[:1], key=lambda row: row["at"]), sf.collect())

    assert [row["of"] for row in got] == ["a", "b", "a"]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("of_input", [False, True])
async def test_a_source_that_is_not_sorted_is_an_error_at_its_item(reverse: bool, of_input: bool) -> None:
    """P5: the output would be silently wrong."""
    unsorted, other = [1, 5, 3, 9], [0, 4]
    if reverse:
        unsorted, other = [9, 3, 5, 1], [8, 0]
    sources: tuple[Any, ...] = (unsorted, other) if of_input else (other, TrackedSource(unsorted))
    got: list[int] = []

    with pytest.raises(sf.FormatError, match=r"is not sorted: its item 3 belongs before item 2") as caught:
        await sf.stream(sources[0]).merge_sorted(sources[1], reverse=reverse).for_each(got.append)

    assert got == sorted(got, reverse=reverse)
    assert f"source {1 if of_input else 2} (" in str(caught.value)


async def test_an_error_of_the_key_is_the_users_own() -> None:
    source = TrackedSource([1, "two"])

    with pytest.raises(TypeError, match="not supported between"):
        await sf.pipeline(merge_sorted(source, [0]), sf.drain())

    source.verify()


@pytest.mark.parametrize("key", [3, "name", [len]])
def test_a_key_that_cannot_be_called_is_refused(key: Any) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=r"merge_sorted\(key\)"):
        merge_sorted([1], key=key)


@pytest.mark.virtual_time
async def test_it_waits_until_each_source_has_an_item() -> None:
    async def every(seconds: float, *numbers: int) -> AsyncIterator[int]:
        for number in numbers:
            await asyncio.sleep(seconds)
            yield number

    now = asyncio.get_running_loop().time
    merged = merge_sorted(every(1, 1, 2, 9), every(4, 3, 4))

    assert [(now(), number) async for number in sf.stream(merged)] == [(4, 1), (4, 2), (4, 3), (8, 4), (8, 9)]


@pytest.mark.virtual_time
async def test_an_error_comes_after_what_is_smaller() -> None:
    got: list[int] = []
    failing, other = TrackedSource([1, 3], error=Broken(), delay=1), TrackedSource(itertools.count(), delay=0)

    with pytest.raises(Broken):
        await sf.pipeline(merge_sorted(failing, other), sf.for_each(got.append))

    assert got == [0, 1, 1, 2, 3]
    failing.verify()
    other.verify()


async def test_while_the_consumer_is_idle_no_source_is_pulled() -> None:
    """F20."""
    sources = [TrackedSource(itertools.count()) for _ in range(3)]

    async with aclosing(aiter(merge_sorted(*sources))) as items:
        for number in range(1, 20):
            await anext(items)
            before = [source.taken for source in sources]
            for _ in range(20):
                await asyncio.sleep(0)
            assert [source.taken for source in sources] == before
            assert sum(before) <= number + 2 * 3


async def test_an_early_end_closes_every_source() -> None:
    """USERS 29."""
    sources = [TrackedSource(itertools.count(), delay=0) for _ in range(4)]

    assert await sf.pipeline(merge_sorted(*sources), sf.take(6), sf.collect()) == [0, 0, 0, 0, 1, 1]

    for source in sources:
        source.verify()


class Merging:
    """Two sources merged, cancelled after every step."""

    def __init__(self) -> None:
        self.sources = [TrackedSource([1, 4], delay=0), TrackedSource([2, 3])]

    async def __call__(self) -> list[int]:
        return await sf.pipeline(TrackedSource([0]), merge_sorted(*self.sources, key=abs), sf.collect())

    def check(self, outcome: Any) -> None:
        for source in self.sources:
            source.verify()
        assert outcome.ended != "returned" or outcome.value == [0, 1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_after_every_step_every_source_is_closed(kind: Any) -> None:
    assert cancel_everywhere(Merging, Merging.check, kinds=(kind,)) > 10
