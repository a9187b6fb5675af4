"""Each item to whoever has room: copies of a stage side by side, sinks side by side."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

import pytest

import streamflow as sf
from streamflow.operators.balancing import balance, balance_to
from streamflow.stages import Stage
from streamflow.testing import Outcome, SlowSink, Trace, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def unchanged(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


async def slowly(items: AsyncIterable[float]) -> AsyncIterator[float]:
    """Take as many seconds for an item as it says."""
    async for seconds in items:
        await asyncio.sleep(seconds)
        yield seconds


async def settled(steps: int = 200) -> None:
    """Let everything go on as far as it can."""
    for _ in range(steps):
        await asyncio.sleep(0)


@pytest.mark.virtual_time
async def test_copies_really_work_side_by_side() -> None:
    """USERS 33: a pool of workers that is silently sequential."""
    loop = asyncio.get_running_loop()

    assert await sf.pipeline([1.0] * 12, balance(slowly, 4), sf.count()) == 12
    assert loop.time() == 3.0


@pytest.mark.virtual_time
async def test_results_leave_as_they_come() -> None:
    trace = Trace()

    await sf.pipeline([3.0, 1.0, 2.0], balance(slowly, 3), sf.tap(str), sf.for_each(lambda item: trace(str(item))))

    assert trace.events == ["1.0", "2.0", "3.0"]
    assert trace.times == [1, 2, 3]


@pytest.mark.virtual_time
async def test_a_busy_copy_does_not_hold_the_others_up() -> None:
    trace = Trace()

    await sf.pipeline([100.0, *[1.0] * 6], balance(slowly, 2), sf.for_each(lambda item: trace(str(item))))

    # One item may wait behind the long one; the other copy does the rest meanwhile.
    assert trace.times[:5] == [1, 2, 3, 4, 5]
    assert trace.times[-1] <= 101


@pytest.mark.virtual_time
async def test_ordered_keeps_the_order_and_still_works_side_by_side() -> None:
    loop = asyncio.get_running_loop()

    items = [3.0, 1.0, 2.0, 1.0, 1.0, 1.0]
    assert await sf.pipeline(items, balance(slowly, 3, ordered=True), sf.collect()) == items
    assert loop.time() < sum(items) / 2 + 2


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("workers", [1, 2, 5, 100])
@pytest.mark.parametrize("stage", [unchanged, sf.tap(str), sf.map(lambda item: item, concurrency=3)])
async def test_no_item_is_lost_or_doubled(stage: Any, workers: int, ordered: bool) -> None:
    got = await sf.pipeline(range(50), balance(stage, workers, ordered=ordered), sf.collect())

    assert (got if ordered else sorted(got)) == list(range(50))


async def test_what_a_copy_flushes_at_its_end_is_emitted() -> None:
    got = await sf.pipeline(range(10), balance(sf.batched(4), 3), sf.collect())

    assert sorted(item for batch in got for item in batch) == list(range(10))


async def test_each_copy_opens_and_closes_what_it_has_once() -> None:
    trace = Trace()

    async def connected(items: AsyncIterable[int]) -> AsyncIterator[int]:
        trace("open")
        try:
            async for item in items:
                yield item
        finally:
            trace("close")

    assert await sf.pipeline(range(9), balance(connected, 3), sf.count()) == 9
    assert sorted(trace.events) == ["close"] * 3 + ["open"] * 3


async def test_the_bound_is_exact() -> None:
    """P1: `maxsize` wait for each copy, and one is in its hand."""
    slow: SlowSink[Any] = SlowSink()
    source = TrackedSource(itertools.count())
    gated: list[int] = []

    async def never(items: AsyncIterable[int]) -> AsyncIterator[int]:
        async for item in items:
            gated.append(item)
            await asyncio.Event().wait()
            yield item

    stage = balance(never, 3, maxsize=2)
    run = asyncio.create_task(sf.Pipeline(source, stage, slow, maxsize=1).run())
    await settled()

    assert len(gated) == 3
    assert [seen.waiting for seen in stage.stats()] == [2, 2, 2]
    assert source.taken == 9 + 2  # one in the channel above, one in its writer's hand
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    source.verify()


async def test_an_error_of_the_input_comes_after_the_items_before_it() -> None:
    got: list[int] = []
    error = Broken()

    with pytest.raises(Broken) as caught:
        await sf.pipeline(TrackedSource(range(9), error=error), balance(unchanged, 3), sf.for_each(got.append))

    assert caught.value is error
    assert sorted(got) == list(range(9))


async def test_a_failing_copy_ends_the_stream_and_the_other_copies() -> None:
    source = TrackedSource(itertools.count())
    closed: list[int] = []

    async def fails_at_five(items: AsyncIterable[int]) -> AsyncIterator[int]:
        try:
            async for item in items:
                if item == 5:
                    raise Broken("five")
                yield item
        finally:
            closed.append(1)

    with pytest.raises(Broken, match="five") as caught:
        await sf.pipeline(source, balance(fails_at_five, 3), sf.count())
    assert len(closed) == 3
    assert any("copy" in note and "fails_at_five" in note for note in caught.value.__notes__)
    source.verify()


async def test_a_failing_copy_is_noticed_while_the_source_is_silent() -> None:
    async def one_and_silence() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    async def fails(items: AsyncIterable[int]) -> AsyncIterator[int]:
        async for _ in items:
            raise Broken
        yield 0

    with pytest.raises(Broken):
        await sf.pipeline(one_and_silence, balance(fails, 2), sf.count())


async def test_copies_that_have_enough_end_the_stream() -> None:
    source = TrackedSource(itertools.count())

    assert len(await sf.pipeline(source, balance(sf.take(2), 3), sf.collect())) == 6
    source.verify()


async def test_an_early_stop_closes_the_copies() -> None:
    source = TrackedSource(itertools.count())

    assert len(await sf.pipeline(source, balance(unchanged, 3), sf.take(4), sf.collect())) == 4
    source.verify()


async def more(items: AsyncIterable[int]) -> AsyncIterator[int]:
    async for item in items:
        yield item
        yield item


async def fewer(items: AsyncIterable[int]) -> AsyncIterator[int]:
    async for item in items:
        if item != 3:
            yield item


@pytest.mark.parametrize(("stage", "how_many"), [(more, "more"), (fewer, "fewer")])
async def test_ordered_with_a_stage_that_is_not_one_to_one_is_an_error(stage: Any, how_many: str) -> None:
    with pytest.raises(sf.StageError, match=f"{how_many} items than it took"):
        await sf.pipeline(range(9), balance(stage, 2, ordered=True), sf.collect())


async def test_balance_over_nothing_ends() -> None:
    assert await sf.pipeline([], balance(unchanged, 3), sf.collect()) == []


async def test_balance_is_a_method_too() -> None:
    assert sorted(await sf.stream(range(9)).balance(unchanged, 3).collect()) == list(range(9))


async def test_falsy_items_are_balanced() -> None:
    falsy: list[Any] = [0, "", None, False, 0.0, []]

    assert await sf.pipeline(falsy, balance(unchanged, 2, ordered=True), sf.collect()) == falsy


# --- balance_to --------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_balance_to_gives_each_item_to_a_sink_that_has_room() -> None:
    taken: dict[str, list[int]] = {"slow": [], "fast": []}

    async def save(name: str, seconds: float, number: int) -> None:
        await asyncio.sleep(seconds)
        taken[name].append(number)

    value = await sf.pipeline(
        range(20),
        balance_to(
            sf.for_each(lambda number: save("slow", 10, number)), sf.for_each(lambda number: save("fast", 1, number))
        ),
    )

    assert sum(value) == 20
    assert sorted(taken["slow"] + taken["fast"]) == list(range(20))
    assert len(taken["slow"]) == 3


async def test_a_failing_sink_aborts_the_others() -> None:
    outcomes: list[str] = []

    async def fails(items: AsyncIterable[int]) -> None:
        async for _ in items:
            raise Broken

    async def store(items: AsyncIterable[int]) -> None:
        try:
            async for _ in items:
                await asyncio.sleep(0)
        except BaseException:
            outcomes.append("aborted")
            raise
        outcomes.append("committed")

    with pytest.raises(Broken):
        await sf.pipeline(range(99), balance_to(store, fails))
    assert outcomes == ["aborted"]


async def test_balance_to_goes_on_without_a_sink_that_has_enough() -> None:
    first, rest = await sf.pipeline(range(20), balance_to(sf.first(), sf.collect()))

    assert first == 0
    assert len(rest) >= 18  # what waited for the one that left is discarded


async def test_an_error_of_the_input_aborts_every_sink() -> None:
    """E15."""
    with pytest.raises(Broken):
        await sf.pipeline(TrackedSource(range(9), error=Broken()), balance_to(sf.count(), sf.count()))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: balance(unchanged, 0), "workers"),
        (lambda: balance(unchanged, 2, maxsize=0), "maxsize"),
        (lambda: balance(sf.count(), 2), "is a sink"),  # type: ignore[arg-type]
        (lambda: balance(Stage(unchanged, name="again", reopens=True), 2), "source again"),
        (balance_to, "at least one sink"),
        (lambda: balance_to(sf.count(), maxsize=0), "maxsize"),
    ],
)
def test_misuse_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(sf.UsageError, match=message):
        make()


@pytest.mark.parametrize("ordered", [False, True])
def test_balance_cancelled_after_every_step_closes_everything(ordered: bool) -> None:
    class Scene:
        def __init__(self) -> None:
            self.source = TrackedSource(range(3), delay=0)

        async def __call__(self) -> Any:
            return await sf.pipeline(self.source, balance(unchanged, 2, ordered=ordered), sf.collect())

    def check(scene: Scene, outcome: Outcome) -> None:
        scene.source.verify()
        assert outcome.ended != "returned" or sorted(outcome.value) == [0, 1, 2]

    cancel_everywhere(Scene, check)
