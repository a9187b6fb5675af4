"""interval and cron: the grid that does not drift, what a busy consumer misses, and clocks that change.

How a test replaces time: it is marked `virtual_time`, so it runs on a `StepLoop`; `loop.set_wall_clock(...)` sets the
date there, which from then on goes with the loop's clock.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import sys
from contextlib import aclosing
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import streamflow as sf
from streamflow.operators.ticking import cron, interval
from streamflow.testing import Outcome, StepLoop, cancel_everywhere
from tests.operators.timelines import moments, timeline

BERLIN = ZoneInfo("Europe/Berlin")


# --- interval ----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_interval_ticks_at_once_and_then_on_the_grid() -> None:
    assert await timeline(interval(0.5), sf.take(4)) == [(0, 0), (0.5, 1), (1, 2), (1.5, 3)]


@pytest.mark.virtual_time
async def test_interval_may_begin_one_step_later() -> None:
    assert await timeline(interval(10, immediately=False), sf.take(3)) == [(10, 0), (20, 1), (30, 2)]


@pytest.mark.virtual_time
async def test_interval_ends_after_so_many_ticks_without_a_further_wait() -> None:
    assert await timeline(interval(10, times=2)) == [(0, 0), (10, 1)]
    assert asyncio.get_running_loop().time() == 10


@pytest.mark.virtual_time
async def test_interval_does_not_drift() -> None:
    """A thousand steps of 0.1 that floats cannot hold, each begun late because the consumer takes a while."""
    out = await timeline(interval(0.1, times=1000), sf.buffer(1), busy=0.03)

    assert out[-1] == (pytest.approx(99.9, abs=1e-9), 999)


@pytest.mark.virtual_time
async def test_ticks_that_a_busy_consumer_misses_are_skipped_and_their_numbers_missing() -> None:
    out = await timeline(interval(1), sf.buffer(1), sf.take(10), sf.buffer(1), busy=10.0)

    numbers = [number for _, number in out]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 20
    assert all(number <= moment for moment, number in out)


@pytest.mark.virtual_time
async def test_a_buffer_of_one_keeps_ticks_from_piling_up() -> None:
    out = await timeline(interval(1), sf.buffer(1), sf.take(6), sf.buffer(1), busy=100.0)

    assert max(moment - number for moment, number in out) <= 5 * 100  # one in each of two channels and three hands


@pytest.mark.virtual_time
@pytest.mark.parametrize("seconds", [1e-9, 1e-300])
async def test_an_interval_shorter_than_any_clock_starves_nobody(seconds: float) -> None:
    """P8, X16."""
    assert await sf.stream(interval(seconds)).through(sf.take(1000)).count() == 1000


@pytest.mark.virtual_time
async def test_an_interval_of_a_century() -> None:
    assert moments(await timeline(interval(3e9, times=3))) == [0, 3e9, 6e9]


@pytest.mark.virtual_time
async def test_each_run_has_its_own_ticks() -> None:
    source = interval(1, times=2)

    assert await timeline(source) == [(0, 0), (1, 1)]
    await asyncio.sleep(0.25)
    assert await timeline(source) == [(1.25, 0), (2.25, 1)]


@pytest.mark.parametrize("seconds", [0, -1, True, None, "2", math.inf, math.nan, 10**400])
def test_an_interval_that_cannot_mean_anything_is_refused(seconds: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"interval\(seconds\)"):
        interval(seconds)


@pytest.mark.parametrize("times", [0, -1, 1.5, True, "2"])
def test_a_number_of_ticks_that_cannot_mean_anything_is_refused(times: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"interval\(times\) must be a whole number"):
        interval(1, times=times)


def test_cancelled_at_any_step_nothing_is_left() -> None:
    """P7."""

    async def scenario() -> int:
        return await sf.stream(interval(1)).through(sf.take(4)).count()

    def check(_state: object, outcome: Outcome) -> None:
        assert outcome.ended != "returned" or outcome.value == 4

    assert cancel_everywhere(scenario, check) > 50


# --- cron --------------------------------------------------------------------------------------------------------


def dates(out: Any) -> list[str]:
    return [moment.isoformat() for _, moment in out]


@pytest.mark.virtual_time
async def test_cron_is_due_on_the_minute_and_gives_the_moment() -> None:
    loop: Any = asyncio.get_running_loop()
    loop.set_wall_clock(datetime(2025, 6, 1, 11, 58, 30, tzinfo=UTC))

    out = await timeline(cron("0,30 * * * *"), sf.take(3))

    assert out == [
        (90, datetime(2025, 6, 1, 12, 0, tzinfo=UTC)),
        (90 + 1800, datetime(2025, 6, 1, 12, 30, tzinfo=UTC)),
        (90 + 3600, datetime(2025, 6, 1, 13, 0, tzinfo=UTC)),
    ]


@pytest.mark.virtual_time
async def test_a_moment_that_is_now_has_passed() -> None:
    loop: Any = asyncio.get_running_loop()
    loop.set_wall_clock(datetime(2025, 6, 1, 12, 0, tzinfo=UTC))

    assert moments(await timeline(cron("* * * * *"), sf.take(2))) == [60, 120]


@pytest.mark.virtual_time
async def test_six_fields_begin_with_seconds() -> None:
    assert moments(await timeline(cron("*/20 * * * * *"), sf.take(4))) == [20, 40, 60, 80]


SPRING = datetime(2025, 3, 30, 0, 10, tzinfo=BERLIN)
AUTUMN = datetime(2025, 10, 26, 0, 10, tzinfo=BERLIN)
CLOCKS: dict[str, tuple[str, datetime, list[str]]] = {
    "a time in the gap is due right after it": (
        "30 2 * * *",
        SPRING,
        ["2025-03-30T03:00:00+02:00", "2025-03-31T02:30:00+02:00"],
    ),
    "a time that comes twice is due once": (
        "30 2 * * *",
        AUTUMN,
        ["2025-10-26T02:30:00+02:00", "2025-10-27T02:30:00+01:00"],
    ),
    "every half hour goes by real time": (
        "*/30 * * * *",
        AUTUMN.replace(hour=1, minute=40),
        [
            "2025-10-26T02:00:00+02:00",
            "2025-10-26T02:30:00+02:00",
            "2025-10-26T02:00:00+01:00",
            "2025-10-26T02:30:00+01:00",
            "2025-10-26T03:00:00+01:00",
        ],
    ),
    "started in the second of two equal hours": (
        "30 2 * * *",
        AUTUMN.replace(hour=2, minute=10, fold=1),
        ["2025-10-27T02:30:00+01:00"],
    ),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", CLOCKS)
async def test_where_the_clocks_change(name: str) -> None:
    expression, start, expected = CLOCKS[name]
    loop: Any = asyncio.get_running_loop()
    loop.set_wall_clock(start)

    out = await timeline(cron(expression, timezone="Europe/Berlin"), sf.take(len(expected)))

    assert dates(out) == expected
    assert all(
        moment == pytest.approx((due.astimezone(UTC) - start.astimezone(UTC)).total_seconds()) for moment, due in out
    )


@pytest.mark.virtual_time
async def test_what_is_due_while_the_consumer_is_busy_is_skipped() -> None:
    out = await timeline(cron("* * * * *"), sf.buffer(1), sf.take(6), sf.buffer(1), busy=3000.0)

    due = [moment for _, moment in out]
    assert due == sorted(set(due))
    assert due[-1] - due[0] > timedelta(minutes=20)


@pytest.mark.virtual_time
async def test_a_date_that_is_set_back_repeats_nothing() -> None:
    loop: Any = asyncio.get_running_loop()
    loop.call_later(90, lambda: loop.set_wall_clock(datetime(2025, 1, 1, 0, 0, 30, tzinfo=UTC)))

    out = await timeline(cron("* * * * *"), sf.take(3))

    assert out == [
        (60, datetime(2025, 1, 1, 0, 1, tzinfo=UTC)),
        (180, datetime(2025, 1, 1, 0, 2, tzinfo=UTC)),
        (240, datetime(2025, 1, 1, 0, 3, tzinfo=UTC)),
    ]


@pytest.mark.virtual_time
async def test_a_date_that_is_set_back_before_a_moment_that_was_emitted_does_not_bring_it_again() -> None:
    loop: Any = asyncio.get_running_loop()
    due = []
    async with aclosing(aiter(cron("* * * * *"))) as items:  # the generator itself, so that it waits for its consumer
        async for moment in items:
            due.append((loop.time(), moment.minute))
            if len(due) == 2:
                break
            loop.set_wall_clock(datetime(2025, 1, 1, 0, 0, 30, tzinfo=UTC))

    assert due == [(60, 1), (150, 2)]


@pytest.mark.virtual_time
async def test_a_machine_that_slept_is_late_by_a_minute_at_most() -> None:
    """The loop's clock stood still meanwhile, and the date did not."""
    loop: Any = asyncio.get_running_loop()
    loop.call_later(90, lambda: loop.set_wall_clock(datetime(2025, 1, 1, 7, 59, 50, tzinfo=UTC)))

    out = await timeline(cron("0 8 * * *"), sf.take(1))

    assert moments(out)[0] <= 90 + 10 + 60
    assert dates(out) == ["2025-01-01T08:00:00+00:00"]


