"""How long a segment may go on, with a clock that the tests move (promise P8)."""

from __future__ import annotations

import asyncio

import pytest

from streamflow.engine import budget as module
from streamflow.engine.budget import Budget

SLICE = module._SLICE
LARGEST = module._LARGEST


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", clock)
    return clock


def grown(clock: Clock, size: int) -> Budget:
    """Return a budget that has met only fast items so far and stands at the begin of a turn."""
    budget = Budget()
    while budget.size < size:
        budget.look()
    budget.renew(clock.now)
    return budget


def test_the_first_look_comes_after_one_item(clock):
    """So the first item of a quiet pipeline leaves at once."""
    assert Budget().left == 1


def test_it_doubles_while_the_items_take_no_time_and_stops_at_the_largest(clock):
    budget, sizes = Budget(), []
    for _ in range(12):
        assert budget.look() is False
        sizes.append(budget.left)
    assert sizes[:4] == [2, 4, 8, 16]
    assert sizes[-1] == LARGEST
    assert max(sizes) == LARGEST


def test_it_stays_as_it_is_when_a_look_takes_about_the_right_time(clock):
    budget = grown(clock, 64)
    clock.now += SLICE * 0.4
    budget.look()
    assert budget.size == 64


def test_it_falls_in_proportion_when_the_items_were_slow(clock):
    """H54: a fast function that turns slow is held back from the next look on."""
    budget = grown(clock, 64)
    clock.now += SLICE * 4
    assert budget.look() is True
    assert budget.size == 64 // 8


def test_it_never_falls_below_one_item(clock):
    budget = grown(clock, 2)
    clock.now += 3600
    budget.look()
    assert budget.size == 1


def test_a_function_slower_than_half_a_slice_gives_a_turn_after_each_call(clock):
    """H54"""
    budget = Budget()
    for _ in range(5):
        clock.now += SLICE * 0.6
        assert budget.look() is True
        budget.renew(clock.now)
        assert budget.left == 1


def test_a_turn_ends_before_the_next_items_would_go_beyond_the_slice(clock):
    """H10: looks that each are short add up."""
    budget = grown(clock, LARGEST)
    over = []
    for _ in range(3):
        clock.now += SLICE * 0.3
        over.append(budget.look())
    assert over == [False, False, True]


def test_waiting_begins_a_new_turn_and_tells_how_long_it_was(clock):
    budget = grown(clock, LARGEST)
    clock.now += SLICE * 0.2
    since = budget.rest()
    clock.now += 5
    assert budget.renew(since) == pytest.approx(5)
    clock.now += SLICE * 0.2
    assert budget.look() is False


def test_what_was_slow_before_a_wait_is_noticed_though_no_look_was_due(clock):
    """H54: where small channels make a segment wait before the next look, it would never learn that it is slow."""
    budget = grown(clock, 64)
    budget.left -= 8
    clock.now += SLICE * 4
    budget.renew(budget.rest())
    assert budget.size == 8
    assert budget.left == 8


def test_a_short_wait_teaches_nothing(clock):
    budget = grown(clock, 64)
    clock.now += SLICE * 0.1
    budget.renew(budget.rest())
    assert budget.size == 64


async def test_a_pause_gives_the_other_tasks_a_turn_and_is_summed_up(clock):
    """P8"""
    budget = Budget()
    ran = []

    async def other() -> None:
        clock.now += 2
        ran.append("other")

    task = asyncio.ensure_future(other())
    await budget.pause()
    assert ran == ["other"]
    assert budget.paused == pytest.approx(2)
    await task
