"""The date is the event loop's where it has one, else the machine's."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streamflow.engine.date import now
from streamflow.testing import StepLoop


def test_without_a_loop_it_is_the_machines_date() -> None:
    assert abs(now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert now().tzinfo is UTC


async def test_on_asyncio_and_uvloop_it_is_the_machines_date() -> None:
    assert abs(now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.virtual_time
async def test_a_step_loop_has_a_date_of_its_own_which_goes_with_its_clock() -> None:
    assert now() == datetime(2025, 1, 1, tzinfo=UTC)

    await asyncio.sleep(86_400)

    assert now() == datetime(2025, 1, 2, tzinfo=UTC)


@pytest.mark.virtual_time
async def test_the_date_of_a_step_loop_can_be_set() -> None:
    loop: Any = asyncio.get_running_loop()
    await asyncio.sleep(1000)
    loop.set_wall_clock(datetime(2025, 3, 30, 1, 59, 59, tzinfo=ZoneInfo("Europe/Berlin")))
    await asyncio.sleep(1.5)

    assert now() == datetime(2025, 3, 30, 1, 0, 0, 500_000, tzinfo=UTC)


def test_a_step_loop_may_start_at_any_date() -> None:
    async def main() -> datetime:
        return now()

    start = datetime(1999, 12, 31, 23, 59, tzinfo=UTC)
    with asyncio.Runner(loop_factory=lambda: StepLoop(starts_at=start)) as runner:
        assert runner.run(main()) == start


@pytest.mark.virtual_time
async def test_a_date_without_a_timezone_is_no_moment() -> None:
    loop: Any = asyncio.get_running_loop()

    with pytest.raises(ValueError, match="has no timezone"):
        loop.set_wall_clock(datetime(2025, 1, 1))  # noqa: DTZ001  # the mistake
