"""The ten promises, one test each, from outside: what a user may rely on.

The many ways in which each could be broken are tried in the files of the parts; here each promise is seen to be kept
once, end to end.
"""

from __future__ import annotations

import asyncio
import contextvars
import csv as stdlib_csv
import gzip as stdlib_gzip
import itertools
import os
from contextlib import aclosing
from typing import Any

import anyio
import pytest

import streamflow as sf
from streamflow import csv, files, gzip
from streamflow.testing import KINDS, Gate, TrackedSource, cancel_everywhere


async def passed_on(items: Any) -> Any:
    async for item in items:
        yield item


async def range_of(count: int) -> Any:
    for number in range(count):
        yield number


async def test_p1_between_two_stages_there_is_never_more_than_the_channel_holds() -> None:
    """A source without end, and a sink that stops: sampled while everything is as full as it can get."""
    gate = Gate()

    async def sink(items: Any) -> None:
        async for _ in items:
            await gate.passage()

    numbers = TrackedSource(itertools.count())
    job = sf.Pipeline(numbers, passed_on, sf.map(lambda number: number), sink, maxsize=5)
    task = asyncio.create_task(job.run())
    for round_ in range(20):
        for _ in range(40):
            await asyncio.sleep(0)
        assert all(channel.items <= 5 for channel in job.stats().channels)
        in_hands = 4  # the item each of the four tasks is at
        assert numbers.taken - round_ <= 3 * 5 + in_hands
        gate.let(1)
    task.cancel()
    await asyncio.wait([task])

    assert [channel.peak for channel in job.stats().channels] == [5, 5, 5]
    for nothing in (0, -1, float("nan"), float("inf"), True):
        with pytest.raises(sf.UsageError, match="no unbounded mode"):
            sf.Channel(nothing)  # type: ignore[arg-type]


async def test_p1_bytes_are_bounded_too_and_one_heavy_item_passes() -> None:
    chunks = [b"x" * 600, b"x" * 600, b"x" * 5_000, b"x" * 10]
    job = sf.Pipeline(chunks, sf.collect(), max_bytes=1_000)

    assert await job.run() == chunks
    [channel] = job.stats().channels
    assert channel.peak_bytes == 5_000


def test_p2_nothing_is_lost_and_the_account_balances_however_a_run_ends() -> None:
    """Counted by the actors themselves, and compared with the statistics, cancelled after every step in every way."""

    class Transfer:
        def __init__(self) -> None:
            self.source = TrackedSource(range(6))
            self.arrived: list[int] = []
            self.job = sf.Pipeline(self.source, sf.filter(lambda number: number != 2), self.sink, maxsize=2)

        async def sink(self, items: Any) -> int:
            async for item in items:
                self.arrived.append(item)
                await asyncio.sleep(0)
            return len(self.arrived)

        async def __call__(self) -> int:
            return await self.job.run()

        def check(self, outcome: Any) -> None:
            assert self.arrived == [0, 1, 3, 4, 5][: len(self.arrived)]
            if outcome.ended == "returned":
                assert outcome.value == 5
            if self.source.opened:
                stats = self.job.stats()
                first, last = stats.channels
                assert stats.balanced
                assert self.source.taken == first.put
                assert first.put == first.got + first.discarded
                assert first.got == stats.stages[1].items_in == last.put + stats.stages[1].dropped
                assert last.got == len(self.arrived)

    assert cancel_everywhere(Transfer, Transfer.check, kinds=KINDS) > 100


async def test_p3_a_pipeline_behaves_as_the_nested_generators_would() -> None:
    """Order, an error after the items before it, a stage that catches it, and an early end that is success."""

    async def failing(items: Any) -> Any:
        async for item in items:
            if item == 5:
                raise ValueError("five")
            yield item

    async def catching(items: Any) -> Any:
        try:
            async for item in items:
                yield item
        except ValueError as error:
            yield str(error)

    async with aclosing(range_of(9)) as source, aclosing(passed_on(source)) as numbers:
        nested = [item async for item in catching(failing(numbers))]
    assert await sf.pipeline(range_of(9), passed_on, failing, catching, sf.collect()) == nested
    assert nested == [0, 1, 2, 3, 4, "five"]

    endless = TrackedSource(itertools.count())
    assert await sf.pipeline(endless, passed_on, sf.take(3), passed_on, sf.collect()) == [0, 1, 2]
    endless.verify()


