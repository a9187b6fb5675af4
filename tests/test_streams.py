"""`Stream` and `Pipeline` as values: composing, iterating, running, and what misuse says."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import anyio
import pytest

import streamflow as sf
from streamflow.testing import Outcome, SlowSink, Trace, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def double(items: AsyncIterable[int]) -> AsyncIterator[int]:
    async for item in items:
        yield item * 2


async def total(items: AsyncIterable[int]) -> int:
    return sum([item async for item in items])


async def put_into(got: list[int], items: AsyncIterable[int]) -> None:
    async for item in items:
        got.append(item)  # noqa: PERF401  # keeps what came before an error


def evens(numbers: sf.Stream[int]) -> sf.Stream[int]:
    return numbers.filter(lambda number: number % 2 == 0)


# --- composing -------------------------------------------------------------------------------------------------------


async def test_a_stream_is_a_value_that_can_be_used_again() -> None:
    numbers = sf.stream(range(5))
    doubled = numbers.through(double)

    assert await doubled.collect() == [0, 2, 4, 6, 8]
    assert await doubled.collect() == [0, 2, 4, 6, 8]
    assert await numbers.collect() == [0, 1, 2, 3, 4]


async def test_composing_reads_nothing() -> None:
    source = TrackedSource(range(5))
    sf.stream(source).map(str).through(double).batched(3).to(sf.collect()).explain()

    assert source.opened == 0


async def test_a_stream_of_a_stream_is_that_stream() -> None:
    numbers = sf.stream(range(5))

    assert sf.stream(numbers) is numbers


async def test_every_kind_of_stage_may_be_put_through() -> None:
    @sf.stage
    async def shifted(items: AsyncIterable[int], by: int = 1) -> AsyncIterator[int]:
        async for item in items:
            yield item + by

    numbers = sf.stream(range(4))

    assert await numbers.through(double).collect() == [0, 2, 4, 6]
    assert await numbers.through(sf.Stage(double)).collect() == [0, 2, 4, 6]
    assert await numbers.through(shifted(by=5)).collect() == [5, 6, 7, 8]
    assert await numbers.through(shifted).collect() == [1, 2, 3, 4]  # type: ignore[arg-type]  # the call may be left out
    assert await numbers.through(evens).collect() == [0, 2]
    assert await numbers.through(sf.take(2)).collect() == [0, 1]


def test_a_stream_shows_its_names() -> None:
    assert repr(sf.stream(range(4)).map(str).through(double).take(2)) == "<Stream range > map > double > take(2)>"


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        (str.upper, r"sf\.map\(str\.upper\)"),
        (total, "put it last, as the sink"),
        (sf.collect(), "It is a sink: a pipeline has one, and it comes last"),
        (len, r"returned|raised TypeError.*sf\.map\(len\)"),
        (lambda stream: [stream], r"returned list, not a Stream\. To call it for each item write sf\.map"),
        (lambda number: number + 1, r"called with the Stream and raised TypeError.*sf\.map"),
        (3, "int 3 is not a stage"),
    ],
)
def test_what_is_no_stage_is_refused_with_what_to_write(stage: Any, says: str) -> None:
    """E9, P10."""
    source = TrackedSource(range(5))

    with pytest.raises(sf.UsageError, match=says):
        sf.stream(source).through(stage)
    assert source.opened == 0


def test_a_lambda_that_returns_a_coroutine_is_no_stage_and_leaves_nothing_behind() -> None:
    """E8: its coroutine is closed."""

    async def fetch(_: object) -> None: ...

    with pytest.raises(
        sf.UsageError, match=r"returned coroutine, not a Stream\. To call it for each item write sf\.map"
    ):
        sf.stream([1]).through(lambda number: fetch(number))  # type: ignore[arg-type,return-value]  # noqa: PLW0108


@pytest.mark.parametrize("source", [3, None, "rows.csv", b"rows", double, sf.take(1), str])
def test_what_is_no_source_is_refused(source: Any) -> None:
    """E9."""
    with pytest.raises(sf.UsageError, match="source"):
        sf.stream(source)


# --- open() ----------------------------------------------------------------------------------------------------------


async def test_open_gives_the_items_and_closes_everything() -> None:
    source = TrackedSource(range(5))

    async with sf.stream(source).through(double).open() as items:
        assert [item async for item in items] == [0, 2, 4, 6, 8]
    source.verify()


async def test_open_reads_nothing_before_the_first_item_is_asked_for() -> None:
    source = TrackedSource(range(5))

    async with sf.stream(source).open() as items:
        await asyncio.sleep(0)
        assert "not started" in repr(items)
    assert source.opened == 0


@pytest.mark.parametrize("leave", ["break", "return", "raise"])
async def test_leaving_the_loop_runs_every_finally_before_the_block_is_left(leave: str) -> None:
    """X8: once, awaited, in the generator's own task and context."""
    trace = Trace()

    async def stage(items: AsyncIterable[int]) -> AsyncIterator[int]:
        owner = asyncio.current_task()
        try:
            async for item in items:
                yield item
        finally:
            await asyncio.sleep(0)
            assert asyncio.current_task() is owner
            trace("stage closed")

    async def body() -> None:
        async with sf.stream(TrackedSource(itertools.count())).through(stage).open() as items:
            async for item in items:
                if item == 3:
                    if leave == "break":
                        break
                    if leave == "return":
                        return
                    raise Broken
        trace("block left")

    if leave == "raise":
        with pytest.raises(Broken):
            await body()
    else:
        await body()

    assert trace.events[0] == "stage closed"
    assert trace.events.count("stage closed") == 1


