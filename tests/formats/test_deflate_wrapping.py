"""What may stand around deflated data, byte by byte."""

from __future__ import annotations

import gzip
import zlib

import pytest

from streamflow.errors import FormatError
from streamflow.formats.deflate_wrapping import GZIP, RAW, ZLIB, zlib_header, zlib_header_length, zlib_headers


@pytest.mark.parametrize("level", range(10))
def test_the_zlib_header_is_that_of_the_library(level: int) -> None:
    assert zlib_header(level) == zlib.compress(b"", level)[:2]


def test_a_zlib_stream_may_begin_with_what_the_library_accepts() -> None:
    """All pairs of bytes are tried; the library says what is wrong with most of them as soon as it has seen them."""

    def accepted(head: bytes) -> bool:
        try:
            zlib.decompressobj().decompress(head)
        except zlib.error as error:
            return "Error 2" in str(error)  # a dictionary is needed
        return True

    pairs = {bytes((first, second)) for first in range(256) for second in range(256)}
    assert set(zlib_headers()) == {head for head in pairs if accepted(head)}


def test_a_zlib_header_that_needs_a_dictionary_is_refused() -> None:
    assert [zlib_header_length(data) for data in (b"", b"\x78", b"\x78\x9c", b"\x78\x9cdata")] == [None, None, 2, 2]
    with pytest.raises(FormatError, match="a dictionary of its own"):
        zlib_header_length(b"\x78\xbb")


def test_trailers_are_those_of_the_libraries() -> None:
    data = b"rows" * 100

    assert GZIP.trailer(zlib.crc32(data), len(data)) == gzip.compress(data)[-8:]
    assert ZLIB.trailer(zlib.adler32(data), len(data)) == zlib.compress(data)[-4:]
    assert RAW.trailer(RAW.checksum(zlib)(data, RAW.start), len(data)) == b""


def test_the_length_in_a_gzip_trailer_is_modulo_four_gibibytes() -> None:
    assert GZIP.trailer(7, (1 << 32) + 5) == b"\7\0\0\0\5\0\0\0"


def test_checksums_begin_with_that_of_no_data() -> None:
    assert (GZIP.start, ZLIB.start, RAW.start) == (zlib.crc32(b""), zlib.adler32(b""), 0)
