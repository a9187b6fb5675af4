"""What goes from item to item: running values, states, windows; what the table of cases does not show."""

from __future__ import annotations

import asyncio
import itertools
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.accumulating import map_state, pairwise, scan, sliding
from streamflow.testing import SlowSink, StepLoop, Trace, TrackedSource


class Broken(Exception):
    """What the tests raise."""


async def add_later(first: int, second: int) -> int:
    await asyncio.sleep(0)
    return first + second


ADDERS: dict[str, Callable[[int, int], Any]] = {
    "function": lambda first, second: first + second,
    "coroutine function": add_later,
    "lambda that returns a coroutine": lambda first, second: add_later(first, second),  # noqa: PLW0108  # the point
    "builtin": operator.add,
}
adders = pytest.mark.parametrize("fn", ADDERS.values(), ids=ADDERS.keys())
sources = pytest.mark.parametrize("kind", [list, TrackedSource], ids=["sync", "async"])


async def collected(stage: sf.Stage[Any, Any], source: Any) -> list[Any]:
    return await sf.stream(source).through(stage).collect()


# --- scan --------------------------------------------------------------------------------------------------------


@adders
@sources
async def test_scan_takes_every_kind_of_callable(fn: Callable[[int, int], Any], kind: Callable[[Any], Any]) -> None:
    assert await collected(scan(fn, 10), kind([1, 2, 3])) == [11, 13, 16]


@adders
async def test_scan_emits_one_value_for_each_item_and_not_the_first_value(fn: Callable[[int, int], Any]) -> None:
    assert await collected(scan(fn, 10), []) == []
    assert await collected(scan(fn, 10), [1]) == [11]


async def test_scan_goes_on_over_every_stretch_of_input() -> None:
    assert await collected(scan(operator.add, 0), range(3000)) == list(itertools.accumulate(range(3000)))


async def test_two_scans_of_one_builtin_are_told_apart_in_an_error() -> None:
    """P4: neither has a frame of its own."""
    with pytest.raises(TypeError) as caught:
        await sf.pipeline([1, 2], scan(operator.add, 0), scan(operator.add, ""), sf.collect())

    assert "in stage 3 of 4 of pipeline: 'scan', at item 1 " in "\n".join(caught.value.__notes__)


async def test_a_scan_of_a_lambda_before_one_of_the_same_lambda() -> None:
    """Both are called, the second through a function of its own."""

    def fn(first: int, second: int) -> int:
        return first + second

    assert await sf.pipeline([1, 2, 3], scan(fn, 0), scan(fn, 0), sf.collect()) == [1, 4, 10]


async def test_the_first_item_is_not_called_twice_to_find_out() -> None:
    seen: list[tuple[int, int]] = []

    def fn(value: int, item: int) -> Any:
        seen.append((value, item))
        return add_later(value, item)

    assert await collected(scan(fn, 0), range(4)) == [0, 1, 3, 6]
    assert seen == [(0, 0), (0, 1), (1, 2), (3, 3)]


@pytest.mark.virtual_time
@adders
async def test_scan_emits_with_each_item(fn: Callable[[int, int], Any]) -> None:
    trace = Trace()

    await sf.pipeline(TrackedSource(range(3), delay=1.0), scan(fn, 0), sf.for_each(lambda n: trace(str(n))))

    assert (trace.events, trace.times) == (["0", "1", "3"], [1.0, 2.0, 3.0])


# --- map_state ---------------------------------------------------------------------------------------------------


def step(state: list[int], item: int) -> tuple[list[int], int]:
    state.append(item)
    return state, len(state)


async def step_later(state: list[int], item: int) -> tuple[list[int], int]:
    await asyncio.sleep(0)
    return step(state, item)


def stepping(state: list[int], item: int) -> Any:
    return step_later(state, item)


STEPS = {"function": step, "coroutine function": step_later, "function that returns a coroutine": stepping}
steps = pytest.mark.parametrize("fn", STEPS.values(), ids=STEPS.keys())


async def last_later(state: list[int]) -> list[int]:
    await asyncio.sleep(0)
    return state


async def last_streamed(state: list[int]) -> AsyncIterator[int]:
    for number in state:
        yield number


def last_lazily(state: list[int]) -> Iterator[int]:
    yield from state


ENDS: dict[str, Callable[[list[int]], Any]] = {
    "list": lambda state: state,
    "generator": last_lazily,
    "coroutine function": last_later,
    "async generator": last_streamed,
}
ends = pytest.mark.parametrize("at_end", ENDS.values(), ids=ENDS.keys())


@steps
@ends
@sources
async def test_map_state_takes_every_kind_of_callable(
    fn: Callable[..., Any], at_end: Callable[[list[int]], Any], kind: Callable[[Any], Any]
) -> None:
    assert await collected(map_state(fn, list, at_end=at_end), kind([7, 8])) == [1, 2, 7, 8]


@steps
@ends
async def test_what_ends_map_state_is_called_for_no_item_too(
    fn: Callable[..., Any], at_end: Callable[[list[int]], Any]
) -> None:
    """C7."""
    assert await collected(map_state(fn, lambda: [5], at_end=at_end), []) == [5]


@steps
async def test_each_run_of_map_state_has_a_state_of_its_own(fn: Callable[..., Any]) -> None:
    made: list[list[int]] = []

    def make() -> list[int]:
        made.append([])
        return made[-1]

    flow = sf.stream([1, 2, 3]).through(map_state(fn, make))

    assert await asyncio.gather(flow.collect(), flow.collect()) == [[1, 2, 3], [1, 2, 3]]
    assert made == [[1, 2, 3], [1, 2, 3]]


