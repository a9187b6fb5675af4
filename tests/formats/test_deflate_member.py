"""One part of deflated data, with zlib and with isal: header, data and trailer, each when its bytes are there."""

from __future__ import annotations

import gzip
import zlib

import pytest

from streamflow.errors import FormatError
from streamflow.formats.compression_members import OUTPUT
from streamflow.formats.deflate_member import DeflateMember
from streamflow.formats.deflate_wrapping import GZIP, RAW, ZLIB

pytestmark = pytest.mark.usefixtures("library")


def test_what_is_too_short_for_a_decision_is_left() -> None:
    member = DeflateMember(GZIP)
    packed = gzip.compress(b"rows")

    assert member.read(packed[:9]) == (b"", packed[:9])
    assert member.read(packed) == (b"", packed[10:])
    assert member.read(packed[10:-1]) == (b"rows", packed[-8:-1])
    assert member.read(packed[-8:-1]) == (b"", packed[-8:-1])
    assert not member.ended
    assert member.read(packed[-8:] + b"next") == (b"", b"next")
    assert member.ended


def test_raw_data_ends_with_its_last_byte() -> None:
    member = DeflateMember(RAW)

    assert member.read(zlib.compress(b"rows")[2:-4] + b"next") == (b"rows", b"next")
    assert member.ended


def test_output_is_given_before_the_trailer_is_looked_at() -> None:
    """P3: what can be read comes first, the error behind it."""
    member = DeflateMember(ZLIB)
    packed = zlib.compress(b"rows")
    _, rest = member.read(packed[:-1] + b"!")
    out, trailer = member.read(rest)

    assert out == b"rows"
    with pytest.raises(FormatError, match="the checksum is wrong"):
        member.read(trailer)


def test_a_wrong_length_is_told_from_a_wrong_checksum() -> None:
    member = DeflateMember(GZIP)
    packed = gzip.compress(b"rows")
    _, rest = member.read(packed[:-4] + b"\5\0\0\0")
    _, trailer = member.read(rest)

    with pytest.raises(FormatError, match="the length is wrong"):
        member.read(trailer)


def test_a_call_gives_no_more_than_a_piece() -> None:
    """H60."""
    member = DeflateMember(RAW)
    out, rest = member.read(zlib.compress(bytes(3 * OUTPUT))[2:-4])

    assert len(out) == OUTPUT
    assert rest
    assert not member.ended
