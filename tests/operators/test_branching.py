"""Each item to the one it belongs to: two streams, sinks by a key."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

import pytest

import streamflow as sf
from streamflow.operators.branching import partition, route
from streamflow.testing import DeadlockError, Outcome, SlowSink, StepLoop, TrackedSource, cancel_everywhere

FALSY: list[Any] = [0, "", None, False, 0.0, []]


class Broken(Exception):
    """What the tests raise."""


def is_odd(number: int) -> int:
    return number % 2


async def is_odd_later(number: int) -> int:
    await asyncio.sleep(0)
    return number % 2


async def settled(steps: int = 200) -> None:
    """Let everything go on as far as it can."""
    for _ in range(steps):
        await asyncio.sleep(0)


async def both(*flows: Any) -> list[list[Any]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sf.stream(flow).collect()) for flow in flows]
    return [task.result() for task in tasks]


# --- partition ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fn", [is_odd, is_odd_later])
@pytest.mark.parametrize("maxsize", [1, 1024])
async def test_partition_gives_each_item_to_one_of_two(fn: Callable[[int], Any], maxsize: int) -> None:
    source = TrackedSource(range(9))

    assert await both(*partition(source, fn, maxsize=maxsize)) == [[1, 3, 5, 7], [0, 2, 4, 6, 8]]
    assert source.opened == 1
    source.verify()


async def test_falsy_items_are_parted() -> None:
    falsy, rest = await both(*partition([*FALSY, 1], lambda item: not item))

    assert falsy == FALSY
    assert list(map(type, falsy)) == list(map(type, FALSY))
    assert rest == [1]


async def test_the_branch_that_the_next_item_belongs_to_gates() -> None:
    source = TrackedSource(itertools.count())
    odd, even = partition(source, is_odd, maxsize=2)
    got: list[int] = []
    run = asyncio.create_task(sf.stream(odd).for_each(got.append))
    await settled()
    assert got == [1, 3]  # 0 and 2 wait for the other, and 4 with the fan

    del even
    gc.collect()
    await settled()
    assert len(got) > 20
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    source.verify()


async def test_items_of_a_branch_that_has_left_are_dropped() -> None:
    odd, even = partition(range(1000), is_odd, maxsize=2)

    assert await both(sf.stream(odd).take(1), even) == [[1], list(range(0, 1000, 2))]


async def test_the_source_is_closed_when_both_have_left() -> None:
    source = TrackedSource(itertools.count())
    odd, even = partition(source, is_odd)

    assert await both(sf.stream(odd).take(1), sf.stream(even).take(3)) == [[1], [0, 2, 4]]
    source.verify()


async def test_an_error_of_the_function_reaches_both_branches_after_their_items() -> None:
    """E14."""
    source = TrackedSource(range(9))

    def fails(number: int) -> int:
        if number == 5:
            raise Broken("five")
        return number % 2

    for way, wanted in zip(partition(source, fails), ([1, 3], [0, 2, 4]), strict=True):
        got: list[int] = []
        with pytest.raises(Broken, match="five") as caught:
            await sf.stream(way).for_each(got.append)
        assert got == wanted
        assert any("'partition', at item 6" in note for note in caught.value.__notes__)
    source.verify()


async def test_an_error_of_the_source_reaches_both_branches() -> None:
    """E14."""
    for way in partition(TrackedSource(range(9), error=Broken()), is_odd):
        with pytest.raises(Broken):
            await sf.stream(way).collect()


async def test_a_cancelled_error_of_the_function_is_an_error() -> None:
    """P4: nobody asked for it."""

    async def stray(_number: int) -> bool:
        raise asyncio.CancelledError

    for way in partition(range(3), stray):
        with pytest.raises(sf.StageCancelled):
            await sf.stream(way).collect()


def test_reading_one_to_its_end_before_the_other_is_a_deadlock_that_a_step_loop_names() -> None:
    """H46."""

    async def main() -> None:
        odd, even = partition(range(20), is_odd, maxsize=4)
        await sf.stream(odd).collect()
        await sf.stream(even).collect()

    with pytest.raises(DeadlockError), asyncio.Runner(loop_factory=StepLoop) as runner:
        runner.run(main())


async def test_partition_of_a_stream_is_two_streams() -> None:
    odd, even = sf.stream(range(5)).partition(is_odd)

    assert await both(odd.map(str), even) == [["1", "3"], [0, 2, 4]]


# --- route -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [is_odd, is_odd_later])
async def test_route_gives_each_item_to_the_branch_of_its_key(key: Callable[[int], Any]) -> None:
    value = await sf.pipeline(range(5), route(key, {0: sf.collect(), 1: [sf.map(str), sf.collect()]}))

    assert value == {0: [0, 2, 4], 1: ["1", "3"]}


async def test_falsy_keys_and_items_are_data() -> None:
    value = await sf.pipeline(
        [0, "", None], route(lambda item: item, {None: sf.collect(), 0: sf.collect(), "": sf.count()})
    )

    assert value == {None: [None], 0: [0], "": 1}


async def test_a_key_without_a_branch_is_an_error_that_names_it_and_the_item() -> None:
    source = TrackedSource(range(9))
    committed: list[int] = []

    async def store(items: AsyncIterable[int]) -> None:
        async for _ in items:
            pass
        committed.append(1)

    with pytest.raises(LookupError, match=r"item 3 has the key 2, for which there is no branch \(there are: 0, 1\)"):
        await sf.pipeline(source, route(lambda number: number, {0: store, 1: store}))
    assert committed == []
    source.verify()


async def test_the_default_branch_takes_the_other_keys_and_its_value_stands_under_none() -> None:
    value = await sf.pipeline(range(5), route(lambda number: number, {1: sf.count()}, default=sf.collect()))

    assert value == {1: 1, None: [0, 2, 3, 4]}


async def test_only_the_branch_of_the_next_item_gates() -> None:
    slow: SlowSink[int] = SlowSink()
    source = TrackedSource([0, 1, 1, 1, 0, 0, 0])
    fan = route(lambda number: number, {0: slow, 1: sf.collect()}, maxsize=2)
    run = asyncio.create_task(sf.pipeline(source, fan))
    await settled()
    zeros, ones = fan.stats()

    assert (zeros.waiting, ones.taken) == (2, 3)
    slow.gate.open()
    assert await run == {0: [0] * 4, 1: [1] * 3}


async def test_items_of_a_branch_that_has_enough_are_dropped_and_counted() -> None:
    async def source() -> AsyncIterator[int]:
        for number in range(10):
            yield number
            await settled(20)

    fan = route(is_odd, {0: sf.first(), 1: sf.count()})

    assert await sf.pipeline(source, fan) == {0: 0, 1: 5}
    assert [seen.dropped for seen in fan.stats()] == [4, 0]


async def test_an_error_of_the_key_aborts_every_branch() -> None:
    committed: list[int] = []

    async def store(items: AsyncIterable[int]) -> None:
        async for _ in items:
            pass
        committed.append(1)

    with pytest.raises(ZeroDivisionError) as caught:
        await sf.pipeline([1, 0], route(lambda number: 1 // number, {1: store}))
    assert committed == []
    assert any("at item 2" in note for note in caught.value.__notes__)


async def test_a_cancelled_error_of_the_key_is_an_error() -> None:
    """P4: nobody asked for it."""

    async def stray(_number: int) -> int:
        raise asyncio.CancelledError

    with pytest.raises(sf.StageCancelled):
        await sf.pipeline(range(3), route(stray, {1: sf.count()}))


async def test_a_key_that_cannot_be_one_is_an_error() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        await sf.pipeline([[]], route(lambda item: item, {1: sf.count()}))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: partition(range(3), 3), "partition needs a function"),  # type: ignore[arg-type]
        (lambda: partition(range(3), bool, maxsize=-1), "maxsize"),
        (lambda: partition(3, bool), "source must be"),  # type: ignore[arg-type]
        (lambda: route(3, {1: sf.count()}), "route needs a function"),  # type: ignore[arg-type]
        (lambda: route(bool, {}), "at least one branch"),
        (lambda: route(bool, sf.count()), "at least one branch"),  # type: ignore[arg-type]
        (lambda: route(bool, {None: sf.count()}, default=sf.count()), "None is a key"),
        (lambda: route(bool, {1: sf.map(str)}), "is a stage"),
        (lambda: route(bool, {1: sf.count()}, maxsize=0), "maxsize"),
    ],
)
def test_misuse_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(sf.UsageError, match=message):
        make()


def test_route_cancelled_after_every_step_closes_everything() -> None:
    class Scene:
        def __init__(self) -> None:
            self.source = TrackedSource(range(4), delay=0)

        async def __call__(self) -> Any:
            return await sf.pipeline(self.source, route(is_odd, {0: sf.count(), 1: sf.count()}, maxsize=1))

    def check(scene: Scene, outcome: Outcome) -> None:
        scene.source.verify()
        assert outcome.ended != "returned" or outcome.value == {0: 2, 1: 2}

    cancel_everywhere(Scene, check)
