"""group_adjacent, split_after, split_when, group_by: their limits, and that groups cannot stop each other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.batching import unbatch
from streamflow.operators.grouping import group_adjacent, group_by, split_after, split_when
from streamflow.testing import Outcome, SlowSink, StepLoop, Trace, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def at(moments: Iterable[float]) -> AsyncIterator[float]:
    """Emit each moment, in seconds of the loop's clock, when it has come."""
    for moment in moments:
        await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
        yield moment


def third(number: int) -> int:
    return number % 3


def stop(_: object) -> object:
    raise StopIteration


# --- neighbours --------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2)), st.integers(1, 4))
def test_the_groups_are_those_of_itertools(items: list[int], maxsize: int) -> None:
    expected = [(key, tuple(group)) for key, group in itertools.groupby(items)]

    async def grouped() -> list[Any]:
        return await sf.stream(items).through(group_adjacent(lambda item: item)).to(sf.collect(), maxsize=maxsize).run()

    assert asyncio.run(grouped()) == expected


async def test_equal_keys_of_another_type_are_equal() -> None:
    assert await sf.stream([1, 1.0, True, 2]).through(group_adjacent(lambda item: item)).collect() == [
        (1, (1, 1.0, True)),
        (2, (2,)),
    ]


async def test_a_key_that_does_not_equal_itself_is_one_key_all_the_same() -> None:
    """As for itertools: the very same object."""
    nan = float("nan")

    assert await sf.stream([1, 2]).through(group_adjacent(lambda _: nan)).collect() == [(nan, (1, 2))]


LIMITED: dict[str, tuple[Callable[[], Any], str]] = {
    "adjacent": (lambda: group_adjacent(lambda number: number // 10, max_items=4), "have the key 0"),
    "split after": (lambda: split_after({3, 13}.__contains__, max_items=4), "end no group"),
    "split": (lambda: split_when(lambda number: number % 10 == 0, max_items=4), "begin no new group"),
}


@pytest.mark.parametrize(("make", "says"), LIMITED.values(), ids=LIMITED.keys())
@pytest.mark.parametrize("source", [itertools.count, lambda: TrackedSource(itertools.count())], ids=["fused", "task"])
async def test_a_group_without_end_is_an_error(make: Callable[[], Any], says: str, source: Callable[[], Any]) -> None:
    """P1: nothing is unbounded, and a group is never cut in two silently."""
    with pytest.raises(sf.LimitExceeded, match=f"more than 4 items in a row {says}"):
        await sf.stream(source()).through(make()).run()


@pytest.mark.parametrize(("make", "says"), LIMITED.values(), ids=LIMITED.keys())
async def test_a_group_may_be_as_long_as_the_limit(make: Callable[[], Any], says: str) -> None:
    numbers = [0, 1, 2, 3, 10, 11, 12, 13]

    assert len(await sf.stream(numbers).through(make()).collect()) == 2


async def test_a_group_that_has_ended_does_not_wait_for_the_next_item() -> None:
    async def forever() -> AsyncIterator[str]:
        yield "a"
        yield "."
        await asyncio.Event().wait()

    async with sf.stream(forever).through(split_after(lambda letter: letter == ".")).open() as groups:
        assert await anext(groups) == ("a", ".")


@pytest.mark.parametrize("operator", [group_adjacent, split_when])
@pytest.mark.parametrize("source", [range(5), TrackedSource(range(5))], ids=["fused", "task"])
async def test_a_stop_out_of_the_function_is_no_end(operator: Any, source: Any) -> None:
    """H36."""
    with pytest.raises((RuntimeError, sf.StageError)):
        await sf.stream(source).through(operator(stop)).run()


async def test_the_first_item_is_not_called_twice_to_find_out() -> None:
    seen: list[int] = []

    async def later(number: int) -> int:
        return number // 2

    def key(number: int) -> Any:
        seen.append(number)
        return later(number)

    groups = await sf.stream(range(4)).through(group_adjacent(key)).collect()

    assert groups == [(0, (0, 1)), (1, (2, 3))]
    assert seen == [0, 1, 2, 3]


async def test_a_group_begins_with_its_item_and_the_first_one_anyhow() -> None:
    lines = ["  lost", "a", "  b", "c", "d"]

    assert await sf.stream(lines).through(split_when(lambda line: line[0] != " ")).collect() == [
        ("  lost",),
        ("a", "  b"),
        ("c",),
        ("d",),
    ]


def test_neighbours_are_fused_and_say_what_they_hold() -> None:
    for stage in (group_adjacent(third, max_items=7), split_when(third, max_items=7)):
        assert stage.transform is not None
        assert (stage.holds_items, stage.groups) == (7, 7)


# --- groups side by side -----------------------------------------------------------------------------------------


def pairs(key: int) -> tuple[Any, ...]:
    """Batches of two, with their key."""
    return sf.batched(2), sf.map(lambda batch: (key, batch))


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 6), st.integers(1, 3))
def test_no_item_is_lost_and_each_key_keeps_its_order(items: list[int], max_open: int, maxsize: int) -> None:
    """Also when keys are closed and opened again."""
    numbered = list(enumerate(items))

    async def grouped() -> list[Any]:
        stage = group_by(lambda item: item[1], lambda _: sf.batched(2), max_open=max_open, maxsize=maxsize)
        return await sf.stream(numbered).through(stage).through(unbatch()).collect()

    got = asyncio.run(grouped())

    assert sorted(got) == numbered
    for key in range(6):
        assert [item for item in got if item[1] == key] == [item for item in numbered if item[1] == key]


