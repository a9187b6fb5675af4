"""map with concurrency: bounded, prompt, ordered, and nothing left behind however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import random
import sys
import weakref
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import pytest

import streamflow as sf
from streamflow.machinery.crews import crew, turns
from streamflow.testing import Gate, Outcome, SlowSink, Trace, TrackedSource, cancel_everywhere

both_orders = pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])


class Broken(Exception):
    """What the tests raise."""


class Calls:
    """A function to map that counts the calls at work; each takes the seconds that its item says."""

    def __init__(self) -> None:
        self.running = self.most = self.started = self.cancelled = 0

    async def __call__(self, seconds: float) -> float:
        self.started += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return seconds


async def echo(item: Any) -> Any:
    await asyncio.sleep(0)
    return item


# --- emits when --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [2, 3, 16, 10_000])
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
async def test_the_order_of_the_input_is_kept(concurrency: int, count: int) -> None:
    async def jittery(number: int) -> int:
        for _ in range(random.randrange(4)):
            await asyncio.sleep(0)
        return number

    random.seed(7)

    assert await sf.stream(range(count)).map(jittery, concurrency=concurrency).collect() == list(range(count))


@pytest.mark.virtual_time
async def test_unordered_results_leave_as_they_are_done() -> None:
    slept = sf.stream([5.0, 1.0, 3.0]).map(Calls(), concurrency=3, ordered=False)

    assert await slept.collect() == [1.0, 3.0, 5.0]


@both_orders
@pytest.mark.parametrize("source", [range(300), TrackedSource(range(300))], ids=["sync", "async"])
async def test_every_item_comes_out_once(ordered: bool, source: Any) -> None:
    assert sorted(await sf.stream(source).map(echo, concurrency=7, ordered=ordered).collect()) == list(range(300))


@pytest.mark.virtual_time
@both_orders
async def test_a_result_does_not_wait_for_the_next_input(ordered: bool) -> None:
    """R3: with a slow source, the first result leaves after one interval."""
    trace = Trace()
    source = TrackedSource(range(4), delay=0.1)
    job = sf.stream(source).map(lambda number: number, concurrency=8, ordered=ordered)

    await job.for_each(lambda _: trace("out"))

    assert trace.times == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.virtual_time
async def test_finished_results_leave_while_the_source_is_silent_for_ever() -> None:
    async def three_and_then_nothing() -> AsyncIterator[float]:
        for _ in range(3):
            yield 1.0
        await asyncio.Event().wait()

    assert await sf.stream(three_and_then_nothing()).map(Calls(), concurrency=2).take(3).count() == 3


@both_orders
async def test_falsy_items_and_results_are_data(ordered: bool) -> None:
    """E7."""
    falsy = [0, "", None, False, [], 0.0]

    assert await sf.stream(falsy).map(echo, concurrency=2, ordered=ordered).collect() == falsy


async def test_the_callable_may_be_synchronous_or_return_awaitables_now_and_then() -> None:
    def sometimes(number: int) -> Any:
        return echo(number) if number % 3 else number

    assert await sf.stream(range(20)).map(sometimes, concurrency=4).collect() == list(range(20))


# --- backpressures when ------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@both_orders
@pytest.mark.parametrize("concurrency", [2, 3, 50])
async def test_at_most_so_many_calls_run_and_all_of_them_do(concurrency: int, ordered: bool) -> None:
    calls = Calls()
    seconds = [random.Random(3).random() for _ in range(300)]

    await sf.stream(seconds).map(calls, concurrency=concurrency, ordered=ordered).run()

    assert calls.most == concurrency


@pytest.mark.virtual_time
@both_orders
async def test_all_calls_run_at_once_from_the_beginning(ordered: bool) -> None:
    """A crew of 1,000 is at work at once: 5,000 calls of a second each take 5 seconds."""
    await sf.stream([1.0] * 5000).map(Calls(), concurrency=1000, ordered=ordered).run()

    assert asyncio.get_running_loop().time() == pytest.approx(5.0)


@pytest.mark.virtual_time
@both_orders
async def test_a_stopped_consumer_leaves_at_most_twice_as_many_items_in_flight(ordered: bool) -> None:
    """H53: what is taken without a place is nothing."""
    gate, calls = Gate(), Calls()
    sink = SlowSink[float](gate)
    run = asyncio.create_task(
        sf.pipeline([1.0] * 1000, sf.map(calls, concurrency=4, ordered=ordered), sink, maxsize=10)
    )
    for taken in range(20):
        await asyncio.sleep(100)
        assert calls.started <= len(sink.items) + 10 + 2 * 4
        assert len(sink.items) == taken
        gate.let(1)

    assert calls.started >= 20 + 10
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.virtual_time
async def test_one_slow_item_holds_up_no_more_than_the_window() -> None:
    """H49: in order, at most 2n - 1 are started behind it; out of order it holds up nobody."""
    for ordered, started in ((True, 8), (False, 1000)):
        calls = Calls()
        flow = sf.stream([9999.0] + [0.1] * 999).map(calls, concurrency=4, ordered=ordered)
        run = asyncio.create_task(flow.run())
        await asyncio.sleep(1000)

        assert calls.started == started
        run.cancel()
        await asyncio.wait([run])


@pytest.mark.virtual_time
async def test_a_slow_source_needs_no_crowd() -> None:
    """Workers are hired when there is something to do."""
    before = len(asyncio.all_tasks())
    most = 0

    def look(number: int) -> None:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()) - before)

    await sf.stream(TrackedSource(range(20), delay=1.0)).map(echo, concurrency=100).for_each(look)

    assert most <= 3 + 3  # the segments, and the workers


async def test_instant_calls_do_not_keep_the_loop_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """P8: each call takes a millisecond of a clock that only they move; others get a turn after each."""
    now = 0.0
    calls_at_tick: list[int] = []
    calls = 0

    def slow(number: int) -> int:
        nonlocal now, calls
        now += 0.001
        calls += 1
        return number

    async def tick() -> None:
        while calls < 200:
            calls_at_tick.append(calls)
            await asyncio.sleep(0)
        calls_at_tick.append(calls)

    for module in (crew, turns):
        monkeypatch.setattr(module, "perf_counter", lambda: now)
    ticking = asyncio.create_task(tick())
    await sf.stream(range(200)).map(slow, concurrency=100).run()
    await ticking

    longest = max(after - before for before, after in itertools.pairwise(calls_at_tick))
    assert longest <= 2


# --- completes when ----------------------------------------------------------------------------------------------


@both_orders
async def test_a_source_of_nothing_completes(ordered: bool) -> None:
    """C7."""
    assert await sf.stream([]).map(echo, concurrency=3, ordered=ordered).collect() == []


@pytest.mark.virtual_time
async def test_it_completes_with_the_last_result() -> None:
    await sf.stream([3.0, 1.0]).map(Calls(), concurrency=2).run()

    assert asyncio.get_running_loop().time() == 3.0


@both_orders
async def test_it_works_by_hand_on_a_plain_generator(ordered: bool) -> None:
    source = TrackedSource(range(50))

    assert sorted([item async for item in sf.map(echo, concurrency=3, ordered=ordered)(source)]) == list(range(50))
    source.verify()


async def test_left_by_hand_it_closes_its_input() -> None:
    source = TrackedSource(itertools.count())

    async with aclosing(sf.map(echo, concurrency=3)(source)) as items:  # type: ignore[type-var]  # it is a generator
        assert await anext(items) == 0

    source.verify()


# --- on error ----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_an_error_surfaces_at_its_turn_and_the_others_are_cancelled_and_awaited() -> None:
    """E11: item 1 fails first, but item 0 comes first."""
    trace, got = Trace(), list[float]()

    async def call(seconds: float) -> float:
        try:
            await asyncio.sleep(seconds)
            if seconds == 1.0:
                raise Broken
        except asyncio.CancelledError:
            await asyncio.sleep(10)
            trace("a loser has cleaned up")
            raise
        return seconds

    with pytest.raises(Broken) as caught:
        await sf.pipeline([5.0, 1.0, 100.0, 100.0], sf.map(call, concurrency=4), sf.for_each(got.append))

    assert got == [5.0]
    assert trace.events == ["a loser has cleaned up"] * 2
    assert trace.times == [15.0] * 2
    assert caught.value.__notes__[0] == "it was the call for item 2"
    assert any("in stage 2 of 3 of pipeline: 'map(concurrency=4)'" in note for note in caught.value.__notes__)


@pytest.mark.virtual_time
async def test_unordered_an_error_surfaces_when_it_happens() -> None:
    calls = Calls()

    async def fail(seconds: float) -> None:
        await calls(seconds)
        if seconds == 2.0:
            raise Broken

    with pytest.raises(Broken):
        await sf.stream([9.0, 1.0, 2.0, 9.0]).map(fail, concurrency=4, ordered=False).run()

    assert asyncio.get_running_loop().time() == 2.0
    assert (calls.running, calls.cancelled) == (0, 2)


@pytest.mark.virtual_time
async def test_after_an_error_no_further_call_starts() -> None:
    calls = Calls()

    async def fail(seconds: float) -> None:
        await calls(seconds)
        if seconds == 1.0:
            raise Broken

    with pytest.raises(Broken):
        await sf.stream([*[0.5] * 20, 3.0, 1.0, *[0.5] * 50]).map(fail, concurrency=2).run()

    assert calls.started == 22


@pytest.mark.virtual_time
@both_orders
async def test_an_error_of_the_input_comes_after_the_results_before_it(ordered: bool) -> None:
    """P3."""
    source = TrackedSource([3.0, 2.0, 1.0], error=Broken())
    got: list[float] = []

    with pytest.raises(Broken):
        await sf.stream(source).map(Calls(), concurrency=8, ordered=ordered).for_each(got.append)

    assert sorted(got) == [1.0, 2.0, 3.0]
    source.verify()


@both_orders
async def test_a_cancelled_error_out_of_a_call_is_that_items_error(ordered: bool) -> None:
    """P4: not a silent end, and not a cancellation of the run."""

    async def cancelled(number: int) -> int:
        if number == 2:
            raise asyncio.CancelledError
        return number

    with pytest.raises(sf.StageCancelled, match=r"^a call of map\(\) ended in a CancelledError") as caught:
        await sf.stream(range(9)).map(cancelled, concurrency=2, ordered=ordered).run()

    assert isinstance(caught.value.__cause__, asyncio.CancelledError)


async def test_a_call_that_cancels_its_own_task_is_an_error() -> None:
    async def suicide(_: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(sf.StageCancelled):
        await sf.stream(range(9)).map(suicide, concurrency=2).run()


@pytest.mark.virtual_time
async def test_a_loser_that_fails_while_it_is_cancelled_is_told_on_the_error() -> None:
    """E4: both are visible, the first one first."""

    async def call(number: int) -> None:
        if number == 0:
            await asyncio.sleep(1)
            raise Broken("the cause")
        try:
            await asyncio.sleep(99)
        finally:
            raise ValueError("in the cleanup")

    with pytest.raises(Broken, match="the cause") as caught:
        await sf.stream(range(2)).map(call, concurrency=2, ordered=False).run()

    assert any("another call failed: ValueError: in the cleanup" in note for note in caught.value.__notes__)


@pytest.mark.virtual_time
async def test_a_call_that_fails_while_an_early_stop_cancels_it_is_an_error() -> None:
    async def call(number: int) -> int:
        if number:
            try:
                await asyncio.sleep(99)
            finally:
                raise ValueError("in the cleanup")
        return number

    with pytest.raises(ValueError, match="in the cleanup"):
        await sf.stream(range(2)).map(call, concurrency=2).first()


async def test_a_failure_keeps_no_items_alive() -> None:
    """H57: the results that nobody will take are let go with the error still in hand."""

    class Item:
        pass

    items = [Item() for _ in range(20)]
    alive = [weakref.ref(item) for item in items]

    async def call(item: Item) -> Item:
        await asyncio.sleep(0)
        if item is last():
            for _ in range(20):
                await asyncio.sleep(0)
            raise Broken
        return item

    last = weakref.ref(items[9])
    with pytest.raises(Broken) as caught:
        await sf.stream(iter(items)).map(call, concurrency=4).run()
    items.clear()
    gc.collect()

    assert caught.value is not None
    assert [ref() for ref in alive[10:]] == [None] * 10


@pytest.mark.virtual_time
async def test_an_idle_crew_holds_no_items() -> None:
    """H57."""

    class Item:
        pass

    alive: list[weakref.ref[Item]] = []

    async def source() -> AsyncIterator[Item]:
        for _ in range(10):
            item = Item()
            alive.append(weakref.ref(item))
            yield item
            del item
        await asyncio.Event().wait()

    async def keep(item: Item) -> Item:
        await asyncio.sleep(1)
        return item

    run = asyncio.create_task(sf.stream(source()).map(keep, concurrency=3).map(id).run())
    await asyncio.sleep(100)

    assert [ref() for ref in alive[:-1]] == [None] * 9  # the last one is still in the hand of the source's task
    run.cancel()
    await asyncio.wait([run])


# --- on early stop, and cancellation -----------------------------------------------------------------------------


@pytest.mark.virtual_time
@both_orders
async def test_an_early_stop_cancels_and_awaits_the_calls_in_flight(ordered: bool) -> None:
    """C3: that is success."""
    calls = Calls()
    source = TrackedSource(itertools.chain([1.0], itertools.repeat(50.0)))

    assert await sf.stream(source).map(calls, concurrency=5, ordered=ordered).first() == 1.0
    assert calls.running == 0
    assert calls.started == calls.cancelled + 1
    assert asyncio.get_running_loop().time() == 1.0
    source.verify()


@pytest.mark.virtual_time
async def test_a_cancelled_map_starts_no_further_call() -> None:
    """X14."""
    calls = Calls()
    run = asyncio.create_task(sf.stream([10.0] * 100).map(calls, concurrency=5).run())
    await asyncio.sleep(1)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert (calls.started, calls.cancelled, calls.running) == (5, 5, 0)


@pytest.mark.virtual_time
async def test_a_call_that_swallows_the_first_cancellation_is_waited_for() -> None:
    trace = Trace()

    async def stubborn(_: int) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(99)
        await asyncio.sleep(3)
        trace("ended")

    run = asyncio.create_task(sf.stream(range(2)).map(stubborn, concurrency=2).run())
    await asyncio.sleep(1)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert trace.times == [4.0, 4.0]


@pytest.mark.virtual_time
async def test_a_call_that_does_not_stop_within_the_grace_is_cancelled_again() -> None:
    """P7: cleanup has a deadline."""
    trace = Trace()

    async def stubborn(_: int) -> None:
        try:
            await asyncio.sleep(99)
        except asyncio.CancelledError:
            try:
                await asyncio.sleep(999)
            except asyncio.CancelledError:
                trace("cancelled again")
                raise

    job = sf.stream(range(2)).map(stubborn, concurrency=2).to(sf.drain(), grace=5.0)
    run = asyncio.create_task(job.run())
    await asyncio.sleep(1)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert trace.times == [6.0, 6.0]


@pytest.mark.virtual_time
async def test_by_hand_under_an_anyio_scope_calls_are_cancelled_once_and_awaited() -> None:
    """X21: the scope cancels again at every await."""
    trace = Trace()

    async def call(_: int) -> None:
        try:
            await asyncio.sleep(99)
        finally:
            await asyncio.sleep(1)
            trace("cleaned up")

    with anyio.move_on_after(2):
        async with aclosing(sf.map(call, concurrency=2)(TrackedSource(range(9)))) as items:  # type: ignore[type-var]
            await anext(items)

    assert trace.times == [3.0, 3.0]


@pytest.mark.virtual_time
async def test_a_cancellation_that_arrives_while_calls_are_dismissed_goes_on() -> None:
    """H2: it is not swallowed by the cleanup."""
    trace = Trace()

    async def call(number: int) -> int:
        try:
            await asyncio.sleep(number)
        except asyncio.CancelledError:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(10)
            trace("cleaned up")
            raise
        return number

    async def consume() -> None:
        async with aclosing(sf.map(call, concurrency=3)(TrackedSource(range(3)))) as items:  # type: ignore[type-var]
            await anext(items)

    run = asyncio.create_task(consume())
    await asyncio.sleep(0.5)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert set(trace.times) == {0.5}


class _Run:
    """A concurrent map under a slow consumer, to cancel at every step."""

    def __init__(self, *, ordered: bool) -> None:
        self.ordered = ordered
        self.calls = Calls()
        self.source = TrackedSource([0.3, 0.1, 0.2, 0.1, 0.1], delay=0.05)
        self.got: list[float] = []

    async def __call__(self) -> None:
        flow = sf.stream(self.source).map(self.calls, concurrency=2, ordered=self.ordered)
        async with flow.open(maxsize=1) as items:
            async for item in items:
                self.got.append(item)
                await asyncio.sleep(0.01)


@both_orders
def test_cancelled_at_any_step_it_leaves_nothing_running(ordered: bool) -> None:
    """X14, X16, P7, in every way there is to be cancelled."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        assert run.calls.running == 0
        assert outcome.ended != "returned" or len(run.got) == 5
        assert run.got == [0.3, 0.1, 0.2, 0.1, 0.1][: len(run.got)] or not run.ordered

    assert cancel_everywhere(lambda: _Run(ordered=ordered), check, stride=2) > 50


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@both_orders
def test_an_eager_task_factory_changes_nothing(ordered: bool) -> None:
    """H24: a worker must not run inside the one that hires it."""

    async def mapped() -> list[int]:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
        return await sf.stream(range(3000)).map(echo, concurrency=2000, ordered=ordered).collect()

    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        assert sorted(runner.run(mapped())) == list(range(3000))


# --- arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, None, float("nan"), float("inf"), "4"])
def test_a_concurrency_that_cannot_mean_anything_is_refused(concurrency: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match="concurrency must be a whole number"):
        sf.map(echo, concurrency=concurrency)


def test_an_order_without_concurrency_has_no_effect_and_is_refused() -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match="ordered=False has no effect without concurrency"):
        sf.map(echo, ordered=False)


def test_the_stage_says_what_it_may_hold() -> None:
    stage = sf.map(echo, concurrency=8, ordered=False)

    assert (stage.name, stage.concurrency, stage.holds_items) == ("map(concurrency=8, ordered=False)", 8, 16)
