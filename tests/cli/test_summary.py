from __future__ import annotations

import pytest

from streamflow.cli.summary import facts, plan, report
from streamflow.cli.verify import Verdict
from streamflow.observe.report import Report

JOB = (
    ("objects.read(file:///tmp/orders.csv)", "finished"),
    ("csv.format", "finished"),
    ("objects.write(file:///tmp/out.gz)", "finished"),
)
SAME = Verdict(31_744, 31_744, None)


@pytest.mark.parametrize("width", [20, 40, 60, 80, 110])
def test_no_line_is_longer_than_the_width(stats, width):
    lines = report(Report(stats(*JOB), "succeeded"), SAME, 50 << 20, width)

    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [40, 80, 110])
def test_every_width_has_the_account_the_stages_and_the_advice(stats, width):
    lines = report(Report(stats(*JOB), "succeeded"), SAME, 50 << 20, width)
    text = " ".join(" ".join(lines).split())

    assert "rows in 31,744" in text
    assert "rows out 31,744" in text
    assert "peak memory 50 MiB" in text
    assert "read back row by row with the standard library" in text
    assert text.count("csv.format") >= 2
    assert "file:///" not in text
    assert "bottleneck" in text


def test_a_difference_is_said(stats):
    verdict = Verdict(3, 2, "row 3 is missing in the result")

    text = "\n".join(report(Report(stats(*JOB), "succeeded"), verdict, None, 80))

    assert "NO: row 3 is missing in the result" in text
    assert "unknown on this system" in text


def test_long_values_go_on_under_themselves():
    assert facts([("a", "one two three"), ("long", "x")], 13) == ["a     one two", "      three", "long  x"]


def test_a_plan_fits_and_has_no_addresses():
    explained = "demo: 2 steps\n  task 1  objects.read(s3://bucket/a/very/long/key.csv)  (2 threads)"

    assert plan(explained, 40) == ["demo: 2 steps", "  task 1  objects.read  (2 threads)"]