async def test_one_key_hot_and_one_cold_do_not_stop_each_other() -> None:
    """H48."""
    got = (
        await sf.stream(range(400))
        .through(group_by(lambda n: n % 10 == 0, lambda _: sf.batched(40), maxsize=1))
        .collect()
    )

    assert sorted(number for batch in got for number in batch) == list(range(400))


@pytest.mark.virtual_time
async def test_a_slow_key_holds_the_source_back() -> None:
    """F5: bounded, whatever one key does."""

    async def stuck(_: object) -> None:
        await asyncio.sleep(10_000)

    source = TrackedSource(itertools.count())
    stage = group_by(third, lambda key: sf.map(stuck) if key == 0 else (), maxsize=2)
    run = asyncio.create_task(sf.pipeline(source, stage, sf.collect(), maxsize=2))
    await asyncio.sleep(100)

    assert source.taken <= 3 * (3 * 2 * 2) + 6
    run.cancel()
    await asyncio.wait([run])
    source.verify()


@pytest.mark.virtual_time
async def test_a_slow_consumer_holds_the_source_back() -> None:
    """F1."""
    source = TrackedSource(itertools.count())
    run = asyncio.create_task(sf.pipeline(source, group_by(third, lambda _: (), maxsize=2), SlowSink(), maxsize=2))
    await asyncio.sleep(100)

    assert source.taken <= 3 * 4 * 2 * 2 + 10
    run.cancel()
    await asyncio.wait([run])
    source.verify()


@pytest.mark.virtual_time
async def test_the_keys_run_side_by_side() -> None:
    async def slow(number: int) -> int:
        await asyncio.sleep(1)
        return number

    assert sorted(await sf.stream(range(30)).through(group_by(lambda n: n % 10, lambda _: sf.map(slow))).collect())
    assert asyncio.get_running_loop().time() == pytest.approx(3)


async def test_a_key_that_makes_place_is_flushed_and_forgotten() -> None:
    """USERS 35."""
    opened: list[int] = []

    def stages(key: int) -> tuple[Any, ...]:
        opened.append(key)
        return pairs(key)

    got = await sf.stream([0, 1, 0, 2, 0, 1, 1]).through(group_by(lambda n: n, stages, max_open=2)).collect()

    # 2 closes 1, which was used longest ago; 1 then closes 2.
    assert sorted(got) == [(0, (0,)), (0, (0, 0)), (1, (1,)), (1, (1, 1)), (2, (2,))]
    assert opened == [0, 1, 2, 1]


async def test_too_many_keys_may_be_an_error() -> None:
    """USERS 35."""
    with pytest.raises(sf.LimitExceeded, match="group_by: 2 keys are open and another came, 2"):
        await sf.stream(range(9)).through(group_by(third, lambda _: (), max_open=2, overflow="fail")).run()


async def test_many_keys_leave_nothing_behind() -> None:
    """USERS 35: what is closed is forgotten."""
    got = await sf.stream(range(300)).through(group_by(lambda n: n, pairs, max_open=5)).collect()

    assert sorted(got) == [(number, (number,)) for number in range(300)]


