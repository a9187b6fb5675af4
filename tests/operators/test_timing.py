"""debounce, sample, timeout, heartbeat, timed: at which moment what comes out, in virtual time; what is dropped counts.

How a test replaces time: it is marked `virtual_time`, so it runs on a `StepLoop`, whose clock jumps to the next timer.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.timing import debounce, heartbeat, sample, timed, timeout
from streamflow.stages import Stage
from streamflow.testing import Outcome, SlowSink, StepLoop, TrackedSource, cancel_everywhere
from tests.operators.timelines import Timed, at, moments, timeline

Events = list[tuple[float, Any]]


class Broken(Exception):
    """What the tests raise."""


# --- debounce ----------------------------------------------------------------------------------------------------

DEBOUNCED: dict[str, tuple[float, Events, float, Timed]] = {
    "the last of a flurry": (1, [(0, "a"), (0.5, "b"), (0.9, "c"), (5, "d")], 9, [(1.9, "c"), (6, "d")]),
    "exactly at the deadline it supersedes": (1, [(0, "a"), (1, "b"), (2, "c")], 9, [(3, "c")]),
    "just after the deadline it does not": (1, [(0, "a"), (1.001, "b")], 9, [(1, "a"), (2.001, "b")]),
    "the last one at the end at once": (1, [(0, "a"), (3, "b")], 3.5, [(1, "a"), (3.5, "b")]),
    "an end exactly at the deadline": (1, [(0, "a")], 1, [(1, "a")]),
    "falsy items are data": (1, [(0, 0), (2, None), (4, "")], 9, [(1, 0), (3, None), (5, "")]),
    "all at once": (1, [(2, "a"), (2, "b"), (2, "c")], 9, [(3, "c")]),
    "very short": (1e-5, [(0, "a"), (1, "b"), (1, "c")], 9, [(0.00001, "a"), (1.00001, "c")]),
    "very long": (1e9, [(0, "a"), (1, "b")], 2e9, [(1e9 + 1, "b")]),
    "nothing": (1, [], 5, []),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", DEBOUNCED)
async def test_debounce_emits_what_silence_follows(name: str) -> None:
    seconds, events, ends, expected = DEBOUNCED[name]

    assert await timeline(at(events, ends=ends), debounce(seconds)) == expected


@pytest.mark.virtual_time
async def test_what_debounce_supersedes_is_counted_as_dropped() -> None:
    """P2."""
    job = sf.stream(at([(0, 1), (0, 2), (5, 3), (5.5, 4)], ends=9)).through(debounce(1)).to(sf.collect())

    assert await job.run() == [2, 4]
    stage = job.report.stats.stages[1]
    assert (stage.items_in, stage.items_out, stage.dropped) == (4, 2, 2)
    assert job.report.stats.balanced


@pytest.mark.virtual_time
async def test_after_a_busy_consumer_debounce_goes_on_with_the_newest_that_waits() -> None:
    """What came while the consumer was busy is one flurry: the old items of it are not shown one by one."""
    events = [(float(number), number) for number in range(100)]

    out = await timeline(at(events, ends=200), debounce(0.5), busy=30.0)

    assert len(out) < 10
    assert out[-1][1] == 99


def test_who_wins_at_the_deadline_does_not_depend_on_the_order_of_steps() -> None:
    """An item that comes at the very moment is in time, whoever set his timer first and whoever runs first."""
    for seed, late in itertools.product(range(30), [False, True]):

        async def main(late: bool = late) -> Timed:
            events: Events = [(0, "a"), (1, "b"), (2, "c")]
            return await timeline(_set_late(events) if late else at(events), debounce(1))

        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            assert runner.run(main()) == [(2, "c")]


async def _set_late(events: Events) -> AsyncIterator[Any]:
    """As `at`, with a timer that is set after the ones for the same moment."""
    for moment, item in events:
        for share in (0.5, 1.0):
            await asyncio.sleep((moment - asyncio.get_running_loop().time()) * share)
        yield item


@pytest.mark.virtual_time
@pytest.mark.parametrize("make", [debounce, sample])
async def test_an_error_comes_at_once_after_the_item_that_waits(make: Callable[[float], Stage[Any, Any]]) -> None:
    """P3: also in the middle of a wait."""
    got: Timed = []

    with pytest.raises(Broken):
        await timeline(at([(0, 1), (0.25, 2)], ends=0.5, error=Broken()), make(10), got=got)

    assert got == [(0.5, 2)]


# --- sample ------------------------------------------------------------------------------------------------------

SAMPLED: dict[str, tuple[float, Events, float, Timed]] = {
    "the latest of each second": (
        1,
        [(0.1, "a"), (0.9, "b"), (1.5, "c"), (3.1, "d")],
        9,
        [(1, "b"), (2, "c"), (4, "d")],
    ),
    "a moment without news emits nothing": (1, [(0.5, "a"), (7.5, "b")], 9, [(1, "a"), (8, "b")]),
    "exactly at a moment": (1, [(0.5, "a"), (1, "b"), (2, "c")], 9, [(1, "b"), (2, "c")]),
    "at the start": (1, [(0, "a")], 9, [(1, "a")]),
    "two at one moment": (1, [(1, "a"), (1.25, "b")], 9, [(1, "a"), (2, "b")]),
    "the newest at the end at once": (1, [(0.5, "a"), (1.25, "b")], 1.5, [(1, "a"), (1.5, "b")]),
    "falsy items are data": (1, [(0.5, 0), (1.5, None), (2.5, "")], 9, [(1, 0), (2, None), (3, "")]),
    "a grid that floats do not hit": (
        0.1,
        [(0.3, "a"), (0.7, "b"), (1.1, "c")],
        9,
        [(0.3, "a"), (0.7, "b"), (1.1, "c")],
    ),
    "very short": (1e-4, [(0.5, "a"), (2, "b")], 9, [(0.5, "a"), (2, "b")]),
    "shorter than any clock": (1e-300, [(1e9, "a"), (1e9, "b")], 0, [(1e9, "a"), (1e9, "b")]),
    "very long": (1e9, [(0, "a"), (1, "b")], 2e9, [(1e9, "b")]),
    "nothing": (1, [], 5, []),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", SAMPLED)
async def test_sample_emits_the_latest_at_each_moment_of_the_grid(name: str) -> None:
    seconds, events, ends, expected = SAMPLED[name]

    out = await timeline(at(events, ends=ends), sample(seconds))

    assert moments(out) == pytest.approx(moments(expected), abs=2e-6)
    assert [item for _, item in out] == [item for _, item in expected]


@pytest.mark.virtual_time
async def test_what_is_not_sampled_is_counted_as_dropped() -> None:
    """P2."""
    job = sf.stream(TrackedSource(range(100), delay=0.125)).through(sample(1)).to(sf.count())

    assert await job.run() == 13
    assert job.report.stats.stages[1].dropped == 87
    assert job.report.stats.balanced


@pytest.mark.virtual_time
async def test_a_source_that_is_never_silent_is_sampled_all_the_same() -> None:
    """An item is always there when it is asked for: the clock is looked at nevertheless."""

    async def busy() -> AsyncIterator[int]:
        loop: Any = asyncio.get_running_loop()
        for number in itertools.count():
            loop._now += 0.001  # time passes, and nobody waits
            yield number

    out = await sf.stream(busy()).through(sample(0.5)).take(3).to(sf.collect(), maxsize=4).run()

    assert out == pytest.approx([500, 1000, 1500], abs=30)


@pytest.mark.virtual_time
async def test_moments_that_a_busy_consumer_misses_are_skipped() -> None:
    out = await timeline(TrackedSource(range(100), delay=0.25), sample(1), busy=3.5)

    assert all(after - before >= 3.5 for before, after in itertools.pairwise(moments(out)))
    assert out[-1][1] == 99
    assert len(out) <= 25 / 3.5 + 3


# --- timeout -----------------------------------------------------------------------------------------------------

LIMITED: dict[str, tuple[dict[str, float], Events, float, Timed, str | None]] = {
    "in time": ({"first": 1, "between": 2, "total": 9}, [(0.5, 0), (2, 1)], 3, [(0.5, 0), (2, 1)], None),
    "first": ({"first": 1}, [(1.5, 0)], 9, [], "item 1 did not come within 1 s"),
    "first limits the first only": ({"first": 1}, [(0.5, 0), (500, 1)], 900, [(0.5, 0), (500, 1)], None),
    "first of an empty input": ({"first": 1}, [], 2, [], "item 1 did not come within 1 s"),
    "an empty input that ends in time": ({"first": 1, "between": 1}, [], 0.5, [], None),
    "between": ({"between": 1}, [(0, 0), (0.5, 1), (2, 2)], 9, [(0, 0), (0.5, 1)], "item 3 did not come within 1 s"),
    "between does not limit the first": ({"between": 1}, [(50, 0)], 50.5, [(50, 0)], None),
    "between limits the end": ({"between": 1}, [(0, 0)], 2, [(0, 0)], "item 2 did not come within 1 s after item 1"),
    "just in time": ({"first": 1, "between": 1, "total": 3}, [(1, 0), (2, 1)], 3, [(1, 0), (2, 1)], None),
    "total": ({"total": 2.5}, [(0, 0), (1, 1), (2, 2), (3, 3)], 9, [(0, 0), (1, 1), (2, 2)], "after 2.5 s, at item 4"),
    "total of a silent input": ({"total": 2.5}, [], 9, [], "had not ended after 2.5 s, at item 1"),
    "total before between": ({"between": 2, "total": 3}, [(0, 0), (2, 1)], 9, [(0, 0), (2, 1)], "total=3"),
    "both at once": ({"between": 1, "total": 1}, [(0, 0)], 9, [(0, 0)], "total=1"),
    "between before total": ({"between": 2, "total": 5}, [(0, 0), (2, 1)], 9, [(0, 0), (2, 1)], "between=2"),
    "falsy items are data": ({"between": 1}, [(0, None), (0.5, 0), (1, "")], 1, [(0, None), (0.5, 0), (1, "")], None),
    "very short": ({"between": 1e-5}, [(0, 0), (0, 1), (1, 2)], 9, [(0, 0), (0, 1)], "item 3 did not come"),
    "very long": ({"between": 1e9}, [(0, 0), (1e9, 1)], 1e9, [(0, 0), (1e9, 1)], None),
}  # fmt: skip


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", LIMITED)
async def test_a_timeout_says_which_limit_passed_and_at_which_item(name: str) -> None:
    limits, events, ends, expected, message = LIMITED[name]
    got: Timed = []
    error = None

    try:
        await timeline(at(events, ends=ends), timeout(**limits), got=got)
    except sf.PipelineTimeout as caught:
        error = caught

    assert got == expected
    assert (error is None) if message is None else (message in str(error))


@pytest.mark.virtual_time
async def test_a_timeout_comes_at_its_moment_and_closes_the_source() -> None:
    source = TrackedSource(range(9), delay=60.0)

    with pytest.raises(sf.PipelineTimeout):
        await sf.stream(source).through(timeout(between=30)).run()

    assert asyncio.get_running_loop().time() == 90.0
    source.verify()


@pytest.mark.virtual_time
async def test_the_time_a_consumer_takes_is_not_the_inputs() -> None:
    """Only waiting for input counts for `first` and `between`."""
    out = await timeline(TrackedSource(range(5), delay=1.0), timeout(first=2, between=2), sf.buffer(1), busy=100.0)

    assert [item for _, item in out] == list(range(5))


@pytest.mark.virtual_time
async def test_the_time_a_consumer_takes_counts_for_the_total() -> None:
    got: Timed = []

    with pytest.raises(sf.PipelineTimeout, match=r"total=250"):
        await timeline(TrackedSource(range(50), delay=1.0), timeout(total=250), sf.buffer(1), got=got, busy=100.0)

    assert [item for _, item in got] == list(range(len(got)))
    assert 2 <= len(got) < 10


@pytest.mark.virtual_time
async def test_a_total_that_passes_after_everything_was_delivered_is_no_failure() -> None:
    """P2: by hand, where the consumer is busy with the last item."""
    got = []
    async with aclosing(timeout(total=10)(TrackedSource([1, 2]))) as items:
        async for item in items:
            got.append(item)
            await asyncio.sleep(9)

    assert got == [1, 2]


@pytest.mark.virtual_time
async def test_a_timeout_error_of_the_input_is_no_limit_of_ours() -> None:
    """H23."""
    source = TrackedSource([1, 2], delay=0.1, error=TimeoutError("the database"))

    with pytest.raises(TimeoutError, match="the database") as caught:
        await sf.stream(source).through(timeout(between=1, total=9)).run()

    assert not isinstance(caught.value, sf.PipelineTimeout)


@pytest.mark.parametrize("delay", [0.0, 0.5, 0.999999, 1.0, 1.000001, 1.5])
def test_no_item_is_lost_when_the_limit_passes_just_as_one_comes(delay: float) -> None:
    """H37: for every order of the loop's steps; and what happens does not depend on that order."""
    outcomes = set()
    for seed in range(40):
        got: list[int] = []

        async def scenario(got: list[int] = got) -> None:
            await sf.stream(TrackedSource(range(5), delay=delay)).through(timeout(between=1)).for_each(got.append)

        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            try:
                runner.run(scenario())
                outcomes.add((tuple(got), None))
            except sf.PipelineTimeout as error:
                outcomes.add((tuple(got), str(error)))

    expected = (
        (tuple(range(5)), None)
        if delay <= 1
        else ((0,), "timeout(between=1): item 2 did not come within 1 s after item 1")
    )
    assert outcomes == {expected}


