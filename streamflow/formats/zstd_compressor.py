"""Bytes to a zstd file: the codecs behind `zstd.compress`.

What lives here: the compressor for one thread and the one for several. What must not: threads themselves, waiting.

How several threads work. Each block becomes a frame of its own, so that the frames can be put one behind the other. But
a file of whole frames is a whole file: one that was cut between two of them would look as if it had all the data. So
the first half of a frame's header is written behind each frame, with the frame: of a frame that every reader skips, and
that holds nothing. The second half comes with the next frame, or at the clean end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from streamflow.formats.compression_compressor import BLOCK, Blocks, FlushingCompressor, check_level
from streamflow.formats.pieces import BytesLike
from streamflow.formats.zstd_library import zstd

__all__ = [
    "DEFAULT_LEVEL",
    "FRAME_MEMORY",
    "Compressor",
    "ParallelCompressor",
    "block_of",
    "check_zstd_level",
    "memory_of",
    "thread_above",
]

DEFAULT_LEVEL = 3
LEVELS = (*range(-7, 0), *range(1, 23))

SKIPPED = b"\x50\x2a\x4d\x18"
"""How a frame begins that readers skip; four bytes of its length follow."""
EMPTY = bytes(4)

SLOW = 10
"""From this level on the library gets less at once, so that a call ends soon."""

MEMORY = {2: 5, 5: 9, 8: 11, 11: 28, 15: 72, 19: 93, 20: 180, 21: 340, 22: 750}
"""MiB that the library takes, measured, by the highest level that takes no more."""
FRAME_MEMORY = 24 << 20
"""Bytes that it takes at most for a frame of one block."""

INLINE = {5: 32 * 1024, 9: 8 * 1024, 22: 1024}
"""Bytes that take 0.2 milliseconds, measured, by the highest level that takes no longer."""


class Compressor(FlushingCompressor):
    """Bytes to one zstd frame. One object serves one run; `compress` explains the argument.

    Example: `data = b"".join([*compressor.feed(b"rows"), *compressor.finish()])`.
    """

    def __init__(self, level: int = DEFAULT_LEVEL) -> None:
        """Check the level and make it for one run."""
        check_zstd_level(level)
        super().__init__("zstd.compress", partial(compressor_of, zstd("zstd.compress"), level), block=block_of(level))

    def _sync(self, library: Any) -> bytes:
        out: bytes = library.flush(library.FLUSH_BLOCK)
        return out


class ParallelCompressor:
    """Bytes to calls that give frames: the calls may be made in any threads, their results go out in order."""

    def __init__(self, level: int = DEFAULT_LEVEL) -> None:
        """Check the level and make it for one run."""
        check_zstd_level(level)
        library = zstd("zstd.compress")
        self._framed = partial(framed, library, level)
        self._blocks = Blocks(BLOCK, "zstd.compress")
        self._before = b""

    def feed(self, data: BytesLike, /) -> Iterator[Callable[[], bytes]]:
        """Take bytes; yield a call for each block that is full now."""
        for block in self._blocks.feed(data):
            yield partial(self._framed, self._before, block, SKIPPED)
            self._before = EMPTY

    def finish(self) -> Iterator[Callable[[], bytes]]:
        """Yield the call that gives the rest and the end."""
        rest = self._blocks.rest()
        if rest or not self._before:
            yield partial(self._framed, self._before, rest, b"")
        else:
            yield partial(bytes, EMPTY)


def compressor_of(library: Any, level: int) -> Any:
    """Return a compressor whose frames have a checksum: without one, damage would go unnoticed."""
    parameter = library.CompressionParameter
    return library.ZstdCompressor(options={parameter.compression_level: level, parameter.checksum_flag: 1})


def framed(library: Any, level: int, before: bytes, block: bytes, behind: bytes) -> bytes:
    """Return the block as one frame that says its length, with what stands around it."""
    compressor = compressor_of(library, level)
    frame: bytes = compressor.compress(block, mode=compressor.FLUSH_FRAME)
    return b"".join((before, frame, behind))


def block_of(level: int) -> int:
    """Return how many bytes of input the library gets at once: some milliseconds of work, a tenth of a second at 19."""
    return BLOCK if level < SLOW else BLOCK // 8


def memory_of(level: int) -> int:
    """Return how many bytes the library takes at most."""
    return _at(MEMORY, level) << 20


def thread_above(level: int) -> int:
    """Return from how many bytes on compressing is work for a thread."""
    return _at(INLINE, level)


def _at(table: dict[int, int], level: int) -> int:
    return next(value for highest, value in table.items() if level <= highest)


def check_zstd_level(level: object) -> None:
    """Refuse a level that is none, with `UsageError`."""
    check_level(level, LEVELS, "-7 (fastest) to -1 and 1 to 22 (smallest)")
