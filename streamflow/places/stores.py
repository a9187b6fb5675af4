"""What an object store is: five verbs. The embedded store, the clouds' and a user's own are equals here.

What lives here: the protocols and the two records they speak in. What must not: any store.

A store of your own is a class with these methods; give it as `objects.read(url, store=mine)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["Fetched", "Store", "Stored", "Upload"]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is there.

    Args:
        size: in bytes.
        etag: names this version of it; `None` if the store has no such thing.
    """

    size: int
    etag: str | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A range of an object, and the object it was cut from.

    Args:
        data: the bytes; fewer than asked for only at the object's end, or when the answer was cut.
        stored: the whole object's size and version.
    """

    data: bytes
    stored: Stored


class Upload(Protocol):
    """A multipart upload that has been begun. Nothing is visible until `complete` returns."""

    @property
    def lanes(self) -> int:
        """How many `part` calls may run at once; 1 if it overlaps them by itself."""

    async def part(self, number: int, data: bytes) -> None:
        """Store part `number` (from 1). Cancelling it must leave the upload in a state that `abort` can clean up."""

    async def complete(self) -> Stored:
        """Make the object from the parts: the commit point. Called once, when every `part` has returned."""

    async def abort(self) -> None:
        """Throw the parts away. Allowed at any time, also after a failed `complete`, and twice."""


class Store(Protocol):
    """Objects under keys. Errors are `OSError`s without credentials, `FileNotFoundError` for what is missing."""

    @property
    def equal_parts(self) -> bool:
        """Whether all parts of an upload but the last must have the same size."""

    @property
    def smallest_part(self) -> int:
        """The smallest part but the last that it accepts, in bytes."""

    async def get(self, key: str, start: int, length: int, etag: str | None) -> Fetched:
        """Return up to `length` bytes from `start`; with an `etag`, raise `ObjectChanged` if it is another version."""

    async def info(self, key: str) -> Stored:
        """Return size and version of an object."""

    async def put(self, key: str, data: bytes) -> Stored:
        """Store a small object in one request."""

    async def begin(self, key: str, part_size: int, concurrency: int) -> Upload:
        """Begin a multipart upload with parts of `part_size` bytes (more, if not `equal_parts`)."""

    async def delete(self, key: str) -> None:
        """Remove an object. Removing what is not there is no error."""
