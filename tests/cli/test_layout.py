from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.cli.layout import bar, cut, flow, seconds, short, table, wrap

words = st.text(st.characters(categories=["L", "N", "P"]), max_size=30)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0.0 s"), (3.24, "3.2 s"), (59.9, "59.9 s"), (125, "2 min 05 s"), (3720, "1 h 02 min")],
)
def test_seconds_are_written_as_people_do(count, expected):
    assert seconds(count) == expected


def test_addresses_are_left_out_of_names():
    sentence = "'objects.write(s3://bucket/a.csv.gz)' waits for files.read(/x y/z)"

    assert short(sentence) == "'objects.write' waits for files.read"


def test_other_brackets_stay():
    assert short("map(fetch) + objects.read") == "map(fetch) + objects.read"


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, "...."), (0.001, "#..."), (0.5, "##.."), (0.999, "###."), (1, "####"), (7, "####"), (-1, "....")],
)
def test_a_bar_is_empty_only_when_empty_and_full_only_when_full(share, expected):
    assert bar(share, 4, "#", ".") == expected


@given(words, st.integers(1, 40))
def test_a_cut_line_fits(line, width):
    assert len(cut(line, width)) <= width
    assert cut(line, 30) == line


@given(st.lists(words.filter(bool), max_size=8), st.integers(10, 60))
def test_parts_flow_into_lines_that_fit_and_none_is_lost(parts, width):
    lines = flow(parts, width, indent="  ")

    assert all(len(line) <= width for line in lines)
    if all(len(part) <= width - 2 for part in parts):
        assert "".join("".join(lines).split()) == "".join("".join(parts).split())


@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=5), st.integers(20, 100))
def test_a_table_fits_any_width(rows, width):
    assert all(len(line) <= width for line in table(rows, width))


def test_numbers_stand_to_the_right_and_the_first_column_gives_way():
    lines = table([("stage", "out"), ("a long name of a stage", "31,744")], 20)

    assert lines == ["stage            out", "a long name…  31,744"]


@given(st.lists(words, max_size=20).map(" ".join), st.integers(20, 60))
def test_wrapped_lines_fit(text, width):
    assert all(len(line) <= width for line in wrap(text, width, "    "))
