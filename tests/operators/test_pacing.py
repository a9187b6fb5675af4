"""throttle, spaced, delay: when exactly items leave, in virtual time; nothing lost, nothing reordered."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.pacing import delay, spaced, throttle
from streamflow.stages import Stage
from streamflow.testing import Outcome, SlowSink, StepLoop, TrackedSource, cancel_everywhere
from tests.operators.timelines import Timed, at, moments, timeline


class Broken(Exception):
    """What the tests raise."""


# --- throttle: the bucket ----------------------------------------------------------------------------------------

ZEROS = [0.0] * 5
THROTTLED: dict[str, tuple[Callable[[], Stage[Any, Any]], Sequence[float], Sequence[float]]] = {
    "on the grid": (lambda: throttle(10), ZEROS, [0, 0.1, 0.2, 0.3, 0.4]),
    "per minute": (lambda: throttle(1, per=60), ZEROS, [0, 60, 120, 180, 240]),
    "a whole burst at the start": (lambda: throttle(10, burst=3), ZEROS, [0, 0, 0, 0.1, 0.2]),
    "a burst of a fraction": (lambda: throttle(1, burst=0.5), ZEROS, [0.5, 1.5, 2.5, 3.5, 4.5]),
    "the burst comes back in idle time": (
        lambda: throttle(1, burst=2),
        [0, 0, 0, 100, 100, 100],
        [0, 0, 1, 100, 100, 101],
    ),
    "idle time does not save more than the burst": (lambda: throttle(1), [0, 100, 100, 100], [0, 100, 101, 102]),
    "half idle is half a burst": (lambda: throttle(1, burst=4), [0, 0, 0, 0, 2, 2, 2], [0, 0, 0, 0, 2, 2, 3]),
    "slow items do not wait": (lambda: throttle(10), [0, 1, 2, 3], [0, 1, 2, 3]),
    "items exactly at the rate do not wait": (lambda: throttle(1), [0, 1, 2, 3], [0, 1, 2, 3]),
    "items a little too fast": (lambda: throttle(1), [0, 0.75, 1.5, 2.25], [0, 1, 2, 3]),
    "once a year": (lambda: throttle(1, per=31_536_000), [0, 0], [0, 31_536_000]),
    "nothing is emitted without input": (lambda: throttle(1000, burst=1000), [50], [50]),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", THROTTLED)
async def test_throttled_items_leave_when_the_bucket_has_them(name: str) -> None:
    """R1."""
    make, come, leave = THROTTLED[name]

    out = await timeline(at((moment, number) for number, moment in enumerate(come)), make())

    assert moments(out) == pytest.approx(leave)
    assert [item for _, item in out] == list(range(len(come)))


COSTS: dict[str, tuple[float, float, list[float], list[float]]] = {
    "each pays before it leaves": (10, 1, [1, 5, 1], [0, 0.5, 0.6]),
    "dearer than the burst waits for the rest": (10, 10, [30, 10, 10], [2, 3, 4]),
    "free items pass": (1, 1, [1, 0, 0, 1, 0], [0, 0, 0, 1, 1]),
    "cheap items share a burst": (1, 1, [0.25, 0.25, 0.5, 0.25], [0, 0, 0, 0.25]),
    "bytes per second": (1e6, 1e6, [500_000, 500_000, 500_000], [0, 0, 0.5]),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", COSTS)
async def test_what_an_item_costs_is_what_it_waits_for(name: str) -> None:
    """R1: an item dearer than the burst is delayed in proportion."""
    rate, burst, costs, leave = COSTS[name]

    out = await timeline(costs, throttle(rate, burst=burst, cost=lambda cost: cost))

    assert moments(out) == pytest.approx(leave)


@pytest.mark.virtual_time
@pytest.mark.parametrize("rate", [1e9, 1e15, 1e300])
async def test_a_rate_beyond_all_clocks_costs_no_sleep(rate: float) -> None:
    """R1: very high rates are accepted. A timer for each item would cost several steps of the loop each."""
    loop: Any = asyncio.get_running_loop()
    count = 20_000

    before = await steps_of(loop, sf.stream(range(count)).through(spaced(1e-9)).count())
    out = await steps_of(loop, sf.stream(range(count)).through(throttle(rate)).count())

    assert loop.time() < 0.001
    assert out < before * 1.5 + 100


async def steps_of(loop: Any, run: Any) -> int:
    begin = loop.steps
    await run
    return loop.steps - begin


@pytest.mark.virtual_time
async def test_waits_too_short_for_a_timer_add_up() -> None:
    """A million in a second: the time comes out right although nobody sleeps for a microsecond."""
    loop: Any = asyncio.get_running_loop()

    steps = await steps_of(loop, sf.stream(range(10_001)).through(throttle(1e6)).count())

    assert loop.time() == pytest.approx(0.01, abs=0.0005)
    assert steps < 2_000


@pytest.mark.virtual_time
async def test_the_grid_does_not_drift_over_a_million_units() -> None:
    out = await timeline([999_999.0, 1.0, 1.0], throttle(3, cost=lambda cost: cost))

    assert moments(out) == pytest.approx([999_998 / 3, 999_999 / 3, 1_000_000 / 3], rel=1e-15)


def test_a_loop_with_late_timers_keeps_the_rate() -> None:
    """Each sleep ends too late, and the rate is the same all the same; a very late one is not caught up with."""

    class Late(StepLoop):
        late = 0.001

        def call_at(self, when: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
            return super().call_at(when + self.late, *args, **options)

    async def main() -> list[float]:
        return moments(await timeline(range(3001), throttle(3000)))

    with asyncio.Runner(loop_factory=Late) as runner:
        out = runner.run(main())

    assert out[-1] == pytest.approx(1.0, abs=0.002)
    assert all(moment >= number / 3000 - 0.0005 - 1e-9 for number, moment in enumerate(out))  # and nothing is early

    Late.late = 5.0
    with asyncio.Runner(loop_factory=Late) as runner:
        out = runner.run(main())

    assert len([moment for moment in out if moment < 5.002]) < 0.02 * 3000 + 10


@pytest.mark.virtual_time
async def test_a_busy_stage_below_is_idle_time() -> None:
    """R2 for throttle: who takes longer than the rate anyway is not slowed down."""
    out = await timeline(at([(0, 1), (0, 2), (0, 3)]), throttle(1), sf.buffer(1), busy=10.0)

    assert moments(out) == [0, 10, 20]


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.5, 3.0]), st.sampled_from([0, 0.5, 1, 2, 7])), max_size=30),
    st.sampled_from([0.5, 1.0, 8.0]),
    st.sampled_from([0.5, 1.0, 4.0]),
)
def test_in_no_stretch_of_time_more_units_pass_than_rate_and_burst_allow(
    items: list[tuple[float, float]], rate: float, burst: float
) -> None:
    """R1, as a law; and it never waits longer than it must: with each item that waited the bucket is just empty."""
    come = list(itertools.accumulate(pause for pause, _ in items))
    costs = [cost for _, cost in items]
    with asyncio.Runner(loop_factory=StepLoop) as runner:
        out = runner.run(
            timeline(at(zip(come, costs, strict=True)), throttle(rate, burst=burst, cost=lambda cost: cost))
        )

    assert [cost for _, cost in out] == costs
    left, before = burst, 0.0
    for (moment, cost), came in zip(out, come, strict=True):
        left = min(max(burst, cost), left + (moment - before) * rate)
        waited = moment > came + 1e-6 and moment > before + 1e-6
        assert left >= cost - 0.001 * rate - 1e-6
        left, before = left - cost, moment
        assert not waited or left < 0.001 * rate + 1e-6


# --- throttle: misuse --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, True, None, "2", math.inf, math.nan, 10**400])
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (throttle, "throttle(rate)"),
        (lambda value: throttle(1, per=value), "throttle(per)"),
        (lambda value: throttle(1, burst=value), "throttle(burst)"),
        (spaced, "spaced(seconds)"),
        (delay, "delay(seconds)"),
        (lambda value: delay(1, maxsize=value), "delay(maxsize)"),
    ],
)
def test_numbers_that_cannot_mean_anything_are_refused(make: Callable[[Any], Any], name: str, value: Any) -> None:
    """F14."""
    if name == "delay(maxsize)" and value == 10**400:
        value = 1.5
    with pytest.raises(sf.UsageError) as caught:
        make(value)

    assert name in str(caught.value)


def test_a_rate_that_never_lets_anything_through_is_refused() -> None:
    with pytest.raises(sf.UsageError, match="would never let a second item through"):
        throttle(1e-200, per=1e200)


def test_a_cost_that_is_no_function_is_refused() -> None:
    with pytest.raises(sf.UsageError, match=r"throttle\(cost\) needs a function"):
        throttle(1, cost=3)


def test_a_cost_that_would_have_to_be_awaited_is_refused() -> None:
    async def cost(_: object) -> float:
        return 1.0

    with pytest.raises(sf.UsageError, match="must be a plain function"):
        throttle(1, cost=cost)


@pytest.mark.virtual_time
@pytest.mark.parametrize("units", [-1, math.inf, math.nan, None, "3", [1], pytest.param(10**400, id="huge")])
async def test_a_cost_that_is_no_number_of_units_ends_the_run_and_names_the_item(units: Any) -> None:
    got: Timed = []
    stage = throttle(1, cost=lambda item: 1 if item < 2 else units)

    with pytest.raises(sf.UsageError, match=r"throttle\(cost\) must return a number .* for 2\."):
        await timeline(range(5), stage, got=got)

    assert got == [(0, 0), (1, 1)]


@pytest.mark.virtual_time
async def test_a_cost_that_returns_a_coroutine_is_told_from_a_number() -> None:
    async def cost(_: object) -> float:
        return 1.0

    with pytest.raises(sf.UsageError, match=r"throttle\(cost\) must return a number"):
        await sf.stream(range(3)).through(throttle(1, cost=lambda item: cost(item))).run()  # noqa: PLW0108  # the mistake


@pytest.mark.virtual_time
async def test_an_error_of_the_cost_is_raised_bare_after_the_items_before_it() -> None:
    got: Timed = []

    def cost(item: int) -> float:
        if item == 2:
            raise Broken
        return 1.0

    with pytest.raises(Broken):
        await timeline(range(5), throttle(1, cost=cost), got=got)

    assert got == [(0, 0), (1, 1)]


# --- spaced ------------------------------------------------------------------------------------------------------

SPACED: dict[str, tuple[float, list[float], list[float]]] = {
    "all at once": (2, [0, 0, 0], [0, 2, 4]),
    "those that took longer do not wait": (2, [0, 3, 6, 6], [0, 3, 6, 8]),
    "exactly as far apart": (2, [0, 2, 4], [0, 2, 4]),
    "it never catches up": (2, [0, 1, 9, 9.5, 10], [0, 2, 9, 11, 13]),
    "very short": (1e-6, [0, 0, 5], [0, 0.000001, 5]),
    "very long": (1e9, [0, 0], [0, 1e9]),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", SPACED)
async def test_spaced_items_leave_so_far_apart(name: str) -> None:
    """R2."""
    seconds, come, leave = SPACED[name]

    out = await timeline(at((moment, number) for number, moment in enumerate(come)), spaced(seconds))

    assert moments(out) == pytest.approx(leave, abs=2e-6)


@pytest.mark.virtual_time
async def test_spacing_does_not_wait_where_the_consumer_took_longer() -> None:
    """R2, by hand: the time the consumer takes is time between two items."""
    loop = asyncio.get_running_loop()
    out = []
    async with aclosing(spaced(2.0)(sf.stream(range(3)))) as items:
        async for _ in items:
            out.append(loop.time())
            await asyncio.sleep(5)

    assert out == [0, 5, 10]


# --- delay -------------------------------------------------------------------------------------------------------

DELAYED: dict[str, tuple[float, int, list[float], list[float]]] = {
    "distances stay": (10, 16, [0, 1, 5], [10, 11, 15]),
    "all at once": (10, 16, [0, 0, 0], [10, 10, 10]),
    "later than the delay": (1, 16, [0, 5, 6], [1, 6, 7]),
    "one comes just as one leaves": (1, 16, [0, 1, 2], [1, 2, 3]),
    "two may be held": (10, 2, [0, 0, 0, 0], [10, 10, 20, 20]),
    "one may be held": (10, 1, [0, 1, 2], [10, 20, 30]),
    "very short": (1e-6, 16, [0, 5], [0, 5]),
    "very long": (1e9, 16, [0, 1], [1e9, 1e9 + 1]),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", DELAYED)
async def test_delayed_items_leave_so_much_later(name: str) -> None:
    seconds, maxsize, come, leave = DELAYED[name]

    out = await timeline(at((moment, number) for number, moment in enumerate(come)), delay(seconds, maxsize=maxsize))

    assert moments(out) == pytest.approx(leave, abs=2e-6)
    assert [item for _, item in out] == list(range(len(come)))


@pytest.mark.virtual_time
async def test_an_error_waits_for_the_items_before_it() -> None:
    """P3."""
    got: Timed = []

    with pytest.raises(Broken):
        await timeline(at([(0, 0), (1, None)], error=Broken()), delay(10), got=got)

    assert got == [(10, 0), (11, None)]


@pytest.mark.virtual_time
@pytest.mark.parametrize("channel", [1, 2, 16])
async def test_no_more_than_maxsize_items_are_held(channel: int) -> None:
    """F1: while they wait for their time the source waits."""
    source = TrackedSource(itertools.count())
    run = asyncio.create_task(sf.pipeline(source, delay(100.0, maxsize=5), SlowSink(), maxsize=channel))
    await asyncio.sleep(50)

    assert 5 <= source.taken <= 5 + channel + 1
    run.cancel()
    await asyncio.wait([run])
    source.verify()


@pytest.mark.virtual_time
@pytest.mark.parametrize("maxsize", [1, 2, 3, 4, 8])
async def test_a_full_channel_above_does_not_stall(maxsize: int) -> None:
    """Whoever waits for room is told of it before the stage waits for input."""
    out = await sf.pipeline(range(100), sf.buffer(maxsize), delay(1.0, maxsize=1000), sf.collect(), maxsize=maxsize)

    assert out == list(range(100))
    assert asyncio.get_running_loop().time() == pytest.approx(1.0, abs=1e-6)


def test_it_says_what_it_may_hold() -> None:
    assert delay(1.5, maxsize=7).holds_items == 7
    assert [stage.name for stage in (throttle(100), spaced(0.5), delay(1.5))] == [
        "throttle(100, per=1)",
        "spaced(0.5)",
        "delay(1.5)",
    ]


# --- all of them -------------------------------------------------------------------------------------------------

EACH: dict[str, Callable[[], Stage[Any, Any]]] = {
    "throttle": lambda: throttle(2, burst=2),
    "spaced": lambda: spaced(0.5),
    "delay": lambda: delay(0.7, maxsize=2),
}
each = pytest.mark.parametrize("name", EACH)


@each
@pytest.mark.virtual_time
async def test_a_sink_that_asks_for_nothing_stops_the_source(name: str) -> None:
    """F1."""
    source = TrackedSource(itertools.count())
    run = asyncio.create_task(sf.pipeline(source, EACH[name](), SlowSink(), maxsize=2))
    await asyncio.sleep(1000)

    assert source.taken <= 2 + 3 * (2 + 1)
    run.cancel()
    await asyncio.wait([run])
    source.verify()


@each
@pytest.mark.virtual_time
async def test_nothing_is_dropped(name: str) -> None:
    """P2: it is in the report."""
    job = sf.stream(range(10)).through(EACH[name]()).to(sf.count())

    assert await job.run() == 10
    stage = job.report.stats.stages[1]
    assert (stage.items_in, stage.items_out, stage.dropped) == (10, 10, 0)
    assert job.report.stats.balanced


class _Run:
    """Items under an operator and a consumer that keeps them, to cancel at every step."""

    def __init__(self, stage: Stage[Any, Any]) -> None:
        self.stage = stage
        self.source = TrackedSource(range(6), delay=0.3)
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
        assert run.got == list(range(6))[: len(run.got)]
        assert outcome.ended != "returned" or len(run.got) == 6

    assert cancel_everywhere(lambda: _Run(EACH[name]()), check, stride=2) > 50
