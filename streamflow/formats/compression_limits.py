"""How much compressed data may expand: the guard against decompression bombs, one for all formats.

What lives here: the options that all the `decompress` stages share, checked, and judging by them. What must not: bytes.

A ratio is judged over each 16 MiB of output and not over the whole, so that a bomb behind gigabytes of ordinary data is
found as well. Some libraries swallow a chunk of input whole and give its output by and by; what they may not have used
yet counts as used, and the next 16 MiB begin only when nothing of it is left. So nothing is called a bomb by mistake.
"""

from __future__ import annotations

from typing import Literal

from streamflow.errors import LimitExceeded, UsageError
from streamflow.limits import check_capacity

__all__ = ["RATIO_WINDOW", "Limits", "Trailing", "check_memory", "check_trailing"]

Trailing = Literal["error", "ignore"]

RATIO_WINDOW = 16 << 20
"""Bytes of output over which the ratio is judged."""

LEAST_MEMORY = 1 << 20


class Limits:
    """What may come out, and how many times larger than its input it may be. One object serves one run."""

    def __init__(self, name: str, max_output_bytes: int | None, max_ratio: float | None) -> None:
        """Check the limits, of the format called `name`, and make it for one run."""
        if max_output_bytes is not None:
            check_capacity("max_output_bytes", max_output_bytes)
        if max_ratio is not None:
            check_capacity("max_ratio", max_ratio, whole=False)
        self._name = name
        self._max_output = max_output_bytes
        self._max_ratio = max_ratio
        self._given = 0
        # Where input and output stood when the ratio was last found to be good.
        self._judged = (0, 0)

    def judge(self, given: int, read: int, unread: int) -> None:
        """Count `given` bytes of output; raise `LimitExceeded` if that is too much.

        `read` bytes of input were taken by now, of which the library has perhaps not used the last `unread`.
        """
        self._given += given
        if self._max_output is not None and self._given > self._max_output:
            raise LimitExceeded(
                f"the {self._name} data expands to more than max_output_bytes={self._max_output}; "
                f"it stood at byte {read} of the input"
            )
        before, then = self._judged
        if self._given - then < RATIO_WINDOW:
            return
        ratio = (self._given - then) / max(1, read - before)
        if self._max_ratio is not None and ratio > self._max_ratio:
            raise LimitExceeded(
                f"the {self._name} data expands {ratio:.0f} times near byte {read}, more than "
                f"max_ratio={self._max_ratio:g}: this may be a decompression bomb. If it is not, pass a larger "
                f"max_ratio, or None"
            )
        if not unread:
            self._judged = (read, self._given)


def check_trailing(trailing: object) -> None:
    """Refuse a `trailing=` that is none, with `UsageError`."""
    if trailing not in ("error", "ignore"):
        raise UsageError(f"trailing={trailing!r} is neither 'error' nor 'ignore'")


def check_memory(max_memory: object) -> None:
    """Refuse a `max_memory=` that cannot be, with `UsageError`."""
    if isinstance(max_memory, bool) or not isinstance(max_memory, int) or max_memory < LEAST_MEMORY:
        raise UsageError(f"max_memory must be a number of bytes, at least {LEAST_MEMORY}; not {max_memory!r}")
