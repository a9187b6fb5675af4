"""zip, zip_longest, zip_latest: rows, who is pulled for them, and what becomes of what is left over."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.zipping import zip as zipped
from streamflow.operators.zipping import zip_latest, zip_longest
from streamflow.testing import KINDS, SlowSink, Trace, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def every(seconds: float, name: str, count: int = 4) -> AsyncIterator[str]:
    """Give `a0`, `a1`, ... one at a time."""
    for number in range(count):
        await asyncio.sleep(seconds)
        yield f"{name}{number}"


async def silent() -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield "never"


async def turns(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def seen(items: Any) -> list[tuple[float, Any]]:
    """Return each item with the moment at which it came."""
    now = asyncio.get_running_loop().time
    return [(now(), item) async for item in items]


OPERATORS = {"zip": zipped, "zip_longest": zip_longest, "zip_latest": zip_latest}
operators = pytest.mark.parametrize("combine", OPERATORS.values(), ids=OPERATORS.keys())

MAKERS: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "iterator": iter,
    "generator": lambda items: (item for item in items),
    "task": TrackedSource,
    "waiting task": lambda items: TrackedSource(items, delay=0),
    "stream": lambda items: sf.stream(items).map(lambda item: item),
    "buffered stream": lambda items: sf.stream(TrackedSource(items)).buffer(2),
}


# --- the same for all --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("second", MAKERS.values(), ids=MAKERS.keys())
@pytest.mark.parametrize("first", MAKERS.values(), ids=MAKERS.keys())
async def test_every_kind_of_source_gives_the_same_rows(first: Any, second: Any) -> None:
    a, b = list(range(40)), list(range(100, 133))

    assert await sf.pipeline(zipped(first(a), second(b)), sf.collect()) == list(zip(a, b, strict=False))
    assert await sf.stream(first(a)).zip(second(b)).collect() == list(zip(a, b, strict=False))
    assert await sf.pipeline(zip_longest(first(a), second(b)), sf.collect()) == list(itertools.zip_longest(a, b))
    assert await sf.stream(first(b)).zip_longest(second(a)).collect() == list(itertools.zip_longest(b, a))
    assert await sf.pipeline(zipped(first(a), second(a), strict=True), sf.collect()) == list(zip(a, a, strict=True))
    for ones, others in ((a, b), (b, a), (a, []), ([], a), (a, a[:-1]), (a[:-1], a)):
        with pytest.raises(sf.TruncatedError):
            await sf.pipeline(zipped(first(ones), second(others), strict=True), sf.drain())


@given(st.lists(st.lists(st.integers(), max_size=70), max_size=4), st.randoms(use_true_random=False))
def test_rows_are_those_of_the_standard_library(columns: list[list[int]], random: Any) -> None:
    def sources() -> list[Any]:
        return [random.choice(list(MAKERS.values()))(column) for column in columns]

    async def run() -> None:
        assert await sf.pipeline(zipped(*sources()), sf.collect()) == list(zip(*columns, strict=False))
        filled = list(itertools.zip_longest(*columns, fillvalue="-"))
        assert await sf.pipeline(zip_longest(*sources(), fillvalue="-"), sf.collect()) == filled
        even = len({len(column) for column in columns}) < 2
        strict = sf.pipeline(zipped(*sources(), strict=True), sf.count())
        if even:
            assert await strict == len(columns[0] if columns else [])
        else:
            with pytest.raises(sf.TruncatedError, match="has ended after"):
                await strict

    asyncio.run(run())


@operators
@pytest.mark.parametrize("n", [0, 1, 3])
async def test_an_early_end_closes_every_source_in_its_own_task(combine: Any, n: int) -> None:
    """USERS 29."""
    sources = [TrackedSource(itertools.count(), delay=0) for _ in range(5)]

    assert len(await sf.pipeline(sources[0], combine(*sources[1:]), sf.take(n), sf.collect())) == n
    assert len(await sf.pipeline(combine(*sources), sf.take(n), sf.collect())) == n

    for source in sources:
        source.verify()


@operators
@pytest.mark.virtual_time
async def test_an_error_comes_after_the_rows_before_it_without_waiting_for_the_others(combine: Any) -> None:
    failing, other = TrackedSource([1, 2], delay=1, error=Broken()), TrackedSource(itertools.count(), delay=0.75)
    got: list[Any] = []

    with pytest.raises(Broken):
        await sf.pipeline(combine(failing, other), sf.for_each(got.append))

    assert got[:1] == [(1, 0)]
    assert (2, 1) in got
    assert asyncio.get_running_loop().time() < 3
    failing.verify()
    other.verify()


@operators
async def test_of_an_error_and_a_source_that_never_answers_the_error_wins(combine: Any) -> None:
    for sources in ((silent, TrackedSource([], error=Broken())), (TrackedSource([], error=Broken()), silent)):
        with pytest.raises(Broken):
            await sf.pipeline(combine(*sources), sf.drain())


@operators
async def test_while_the_consumer_is_idle_no_source_is_pulled(combine: Any) -> None:
    """F20."""
    sources = [TrackedSource(itertools.count()) for _ in range(3)]

    async with aclosing(aiter(combine(*sources))) as rows:
        await turns()
        assert [source.taken for source in sources] == [0, 0, 0]
        for number in range(1, 10):
            await anext(rows)
            before = [source.taken for source in sources]
            await turns()
            assert [source.taken for source in sources] == before
            assert max(before) <= number + 1


@operators
async def test_behind_a_sink_that_asks_for_nothing_everything_stands_still(combine: Any) -> None:
    """F1, F5."""
    sources = [TrackedSource(itertools.count()) for _ in range(2)]
    run = asyncio.create_task(sf.pipeline(sources[0], combine(sources[1]), SlowSink(), maxsize=2))
    await turns(100)
    before = [source.taken for source in sources]
    await turns(100)

    assert [source.taken for source in sources] == before
    assert max(before) <= 2 + 1 + 2 + 1 + 2 + 16
    run.cancel()
    await asyncio.wait([run])


@operators
async def test_falsy_items_are_data(combine: Any) -> None:
    """E7."""
    falsy = [None, 0, "", False, []]

    rows = await sf.pipeline(combine(falsy, TrackedSource(falsy)), sf.collect())

    assert rows[0] == (None, None)
    assert rows[-1] == ([], [])


@operators
@pytest.mark.parametrize("thing", [3, "text", [sf.stream([1])]], ids=repr)
def test_what_cannot_be_a_source_is_refused(combine: Any, thing: Any) -> None:
    """P10."""
    with pytest.raises(sf.UsageError):
        combine([1], thing)


async def test_items_that_cannot_be_compared_are_no_trouble() -> None:
    class Array:
        def __eq__(self, other: object) -> bool:
            raise TypeError("ambiguous")

        __hash__ = None

    items = [Array(), Array()]

    assert len(await sf.pipeline(zipped(items, TrackedSource(items), strict=True), sf.collect())) == 2
    assert len(await sf.pipeline(zip_longest(items, TrackedSource(items)), sf.collect())) == 2
    assert len(await sf.pipeline(zip_latest(items, TrackedSource(items)), sf.collect())) >= 3


class Zipping:
    """Sources of every kind, zipped and taken from, cancelled after every step."""

    def __init__(self, combine: Any) -> None:
        self.combine = combine
        self.sources = [TrackedSource(range(3), delay=0), TrackedSource(range(4))]

    async def __call__(self) -> list[Any]:
        first, second = self.sources
        combination = self.combine(first, [1, 2, 3], sf.stream(second).map(lambda number: number))
        return await sf.pipeline(TrackedSource(range(3)), combination, sf.collect())

    def check(self, outcome: Any) -> None:
        for source in self.sources:
            source.verify()


@operators
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_after_every_step_every_source_is_closed(combine: Any, kind: Any) -> None:
    assert cancel_everywhere(lambda: Zipping(combine), Zipping.check, kinds=(kind,)) > 10


# --- zip --------------------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_zip_waits_for_all_sources_at_once() -> None:
    rows = await seen(sf.stream(zipped(every(2, "a", 2), every(3, "b", 2), every(3, "c", 2))))

    assert rows == [(3, ("a0", "b0", "c0")), (6, ("a1", "b1", "c1"))]


@pytest.mark.virtual_time
async def test_zip_ends_with_the_shortest_at_once_and_closes_the_others() -> None:
    longer = TrackedSource(itertools.count(), delay=1)

    assert await sf.pipeline(zipped(longer, every(1, "a", 2)), sf.collect()) == [(0, "a0"), (1, "a1")]
    longer.verify()
    assert asyncio.get_running_loop().time() == 2


async def test_zip_asks_nobody_when_a_plain_iterable_has_ended() -> None:
    """`zip([...], channel)` takes no item from the channel that it cannot emit, and does not wait for one."""
    channel: sf.Channel[int] = sf.Channel(10)
    await channel.put_many([10, 11])
    channel_first = await sf.pipeline(zipped(channel, [1]), sf.collect())
    empty_now = await sf.pipeline(zipped([2], channel), sf.collect())

    assert (channel_first, empty_now) == ([(10, 1)], [(2, 11)])
    assert await sf.pipeline(zipped([], channel), sf.collect()) == []
    assert channel.state == "open"


async def test_zip_pulls_a_plain_iterable_no_further_than_its_rows() -> None:
    pulled: list[int] = []
    source = (pulled.append(number) or number for number in itertools.count())

    assert await sf.pipeline(zipped(TrackedSource("abc"), source), sf.collect()) == [("a", 0), ("b", 1), ("c", 2)]
    assert pulled == [0, 1, 2, 3]


async def test_zip_the_same_iterator_twice_makes_pairs_as_ever() -> None:
    numbers = iter(range(6))

    assert await sf.pipeline(zipped(numbers, numbers), sf.collect()) == [(0, 1), (2, 3), (4, 5)]


async def test_zip_takes_whole_hands_of_the_input_without_losing_any() -> None:
    rows = await sf.stream(range(3000)).zip(sf.stream(range(3000)).map(str), itertools.count()).collect()

    assert rows == [(number, str(number), number) for number in range(3000)]


async def test_zip_strict_names_the_source_that_ended_and_one_that_has_more() -> None:
    """P5."""
    with pytest.raises(ValueError, match=r"source 2 \(list\) has ended after 2 items, and source 1 \(the input\)"):
        await sf.stream([1, 2, 3]).zip([1, 2], strict=True).collect()
    with pytest.raises(ValueError, match=r"source 1 \(list\) has ended after 1 items, and source 3 \(TrackedSource\)"):
        await sf.pipeline(zipped([1], [1], TrackedSource([1, 2]), strict=True), sf.collect())


async def test_zip_strict_passes_an_error_of_a_source_on_whatever_it_is() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("mine")

    for sources in ((failing, [1, 2, 3]), ([1, 2, 3], failing), (failing, TrackedSource([1, 2])), ([5], failing)):
        with pytest.raises(ValueError, match="mine"):
            await sf.pipeline(zipped(*sources, strict=True), sf.collect())


async def test_zip_what_is_not_emitted_is_counted_as_dropped() -> None:
    job = sf.Pipeline([1, 2, 3], zipped(TrackedSource([1, 2])), sf.collect())
    await job.run()

    row = job.stats().stages[1]
    assert row.items_in == row.items_out + row.dropped


async def test_zip_says_what_it_holds() -> None:
    stage = zipped(TrackedSource([]), [1], sf.stream([1]).map(str))

    assert stage.groups == 4
    assert stage.holds_items == 4 + 16 + 0 + (2 * 64 + 1) + 1
    assert "zip(TrackedSource, list, list)" in sf.Pipeline([1], stage, sf.collect()).explain()


# --- zip_longest ------------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_zip_longest_fills_up_what_has_ended_and_waits_for_the_rest() -> None:
    rows = await seen(sf.stream(zip_longest(every(1, "a", 1), every(2, "b", 3), fillvalue=0)))

    assert rows == [(2, ("a0", "b0")), (4, (0, "b1")), (6, (0, "b2"))]


# --- zip_latest -------------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_zip_latest_emits_whenever_a_source_has_a_new_item_once_each_has_had_one() -> None:
    rows = await seen(sf.stream(zip_latest(every(2, "a", 3), every(3, "b", 3))))

    # `a` was not asked for its second item before `b` had had its first.
    assert rows == [
        (3, ("a0", "b0")),
        (5, ("a1", "b0")),
        (6, ("a1", "b1")),
        (7, ("a2", "b1")),
        (9, ("a2", "b2")),
    ]


@pytest.mark.virtual_time
async def test_zip_latest_loses_nothing_while_a_source_has_had_no_item() -> None:
    """An event before the first price waits for it."""
    rows = await seen(sf.stream(["e0", "e1", "e2"]).zip_latest(every(5, "p", 1)))

    assert rows == [(5, ("e0", "p0")), (5, ("e1", "p0")), (5, ("e2", "p0"))]


@pytest.mark.virtual_time
async def test_zip_latest_ends_at_once_when_a_source_ends_that_never_had_an_item() -> None:
    other = TrackedSource(itertools.count(), delay=1)

    assert await sf.pipeline(zip_latest(other, every(3, "a", 0), silent), sf.collect()) == []
    assert asyncio.get_running_loop().time() == 0
    other.verify()


async def test_zip_latest_takes_turns() -> None:
    trace = Trace()

    await sf.pipeline(zip_latest("ab".__iter__(), TrackedSource("xyz")), sf.for_each(lambda row: trace("".join(row))))

    assert trace.events == ["ax", "bx", "by", "bz"]
