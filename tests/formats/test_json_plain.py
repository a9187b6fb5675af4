"""JSON by the standard library, as strict as the standard."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from streamflow.formats.json_plain import dumps, loads
from tests.formats.json_cases import BROKEN, same, text_of, values


@given(values)
def test_values_are_read_and_written_as_by_the_standard_library(value: Any) -> None:
    assert same(loads(text_of(value)), value)
    assert same(loads(json.dumps(value).encode()), value)
    assert same(json.loads(dumps(value)), value)


@pytest.mark.parametrize(("text", "reason"), BROKEN)
def test_what_is_no_json_is_refused(text: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match="can't decode" if "UTF-8" in reason else reason):
        loads(text)


@pytest.mark.parametrize("text", ['"\\ud83d\\ude00"', '"\\\\ud800"', '"\\uD83D\\uDE00\\u00e9"'])
def test_whole_surrogate_pairs_are_text(text: str) -> None:
    assert loads(text.encode()) == json.loads(text)


def test_of_a_key_that_is_twice_the_last_counts() -> None:
    assert loads(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize("item", [float("nan"), float("inf"), "\ud800", object(), {(1,): 1}])
def test_what_json_does_not_know_is_not_written(item: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        dumps(item)
