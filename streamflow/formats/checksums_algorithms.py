"""The algorithms: a fresh hash of a name, how long its value is, and what a user may write as its value.

What lives here: the table. What must not: stages, and what is done about a value that is not the expected one.

A checksum here guards against damage. Against somebody who means harm only those help that are still held to be strong
(sha256, sha512, blake2b); for the weak ones the libraries are told that it is not for security, so that they are there
on machines that forbid them for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias, cast, get_args

from streamflow.errors import UsageError
from streamflow.formats.checksums_library import crc32c

__all__ = ["CRCS", "Algorithm", "Hash", "check_algorithm", "hash_of", "value_of"]

Algorithm: TypeAlias = Literal["blake2b", "crc32", "crc32c", "md5", "sha1", "sha256", "sha512"]

CRCS = ("crc32", "crc32c")
"""Those that take a tenth of a millisecond a megabyte: not worth a thread."""


class Hash(Protocol):
    """What `hashlib` gives."""

    def update(self, data: bytes, /) -> None:
        """Take some bytes in."""

    def digest(self) -> bytes:
        """Return the value for the bytes so far."""


class Crc:
    """A CRC of 32 bits as a `Hash`; its value is written big-endian, as S3 and GCS do."""

    def __init__(self, extend: Callable[[int, bytes], int]) -> None:
        """Begin with no bytes; `extend(crc, data)` gives the CRC with `data` behind."""
        self._extend = extend
        self._crc = 0

    def update(self, data: bytes, /) -> None:
        """Take some bytes in."""
        self._crc = self._extend(self._crc, data)

    def digest(self) -> bytes:
        """Return the value for the bytes so far."""
        return self._crc.to_bytes(4, "big")


def check_algorithm(name: str) -> None:
    """Refuse an algorithm that is not known with `UsageError`, one that is not installed with `MissingExtra`."""
    if not isinstance(cast("object", name), str) or name not in get_args(Algorithm):
        known = ", ".join(map(repr, get_args(Algorithm)))
        raise UsageError(f"algorithm={name!r} is none that is known; write one of {known}")
    hash_of(cast("Algorithm", name))


def hash_of(name: Algorithm) -> Hash:
    """Return a fresh hash."""
    if name == "crc32":
        return Crc(lambda crc, data: zlib.crc32(data, crc))
    if name == "crc32c":
        return Crc(crc32c('checksum("crc32c")'))
    return hashlib.new(name, usedforsecurity=False)


def value_of(expected: str | bytes, name: Algorithm) -> bytes:
    """Return the value that a user has written in hexadecimal digits, in base64 or as bytes, or raise `UsageError`."""
    size = len(hash_of(name).digest())
    given = cast("object", expected)
    value = given if isinstance(given, bytes) else _decoded(given.strip(), size) if isinstance(given, str) else None
    if value is None or len(value) != size:
        raise UsageError(
            f"expected={expected!r} is no {name}: write its {2 * size} hexadecimal digits, its base64 "
            f"({len(base64.b64encode(bytes(size)))} characters) or its {size} bytes"
        )
    return value


def _decoded(text: str, size: int) -> bytes | None:
    """No length of the one form is a length of the other, save 8 for a CRC; there base64 ends in `==`."""
    try:
        if len(text) == 2 * size and not text.endswith("="):
            return binascii.unhexlify(text)
        return base64.b64decode(text, validate=True)
    except ValueError:
        return None
