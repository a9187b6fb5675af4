"""batched: by count and by time, in virtual time; nothing empty, nothing lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import Outcome, SlowSink, StepLoop, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def at(moments: Iterable[float]) -> AsyncIterator[float]:
    """Emit each moment, in seconds of the loop's clock, when it has come."""
    for moment in moments:
        await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
        yield moment


async def timed(flow: sf.Stream[tuple[float, ...]]) -> list[tuple[float, tuple[float, ...]]]:
    """Return the batches with the moments at which they came out."""
    out: list[tuple[float, tuple[float, ...]]] = []
    now = asyncio.get_running_loop().time
    await flow.for_each(lambda batch: out.append((round(now(), 6), batch)))
    return out


withins = pytest.mark.parametrize("within", [None, 60.0], ids=["count only", "count and time"])
sources = pytest.mark.parametrize("later", [False, True], ids=["sync source", "async source"])


# --- by count ----------------------------------------------------------------------------------------------------


@withins
@sources
@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 6, 7])
async def test_batches_have_n_items_and_the_last_one_the_rest(
    n: int, count: int, within: float | None, later: bool
) -> None:
    """C9: the last partial group is emitted at the end, and never an empty one."""
    source: Any = TrackedSource(range(count)) if later else range(count)
    expected = [tuple(range(at, min(at + n, count))) for at in range(0, count, n)]

    assert await sf.stream(source).batched(n, within=within).collect() == expected


@withins
async def test_falsy_items_are_data(within: float | None) -> None:
    """E7."""
    falsy = [0, "", None, False, []]

    assert await sf.stream(falsy).batched(2, within=within).collect() == [(0, ""), (None, False), ([],)]


@withins
async def test_it_works_by_hand_on_a_plain_generator(within: float | None) -> None:
    source = TrackedSource(range(5))

    assert [batch async for batch in sf.batched(2, within=within)(source)] == [(0, 1), (2, 3), (4,)]
    source.verify()


# --- by time -----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_the_clock_starts_with_the_first_item_of_a_batch() -> None:
    flow = sf.stream(at([10.0, 10.5, 20.0])).batched(99, within=1.0)

    assert await timed(flow) == [(11.0, (10.0, 10.5)), (20.0, (20.0,))]


@pytest.mark.virtual_time
async def test_the_clock_starts_anew_after_the_count_limit_fired() -> None:
    """C9: the second batch has its full second, not what the first one left of its own."""
    flow = sf.stream(at([0.0, 0.9, 0.95, 1.5, 9.0])).batched(2, within=1.0)

    assert await timed(flow) == [(0.9, (0.0, 0.9)), (1.5, (0.95, 1.5)), (9.0, (9.0,))]


@pytest.mark.virtual_time
async def test_a_silent_source_gives_no_empty_batches() -> None:
    flow = sf.stream(at([1.0, 1000.0])).batched(5, within=0.25)

    assert await timed(flow) == [(1.25, (1.0,)), (1000.0, (1000.0,))]


@pytest.mark.virtual_time
async def test_a_source_that_is_never_silent_does_not_stretch_the_time() -> None:
    """An item is always there when it is asked for: the clock is looked at all the same."""

    async def busy() -> AsyncIterator[int]:
        loop: Any = asyncio.get_running_loop()
        for number in itertools.count():
            loop._now += 0.001  # the clock of the StepLoop: time passes, and nobody waits
            yield number

    run = sf.stream(busy()).batched(10**6, within=0.1).take(3).to(sf.collect(), maxsize=4)

    assert [len(batch) for batch in await run.run()] == pytest.approx([100, 100, 100], abs=10)


@pytest.mark.virtual_time
async def test_a_batch_may_come_while_the_stage_below_is_busy() -> None:
    """Backpressures when the stage below does: what waits meanwhile is in the next batches."""

    async def slow(batch: tuple[float, ...]) -> tuple[float, ...]:
        await asyncio.sleep(10)
        return batch

    moments = [0.1 * number for number in range(100)]
    batches = await sf.pipeline(at(moments), sf.batched(8, within=1.0), sf.map(slow), sf.collect(), maxsize=2)

    assert [moment for batch in batches for moment in batch] == moments
    assert all(0 < len(batch) <= 8 for batch in batches)


