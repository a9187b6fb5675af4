"""Chunks of any size to pieces that are worth a `send`: small ones joined, by size and by time, large ones split.

What lives here: `Coalescer`, which never waits, and `Pieces`, which reads a stream and keeps the time. What must not:
compressing, sending.

A chunk per row costs a system call per row; a chunk of 16 MiB is 16 MiB and more held for each slow client (H80). Whole
chunks between `min_chunk` and `PIECE` pass as they are, uncopied.

The clock runs from the first byte held, and only ever cuts a wait for more.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator
from typing import Any

from streamflow.engine.reader import Reader
from streamflow.errors import UsageError

__all__ = ["PIECE", "Coalescer", "Pieces", "as_bytes"]

PIECE = 1 << 16
"""The most bytes that are sent at once: a server holds that much for a client that does not read."""


def as_bytes(item: Any, number: int) -> bytes:
    """Return an item of a stream as bytes; text is UTF-8. Raises `UsageError` for anything else, which is the n-th."""
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    raise UsageError(
        f"A response sends bytes or text, and item {number} of its stream is of type {type(item).__name__}. "
        f"Put a format before it, such as csv.format(), or use web.ndjson(stream) or web.sse(stream)."
    )


class Coalescer:
    """Chunks in, pieces out: `feed` each chunk, `take` what is left.

    Example: `[*coalescer.feed(b"a" * 10), coalescer.take()]`

    Args:
        least: pieces have at least so many bytes, up to `PIECE`; but for what `take` gives, and what stands before a
            chunk that has no room beside it.
    """

    def __init__(self, least: int) -> None:
        """Begin with nothing."""
        self.held = 0
        self.least = min(least, PIECE)
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterable[bytes]:
        """Take a chunk; return the pieces that are complete. They are to be taken before the next feed."""
        size = len(chunk)
        if not self.held and self.least <= size <= PIECE:
            return (chunk,)
        if self.held + size < self.least:
            if size:
                self._parts.append(chunk)
                self.held += size
            return ()
        return self._cut(chunk)

    def _cut(self, chunk: bytes) -> Iterator[bytes]:
        if self.held + len(chunk) <= PIECE:
            self._parts.append(chunk)
            yield self.take()
            return
        if self.held:
            yield self.take()
        if len(chunk) <= PIECE:
            yield from self.feed(chunk)
            return
        view = memoryview(chunk)
        whole = len(chunk) - len(chunk) % PIECE
        for at in range(0, whole, PIECE):
            yield bytes(view[at : at + PIECE])
        yield from self.feed(chunk[whole:])

    def take(self) -> bytes:
        """Return what is held."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self.held = 0
        return data


class Pieces:
    """The pieces of a stream of bytes and text.

    Example:
        pieces = Pieces(reader, min_chunk=16384, within=0.05)
        while (some := await pieces.more()) is not None:
            for data in some:
                ...
        rest = pieces.rest()

    Args:
        chunks: the reader of the stream.
        min_chunk: bytes that are worth sending.
        within: seconds that a byte may be held for more to come.
    """

    def __init__(self, chunks: Reader[Any], *, min_chunk: int, within: float) -> None:
        """Nothing is read yet."""
        self._chunks = chunks
        self._joined = Coalescer(min_chunk)
        self._within = within
        self._due = math.inf
        self._count = 0
        self._now = asyncio.get_running_loop().time

    async def more(self) -> Iterable[bytes] | None:
        """Wait for pieces, one at least; `None` at the end, where `rest` is left.

        Raises what the stream raises, and `UsageError` for an item that is neither bytes nor text. Cancellation:
        nothing is lost.
        """
        joined, chunks = self._joined, self._chunks
        while True:
            if joined.held and not await self._in_time():
                return (joined.take(),)
            hand = await chunks.next_hand()
            if hand is None:
                return None
            held = joined.held
            pieces = self._fed(hand)
            if joined.held and (pieces or not held):
                self._due = self._now() + self._within
            if pieces:
                return pieces

    async def _in_time(self) -> bool:
        """Whether more comes, or the end, before what is held has to leave."""
        return self._now() < self._due and await self._chunks.wait(until=self._due)

    def _fed(self, hand: Iterator[Any]) -> Iterable[bytes]:
        pieces: list[bytes] = []
        feed = self._joined.feed
        for chunk in hand:
            self._count += 1
            data = chunk if type(chunk) is bytes else as_bytes(chunk, self._count)
            if len(data) > PIECE:
                return self._at_leisure(pieces, data, hand)
            pieces += feed(data)
        return pieces

    def _at_leisure(self, pieces: list[bytes], data: bytes, hand: Iterator[Any]) -> Iterator[bytes]:
        """A chunk of many pieces is not cut up all at once: it would be there twice."""
        yield from pieces
        yield from self._joined.feed(data)
        yield from self._fed(hand)
        self._due = self._now() + self._within

    def rest(self) -> bytes:
        """Return what is left at the end."""
        return self._joined.take()