@pytest.mark.virtual_time
async def test_a_stage_below_may_take_a_timeout_for_an_end() -> None:
    """P3: it is an exception at its `async for`, after the items before it."""

    async def forgiving(items: Any) -> AsyncIterator[Any]:
        try:
            async for item in items:
                yield item
        except sf.PipelineTimeout:
            yield "late"

    out = await timeline(at([(0, 1), (0.5, 2), (9, 3)]), timeout(between=1), forgiving)

    assert out == [(0, 1), (0.5, 2), (1.5, "late")]


def test_a_timeout_without_a_limit_is_refused() -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=r"write timeout\(between=5\)"):
        timeout()


# --- heartbeat ---------------------------------------------------------------------------------------------------

BEATEN: dict[str, tuple[float, Events, float, Timed]] = {
    "in silence": (1, [(0.5, 1), (3.75, 2)], 4, [(0.5, 1), (1.5, "-"), (2.5, "-"), (3.5, "-"), (3.75, 2)]),
    "before the first item": (1, [(2.5, 1)], 2.5, [(1, "-"), (2, "-"), (2.5, 1)]),
    "not when something comes just then": (1, [(1, 1), (2, 2)], 3, [(1, 1), (2, 2)]),
    "an empty input": (1, [], 2.5, [(1, "-"), (2, "-")]),
    "falsy items are data": (1, [(0, None), (0.5, 0)], 1, [(0, None), (0.5, 0)]),
    "very long": (1e9, [(0, 1)], 2.5e9, [(0, 1), (1e9, "-"), (2e9, "-")]),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", BEATEN)
async def test_a_heartbeat_is_emitted_in_silence_only(name: str) -> None:
    seconds, events, ends, expected = BEATEN[name]

    assert await timeline(at(events, ends=ends), heartbeat(seconds, "-")) == expected


async def later() -> str:
    await asyncio.sleep(0)
    return "later"


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("item", "beat"),
    [(None, None), (b"", b""), (lambda: 7, 7), (later, "later"), (lambda: later(), "later")],  # noqa: PLW0108
    ids=["none", "falsy", "function", "coroutine function", "lambda of a coroutine"],
)
async def test_a_heartbeat_is_an_item_or_a_function_that_makes_one(item: Any, beat: Any) -> None:
    assert await timeline(at([], ends=2.5), heartbeat(1, item)) == [(1, beat), (2, beat)]


