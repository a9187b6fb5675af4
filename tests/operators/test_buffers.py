"""buffer and conflate: what waits, what is lost and counted, and that a busy consumer is noticed."""

from __future__ import annotations

import asyncio
import itertools
import operator
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import pytest

import streamflow as sf
from streamflow.engine.planner import segments_of
from streamflow.operators.buffers import buffer, conflate
from streamflow.testing import Outcome, SlowSink, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def at(moments: Iterable[float]) -> AsyncIterator[float]:
    """Emit each moment, in seconds of the loop's clock, when it has come."""
    for moment in moments:
        await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
        yield moment


def slowly(seconds: float, got: list[Any]) -> Callable[[AsyncIterator[Any]], Any]:
    """Return a sink that is busy for so long with each item."""

    async def sink(items: AsyncIterator[Any]) -> list[Any]:
        async for item in items:
            got.append(item)
            await asyncio.sleep(seconds)
        return got

    return sink


async def double(number: float) -> float:
    await asyncio.sleep(0)
    return number * 2


SECONDS = [float(second) for second in range(1, 31)]

# --- what is lost ------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_a_full_buffer_drops_what_comes_and_says_how_many() -> None:
    """F17: every drop is counted and shows in the report."""
    job = sf.Pipeline(at(SECONDS), buffer(3, overflow="drop_newest"), slowly(10.25, []))
    got = await job.run()
    row = job.report.stats.stages[1]

    # Two were on their way when the buffer filled; then each that leaves makes room for the next that comes.
    assert got[:6] == [1, 2, 3, 4, 5, 6]
    assert got == sorted(got)
    assert (row.items_in, row.items_out, row.dropped) == (30, len(got), 30 - len(got))
    assert "dropped" in str(job.report)


@pytest.mark.virtual_time
async def test_a_full_buffer_drops_what_waited_longest() -> None:
    """F17."""
    job = sf.Pipeline(at(SECONDS), buffer(3, overflow="drop_oldest"), slowly(10.25, []))
    got = await job.run()

    assert got[-3:] == [28, 29, 30]
    assert got[:3] == [1, 2, 3]
    assert got == sorted(got)
    assert job.report.stats.stages[1].dropped == 30 - len(got) > 0


@pytest.mark.virtual_time
async def test_a_full_buffer_may_be_an_error_after_what_waits() -> None:
    """F17."""
    got: list[float] = []

    with pytest.raises(sf.LimitExceeded, match=r"buffer\(3\) is full and another item came"):
        await sf.pipeline(at(SECONDS), buffer(3, overflow="fail"), slowly(10.25, got))
    assert got == [1, 2, 3, 4, 5, 6]


@pytest.mark.virtual_time
@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest", "fail"])
async def test_a_buffer_that_is_large_enough_loses_nothing(overflow: Any) -> None:
    job = sf.Pipeline(at(SECONDS), buffer(30, overflow=overflow), slowly(10.25, []))

    assert await job.run() == SECONDS
    assert job.report.stats.stages[1].dropped == 0


@pytest.mark.virtual_time
@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
async def test_the_source_is_never_held_back(overflow: Any) -> None:
    source = TrackedSource(itertools.count(), delay=1)
    sink = SlowSink[int]()
    run = asyncio.create_task(sf.pipeline(source, buffer(2, overflow=overflow), sink, maxsize=2))
    await asyncio.sleep(100.5)

    assert source.taken == 100
    run.cancel()
    await asyncio.wait([run])
    source.verify()


@pytest.mark.virtual_time
async def test_a_buffer_that_blocks_holds_the_source_back() -> None:
    source = TrackedSource(itertools.count(), delay=1)
    run = asyncio.create_task(sf.pipeline(source, buffer(2), SlowSink(), maxsize=2))
    await asyncio.sleep(100.5)

    assert source.taken <= 2 + 1 + 2
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest", "fail"])
async def test_an_error_above_comes_after_what_waits(overflow: Any) -> None:
    error = Broken()
    got: list[int] = []
    with pytest.raises(Broken) as caught:
        await sf.stream(TrackedSource(range(5), error=error)).through(buffer(9, overflow=overflow)).for_each(got.append)

    assert caught.value is error
    assert got == [0, 1, 2, 3, 4]