@pytest.mark.virtual_time
async def test_an_idle_key_is_closed_and_may_come_again() -> None:
    came: list[Any] = []
    now = asyncio.get_running_loop().time
    stage = group_by(lambda moment: int(moment) % 2, lambda _: sf.batched(99), idle=5)
    await sf.stream(at([2, 3, 4, 11.5, 12, 40])).through(stage).for_each(lambda batch: came.append((now(), batch)))

    assert came == [(8, (3,)), (9, (2, 4)), (16.5, (11.5,)), (17, (12,)), (40, (40,))]


@pytest.mark.virtual_time
async def test_a_source_that_is_never_silent_still_lets_idle_keys_go() -> None:
    moments = [0.5 * number for number in range(1, 60)]
    stage = group_by(lambda moment: moment > 1, lambda _: sf.batched(999), idle=5)

    assert (await sf.stream(at(moments)).through(stage).first()) == (0.5, 1.0)
    assert asyncio.get_running_loop().time() <= 6.5


async def test_stages_that_have_enough_get_no_more() -> None:
    got = await sf.stream(range(3000)).through(group_by(third, lambda _: sf.take(2), maxsize=1)).collect()

    assert sorted(got) == [0, 1, 2, 3, 4, 5]


async def test_no_stages_at_all_pass_items_on() -> None:
    assert await sf.stream([3, 3, 3]).through(group_by(third, lambda _: ())).collect() == [3, 3, 3]


# --- errors ------------------------------------------------------------------------------------------------------


def fails_at(bad: int) -> Callable[[int], int]:
    def check(number: int) -> int:
        if number == bad:
            raise Broken(str(number))
        return number

    return check


async def test_an_error_in_one_group_ends_all() -> None:
    source = TrackedSource(itertools.count(), delay=0)
    got: list[int] = []
    with pytest.raises(Broken, match="30") as caught:
        await sf.stream(source).through(group_by(third, lambda _: sf.map(fails_at(30)))).for_each(got.append)

    assert [number for number in got if number % 3 == 0] == list(range(0, 30, 3))
    assert any("'map of group 0'" in note for note in caught.value.__notes__)
    source.verify()


@pytest.mark.parametrize(
    "key", [fails_at(30), lambda number: [number] if number == 30 else 1], ids=["raises", "a list"]
)
async def test_an_error_of_the_key_comes_after_the_items_before_it(key: Any) -> None:
    got: list[int] = []
    with pytest.raises((Broken, TypeError)):
        await sf.stream(range(99)).through(group_by(key, lambda _: sf.map(int))).for_each(got.append)

    assert sorted(got) == list(range(30))


async def test_an_error_above_is_one_error_however_many_groups_meet_it() -> None:
    error = Broken("above")
    met: list[int] = []

    def watched(key: int) -> Any:
        async def stage(items: AsyncIterator[int]) -> AsyncIterator[int]:
            try:
                async for item in items:
                    yield item
            except Broken:
                met.append(key)
                raise

        return stage

    got: list[int] = []
    with pytest.raises(Broken) as caught:
        await sf.stream(TrackedSource(range(30), error=error)).through(group_by(third, watched)).for_each(got.append)

    assert caught.value is error
    assert sorted(got) == list(range(30))
    assert sorted(met) == [0, 1, 2]
    assert len(caught.value.__notes__) == 1


async def test_what_a_group_makes_of_an_error_above_is_what_is_raised() -> None:
    async def renamed(items: AsyncIterator[int]) -> AsyncIterator[int]:
        try:
            async for item in items:
                yield item
        except Broken:
            raise ValueError("renamed") from None

    with pytest.raises(ValueError, match="renamed"):
        await sf.stream(TrackedSource(range(3), error=Broken())).through(group_by(lambda _: 1, lambda _: renamed)).run()


async def test_a_key_whose_stages_are_none_is_an_error_that_names_it() -> None:
    with pytest.raises(sf.UsageError) as caught:
        await sf.stream(range(3)).through(group_by(third, lambda _: 5)).run()

    assert any("stages(0) must return a stage" in note for note in caught.value.__notes__)


