"""Which stage of a fused chain an error came from, where one function stands in several stages."""

from __future__ import annotations

import sys

import pytest

import streamflow as sf

SEEN: list[str] = []


def add(item, amount=1, *, times=1):
    SEEN.append(sys._getframe(1).f_code.co_name)
    if item > 2:
        raise ValueError(item)
    return item + amount * times


async def test_a_function_in_several_stages_is_called_without_another_function_between() -> None:
    """A Python call more for each item and stage would double what a small function costs."""
    SEEN.clear()
    await sf.stream([0]).map(add).map(add).collect()

    assert "call" not in SEEN


async def test_a_function_in_several_stages_keeps_its_defaults() -> None:
    assert await sf.stream([0]).map(add).map(add).collect() == [2]


async def test_each_stage_of_one_function_is_told_apart() -> None:
    with pytest.raises(ValueError, match="3") as failure:
        await sf.stream([1]).map(add).map(add).map(add).collect()

    assert "in stage 4 of 5" in failure.value.__notes__[0]