@pytest.mark.virtual_time
async def test_a_date_with_microseconds_is_never_early() -> None:
    loop: Any = asyncio.get_running_loop()
    loop.set_wall_clock(datetime(2025, 1, 1, 0, 0, 59, 999_999, tzinfo=UTC))

    [(_, due)] = await timeline(cron("* * * * *"), sf.take(1))

    assert due == datetime(2025, 1, 1, 0, 1, tzinfo=UTC)
    assert due <= loop.wall_clock() <= due + timedelta(milliseconds=2)


async def test_on_a_loop_without_a_date_it_is_the_machines() -> None:
    """On both loops: it waits, and can be left."""
    async with asyncio.timeout(None) as limit:
        loop = asyncio.get_running_loop()
        run = loop.create_task(sf.stream(cron("0 0 29 2 *")).count())
        for _ in range(20):
            await asyncio.sleep(0)
        assert not run.done()
        run.cancel()
        await asyncio.wait([run])
    assert not limit.expired()


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "zone",
    [None, "UTC", "Asia/Kathmandu", timezone(timedelta(hours=5, minutes=45)), ZoneInfo("Asia/Kathmandu")],
    ids=str,
)
async def test_a_timezone_is_a_name_or_an_object(zone: Any) -> None:
    """Without one it is UTC, whatever the machine's is."""
    [(moment, due)] = await timeline(cron("0 12 * * *", timezone=zone), sf.take(1))

    offset = timedelta(0) if zone in {None, "UTC"} else timedelta(hours=5, minutes=45)
    assert due.utcoffset() == offset
    assert (due.hour, due.minute) == (12, 0)
    assert moment == (timedelta(hours=12) - offset).total_seconds()