async def test_iteration_that_was_left_goes_on_where_it_was() -> None:
    async with sf.stream(range(10)).open(maxsize=4) as items:
        async for item in items:
            if item == 3:
                break

        assert await anext(items) == 4
        assert [item async for item in items] == [5, 6, 7, 8, 9]
        assert [item async for item in items] == []


@pytest.mark.virtual_time
async def test_a_timeout_around_a_wait_loses_no_item() -> None:
    """H37."""
    got: list[int] = []
    async with sf.stream(TrackedSource(range(5), delay=1.0)).open() as items:
        while len(got) < 5:
            try:
                async with asyncio.timeout(0.3):
                    got.append(await anext(items))
            except TimeoutError:
                continue

    assert got == [0, 1, 2, 3, 4]


async def test_an_error_comes_at_the_loop_after_the_items_before_it() -> None:
    """P3, X10: and after it there is the end."""
    source, got = TrackedSource(range(3), error=Broken("above")), list[int]()

    async with sf.stream(source).through(double).open() as items:
        with pytest.raises(Broken, match="above"):
            await put_into(got, items)
        source.verify()
        assert [item async for item in items] == []

    assert got == [0, 2, 4]


async def test_what_fails_while_closing_is_raised_at_the_end_of_the_block() -> None:
    """E4."""

    async def stage(items: AsyncIterable[int]) -> AsyncIterator[int]:
        try:
            async for item in items:
                yield item
        finally:
            raise Broken("in the cleanup")

    with pytest.raises(Broken, match="in the cleanup"):
        async with sf.stream(range(9)).through(stage).open() as items:
            await anext(items)


async def test_an_error_in_the_block_is_the_one_that_is_seen() -> None:
    """E4: what then fails while closing is told on it."""

    async def stage(items: AsyncIterable[int]) -> AsyncIterator[int]:
        try:
            async for item in items:
                yield item
        finally:
            raise Broken("in the cleanup")

    async def body() -> None:
        async with sf.stream(range(9)).through(stage).open() as items:
            await anext(items)
            raise ValueError("in the block")

    with pytest.raises(ValueError, match="in the block") as caught:
        await body()

    assert caught.value.__notes__ == ["while stream was being closed because of it: Broken: in the cleanup"]


async def test_an_error_in_the_block_is_told_what_a_stage_had_met_ahead_of_it() -> None:
    """E4, E6: the stage had run ahead and failed before the block did; nobody would take that error any more."""

    async def body() -> None:
        async with sf.stream(range(9)).through(failing_at_its_end).open() as items:
            await anext(items)
            for _ in range(20):
                await asyncio.sleep(0)
            raise ValueError("in the block")

    with pytest.raises(ValueError, match="in the block") as caught:
        await body()

    assert caught.value.__notes__ == ["while stream was being closed because of it: Broken: at the end"]


