"""What may be a capacity, and what an item weighs."""

from __future__ import annotations

import array
import decimal
import fractions
import math
import sys
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from streamflow.channel import Channel
from streamflow.errors import UsageError
from streamflow.limits import byte_size, check_capacity

SENSELESS: list[Any] = [
    *(0, -1, -(10**400), True, False),
    *(0.0, -0.5, math.nan, math.inf, -math.inf),
    *(None, "16", b"16", [16], decimal.Decimal(16), fractions.Fraction(16), 16j, object(), int),
]


@pytest.mark.parametrize("value", SENSELESS, ids=lambda value: f"{value!r:.20}")
@pytest.mark.parametrize("whole", [True, False])
def test_a_capacity_that_means_nothing_is_refused(value, whole):
    """F14, P1, H7"""
    with pytest.raises(UsageError, match=r"^rows must be ") as caught:
        check_capacity("rows", value, whole=whole)
    assert "There is no unbounded mode" in str(caught.value)
    assert ("whole number" in str(caught.value)) is whole


@pytest.mark.parametrize("value", [1.0, 16.5, sys.float_info.min])
def test_a_count_is_a_whole_number_and_a_rate_need_not_be(value):
    """F14"""
    check_capacity("rate", value, whole=False)
    with pytest.raises(UsageError, match="a whole number of at least 1"):
        check_capacity("count", value)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "value", [1, 1024, sys.maxsize, 10**400], ids=lambda value: f"{value:.3g}" if value < 1e300 else "huge"
)
def test_a_whole_number_above_nothing_is_a_capacity(value, whole):
    """A number too long for a float once ended in an OverflowError."""
    check_capacity("rows", value, whole=whole)


@hypothesis.given(st.one_of(st.integers(), st.floats()))
def test_a_number_is_accepted_exactly_if_it_is_finite_and_above_nothing(value):
    """F14"""
    sensible = 0 < value < math.inf
    try:
        check_capacity("rate", value, whole=False)
    except UsageError:
        assert not sensible
    else:
        assert sensible


def test_the_message_shows_what_was_given():
    """P10"""
    with pytest.raises(
        UsageError, match=r"maxsize must be a whole number of at least 1, not 0\. There is no unbounded mode"
    ):
        Channel(0)


@pytest.mark.parametrize("value", SENSELESS, ids=lambda value: f"{value!r:.20}")
@pytest.mark.parametrize("name", ["maxsize", "max_bytes"])
def test_a_channel_refuses_it_when_it_is_made(value, name):
    """F14, H7: there is no channel without a bound. (`max_bytes=None` counts items only.)"""
    options = {"maxsize": 4, name: value}
    if name == "max_bytes" and value is None:
        assert Channel(**options).max_bytes is None
        return
    with pytest.raises(UsageError, match=name):
        Channel(**options)


def test_an_argument_that_means_nothing_is_a_type_error_and_a_value_error():
    for kind in (TypeError, ValueError):
        with pytest.raises(kind):
            check_capacity("rows", 0)


class Table:
    """Something that knows its size in bytes, as Arrow batches do."""

    def __init__(self, nbytes: object) -> None:
        self.nbytes = nbytes


@pytest.mark.parametrize(
    ("item", "size"),
    [
        (b"", 0),
        (b"abc", 3),
        (bytearray(5), 5),
        (memoryview(b"abcd"), 4),
        (memoryview(array.array("d", [1.0, 2.0])), 16),
        (Table(1_000), 1_000),
        (Table("unknown"), None),
        (Table(None), None),
        ("text", None),
        ([b"abc"], None),
        ({}, None),
        (7, None),
        (None, None),
    ],
)
def test_the_size_of_an_item_in_bytes(item, size):
    assert byte_size(item) == size


def test_a_class_with_sizes_has_none_itself():
    assert byte_size(memoryview) is None


@pytest.mark.parametrize("item", ["text", 7, None, [b"abc"], Table("unknown")])
async def test_what_has_no_size_weighs_nothing_in_a_channel(item):
    channel: Channel[Any] = Channel(2, max_bytes=1)
    channel.put_nowait(item)
    channel.put_nowait(b"x")
    assert channel.stats().bytes == 1
