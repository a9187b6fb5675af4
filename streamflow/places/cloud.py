"""S3, Google Cloud Storage and Azure through obstore: the extra `objects`.

What lives here: the adapter from obstore's stores to our `Store`. What must not: the order of parts, retries above a
single request (obstore repeats each request by itself, and continues a body that was cut), the loop.

How it works. Reads are ranges pinned to an ETag; a weak one is compared and not asked for, since no server may grant
that. What arrives becomes `bytes` once, in obstore, and is handed on at once and without a copy.

Multipart uploads to S3 go by its own requests (`s3_upload.py`), because obstore's writer cuts parts of one size and
has no condition. The writer (`cloud_upload.py`) is for the other clouds, and for S3 where parts must be equal, where
obstore fetches the credentials by itself, or where the parts' checksum is one that Python has not.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import quote

from streamflow.errors import ObjectChanged, UsageError
from streamflow.places.blocks import MIB
from streamflow.places.cloud_upload import CloudUpload
from streamflow.places.obstore_library import config_of, obstore, place_of, range_refused, translated
from streamflow.places.s3_options import Options, key_ring
from streamflow.places.s3_requests import S3Requests
from streamflow.places.s3_signing import scope_in
from streamflow.places.s3_upload import abort, begun, grows, open_uploads
from streamflow.places.stores import DEFAULT, Fetched, Leftover, Stored, Terms, Upload
from streamflow.places.urls import redact, secrets_in
from streamflow.places.verifying import Checksum, stored_checksum

__all__ = ["CloudStore"]

R = TypeVar("R")

_PAGE = 1000
# A piece is as large as this, and what came with its last bytes: up to 408 KiB more. Smaller ones cost time.
_PIECE = MIB
_LOOK = 10.0  # seconds to find out why a body broke off
_SWEEPS = "only S3 can be asked for them; set a lifecycle rule at the bucket (Azure forgets them after a week)"


class CloudStore:
    """One of obstore's stores as a `Store`.

    Args:
        store: obstore's.
        secrets: values that must not appear in errors, beside those that the store is configured with.
    """

    def __init__(self, store: Any, secrets: list[str] | None = None) -> None:
        """Wrap it; nothing is sent yet."""
        self._store = store
        self._place = place_of(store)
        self._secrets = (secrets or []) + secrets_in(config_of(store))
        self._api = obstore(type(store).__name__)
        self._is_s3 = type(store).__name__ == "S3Store"
        # S3 and its kin refuse smaller parts only when the upload is completed.
        self.smallest_part = 5 * MIB if type(store).__name__ in {"S3Store", "GCSStore"} else 1

    def __repr__(self) -> str:
        """Return which kind of store; neither address nor options."""
        return f"<CloudStore {type(self._store).__name__}>"

    async def get(self, key: str, start: int, length: int, etag: str | None) -> Fetched:
        """Return a range. Raises `FileNotFoundError`, `PermissionError`, `ObjectChanged` or another `OSError`."""
        options: dict[str, Any] = {"range": (start, start + length)}
        if etag is not None and not etag.startswith("W/"):
            options["if_match"] = etag
        result = await self._asked(self._answer(key, options), key)
        if result is None:
            return Fetched(b"", await self.info(key))
        stored = _stored(result.meta)
        return Fetched(self._body(result, key, stored), stored)

    async def _body(self, result: Any, key: str, stored: Stored) -> AsyncGenerator[bytes, None]:
        body = result.stream(min_chunk_size=_PIECE)
        try:
            while piece := await self._asked(_next_piece(body), key):
                yield piece
        except OSError as error:
            if await self._is_another(key, stored):
                raise ObjectChanged(f"{self._url(key)} was overwritten while it was read") from error
            raise

    async def _answer(self, key: str, options: dict[str, Any]) -> Any:
        try:
            return await self._api.get_async(self._store, key, options=options)
        except self._api.exceptions.GenericError as error:
            if not range_refused(error):
                raise
            return None  # the range begins at or after the end: an empty object, or an offset too far

    async def _is_another(self, key: str, stored: Stored) -> bool:
        """Return whether there is another version by now.

        obstore continues a body that was cut, but only that of the same version; it does not say that this was why.
        """
        try:
            async with asyncio.timeout(_LOOK):
                return not stored.same_version(await self.info(key))
        except FileNotFoundError:
            raise
        except OSError:
            return False

    async def info(self, key: str) -> Stored:
        """Return size, version, content type and metadata."""
        result = await self._asked(self._api.get_async(self._store, key, options={"head": True}), key)
        return _stored(result.meta, dict(result.attributes))

    async def put(self, key: str, data: bytes, terms: Terms = DEFAULT) -> Stored:
        """Store an object in one request."""
        mode = "overwrite" if terms.overwrite else "create"
        asked = self._api.put_async(
            self._store, key, data, use_multipart=False, mode=mode, attributes=_attributes(terms)
        )
        return Stored(len(data), (await self._asked(asked, key))["e_tag"])

    async def begin(self, key: str, part_size: int, concurrency: int, terms: Terms = DEFAULT) -> Upload:
        """Return an upload; the server hears of it at once, or with the first part."""
        if self._is_s3 and not (terms.overwrite and Options(self._store).apart):
            requests = await self._requests(key)
            if not terms.overwrite or grows(requests, terms):
                return begun(requests, lambda: self.info(key), part_size, concurrency, terms)
        if not terms.overwrite:
            told = f"overwrite=False takes one request here: give part_size= above {part_size} bytes"
            raise OSError(errno.EFBIG, told, self._url(key))
        attributes = _attributes(terms)
        writer = self._api.open_writer_async(
            self._store, key, buffer_size=part_size, max_concurrency=concurrency, attributes=attributes
        )
        return CloudUpload(
            writer,
            lambda: self.info(key),
            lambda request: self._asked(request, key),
            terms,
            lambda: self._look(key),
        )

    async def delete(self, key: str) -> None:
        """Remove an object."""
        await self._asked(self._api.delete_async(self._store, key), key)

    async def listing(self, prefix: str) -> AsyncIterator[tuple[str, Stored]]:
        """Give the objects whose key begins with `prefix`."""
        # obstore's own prefix is a folder, so it gets that.
        pages = aiter(self._api.list(self._store, prefix.rpartition("/")[0] or None, chunk_size=_PAGE))
        while page := await self._asked(_next(pages), prefix):
            for meta in page:
                if meta["path"].startswith(prefix):
                    yield meta["path"], _stored(meta)

    async def leftovers(self, prefix: str) -> AsyncIterator[Leftover]:
        """Give the open multipart uploads to keys that begin with `prefix`."""
        if not self._is_s3:
            raise UsageError(f"{self._url(prefix) or self!r}: open uploads: {_SWEEPS}")
        # A store may have a folder of its own, in which all its keys are.
        folder = f"{self._store.prefix}/" if self._store.prefix else ""
        async for leftover in open_uploads(await self._requests(""), folder + prefix):
            yield replace(leftover, key=leftover.key.removeprefix(folder))

    async def _look(self, key: str) -> None:
        if self._is_s3 and [one async for one in self.leftovers(key) if one.key == key]:
            raise OSError(errno.EBUSY, "an upload to it is still open", self._url(key))

    async def discard(self, leftover: Leftover) -> None:
        """Abort an open upload."""
        await abort(await self._requests(leftover.key), leftover.id)

    async def sign(self, key: str, method: str, seconds: float) -> str:
        """Return a URL that allows one kind of request for so long."""
        signing = self._api.sign_async(self._store, method, key, timedelta(seconds=seconds))
        return str(await self._asked(signing, key))

    async def checksum(self, key: str) -> Checksum:
        """Return the checksum that the object must come to. Raises `UsageError` where it is not known."""
        if not self._is_s3:
            raise UsageError(f"{self._url(key)}: only S3 tells checksums; read it without verify=True")
        return Checksum(await stored_checksum(await self._requests(key), self._url(key)))

    async def _requests(self, key: str) -> S3Requests:
        # The address of the object, or of the bucket, as obstore itself writes it.
        signed = await self.sign(key or "k", "GET", 60)
        ring = await self._asked(key_ring(self._store, signed), key)
        address = signed.partition("?")[0]
        if not key:
            address = address.removesuffix(f"/{quote(self._store.prefix)}/k" if self._store.prefix else "/k")
        keys = (ring, scope_in(signed)) if ring is not None else None
        return S3Requests(self._store, self._api, address, self._url(key), self._secrets, keys)

    def _url(self, key: str) -> str:
        """Return the object's URL, for messages."""
        return redact(self._place + key, self._secrets)

    async def _asked(self, request: Awaitable[R], key: str) -> R:
        """Wait for a request and translate how it failed."""
        try:
            return await request
        except Exception as error:  # noqa: BLE001  # whatever it is, its text may hold credentials
            failure = translated(error, self._url(key), self._secrets)
        # Outside the except block, so that the original is not chained to it.
        raise failure


async def _next_piece(body: AsyncIterator[bytes]) -> bytes:
    async for piece in body:
        return piece
    return b""


async def _next(pages: AsyncIterator[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the next page that has something on it; an empty one at the end."""
    async for page in pages:
        if page:
            return page
    return []


def _stored(meta: dict[str, Any], attributes: dict[str, str] | None = None) -> Stored:
    if attributes is None:
        return Stored(meta["size"], meta["e_tag"], meta["last_modified"])
    kind = attributes.pop("Content-Type", None)
    metadata = {name: value for name, value in attributes.items() if not name[0].isupper()}
    return Stored(meta["size"], meta["e_tag"], meta["last_modified"], kind, metadata)


def _attributes(terms: Terms) -> dict[str, str]:
    return {**({"Content-Type": terms.content_type} if terms.content_type else {}), **terms.metadata}
