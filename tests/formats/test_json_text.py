"""Chunks as they come to UTF-8 without a byte order mark."""

from __future__ import annotations

import codecs
from typing import Any

import pytest

from streamflow.errors import FormatError, TruncatedError, UsageError
from streamflow.formats.json_text import Utf8
from tests.formats.json_cases import each_cut, run


def utf8(encoding: str = "utf-8", errors: str = "strict") -> Utf8:
    return Utf8("json.parse_lines", encoding, errors, line=lambda: 7)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
@pytest.mark.parametrize("text", ["", "é", "aé\n", "\u00efab"])
def test_every_encoding_becomes_utf_8_at_every_cut(encoding: str, text: str) -> None:
    """L1."""
    for chunks in each_cut(text.encode(encoding)):
        assert b"".join(run(utf8(encoding), chunks)) == text.encode()
    for texts in each_cut(text):
        assert b"".join(run(utf8(encoding), texts)) == text.encode()


def test_one_mark_is_taken_off_at_every_cut() -> None:
    for chunks in each_cut(codecs.BOM_UTF8 * 2 + b"a"):
        assert b"".join(run(utf8(), chunks)) == codecs.BOM_UTF8 + b"a"
    for texts in each_cut("\ufeff\ufeffa"):
        assert b"".join(run(utf8(), texts)) == codecs.BOM_UTF8 + b"a"
    for part in (b"\xef", b"\xef\xbb", b"\xef\xbbx", b"x\xef\xbb\xbf"):
        for chunks in each_cut(part):
            assert b"".join(run(utf8(), chunks)) == part


def test_utf_8_is_passed_on_as_it_is() -> None:
    chunk = b"x" * 100_000
    codec = utf8()
    list(codec.feed(b"first"))
    [same] = codec.feed(chunk)
    assert same is chunk


def test_bad_bytes_of_other_encodings_are_named_with_the_reader_s_line() -> None:
    with pytest.raises(FormatError, match=r"byte 0xff .*\(line 7\)"):
        run(utf8("ascii"), [b"a\xff"])
    with pytest.raises(TruncatedError):
        run(utf8("utf-16"), [b"\xff\xfea"])
    assert run(utf8(errors="replace"), [b"a\xff"]) == ["a\ufffd".encode()]


@pytest.mark.parametrize("chunks", [[b"a", "b"], ["a", b"b"], [5], [None]])
def test_other_items_are_refused(chunks: list[Any]) -> None:
    with pytest.raises(UsageError, match=r"json\.parse_lines takes items of"):
        run(utf8(), chunks)
