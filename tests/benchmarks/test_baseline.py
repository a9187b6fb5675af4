"""What counts as worse, and what is remembered; all numbers are invented."""

from __future__ import annotations

import json

import pytest

from benchmarks import baseline
from benchmarks.baseline import compare
from benchmarks.results import Ratio


def less(value, key="x.a/b"):
    return Ratio(key, "a / b", value)


def more(value):
    return Ratio("x.a/b", "a / b", value, at_least=3.0)


@pytest.mark.parametrize(
    ("ratio", "was", "worse"),
    [
        (less(1.25), 1.0, False),
        (less(1.26), 1.0, True),
        (less(0.1), 1.0, False),
        (more(8.0), 10.0, False),
        (more(7.9), 10.0, True),
        (more(99.0), 10.0, False),
    ],
)
def test_worse_is_what_moved_the_wrong_way_by_more_than_a_quarter(ratio, was, worse):
    assert bool(compare([ratio], {"x.a/b": was}, 0.25)) is worse


def test_a_change_says_how_much_worse_it_is():
    [change] = compare([less(3.0)], {"x.a/b": 2.0})
    assert change.worse == pytest.approx(1.5)
    assert str(change) == "x.a/b: 3.00, was 2 (a / b)"


def test_what_is_new_or_has_a_unit_or_was_nothing_is_not_compared():
    with_unit = Ratio("x.ms", "time", 9.0, unit="ms")
    assert compare([less(9.0, "x.new"), with_unit, less(9.0)], {"x.ms": 1.0, "x.a/b": 0.0}) == []


def test_quick_and_full_runs_are_remembered_apart(tmp_path):
    path = tmp_path / "baseline.json"
    assert baseline.read("quick", path) == {}
    baseline.update("quick", ["x"], [less(1.23456)], "a machine", path)
    baseline.update("full", ["x"], [less(2.0)], "a machine", path)
    assert baseline.read("quick", path) == {"x.a/b": 1.23}
    assert baseline.read("full", path) == {"x.a/b": 2.0}
    assert json.loads(path.read_text())["machine"] == "a machine"


def test_an_update_replaces_all_of_a_benchmark_and_keeps_the_others(tmp_path):
    path = tmp_path / "baseline.json"
    baseline.update("full", ["x", "y"], [less(1.0, "x.old"), less(2.0, "y.old"), less(3.0, "xy.old")], "", path)
    baseline.update("full", ["x"], [less(4.0, "x.new"), Ratio("x.ms", "time", 9.0, unit="ms")], "", path)
    assert baseline.read("full", path) == {"x.new": 4.0, "xy.old": 3.0, "y.old": 2.0}
