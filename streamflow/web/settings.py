"""What a response was told, checked.

What lives here: `Settings`, and the defaults that other files want to know. What must not: what they mean for a
response (exchange.py), words for its user (responses.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.web.endings import Calls

__all__ = ["MAXSIZE", "Settings"]

MAXSIZE = 16
"""Capacity in items of each channel of a response, where nobody says otherwise: a server has many clients."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a response was told, as in `StreamResponse`, checked. `compress` holds the codings that are offered."""

    calls: Calls
    compress: tuple[str, ...]
    min_chunk: int
    within: float
    send_timeout: float | None
    min_rate: float | None
    grace: float
    maxsize: int
    max_bytes: int
    ignore_body: bool
    name: str | None

    def __post_init__(self) -> None:
        """Refuse what cannot mean anything."""
        for name in ("min_chunk", "maxsize", "max_bytes"):
            check_capacity(name, getattr(self, name))
        check_capacity("grace", self.grace, whole=False)
        _check_within(self.within)
        for name in ("send_timeout", "min_rate"):
            value = getattr(self, name)
            if value is not None:
                check_capacity(name, value, whole=False)
        for name in ("complete", "disconnect", "error"):
            call = getattr(self.calls, name)
            if call is not None and not callable(call):
                raise UsageError(f"on_{name} must be a function, not {call!r:.60}.")


def _check_within(within: object) -> None:
    if isinstance(within, bool) or not isinstance(within, (int, float)) or not 0 <= within < math.inf:
        raise UsageError(f"within must be a number of seconds, 0 or more; not {within!r}.")