@pytest.mark.virtual_time
async def test_each_heartbeat_is_made_anew() -> None:
    count = itertools.count()

    assert await timeline(at([], ends=3.5), heartbeat(1, lambda: next(count))) == [(1, 0), (2, 1), (3, 2)]


@pytest.mark.virtual_time
async def test_an_error_of_the_heartbeats_function_is_raised_bare() -> None:
    source = TrackedSource([1], delay=5)

    def beat() -> str:
        raise Broken

    with pytest.raises(Broken):
        await sf.stream(source).through(heartbeat(1, beat)).run()

    source.verify()


@pytest.mark.virtual_time
async def test_heartbeats_do_not_pile_up_behind_a_busy_consumer() -> None:
    out = await timeline(at([], ends=1000), heartbeat(1, "-"), sf.buffer(1), busy=100.0)

    assert len(out) <= 14


# --- timed -------------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_timed_counts_from_its_own_start() -> None:
    await asyncio.sleep(100)

    assert await sf.stream(at([(100, None), (100.5, 0), (103, "")])).through(timed()).collect() == [
        (0.0, None),
        (0.5, 0),
        (3.0, ""),
    ]


@pytest.mark.virtual_time
async def test_timed_stands_in_a_fused_chain() -> None:
    job = sf.stream(range(3)).map(str).through(timed()).map(repr).to(sf.collect())

    assert await job.run() == ["(0.0, '0')", "(0.0, '1')", "(0.0, '2')"]


