"""The limits of what compressed data may expand to, as numbers."""

from __future__ import annotations

from typing import Any

import pytest

from streamflow.errors import LimitExceeded, UsageError
from streamflow.formats.compression_limits import RATIO_WINDOW, Limits, check_memory, check_trailing


def limits(max_output_bytes: int | None = None, max_ratio: float | None = 200) -> Limits:
    return Limits("xz", max_output_bytes, max_ratio)


def test_output_is_counted_over_all() -> None:
    counted = limits(max_output_bytes=10)
    counted.judge(6, 3, 0)
    counted.judge(4, 6, 0)

    with pytest.raises(LimitExceeded, match="the xz data expands to more than max_output_bytes=10; it stood at byte 7"):
        counted.judge(1, 7, 0)


def test_the_ratio_is_judged_when_a_window_is_full() -> None:
    judged = limits(max_ratio=100)
    judged.judge(RATIO_WINDOW - 1, 10, 0)

    with pytest.raises(LimitExceeded, match="near byte 10, more than max_ratio=100"):
        judged.judge(1, 10, 0)


def test_a_window_that_was_good_says_nothing_about_the_next() -> None:
    judged = limits(max_ratio=100)
    judged.judge(RATIO_WINDOW, RATIO_WINDOW, 0)

    with pytest.raises(LimitExceeded):
        judged.judge(RATIO_WINDOW, RATIO_WINDOW + 1000, 0)


def test_input_that_may_be_unread_begins_no_window() -> None:
    """H60: the library took 300,000 bytes at once and gives what is in them by and by."""
    judged = limits(max_ratio=100)
    judged.judge(RATIO_WINDOW, 300_000, 300_000)
    judged.judge(10_000_000, 300_000, 300_000)

    with pytest.raises(LimitExceeded, match="expands 101 times"):
        judged.judge(3_600_000, 300_000, 300_000)


def test_without_limits_nothing_is_too_much() -> None:
    limits(max_ratio=None).judge(1 << 50, 1, 0)


@pytest.mark.parametrize("memory", [0, -1, 1.5, True, "1", (1 << 20) - 1, None])
def test_memory_that_cannot_be_is_refused(memory: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match="max_memory must be a number of bytes, at least 1048576"):
        check_memory(memory)
    check_memory(1 << 20)


def test_what_to_do_with_the_rest_has_two_names() -> None:
    check_trailing("error")
    check_trailing("ignore")
    with pytest.raises(UsageError, match="trailing='skip' is neither 'error' nor 'ignore'"):
        check_trailing("skip")
