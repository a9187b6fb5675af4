"""The pictures are well-formed SVG that shows every value."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from benchmarks.picture import Bar, Curve, bars, chart

_SVG = "{http://www.w3.org/2000/svg}"


def _texts(picture):
    return [one.text for one in ET.fromstring(picture).iter(f"{_SVG}text")]


def _ends(picture):
    return [float(end) for end in re.findall(r'H([\d.]+) V\d+ H\d+ Z"', picture)]


def test_bars_stand_in_order_each_with_name_and_value():
    picture = bars("title", "ns", [Bar("slow", 3000), Bar("fast & <small>", 12, "ours")])
    texts = _texts(picture)
    assert texts.index("fast & <small>") < texts.index("slow")
    for text in ("12", "3,000", "title", "ns (logarithmic; less is better)"):
        assert text in texts


def test_equal_ratios_are_equal_distances():
    first, second, third = _ends(bars("", "", [Bar("a", 10), Bar("b", 100), Bar("c", 1000)]))
    assert second - first == pytest.approx(third - second, abs=0.2)


def test_no_bar_leaves_the_picture():
    picture = bars("", "", [Bar("a", 1), Bar("b", 999_999)])
    width = float(ET.fromstring(picture).attrib["viewBox"].split()[2])
    assert all(0 < end < width for end in _ends(picture))


def test_a_chart_names_both_curves_and_marks_the_default():
    texts = _texts(
        chart("t", "axis", (1, 4, 16), (Curve("speed", [1, 2, 3], "red"), Curve("room", [3, 2, 9], "blue")), 1)
    )
    for text in ("speed", "room", "default", "1", "4", "16"):
        assert text in texts
