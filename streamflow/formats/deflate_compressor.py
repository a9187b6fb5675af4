"""Bytes to deflated data in its wrapping: the codecs behind gzip, zlib and deflate.

What lives here: the compressor for one thread and the one for several. What must not: threads themselves, waiting; what
a header says.

The library makes the checksum itself where one thread does all: a call more for each block would have to wait for the
interpreter once more.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from streamflow.formats.compression_compressor import BLOCK, Blocks, FlushingCompressor, check_level
from streamflow.formats.deflate_library import for_compression
from streamflow.formats.deflate_wrapping import RAW, Wrapping
from streamflow.formats.pieces import BytesLike

__all__ = ["DeflateCompressor", "ParallelDeflateCompressor", "check_deflate_level"]

WINDOW = 32 * 1024
EMPTY_LAST_BLOCK = b"\x03\x00"


class DeflateCompressor(FlushingCompressor):
    """Bytes to one part of deflated data in its wrapping. One object serves one run."""

    def __init__(self, wrapping: Wrapping, level: int, head: bytes) -> None:
        """Check the level and make it for one run; `head` is the header to write."""
        check_deflate_level(level)
        compressobj = for_compression(level).compressobj
        super().__init__(f"{wrapping.name}.compress", partial(compressobj, level, zlib.DEFLATED, wrapping.wbits))
        self._head = head
        self._begun = b""

    def feed(self, data: BytesLike, /) -> Iterator[bytes]:
        """Take bytes; yield, lazily, what is compressed by now."""
        for out in super().feed(data):
            if headed := self._headed(out):
                yield headed

    def finish(self) -> Iterator[bytes]:
        """Yield the rest and the trailer. Without any data this is a valid file of zero bytes."""
        yield from map(self._headed, super().finish())

    def flush(self) -> Iterator[bytes]:
        """Yield what makes all that was given so far readable; nothing if nothing was given since the last time."""
        yield from map(self._headed, super().flush())

    def _sync(self, library: Any) -> bytes:
        out: bytes = library.flush(zlib.Z_SYNC_FLUSH)
        return out

    def _headed(self, out: bytes) -> bytes:
        """Put our header in the place of the library's, which differs from one library to the next."""
        if not self._head:
            return out
        self._begun += out
        if len(self._begun) <= len(self._head):
            return b""
        out, self._head = self._head + self._begun[len(self._head) :], b""
        return out


class ParallelDeflateCompressor:
    """Bytes to calls that give one part: the calls may be made in any threads, their results go out in order.

    Each block is deflated for itself, with the end of the one before as its dictionary, and closed at a byte's edge, so
    that the results can be put one behind the other. The checksum is taken here: it needs the order, and is quick.
    """

    def __init__(self, wrapping: Wrapping, level: int, head: bytes) -> None:
        """Check the level and make it for one run; `head` is the header to write."""
        check_deflate_level(level)
        self._level = level
        self._update = wrapping.checksum(for_compression(level))
        self._checksum = wrapping.start
        self._trailer = wrapping.trailer
        self._length = 0
        self._blocks = Blocks(BLOCK, f"{wrapping.name}.compress")
        self._window = b""
        self._head = head

    def feed(self, data: BytesLike, /) -> Iterator[Callable[[], bytes]]:
        """Take bytes; yield a call for each block that is full now."""
        for block in self._blocks.feed(data):
            yield self._call(block)

    def finish(self) -> Iterator[Callable[[], bytes]]:
        """Yield the call for the rest, and the one that gives the end of the data and the trailer."""
        rest = self._blocks.rest()
        if rest or self._head:
            yield self._call(rest)
        yield partial(b"".join, (EMPTY_LAST_BLOCK, self._trailer(self._checksum, self._length)))

    def _call(self, block: bytes) -> Callable[[], bytes]:
        self._checksum = self._update(block, self._checksum)
        self._length += len(block)
        call = partial(deflated, self._level, self._head, self._window, block)
        self._head, self._window = b"", block[-WINDOW:]
        return call


def deflated(level: int, head: bytes, window: bytes, block: bytes) -> bytes:
    """Return `head` and the block, deflated with `window` as its dictionary and ending at a byte's edge."""
    library = for_compression(level)
    dictionary = {"zdict": window} if window else {}
    deflate = library.compressobj(level, zlib.DEFLATED, RAW.wbits, **dictionary)
    out: bytes = head + deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return out


def check_deflate_level(level: object) -> None:
    """Refuse a level that zlib has not, with `UsageError`."""
    check_level(level, range(10), "0 (stored) to 9 (smallest)")