@steps
async def test_what_ends_map_state_is_not_called_after_an_error_or_an_early_stop(fn: Callable[..., Any]) -> None:
    """P5: nothing cut looks whole."""
    ended: list[Any] = []
    stage = map_state(fn, list, at_end=ended.append)

    with pytest.raises(Broken):
        await collected(stage, TrackedSource([1, 2], error=Broken()))
    assert await sf.stream(itertools.count()).through(stage).take(2).collect() == [1, 2]

    assert ended == []


@ends
async def test_what_ends_map_state_may_be_left_in_the_middle(at_end: Callable[[list[int]], Any]) -> None:
    """P7: nothing of it stays open."""
    flow = sf.stream([1, 2, 3]).through(map_state(step_later, list, at_end=at_end)).take(4)

    assert await flow.to(sf.collect(), maxsize=1).run() == [1, 2, 3, 1]


async def test_what_ends_map_state_may_fail() -> None:
    def fail(_: object) -> list[int]:
        raise Broken

    got: list[int] = []
    with pytest.raises(Broken) as caught:
        await sf.stream([1]).through(map_state(step, list, at_end=fail)).for_each(got.append)

    assert got == [1]
    assert "'map_state'" in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("source", [[1], TrackedSource([1])], ids=["sync", "async"])
async def test_a_plain_function_that_ends_in_an_awaitable_is_an_error(source: Any) -> None:
    """P10: of a lambda it cannot be known beforehand."""
    with pytest.raises(sf.UsageError, match="map_state: what was called at the end returned coroutine"):
        await collected(map_state(step, list, at_end=lambda state: last_later(state)), source)  # noqa: PLW0108


@pytest.mark.parametrize("fn", [lambda state, item: item, lambda state, item: (1, 2, 3), lambda state, item: None])
async def test_map_state_says_that_a_pair_is_wanted(fn: Callable[..., Any]) -> None:
    """P10."""
    with pytest.raises(TypeError, match=r"the function must return \(state, result\), a pair, not"):
        await collected(map_state(fn, list), [1])


async def test_an_error_of_the_function_of_map_state_names_stage_and_item() -> None:
    """P4."""

    def fail(state: int, item: int) -> tuple[int, int]:
        if item == 2:
            raise Broken
        return state, item

    with pytest.raises(Broken) as caught:
        await sf.pipeline(range(5), map_state(fail, int), sf.collect())

    assert "in stage 2 of 3 of pipeline: 'map_state', at item 3 " in "\n".join(caught.value.__notes__)


@pytest.mark.parametrize("make", [0, None, {}, (0, 0)])
def test_a_state_instead_of_what_makes_it_is_refused(make: Any) -> None:
    """P10: it would be shared by all runs."""
    with pytest.raises(sf.UsageError, match=r"Write lambda: "):
        map_state(step, make)


def test_a_state_that_nobody_would_await_is_refused() -> None:
    """P10: the state would have been a coroutine."""
    with pytest.raises(sf.UsageError, match=r"^map_state\(make\) must be a plain function"):
        map_state(step, step_later)  # type: ignore[arg-type]  # what is tested


def test_map_state_refuses_what_cannot_be_called() -> None:
    """P10."""
    bad: Any = 3
    with pytest.raises(sf.UsageError, match=r"^map_state needs a function to call for each item"):
        map_state(bad, list)
    with pytest.raises(sf.UsageError, match=r"^map_state\(at_end\) must be a function"):
        map_state(step, list, at_end=bad)


# --- pairwise, sliding -------------------------------------------------------------------------------------------


@given(st.lists(st.integers()), st.integers(1, 6), st.integers(1, 6))
def test_windows_are_the_slices_that_are_full(items: list[int], n: int, step: int) -> None:
    loop = StepLoop()
    try:
        windows = loop.run_until_complete(collected(sliding(n, step=step), items))
        pairs = loop.run_until_complete(collected(pairwise(), items))
    finally:
        loop.close()

    assert windows == [tuple(items[at : at + n]) for at in range(0, len(items) - n + 1, step)]
    assert pairs == list(itertools.pairwise(items))


async def test_windows_go_on_over_every_stretch_of_input() -> None:
    assert await collected(sliding(3, step=2), range(3001)) == [(n, n + 1, n + 2) for n in range(0, 2999, 2)]
    assert await collected(pairwise(), range(3000)) == list(itertools.pairwise(range(3000)))


async def test_a_window_larger_than_the_input_is_never_full() -> None:
    assert await collected(sliding(4), [1, 2, 3]) == []


@pytest.mark.virtual_time
@pytest.mark.parametrize(("stage", "times"), [(pairwise(), [2.0, 3.0]), (sliding(3), [3.0])])
async def test_a_window_is_emitted_with_its_last_item(stage: sf.Stage[Any, Any], times: list[float]) -> None:
    trace = Trace()

    await sf.pipeline(TrackedSource(range(3), delay=1.0), stage, sf.for_each(lambda _: trace("window")))

    assert trace.times == times


@pytest.mark.virtual_time
@pytest.mark.parametrize("stage", [scan(operator.add, 0), map_state(step, list), pairwise(), sliding(3)])
async def test_a_sink_that_asks_for_nothing_stops_the_source(stage: sf.Stage[Any, Any]) -> None:
    """F1, F5."""
    source = TrackedSource(range(1000))
    run = asyncio.create_task(sf.pipeline(source, stage, SlowSink(), maxsize=4))
    await asyncio.sleep(1)

    assert source.taken <= 4 + 1 + 4 + 1 + 3
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None, float("inf")])
def test_sliding_refuses_bounds_that_cannot_mean_anything(value: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"sliding\(n\)"):
        sliding(value)
    with pytest.raises(sf.UsageError, match=r"sliding\(step\)"):
        sliding(2, step=value)
