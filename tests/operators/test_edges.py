"""Before, after, instead of nothing, and again: what the table of cases does not show."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.operators.edges import append, cycle, default_if_empty, prepend, repeat
from streamflow.testing import Outcome, SlowSink, Trace, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


# --- prepend, append, default_if_empty ---------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_what_is_prepended_does_not_wait_for_the_input() -> None:
    trace = Trace()

    await sf.pipeline(TrackedSource("b", delay=5.0), prepend("a"), sf.for_each(trace))

    assert (trace.events, trace.times) == (["a", "b"], [0.0, 5.0])


async def test_what_is_prepended_comes_before_an_error() -> None:
    """P3: as if nested."""
    got: list[int] = []

    with pytest.raises(Broken):
        await sf.stream(TrackedSource([], error=Broken())).through(prepend(1)).for_each(got.append)

    assert got == [1]


@pytest.mark.virtual_time
async def test_enough_of_what_is_prepended_asks_the_input_for_nothing() -> None:
    """C10."""

    async def silent() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 0

    assert await sf.stream(silent()).through(prepend(1, 2)).take(2).collect() == [1, 2]


@pytest.mark.parametrize("stage", [append(9), default_if_empty(9)], ids=lambda stage: stage.name)
@pytest.mark.parametrize("source", [[], TrackedSource([])], ids=["sync", "async"])
async def test_nothing_is_cut_so_that_it_looks_whole(stage: sf.Stage[Any, Any], source: Any) -> None:
    """P5: what comes at the end comes only at a clean end."""
    assert await sf.stream(source).through(stage).collect() == [9]

    with pytest.raises(Broken):
        await sf.stream(TrackedSource([], error=Broken())).through(stage).run()


async def test_what_a_filter_drops_is_not_there_for_default_if_empty() -> None:
    assert await sf.stream(range(5)).filter(lambda n: n > 7).through(default_if_empty(None)).collect() == [None]
    assert await sf.stream([None, 0]).through(default_if_empty(1)).collect() == [None, 0]


async def test_what_is_appended_comes_through_the_stages_after_it() -> None:
    assert await sf.stream([1, 2]).through(append(3)).map(lambda n: n * 2).through(append(0)).collect() == [2, 4, 6, 0]


@pytest.mark.parametrize("operator", [append, prepend])
def test_no_items_at_all_are_refused(operator: Callable[[], Any]) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=f"{operator.__name__}.. has no effect without items"):
        operator()


# --- repeat, cycle -----------------------------------------------------------------------------------------------


def numbers() -> Iterator[int]:
    yield from range(3)


async def numbers_later() -> AsyncIterator[int]:
    for number in range(3):
        yield number


again = pytest.mark.parametrize("stage", [repeat(2), cycle()], ids=lambda stage: stage.name)
AGAIN: dict[str, Callable[[], Any]] = {
    "list": lambda: [0, 1, 2],
    "generator function": lambda: numbers,
    "async generator function": lambda: numbers_later,
    "stream": lambda: sf.stream(numbers).map(lambda n: n),
    "tracked": lambda: TrackedSource(range(3)),
}
ONCE: dict[str, Callable[[], Any]] = {
    "generator": numbers,
    "async generator": numbers_later,
    "list iterator": lambda: iter([0, 1, 2]),
    "map": lambda: map(int, "012"),
    "stream over a generator": lambda: sf.stream(numbers()).map(lambda n: n),
}


@again
@pytest.mark.parametrize("kind", AGAIN)
async def test_a_source_that_can_be_read_again_is(kind: str, stage: sf.Stage[int, int]) -> None:
    assert await sf.stream(AGAIN[kind]()).through(stage).take(6).collect() == [0, 1, 2, 0, 1, 2]


@again
@pytest.mark.parametrize("kind", ONCE)
async def test_a_source_that_can_be_read_only_once_is_an_error_and_no_end(kind: str, stage: sf.Stage[int, int]) -> None:
    """P2, P10: a second round without items would look like a short input."""
    got: list[int] = []

    with pytest.raises(sf.UsageError, match=r"only once|used up"):
        await sf.stream(ONCE[kind]()).through(stage).for_each(got.append)

    assert got == [0, 1, 2]


@again
async def test_a_channel_can_be_read_only_once(stage: sf.Stage[int, int]) -> None:
    channel: sf.Channel[int] = sf.Channel(4)
    channel.put_nowait(1)
    channel.close()

    with pytest.raises(sf.UsageError, match="only once"):
        await sf.stream(channel).through(stage).run()


async def test_a_cycle_of_nothing_ends() -> None:
    """C7: it does not spin."""
    assert await sf.stream([]).through(cycle()).collect() == []
    assert await sf.stream(range(9)).filter(lambda n: n > 9).through(cycle()).collect() == []


async def test_a_round_of_a_repeat_may_be_empty() -> None:
    rounds = iter([[1], [], [2]])

    assert await sf.stream(sf.Source(lambda: next(rounds))).through(repeat(3)).collect() == [1, 2]


async def test_each_round_is_closed_before_the_next_one_is_opened() -> None:
    """P7."""
    trace = Trace()

    async def source() -> AsyncIterator[int]:
        trace("open")
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            trace("close")

    assert await sf.stream(source).map(lambda n: n).through(repeat(2)).collect() == [1, 1]
    assert trace.events == ["open", "close"] * 2


@again
async def test_an_error_in_a_later_round_ends_it(stage: sf.Stage[int, int]) -> None:
    rounds = iter([TrackedSource([1]), TrackedSource([2], error=Broken())])
    got: list[int] = []

    with pytest.raises(Broken):
        await sf.stream(sf.Source(lambda: next(rounds))).through(stage).for_each(got.append)

    assert got == [1, 2]


@again
async def test_enough_of_it_closes_the_round_that_runs(stage: sf.Stage[int, int]) -> None:
    """C3."""
    source = TrackedSource(range(3))

    assert await sf.stream(source).through(stage).take(4).collect() == [0, 1, 2, 0]
    source.verify()
    assert source.opened == 2


async def test_stages_above_begin_anew_in_each_round() -> None:
    assert await sf.stream(range(5)).take(2).batched(3).through(repeat(2)).collect() == [(0, 1), (0, 1)]


async def test_a_repeat_of_a_repeat() -> None:
    assert await sf.stream([1]).through(repeat(2)).through(repeat(3)).count() == 6


@pytest.mark.virtual_time
@again
async def test_a_sink_that_asks_for_nothing_stops_every_round(stage: sf.Stage[int, int]) -> None:
    """F1, F5."""
    source = TrackedSource(range(1000))
    run = asyncio.create_task(sf.pipeline(source, stage, SlowSink(), maxsize=4))
    await asyncio.sleep(1)

    assert source.taken <= stage.holds_items + 1 + 4 + 1
    run.cancel()
    await asyncio.wait([run])
    source.verify()


async def test_a_cycle_lets_others_have_their_turn() -> None:
    """P8."""
    run = asyncio.create_task(sf.stream([1]).through(cycle()).run())
    for _ in range(5):
        await asyncio.sleep(0)

    run.cancel()
    await asyncio.wait([run])
    assert run.cancelled()


@pytest.mark.parametrize("times", [0, -1, 1.5, True, None, float("inf")])
def test_repeat_refuses_what_is_no_number_of_times(times: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"repeat\(times\)"):
        repeat(times)


class _Run:
    """A cycle between a source of its own and a consumer that takes five items."""

    def __init__(self) -> None:
        self.source = TrackedSource(range(2), delay=0)

    async def __call__(self) -> list[int]:
        return await sf.stream(self.source).through(cycle()).take(5).collect()


def test_cancelled_after_every_step_a_cycle_leaves_no_round_open() -> None:
    """X1."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        assert outcome.ended == "cancelled" or outcome.value == [0, 1, 0, 1, 0]

    assert cancel_everywhere(_Run, check, stride=2) > 30


async def test_prepended_endless_sources_are_read_no_further_than_asked() -> None:
    taken = await sf.stream(itertools.count()).through(prepend(-1)).take(3).collect()

    assert taken == [-1, 0, 1]