# --- all of them -------------------------------------------------------------------------------------------------

EACH: dict[str, Callable[[], Stage[Any, Any]]] = {
    "debounce": lambda: debounce(0.25),
    "sample": lambda: sample(0.5),
    "timeout": lambda: timeout(first=1, between=1, total=100),
    "heartbeat": lambda: heartbeat(0.25, None),
}
each = pytest.mark.parametrize("name", EACH)
LIMITS: dict[str, Callable[[Any], Stage[Any, Any]]] = {
    "debounce(seconds)": debounce,
    "sample(seconds)": sample,
    "heartbeat(seconds)": lambda value: heartbeat(value, None),
    "timeout(first)": lambda value: timeout(first=value),
    "timeout(between)": lambda value: timeout(between=value),
    "timeout(total)": lambda value: timeout(total=value),
}


@pytest.mark.parametrize("value", [0, -1, True, "2", math.inf, math.nan, 10**400])
@pytest.mark.parametrize("name", LIMITS)
def test_times_that_cannot_mean_anything_are_refused(name: str, value: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError) as caught:
        LIMITS[name](value)

    assert name in str(caught.value)


@each
@pytest.mark.virtual_time
@pytest.mark.parametrize("maxsize", [1, 2, 3, 4, 8])
async def test_a_full_channel_above_does_not_stall(name: str, maxsize: int) -> None:
    """Whoever waits for room is told of it before the stage waits for input."""
    flow = sf.stream(range(100)).buffer(maxsize).through(EACH[name]())

    assert (await flow.to(sf.collect(), maxsize=maxsize).run())[-1] == 99
    assert asyncio.get_running_loop().time() == 0.0


