"""The lines of a CSV text, and the quote that is still open."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.formats.csv_dialect import resolve_dialect
from streamflow.formats.csv_lines import open_quote, split_lines


@given(st.text(alphabet="ab\n\r\x0b\x0c\x1c\x85\u2028é", max_size=30))
def test_lines_are_split_as_by_a_file_without_newline_translation(text: str) -> None:
    assert list(io.StringIO(text, newline="")) == split_lines(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('"', 0),
        ('a,"b', 0),
        ('"a\n', 0),
        ('"a\nb","c\nd","e\nf', 2),
        ('"a\r\nb","c\r\n', 1),
        ('"a\rb","c\rd', 1),
        ('"a""', 0),
    ],
)
def test_the_line_of_an_open_quote_is_found(text: str, line: int) -> None:
    assert open_quote(text, resolve_dialect("excel", {})) == line


def test_no_open_quote_is_seen_where_there_is_none() -> None:
    dialect = resolve_dialect("excel", {"escapechar": "\\"})

    for text in ("a", "a,", "a,b\\\n", '"a",', '"a"', 'b"c'):
        assert open_quote(text, dialect) is None, text
    assert open_quote('"a', resolve_dialect("excel", {"quoting": csv.QUOTE_NONE})) is None
