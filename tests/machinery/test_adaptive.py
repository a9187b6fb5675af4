"""A concurrency that finds its own limit, against simulated services in virtual time."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

import streamflow as sf
from streamflow.machinery.adaptive import Adaptive, Limiter
from streamflow.machinery.policies import Backoff, Retry
from streamflow.operators.concurrency import for_each
from streamflow.operators.concurrency import map as mapped
from streamflow.testing import TrackedSource


class Service:
    """Answers in 0.1 s while at most `bears` calls run; more of them share what it can do."""

    def __init__(self, bears: int, *, spread: float = 0.0) -> None:
        self.bears = bears
        self.running = self.most = 0
        self._dice = random.Random(3)
        self._spread = spread

    async def __call__(self, item: Any) -> Any:
        self.running += 1
        self.most = max(self.most, self.running)
        seconds = 0.1 * max(1.0, self.running / self.bears)
        try:
            await asyncio.sleep(seconds * self._dice.uniform(1 - self._spread, 1 + self._spread))
        finally:
            self.running -= 1
        return item


async def seconds_for(calls: int, service: Service, concurrency: Any) -> float:
    clock = asyncio.get_running_loop().time
    since = clock()
    await sf.pipeline(range(calls), for_each(service, concurrency=concurrency))
    return clock() - since


@pytest.mark.virtual_time
@pytest.mark.parametrize(("spread", "highest"), [(0.0, 16), (0.3, 30)])
async def test_the_limit_settles_where_the_service_slows_down(spread: float, highest: int) -> None:
    limits: list[int] = []

    await seconds_for(5000, Service(10, spread=spread), Adaptive(1, 64, on_change=limits.append))

    settled = limits[len(limits) // 3 :]
    assert len(settled) > 5
    assert all(6 <= limit <= highest for limit in settled)


@pytest.mark.virtual_time
@pytest.mark.parametrize("concurrency", ["auto", Adaptive(2, 500)])
async def test_it_is_nearly_as_quick_as_the_best_fixed_one(concurrency: Any) -> None:
    best = min([await seconds_for(2000, Service(10), fixed) for fixed in (4, 8, 10, 16, 32)])

    assert await seconds_for(2000, Service(10), concurrency) <= best / 0.8


@pytest.mark.virtual_time
@pytest.mark.parametrize("bears", [10, 1000])
async def test_calls_of_very_different_length_do_not_look_like_an_overload(bears: int) -> None:
    """One in twenty takes fifty times as long."""

    class Uneven(Service):
        async def __call__(self, item: Any) -> Any:
            self.running += 1
            slow = 1.0 if self._dice.random() < 0.05 else 0.02
            await asyncio.sleep(slow * max(1.0, self.running / self.bears))
            self.running -= 1

    best = min([await seconds_for(3000, Uneven(bears), fixed) for fixed in (5, 10, 20, 64)])

    assert await seconds_for(3000, Uneven(bears), "auto") <= best / 0.7


@pytest.mark.virtual_time
async def test_a_service_that_bears_everything_gets_the_highest_limit() -> None:
    limits: list[int] = []
    service = Service(1000)

    await seconds_for(3000, service, Adaptive(1, 40, on_change=limits.append))

    assert limits == [2, 4, 8, 16, 32, 40]
    assert service.most == 40


@pytest.mark.virtual_time
async def test_it_finds_back_when_the_service_gets_better() -> None:
    limits: list[int] = []
    service = Service(4)

    async def call(item: int) -> None:
        if item == 1500:
            service.bears = 30
        await service(item)

    await sf.pipeline(range(5000), for_each(call, concurrency=Adaptive(1, 64, on_change=limits.append)))

    assert min(limits[6:]) <= 5
    assert max(limits) >= 25


@pytest.mark.virtual_time
async def test_failures_that_a_retry_hides_lower_the_limit() -> None:
    """A service that refuses the ninth call at once, quickly."""
    limits: list[int] = []
    running = 0

    async def call(item: int) -> int:
        nonlocal running
        if running >= 8:
            raise ConnectionRefusedError
        running += 1
        await asyncio.sleep(0.1)
        running -= 1
        return item

    stage = mapped(
        call,
        concurrency=Adaptive(1, 64, on_change=limits.append),
        retry=Retry(20, backoff=Backoff(first=0.1, factor=1.0, jitter=False)),
    )

    assert await sf.pipeline(range(1000), stage, sf.collect()) == [*range(1000)]
    settled = limits[len(limits) // 3 :]
    assert len(settled) > 5
    assert max(settled) <= 9


@pytest.mark.virtual_time
async def test_a_slow_source_does_not_raise_the_limit() -> None:
    """A limit that is not reached says nothing about the service."""
    limits: list[int] = []

    source = TrackedSource(range(200), delay=1.0)
    await sf.pipeline(source, for_each(Service(10), concurrency=Adaptive(2, 64, on_change=limits.append)))

    assert limits == []


@pytest.mark.virtual_time
async def test_never_more_calls_run_than_the_limit_allows() -> None:
    limit = 3
    service = Service(10)

    def change(to: int) -> None:
        nonlocal limit
        limit = to

    async def call(item: int) -> int:
        assert service.running < limit
        return await service(item)

    stage = mapped(call, concurrency=Adaptive(3, 64, on_change=change), key=lambda item: item % 40)

    assert await sf.pipeline(range(2000), stage, sf.collect()) == [*range(2000)]


@pytest.mark.virtual_time
async def test_the_lowest_limit_is_kept_to_however_slow_it_gets() -> None:
    limits: list[int] = []
    slow = 0.1

    async def call(item: int) -> None:
        nonlocal slow
        slow *= 1.1
        await asyncio.sleep(slow)

    await sf.pipeline(range(100), for_each(call, concurrency=Adaptive(3, 9, on_change=limits.append)))

    assert min(limits) == 3


async def test_what_an_observer_raises_ends_the_run() -> None:
    """E13."""

    def fail(limit: int) -> None:
        raise KeyError(limit)

    async def call(item: int) -> None:
        await asyncio.sleep(0)

    with pytest.raises(KeyError):
        await sf.pipeline(range(100), for_each(call, concurrency=Adaptive(on_change=fail)))


def test_one_overload_cuts_once() -> None:
    """Calls that began before a cut do not cut again."""
    limiter = Limiter(Adaptive(10, 64))
    ages = [limiter.began() for _ in range(10)]

    for age in ages:
        limiter.struggled(age)

    assert limiter.limit == 10
    limiter.limit = 40
    limiter.struggled(limiter.began())
    assert limiter.limit == 26


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0}, r"Adaptive\(low\) must be a whole number"),
        ({"high": 2.5}, r"Adaptive\(high\) must be a whole number"),
        ({"low": 8, "high": 8}, "leaves nothing to find out"),
        ({"tolerance": 1}, r"Adaptive\(tolerance\) must be above 1"),
        ({"decrease": 0.9}, "must be below 1 / tolerance"),
        ({"decrease": 0}, r"Adaptive\(decrease\) must be a number above 0"),
        ({"on_change": 3}, r"Adaptive\(on_change\) must be a plain function"),
        ({"on_change": asyncio.sleep}, r"Adaptive\(on_change\) must be a plain function"),
    ],
)
def test_numbers_that_cannot_mean_anything_are_refused(arguments: dict[str, Any], message: str) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=message):
        Adaptive(**arguments)


def test_a_word_that_is_unknown_is_refused() -> None:
    with pytest.raises(sf.UsageError, match='"auto" or an Adaptive'):
        mapped(str, concurrency="many")  # type: ignore[call-overload]


def test_the_stage_says_how_far_it_may_go() -> None:
    stage = mapped(str, concurrency=Adaptive(2, 50))

    assert (stage.name, stage.concurrency, stage.holds_items) == ("map(concurrency=2..50)", 50, 100)
