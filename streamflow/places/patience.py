"""How long a request of our own to a cloud may take, and how often it is sent: as obstore was told for its requests.

What lives here: `Patience`, made from `client_options` and `retry_config`. What must not: requests.

Where the user said nothing, the numbers are those that obstore documents for itself, so that all requests of a store
are equally patient.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from streamflow.errors import UsageError

__all__ = ["Patience", "patience", "seconds"]

_UNITS = {
    1e-9: ("nanos", "nsec", "ns"),
    1e-6: ("micros", "usec", "us", "µs"),
    1e-3: ("millis", "msec", "ms"),
    1.0: ("seconds", "second", "secs", "sec", "s"),
    60.0: ("minutes", "minute", "mins", "min", "m"),
    3600.0: ("hours", "hour", "hrs", "hr", "h"),
    86400.0: ("days", "day", "d"),
    604800.0: ("weeks", "week", "wks", "wk", "w"),
    2630016.0: ("months", "month", "M"),
    31557600.0: ("years", "year", "yrs", "yr", "y"),
}
_SECONDS = {name: size for size, names in _UNITS.items() for name in names}
_SPAN = re.compile(r"\s*(\d+)\s*([A-Za-zµ]+)")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds and numbers of times, under the names that obstore has for them.

    Args:
        timeout: for a whole request.
        connect_timeout: until the connection is there.
        read_timeout: without a byte of the answer.
        max_retries: how often a request is sent again.
        retry_timeout: after the first request none is sent again later than this.
        init_backoff: the first wait, before the second request.
        max_backoff: the longest wait.
        base: by how many times each wait is longer than the one before.
        pool_idle_timeout: after a request its connection may serve another one within this time.
    """

    timeout: float = 30.0
    connect_timeout: float = 5.0
    read_timeout: float = float("inf")
    max_retries: int = 10
    retry_timeout: float = 180.0
    init_backoff: float = 0.1
    max_backoff: float = 15.0
    base: float = 2.0
    pool_idle_timeout: float = 90.0

    def waits(self) -> Iterator[float]:
        """Give the seconds to wait before each repetition: up to half shorter at random, so that not all meet."""
        wait = self.init_backoff
        for _ in range(self.max_retries):
            yield min(wait, self.max_backoff) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter
            wait = min(wait * self.base, self.max_backoff)


def patience(store: Any) -> Patience:
    """Return how patient one of obstore's stores was told to be."""
    client, retry = dict(store.client_options or {}), dict(store.retry_config or {})
    told = {**retry, **dict(retry.get("backoff") or {})}
    told |= {name: value for name, value in client.items() if name.endswith("timeout")}
    return Patience(**{name: _plain(value) for name, value in told.items() if name in Patience.__slots__})


def _plain(value: Any) -> Any:
    return seconds(value) if isinstance(value, (str, timedelta)) else value


def seconds(duration: str | timedelta) -> float:
    """Return the seconds in a duration as obstore takes it: `"90s"`, `"1m 30s"`, `"500ms"`, or a `timedelta`.

    Example: `seconds("1m 30s")` is `90.0`. Raises `UsageError` for what is none.
    """
    if isinstance(duration, timedelta):
        return duration.total_seconds()
    spans = _SPAN.findall(duration)
    if not spans or _SPAN.sub("", duration).strip() or any(unit not in _SECONDS for _, unit in spans):
        raise UsageError(f"{duration!r} is no duration: write '90s', '1m 30s' or '500ms', or give a timedelta")
    return float(sum(int(number) * _SECONDS[unit] for number, unit in spans))