async def test_p4_the_first_real_failure_is_raised_bare_with_a_note() -> None:
    def parse(text: str) -> int:
        return int(text)

    line = parse.__code__.co_firstlineno + 5
    with pytest.raises(ValueError, match="invalid literal") as caught:
        await sf.pipeline(["1", "2", "x"], passed_on, sf.map(parse), passed_on, sf.collect(), name="orders")
    assert caught.value.__notes__ == [f"in stage 3 of 5 of orders: 'map', at item 3 (added at {__file__}:{line})"]

    async def stray(items: Any) -> Any:
        async for item in items:
            yield item
        raise asyncio.CancelledError  # a pool that was closed, say: nobody cancelled this stage

    with pytest.raises(sf.StageCancelled):
        await sf.pipeline([1], stray, sf.collect())

    async def sink(items: Any) -> None:
        async for _ in items:
            raise KeyError("sink")

    async def source() -> Any:
        try:
            for number in itertools.count():
                yield number
        finally:
            raise OSError("source")

    with pytest.raises(ExceptionGroup) as group:
        await sf.pipeline(source, sink)
    assert [type(error) for error in group.value.exceptions] == [KeyError, OSError]


async def test_p5_truncation_is_an_error_at_every_length() -> None:
    whole = stdlib_gzip.compress(b"id,name\n" + b"".join(b'%d,"name %d"\n' % (n, n) for n in range(50)))

    for length in range(1, len(whole), 7):
        with pytest.raises(sf.TruncatedError):
            await sf.pipeline([whole[:length]], gzip.decompress(), csv.parse(), sf.drain())
    assert len(await sf.pipeline([whole], gzip.decompress(), csv.parse(), sf.collect())) == 50

    async def failing() -> Any:
        yield 1
        raise ConnectionError("reset")

    with pytest.raises(ConnectionError):  # a failing stage never looks like the end of the stream
        await sf.stream(failing).collect()


async def test_p6_a_sink_commits_or_leaves_nothing(tmp_path: Any) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"the old one")

    async def failing() -> Any:
        yield b"new"
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await sf.pipeline(failing, files.write(target))
    assert target.read_bytes() == b"the old one"

    async def endless() -> Any:
        while True:
            await asyncio.sleep(0)
            yield b"new"

    with anyio.move_on_after(0.05):
        await sf.pipeline(endless, files.write(target))
    assert target.read_bytes() == b"the old one"

    await sf.pipeline([b"a", b"b"], files.write(target))
    assert target.read_bytes() == b"ab"
    assert os.listdir(tmp_path) == ["out.bin"]


class Living:
    """A stage that notes when it is closed, and checks that it is closed where it was opened."""

    request: contextvars.ContextVar[str] = contextvars.ContextVar("request")

    def __init__(self) -> None:
        self.closed: list[str] = []

    def __getitem__(self, name: str) -> Any:
        async def living(items: Any) -> Any:
            task, token = asyncio.current_task(), self.request.set(name)
            try:
                async with asyncio.timeout(60):  # a scope around `yield` is legal
                    async for item in items:
                        yield item
            finally:
                await asyncio.sleep(0)  # cleanup may wait
                assert asyncio.current_task() is task
                self.request.reset(token)
                self.closed.append(name)

        return living


