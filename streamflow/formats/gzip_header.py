"""What stands around the data of a gzip member: its header and its trailer (RFC 1952).

What lives here: writing the plain header, finding where one ends that may carry names and comments, the trailer's
layout. What must not: the compressed data.

Why the header is read here and not by the libraries: isal 1.9 loses its place when a header with several fields arrives
in two chunks.
"""

from __future__ import annotations

import struct
import zlib

from streamflow.errors import FormatError

__all__ = ["FIXED", "MAGIC", "TRAILER", "header_length", "plain_header"]

MAGIC = b"\x1f\x8b"
TRAILER = struct.Struct("<LL")
"""CRC-32 and length (modulo 2**32) of the data."""

FIXED = 10
"""Bytes of a header without names and comments."""
HEADER_CRC, EXTRA, NAME, COMMENT = 2, 4, 8, 16
KNOWN = 0x1F
LONGEST = 256 * 1024


def plain_header(level: int, mtime: int) -> bytes:
    """Return a header with a time (0 for none) and nothing else; the operating system is "unknown"."""
    strength = {1: 4, 9: 2}.get(level, 0)
    return struct.pack("<2sBBLBB", MAGIC, zlib.DEFLATED, 0, mtime, strength, 255)


def header_length(data: bytes) -> int | None:
    """Return how many bytes at the start of `data` are the header; `None` if it is not complete yet.

    Raises `FormatError` for a header that cannot be: another method, unknown flags, a wrong checksum, no end in sight.
    """
    if len(data) < FIXED:
        return None
    method, flags = data[2], data[3]
    if method != zlib.DEFLATED:
        raise FormatError(f"unknown compression method {method}")
    if flags & ~KNOWN:
        raise FormatError(f"unknown header flags 0x{flags:02x}")
    end = _fields_end(data, flags)
    if (end or len(data)) > LONGEST:
        raise FormatError(f"its header has no end within {LONGEST} bytes")
    if end is None or not flags & HEADER_CRC:
        return end
    if len(data) < end + 2:
        return None
    if zlib.crc32(data[:end]) & 0xFFFF != int.from_bytes(data[end : end + 2], "little"):
        raise FormatError("the checksum of its header is wrong")
    return end + 2


def _fields_end(data: bytes, flags: int) -> int | None:
    end = FIXED
    if flags & EXTRA:
        if len(data) < end + 2:
            return None
        end += 2 + int.from_bytes(data[end : end + 2], "little")
    for flag in (NAME, COMMENT):
        if flags & flag:
            end = data.find(b"\0", end) + 1
            if not end:
                return None
    return end if end <= len(data) else None
