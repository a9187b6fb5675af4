"""An object as successive ranges of one version of it.

What lives here: `Ranges`. What must not: a certain store, URLs, items.

How it works. Each range is a request of its own, so no connection stands idle while the pipeline is slow. The first
answer names the version (ETag) and every later range asks for that version: an object overwritten meanwhile is an
error, never a splice of two. An answer that was cut is continued from where it ended; one that brings nothing is an
early end.
"""

from __future__ import annotations

from streamflow.errors import ObjectChanged, TruncatedError
from streamflow.places.blocks import MIB
from streamflow.places.stores import Store, Stored
from streamflow.places.urls import Location

__all__ = ["RANGE", "Ranges"]

RANGE = 8 * MIB


class Ranges:
    """Successive ranges of one version of one object: small at first, so that the first item comes soon.

    Example: `while data := await ranges.fetch(): ...`.

    Args:
        store: where the object is.
        location: its key, and its name for errors.
        block: the size of the first range in bytes; the next ones double up to `RANGE`.
        offset: where to begin.
        length: how much to read, or `None` for all.
    """

    def __init__(self, store: Store, location: Location, block: int, offset: int, length: int | None) -> None:
        self._store = store
        self._location = location
        self._size = block
        self._at = offset
        self._end = None if length is None else offset + length
        self._version: Stored | None = None

    async def fetch(self) -> bytes:
        """Return the next range, `b""` at the end."""
        if self._end is not None and self._at >= self._end:
            return b""
        wanted = self._size if self._end is None else min(self._size, self._end - self._at)
        etag = self._version.etag if self._version else None
        fetched = await self._store.get(self._location.key, self._at, wanted, etag)
        self._check(fetched.stored)
        if not fetched.data and self._end is not None and self._at < self._end:
            raise TruncatedError(f"{self._location} ended {self._end - self._at} bytes early, at byte {self._at}")
        self._at += len(fetched.data)
        self._size = max(self._size, min(2 * self._size, RANGE))
        return fetched.data

    def _check(self, stored: Stored) -> None:
        """Pin the version; some stores ignore the condition on it, so the answer is compared as well."""
        if self._version is None:
            self._version = stored
            self._end = max(self._at, stored.size) if self._end is None else self._end
        elif self._version != stored:
            raise ObjectChanged(f"{self._location} was overwritten while it was read")
