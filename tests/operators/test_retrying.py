"""retry: where it goes on, what can be run again, every clause of its policy, cancelled anywhere."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.errors import StageError, UsageError
from streamflow.machinery.policies import Backoff
from streamflow.methods.recovery import Recovery
from streamflow.operators.retrying import retry
from streamflow.testing import Outcome, SlowSink, TrackedSource, cancel_everywhere
from tests.operators.flaky import (
    AT_ONCE,
    SECONDS,
    Broken,
    Flaky,
    Handle,
    collected,
    failing_rows,
    failure_of,
    got_before_failing,
    notes_of,
)

# --- where it goes on -------------------------------------------------------------------------------------------


async def test_each_item_comes_once_after_those_that_were_emitted() -> None:
    source = Flaky(range(6), 2, 4)

    assert await collected(source, retry(3, on=Broken, backoff=AT_ONCE, resume="after")) == [0, 1, 2, 3, 4, 5]
    assert source.runs == 3


async def test_from_the_start_items_come_again() -> None:
    source = Flaky(range(4), 2, 3)

    got = await collected(source, retry(3, on=Broken, backoff=AT_ONCE, resume="start"))

    assert got == [0, 1, 0, 1, 2, 0, 1, 2, 3]


@pytest.mark.parametrize("resume", ["start", "after"])
async def test_falsy_items_are_counted_and_emitted(resume: Any) -> None:
    falsy = [0, "", None, False, 0.0, []]
    source = Flaky(falsy, 3)

    got = await collected(source, retry(on=Broken, backoff=AT_ONCE, resume=resume))

    assert got == (falsy if resume == "after" else [*falsy[:3], *falsy])


async def test_a_failure_at_the_very_end_repeats_nothing() -> None:
    source = Flaky(range(3), 3)

    assert await collected(source, retry(on=Broken, backoff=AT_ONCE, resume="after")) == [0, 1, 2]


async def test_a_second_failure_while_skipping_loses_nothing() -> None:
    source = Flaky(range(6), 4, 1, 5)

    assert await collected(source, retry(4, on=Broken, backoff=AT_ONCE, resume="after")) == [0, 1, 2, 3, 4, 5]


async def test_a_source_that_gives_less_the_second_time_is_an_error_and_no_end() -> None:
    """P5: what was to be skipped is not there, so nobody knows what is missing."""
    rows = iter([range(5), range(2)])

    def source() -> Iterator[int]:
        for row in next(rows):
            if row == 4:
                raise Broken
            yield row

    got, error = await got_before_failing(source, retry(on=Broken, backoff=AT_ONCE, resume="after"))

    assert got == [0, 1, 2, 3]
    assert isinstance(error, StageError)
    assert "ended after 2 items, but 4 had been emitted" in str(error)


async def test_where_to_go_on_must_be_said() -> None:
    source = TrackedSource(range(3))

    error = await failure_of(source, retry(3))

    assert isinstance(error, UsageError)
    assert "resume='after'" in str(error)
    assert "resume='start'" in str(error)
    assert source.opened == 0


async def test_stages_between_start_anew() -> None:
    source = Flaky(range(1, 7), 5)
    seen: list[int] = []

    got = await collected(source, sf.tap(seen.append), sf.batched(2), retry(on=Broken, backoff=AT_ONCE, resume="after"))

    assert got == [(1, 2), (3, 4), (5, 6)]
    assert seen == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]


async def test_a_failing_stage_is_retried_like_a_failing_source() -> None:
    failed: list[int] = []

    def halved(number: int) -> int:
        if number == 3 and not failed:
            failed.append(number)
            raise Broken
        return number // 2

    source = TrackedSource(range(6))

    got = await collected(source, sf.map(halved), retry(on=Broken, backoff=AT_ONCE, resume="after"))

    assert got == [0, 0, 1, 1, 2, 2]
    assert source.opened == source.closed == 2


async def test_stages_below_are_not_run_again() -> None:
    source = Flaky(range(4), 2)

    got = await collected(source, retry(on=Broken, backoff=AT_ONCE, resume="after"), sf.batched(3))

    assert got == [(0, 1, 2), (3,)]


async def test_an_error_below_is_not_retried() -> None:
    def refuse(_number: int) -> None:
        raise Broken

    source = TrackedSource(range(3))

    assert isinstance(await failure_of(source, retry(on=Broken, resume="start"), sf.map(refuse)), Broken)
    assert source.opened == 1


async def test_an_error_thrown_in_from_below_is_not_retried() -> None:
    source = TrackedSource(range(3))
    items: Any = retry(on=Broken, resume="start")(source)
    await anext(items)

    with pytest.raises(Broken):
        await items.athrow(Broken())

    assert (source.opened, source.closed) == (1, 1)


async def test_the_same_stream_can_be_run_twice() -> None:
    flow = sf.stream(Flaky(range(3), 1, None, 2)).through(retry(2, on=Broken, backoff=AT_ONCE, resume="after"))

    assert await flow.collect() == [0, 1, 2]
    assert await flow.collect() == [0, 1, 2]


async def test_retry_inside_retry() -> None:
    """The inner one answers for its own errors; what it gives up, the outer one runs again as a whole."""
    source = Flaky(range(5), 1, 2, 3, 4)
    inner = retry(2, on=Broken, backoff=AT_ONCE, resume="after")
    outer = retry(3, on=Broken, backoff=AT_ONCE, resume="after")

    assert await collected(source, inner, outer) == [0, 1, 2, 3, 4]
    assert source.runs == 5


async def test_an_outer_retry_takes_the_errors_that_the_inner_one_does_not() -> None:
    source = Flaky(range(4), 2, error=LookupError)
    inner = retry(5, on=Broken, backoff=AT_ONCE, resume="start")

    got = await collected(source, inner, retry(on=LookupError, backoff=AT_ONCE, resume="after"))

    assert got == [0, 1, 2, 3]
    assert source.runs == 2


async def test_the_method_does_the_same_as_the_function() -> None:
    flow = Recovery.retry(sf.stream(Flaky(range(4), 2)), 2, on=Broken, backoff=AT_ONCE, resume="after")

    assert await flow.collect() == [0, 1, 2, 3]


def test_the_plan_shows_what_is_retried() -> None:
    plan = sf.Pipeline(range(9), sf.map(str), retry(5, resume="after"), sf.batched(2), sf.collect()).explain()

    assert "retry(5, resume='after') of range > map" in plan


# --- what iterators do ------------------------------------------------------------------------------------------


async def test_a_generator_object_is_refused_when_it_is_to_be_run_again() -> None:
    """H38: a retry loop around the same iterator would see a clean, early end."""
    rows = failing_rows()

    got, error = await got_before_failing(rows, retry(on=Broken, backoff=AT_ONCE, resume="after"))

    assert got == [1, 2]
    assert isinstance(error, UsageError)
    assert "Pass the generator function itself" in str(error)
    assert isinstance(error.__cause__, Broken)
    assert "attempt 1 failed with Broken: reset" in notes_of(error)


async def test_its_function_is_run_again() -> None:
    got, error = await got_before_failing(failing_rows, retry(2, on=Broken, backoff=AT_ONCE, resume="after"))

    assert got == [1, 2]
    assert isinstance(error, Broken)


@pytest.mark.parametrize("make", [iter, lambda numbers: map(int, numbers), Handle])
async def test_any_other_iterator_is_refused_too(make: Callable[[Any], Any]) -> None:
    """H38: a file, a `map`, a cursor goes on where it was; what was read ahead of the failure would be missing."""

    def refuse_three(number: int) -> int:
        if number == 3:
            raise Broken
        return number

    error = await failure_of(
        make(range(100)), sf.map(refuse_three), retry(on=Broken, backoff=AT_ONCE, resume="start"), sf.take(50)
    )

    assert isinstance(error, UsageError)
    assert "Pass a function that opens it anew" in str(error)
    assert isinstance(error.__cause__, Broken)


async def test_a_channel_is_refused_too() -> None:
    channel: sf.Channel[int] = sf.Channel(4)
    channel.put_nowait(1)
    channel.fail(Broken())

    got, error = await got_before_failing(channel, retry(on=Broken, backoff=AT_ONCE, resume="start"))

    assert got == [1]
    assert isinstance(error, UsageError)


async def test_inside_a_stage_the_input_cannot_be_run_again() -> None:
    """H38: there it is a reader, which just ends after its error."""

    async def stage(items: Any) -> AsyncIterator[int]:
        async for item in retry(on=Broken, backoff=AT_ONCE, resume="after")(items):
            yield item

    got, error = await got_before_failing(Flaky(range(9), 3), stage)

    assert got == [0, 1, 2]
    assert isinstance(error, UsageError)


# --- attempts and pauses ----------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_the_pauses_grow_and_the_failed_run_is_closed_before_each() -> None:
    """X20."""
    source = Flaky(range(3), 0, 0, 0)

    await collected(source, retry(4, on=Broken, backoff=SECONDS, resume="after"))

    events = [f"{name} {run}" for run in range(1, 5) for name in ("open", "closed")]
    assert source.trace.events == events
    assert source.trace.times == [0, 0, 1, 1, 3, 3, 7, 7]


@pytest.mark.virtual_time
async def test_there_are_as_many_attempts_as_said_and_the_last_error_is_raised_bare() -> None:
    """X20: a limit of attempts. P4: the error as it is, and what was before it in notes."""
    source = Flaky(range(3), 1, 1, 1, 1)

    got, error = await got_before_failing(source, retry(3, on=Broken, backoff=SECONDS, resume="after"))

    assert got == [0]
    assert source.runs == 3
    assert type(error) is Broken
    assert str(error) == "in run 3"
    assert error.__cause__ is None
    assert error.__context__ is None
    notes = notes_of(error)
    assert "retry(3, resume='after'): after 3 attempts over 3 s" in notes
    assert "attempt 1 failed with Broken: in run 1" in notes
    assert "attempt 2 failed with Broken: in run 2" in notes


async def test_one_attempt_is_one_attempt() -> None:
    source = Flaky(range(3), 1)

    error = await failure_of(source, retry(1, on=Broken, resume="after"))

    assert source.runs == 1
    assert "attempt" not in notes_of(error)


async def test_an_error_that_does_not_apply_is_raised_at_once() -> None:
    """X20: a predicate decides."""
    source = Flaky(range(3), 1, 1, error=LookupError)

    got, error = await got_before_failing(source, retry(5, on=(OSError, Broken), resume="start"))

    assert got == [0]
    assert source.runs == 1
    assert isinstance(error, LookupError)
    assert "attempts" not in notes_of(error)


async def test_a_function_decides_which_errors_are_worth_it() -> None:
    """X20."""
    source = Flaky(range(3), 1, 1, 1)

    error = await failure_of(source, retry(9, on=lambda error: "run 1" in str(error), backoff=AT_ONCE, resume="after"))

    assert source.runs == 2
    assert str(error) == "in run 2"
    assert "after 2 attempts" in notes_of(error)


async def test_an_error_of_that_function_ends_the_run() -> None:
    def mistaken(_error: Exception) -> bool:
        raise ZeroDivisionError

    error = await failure_of(Flaky(range(3), 1), retry(on=mistaken, resume="after"))

    assert isinstance(error, ZeroDivisionError)
    assert isinstance(error.__context__, Broken)


async def test_by_default_trouble_with_the_network_is_worth_it_and_a_mistake_is_not() -> None:
    connection = Flaky(range(3), 1, error=ConnectionResetError)
    mistake = Flaky(range(3), 1, error=TypeError)

    assert await collected(connection, retry(backoff=AT_ONCE, resume="after")) == [0, 1, 2]
    assert isinstance(await failure_of(mistake, retry(backoff=AT_ONCE, resume="after")), TypeError)


async def test_misuse_is_never_run_again() -> None:
    source = Flaky(range(3), 1, 1, error=UsageError)

    assert isinstance(await failure_of(source, retry(on=Exception, backoff=AT_ONCE, resume="start")), UsageError)
    assert source.runs == 1


@pytest.mark.virtual_time
async def test_an_endless_source_that_fails_now_and_then_goes_on_for_ever() -> None:
    """X20: after a good run the attempts and the pause begin anew."""
    source = Flaky(itertools.count, *itertools.repeat(3, 50), wait=30.0)
    pauses: list[float] = []
    flow = sf.stream(source).through(retry(2, on=Broken, backoff=SECONDS, reset_after=60.0, resume="start"))

    assert await flow.take(90).collect() == [0, 1, 2] * 30

    times = dict(zip(source.trace.events, source.trace.times, strict=True))
    pauses = [times[f"open {run + 1}"] - times[f"closed {run}"] for run in range(1, 30)]
    assert pauses == [1.0] * 29


@pytest.mark.virtual_time
async def test_runs_that_are_not_good_for_long_enough_are_counted() -> None:
    """X20."""
    source = Flaky(itertools.count, *itertools.repeat(3, 50), wait=29.0)

    got, error = await got_before_failing(source, retry(3, on=Broken, backoff=SECONDS, resume="start"))

    assert got == [0, 1, 2] * 3
    assert "after 3 attempts over 264 s" in notes_of(error)  # three runs of 87 s, pauses of 1 and 2 s


@pytest.mark.virtual_time
async def test_after_a_good_run_there_are_all_the_attempts_and_the_short_pauses_again() -> None:
    """X20: two failures, a good run of 90 s, then three attempts again."""
    source = Flaky(itertools.count, 0, 0, 4, 0, 0, wait=30.0)

    got, error = await got_before_failing(source, retry(3, on=Broken, backoff=SECONDS, resume="start"))

    assert got == [0, 1, 2, 3]
    assert source.runs == 5
    times = dict(zip(source.trace.events, source.trace.times, strict=True))
    assert [times[f"open {run + 1}"] - times[f"closed {run}"] for run in range(1, 5)] == [1.0, 2.0, 1.0, 2.0]
    assert "after 3 attempts over 3 s" in notes_of(error)


@pytest.mark.virtual_time
async def test_a_run_that_waits_long_and_gives_nothing_is_not_a_good_one() -> None:
    """X20: a server that does not answer for two minutes would else be asked for ever."""
    runs = 0

    async def silent() -> AsyncIterator[int]:
        nonlocal runs
        runs += 1
        await asyncio.sleep(120)
        raise TimeoutError
        yield

    error = await failure_of(silent, retry(3, backoff=SECONDS, resume="start"))

    assert isinstance(error, TimeoutError)
    assert runs == 3


@pytest.mark.virtual_time
async def test_a_run_that_comes_as_far_as_before_is_not_a_good_one() -> None:
    """X20: with resume="after" a source that always breaks at the same place has an end, however long it takes."""
    source = Flaky(range(100), *itertools.repeat(50, 20), wait=10.0)

    got, _error = await got_before_failing(source, retry(3, on=Broken, backoff=SECONDS, resume="after"))

    assert got == [*range(50)]
    assert source.runs == 3  # each takes 500 s, but the second and third give nothing new


async def two_seconds(number: int) -> int:
    await asyncio.sleep(2)
    return number


@pytest.mark.virtual_time
async def test_a_slow_consumer_does_not_make_a_short_run_a_good_one() -> None:
    """X20: each run fails at once, though it takes 100 s until the consumer gets there."""
    source = Flaky(itertools.count, *itertools.repeat(50, 20))

    got, _error = await got_before_failing(
        source, retry(3, on=Broken, backoff=SECONDS, resume="start"), sf.buffer(1), sf.map(two_seconds)
    )

    assert got == [*range(50)] * 3


@pytest.mark.virtual_time
async def test_a_long_run_is_a_good_one_behind_a_slow_consumer_too() -> None:
    """X20: each run goes on for minutes, since it has to wait for room."""
    source = Flaky(itertools.count, *itertools.repeat(300, 20))
    stage = retry(2, on=Broken, backoff=SECONDS, resume="start")

    got = await collected(source, stage, sf.buffer(1), sf.map(two_seconds), sf.take(2000))

    assert got[-200:] == [*range(200)]


@pytest.mark.virtual_time
async def test_a_feed_that_is_quiet_for_hours_after_an_item_was_good() -> None:
    runs = 0

    async def feed() -> AsyncIterator[int]:
        nonlocal runs
        runs += 1
        yield runs
        await asyncio.sleep(3600)
        raise Broken

    assert await collected(feed, retry(2, on=Broken, resume="start"), sf.take(9)) == [*range(1, 10)]


@pytest.mark.virtual_time
async def test_without_reset_after_all_attempts_count() -> None:
    source = Flaky(itertools.count, *itertools.repeat(3, 50), wait=1000.0)

    got, _error = await got_before_failing(
        source, retry(2, on=Broken, backoff=SECONDS, reset_after=None, resume="start")
    )

    assert got == [0, 1, 2] * 2


@pytest.mark.virtual_time
async def test_a_cancellation_ends_the_pause() -> None:
    """X20: not run again."""
    source = Flaky(range(3), 1, 1)
    flow = retry(3, on=Broken, backoff=Backoff(first=600, most=600, jitter=False), resume="after")
    loop = asyncio.get_running_loop()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await collected(source, flow)

    assert loop.time() == 5
    assert source.trace.events == ["open 1", "closed 1"]


@pytest.mark.virtual_time
async def test_leaving_in_the_pause_ends_it() -> None:
    source = Flaky(range(3), 1)
    flow = sf.stream(source).through(retry(3, on=Broken, backoff=Backoff(first=600, most=600), resume="after"))

    async with flow.open() as items:
        assert await anext(items) == 0
        await asyncio.sleep(1)

    assert asyncio.get_running_loop().time() == 1
    assert source.runs == 1


async def test_leaving_in_the_second_run_closes_it() -> None:
    source = Flaky(itertools.count, 2)

    got = await collected(source, retry(3, on=Broken, backoff=AT_ONCE, resume="after"), sf.take(5))

    assert got == [0, 1, 2, 3, 4]
    assert source.trace.events == ["open 1", "closed 1", "open 2", "closed 2"]


async def test_no_more_is_read_than_it_says() -> None:
    """P1."""
    source = TrackedSource(itertools.count(), delay=0)
    sink: SlowSink[int] = SlowSink()
    stage = retry(3, resume="start")
    run = asyncio.create_task(sf.Pipeline(source, stage, sink, maxsize=1).run())
    for _ in range(2000):
        await asyncio.sleep(0)
    run.cancel()
    await asyncio.wait([run])

    assert source.taken <= stage.holds_items + 3


async def test_errors_are_told_in_short_and_not_all_of_them() -> None:
    class Long(Broken):
        def __str__(self) -> str:
            return "words " * 1000

    error = await failure_of(
        Flaky(range(3), *itertools.repeat(0, 20), error=Long), retry(9, on=Broken, backoff=AT_ONCE, resume="after")
    )

    told = [note for note in error.__notes__ if note.startswith("attempt ")]
    assert [note[:9] for note in told] == ["attempt 6", "attempt 7", "attempt 8"]
    assert max(map(len, told)) < 300


@pytest.mark.virtual_time
async def test_each_failure_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="streamflow"):
        await collected(Flaky(range(3), 1, 2), retry(3, on=Broken, backoff=SECONDS, resume="after"))

    assert caplog.messages == [
        "retry(3, resume='after'): attempt 1 failed with Broken: in run 1; the next in 1 s",
        "retry(3, resume='after'): attempt 2 failed with Broken: in run 2; the next in 2 s",
    ]


async def test_a_failed_run_and_its_items_are_forgotten() -> None:
    class Row:
        pass

    rows: list[weakref.ref[Row]] = []

    async def source() -> AsyncIterator[Row]:
        row = Row()
        rows.append(weakref.ref(row))
        if len(rows) == 1:
            raise Broken
        yield row

    async with sf.stream(source).through(retry(on=Broken, backoff=AT_ONCE, resume="after")).open() as items:
        await anext(items)
        gc.collect()
        assert rows[0]() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attempts": 0}, "attempts"),
        ({"attempts": 1.5}, "attempts"),
        ({"on": 3}, "on"),
        ({"on": asyncio.CancelledError}, "on"),
        ({"backoff": 0.5}, "Backoff"),
        ({"reset_after": 0}, "reset_after"),
        ({"resume": "beginning"}, "'start' or 'after'"),
        ({"resume": ["start"]}, "'start' or 'after'"),
    ],
)
def test_misuse_of_retry_is_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        retry(**{"resume": "after", **arguments})


# --- cancelled anywhere -----------------------------------------------------------------------------------------


class Retried:
    """A run with two failures and two pauses."""

    def __init__(self) -> None:
        self.source = Flaky(range(5), 2, 3)
        self.got: list[int] = []

    async def __call__(self) -> None:
        stage = retry(3, on=Broken, backoff=SECONDS, resume="after")
        await sf.pipeline(self.source, sf.map(int), stage, sf.for_each(self.got.append))


def test_cancelled_after_every_step_a_retry_leaves_nothing_behind() -> None:
    def check(state: Retried, outcome: Outcome) -> None:
        trace = state.source.trace.events
        assert trace == [f"{name} {run}" for run in range(1, len(trace) // 2 + 1) for name in ("open", "closed")]
        assert state.got == [*range(len(state.got))]
        assert outcome.ended != "returned" or len(state.got) == 5

    assert cancel_everywhere(Retried, check) > 50
