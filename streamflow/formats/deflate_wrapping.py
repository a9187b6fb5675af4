"""Deflated data (RFC 1951) and what may stand around it: nothing, a zlib stream (RFC 1950), a gzip member (RFC 1952).

What lives here: what the three differ in. What must not: the deflated data itself, which is the same in all of them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from streamflow.errors import FormatError
from streamflow.formats.compression_members import NEEDS_DICTIONARY
from streamflow.formats.gzip_header import TRAILER, header_length

__all__ = ["GZIP", "RAW", "ZLIB", "Wrapping"]

PRESET_DICTIONARY = 0x20
WINDOWS = range(8)
HEADERS = {1: b"\x78\x01", 5: b"\x78\x5e", 6: b"\x78\x9c", 9: b"\x78\xda"}
"""What zlib begins a stream with, by the highest level that does."""


class Wrapping(NamedTuple):
    """What stands around the deflated data."""

    name: str
    wbits: int
    """By which the libraries know it."""
    checksum: Callable[[Any], Callable[[bytes, int], int]]
    """The function that a library has for its checksum; takes data and the value so far."""
    start: int
    """The checksum of no data."""
    header_length: Callable[[bytes], int | None]
    """How many bytes at the start of the data are the header; `None` if it is not complete yet."""
    trailer: Callable[[int, int], bytes]
    """What follows data with this checksum and this length: the checksum first."""


def zlib_header(level: int) -> bytes:
    """Return the header that zlib writes; other libraries write another hint about the level, which no reader uses."""
    return next(header for highest, header in HEADERS.items() if level <= highest)


def zlib_headers() -> tuple[bytes, ...]:
    """Return all that a zlib stream may begin with: the checksum in the second byte leaves few."""
    pairs = ((window << 4 | zlib.DEFLATED, flags) for window in WINDOWS for flags in range(256))
    return tuple(bytes((method, flags)) for method, flags in pairs if (method << 8 | flags) % 31 == 0)


def zlib_header_length(data: bytes) -> int | None:
    """Return the length of a zlib header; refuse one that asks for a dictionary, which nobody here has."""
    if len(data) < 2:  # noqa: PLR2004  # a header has two bytes
        return None
    if data[1] & PRESET_DICTIONARY:
        raise FormatError(NEEDS_DICTIONARY)
    return 2


def nothing_around(_data: bytes, _value: int = 0) -> int:
    """Return 0: no header, no checksum."""
    return 0


GZIP = Wrapping(
    "gzip",
    16 + zlib.MAX_WBITS,
    lambda library: library.crc32,
    0,
    header_length,
    lambda checksum, length: TRAILER.pack(checksum, length & 0xFFFFFFFF),
)
ZLIB = Wrapping(
    "zlib",
    zlib.MAX_WBITS,
    lambda library: library.adler32,
    1,
    zlib_header_length,
    lambda checksum, _length: checksum.to_bytes(4, "big"),
)
RAW = Wrapping("deflate", -zlib.MAX_WBITS, lambda _library: nothing_around, 0, nothing_around, lambda _c, _l: b"")
