"""An object as successive ranges of one version of it.

What lives here: `Ranges`, and `blocks`, which makes items of what they bring. What must not: a certain store, URLs.

How it works. Each range is a request of its own that is read to its end whether or not anybody takes it, so no
connection stands idle while the pipeline is slow. The first answer names the version (ETag) and every later range asks
for that version: an object overwritten meanwhile is an error, never a splice of two. Each answer's version is compared
as well, because not every server looks at the condition; where there is no ETag, or only a weak one, size and time of
storing must be the same. An answer that was cut is continued from where it ended; one that brings nothing is an early
end.

How much is under way follows from how fast ranges come. From a store that is near, one long answer is the fastest: each
piece is used and forgotten while it is still in the processor's cache, and there are few requests. So ranges are large,
and the next one is asked for when little is left of the one before. Measured on loopback, four shorter ranges at once
took 1.4 times as long, most of it for memory that the system gives and takes back. Where a range takes its time,
because the store is far or one connection is slow, several at once hide that. Either way what is held has one bound.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterator
from functools import partial

from streamflow.engine.shielding import finish
from streamflow.errors import ObjectChanged, TruncatedError
from streamflow.places.blocks import MIB
from streamflow.places.one_range import OneRange
from streamflow.places.stores import Store, Stored
from streamflow.places.urls import Location

__all__ = ["HOLDS", "RANGE", "Ranges", "blocks_of"]

RANGE = 4 * MIB
_AHEAD = 3
"""How many ranges of a far store may be under way or waiting beside the one that is used."""

_NEAR = 12 * MIB
_LATE = 4 * MIB
"""What may be left of a range of a near store when the next one is asked for."""

_SLOW = 0.03
"""A range of up to `RANGE` that takes more seconds, or a longer one that takes as much more, is slow."""

_SURE = 2
"""After so many slow ranges the store is a far one; a single one may be chance."""

HOLDS = (_AHEAD + 1) * RANGE
"""The most bytes under way or waiting, of either kind of store."""


class Ranges:
    """Successive ranges of one version of one object: small at first, so that the first item comes soon.

    Example: `while data := await ranges.next(): ...`, and `await ranges.close()` in the `finally`.

    Args:
        store: where the object is.
        location: its key, and its name for errors.
        block: the size of the first range in bytes; the next ones are larger, if there is room.
        offset: where to begin.
        length: how much to read, or `None` for all.
    """

    def __init__(self, store: Store, location: Location, block: int, offset: int, length: int | None) -> None:
        """Ask for nothing yet."""
        self._store = store
        self._location = location
        self._block = self._size = block
        self._at = offset
        self._end = None if length is None else offset + length
        self._version: Stored | None = None
        self._asked: deque[OneRange] = deque()
        self._slow = 0

    @property
    def etag(self) -> str | None:
        """The version that is read, once something was."""
        return self._version.etag if self._version else None

    @property
    def _far(self) -> bool:
        return self._slow >= _SURE

    async def next(self) -> bytes | memoryview:
        """Return the next bytes, as many as have come in one piece; none at the end.

        Cancellation: nothing is lost; then close.
        """
        if self._version is None and not self._asked:
            self._ask()
        while self._asked:
            first = self._asked[0]
            await first.wait()
            if first.stored is not None:
                self._check(first.stored)
            if piece := first.take():
                self._ask_ahead()
                return piece
            if first.over:
                await first.end()
                self._asked.popleft()
                self._slow += first.seconds > _SLOW * max(1, first.length / RANGE)
                self._rest(first)
                self._ask_ahead()
        return b""

    async def close(self) -> None:
        """Drop the requests under way. Call it inside `finish`, where nothing interrupts it."""
        for asked in self._asked:
            asked.drop()
        while self._asked:
            await self._asked.popleft().dropped()

    def _ask_ahead(self) -> None:
        """Ask for the next ranges as far as it is their time, and as there is room."""
        if not self._far:
            if len(self._asked) <= 1 and self._held() <= _LATE:
                self._ask()
            return
        room = max(HOLDS, 4 * self._block) - self._held()
        while len(self._asked) <= _AHEAD and self._next_size() <= room and self._ask():
            room -= self._asked[-1].length

    def _held(self) -> int:
        """Return how many bytes are under way or waiting."""
        return sum(asked.length - asked.taken for asked in self._asked)

    def _next_size(self) -> int:
        return min(self._size, max(self._block, RANGE if self._far else _NEAR))

    def _ask(self) -> bool:
        """Ask for the range after those asked for, if there is one."""
        size = self._next_size()
        wanted = size if self._end is None else min(size, self._end - self._at)
        if wanted <= 0:
            return False
        self._asked.append(self._range(self._at, wanted))
        self._at += wanted
        self._size = 4 * size
        return True

    def _range(self, start: int, length: int) -> OneRange:
        get = partial(self._store.get, self._location.key, start, length, self.etag)
        return OneRange(start, length, self._block, get)

    def _rest(self, asked: OneRange) -> None:
        """Ask again for what an answer did not bring; where even that brings nothing, it is an early end."""
        start, end = asked.start + asked.brought, min(asked.start + asked.length, self._end or 0)
        if start >= end:
            return
        if not asked.brought:
            raise TruncatedError(f"{self._location} ended {(self._end or 0) - start} bytes early, at byte {start}")
        self._asked.appendleft(self._range(start, end - start))

    def _check(self, stored: Stored) -> None:
        """Pin the version; some stores ignore the condition on it, so the answer is compared as well."""
        if self._version is None:
            self._version = stored
            self._end = stored.size if self._end is None else self._end
        elif not self._version.same_version(stored):
            raise ObjectChanged(f"{self._location} was overwritten while it was read")


async def blocks_of(ranges: Ranges, size: int) -> AsyncGenerator[bytes, None]:
    """Give what the ranges bring as blocks of about `size` bytes, and close them.

    A piece that is from half as large to half as large again is handed on at once and, if it is `bytes`, as it is. A
    larger one is cut; a smaller one waits for the next and is joined with it if there is room.
    """
    waiting = _Waiting(size)
    try:
        while piece := await ranges.next():
            for block in waiting.add(piece):
                yield block
    except Exception:
        # What came before a failure is given before it.
        for block in waiting.rest():
            yield block
        raise
    else:
        for block in waiting.rest():
            yield block
    finally:
        await finish(ranges.close())


class _Waiting:
    """Pieces that are less than half a block together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._pieces: list[bytes | memoryview] = []
        self._held = 0

    def add(self, piece: bytes | memoryview) -> Iterator[bytes]:
        """Take one more piece; give the blocks that are not to wait."""
        if self._held + len(piece) > self._size:
            yield from self.rest()
            while len(piece) > self._size * 3 / 2:
                view = memoryview(piece)
                yield bytes(view[: self._size])
                piece = view[self._size :]
        self._pieces.append(piece)
        self._held += len(piece)
        if 2 * self._held >= self._size:
            yield from self.rest()

    def rest(self) -> Iterator[bytes]:
        """Give all as one block, if there is anything."""
        if self._pieces:
            yield b"".join(self._pieces)
            self._pieces, self._held = [], 0
