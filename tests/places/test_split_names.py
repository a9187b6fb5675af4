"""Names of a split's files: every key that could mean anything but "a file of that name, there" is refused by name."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.places import split_names
from streamflow.places.split_names import Template, text_of

HOSTILE = {
    "": "empty",
    ".": "dot",
    "..": "dot",
    ".hidden": "dot",
    "../x": "separator",
    "../../etc/cron.d/x": "separator",
    "/etc/passwd": "separator",
    "a/b": "separator",
    "a/../../b": "separator",
    "a\\b": "separator",
    "..\\x": "separator",
    "C:\\x": "separator",
    "x\0y": "control",
    "x\ny": "control",
    "x\x7fy": "control",
    "x\u2028y": "control",
    "\udc80": "surrogate",
    "a\ud800": "surrogate",
    " x": "space",
    "x ": "space",
    "x.": "dot",
    "CON": "device",
    "nul": "device",
    "com1": "device",
    "LPT¹": "device",
    "aux.old": "device",
    "a" * 300: "255 bytes",
    "ä" * 126: "255 bytes",
}


@pytest.mark.parametrize("key", HOSTILE)
def test_a_key_that_could_mean_another_file_is_refused_by_name(key):
    """H97."""
    template = Template("/data/out/{}.csv", keyed=True)

    with pytest.raises(FormatError, match=HOSTILE[key]) as refused:
        template.keyed(key)
    assert repr(key)[:60].rstrip("'") in str(refused.value)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize(
    "key", ["a", "ä", "2026-01-01", "12:30", "a b", "%2e%2e", "..a"[2:], "a..b", "-", "x" * 251, "CONS"]
)
def test_other_keys_are_names(key):
    assert Template("out/{}.csv", keyed=True).keyed(key) == f"out/{key}.csv"


@given(key=st.text())
def test_no_key_escapes_its_directory(key):
    """H97."""
    template = Template("/data/out/orders-{}.csv", keyed=True)
    try:
        path = template.keyed(key)
    except FormatError:
        return
    assert os.path.dirname(path) == os.path.normpath(os.path.dirname(path)) == "/data/out"
    assert os.path.normpath(path) == path
    assert os.path.basename(path) == f"orders-{key}.csv"
    os.fsencode(path)


def test_a_device_is_one_by_the_whole_name():
    assert Template("out/file-{}.csv", keyed=True).keyed("con") == "out/file-con.csv"
    with pytest.raises(FormatError, match="device"):
        Template("out/c{}.csv", keyed=True).keyed("on")


def test_where_case_does_not_matter_two_keys_of_one_file_are_refused(monkeypatch):
    monkeypatch.setattr(split_names, "_FOLDS", True)
    template = Template("out/{}.csv", keyed=True)
    template.keyed("Ä")
    template.keyed("Ä")

    with pytest.raises(FormatError, match=r"same file as 'Ä\.csv'"):
        template.keyed("a\u0308")


@pytest.mark.parametrize(("key", "text"), [("a", "a"), (7, "7"), (-7, "-7")])
def test_keys_are_texts_or_whole_numbers(key, text):
    assert text_of(key) == text


@pytest.mark.parametrize("key", [None, True, 1.5, b"a", ("a",)])
def test_other_keys_are_refused(key):
    with pytest.raises(UsageError, match="must return a str or an int, not"):
        text_of(key)


def test_numbers_are_put_in_as_the_template_says():
    assert Template("out/part-{:03}.csv", keyed=False).numbered(7) == "out/part-007.csv"
    assert Template("{}", keyed=False).numbered(0) == "0"
    assert Template("a{{b}}{}", keyed=False).numbered(0) == "a{b}0"


@pytest.mark.parametrize(
    "path", ["out/a.csv", "out/{}/a.csv", "out/{}{}.csv", "out/{name}.csv", "out/{0.x}", "{", "{!r}"]
)
@pytest.mark.parametrize("keyed", [True, False])
def test_a_template_without_its_one_place_is_refused(path, keyed):
    with pytest.raises(UsageError, match=r"needs one \{\} for the"):
        Template(path, keyed=keyed)


def test_a_format_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match=r"out/part-\{:05\}\.csv"):
        Template("out/{:s}.csv", keyed=False)
    with pytest.raises(UsageError, match=r"for the key"):
        Template("out/{:>10}.csv", keyed=True)
