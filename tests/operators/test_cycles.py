"""Results that go round: crawlers and retry queues, their end, and the cycle that can only deadlock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

import streamflow as sf
from streamflow.testing import Outcome, TrackedSource, cancel_everywhere

LINKS: dict[str, list[str]] = {"/": ["/a", "/b"], "/a": ["/a1", "/a2"], "/b": ["/b1"], "/a1": [], "/a2": [], "/b1": []}


class Broken(Exception):
    """What the tests raise."""


# --- expand ------------------------------------------------------------------------------------------------------


async def test_a_tree_is_walked_breadth_first() -> None:
    assert await sf.stream(["/"]).expand(LINKS.__getitem__).collect() == ["/", "/a", "/b", "/a1", "/a2", "/b1"]


@pytest.mark.virtual_time
async def test_a_crawler_goes_on_while_a_slow_page_is_loading() -> None:
    """One page takes 100 s; the others are walked meanwhile, 4 at once."""
    done: dict[str, float] = {}
    calls = peak = 0

    async def load(page: str) -> list[str]:
        nonlocal calls, peak
        calls += 1
        peak = max(peak, calls)
        await asyncio.sleep(100 if page == "/0" else 1)
        calls -= 1
        done[page] = asyncio.get_running_loop().time()
        return [f"{page}{n}" for n in range(3)] if len(page) < 4 else []

    count = await sf.stream(["/"]).expand(load, concurrency=4, ordered=False).count()

    assert count == 1 + 3 + 9 + 27
    assert peak == 4
    assert done["/222"] < 20
    assert max(done.values()) < 110


async def test_children_may_come_from_anything() -> None:
    async def later(number: int) -> AsyncIterator[int]:
        yield number + 1

    async def awaited(number: int) -> Any:
        return later(number) if number < 2 else None

    def mixed(number: int) -> Any:
        return later(number) if number == 0 else awaited(number)

    assert await sf.stream([0]).expand(mixed).collect() == [0, 1, 2]


async def test_falsy_items_go_round() -> None:
    children = {None: [0], 0: [""], "": [()], (): []}

    assert await sf.stream([None]).expand(children.__getitem__).collect() == [None, 0, "", ()]


async def test_the_source_of_a_walk_is_held_back() -> None:
    source = TrackedSource(itertools.count())
    async with sf.stream(source).expand(lambda _: []).open(maxsize=1) as items:
        await anext(items)
        for _ in range(50):
            await asyncio.sleep(0)

    assert source.taken < 60
    assert source.opened == source.closed == 1


# --- feedback ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A piece of work that fails the first times."""

    name: str
    fails: int
    tries: int = 0

    @property
    def failed(self) -> bool:
        return self.tries <= self.fails


async def attempt(job: Job) -> Job:
    await asyncio.sleep(1)
    return replace(job, tries=job.tries + 1)


def again(job: Job) -> list[Job] | None:
    return [job] if job.failed and job.tries < 4 else None


@pytest.mark.virtual_time
async def test_a_retry_queue_ends_when_the_last_job_has_drained() -> None:
    jobs = [Job("a", 0), Job("b", 2), Job("c", 9)]

    tried = await sf.stream(jobs).feedback(sf.map(attempt, concurrency=8), again).collect()

    assert [job.name for job in tried if not job.failed] == ["a", "b"]
    assert [job.tries for job in tried if job.name == "c"] == [1, 2, 3, 4]
    assert asyncio.get_running_loop().time() == 4


@pytest.mark.virtual_time
async def test_what_goes_round_does_not_wait_for_a_slow_input() -> None:
    times: list[float] = []

    async def slow() -> AsyncIterator[int]:
        yield 3
        await asyncio.sleep(100)
        yield 1

    async with sf.stream(slow).feedback(sf.map(lambda n: n - 1), lambda n: [n] if n else None).open() as items:
        async for _ in items:
            times.append(asyncio.get_running_loop().time())  # noqa: PERF401  # the time of each

    assert times == [0, 0, 0, 100]


async def test_stages_that_keep_items_are_flushed_and_begin_anew() -> None:
    sums = sf.feedback(sf.batched(3), lambda batch: [sum(batch)] if len(batch) > 1 else None)

    assert await sf.stream(range(7)).through(sums).collect() == [(0, 1, 2), (3, 3, 4), (10, 5, 6), (21,)]


async def test_a_stage_of_ones_own_may_go_round() -> None:
    async def halved(numbers: AsyncIterable[int]) -> AsyncIterator[int]:
        async for number in numbers:
            yield number // 2

    seen = sf.stream([20]).feedback([halved, sf.filter(lambda n: n != 2)], lambda n: [n] if n > 1 else None)

    assert await seen.collect() == [10, 5]


