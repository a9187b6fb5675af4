"""The formatter of frames: what it writes is what the parser reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import LimitExceeded, UsageError
from streamflow.formats.frames_formatter import Formatter
from streamflow.formats.frames_parser import Parser

NAMES = ["u8", "u16be", "u16le", "u32be", "u32le", "u64be", "u64le", "varint"]


def formatted(formatter: Formatter, items: list[Any]) -> list[bytes]:
    return [out for item in items for out in formatter.feed(item)] + list(formatter.finish())


@given(st.sampled_from(NAMES), st.lists(st.binary(max_size=255), max_size=8))
def test_what_is_written_is_read_back(name: Any, items: list[bytes]) -> None:
    """L1."""
    data = b"".join(formatted(Formatter(name), items))
    parser = Parser(name)

    assert items == [*parser.feed(data), *parser.finish()]


def test_the_bytes_are_as_documented() -> None:
    assert formatted(Formatter(), [b"hi", bytearray(b""), memoryview(b"!")]) == [
        b"\0\0\0\2hi",
        b"\0\0\0\0",
        b"\0\0\0\1!",
    ]
    assert formatted(Formatter("u16le"), [b"hi"]) == [b"\2\0hi"]
    assert formatted(Formatter("varint"), [b"x" * 300]) == [b"\xac\x02" + b"x" * 300]


def test_a_big_item_is_not_copied() -> None:
    item = b"x" * 100_000

    assert formatted(Formatter(), [item])[1] is item


@pytest.mark.parametrize(("name", "most"), [("u8", 255), ("u16be", 65_535)])
def test_an_item_that_is_longer_than_the_prefix_can_say_is_named(name: Any, most: int) -> None:
    formatter = Formatter(name)
    assert len(b"".join(formatter.feed(b"x" * most))) > most
    with pytest.raises(
        LimitExceeded, match=rf"item 2 has {most + 1} bytes, and prefix='{name}' can say {most} at most"
    ):
        formatter.feed(b"x" * (most + 1))


def test_an_item_beyond_the_limit_is_named() -> None:
    formatter = Formatter(max_frame=5)
    formatter.feed(b"12345")
    with pytest.raises(LimitExceeded, match="item 2 has 6 bytes, more than max_frame=5"):
        formatter.feed(b"123456")


def test_options_and_items_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="max_frame"):
        Formatter(max_frame=True)
    with pytest.raises(UsageError, match=r"frames.format takes items of bytes, not str"):
        Formatter().feed("text")  # type: ignore[arg-type]  # the mistake is the point
