"""A multipart upload through obstore's writer, which cuts equal parts and overlaps them by itself.

What lives here: `CloudUpload`. What must not: imports of obstore, errors of its.

Its first `write` begins the upload on the server, so that call is never cancelled: the upload's id would be lost with
it. Leaving the writer with an exception aborts what it has begun, and so does a `close` that fails; but that one does
not say whether it could, so the store is asked.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from streamflow.engine.shielding import finish
from streamflow.places.outcomes import MARK
from streamflow.places.stores import Stored, Terms

__all__ = ["CloudUpload"]


class CloudUpload:
    """An upload to any cloud.

    Args:
        writer: obstore's, not yet written to.
        info: asks for the object as it is stored.
        asked: waits for a request and translates how it failed.
        terms: those the writer was made with.
        look: raises `OSError` if the store still knows of an open upload to the key, or cannot be asked.
    """

    lanes = 1
    cuts = True
    equal_parts = True

    def __init__(
        self,
        writer: Any,
        info: Callable[[], Awaitable[Stored]],
        asked: Callable[[Awaitable[Any]], Awaitable[Any]],
        terms: Terms,
        look: Callable[[], Awaitable[None]],
    ) -> None:
        """Made by `CloudStore.begin`."""
        self._writer = writer
        self._info = info
        self._asked = asked
        self._terms = terms
        self._look = look
        self._size = 0
        self._begun = False
        self._ended = False
        self._failed = False

    async def part(self, number: int, data: bytes) -> None:  # noqa: ARG002  # the writer counts
        """Hand a piece over; returns when it has been taken. A failure shows at a later call."""
        self._size += len(data)
        if self._begun:
            await self._asked(self._writer.write(data))
        else:
            await finish(self._first(data))

    async def _first(self, data: bytes) -> None:
        await self._asked(self._writer.write(data))
        self._begun = True

    async def complete(self) -> Stored:
        """Wait for the parts and make the object; on failure the writer itself has aborted the upload."""
        self._ended = self._failed = True
        await self._asked(self._writer.close())
        self._failed = False
        unnamed = Stored(self._size, None)  # it is committed; only its version may stay unknown
        try:
            found = await self._info()
        except OSError:  # a key that may write but not read
            return unnamed
        # Somebody may have replaced it since: their version is not ours.
        mark = (found.metadata or {}).get(MARK)
        return unnamed if mark not in (None, self._terms.metadata.get(MARK)) else replace(found, size=self._size)

    async def abort(self) -> None:
        """Remove what was uploaded."""
        if not self._ended:
            self._ended = True
            cause = RuntimeError("aborted")
            await self._asked(self._writer.__aexit__(type(cause), cause, None))
        elif self._failed:
            self._failed = False
            await self._look()
