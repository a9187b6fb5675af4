"""`pipeline()`: the call itself; what it promises as a whole."""

from __future__ import annotations

import asyncio
import gc
import itertools
import warnings
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.testing import Outcome, StepLoop, Trace, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def same(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


async def test_it_returns_the_sinks_value() -> None:
    """C2."""
    assert await sf.pipeline(range(5), same, sf.map(str), sf.collect()) == ["0", "1", "2", "3", "4"]


async def test_it_returns_only_after_everything_is_flushed_committed_and_released() -> None:
    """C1."""
    trace = Trace()

    async def source() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            trace("source released")

    async def stage(items: AsyncIterable[int]) -> AsyncIterator[int]:
        async for item in items:
            yield item
        await asyncio.sleep(0)
        trace("stage flushed")
        yield -1

    async def sink(items: AsyncIterable[int]) -> list[int]:
        got = [item async for item in items]
        await asyncio.sleep(0)
        trace("sink committed")
        return got

    assert await sf.pipeline(source(), stage, sink) == [1, -1]
    assert sorted(trace.events) == ["sink committed", "source released", "stage flushed"]
    assert trace.in_order("stage flushed", "sink committed")


def test_what_is_wrong_with_the_arguments_is_raised_by_the_call_itself() -> None:
    """E9: before the `await`, and the source is left untouched."""
    source = TrackedSource(range(5))

    with pytest.raises(sf.UsageError):
        sf.pipeline(source, 3, sf.collect())
    with pytest.raises(sf.UsageError):
        sf.pipeline(source, same)  # type: ignore[arg-type]
    with pytest.raises(sf.UsageError):
        sf.pipeline(source, sf.collect(), maxsize=0)
    assert source.opened == 0


async def test_a_pipeline_that_is_not_awaited_is_loud() -> None:
    """P10."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        sf.pipeline(range(5), sf.collect())
        gc.collect()

    assert any("was never awaited" in str(warning.message) for warning in seen)


async def test_cancelled_before_it_starts_it_reads_and_writes_nothing() -> None:
    """X1."""
    source, written = TrackedSource(range(5)), list[int]()
    run = asyncio.create_task(sf.pipeline(source, sf.for_each(written.append)))
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert (source.opened, written) == (0, [])


@pytest.mark.parametrize("position", range(8))
async def test_an_error_in_any_of_eight_stages_closes_each_once_and_surfaces_as_itself(position: int) -> None:
    """E1, P4."""
    trace, error = Trace(), Broken("this one")

    def stage(number: int) -> Any:
        async def body(items: AsyncIterable[int]) -> AsyncIterator[int]:
            try:
                async for item in items:
                    if number == position and item == 5:
                        raise error
                    yield item
            finally:
                trace(f"closed {number}")

        return body

    source = TrackedSource(range(100))
    with pytest.raises(Broken) as caught:
        await sf.pipeline(source, *(stage(number) for number in range(8)), sf.collect(), maxsize=2)

    assert caught.value is error
    assert sorted(trace.events) == [f"closed {number}" for number in range(8)]
    source.verify()


async def test_falsy_errors_are_errors() -> None:
    """E7."""

    class Falsy(Exception):
        def __bool__(self) -> bool:
            return False

    with pytest.raises(Falsy):
        await sf.pipeline(TrackedSource([1], error=Falsy()), same, sf.collect())


async def test_an_error_whose_text_cannot_be_made_surfaces_as_itself_and_is_reported_by_its_type() -> None:
    """P4."""

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    error = Mute()
    job = sf.Pipeline(TrackedSource(range(3), error=error), same, sf.collect())
    with pytest.raises(Mute) as caught:
        await job.run()

    assert caught.value is error
    assert (job.report.outcome, job.report.error) == ("failed", "Mute")


async def test_a_name_shows_in_the_notes_of_an_error() -> None:
    def fail(_: int) -> None:
        raise Broken

    with pytest.raises(Broken) as caught:
        await sf.pipeline([1], sf.map(fail), sf.collect(), name="orders")

    assert any("in stage 2 of 3 of orders: 'map', at item 1" in note for note in caught.value.__notes__)


async def test_two_pipelines_side_by_side_share_nothing() -> None:
    """X13."""
    stage = sf.batched(2)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(sf.pipeline(range(5), stage, sf.collect()))
        second = group.create_task(sf.pipeline("ab" and ["a", "b", "c"], stage, sf.collect()))

    assert first.result() == [(0, 1), (2, 3), (4,)]
    assert second.result() == [("a", "b"), ("c",)]


async def test_a_pipeline_may_run_inside_a_stage_of_another() -> None:
    async def squared(number: int) -> list[int]:
        return await sf.pipeline([number], sf.map(lambda n: n * n), sf.collect())

    assert await sf.pipeline(range(4), sf.map(squared, concurrency=2), sf.collect()) == [[0], [1], [4], [9]]


# --- laws ------------------------------------------------------------------------------------------------------------

OPERATORS: dict[str, Any] = {
    "map": lambda: sf.map(lambda number: number + 1),
    "map, async": lambda: sf.map(_later),
    "map, concurrent": lambda: sf.map(_later, concurrency=3),
    "filter": lambda: sf.filter(lambda number: number % 3),
    "flat_map": lambda: sf.flat_map(lambda number: range(number % 4)),
    "tap": lambda: sf.tap(hash),
    "take": lambda: sf.take(7),
    "take nothing": lambda: sf.take(0),
    "batched and back": lambda: _unbatched,
    "buffer": lambda: sf.buffer(2),
    "user": lambda: same,
    "fail": lambda: sf.map(_fail_at_nine),
}


async def _later(number: int) -> int:
    await asyncio.sleep(0)
    return number * 2


def _fail_at_nine(number: int) -> int:
    if number == 9:
        raise Broken
    return number


def _unbatched(numbers: sf.Stream[int]) -> sf.Stream[int]:
    return numbers.batched(3).flat_map(lambda batch: batch)


@given(st.lists(st.sampled_from(sorted(OPERATORS)), max_size=5), st.integers(0, 30), st.sampled_from([1, 2, 7, 1024]))
def test_a_pipeline_gives_what_the_nested_generators_give(names: list[str], count: int, maxsize: int) -> None:
    """L2, L3, P3: item for item and error for error, however large the channels are."""
    with asyncio.Runner(loop_factory=StepLoop) as runner:
        concurrently = runner.run(_outcome(sf.stream(range(count)), names, maxsize))
        nested = runner.run(_nested(count, names))

    assert concurrently == nested


async def _outcome(flow: sf.Stream[int], names: list[str], maxsize: int) -> tuple[list[int], str]:
    for name in names:
        flow = flow.through(OPERATORS[name]())
    got: list[int] = []
    try:
        async with flow.open(maxsize=maxsize) as items:
            async for item in items:
                got.append(item)  # noqa: PERF401  # keeps what came before an error
    except Broken:
        return got, "failed"
    return got, "ended"


async def _nested(count: int, names: list[str]) -> tuple[list[int], str]:
    async def source() -> AsyncIterator[int]:
        for number in range(count):
            yield number

    opened: list[Any] = [source()]
    for name in names:
        stages = (
            [sf.batched(3), sf.flat_map(lambda batch: batch)] if name == "batched and back" else [OPERATORS[name]()]
        )
        for stage in stages:
            opened.append(stage(opened[-1]))
    got: list[int] = []
    try:
        async for item in opened[-1]:
            got.append(item)  # noqa: PERF401  # keeps what came before an error
    except Broken:
        return got, "failed"
    finally:
        for generator in reversed(opened):
            await generator.aclose()
    return got, "ended"


class _Whole:
    """A pipeline of every kind of stage, to cancel at every step."""

    def __init__(self) -> None:
        self.source = TrackedSource(range(6), delay=0.1)
        self.kept: list[tuple[int, ...]] | None = None

    async def __call__(self) -> None:
        self.kept = await sf.pipeline(
            self.source,
            same,
            sf.map(_later, concurrency=2),
            sf.filter(lambda number: number != 4),
            sf.batched(2, within=0.15),
            sf.collect(),
            maxsize=2,
        )


def test_cancelled_at_any_step_it_closes_everything_and_keeps_nothing_half() -> None:
    """X2, X7, X21, P7."""

    def check(run: _Whole, outcome: Outcome) -> None:
        run.source.verify()
        assert (run.kept is not None) == (outcome.ended == "returned")
        if run.kept is not None:
            assert list(itertools.chain.from_iterable(run.kept)) == [0, 2, 6, 8, 10]

    assert cancel_everywhere(_Whole, check, stride=3) > 50