def test_what_cannot_mean_anything_is_refused() -> None:
    """F14."""
    for wrong in (0, -1, True, 1.5):
        with pytest.raises(sf.UsageError, match=r"group_by\(max_open\)"):
            group_by(third, pairs, max_open=wrong)
        with pytest.raises(sf.UsageError, match=r"group_adjacent\(max_items\)"):
            group_adjacent(third, max_items=wrong)
        with pytest.raises(sf.UsageError, match=r"split_when\(max_items\)"):
            split_when(third, max_items=wrong)
    with pytest.raises(sf.UsageError, match=r"group_by\(idle\)"):
        group_by(third, pairs, idle=0)
    with pytest.raises(sf.UsageError, match="overflow must be 'close' or 'fail'"):
        group_by(third, pairs, overflow="drop")
    with pytest.raises(sf.UsageError, match="overflow must be 'close' or 'fail'"):
        group_by(third, pairs, overflow=["close"])  # a list cannot be hashed
    with pytest.raises(sf.UsageError, match="write lambda key: "):
        group_by(third, sf.batched(3))
    with pytest.raises(sf.UsageError, match="group_by needs a function"):
        group_by("country", pairs)


# --- the ends ----------------------------------------------------------------------------------------------------


async def test_an_early_stop_ends_every_group_in_its_own_task() -> None:
    """P7, X8."""
    trace = Trace()

    def traced(key: int) -> Any:
        async def stage(items: AsyncIterator[int]) -> AsyncIterator[int]:
            task = asyncio.current_task()
            try:
                async for item in items:
                    yield item
            finally:
                await asyncio.sleep(0)
                assert asyncio.current_task() is task
                trace(f"closed {key}")

        return stage

    source = TrackedSource(itertools.count(), delay=0)
    assert len(await sf.stream(source).through(group_by(third, traced)).take(9).collect()) == 9
    assert sorted(trace.events) == ["closed 0", "closed 1", "closed 2"]
    source.verify()


@pytest.mark.slow
@pytest.mark.parametrize("max_open", [1, 9])
def test_cancelled_at_any_step_it_leaves_nothing(max_open: int) -> None:
    """P7."""

    def check(_: object, outcome: Outcome) -> None:
        assert outcome.ended in {"returned", "cancelled"}

    async def scenario() -> list[Any]:
        stage = group_by(lambda n: n % 2, lambda _: sf.batched(2), max_open=max_open, maxsize=1, idle=0.25)
        return await sf.pipeline(TrackedSource(range(4), delay=0.1), stage, sf.collect(), maxsize=1)

    assert cancel_everywhere(scenario, check) > 50


async def later(items: AsyncIterator[int]) -> AsyncIterator[int]:
    async for item in items:
        await asyncio.sleep(0)
        yield item


FIRST: dict[str, Callable[[], Any]] = {
    "a transform": lambda: sf.map(int),
    "a generator function": lambda: later,
    "a buffer": lambda: sf.buffer(2),
    "a buffer that drops": lambda: sf.buffer(99, overflow="drop_oldest"),
    "a concurrent map": lambda: sf.map(int, concurrency=2),
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST.keys())
@pytest.mark.parametrize("more", [(), (sf.map(int),), (later,)], ids=["alone", "before a map", "before a generator"])
async def test_any_stage_may_stand_first_in_a_group(first: Callable[[], Any], more: tuple[Any, ...]) -> None:
    got = await sf.stream(range(60)).through(group_by(third, lambda _: (first(), *more))).collect()

    assert sorted(got) == list(range(60))
    assert [number for number in got if number % 3 == 0] == list(range(0, 60, 3))


@pytest.mark.virtual_time
async def test_a_time_limit_inside_a_stage_of_a_group_is_its_own() -> None:
    """H32: it may strike while the stage stands at its `yield`."""

    async def limited(items: AsyncIterator[int]) -> AsyncIterator[int]:
        async with asyncio.timeout(5):
            async for item in items:
                yield item

    async def slow(items: AsyncIterator[int]) -> None:
        async for _ in items:
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError):
        await sf.pipeline(itertools.count(), group_by(third, lambda _: limited, maxsize=2), slow, maxsize=2)
    assert asyncio.get_running_loop().time() < 60


def test_an_error_at_the_very_end_is_never_lost() -> None:
    """P4: for every order of the loop's steps."""

    async def fails_at_the_end(items: AsyncIterator[int]) -> AsyncIterator[int]:
        async for item in items:
            yield item
        raise Broken

    async def scenario() -> list[int]:
        return await sf.stream(range(3)).through(group_by(third, lambda _: fails_at_the_end)).collect()

    for seed in range(100):
        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner, pytest.raises(Broken):
            runner.run(scenario())