async def failing_at_its_end(items: AsyncIterable[int]) -> AsyncIterator[int]:
    async for item in items:
        yield item
    raise Broken("at the end")


@pytest.mark.virtual_time
async def test_two_tasks_that_ask_at_once_are_refused() -> None:
    """P10: two owners of one end."""
    async with sf.stream(TrackedSource(range(5), delay=1.0)).open() as items:
        first = asyncio.create_task(items.__anext__())
        await asyncio.sleep(0.1)

        with pytest.raises(sf.UsageError, match="Two tasks ask stream for items at once"):
            await anext(items)
        assert await first == 0
        assert await anext(items) == 1


async def test_closing_items_ends_their_iteration_and_twice_is_harmless() -> None:
    async with sf.stream(range(50)).open() as items:
        async for item in items:
            if item == 10:
                break
        await items.aclose()
        await items.aclose()

        assert "closed" in repr(items)
        assert [item async for item in items] == []


@pytest.mark.virtual_time
async def test_when_an_error_arrives_everything_above_has_been_closed() -> None:
    """P7: also a source that takes its time."""
    trace = Trace()

    async def source() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            await asyncio.sleep(5)
            trace("source closed")

    def fail(number: int) -> None:
        if number == 3:
            raise Broken

    async with sf.stream(source()).buffer(2).tap(fail).open() as items:
        with pytest.raises(Broken):
            await put_into([], items)
        assert trace.events == ["source closed"]


# --- async for over a stream -----------------------------------------------------------------------------------------


async def test_a_stream_can_be_iterated_bare() -> None:
    source = TrackedSource(range(5))

    assert [item async for item in sf.stream(source)] == [0, 1, 2, 3, 4]
    source.verify()


async def test_a_dropped_iterator_stops_its_run() -> None:
    """P7."""
    source = TrackedSource(itertools.count(), delay=0)
    async for item in sf.stream(source).through(double):
        if item == 6:
            break
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0)

    source.verify()
    assert source.closed == 1


async def test_a_stage_may_iterate_a_stream_of_its_own() -> None:
    async def crossed(items: AsyncIterable[int]) -> AsyncIterator[tuple[int, int]]:
        async for item in items:
            async for other in sf.stream(range(2)):
                yield item, other

    assert await sf.stream(range(2)).through(crossed).collect() == [(0, 0), (0, 1), (1, 0), (1, 1)]


class _Looping:
    """A loop over a stream with a slow body, to cancel at every step."""

    def __init__(self) -> None:
        self.source = TrackedSource(range(4), delay=0.1)
        self.got: list[int] = []

    async def __call__(self) -> None:
        async with sf.stream(self.source).through(double).open(maxsize=1) as items:
            async for item in items:
                self.got.append(item)
                await asyncio.sleep(0.01)


def test_a_loop_cancelled_at_any_step_leaves_nothing_and_gives_every_item_once() -> None:
    """X8, X21."""

    def check(run: _Looping, outcome: Outcome) -> None:
        run.source.verify()
        assert run.got == [0, 2, 4, 6][: len(run.got)]
        assert outcome.ended != "returned" or len(run.got) == 4

    assert cancel_everywhere(_Looping, check, stride=2) > 50


# --- Pipeline --------------------------------------------------------------------------------------------------------


async def test_a_pipeline_runs_and_gives_the_sinks_value() -> None:
    """C2."""
    job = sf.Pipeline(range(5), double, total, name="job")

    assert repr(job) == "<Pipeline 'job' range > double > total: not run>"
    assert await job.run() == 20
    assert repr(job) == "<Pipeline 'job' range > double > total: succeeded>"
    assert job.report.outcome == "succeeded"


async def test_a_pipeline_may_be_run_again_and_forgets_the_last_report() -> None:
    job = sf.stream(range(5)).to(sf.count())

    assert [await job.run(), await job.run()] == [5, 5]
    assert job.report.stats.stages[0].items_out == 5


async def test_a_generator_that_is_used_up_is_refused_the_second_time() -> None:
    """P2: it would give no items, silently."""
    job = sf.stream(number for number in range(5)).to(sf.count())
    await job.run()

    with pytest.raises(sf.UsageError, match="already been used up"):
        await job.run()


