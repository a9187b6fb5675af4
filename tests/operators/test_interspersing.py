"""intersperse: what stands between the items and around them, over every cut of the input."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.interspersing import intersperse
from streamflow.testing import TrackedSource


class Broken(Exception):
    """What the tests raise."""


@pytest.mark.parametrize("count", [0, 1, 2, 3000])
@pytest.mark.parametrize("source", [list, TrackedSource], ids=["fused", "own task"])
async def test_the_separator_stands_between_and_nowhere_else(count: int, source: Any) -> None:
    out = await sf.stream(source(range(count))).through(intersperse(None)).collect()

    assert out[::2] == list(range(count))
    assert out[1::2] == [None] * max(0, count - 1)


@pytest.mark.parametrize("documents", [[], [{}], [None, 0, "", [1, 2]]])
async def test_it_writes_a_json_array(documents: list[Any]) -> None:
    flow = sf.stream(documents).map(json.dumps).through(intersperse(",", start="[", end="]"))

    assert json.loads("".join(await flow.collect())) == documents


@pytest.mark.parametrize(("options", "expected"), [({}, []), ({"start": 0}, [0]), ({"end": None}, [None])])
async def test_start_and_end_are_emitted_for_an_empty_input_too(options: Any, expected: list[Any]) -> None:
    assert await sf.stream([]).through(intersperse(",", **options)).collect() == expected


@given(st.lists(st.lists(st.integers(), max_size=3)))
def test_however_the_input_is_cut_into_stretches_the_output_is_the_same(stretches: list[list[int]]) -> None:
    transform = intersperse(",", start="[", end="]").transform
    assert transform is not None
    one = transform()
    out = [*itertools.chain.from_iterable(one.apply(iter(stretch)) for stretch in stretches), *one.finish()]

    flat = list(itertools.chain.from_iterable(stretches))
    assert out == ["[", *itertools.chain.from_iterable(zip(itertools.repeat(","), flat))][:1] + [
        each for item in flat for each in (",", item)
    ][1:] + ["]"]


@pytest.mark.parametrize("after", [0, 1, 2, 1500])
async def test_before_an_error_no_end_is_emitted(after: int) -> None:
    """P5: what is cut does not look whole."""
    got: list[Any] = []

    def source() -> Any:
        yield from range(after)
        raise Broken

    with pytest.raises(Broken):
        await sf.stream(source).through(intersperse(",", start="[", end="]")).for_each(got.append)

    whole = ["[", *(each for number in range(after) for each in (",", number))]
    assert got == (["[", *whole[2:]] if after else [])


@pytest.mark.parametrize("length", range(6))
async def test_it_can_be_left_anywhere(length: int) -> None:
    source = TrackedSource(itertools.count())
    out = await sf.stream(source).through(intersperse("-", start="<")).take(length).collect()

    assert out == ["<", 0, "-", 1, "-", 2][:length]
    source.verify()


async def test_a_stray_stop_iteration_before_it_is_an_error_and_no_end() -> None:
    """H36."""

    def stop(number: int) -> int:
        return next(iter([])) if number == 0 else number

    for numbers in ([1, 0], [1, 2, 0, 3]):
        with pytest.raises(sf.StageError, match="StopIteration"):
            await sf.stream(numbers).map(stop).through(intersperse(",")).collect()
