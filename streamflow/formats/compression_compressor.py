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
from streamflow.formats.pieces import BytesLike, bytes_of

__all__ = ["BLOCK", "Blocks", "BlocksCompressor", "FlushingCompressor", "check_level"]

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


class FlushingCompressor(BlocksCompressor):
    """One whose library can give, in the middle, all that it was given: for data that must be there at once."""

    _behind = False

    def flush(self) -> Iterator[bytes]:
        """Yield what makes all that was given so far readable; nothing if nothing was given since the last time.

        Example: `for piece in compressor.flush(): await response.write(piece)`.

        It costs some bytes each time, and where it was called shows in the bytes: equal data gives equal files only
        if it was flushed at equal places.
        """
        rest = self._blocks.rest()
        if rest or self._behind:
            out = self._compress(rest) + self._sync(self._library)
            self._behind = False
            yield out

    def _compress(self, block: bytes) -> bytes:
        self._behind = True
        return super()._compress(block)

    def _sync(self, library: Any) -> bytes:
        """Make the library give all that it holds."""
        raise NotImplementedError


class Blocks:
    """Chunks of any size to blocks of exactly `size` bytes. A chunk that is a block already is not copied."""

    def __init__(self, size: int, who: str) -> None:
        """Make it for one run of the stage called `who`."""
        self._full = size
        self._who = who
        self._held: list[bytes] = []
        self._room = size

    def feed(self, data: BytesLike) -> Iterator[bytes]:
        """Take bytes; yield the blocks that are full now."""
        data, at = bytes_of(data, self._who), 0
        while at < len(data):
            piece = data[at : at + self._room]
            at += len(piece)
            self._held.append(piece)
            self._room -= len(piece)
            if not self._room:
                yield self.rest()

    def rest(self) -> bytes:
        """Take what fills no block."""
        held, self._held, self._room = self._held, [], self._full
        return b"".join(held)


def check_level(level: object, levels: Container[int], meaning: str) -> None:
    """Refuse a level that cannot be, with `UsageError` that says what the levels mean."""
    if isinstance(level, bool) or not isinstance(level, int) or level not in levels:
        raise UsageError(f"level must be a whole number from {meaning}, not {level!r}")
