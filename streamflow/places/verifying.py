"""Whether what was read is what was stored, by the checksum that the store keeps.

What lives here: `Checksum`, which is fed the whole object, and `stored_checksum`, which finds out what it must come to.
What must not: reading, threads.

How it works. S3 tells a checksum of the whole object if it was stored with one; else the ETag is an MD5, unless the
object is encrypted with a key of the user's. An object that was stored in parts has the digest of their digests, with
their number behind a hyphen; the size of the first part tells where they begin, provided that they are equal, or grow
as ours do (`parts.py`).
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from streamflow.errors import FormatError, ObjectChanged, UsageError
from streamflow.places.parts import grown, spanned
from streamflow.places.s3_requests import S3Requests

__all__ = ["Checksum", "Wanted", "stored_checksum"]

_MODE = {"x-amz-checksum-mode": "ENABLED"}
_TAG = re.compile(r'"([0-9a-f]{32})(?:-(\d+))?"')


Bytes: TypeAlias = bytes | bytearray | memoryview


class _Hash(Protocol):
    def update(self, data: Bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc32:
    def __init__(self, data: Bytes = b"") -> None:
        self._value = zlib.crc32(data)

    def update(self, data: Bytes) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _md5(data: Bytes = b"") -> _Hash:
    return hashlib.md5(data, usedforsecurity=False)


def _sha1(data: Bytes = b"") -> _Hash:
    return hashlib.sha1(data, usedforsecurity=False)


# The quick ones first; CRC-32C and CRC-64/NVME are in no library that is always there.
_KINDS: dict[str, Callable[..., _Hash]] = {"crc32": _Crc32, "sha256": hashlib.sha256, "sha1": _sha1}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the checksum of an object must come to.

    Args:
        name: of the algorithm, for the error.
        make: makes a hash.
        digest: the result.
        part: the size of the first part if it is a digest of digests, else `None`.
        etag: the version it belongs to.
        grows: whether parts grow as ours do; else all but the last have one size.
    """

    name: str
    make: Callable[..., _Hash]
    digest: bytes
    part: int | None
    etag: str | None
    grows: bool = False


class Checksum:
    """The checksum of an object that is fed in order.

    Example: `checksum.update(data)` for all of it, then `checksum.check("s3://bucket/key")`.
    """

    def __init__(self, wanted: Wanted) -> None:
        """Begin at the first byte."""
        self._wanted = wanted
        self._hash = wanted.make()
        self._room = wanted.part
        self._count = 0
        self._begun = False
        self._digests = bytearray()

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        while self._room is not None and len(view) >= self._room:
            self._hash.update(view[: self._room])
            view = view[self._room :]
            self._next_part()
        self._hash.update(view)
        self._begun = self._begun or bool(view)
        if self._room is not None:
            self._room -= len(view)

    def _next_part(self) -> None:
        self._digests += self._hash.digest()
        self._count += 1
        self._begun = False
        self._hash, self._room = self._wanted.make(), self._wanted.part
        if self._room is not None and self._wanted.grows:
            self._room = grown(self._room, self._count)

    def same_version(self, label: str, etag: str | None) -> None:
        """Raise `ObjectChanged` if what is read is not the version that the checksum belongs to."""
        if self._wanted.etag != etag:
            raise ObjectChanged(f"{label} was overwritten while it was read")

    def check(self, label: str) -> None:
        """Raise `FormatError` if it came to something else."""
        if self._room is not None and self._begun:
            self._next_part()
        digest = self._hash.digest() if self._wanted.part is None else self._wanted.make(self._digests).digest()
        if digest != self._wanted.digest:
            told = f"{self._wanted.name} {digest.hex()}, and not {self._wanted.digest.hex()}"
            raise FormatError(f"{label}: what was read is not what was stored: it has the {told}")


async def stored_checksum(requests: S3Requests, label: str) -> Wanted:
    """Ask S3 for the checksum of an object. Raises `UsageError` if it has none that can be computed here."""
    told = await requests.head({}, _MODE)
    kinds = ((kind, told.get(f"x-amz-checksum-{kind}", "")) for kind in _KINDS)
    kind, value = next(((kind, value) for kind, value in kinds if value), ("", ""))
    if kind:
        text, _, count = value.partition("-")
        if kind.startswith("sha") and (tag := _TAG.fullmatch(told.get("etag", ""))):
            count = count or tag[2] or ""  # these are never of the whole where there are parts
        name, make, digest = kind.upper(), _KINDS[kind], base64.b64decode(text)
    elif (tag := _TAG.fullmatch(told.get("etag", ""))) and not _encrypted(told):
        name, make, digest, count = "MD5", _md5, bytes.fromhex(tag[1]), tag[2] or ""
    else:
        raise UsageError(f"{label} has no checksum that can be verified here; read it without verify=True")
    if not count:
        return Wanted(name, make, digest, None, told.get("etag"))
    part, grows = await _part_size(requests, int(count), int(told["content-length"]), label)
    return Wanted(name, make, digest, part, told.get("etag"), grows)


def _encrypted(told: Mapping[str, str]) -> bool:
    kind = told.get("x-amz-server-side-encryption", "")
    return kind.startswith("aws:kms") or "x-amz-server-side-encryption-customer-algorithm" in told


async def _part_size(requests: S3Requests, count: int, size: int, label: str) -> tuple[int, bool]:
    """Return the size of the first part, and whether they grow; they may be equal, and the last one is what is left."""
    first = int((await requests.head({"partNumber": "1"}))["content-length"])
    if first and -(-size // first) == count:
        return first, False
    if first and spanned(first, count - 1) < size <= spanned(first, count):
        return first, True
    raise UsageError(f"{label} was stored in parts of different sizes; read it without verify=True")
