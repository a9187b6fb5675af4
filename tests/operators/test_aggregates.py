"""Sinks that compare, add and question: equal to the builtins of the same names."""

from __future__ import annotations

import builtins
import itertools
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

import streamflow as sf
from streamflow.testing import StepLoop, TrackedSource

NAMES = ["min", "max", "sum", "any", "all"]


@pytest.mark.parametrize("name", NAMES)
@hypothesis.given(numbers=st.lists(st.integers(-3, 3), min_size=1), maxsize=st.integers(1, 5))
@hypothesis.settings(max_examples=30)
def test_they_equal_the_builtins(name: str, numbers: list[int], maxsize: int) -> None:
    """L2."""
    sink = getattr(sf, name)()

    with_loop = StepLoop()
    try:
        value = with_loop.run_until_complete(sf.pipeline(numbers, sf.buffer(maxsize), sink, maxsize=maxsize))
    finally:
        with_loop.close()

    assert value == getattr(builtins, name)(numbers)


async def test_of_equal_items_the_first_is_the_smallest_and_the_largest() -> None:
    rows = [(1, "a"), (1, "b"), (0, "c"), (0, "d")]

    assert await sf.stream(rows).min(key=lambda row: row[0]) == (0, "c")
    assert await sf.stream(rows).max(key=lambda row: row[0]) == (1, "a")


async def test_a_default_is_for_an_empty_stream_only() -> None:
    assert await sf.stream([]).min(default=None) is None
    assert await sf.stream([5]).max(default=9) == 5
    with pytest.raises(sf.UsageError, match=r"min\(default=\.\.\.\)"):
        await sf.stream([]).min()


async def test_items_that_cannot_be_compared_or_added_are_an_error() -> None:
    with pytest.raises(TypeError, match="not supported between"):
        await sf.stream([1, "a"]).max()
    with pytest.raises(TypeError, match="unsupported operand"):
        await sf.stream([1, "a"]).sum()


@pytest.mark.parametrize("start", ["", b""])
def test_texts_are_joined_not_added(start: Any) -> None:
    with pytest.raises(sf.UsageError, match="join"):
        sf.sum(start)


@pytest.mark.parametrize(("name", "end"), [("any", 7), ("all", 0)])
async def test_a_question_ends_the_stream_with_its_answer(name: str, end: int) -> None:
    source = TrackedSource(itertools.count())
    ask = getattr(sf, name)(lambda number: number == end if name == "any" else number < 7)

    assert await sf.pipeline(source, ask, maxsize=1) is (name == "any")
    assert source.opened == source.closed == 1
    assert source.taken <= 7 + 4


@pytest.mark.parametrize("name", ["min", "max"])
def test_a_key_that_cannot_be_called_is_refused(name: str) -> None:
    with pytest.raises(sf.UsageError, match=f"{name}\\(key\\)"):
        getattr(sf, name)(key=3)


@pytest.mark.parametrize("name", ["min", "max"])
def test_a_key_that_nobody_would_await_is_refused(name: str) -> None:
    """P10: coroutines were compared, or told of as never awaited."""

    async def key(item: object) -> object:
        return item

    with pytest.raises(sf.UsageError, match=f"{name}\\(key\\) must be a plain function"):
        getattr(sf, name)(key=key)


@pytest.mark.parametrize("name", ["any", "all"])
def test_a_question_that_cannot_be_called_is_refused(name: str) -> None:
    with pytest.raises(sf.UsageError, match=name):
        getattr(sf, name)(3)
