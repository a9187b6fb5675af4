"""How a part begins, and what is made of a library that swallows its input."""

from __future__ import annotations

import bz2
import lzma

import pytest

from streamflow.errors import FormatError, LimitExceeded
from streamflow.formats.compression_members import OUTPUT, Format, LibraryMember

FORMAT = Format("mine", "part", (b"ab", b"cde"), lambda: LibraryMember(bz2.BZ2Decompressor(), OSError))


@pytest.mark.parametrize(
    ("data", "begins"),
    [(b"", None), (b"a", None), (b"ab", True), (b"abc", True), (b"cd", None), (b"cde", True), (b"cdx", False)],
)
def test_a_part_begins_with_one_of_its_magics(data: bytes, begins: bool | None) -> None:
    assert FORMAT.begins(data) is begins


def test_what_follows_the_end_is_left() -> None:
    member = LibraryMember(bz2.BZ2Decompressor(), OSError)

    assert member.read(bz2.compress(b"rows") + b"next") == (b"rows", b"next")
    assert (member.ended, member.unread) == (True, 0)


def test_input_that_was_not_used_yet_is_counted() -> None:
    packed = lzma.compress(bytes(2 * OUTPUT))
    member = LibraryMember(lzma.LZMADecompressor(), lzma.LZMAError)

    assert member.read(packed + b"next") == (bytes(OUTPUT), b"")
    assert (member.ended, member.unread) == (False, len(packed) + 4)
    assert member.read(b"") == (bytes(OUTPUT), b"next")
    assert (member.ended, member.unread) == (True, 0)


def test_the_librarys_errors_become_ours_and_others_do_not() -> None:
    with pytest.raises(FormatError, match="Invalid data stream"):
        LibraryMember(bz2.BZ2Decompressor(), OSError).read(b"BZh9 is no bzip2")
    with pytest.raises(lzma.LZMAError):
        LibraryMember(lzma.LZMADecompressor(), OSError).read(b"this is no xz")


def test_only_a_limit_on_memory_makes_its_error_a_limit() -> None:
    packed = lzma.compress(b"rows", preset=6)
    limited = lzma.LZMADecompressor(memlimit=1 << 20)

    with pytest.raises(LimitExceeded, match="it takes more than max_memory=1048576; pass a larger one"):
        LibraryMember(limited, lzma.LZMAError, max_memory=1 << 20).read(packed)