def test_what_cannot_mean_anything_is_refused() -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"buffer\(n\) must be a whole number"):
        buffer(0, overflow="fail")
    with pytest.raises(sf.UsageError, match="overflow must be 'block', 'drop_newest', 'drop_oldest', 'fail'; not 'x'"):
        buffer(1, overflow="x")
    with pytest.raises(sf.UsageError, match="overflow must be"):
        buffer(1, overflow=["block"])  # a list cannot be hashed
    with pytest.raises(sf.UsageError, match="conflate needs a function"):
        conflate(None)
    with pytest.raises(sf.UsageError, match=r"conflate\(seed\) needs a function"):
        conflate(operator.add, seed=1)


def test_the_stage_says_what_it_may_hold() -> None:
    stage = buffer(7, overflow="drop_oldest")

    assert (stage.name, stage.holds_items, stage.drops) == ("buffer(7, drop_oldest)", 7, True)


# --- conflate ----------------------------------------------------------------------------------------------------


def kept(earlier: tuple[float, ...], later: tuple[float, ...]) -> tuple[float, ...]:
    return earlier + later


async def kept_later(earlier: tuple[float, ...], later: float) -> tuple[float, ...]:
    await asyncio.sleep(0)
    return (*earlier, later)


async def alone_later(item: float) -> tuple[float, ...]:
    await asyncio.sleep(0)
    return (item,)


FORMS: dict[str, Callable[[], Any]] = {
    "sync": lambda: conflate(lambda together, item: (*together, item), seed=lambda item: (item,)),
    "async": lambda: conflate(kept_later, seed=alone_later),
    "no seed": lambda: lambda stream: stream.map(lambda item: (item,)).through(conflate(kept)),
}
forms = pytest.mark.parametrize("make", FORMS.values(), ids=FORMS.keys())


@forms
@pytest.mark.virtual_time
async def test_an_idle_consumer_gets_each_item_at_once(make: Callable[[], Any]) -> None:
    came: list[tuple[float, tuple[float, ...]]] = []
    now = asyncio.get_running_loop().time
    await sf.stream(at(SECONDS)).through(make()).for_each(lambda item: came.append((now(), item)))

    assert came == [(second, (second,)) for second in SECONDS]


@forms
async def test_a_consumer_as_fast_as_the_source_gets_each_item(make: Callable[[], Any]) -> None:
    """A burst comes in one step of the loop; whoever could take, has its turn before anything is combined."""
    together = await sf.stream(range(100)).through(make()).collect()

    assert [number for group in together for number in group] == list(range(100))
    assert together[0] == (0,)


BELOW: dict[str, tuple[Any, ...]] = {
    "nothing": (),
    "a fused map": (sf.map(tuple),),
    "a map in a task of its own": (sf.map(tuple), sf.map(lambda item: item, concurrency=2, ordered=True)),
    "a generator": (lambda stream: stream.map(tuple).through(passed),),
}


