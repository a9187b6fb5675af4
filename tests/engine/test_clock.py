"""The clock: moments that are kept, on loops of any kind, and a date that tests can set."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.engine.clock import Grid, has_come, seconds_of, sleep_until, turn
from streamflow.testing import StepLoop

# --- moments -----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@pytest.mark.parametrize("when", [1e-5, 0.1, 1.0, 31_536_000.0, 1e12])
async def test_it_sleeps_until_exactly_then(when: float) -> None:
    await sleep_until(when)

    assert asyncio.get_running_loop().time() == when
    assert has_come(when)


@pytest.mark.virtual_time
@pytest.mark.parametrize("when", [-math.inf, -1.0, 0.0, 1e-9])
async def test_a_moment_that_has_passed_costs_no_step(when: float) -> None:
    loop: Any = asyncio.get_running_loop()
    steps = loop.steps
    await sleep_until(when)

    assert loop.steps == steps


def test_a_timer_that_fires_too_early_is_set_again() -> None:
    """uvloop rounds to milliseconds."""

    class Early(StepLoop):
        def call_at(self, when: float, *args: Any, **options: Any) -> asyncio.TimerHandle:
            return super().call_at(max(self.time(), when - 0.25), *args, **options)

        def _jump(self) -> None:
            self._now += 0.01

    async def main() -> float:
        await sleep_until(1.0)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=Early) as runner:
        assert runner.run(main()) == pytest.approx(1.0, abs=0.011)


async def test_a_sleep_on_a_real_loop_is_not_too_short() -> None:
    loop = asyncio.get_running_loop()
    when = loop.time() + 0.002
    await sleep_until(when)

    assert has_come(when)


@pytest.mark.virtual_time
async def test_a_sleep_that_is_cancelled_leaves_no_timer() -> None:
    loop: Any = asyncio.get_running_loop()
    sleeper = asyncio.create_task(sleep_until(1000.0))
    await asyncio.sleep(1)
    sleeper.cancel()
    await asyncio.wait([sleeper])

    assert sleeper.cancelled()
    assert all(timer.cancelled() for timer in loop._scheduled)


def test_a_turn_lets_every_ready_task_go_first() -> None:
    """For every order in which a loop may take tasks that are ready together."""
    for seed in range(20):
        done = []

        async def other(number: int, done: list[int] = done) -> None:
            done.append(number)

        async def main(done: list[int] = done) -> int:
            async with asyncio.TaskGroup() as group:
                for number in range(5):
                    group.create_task(other(number))
                await turn()
                return len(done)

        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            assert runner.run(main()) == 5


# --- the grid ----------------------------------------------------------------------------------------------------


@given(st.sampled_from([0.0, 7.3, 1e6]), st.sampled_from([1e-3, 0.1, 1 / 3, 60.0, 1e9]), st.integers(0, 10**6))
def test_a_moment_of_the_grid_is_found_again(start: float, step: float, number: int) -> None:
    grid = Grid(start, step)

    assert abs(grid.next(grid.moment(number)) - number) <= (1 if start == 1e6 and step == 1e-3 else 0)
    assert grid.next(grid.moment(number) + step / 2) == number + 1


def test_before_the_grid_begins_its_moments_have_numbers_below_zero() -> None:
    assert Grid(10.0, 1.0).next(8.5) == -1


def test_a_step_too_short_for_a_float_is_passed_over() -> None:
    assert Grid(0.0, 1e-300).next(1e300) == 0


# --- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, -1, True, None, "2", math.inf, math.nan, 10**400])
def test_what_is_no_time_is_refused(value: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"^delay\(seconds\) "):
        seconds_of("delay(seconds)", value)


def test_a_whole_number_of_seconds_is_a_float() -> None:
    assert repr(seconds_of("x", 3)) == "3.0"
