"""The date: what day and what time of it.

What lives here: `now`. What must not: durations (clock.py), calendars.

The date is asked of the event loop where it has a method `wall_clock()`, as a test's own has; asyncio's and uvloop's
have none, and there it is the machine's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["now"]


def now() -> datetime:
    """Return the date and time in UTC: the running loop's `wall_clock()` where it has one, else the machine's."""
    try:
        wall_clock: Callable[[], datetime] | None = getattr(asyncio.get_running_loop(), "wall_clock", None)
    except RuntimeError:
        wall_clock = None
    return datetime.now(UTC) if wall_clock is None else wall_clock().astimezone(UTC)
