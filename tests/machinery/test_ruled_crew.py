"""Concurrent calls with rules: keys, a separate bound for what waits, and calls without results."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import Any

import pytest

import streamflow as sf
from streamflow.engine.feeding import reading
from streamflow.machinery.crews.ruled_crew import RuledCrew
from streamflow.operators.concurrency import for_each
from streamflow.operators.concurrency import map as mapped
from streamflow.testing import Gate, Outcome, SlowSink, TrackedSource, cancel_everywhere

both_orders = pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])

Item = tuple[str, float]


class Broken(Exception):
    """What the tests raise."""


class Keyed:
    """A function to map over items of a key and seconds, that watches who runs beside whom."""

    def __init__(self) -> None:
        self.running: defaultdict[str, int] = defaultdict(int)
        self.most = 0
        self.begun: defaultdict[str, list[float]] = defaultdict(list)

    async def __call__(self, item: Item) -> Item:
        key, seconds = item
        assert not self.running[key], f"two of {key} at once"
        self.begun[key].append(seconds)
        self.running[key] += 1
        self.most = max(self.most, sum(self.running.values()))
        try:
            await asyncio.sleep(seconds)
        finally:
            self.running[key] -= 1
        return item


def key_of(item: Item) -> str:
    return item[0]


# --- key ---------------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@both_orders
async def test_items_of_a_key_are_called_one_at_a_time_and_in_order(ordered: bool) -> None:
    dice = random.Random(5)
    items = [(dice.choice("abcdef"), dice.random()) for _ in range(500)]
    call = Keyed()

    got = await sf.pipeline(items, mapped(call, concurrency=4, ordered=ordered, key=key_of), sf.collect())

    assert got == items if ordered else sorted(got) == sorted(items)
    assert call.most == 4
    for key in "abcdef":
        assert call.begun[key] == [seconds for name, seconds in items if name == key]


@pytest.mark.virtual_time
async def test_an_item_that_waits_for_its_key_keeps_no_call_from_running() -> None:
    """Two of `a` wait, and `b` and `c` run beside the first."""
    items = [("a", 5.0), ("a", 5.0), ("b", 5.0), ("a", 5.0), ("c", 5.0)]

    await sf.pipeline(items, mapped(Keyed(), concurrency=3, key=key_of), sf.collect())

    assert asyncio.get_running_loop().time() == 15.0


@pytest.mark.virtual_time
async def test_items_that_wait_for_their_key_are_bounded_by_the_window() -> None:
    """H53: no line grows without bound."""
    source = TrackedSource([("a", 1000.0)] * 500)
    run = asyncio.create_task(
        sf.pipeline(source, mapped(Keyed(), concurrency=3, max_waiting=4, key=key_of), sf.collect(), maxsize=1)
    )
    await asyncio.sleep(10)

    assert source.taken <= 7 + 3  # the window, and a channel of one with an item at both of its ends
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.virtual_time
async def test_idle_keys_are_forgotten() -> None:
    async def items() -> Any:
        for number in range(1000):
            yield (str(number % 300), 0.0)

    call = Keyed()
    async with reading(items()) as reader:

        async def numbered(item: Item, _number: int) -> Item:
            return await call(item)

        crew = RuledCrew(numbered, reader, 3, ordered=True, key=key_of)
        crew.start()
        while await crew.results_are_ready():
            for _ in crew.ready():
                pass
            assert len(crew._lines) <= 6
        assert crew._lines == {}
        await crew.dismiss()


@pytest.mark.virtual_time
async def test_what_comes_before_a_failure_is_called_although_it_waits_for_its_key() -> None:
    """P3: the second of `a` waits when `b` fails, and comes before it."""
    got: list[Item] = []

    async def call(item: Item) -> Item:
        await asyncio.sleep(item[1])
        if item[0] == "b":
            raise Broken
        return item

    items = [("a", 5.0), ("a", 5.0), ("b", 1.0), ("a", 5.0), ("c", 1.0)]
    with pytest.raises(Broken) as caught:
        await sf.pipeline(items, mapped(call, concurrency=3, key=key_of), for_each(got.append))

    assert got == items[:2]
    assert caught.value.__notes__[0] == "it was the call for item 3"


@pytest.mark.virtual_time
async def test_after_a_failure_what_comes_later_is_not_called() -> None:
    begun: list[Item] = []

    async def call(item: Item) -> None:
        begun.append(item)
        await asyncio.sleep(item[1])
        if item == ("a", 1.0):
            raise Broken

    items = [("z", 9.0), ("a", 1.0), ("a", 2.0), ("a", 3.0)]
    with pytest.raises(Broken):
        await sf.pipeline(items, mapped(call, concurrency=2, max_waiting=9, key=key_of), sf.collect())

    assert begun == items[:2]


@both_orders
async def test_what_the_key_function_raises_is_that_items_error(ordered: bool) -> None:
    def fail(item: int) -> int:
        if item == 3:
            raise Broken
        return item

    with pytest.raises(Broken) as caught:
        await sf.stream(range(9)).through(mapped(str, concurrency=2, key=fail, ordered=ordered)).run()

    assert caught.value.__notes__[0] == "it was the call for item 4"


async def test_a_cancellation_out_of_the_key_function_is_that_items_error() -> None:
    """P4."""

    def fail(item: int) -> int:
        if item == 3:
            raise asyncio.CancelledError
        return item

    got: list[str] = []
    with pytest.raises(sf.StageCancelled, match=r"a call of map\(\)"):
        await sf.pipeline(range(9), mapped(str, concurrency=2, key=fail), for_each(got.append))
    assert got == ["0", "1", "2"]


async def test_a_key_that_cannot_be_hashed_is_an_error() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        await sf.stream(range(9)).through(mapped(str, concurrency=2, key=lambda item: [item])).run()


async def test_a_key_that_is_awaitable_is_an_error() -> None:
    async def key(item: int) -> int:
        return item

    with pytest.raises(sf.UsageError, match="key must be a synchronous function"):
        mapped(str, concurrency=2, key=key)
    with pytest.raises(sf.UsageError, match="key= returned an awaitable"):
        await sf.stream(range(9)).through(mapped(str, concurrency=2, key=lambda item: key(item + 1))).run()


class _Run:
    def __init__(self) -> None:
        self.calls = Keyed()
        self.source = TrackedSource([("a", 0.3), ("a", 0.1), ("b", 0.2), ("a", 0.1), ("c", 0.1)], delay=0.05)
        self.got: list[Item] = []

    async def __call__(self) -> None:
        flow = sf.stream(self.source).through(mapped(self.calls, concurrency=2, key=key_of, timeout=5.0))
        async with flow.open(maxsize=1) as items:
            async for item in items:
                self.got.append(item)
                await asyncio.sleep(0.01)


def test_cancelled_at_any_step_it_leaves_nothing_running() -> None:
    """X14, X16, P7."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        assert not any(run.calls.running.values())
        assert outcome.ended != "returned" or len(run.got) == 5

    assert cancel_everywhere(_Run, check, stride=3) > 30