@pytest.mark.virtual_time
async def test_a_pipeline_that_runs_refuses_to_run_twice_at_once() -> None:
    """P10."""
    job = sf.stream(TrackedSource(range(3), delay=1.0)).to(sf.count(), name="job")
    run = asyncio.create_task(job.run())
    await asyncio.sleep(1)

    with pytest.raises(sf.UsageError, match="job is already running; make another Pipeline"):
        await job.run()
    assert "running" in repr(job)
    assert await run == 3


@pytest.mark.virtual_time
async def test_while_it_runs_again_there_is_no_report() -> None:
    job = sf.stream(TrackedSource(range(3), delay=1.0)).to(sf.count())
    await job.run()
    run = asyncio.create_task(job.run())
    await asyncio.sleep(1)

    with pytest.raises(sf.UsageError, match="has not ended"):
        _ = job.report
    assert await run == 3


async def test_a_failed_run_is_told_by_the_report_and_the_repr() -> None:
    def fail(_: int) -> None:
        raise Broken("no")

    job = sf.stream(range(5)).tap(fail).to(sf.count())
    with pytest.raises(Broken):
        await job.run()

    assert (job.report.outcome, job.report.error) == ("failed", "Broken: no")
    assert repr(job).endswith(": failed>")


@pytest.mark.virtual_time
async def test_a_cancelled_run_is_told_by_the_report() -> None:
    job = sf.stream(TrackedSource(range(9), delay=1.0)).to(sf.count())
    with anyio.move_on_after(3.5):
        await job.run()

    assert job.report.outcome == "cancelled"
    assert job.report.stats.stages[-1].items_in == 3


@pytest.mark.parametrize("option", ["maxsize", "max_bytes", "grace"])
@pytest.mark.parametrize("value", [0, -1, True, None, float("nan"), float("inf"), "3"])
def test_limits_that_cannot_mean_anything_are_refused(option: str, value: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=f"{option} must be"):
        sf.Pipeline([1], sf.count(), **{option: value})
    with pytest.raises(sf.UsageError, match=f"{option} must be"):
        sf.stream([1]).to(sf.count(), **{option: value})


@pytest.mark.parametrize("option", ["maxsize", "max_bytes", "grace"])
async def test_limits_of_open_are_refused_before_the_block(option: str) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=f"{option} must be"):
        async with sf.stream([1]).open(**{option: 0}):
            pass


def test_a_pipeline_without_a_sink_says_what_to_write() -> None:
    """E9."""
    with pytest.raises(sf.UsageError, match=r"needs a sink: sf\.pipeline\(source, \*stages, sink\)"):
        sf.Pipeline([1])  # type: ignore[arg-type]
    with pytest.raises(sf.UsageError, match=r"'double', is a stage: its items would go nowhere"):
        sf.Pipeline([1], double)  # type: ignore[arg-type]


def test_a_wrong_argument_of_a_pipeline_is_named_with_its_place_and_line() -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match="is not a stage") as caught:
        sf.Pipeline([1], double, 3, sf.collect())

    (note,) = caught.value.__notes__
    assert note.startswith("argument 3 of the pipeline, added at ")
    assert f"{__file__}:" in note


async def test_small_channels_hold_the_source_back() -> None:
    """F5: the limits given to the pipeline are those of its channels."""
    source = TrackedSource(itertools.count(), delay=0)
    run = asyncio.create_task(sf.stream(source).to(SlowSink(), maxsize=3).run())
    for _ in range(200):
        await asyncio.sleep(0)

    assert source.taken <= 3 + 2
    run.cancel()
    await asyncio.wait([run])


async def test_a_plain_iterator_of_the_consumer_is_left_for_the_consumer() -> None:
    """E9: what was not taken is still in the source (a list iterator is not closed)."""
    numbers: Iterator[int] = iter(range(100))

    assert await sf.stream(numbers).take(3).collect() == [0, 1, 2]
    assert next(numbers) < 100


async def test_a_stream_may_be_the_source_of_a_pipeline_and_a_stage_may_close_it() -> None:
    source = TrackedSource(range(10))
    async with aclosing(aiter(source)) as items:
        assert await sf.pipeline(sf.stream(items).map(str), sf.take(2), sf.collect()) == ["0", "1"]
