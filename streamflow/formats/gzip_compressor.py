"""Bytes to a gzip file: the codecs behind `gzip.compress`.

What lives here: the compressor for one thread and the one for several. What must not: threads themselves, waiting.

How it works. The input is cut into blocks of a fixed size, because some libraries' output depends on how their input
was chunked; so the bytes that come out follow from the bytes that went in alone. The header has no time in it unless
asked. The trailer, which makes a file whole, is written by `finish`, and `finish` is only called at a clean end.

Why blocks are large, and the library makes the checksum itself: it lets go of the interpreter while it works. When the
loop's thread is busy, a thread that comes back has to wait 5 ms and more (see `sys.getswitchinterval`), so a thread
that made a call for each 128 KiB, and one more for the checksum, waited most of the time. Two threads with large blocks
wait by turns.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from functools import partial

from streamflow.errors import UsageError
from streamflow.formats.deflate import for_compression
from streamflow.formats.gzip_header import FIXED, TRAILER, plain_header
from streamflow.formats.pieces import BytesLike, bytes_of, cut

__all__ = ["BLOCK", "Compressor", "ParallelCompressor", "check_options"]

BLOCK = 1024 * 1024
"""Bytes of input given to the library at once."""

WRAPPED = 16 + zlib.MAX_WBITS
RAW = -zlib.MAX_WBITS
WINDOW = 32 * 1024
EMPTY_LAST_BLOCK = b"\x03\x00"


class Compressor:
    """Bytes to one gzip member. One object serves one run; `compress` explains the arguments.

    Example: `data = b"".join([*compressor.feed(b"rows"), *compressor.finish()])`.
    """

    def __init__(self, level: int = 6, *, mtime: int = 0) -> None:
        """Check the arguments and make it for one run."""
        check_options(level, mtime)
        self._deflate = for_compression(level).compressobj(level, zlib.DEFLATED, WRAPPED)
        self._blocks = Blocks(BLOCK)
        self._head = plain_header(level, mtime)
        self._begun = b""

    def feed(self, data: BytesLike, /) -> Iterator[bytes]:
        """Take bytes; yield, lazily, what is compressed by now."""
        for block in self._blocks.feed(data):
            out = self._headed(self._deflate.compress(block))
            if out:
                yield out

    def finish(self) -> Iterator[bytes]:
        """Yield the rest and the trailer. Without any data this is a valid member of zero bytes."""
        last = self._deflate.compress(self._blocks.rest())
        yield self._headed(last + self._deflate.flush())

    def _headed(self, out: bytes) -> bytes:
        """Put our header in the place of the library's, which differs from one library to the next."""
        if not self._head:
            return out
        self._begun += out
        if len(self._begun) <= FIXED:
            return b""
        out, self._head = self._head + self._begun[FIXED:], b""
        return out


class ParallelCompressor:
    """Bytes to calls that give one gzip member: the calls may be made in any threads, their results go out in order.

    Each block is deflated for itself, with the end of the one before as its dictionary, and closed at a byte's edge, so
    that the results can be put one behind the other. The checksum is taken here: it needs the order, and is quick.
    """

    def __init__(self, level: int = 6, *, mtime: int = 0) -> None:
        """Check the arguments and make it for one run."""
        check_options(level, mtime)
        self._level = level
        self._crc32 = for_compression(level).crc32
        self._crc = 0
        self._length = 0
        self._blocks = Blocks(BLOCK)
        self._window = b""
        self._head = plain_header(level, mtime)

    def feed(self, data: BytesLike, /) -> Iterator[Callable[[], bytes]]:
        """Take bytes; yield a call for each block that is full now."""
        for block in self._blocks.feed(data):
            yield self._call(block)

    def finish(self) -> Iterator[Callable[[], bytes]]:
        """Yield the call for the rest, and the one that gives the end of the data and the trailer."""
        rest = self._blocks.rest()
        if rest or self._head:
            yield self._call(rest)
        yield partial(b"".join, (EMPTY_LAST_BLOCK, TRAILER.pack(self._crc, self._length & 0xFFFFFFFF)))

    def _call(self, block: bytes) -> Callable[[], bytes]:
        self._crc = self._crc32(block, self._crc)
        self._length += len(block)
        call = partial(deflated, self._level, self._head, self._window, block)
        self._head, self._window = b"", block[-WINDOW:]
        return call


def deflated(level: int, head: bytes, window: bytes, block: bytes) -> bytes:
    """Return `head` and the block, deflated with `window` as its dictionary and ending at a byte's edge."""
    library = for_compression(level)
    dictionary = {"zdict": window} if window else {}
    deflate = library.compressobj(level, zlib.DEFLATED, RAW, **dictionary)
    out: bytes = head + deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return out


class Blocks:
    """Chunks of any size to blocks of exactly `size` bytes."""

    def __init__(self, size: int) -> None:
        """Make it for one run."""
        self._full = size
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, data: BytesLike) -> Iterator[bytes]:
        """Take bytes; yield the blocks that are full now."""
        for piece in cut(bytes_of(data, "gzip.compress"), self._full):
            self._held.append(piece)
            self._size += len(piece)
            if self._size >= self._full:
                held = b"".join(self._held)
                self._held, self._size = [held[self._full :]], len(held) - self._full
                yield held[: self._full]

    def rest(self) -> bytes:
        """Return what fills no block."""
        return b"".join(self._held)


def check_options(level: object, mtime: object) -> None:
    """Refuse a level or a time that cannot be, with `UsageError`."""
    if isinstance(level, bool) or not isinstance(level, int) or level not in range(10):
        raise UsageError(f"level must be a whole number from 0 (stored) to 9 (smallest), not {level!r}")
    if isinstance(mtime, bool) or not isinstance(mtime, int) or not 0 <= mtime < 1 << 32:
        raise UsageError(f"mtime must be a time in whole seconds since 1970, 0 for none; not {mtime!r}")