async def _end(flow: sf.Stream[int], ending: str) -> None:
    """End a run of an endless stream in this way."""
    if ending == "enough":
        assert await flow.first() == 0
    elif ending == "failure":
        with pytest.raises(ZeroDivisionError):
            await flow.for_each(lambda number: 1 // number)
    elif ending == "scope":
        with anyio.move_on_after(0.02):
            await flow.for_each(lambda _: asyncio.sleep(60))
    elif ending == "cancelled":
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await flow.for_each(lambda _: asyncio.sleep(60))
    else:
        async for _ in flow:
            break
        for _turn in range(100):
            await asyncio.sleep(0)


@pytest.mark.parametrize("ending", ["enough", "failure", "scope", "cancelled", "dropped"])
async def test_p7_however_a_run_ends_everything_is_closed_sink_first_in_its_own_task(ending: str) -> None:
    source, living = TrackedSource(itertools.count()), Living()

    await _end(sf.stream(source).through(living["a"]).through(living["b"]), ending)

    assert living.closed == ["b", "a"]
    source.verify()


async def test_p7_what_is_exhausted_is_closed_before_the_pipeline_returns() -> None:
    source, living = TrackedSource(range(3)), Living()

    assert await sf.pipeline(source, living["a"], living["b"], sf.collect()) == [0, 1, 2]

    assert living.closed == ["a", "b"]
    source.verify()


async def test_p8_a_stage_that_never_waits_gives_other_tasks_a_turn() -> None:
    """Steps are counted, not seconds: a pipeline that can never end is ended by a task beside it."""
    turns = 0

    async def beside() -> None:
        nonlocal turns
        while turns < 20:
            turns += 1
            await asyncio.sleep(0)
        running.cancel()

    running = asyncio.create_task(sf.stream(itertools.count()).filter(lambda _: False).run())
    await beside()
    await asyncio.wait([running])

    assert running.cancelled()


async def test_p9_a_run_can_be_seen_before_during_and_after() -> None:
    gate = Gate()

    async def slow(items: Any) -> Any:
        async for item in items:
            await gate.passage()
            yield item

    job = sf.Pipeline(range(50), slow, sf.count(), name="watched", maxsize=4)
    assert "watched: 3 steps in 3 tasks" in job.explain()

    task = asyncio.create_task(job.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert [stage.state for stage in job.stats().stages] == ["waiting for room", "working", "waiting for input"]
    assert not job.stats().finished

    gate.open()
    assert await task == 50
    assert job.stats().finished
    assert job.report.outcome == "succeeded"
    assert "The account balances" in str(job.report)


async def test_p10_misuse_is_loud_and_says_what_to_write() -> None:
    async def not_a_stage(row: Any) -> Any:
        return row

    for call, advice in (
        (lambda: sf.pipeline([1], not_a_stage, sf.collect()), r"write sf\.map\(not_a_stage\)"),
        (lambda: sf.pipeline([1]), r"sf\.collect\(\) for a list"),
        (lambda: sf.pipeline("s3://bucket/key", sf.collect()), r"objects\.read"),
        (lambda: sf.pipeline([1], sf.map(str)), "End the pipeline with a sink"),
        (lambda: sf.map(str, ordered=False), "no effect"),
        (lambda: sf.batched(0), "at least 1"),
    ):
        with pytest.raises(sf.UsageError, match=advice):
            call()

    channel: sf.Channel[int] = sf.Channel(1)
    with pytest.warns(RuntimeWarning, match="never awaited"):
        channel.put(1)
    assert channel.empty()


async def test_the_incident_that_started_this_project_cannot_happen(tmp_path: Any) -> None:
    """50,000 rows through a slow gzip, scaled down: the last row arrives, or there is an error."""
    rows = [{"id": str(number), "name": f"name {number}"} for number in range(2_000)]
    target = tmp_path / "orders.csv.gz"

    def stamped(row: dict[str, str]) -> dict[str, str]:
        return row | {"ts": "now"}

    await sf.pipeline(rows, sf.map(stamped), csv.format(), gzip.compress(), files.write(target), maxsize=16)

    with stdlib_gzip.open(target, "rt", newline="") as written:
        assert list(stdlib_csv.DictReader(written)) == [stamped(row) for row in rows]