@each
@pytest.mark.virtual_time
async def test_bytes_pass_a_limit_in_bytes(name: str) -> None:
    """P1: what was taken does not count any more."""
    source = TrackedSource(bytes(1000) for _ in range(50))
    flow = sf.stream(source).buffer(8).through(EACH[name]())

    assert (await flow.to(sf.collect(), max_bytes=3000).run())[-1] == bytes(1000)
    assert asyncio.get_running_loop().time() == 0.0
    source.verify()


@each
@pytest.mark.virtual_time
async def test_a_sink_that_asks_for_nothing_stops_the_source(name: str) -> None:
    """F1: all but debounce and sample, which let old items go."""
    source = TrackedSource(range(10**6), delay=1.0)
    run = asyncio.create_task(sf.pipeline(source, EACH[name](), SlowSink(), maxsize=2))
    await asyncio.sleep(1000)

    assert source.taken <= 3 * (2 + 1) + 2
    run.cancel()
    await asyncio.wait([run])
    source.verify()


@each
@pytest.mark.virtual_time
async def test_an_early_stop_closes_the_source(name: str) -> None:
    source = TrackedSource(itertools.count(), delay=0.75)

    await sf.stream(source).through(EACH[name]()).take(2).run()

    source.verify()


@each
@pytest.mark.virtual_time
async def test_the_consumers_own_timeouts_lose_nothing(name: str) -> None:
    """H37: a wait that is cut off at the consumer is taken up again."""
    got: list[Any] = []
    async with sf.stream(TrackedSource(range(5), delay=0.75)).through(EACH[name]()).open() as items:
        while got[-1:] != [4]:
            try:
                async with asyncio.timeout(0.07):
                    got.append(await anext(items))
            except TimeoutError:
                continue

    assert [item for item in got if item is not None] == list(range(5))


