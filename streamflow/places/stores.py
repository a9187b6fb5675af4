"""What an object store is: a few verbs. The embedded store, the clouds' and a user's own are equals here.

What lives here: the protocols and the records they speak in. What must not: any store.

A store of your own is a class with the methods of `Store`; give it as `objects.read(url, store=mine)`. Those of
`Listing` and `Sweeping` are needed for `objects.list` and for `objects.leftovers` only.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

__all__ = ["Fetched", "Leftover", "Listing", "Scattering", "Store", "Stored", "Sweeping", "Terms", "Upload"]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is there. Two are equal if they are the same version.

    Args:
        size: in bytes.
        etag: names this version of it; `None` if the store has no such thing.
        modified: when this version was stored, if the store says so.
        content_type: what it was stored as; `None` where the store was not asked (a listing does not tell it).
        metadata: what was stored beside it; `None` where the store was not asked.
        url: where it is, as `objects.read` takes it; only `objects.list` fills it in.
    """

    size: int
    etag: str | None
    modified: datetime | None = field(default=None, compare=False)
    content_type: str | None = field(default=None, compare=False)
    metadata: Mapping[str, str] | None = field(default=None, compare=False)
    url: str = field(default="", compare=False)

    def same_version(self, other: Stored) -> bool:
        """Return whether both are one version: by size and ETag, and by time where there is no exact ETag."""
        exact = self.etag is not None and not self.etag.startswith("W/")
        return self == other and (exact or self.modified == other.modified)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A range of an object, and the object it was cut from.

    Args:
        data: the bytes, or a generator of them as they arrive: with that the reader need not wait for the whole range,
            and takes and forgets each piece before the next one needs memory. They are fewer than asked for only at the
            object's end, or when the answer was cut.
        stored: the whole object's size and version.
    """

    data: bytes | memoryview | AsyncGenerator[bytes, None]
    stored: Stored

    async def pieces(self) -> AsyncGenerator[bytes | memoryview, None]:
        """Give the bytes as they come, once; one piece if they came at one go.

        Example: `async with aclosing(fetched.pieces()) as pieces: ...`. Raises what a store's `get` does. Cancellation:
        the request is dropped.
        """
        if isinstance(self.data, (bytes, memoryview)):
            yield self.data
            return
        async with aclosing(self.data) as pieces:
            async for piece in pieces:
                yield piece


@dataclass(frozen=True, slots=True)
class Terms:
    """How an object is to be stored.

    Args:
        content_type: its media type; `None` leaves it to the store.
        metadata: names and values to keep beside it.
        overwrite: whether it may replace an object; otherwise storing it raises `FileExistsError` if there is one at
            the moment of the commit.
        equal_parts: whether all parts of an upload but the last must have the same size, whatever the store takes.
    """

    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = True
    equal_parts: bool = False


DEFAULT = Terms()


@dataclass(frozen=True, slots=True)
class Leftover:
    """A multipart upload that was begun and neither completed nor aborted: its parts are paid for and invisible.

    Args:
        key: what the object would have been.
        id: names the upload.
        begun: when.
        listed: when the store told of it, by the clock that `begun` is of; `None` where it does not say.
        url: the key as a URL.
    """

    key: str
    id: str
    begun: datetime
    listed: datetime | None = field(default=None, compare=False)
    url: str = field(default="", compare=False)


class Upload(Protocol):
    """A multipart upload that has been begun. Nothing is visible until `complete` returns."""

    @property
    def lanes(self) -> int:
        """How many `part` calls may run at once; 1 if it overlaps them by itself."""

    @property
    def cuts(self) -> bool:
        """Whether it cuts the parts by itself, so that what it is given after the first may be of any size."""

    @property
    def equal_parts(self) -> bool:
        """Whether all parts but the last must have the same size."""

    async def part(self, number: int, data: bytes) -> None:
        """Store part `number` (from 1). Cancelling it must leave the upload in a state that `abort` can clean up."""

    async def complete(self) -> Stored:
        """Make the object from the parts: the commit point. Called once, when every `part` has returned."""

    async def abort(self) -> None:
        """Throw the parts away. Allowed at any time, also after a failed `complete`, and twice."""


@runtime_checkable
class Scattering(Protocol):
    """An upload that sends a part as it came, in pieces. Others get the same bytes end to end."""

    async def part_of(self, number: int, views: Sequence[memoryview]) -> None:
        """Store part `number`, as `Upload.part` does."""


class Store(Protocol):
    """Objects under keys. Errors are `OSError`s without credentials, `FileNotFoundError` for what is missing."""

    @property
    def smallest_part(self) -> int:
        """The smallest part but the last that it accepts, in bytes."""

    async def get(self, key: str, start: int, length: int, etag: str | None) -> Fetched:
        """Return up to `length` bytes from `start`; with an `etag`, raise `ObjectChanged` if it is another version."""

    async def info(self, key: str) -> Stored:
        """Return size and version of an object, and its metadata: by them a commit whose answer was lost is found."""

    async def put(self, key: str, data: bytes, terms: Terms = DEFAULT) -> Stored:
        """Store a small object in one request."""

    async def begin(self, key: str, part_size: int, concurrency: int, terms: Terms = DEFAULT) -> Upload:
        """Begin a multipart upload with parts of `part_size` bytes; more, unless it says that they must be equal."""

    async def delete(self, key: str) -> None:
        """Remove an object. Removing what is not there is no error."""


class Listing(Protocol):
    """A store that can say what is in it."""

    def listing(self, prefix: str) -> AsyncIterator[tuple[str, Stored]]:
        """Give the key and the version of each object whose key begins with `prefix`."""


class Sweeping(Protocol):
    """A store that knows the uploads which were begun and never ended."""

    def leftovers(self, prefix: str) -> AsyncIterator[Leftover]:
        """Give each open upload to a key that begins with `prefix`."""

    async def discard(self, leftover: Leftover) -> None:
        """Abort it. One that has ended meanwhile is no error."""
