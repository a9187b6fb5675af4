"""Rows to fields: what fits, what does not, and formulas."""

from __future__ import annotations

from typing import Any

import pytest

from streamflow.formats.csv_columns import Columns, escaped, is_mapping


def columns(names: tuple[str, ...] | None, *, mappings: bool, extra: str = "error", missing: Any = "error") -> Columns:
    return Columns(names, mappings=mappings, extra=extra, missing=missing, escape=False)


@pytest.mark.parametrize(
    ("extra", "missing", "row", "fits"),
    [
        ("error", "error", {"a": 1, "b": 2}, True),
        ("error", "error", {"a": 1}, False),
        ("error", "error", {"a": 1, "b": 2, "c": 3}, False),
        ("error", "", {"a": 1}, True),
        ("error", "", {"a": 1, "c": 3}, False),
        ("ignore", "", {"c": 3}, True),
        ("ignore", "error", {"a": 1, "b": 2, "c": 3}, True),
    ],
)
def test_a_row_that_fits_has_no_problem_and_one_that_does_not_has(
    extra: str, missing: Any, row: Any, fits: bool
) -> None:
    """The quick look may only say no where the slow one knows why."""
    both = columns(("a", "b"), mappings=True, extra=extra, missing=missing)

    assert both.fit([row]) is fits
    assert (both.problem(row) is None) is fits


def test_a_right_number_of_wrong_names_is_found_by_taking_the_fields() -> None:
    both = columns(("a", "b"), mappings=True)

    assert both.fit([{"a": 1, "c": 2}])
    with pytest.raises(KeyError):
        list(both.all_fields([{"a": 1, "c": 2}]))
    assert both.problem({"a": 1, "c": 2}) == "the columns b are missing. To fill them write missing=''"


def test_lists_are_taken_as_they_are() -> None:
    rows: list[Any] = [[1, 2], (3, 4)]

    assert columns(None, mappings=False).all_fields(rows) is rows
    assert columns(None, mappings=False).fit([[1], [1, 2]])
    assert not columns(("a",), mappings=False).fit([[1], [1, 2]])


@pytest.mark.parametrize("row", ["text", b"bytes", {1, 2}, 3, None, {"a": 1}])
def test_what_is_no_list_is_no_row_among_lists(row: Any) -> None:
    assert not columns(None, mappings=False).fit([[1], row])


def test_a_row_by_name_is_what_has_keys_and_items() -> None:
    assert is_mapping({})
    assert not is_mapping([])
    assert not is_mapping("text")


@pytest.mark.parametrize("field", ["=1", "+x", "-x", "@", "\tx", "\rx", "-"])
def test_everything_a_spreadsheet_takes_for_a_formula_is_escaped(field: str) -> None:
    assert escaped(field) == "'" + field


@pytest.mark.parametrize("field", ["", "x=1", "-1.5", "+3", None, -1, "1-2"])
def test_what_is_no_formula_is_left_alone(field: Any) -> None:
    assert escaped(field) is field
