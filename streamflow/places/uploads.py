"""The writing of one object of unknown size: a single request if it is small, otherwise parts; whole or not at all.

What lives here: `Uploading`, between the sink and a store. What must not: URLs, a certain store, the gathering of
items.

How it works. A part is a complete block of bytes until it has been stored, so a store can send it again. Up to
`concurrency` parts are under way at once. Stores take at most 10,000 parts. Where the upload lets parts differ, they
grow (`parts.py`), so that the default of 8 MiB reaches 7.8 TiB; as they grow fewer are sent at once, so at most
`part_size * concurrency` bytes are under way until a single part is larger than that. Where they must be equal, the
limit is told before it is passed.

There is one commit point, `complete`. Up to it every ending aborts; from it on the request runs to its end, and if its
answer is lost the store is asked whether the object is there (`outcomes.py`).
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Coroutine
from typing import Any

from streamflow.engine.shielding import finish
from streamflow.errors import CommitUnknown
from streamflow.places.blocks import MIB, Pieces
from streamflow.places.outcomes import Outcome, marked, outcome
from streamflow.places.parts import GROWS_EVERY, PARTS, grown
from streamflow.places.stores import DEFAULT, Scattering, Store, Stored, Terms, Upload

__all__ = ["Uploading"]


class Uploading:
    """One object on its way.

    Example: `await uploading.send(block)` for each `uploading.wanted` bytes, then `drain(rest)` and
    `finish(uploading.complete())`; on any failure `finish(uploading.abort())`.

    Args:
        label: names the object in errors.
        terms: how to store it.
        grows_every: after how many parts their size doubles.
    """

    def __init__(  # noqa: PLR0917  # made in one place
        self,
        store: Store,
        key: str,
        label: str,
        part_size: int,
        concurrency: int,
        terms: Terms = DEFAULT,
        *,
        grows_every: int = GROWS_EVERY,
    ) -> None:
        """Begin nothing yet: an object smaller than a part needs no upload."""
        self._store = store
        self._key = key
        self._label = label
        self._part_size = part_size
        self._concurrency = concurrency
        self._terms = marked(terms)
        self._grows_every = grows_every
        self._upload: Upload | None = None
        self._parts: set[asyncio.Task[None]] = set()
        self._count = 0
        self._whole = b""
        self.size = 0
        self.committed = False

    @property
    def wanted(self) -> int:
        """How many bytes the next part should have; less where the upload cuts parts by itself, which saves a copy."""
        upload = self._upload
        if upload is not None and upload.cuts:
            return min(self._part_size, MIB)
        equal = upload is None or upload.equal_parts or self._terms.equal_parts
        return self._part_size if equal else grown(self._part_size, self._count, self._grows_every)

    async def send(self, data: bytes | Pieces) -> None:
        """Send a part, once there is room for it.

        Raises what an earlier part failed with, and `OSError` (EFBIG) past the last part. Cancellation: allowed; then
        abort.
        """
        if self._parts_with(len(data)) > PARTS:
            limit = f"the {PARTS} parts that a store takes, from {self._part_size} bytes on"
            raise OSError(
                errno.EFBIG, f"{self._label} is larger than {limit}; give expected_size= or part_size= (bytes)"
            )
        if self._upload is None:
            await finish(self._begin())
        lanes = min(self._upload.lanes, self._part_size * self._concurrency // len(data)) if self._upload else 1
        while len(self._parts) >= max(1, lanes):
            await self._one_sent()
        self._start(data)

    def _parts_with(self, more: int) -> int:
        cuts = self._upload is not None and self._upload.cuts
        return -(-(self.size + more) // self._part_size) if cuts else self._count + 1

    async def drain(self, rest: bytes) -> None:
        """Send what is left and wait until every part is stored. Cancellation: allowed; then abort."""
        if self._upload is None:
            self._whole = rest
            self.size = len(rest)
            return
        if rest:
            await self.send(rest)
        while self._parts:
            await self._one_sent()

    async def complete(self) -> Stored:
        """Make the object visible. Call it inside `finish`.

        Raises `CommitUnknown` when the answer was lost and the store cannot say whether the object is there.
        """
        upload = self._upload
        request = upload.complete() if upload else self._store.put(self._key, self._whole, self._terms)
        stored = await self._answered(request)
        self.committed = True
        self._upload = None
        return stored

    async def abort(self) -> None:
        """Stop the parts and remove what was stored of them. Call it inside `finish`."""
        for part in self._parts:
            part.cancel()
        if self._parts:
            await asyncio.wait(self._parts)
        _failures(self._parts)
        self._parts = set()
        upload, self._upload = self._upload, None
        if upload is not None:
            await upload.abort()

    async def _begin(self) -> None:
        # Kept before anything else can happen: an upload whose id is lost can never be aborted.
        if not self._terms.overwrite:
            await self._refuse_if_there()
        self._upload = await self._store.begin(self._key, self._part_size, self._concurrency, self._terms)

    async def _refuse_if_there(self) -> None:
        """Say now what the commit would say after many parts; the commit asks again, and only its answer counts."""
        try:
            await self._store.info(self._key)
        except OSError:
            return
        raise FileExistsError(errno.EEXIST, "There is an object already, and overwrite=False", self._label)

    def _start(self, data: bytes | Pieces) -> None:
        if self._upload is None:
            raise RuntimeError("a part before the upload")
        self._count += 1
        self.size += len(data)
        part = _part(self._upload, self._count, data)
        self._parts.add(asyncio.create_task(part, name=f"streamflow:part-{self._count}"))

    async def _one_sent(self) -> None:
        done, self._parts = await asyncio.wait(self._parts, return_when=asyncio.FIRST_COMPLETED)
        for failure in _failures(done):
            raise failure

    async def _answered(self, request: Coroutine[Any, Any, Stored]) -> Stored:
        """Wait for the answer to a commit.

        A refusal may be the answer to a repetition of a request that had been granted, so it is looked into as well.
        """
        try:
            return await request
        except PermissionError:
            raise
        except OSError as error:
            found = await outcome(self._store, self._key, self.size, self._terms)
            if isinstance(found, Stored):
                return found
            if found is Outcome.ABSENT or isinstance(error, (FileNotFoundError, FileExistsError)):
                raise
            raise CommitUnknown(
                f"{self._label}: the answer to the commit was lost ({error}); "
                f"an object of {self.size} bytes may be there or not"
            ) from error


def _part(upload: Upload, number: int, data: bytes | Pieces) -> Coroutine[Any, Any, None]:
    if isinstance(data, bytes):
        return upload.part(number, data)
    return upload.part_of(number, data.views) if isinstance(upload, Scattering) else upload.part(number, data.whole())


def _failures(tasks: set[asyncio.Task[None]]) -> list[BaseException]:
    """Return what the parts failed with, each retrieved; one that was cancelled by somebody is a failure too."""
    endings = (asyncio.CancelledError() if task.cancelled() else task.exception() for task in tasks)
    return [ending for ending in endings if ending is not None]
