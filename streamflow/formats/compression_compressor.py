"""Bytes to compressed data: what all the compressors have in common.

What lives here: the input cut into blocks of a fixed size, the compressor that gives them to a library one after the
other, the check of a level. What must not: any one format; threads, waiting.

How it works. The blocks have a fixed size because some libraries' output depends on how their input was chunked; so the
bytes that come out follow from the bytes that went in alone. What makes a file whole (a trailer, the end of a frame) is
written by `finish`, and `finish` is only called at a clean end.

Why blocks are large: a library lets go of the interpreter while it works. When the loop's thread is busy, a thread that
comes back has to wait 5 ms and more (see `sys.getswitchinterval`), so a thread that made a call for each 128 KiB waited
most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from typing import Any

from streamflow.errors import UsageError
from streamflow.formats.pieces import BytesLike, bytes_of, cut

__all__ = ["BLOCK", "Blocks", "BlocksCompressor", "check_level"]

BLOCK = 1024 * 1024
"""Bytes of input given to a library at once, where it is quick."""


class BlocksCompressor:
    """Bytes to one part of compressed data, by a library with the standard library's way. One object serves one run."""

    def __init__(self, who: str, begin: Callable[[], Any], *, block: int = BLOCK) -> None:
        """Take the stage's name, what makes the library's compressor, and how many bytes it gets at once."""
        self._begin = begin
        self._library: Any = None
        self._blocks = Blocks(block, who)

    def feed(self, data: BytesLike, /) -> Iterator[bytes]:
        """Take bytes; yield, lazily, what is compressed by now."""
        for block in self._blocks.feed(data):
            out = self._compress(block)
            if out:
                yield out

    def finish(self) -> Iterator[bytes]:
        """Yield the rest and the end. Without any data this is a valid file of zero bytes."""
        last = self._compress(self._blocks.rest())
        yield last + self._library.flush()

    def _compress(self, block: bytes) -> bytes:
        # Made here, which is in the thread: some libraries clear hundreds of megabytes first.
        self._library = self._library or self._begin()
        out: bytes = self._library.compress(block)
        return out


class Blocks:
    """Chunks of any size to blocks of exactly `size` bytes."""

    def __init__(self, size: int, who: str) -> None:
        """Make it for one run of the stage called `who`."""
        self._full = size
        self._who = who
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, data: BytesLike) -> Iterator[bytes]:
        """Take bytes; yield the blocks that are full now."""
        for piece in cut(bytes_of(data, self._who), self._full):
            self._held.append(piece)
            self._size += len(piece)
            if self._size >= self._full:
                held = b"".join(self._held)
                self._held, self._size = [held[self._full :]], len(held) - self._full
                yield held[: self._full]

    def rest(self) -> bytes:
        """Return what fills no block."""
        return b"".join(self._held)


def check_level(level: object, levels: Container[int], meaning: str) -> None:
    """Refuse a level that cannot be, with `UsageError` that says what the levels mean."""
    if isinstance(level, bool) or not isinstance(level, int) or level not in levels:
        raise UsageError(f"level must be a whole number from {meaning}, not {level!r}")