async def passed(items: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


@forms
@pytest.mark.virtual_time
@pytest.mark.parametrize("below", BELOW.values(), ids=BELOW.keys())
async def test_what_comes_while_the_consumer_is_busy_is_combined(make: Callable[[], Any], below: Any) -> None:
    """USERS 6: whatever stands between, its channels do not hide the busy consumer."""
    groups = await sf.pipeline(at(SECONDS), make(), *below, slowly(10.25, []))

    assert [second for group in groups for second in group] == SECONDS
    assert groups[0] == (1,)
    assert len(groups) <= 16
    assert max(map(len, groups)) >= 7


@pytest.mark.virtual_time
async def test_the_latest_wins() -> None:
    """Two are on their way while the consumer is busy; each is the latest of when it set out."""
    got = await sf.pipeline(at(SECONDS), conflate(lambda _, latest: latest), slowly(10.25, []))

    assert got == [1, 2, 3, 11, 21, 30]


@forms
async def test_what_was_combined_comes_before_an_error_above(make: Callable[[], Any]) -> None:
    got: list[int] = []
    with pytest.raises(Broken):
        await sf.stream(TrackedSource(range(20), error=Broken())).through(make()).for_each(got.extend)

    assert got == list(range(20))


@pytest.mark.virtual_time
@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
async def test_what_was_combined_comes_before_an_error_of_the_function(later: bool) -> None:
    got: list[Any] = []

    def fail_at_nine(together: tuple[float, ...], item: float) -> tuple[float, ...]:
        if item == 9:
            raise Broken
        return (*together, item)

    async def fail_later(together: tuple[float, ...], item: float) -> tuple[float, ...]:
        await asyncio.sleep(0)
        return fail_at_nine(together, item)

    stage: Any = conflate(fail_later if later else fail_at_nine, seed=lambda item: (item,))
    with pytest.raises(Broken) as caught:
        await sf.pipeline(at(SECONDS), stage, slowly(100, got))

    assert [second for group in got for second in group] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert "'conflate'" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
async def test_a_stop_out_of_the_function_is_no_end(error: type[Exception]) -> None:
    """H36."""

    def fail(_: int, __: int) -> int:
        raise error

    with pytest.raises(RuntimeError):
        await sf.pipeline(range(20), conflate(fail), SlowSink(opened()))


async def test_a_cancelled_error_out_of_the_function_is_no_end() -> None:
    """H12."""

    def fail(_: int, __: int) -> int:
        raise asyncio.CancelledError

    with pytest.raises(sf.StageCancelled):
        await sf.pipeline(range(20), conflate(fail), SlowSink(opened()))


def opened() -> Any:
    """Return a gate that gives others some turns before each passage."""

    class Turns:
        async def passage(self) -> None:
            for _ in range(5):
                await asyncio.sleep(0)

    return Turns()


async def test_awaitable_items_are_data() -> None:
    async with asyncio.timeout(5):
        futures = [asyncio.get_running_loop().create_future() for _ in range(3)]

        assert await sf.stream(futures).through(conflate(lambda _, latest: latest)).first() is futures[0]


# --- the ends ----------------------------------------------------------------------------------------------------

STAGES: dict[str, Callable[[], Any]] = {
    "drop_newest": lambda: buffer(2, overflow="drop_newest"),
    "drop_oldest": lambda: buffer(2, overflow="drop_oldest"),
    "conflate": lambda: conflate(lambda _, latest: latest),
    "conflate async": lambda: conflate(lambda _, latest: double(latest)),
}
stages = pytest.mark.parametrize("make", STAGES.values(), ids=STAGES.keys())


@stages
async def test_an_early_stop_closes_the_source(make: Callable[[], Any]) -> None:
    source = TrackedSource(itertools.count(), delay=0)

    assert await sf.stream(source).through(make()).first() == 0
    source.verify()


@stages
async def test_an_endless_source_that_never_waits_leaves_the_loop_alive(make: Callable[[], Any]) -> None:
    """P8: the task that takes gives turns."""
    source = TrackedSource(itertools.count())

    assert len(await sf.stream(source).through(make()).take(50).collect()) == 50
    source.verify()


@stages
async def test_a_failing_consumer_closes_the_source(make: Callable[[], Any]) -> None:
    def fail(_: object) -> None:
        raise Broken

    source = TrackedSource(itertools.count(), delay=0)
    with pytest.raises(Broken):
        await sf.stream(source).through(make()).for_each(fail)
    source.verify()


@pytest.mark.slow
@stages
def test_cancelled_at_any_step_it_leaves_nothing(make: Callable[[], Any]) -> None:
    """P7: also while the consumer is busy."""

    def check(_: object, outcome: Outcome) -> None:
        assert outcome.ended in {"returned", "cancelled"}

    async def scenario() -> None:
        await sf.pipeline(TrackedSource(range(6), delay=0.1), make(), slowly(0.25, []), maxsize=2)

    assert cancel_everywhere(scenario, check) > 50


async def stubborn(together: int, _: int) -> int:
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        return together
    return 0


@pytest.mark.virtual_time
async def test_a_call_that_swallows_its_cancellation_does_not_keep_the_stage_alive() -> None:
    """H14."""
    run = asyncio.create_task(sf.pipeline(at(SECONDS), conflate(stubborn), slowly(1000, [])))
    await asyncio.sleep(20.5)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert asyncio.get_running_loop().time() < 25


# --- the channels below ------------------------------------------------------------------------------------------


def capacities(*steps: Any) -> list[int]:
    return [segment.capacity for segment in segments_of(sf.Pipeline([1], *steps, sf.collect(), maxsize=9)._plan)]


def test_the_channels_below_are_small_until_a_buffer_says_otherwise() -> None:
    assert capacities(conflate(max)) == [9, 1, 0]
    assert capacities(conflate(max), sf.map(str), passed) == [9, 1, 1, 1, 0]
    assert capacities(conflate(max), sf.buffer(5), passed) == [9, 5, 1, 0]
    assert capacities(passed, buffer(3, overflow="fail"), passed) == [9, 9, 1, 1, 0]
    assert capacities(conflate(max), sf.map(str), sf.buffer(4)) == [9, 1, 4, 0]