async def test_a_stage_that_has_enough_ends_the_cycle() -> None:
    source = TrackedSource(itertools.count())

    assert await sf.stream(source).feedback(sf.take(3), lambda n: [n]).count() == 3
    assert source.opened == source.closed == 1


# --- the deadlock ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("maxsize", [1, 7, 100])
async def test_a_cycle_that_can_only_deadlock_says_so_and_names_its_stages(concurrency: int, maxsize: int) -> None:
    """H47."""

    async def same(number: int) -> int:
        return number

    grows = sf.feedback([sf.map(same, concurrency=concurrency), sf.map(same)], lambda n: [n, n], maxsize=maxsize)

    with pytest.raises(sf.CycleDeadlock, match=rf"{maxsize} items wait.*every stage.*'map") as caught:
        await sf.stream(range(3)).through(grows).count()
    assert "maxsize=" in str(caught.value)


@pytest.mark.virtual_time
async def test_a_full_cycle_that_still_moves_is_backpressure() -> None:
    """Three items for each, of which nothing comes: the calls take a while, and what waits is never more than fits."""
    walk = sf.stream([0]).feedback(
        sf.map(lambda level: asyncio.sleep(1, level), concurrency=2),
        lambda level: [level + 1] * 3 if level < 2 else None,
        maxsize=20,
    )

    assert await walk.count() == 1 + 3 + 9


@pytest.mark.virtual_time
async def test_a_slow_consumer_is_no_deadlock() -> None:
    counted = 0
    walk = sf.stream([5] * 50).feedback(sf.map(lambda n: n - 1), lambda n: [n] if n else None, maxsize=60)
    async with walk.open(maxsize=1) as items:
        async for _ in items:
            counted += 1
            await asyncio.sleep(10)

    assert counted == 250


# --- errors, misuse, cancellation --------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["stage", "back", "source"])
async def test_an_error_ends_the_cycle_after_the_outputs_before_it(where: str) -> None:
    source = TrackedSource([1, 2, 3], error=Broken("source") if where == "source" else None)

    def work(number: int) -> int:
        if where == "stage" and number == 3:
            raise Broken("stage")
        return number

    def back(number: int) -> None:
        if where == "back" and number == 3:
            raise Broken("back")

    got: list[int] = []
    with pytest.raises(Broken, match=where):
        await sf.stream(source).feedback(sf.map(work), back).for_each(got.append)

    assert got == [1, 2, 3][: 3 if where == "source" else 2]
    assert source.opened == source.closed == 1


async def test_what_fails_in_closing_a_stage_of_the_cycle_is_raised() -> None:
    """As if nested (P3): an early stop below does not hide it."""

    async def failing_close(numbers: AsyncIterable[int]) -> AsyncIterator[int]:
        try:
            async for number in numbers:
                yield number
        finally:
            raise Broken("closing")

    with pytest.raises(Broken, match="closing"):
        await sf.stream(itertools.count()).feedback(failing_close, lambda _: None).take(2).run()


def test_misuse_says_what_to_write() -> None:
    with pytest.raises(sf.UsageError, match="at least one stage"):
        sf.feedback([], lambda _: None)
    with pytest.raises(sf.UsageError, match="is not a stage"):
        sf.feedback(3, lambda _: None)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(sf.UsageError, match="feedback"):
        sf.feedback(sf.map(str), 3)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(sf.UsageError, match="expand"):
        sf.expand(3)  # type: ignore[arg-type]  # what is tested
    with pytest.raises(sf.UsageError, match="maxsize"):
        sf.expand(repr, maxsize=0)
    with pytest.raises(sf.UsageError, match="no effect without concurrency"):
        sf.expand(repr, ordered=False)


@pytest.mark.slow
def test_cancelled_at_any_step_no_call_is_left() -> None:
    class Walk:
        def __init__(self) -> None:
            self.calls = 0

        async def load(self, page: str) -> list[str]:
            self.calls += 1
            try:
                await asyncio.sleep(1)
            finally:
                self.calls -= 1
            return LINKS[page]

        async def __call__(self) -> list[str]:
            return await sf.stream(["/"]).expand(self.load, concurrency=2, ordered=False).collect()

    def check(walk: Walk, outcome: Outcome) -> None:
        assert walk.calls == 0
        assert outcome.ended == "cancelled" or len(outcome.value) == 6

    cancel_everywhere(Walk, check)