WRONG: dict[str, tuple[Any, str]] = {
    "no minute": ("61 * * * *", "Bad minute"),
    "too few fields": ("* * *", "Wrong number of fields"),
    "no fields": ("", "Wrong number of fields"),
    "words": ("every five minutes please now", "Bad minute"),
    "a nickname": ("@daily", "Wrong number of fields"),
    "a day no month has": ("0 0 31 2 *", "Bad day-of-month"),
    "a day that never comes": ("* * */20 * 1L", "not due in the next 50 years"),
    "no text": (5, "must be a text"),
    "bytes": (b"* * * * *", "must be a text"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_expression_that_cannot_mean_anything_is_refused(name: str) -> None:
    """P10: with the reason, when it is written and not when it runs."""
    expression, reason = WRONG[name]

    with pytest.raises(sf.UsageError, match=reason):
        cron(expression)


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "../etc/passwd", "CET+1:bad", 5, b"UTC", "\0"])
def test_a_timezone_that_does_not_exist_is_refused(zone: Any) -> None:
    with pytest.raises(sf.UsageError, match=r"cron\(timezone\) must be a tzinfo or the name of a timezone"):
        cron("* * * * *", timezone=zone)


def test_without_cronsim_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)

    with pytest.raises(sf.MissingExtra, match=r'pip install -e "\.\[cron\]"'):
        cron("* * * * *")


def test_a_cron_cancelled_at_any_step_leaves_nothing() -> None:
    """P7."""

    async def scenario() -> int:
        return await sf.stream(cron("*/2 * * * * *")).through(sf.take(2)).count()

    assert cancel_everywhere(scenario, lambda _state, outcome: None, kinds=("task", "anyio_scope")) > 20


def test_it_is_named_after_what_it_is_told() -> None:
    assert (interval(0.5).name, cron("*/5 * * * *").name) == ("interval(0.5)", "cron('*/5 * * * *')")


def test_every_noon_comes_once_over_a_change_of_clocks() -> None:
    async def main() -> list[datetime]:
        return await sf.stream(cron("0 12 * * *", timezone=BERLIN)).buffer(1).through(sf.take(30)).collect()

    with asyncio.Runner(loop_factory=lambda: StepLoop(starts_at=datetime(2024, 3, 20, tzinfo=UTC))) as runner:
        noons = runner.run(main())

    assert all(noon.hour == 12 for noon in noons)
    assert all(after.date() - before.date() == timedelta(days=1) for before, after in itertools.pairwise(noons))
