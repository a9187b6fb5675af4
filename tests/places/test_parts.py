"""The sizes of parts: how far they reach, and that those who read them again agree with those who write them."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import pytest

from streamflow.places.blocks import MIB
from streamflow.places.parts import LARGEST_PART, PARTS, grown, spanned

GIB = 1024 * MIB
TIB = 1024 * GIB


def sizes(first):
    return [grown(first, before) for before in range(PARTS)]


def test_ten_thousand_parts_from_the_default_size_on_reach_five_tebibytes():
    """H69"""
    assert sum(sizes(8 * MIB)) > 7.8 * TIB
    assert sum(sizes(6 * MIB)) > 5 * TIB
    assert sizes(8 * MIB)[::1000] == [8 * MIB * 2**run for run in range(10)]
    assert sizes(8 * MIB)[999] == 8 * MIB


@pytest.mark.parametrize("first", [5 * MIB, 8 * MIB, 64 * MIB, GIB, 5 * GIB])
def test_no_part_is_larger_than_a_request_may_be(first):
    assert max(sizes(first)) <= LARGEST_PART == 5 * GIB
    assert sizes(first) == sorted(sizes(first))


def test_what_was_asked_for_is_not_made_smaller():
    assert {*sizes(6 * GIB)} == {6 * GIB}


@hypothesis.given(first=st.integers(1, 10 * GIB), count=st.integers(0, 50), every=st.integers(1, 9))
def test_what_they_span_is_the_sum_of_their_sizes(first, count, every):
    assert spanned(first, count, every) == sum(grown(first, before, every) for before in range(count))
