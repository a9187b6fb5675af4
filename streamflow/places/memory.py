"""An object store in this process's memory: `memory://bucket/key`.

What lives here: `MemoryStore`, and the process-wide buckets behind `memory://`. What must not: disk, network, threads.

It behaves like a cloud's store where that matters to a pipeline: versions have ETags, a multipart upload is invisible
until it is completed, and it can be slow on purpose, by waiting (never by blocking the loop), to show backpressure in
demos and tests.
"""

from __future__ import annotations

import asyncio
import errno
import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

from streamflow.errors import ObjectChanged
from streamflow.places.stores import DEFAULT, Fetched, Leftover, Stored, Terms

__all__ = ["MemoryStore", "bucket"]

_buckets: dict[str, MemoryStore] = {}


def bucket(name: str) -> MemoryStore:
    """Return the store behind `memory://name/...`, made at its first use and kept as long as the process lives.

    Example: `memory.bucket("slow").latency = 0.05` makes every request to `memory://slow/...` take 50 ms.
    """
    store = _buckets.setdefault(name, MemoryStore())
    store.place = f"memory://{name}/"
    return store


class MemoryStore:
    """A store of objects in memory, for tests, examples and demos.

    Example: `objects.write("memory://out/a.csv", store=MemoryStore(bytes_per_second=1_000_000))`.

    Args:
        latency: seconds each request takes.
        bytes_per_second: the speed of the one line to it, shared by all requests under way; `None` for no limit.
    """

    smallest_part = 1

    def __init__(self, *, latency: float = 0.0, bytes_per_second: float | None = None) -> None:
        """Make an empty store."""
        self.place = ""
        self.latency = latency
        self.bytes_per_second = bytes_per_second
        self._objects: dict[str, tuple[Stored, tuple[bytes, ...]]] = {}
        self._open: dict[str, MemoryUpload] = {}
        self._versions = itertools.count(1)
        self._line_free_at = 0.0

    def __repr__(self) -> str:
        """Return how much it holds."""
        size = sum(stored.size for stored, _ in self._objects.values())
        return f"<MemoryStore {len(self._objects)} objects, {size} bytes, {self.uploads} open uploads>"

    @property
    def uploads(self) -> int:
        """How many uploads have been begun and neither completed nor aborted: 0 when nothing is left behind."""
        return len(self._open)

    def keys(self) -> list[str]:
        """Return the keys of all objects, sorted."""
        return sorted(self._objects)

    def content(self, key: str) -> bytes:
        """Return a whole object at once, for tests. Raises `FileNotFoundError`."""
        return b"".join(self._object(key)[1])

    async def get(self, key: str, start: int, length: int, etag: str | None) -> Fetched:
        """Return up to `length` bytes from `start`. Raises `FileNotFoundError`; `ObjectChanged` if `etag` differs."""
        stored, parts = self._object(key)
        if etag not in (None, stored.etag):
            raise ObjectChanged(f"{self.place}{key} was overwritten while it was read")
        data = b"".join(_cut(parts, start, start + length))
        await self._travel(len(data))
        return Fetched(data, stored)

    async def info(self, key: str) -> Stored:
        """Return size and version. Raises `FileNotFoundError`."""
        await self._travel(0)
        return self._object(key)[0]

    async def put(self, key: str, data: bytes, terms: Terms = DEFAULT) -> Stored:
        """Store an object; it replaces one of the same key, or raises `FileExistsError` if it may not."""
        await self._travel(len(data))
        return self._keep(key, (data,), terms)

    async def begin(self, key: str, part_size: int, concurrency: int, terms: Terms = DEFAULT) -> MemoryUpload:  # noqa: ARG002  # the parts' sizes do not matter here
        """Begin a multipart upload."""
        await self._travel(0)
        upload = MemoryUpload(self, key, concurrency, terms, f"upload-{next(self._versions)}")
        self._open[upload.id] = upload
        return upload

    async def listing(self, prefix: str) -> AsyncIterator[tuple[str, Stored]]:
        """Give the objects whose key begins with `prefix`, in the order of their keys."""
        await self._travel(0)
        for key in self.keys():
            if key.startswith(prefix) and key in self._objects:
                yield key, self._objects[key][0]

    async def leftovers(self, prefix: str) -> AsyncIterator[Leftover]:
        """Give the open uploads to keys that begin with `prefix`."""
        await self._travel(0)
        for upload in tuple(self._open.values()):
            if upload.key.startswith(prefix):
                yield Leftover(upload.key, upload.id, upload.begun)

    async def discard(self, leftover: Leftover) -> None:
        """Abort an open upload."""
        if leftover.id in self._open:
            await self._open[leftover.id].abort()

    async def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        await self._travel(0)
        self._objects.pop(key, None)

    def _object(self, key: str) -> tuple[Stored, tuple[bytes, ...]]:
        try:
            return self._objects[key]
        except KeyError:
            raise FileNotFoundError(f"No object {self.place}{key}") from None

    def _keep(self, key: str, parts: tuple[bytes, ...], terms: Terms) -> Stored:
        if key in self._objects and not terms.overwrite:
            raise FileExistsError(errno.EEXIST, "There is an object already, and overwrite=False", self.place + key)
        size, etag, now = sum(map(len, parts)), f'"{next(self._versions)}"', datetime.now(UTC)
        stored = Stored(size, etag, now, terms.content_type, dict(terms.metadata))
        self._objects[key] = (stored, parts)
        return stored

    async def _travel(self, size: int) -> None:
        """Take as long as a request of `size` bytes takes; the bytes of other requests go first."""
        wait = self.latency
        if self.bytes_per_second is not None:
            now = asyncio.get_running_loop().time()
            self._line_free_at = max(now, self._line_free_at) + size / self.bytes_per_second
            wait += self._line_free_at - now
        await asyncio.sleep(wait)


class MemoryUpload:
    """A multipart upload to a `MemoryStore`."""

    cuts = False
    equal_parts = False

    def __init__(self, store: MemoryStore, key: str, lanes: int, terms: Terms, number: str) -> None:
        """Made by `MemoryStore.begin`."""
        self.lanes = lanes
        self.key = key
        self.id = number
        self.begun = datetime.now(UTC)
        self._store = store
        self._terms = terms
        self._parts: dict[int, bytes] = {}

    async def part(self, number: int, data: bytes) -> None:
        """Store one part."""
        await self._store._travel(len(data))  # noqa: SLF001  # an upload is a piece of its store
        self._parts[number] = data

    async def complete(self) -> Stored:
        """Make the object visible, with the parts in the order of their numbers."""
        await self._store._travel(0)  # noqa: SLF001
        stored = self._store._keep(self.key, tuple(self._parts[number] for number in sorted(self._parts)), self._terms)  # noqa: SLF001
        self._store._open.pop(self.id, None)  # noqa: SLF001
        return stored

    async def abort(self) -> None:
        """Throw the parts away."""
        await self._store._travel(0)  # noqa: SLF001
        self._store._open.pop(self.id, None)  # noqa: SLF001
        self._parts.clear()


def _cut(parts: tuple[bytes, ...], start: int, end: int) -> Iterator[memoryview]:
    position = 0
    for part in parts:
        if position + len(part) > start and position < end:
            yield memoryview(part)[max(0, start - position) : end - position]
        position += len(part)
