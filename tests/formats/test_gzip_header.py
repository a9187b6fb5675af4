"""The header of a gzip member: where it ends, and what cannot be one."""

from __future__ import annotations

import gzip as stdlib
import io

import pytest

from streamflow.errors import FormatError
from streamflow.formats.gzip_header import TRAILER, header_length, plain_header


@pytest.mark.parametrize("level", range(10))
def test_the_plain_header_is_that_of_the_standard_library(level: int) -> None:
    expected = io.BytesIO()
    with stdlib.GzipFile(fileobj=expected, mode="wb", compresslevel=level, mtime=1_700_000_000):
        pass
    ours = plain_header(level, 1_700_000_000)

    # The byte between is a hint about the level that no reader uses.
    assert ours[:8] + ours[9:] == expected.getvalue()[:8] + expected.getvalue()[9:10]


@pytest.mark.parametrize("size", range(10))
def test_less_than_a_header_is_not_complete(size: int) -> None:
    assert header_length(plain_header(6, 0)[:size]) is None


def test_what_follows_a_header_is_not_part_of_it() -> None:
    assert header_length(plain_header(6, 0) + b"data") == 10


def test_a_header_without_end_is_refused_and_not_collected() -> None:
    """P1."""
    head = b"\x1f\x8b\x08\x08" + bytes(5) + b"\x03"

    assert header_length(head + b"n" * 1000) is None
    with pytest.raises(FormatError, match="no end within"):
        header_length(head + b"n" * 300_000)


def test_the_trailer_is_checksum_and_length() -> None:
    assert TRAILER.unpack(stdlib.compress(b"data")[-8:])[1] == 4
