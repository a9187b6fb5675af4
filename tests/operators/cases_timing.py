"""The operators on time and the sources that only the clock drives, each with its model. All on virtual time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from streamflow.operators.pacing import delay, spaced, throttle
from streamflow.operators.ticking import cron, interval
from streamflow.operators.timing import debounce, heartbeat, sample, timed, timeout
from tests.operators.contracts import AnyCase, Case, SourceCase


def newest(items: list[Any]) -> list[Any]:
    """Where all items come at once: the last one."""
    return items[-1:]


def at_the_start(items: Iterable[Any]) -> list[Any]:
    """Where all items come at once: each with moment 0."""
    return [(0.0, item) for item in items]


def beat() -> str:
    """Sign of life."""
    return "still here"


async def later() -> str:
    """Sign of life, of a coroutine function."""
    return "still here"


CASES: list[AnyCase] = [
    Case("throttle", lambda: throttle(2), list, virtual=True),
    Case("throttle", lambda: throttle(3, per=60, burst=5), list, virtual=True),
    Case("throttle", lambda: throttle(1e9), list, virtual=True),
    Case("throttle", lambda: throttle(10, cost=lambda item: 25 if item else 0), list, virtual=True),
    Case("spaced", lambda: spaced(0.5), list, virtual=True),
    Case("delay", lambda: delay(10.0), list, virtual=True),
    Case("delay", lambda: delay(10.0, maxsize=1), list, virtual=True),
    Case("debounce", lambda: debounce(1.0), newest, endless=0, virtual=True),
    Case("sample", lambda: sample(1.0), newest, endless=0, virtual=True),
    Case("timeout", lambda: timeout(first=1.0), list, virtual=True),
    Case("timeout", lambda: timeout(between=1.0), list, virtual=True),
    Case("timeout", lambda: timeout(first=1.0, between=1.0, total=1.0), list, virtual=True),
    Case("heartbeat", lambda: heartbeat(1.0, None), list, virtual=True),
    Case("heartbeat", lambda: heartbeat(1.0, beat), list, virtual=True, asynchronous=lambda: heartbeat(1.0, later)),
    Case("timed", timed, at_the_start, virtual=True),
    SourceCase("interval", lambda: interval(1.0), range(5), endless=True, virtual=True),
    SourceCase("interval", lambda: interval(1e9, times=3, immediately=False), range(3), virtual=True),
    SourceCase(
        "cron",
        lambda: cron("*/20 * * * *"),
        [datetime(2025, 1, 1, 0, 20, tzinfo=UTC), datetime(2025, 1, 1, 0, 40, tzinfo=UTC)],
        endless=True,
        virtual=True,
        repeatable=False,  # time goes on
    ),
]
