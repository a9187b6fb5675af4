"""At a glance: never certain where a NaN was written as null or a line is none, in C and in Python; often, else."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.compiled import compiled
from streamflow.formats.json_certainty import is_meant_in_python

IN_C, _ = compiled("streamflow.formats._rows")
BOTH = [
    pytest.param(is_meant_in_python, id="python"),
    pytest.param(
        IN_C and IN_C.is_meant, id="C", marks=pytest.mark.skipif(IN_C is None, reason="there is no compiled module")
    ),
]
both = pytest.mark.parametrize("is_meant", BOTH)
encode = msgspec.json.Encoder().encode_lines

atoms = st.one_of(
    st.none(), st.just("null"), st.text("nul\n", max_size=9), st.integers(-9, 9), st.floats(), st.just(math.nan)
)
values = st.recursive(
    atoms,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("nul", max_size=4), inner, max_size=4),
    max_leaves=12,
)


def has_odd_number(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_odd_number, value.values()))
    if isinstance(value, list):
        return any(map(has_odd_number, value))
    return isinstance(value, float) and not math.isfinite(value)


@both
@given(items=st.lists(values, max_size=9))
def test_it_is_never_certain_where_a_number_became_null(is_meant: Callable[..., bool], items: list[Any]) -> None:
    """P5: a NaN that nobody noticed."""
    if any(map(has_odd_number, items)):
        assert not is_meant(encode(items), items)


@both
@given(st.lists(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text("ab\n")), max_size=40))
def test_rows_with_none_are_certain(is_meant: Callable[..., bool], items: list[dict[str, Any]]) -> None:
    assert is_meant(encode(items), items) is not any("null" in row for row in items)


@both
@pytest.mark.parametrize("size", [0, 1, 3, 4, 80, 251, 252, 253, 254, 255, 256, 257, 600])
def test_each_null_is_found_wherever_it_stands(is_meant: Callable[..., bool], size: int) -> None:
    """The one in C looks at 255 bytes at a time."""
    for text in ("x" * size, "n" * size, "l" * size, "nul" * (size // 3)):
        assert is_meant(encode([{"a": text, "b": None}]), [{"a": text, "b": None}])
        assert not is_meant(encode([{"a": text, "b": math.nan}]), [{"a": text, "b": math.nan}])
        assert is_meant(encode([{"a": text}]), [{"a": text}])


@both
def test_lines_that_are_none_of_the_items_are_not_certain(is_meant: Callable[..., bool]) -> None:
    raw = msgspec.Raw(b"[1,\n2]")

    assert not is_meant(encode([raw]), [raw])
    assert not is_meant(encode([{"a": raw}]), [{"a": raw}])
    assert not is_meant(encode([{}] * 300 + [raw]), [{}] * 300 + [raw])


@both
def test_text_and_objects_of_other_kinds_are_looked_at_closer(is_meant: Callable[..., bool]) -> None:
    class Row(dict[str, Any]):
        pass

    for item in ({"a": "null"}, {"null": 1}, {"a": msgspec.Raw(b"null")}, Row(a=None), {"a": Row(a=None)}):
        assert not is_meant(encode([item]), [item])


@pytest.mark.skipif(IN_C is None, reason="there is no compiled module")
def test_in_c_nested_items_are_certain_too_and_very_deep_ones_are_not() -> None:
    deep: Any = None
    for _ in range(120):
        deep = [deep]
    items = [[None, (None, {"a": [None, {"b": None}]})], None, [(), [], {}]]

    assert IN_C.is_meant(encode(items), items)
    assert not IN_C.is_meant(encode([deep]), [deep])


@pytest.mark.skipif(IN_C is None, reason="there is no compiled module")
@pytest.mark.parametrize("arguments", [(), (b"",), ("", []), (b"", ()), (bytearray(), []), (b"", [], 1)])
def test_in_c_other_arguments_are_refused(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="takes bytes and a list"):
        IN_C.is_meant(*arguments)