@each
def test_an_error_in_the_middle_of_a_wait_comes_through_in_every_order(name: str) -> None:
    """P3."""
    for seed in range(20):
        got: Timed = []

        async def scenario(got: Timed = got) -> None:
            await timeline(at([(0, 1), (0.625, 2)], ends=0.75, error=Broken()), EACH[name](), got=got)

        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner, pytest.raises(Broken):
            runner.run(scenario())

        assert [item for _, item in got if item is not None] == [1, 2]


@given(st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]), max_size=25), st.sampled_from([0.125, 0.25, 0.5]))
def test_debounce_and_sample_agree_with_their_models(pauses: list[float], seconds: float) -> None:
    """As laws: which items come out, and when."""
    come = list(itertools.accumulate(pauses))
    events = [(moment, number) for number, moment in enumerate(come)]
    ends = (come or [0.0])[-1] + 0.0625

    def run(stage: Stage[Any, Any]) -> Timed:
        with asyncio.Runner(loop_factory=StepLoop) as runner:
            return runner.run(timeline(at(events, ends=ends), stage))

    silent = [(min(moment + seconds, ends), number) for number, moment in enumerate(come)
              if number + 1 == len(come) or come[number + 1] > moment + seconds]  # fmt: skip
    assert run(debounce(seconds)) == silent
    out = run(sample(seconds))
    assert moments(out) == sorted(moments(out))
    assert all(moment == ends or moment % seconds == 0 for moment in moments(out))
    for moment, number in out:  # the latest by then, and at most one step of the grid old
        assert come[number] <= moment <= come[number] + seconds
    assert [number for _, number in out][-1:] == [len(come) - 1][: len(come)]


class _Run:
    """Items under an operator and a consumer that keeps them, to cancel at every step."""

    def __init__(self, stage: Stage[Any, Any]) -> None:
        self.stage = stage
        self.source = TrackedSource(range(5), delay=0.75)
        self.got: list[int] = []

    async def __call__(self) -> None:
        async with sf.stream(self.source).through(self.stage).open() as items:
            async for item in items:
                self.got.append(item)


@each
def test_cancelled_at_any_step_it_leaves_nothing_and_doubles_nothing(name: str) -> None:
    """P7."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        got = [item for item in run.got if item is not None]
        assert got == list(range(5))[: len(got)]
        assert outcome.ended != "returned" or len(got) == 5

    assert cancel_everywhere(lambda: _Run(EACH[name]()), check, stride=2) > 50
