from __future__ import annotations

import fnmatch
import re

import hypothesis
import hypothesis.strategies as st
import pytest

from streamflow.places.patterns import Pattern


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("logs/", ["logs/", "logs/a", "logs/a/b"], ["log", "logs"]),
        ("", ["", "a", "a/b"], []),
        ("*.csv", ["a.csv", ".csv"], ["a/b.csv", "a.csv.gz"]),
        ("**/*.csv", ["a.csv", "a/b/c.csv"], ["a.txt"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/bz", "az"]),
        ("a?c", ["abc", "a?c"], ["a/c", "ac"]),
        ("[ab]x", ["ax", "bx"], ["cx"]),
        ("[!ab]x", ["cx"], ["ax", "/x", "x"]),
        ("[a-c]", ["b"], ["-", "d"]),
        ("[]]", ["]"], ["["]),
        ("[*]", ["*"], ["a"]),
        ("a[", ["a[", "a[b"], ["a"]),
        ("a.b*", ["a.b", "a.bc"], ["axb"]),
        ("x\n*", ["x\ny"], ["xy"]),
    ],
)
def test_a_pattern_means_these_keys(pattern, yes, no):
    assert [key for key in yes + no if Pattern(pattern).matches(key)] == yes


@hypothesis.given(st.text(alphabet="ab-*?[]!^\\&|~.", max_size=8), st.text(alphabet="ab-*?[]!^\\&|~.", max_size=6))
def test_within_one_name_it_means_what_fnmatch_means(pattern, key):
    hypothesis.assume(re.search(r"[*?]|\[[^\]]*.\]", pattern) and "**" not in pattern)
    hypothesis.assume(re.search(r"\[!?\]|\[\^", pattern) is None)  # where the standard library has ways of its own

    assert Pattern(pattern).matches(key) == fnmatch.fnmatchcase(key, pattern)


@hypothesis.given(st.text(max_size=20), st.text(max_size=20))
def test_no_pattern_is_an_error(pattern, key):
    Pattern(pattern).matches(key)


def test_the_part_before_the_first_wildcard_is_the_prefix():
    assert Pattern("logs/2024-*/x").prefix == "logs/2024-"
    assert Pattern("logs/2024").prefix == "logs/2024"
    assert Pattern("logs/2024").plain
    assert not Pattern("logs/*").plain
