"""Sources that only the clock drives: interval and cron.

What lives here: when the next tick is due. What must not: acting on other items (pacing.py, timing.py), calendars: cron
expressions and daylight saving time are the business of cronsim, the extra `cron`, whose only import is here.

A tick that is due while the source cannot emit, because the channel below is full, is skipped: nobody wants to catch up
with time. So the channels below hold one item.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streamflow.engine.clock import Grid, seconds_of, sleep_until
from streamflow.engine.date import now
from streamflow.errors import MissingExtra, UsageError
from streamflow.limits import check_capacity
from streamflow.stages import Source

__all__ = ["cron", "interval"]

_NAP = 60.0  # seconds until the date is looked at again: a machine that sleeps stops the loop's clock, not the date
_LEAST = 0.001  # seconds; the date has microseconds only, so what is left may be too little for a timer


def interval(seconds: float, *, times: int | None = None, immediately: bool = True) -> Source[int]:
    """Emit 0, 1, 2, ... every `seconds`: the numbers of the ticks of a clock that does not drift.

    Example: `await sf.stream(sf.interval(0.5)).take(3).timed().collect()` gives `[(0.0, 0), (0.5, 1), (1.0, 2)]`.

    * emits when: a tick is due: so many whole intervals after the start.
    * backpressures when: the stage below does; the ticks that are due meanwhile are skipped, and their numbers missing.
    * completes when: `times` ticks were emitted; else never.
    * on error: it has none.
    * on early stop: the wait is ended.

    Each run starts at 0 again. The channels below hold one item, so that ticks do not pile up there.

    Args:
        seconds: from one tick to the next.
        times: how many ticks to emit; `None` for no end.
        immediately: whether tick 0 is due at the start, or `seconds` later.

    Raises `UsageError` for numbers that cannot mean anything. Cancellation: ends the wait.
    """
    seconds = seconds_of("interval(seconds)", seconds)
    if times is not None:
        check_capacity("interval(times)", times)

    async def ticks() -> AsyncGenerator[int, None]:
        time = asyncio.get_running_loop().time
        grid = Grid(time() + (0.0 if immediately else seconds), seconds)
        number = emitted = 0
        while times is None or emitted < times:
            await sleep_until(grid.moment(number))
            yield number
            emitted += 1
            number = max(number + 1, grid.next(time()))

    return Source(ticks, name=f"interval({seconds:g})", output_capacity=1)


def cron(expression: str, *, timezone: str | tzinfo | None = None) -> Source[datetime]:
    """Emit the date and time whenever a cron expression is due.

    Example: `await sf.stream(sf.cron("30 6 * * MON-FRI", timezone="Europe/Berlin")).map("{:%H:%M}".format).first()`
    gives `"06:30"`.

    * emits when: the expression is due, for the first time after the start: the moment that was due, with its timezone.
    * backpressures when: the stage below does; what is due meanwhile is skipped.
    * completes when: the expression is not due in the next 50 years; else never.
    * on error: it has none.
    * on early stop: the wait is ended.

    The expression means what Debian's cron makes of it: minute, hour, day of month, month, day of week; or six fields,
    seconds first. Where the clocks change it does as Debian does: a time that is skipped is due right after the gap, a
    time that comes twice is due once, while `*` in minutes or hours goes by real time.

    Args:
        expression: five or six fields.
        timezone: the timezone in which it is meant, as a name or a `tzinfo`; `None` is UTC, whatever the machine's.

    Raises `UsageError` for an expression or a timezone that does not exist, or an expression that is never due;
    `MissingExtra` without cronsim. Cancellation: ends the wait.
    """
    schedule = _Schedule(expression, timezone)
    if schedule.after(now()) is None:
        raise UsageError(f"cron({expression!r}) is not due in the next 50 years.")

    async def due_moments() -> AsyncGenerator[datetime, None]:
        last = now()
        while (due := schedule.after(max(last, now()))) is not None:
            last = due.astimezone(UTC)
            await _until(last)
            yield due

    return Source(due_moments, name=f"cron({expression!r})", output_capacity=1)


class _Schedule:
    """When an expression is due."""

    def __init__(self, expression: str, timezone: str | tzinfo | None) -> None:
        if not isinstance(expression, str):
            raise UsageError(f'cron(expression) must be a text such as "*/5 * * * *", not {expression!r:.60}.')
        self._expression = expression
        self._zone = _zone_of(timezone)
        self._cronsim = _cronsim(expression)

    def after(self, moment: datetime) -> datetime | None:
        """Return when it is due next, in its timezone; `None` if not in the next 50 years."""
        try:
            due: datetime
            for due in self._cronsim.CronSim(self._expression, moment.astimezone(self._zone)):
                # In an hour that comes twice it may give the first one's, and Python compares what the clocks show.
                if due.astimezone(UTC) > moment:
                    return due
        except self._cronsim.CronSimError as error:
            raise UsageError(
                f"cron({self._expression!r}): {error}. Write five fields, minute to day of week: "
                f'cron("*/5 * * * *") is due every five minutes.'
            ) from None
        return None


def _cronsim(expression: str) -> types.ModuleType:
    try:
        import cronsim  # noqa: PLC0415  # an optional extra
    except ImportError:
        raise MissingExtra(f'cron({expression!r}) needs cronsim: pip install -e ".[cron]"') from None
    return cronsim


def _zone_of(timezone: str | tzinfo | None) -> tzinfo:
    if timezone is None:
        return UTC
    if isinstance(timezone, tzinfo):
        return timezone
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise UsageError(
            f"cron(timezone) must be a tzinfo or the name of a timezone, such as 'Europe/Berlin'; not {timezone!r:.60}."
        ) from None


async def _until(due: datetime) -> None:
    """Sleep until the date has come; it may be set, or the machine sleep, meanwhile."""
    time = asyncio.get_running_loop().time
    while (left := (due - now()).total_seconds()) > 0:
        await sleep_until(time() + min(max(left, _LEAST), _NAP))
