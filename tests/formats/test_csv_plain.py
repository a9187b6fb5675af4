"""Joined rows: the same lines as `csv.writer` makes, or said to be special."""

from __future__ import annotations

import csv
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.formats.csv_plain import plain_lines
from streamflow.formats.csv_writer import Formatter
from streamflow.formats.stretches import STRETCH

rows_of_text = st.lists(st.lists(st.text(alphabet="ab#,;\"'\n\r |é😀", max_size=4), max_size=4), max_size=8)
dialects = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from(",; \t|"),
        "quotechar": st.sampled_from(['"', "'"]),
        "lineterminator": st.sampled_from(["\n", "\r\n", "#\n", "", "b"]),
        "doublequote": st.just(True),
    },
)


class Lines(list[str]):
    write = list.append


def written(dialect: Any, rows: list[Any]) -> list[str]:
    lines = Lines()
    csv.writer(lines, dialect).writerows(rows)
    return lines


@given(rows_of_text, dialects)
def test_a_row_is_special_or_has_the_line_that_the_csv_module_gives(
    rows: list[list[str]], options: dict[str, Any]
) -> None:
    """L1."""
    dialect = resolve_dialect("excel", options)
    plain = plain_lines(dialect)
    assert plain is not None

    lines, special = plain.of(rows, [len(row) - 1 for row in rows])

    expected = written(dialect, rows)
    assert len(lines) == len(expected)
    assert [
        at for at, line in enumerate(lines) if line + dialect.lineterminator != expected[at] and at not in special
    ] == []


def test_only_rows_that_may_need_quotes_are_special() -> None:
    rows = [["1", "Ann"], ["2", "a,b"], ["3", 'a "b"'], ["4", "two\nlines"], ["5", "\r"], ["6", " é😀; '"], [], [""]]
    plain = plain_lines(resolve_dialect("excel", {}))
    assert plain is not None

    lines, special = plain.of(rows, [len(row) - 1 for row in rows])

    assert special == [1, 2, 3, 4, 6, 7]
    assert [lines[0], lines[5]] == ["1,Ann", "6, é😀; '"]


@pytest.mark.parametrize(
    "options",
    [
        {"quoting": csv.QUOTE_ALL},
        {"quoting": csv.QUOTE_NONNUMERIC},
        {"quoting": csv.QUOTE_NONE, "escapechar": "\\"},
        {"escapechar": "\\"},
        {"skipinitialspace": True},
    ],
)
def test_dialects_with_other_rules_are_left_to_the_csv_module(options: dict[str, Any]) -> None:
    assert plain_lines(resolve_dialect("excel", options)) is None


# --- in the formatter ------------------------------------------------------------------------------------------------


def formatted(rows: list[Any], **options: Any) -> str:
    formatter = Formatter(resolve_dialect("excel", {}), **options)
    return b"".join([*formatter.apply(iter(rows)), *formatter.finish()]).decode()


@given(st.data())
def test_text_numbers_and_quotes_in_any_order_of_stretches_are_written_as_the_csv_module_does(
    data: st.DataObject,
) -> None:
    """L1: also after the formatter has given up joining."""
    kinds: list[list[Any]] = [["a", "b"], ["a,b", "\n"], ['"', "b"], [1, 2.5], [None, "x"]]
    stretches = data.draw(st.lists(st.sampled_from(kinds), max_size=6))
    rows = [row for kind in stretches for row in [kind, ["x", "y"]] * (STRETCH // 2)]

    assert formatted(rows, header=False) == "".join(written(resolve_dialect("excel", {}), rows))


def test_dictionaries_are_joined_in_the_order_of_the_header() -> None:
    rows = [{"b": "2", "a": "1", "c": "x"}, {"c": "y", "a": "3,4", "b": "5"}]

    assert formatted(rows, header=["a", "b"], extra="ignore") == 'a,b\r\n1,2\r\n"3,4",5\r\n'


def test_fields_filled_in_are_joined_too() -> None:
    assert formatted([{"a": "1"}, {"b": ","}], header=["a", "b"], missing="") == 'a,b\r\n1,\r\n,","\r\n'


def test_a_special_row_that_cannot_be_written_is_named_and_those_before_it_are_kept() -> None:
    """P3."""
    rows: list[Any] = [["a", "b"], ["c", "d,e"], ["f", "g", "h"]]
    formatter = Formatter(resolve_dialect("excel", {}), header=["x", "y"], block_bytes=1)
    found: list[bytes] = []
    with pytest.raises(ValueError, match="row 3: it has 3 fields, but the header has 2"):
        found.extend(formatter.apply(iter(rows)))

    assert b"".join(found) == b'x,y\r\na,b\r\nc,"d,e"\r\n'
