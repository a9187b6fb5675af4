"""How a ratio is judged, and what it looks like in a table."""

from __future__ import annotations

import pytest

from benchmarks.results import Ratio, slug
from benchmarks.tables import put_into_page, ratios_table, table


@pytest.mark.parametrize(
    ("value", "goal", "kept", "verdict"),
    [
        (1.15, {"at_most": 1.15}, True, "kept"),
        (1.38, {"at_most": 1.15}, False, "**missed** by 20 %"),
        (1.151, {"at_most": 1.15}, False, "**missed** by less than 1 %"),
        (3.0, {"at_least": 3.0}, True, "kept"),
        (1.5, {"at_least": 3.0}, False, "**missed** by 50 %"),
        (99.0, {}, True, ""),
    ],
)
def test_a_goal_is_kept_or_missed_by_how_much(value, goal, kept, verdict):
    ratio = Ratio("x.a/b", "a / b", value, **goal)
    assert (ratio.kept, ratio.verdict) == (kept, verdict)


def test_the_goal_says_which_way_is_good():
    assert Ratio("x.a/b", "a / b", 1.0, at_least=3).larger_is_better
    assert Ratio("x.a/b", "a / b", 1.0, more_is_better=True).larger_is_better
    assert not Ratio("x.a/b", "a / b", 1.0, at_most=3).larger_is_better


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(1.234, "", "1.23"), (23.45, "", "23.4"), (1234.5, "", "1,234"), (0.5, "µs", "0.50 µs")],
)
def test_a_value_is_shown_with_as_many_digits_as_it_is_worth(value, unit, shown):
    assert Ratio("x.a/b", "a / b", value, unit=unit).shown == shown


def test_a_goal_with_a_unit_names_it():
    assert Ratio("x.a/b", "a / b", 1.0, at_most=1.5, unit="µs").goal == "at most 1.5 µs"


def test_the_table_of_ratios_leaves_out_columns_that_say_nothing():
    assert ratios_table([]) == ""
    assert ratios_table([Ratio("x.a/b", "a / b", 2.0)]).splitlines() == [
        "| what / beside what | ratio |",
        "| :----------------- | ----: |",
        "| a / b              |  2.00 |",
    ]
    shown = ratios_table([Ratio("x.a/b", "a / b", 2.0, at_most=1.0, spread="1.9 to 2.1")])
    for cell in ("1.9 to 2.1", "at most 1", "**missed** by 100 %"):
        assert cell in shown


def test_columns_of_a_table_are_as_wide_as_their_widest_cell():
    assert table(["", "b"], [["long name", "1"], ["x", "1,000"]]).splitlines() == [
        "|           |     b |",
        "| :-------- | ----: |",
        "| long name |     1 |",
        "| x         | 1,000 |",
    ]


def test_a_text_replaces_what_stood_between_its_markers_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a -->\nold\n<!-- /a -->\n<!-- b -->\nstays\n<!-- /b -->\n")
    put_into_page(page, "a", "new")
    assert page.read_text() == "before\n<!-- a -->\nnew\n<!-- /a -->\n<!-- b -->\nstays\n<!-- /b -->\n"


def test_a_page_without_the_markers_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- a -->\n")
    with pytest.raises(ValueError, match="no markers <!-- a -->"):
        put_into_page(page, "a", "new")


def test_a_name_becomes_a_part_of_a_key():
    assert slug("bears 10, uneven") == "bears-10-uneven"