@pytest.mark.parametrize("delay", [0.0, 0.25, 0.999, 1.0, 1.001])
def test_no_item_is_lost_when_the_time_is_over_just_as_one_comes(delay: float) -> None:
    """H37: for every order of the loop's steps."""

    async def scenario() -> list[tuple[int, ...]]:
        return await sf.stream(TrackedSource(range(12), delay=delay)).batched(4, within=1.0).collect()

    for seed in range(40):
        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            batches = runner.run(scenario())

        assert [number for batch in batches for number in batch] == list(range(12))
        assert all(batches)


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.1]), max_size=30),
    st.integers(1, 5),
    st.sampled_from([0.1, 0.5, 1.0]),
)
def test_however_the_items_come_none_is_lost_and_no_batch_is_late_or_too_large(
    pauses: list[float], n: int, within: float
) -> None:
    """C9, as a law."""
    moments = list(itertools.accumulate(pauses))
    with asyncio.Runner(loop_factory=StepLoop) as runner:
        out = runner.run(_timed(moments, n, within))

    assert [moment for _, batch in out for moment in batch] == moments
    assert all(0 < len(batch) <= n for _, batch in out)
    assert all(came <= batch[0] + within + 1e-6 for came, batch in out)


async def _timed(moments: list[float], n: int, within: float) -> list[tuple[float, tuple[float, ...]]]:
    return await timed(sf.stream(at(moments)).batched(n, within=within))


class _Run:
    """Batches under a consumer that keeps them, to cancel at every step."""

    def __init__(self) -> None:
        self.source = TrackedSource(range(7), delay=0.3)
        self.got: list[int] = []

    async def __call__(self) -> None:
        async with sf.stream(self.source).batched(3, within=0.5).open() as batches:
            async for batch in batches:
                self.got += batch


def test_cancelled_at_any_step_it_leaves_nothing_and_doubles_nothing() -> None:
    """P7."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        assert run.got == list(range(7))[: len(run.got)]
        assert outcome.ended != "returned" or len(run.got) == 7

    assert cancel_everywhere(_Run, check, stride=2) > 50


@pytest.mark.virtual_time
async def test_the_consumers_own_timeouts_lose_nothing() -> None:
    """H37: a wait that is cut off at the consumer is taken up again."""
    got: list[tuple[int, ...]] = []
    async with sf.stream(TrackedSource(range(7), delay=0.3)).batched(2, within=0.5).open() as batches:
        while len(got) < 4:
            try:
                async with asyncio.timeout(0.07):
                    got.append(await anext(batches))
            except TimeoutError:
                continue

    assert got == [(0, 1), (2, 3), (4, 5), (6,)]


@pytest.mark.virtual_time
async def test_a_timeout_error_of_the_input_is_no_clock_of_ours() -> None:
    source = TrackedSource([1, 2], delay=0.1, error=TimeoutError("the database"))

    with pytest.raises(TimeoutError, match="the database"):
        await sf.stream(source).batched(9, within=1.0).run()


# --- the other endings -------------------------------------------------------------------------------------------


@withins
@sources
async def test_an_error_comes_after_the_full_batches_and_drops_the_partial_one(
    within: float | None, later: bool
) -> None:
    got: list[tuple[int, ...]] = []

    def broken() -> Any:
        yield from range(5)
        raise Broken

    source: Any = TrackedSource(range(5), error=Broken()) if later else broken()
    with pytest.raises(Broken):
        await sf.stream(source).batched(2, within=within).for_each(got.append)

    assert got == [(0, 1), (2, 3)]


@withins
async def test_an_early_stop_closes_the_source(within: float | None) -> None:
    source = TrackedSource(itertools.count(), delay=0)

    assert await sf.stream(source).batched(2, within=within).first() == (0, 1)
    source.verify()


@pytest.mark.virtual_time
@withins
async def test_a_sink_that_asks_for_nothing_stops_the_source(within: float | None) -> None:
    """F1: one partial batch, what the channels hold, and the hands."""
    source = TrackedSource(itertools.count())
    run = asyncio.create_task(sf.pipeline(source, sf.batched(3, within=within), SlowSink(), maxsize=2))
    await asyncio.sleep(100)

    assert source.taken <= 1 + 2 + 3 + 3 * (2 + 1)
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None, "2", float("inf")])
def test_a_count_that_cannot_mean_anything_is_refused(n: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"batched\(n\) must be a whole number"):
        sf.batched(n)


@pytest.mark.parametrize("within", [0, -1, True, "2", float("inf"), float("nan")])
def test_a_time_that_cannot_mean_anything_is_refused(within: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"batched\(within\) must be a number above 0"):
        sf.batched(1, within=within)


def test_the_stage_says_what_it_may_hold() -> None:
    assert (sf.batched(5).name, sf.batched(5).holds_items) == ("batched(5)", 5)
    assert sf.batched(5, within=0.25).name == "batched(5, within=0.25)"
