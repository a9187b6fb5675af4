"""What a limit may be, and what an item weighs.

What lives here: the two questions every bounded thing asks. What must not: anything that holds items.
"""

from __future__ import annotations

import math

from streamflow.errors import UsageError

__all__ = ["byte_size", "check_capacity"]


def check_capacity(name: str, value: object, *, whole: bool = True) -> None:
    """Refuse a capacity, a count or a rate that cannot mean anything: 0, negative, NaN, infinite, `True`, no number.

    Raises `UsageError` that names the argument. There is no unbounded mode (promise P1).
    """
    wanted = int if whole else (int, float)
    # `0 < value < inf` is also false for NaN, and unlike `math.isfinite` it takes a whole number of any length.
    if isinstance(value, bool) or not isinstance(value, wanted) or not 0 < value < math.inf:
        kind = "a whole number of at least 1" if whole else "a number above 0"
        raise UsageError(f"{name} must be {kind}, not {value!r}. There is no unbounded mode: choose a fitting bound.")


def byte_size(item: object) -> int | None:
    """Return the size in bytes of a bytes-like item, or of anything with `nbytes` (an Arrow batch), else `None`."""
    if isinstance(item, (bytes, bytearray)):
        return len(item)
    nbytes = getattr(item, "nbytes", None)
    return nbytes if isinstance(nbytes, int) else None
