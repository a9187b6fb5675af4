"""The joiner: what it writes is read back as the same items, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import FormatError, UsageError
from streamflow.formats.lines import LineSplitter
from streamflow.formats.text_joiner import Joiner
from streamflow.formats.text_splitter import Splitter


def joined(joiner: Any, items: list[Any]) -> list[Any]:
    return [out for item in items for out in joiner.feed(item)] + list(joiner.finish())


def refused(end: Any, items: list[Any]) -> bool:
    try:
        joined(Joiner[Any](end), items)
    except FormatError:
        return True
    return False


def read_back(splitter: Any, text: str) -> list[str]:
    return [*splitter.feed(text), *splitter.finish()]


@given(st.lists(st.text(alphabet="ab\r\n\u2028", max_size=5), max_size=6), st.sampled_from(["\n", "\r\n"]))
def test_items_are_refused_exactly_where_lines_would_read_them_otherwise(items: list[str], end: str) -> None:
    """L1: what is written is read back."""
    written = "".join(joined(Joiner[str](end, inside="keep"), items))

    assert refused(end, items) is (read_back(LineSplitter[str](), written) != items)
    if not refused(end, items):
        assert "".join(joined(Joiner[str](end), items)) == written == "".join(item + end for item in items)


@given(
    st.lists(st.text(alphabet="ab;", max_size=5), max_size=6),
    st.text(alphabet="ab;", min_size=1, max_size=4),
)
def test_items_are_refused_exactly_where_split_would_read_them_otherwise(items: list[str], end: str) -> None:
    """L1. One that is refused may, beside others, happen to be read back; it is not one alone."""
    written = "".join(joined(Joiner[str](end, inside="keep"), items))

    if refused(end, items):
        assert any(read_back(Splitter(end), item + end) != [item] for item in items)
    else:
        assert read_back(Splitter(end), written) == items


@pytest.mark.parametrize(
    ("item", "end", "bad"),
    [
        ("a\r", "\n", True),
        (b"a\r", "\n", True),
        ("a\r", "\r\n", False),
        ("a\nb", "\r\n", True),
        ("a\rb", "\n", False),
        ("a\nb", "\0", False),
        ("ab", "ba", False),
        ("xa", "aa", True),
        ("", "\n", False),
    ],
)
def test_what_would_not_be_read_back_is_refused(item: Any, end: str, bad: bool) -> None:
    assert refused(end, [item]) is bad


def test_bytes_get_the_end_in_bytes() -> None:
    assert joined(Joiner[Any](), [b"a", bytearray(b""), memoryview(b"b")]) == [b"a\n", b"\n", b"b\n"]
    assert joined(Joiner[Any]("\u2028"), [b"a"]) == ["a\u2028".encode()]
    assert joined(Joiner[Any](b"\0"), [b"a"]) == [b"a\0"]


def test_an_item_with_a_line_end_is_named() -> None:
    joiner = Joiner[str]()
    assert list(joiner.feed("fine")) == ["fine\n"]
    with pytest.raises(FormatError, match=r"item 2 \('two\\nlines'\) has a line end inside.*inside='keep'"):
        joiner.feed("two\nlines")


def test_a_long_item_is_not_shown_whole() -> None:
    with pytest.raises(FormatError) as caught:
        Joiner[str]().feed("x" * 100_000 + "\n")

    assert len(str(caught.value)) < 300


def test_one_kind_of_items_throughout() -> None:
    joiner = Joiner[Any]()
    joiner.feed("text")
    with pytest.raises(UsageError, match=r"text\.join takes items of one kind"):
        joiner.feed(b"bytes")
    with pytest.raises(UsageError, match=r"text\.join takes items of str or bytes, not int"):
        Joiner[Any]().feed(7)
    with pytest.raises(UsageError, match=r"text\.join takes items of bytes, not str"):
        Joiner[Any](b"\n").feed("text")


@pytest.mark.parametrize("options", [{"end": ""}, {"end": b""}, {"end": None}, {"end": 7}, {"inside": "ignore"}])
def test_options_that_cannot_be_are_refused(options: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match=f"{next(iter(options))}="):
        Joiner(**options)