# --- max_waiting -------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@both_orders
@pytest.mark.parametrize("max_waiting", [0, 1, 20])
async def test_a_stopped_consumer_leaves_no_more_in_flight_than_the_window(max_waiting: int, ordered: bool) -> None:
    """USERS 32."""
    gate, source = Gate(), TrackedSource(range(1000))
    stage = mapped(asyncio.sleep, concurrency=4, ordered=ordered, max_waiting=max_waiting)
    run = asyncio.create_task(sf.pipeline(source, stage, SlowSink[Any](gate), maxsize=1))
    await asyncio.sleep(10_000)

    below, above = 2, 2  # a channel of one with an item at both of its ends
    assert 4 + max_waiting <= source.taken <= 4 + max_waiting + below + above
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.virtual_time
@pytest.mark.parametrize("max_waiting", [0, 4, 100])
async def test_results_that_may_wait_bridge_a_slow_call(max_waiting: int) -> None:
    """H49, USERS 32: behind a call of 100 s others of 1 s go on, 3 at a time, as far as the window reaches."""
    begun = 0

    async def call(seconds: float) -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(seconds)

    items = [100.0] + [1.0] * 500
    run = asyncio.create_task(sf.stream(items).through(mapped(call, concurrency=4, max_waiting=max_waiting)).run())
    await asyncio.sleep(99)

    assert begun == 4 + max_waiting
    left = 501 - begun
    await run
    assert asyncio.get_running_loop().time() == pytest.approx(100 + left / 4, abs=2)


@pytest.mark.virtual_time
@pytest.mark.parametrize("max_waiting", [0, 1, 4, 50])
async def test_all_calls_run_at_once_whatever_may_wait(max_waiting: int) -> None:
    stage = mapped(asyncio.sleep, concurrency=10, max_waiting=max_waiting)

    await sf.pipeline([1.0] * 100, stage, sf.collect())

    assert asyncio.get_running_loop().time() == pytest.approx(10.0)


@pytest.mark.parametrize("max_waiting", [-1, 1.5, True, float("inf"), "4"])
def test_a_bound_that_cannot_mean_anything_is_refused(max_waiting: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match="max_waiting must be a whole number"):
        mapped(str, concurrency=2, max_waiting=max_waiting)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"max_waiting": 4}, "max_waiting= has no effect"), ({"key": str}, "key= has no effect")],
)
def test_what_needs_concurrency_is_refused_without(arguments: dict[str, Any], message: str) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=message):
        mapped(str, **arguments)


def test_the_stage_says_what_it_may_hold() -> None:
    stage = mapped(str, concurrency=8, max_waiting=100, key=str)

    assert (stage.name, stage.concurrency, stage.holds_items) == ("map(concurrency=8, key=str)", 8, 108)


# --- for_each ----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_for_each_keeps_the_order_within_a_key() -> None:
    call = Keyed()
    items = [("a", 1.0), ("b", 3.0), ("a", 2.0), ("b", 1.0)]

    assert await sf.pipeline(items, for_each(call, concurrency=4, key=key_of)) == 4
    assert dict(call.begun) == {"a": [1.0, 2.0], "b": [3.0, 1.0]}
    assert asyncio.get_running_loop().time() == 4.0


@pytest.mark.virtual_time
async def test_for_each_ends_at_once_with_the_first_failure() -> None:
    async def call(seconds: float) -> None:
        await asyncio.sleep(seconds)
        if seconds == 2.0:
            raise Broken

    with pytest.raises(Broken):
        await sf.pipeline([99.0, 1.0, 2.0, 99.0], for_each(call, concurrency=4, timeout=200))

    assert asyncio.get_running_loop().time() == 2.0


def test_for_each_says_what_it_does() -> None:
    assert for_each(str).name == "for_each"
    assert for_each(str, concurrency=8).name == "for_each(concurrency=8)"
    assert for_each(str, concurrency="auto").name == "for_each(concurrency=auto)"
