"""S3, Google Cloud Storage and Azure through obstore: the extra `objects`.

What lives here: the adapter from obstore's stores to our `Store`, their making from a URL and the environment, and the
only import of obstore. What must not: the order of parts, retries above a single request (obstore repeats each request
by itself), the loop.

How it works. Reads are ranges pinned to an ETag. Multipart uploads go through obstore's writer, which cuts equal parts,
keeps `concurrency` of them under way and can abort. Its first `write` begins the upload on the server, so that call is
never cancelled: the upload's id would be lost with it. Errors are translated here into Python's own, with one line of
text and no credentials; obstore's exception is not chained to them, because its text holds requests and answers in
full.
"""

from __future__ import annotations

import errno
import os
import types
from collections.abc import Awaitable
from typing import Any, TypeVar

from streamflow.engine.shielding import finish
from streamflow.errors import MissingExtra, ObjectChanged, UsageError
from streamflow.places.blocks import MIB
from streamflow.places.stores import Fetched, Stored
from streamflow.places.urls import Location, redact, secrets_in

__all__ = ["CloudStore", "connect", "is_obstore"]

R = TypeVar("R")

_CLASSES = {"s3": "S3Store", "gs": "GCSStore", "az": "AzureStore"}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_SLOWEST = 256 * 1024  # bytes per second at which a part must still get through


def _obstore(url: str) -> types.ModuleType:
    try:
        import obstore  # noqa: PLC0415  # an optional extra
        import obstore.store  # noqa: PLC0415
    except ImportError:
        raise MissingExtra(f'{url} needs obstore: pip install -e ".[objects]"') from None
    return obstore


def is_obstore(store: object) -> bool:
    """Return whether it is one of obstore's own stores, which a user may hand over with credentials of any kind."""
    return any(kind.__module__.partition(".")[0] == "obstore" for kind in type(store).__mro__)


def connect(location: Location, config: dict[str, Any], part_size: int) -> CloudStore:
    """Return the store that holds the location, configured by `config` and, where it is silent, by the environment.

    An `http://` endpoint is allowed because it was named; large parts get more time than obstore's 30 s for a request.

    Raises `MissingExtra` without obstore, `UsageError` for an option that does not exist.
    """
    obstore = _obstore(str(location))
    config = dict(config)
    client = dict(config.pop("client_options", None) or {})
    if location.scheme == "s3":
        _endpoint(config, client)
    client.setdefault("timeout", f"{max(30, part_size // _SLOWEST)}s")
    cloudy = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))}
    secrets = secrets_in(config) + secrets_in(dict(cloudy))
    try:
        store = getattr(obstore.store, _CLASSES[location.scheme])(location.bucket, client_options=client, **config)
    except (obstore.exceptions.BaseError, TypeError, ValueError) as error:
        wrong = UsageError(f"{location}: {_first_line(error, secrets)}")
    else:
        return CloudStore(store, secrets)
    raise wrong


def _endpoint(config: dict[str, Any], client: dict[str, Any]) -> None:
    named = next((config[name] for name in ("endpoint", "endpoint_url", "aws_endpoint") if name in config), None)
    endpoint = named or next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    if endpoint is None:
        return
    if named is None:
        config["endpoint"] = endpoint
    if str(endpoint).startswith("http://"):
        client.setdefault("allow_http", True)


class CloudStore:
    """One of obstore's stores as a `Store`.

    Args:
        store: obstore's.
        secrets: values that must not appear in errors.
    """

    equal_parts = True

    def __init__(self, store: Any, secrets: list[str] | None = None) -> None:
        """Wrap it; nothing is sent yet."""
        self._store = store
        self._secrets = secrets or []
        self._api = _obstore(type(store).__name__)
        # S3 and its kin refuse smaller parts only when the upload is completed.
        self.smallest_part = 5 * MIB if type(store).__name__ in {"S3Store", "GCSStore"} else 1

    def __repr__(self) -> str:
        """Return which kind of store; neither address nor options."""
        return f"<CloudStore {type(self._store).__name__}>"

    async def get(self, key: str, start: int, length: int, etag: str | None) -> Fetched:
        """Return a range. Raises `FileNotFoundError`, `PermissionError`, `ObjectChanged` or another `OSError`."""
        options: dict[str, Any] = {"range": (start, start + length)}
        if etag is not None:
            options["if_match"] = etag
        result = await self.asked(self._get(key, options), key)
        return result or Fetched(b"", await self.info(key))

    async def _get(self, key: str, options: dict[str, Any]) -> Fetched | None:
        try:
            result = await self._api.get_async(self._store, key, options=options)
        except self._api.exceptions.GenericError as error:
            if "416" not in str(error):
                raise
            return None  # the range begins at or after the end: an empty object, or an offset too far
        data = bytes(await result.bytes_async())
        return Fetched(data, Stored(result.meta["size"], result.meta["e_tag"]))

    async def info(self, key: str) -> Stored:
        """Return size and version."""
        meta = await self.asked(self._api.head_async(self._store, key), key)
        return Stored(meta["size"], meta["e_tag"])

    async def put(self, key: str, data: bytes) -> Stored:
        """Store an object in one request."""
        result = await self.asked(self._api.put_async(self._store, key, data, use_multipart=False), key)
        return Stored(len(data), result["e_tag"])

    async def begin(self, key: str, part_size: int, concurrency: int) -> CloudUpload:
        """Return an upload; the server hears of it with the first part."""
        writer = self._api.open_writer_async(self._store, key, buffer_size=part_size, max_concurrency=concurrency)
        return CloudUpload(self, key, writer)

    async def delete(self, key: str) -> None:
        """Remove an object."""
        await self.asked(self._api.delete_async(self._store, key), key)

    async def asked(self, request: Awaitable[R], key: str) -> R:
        """Wait for a request and translate how it failed."""
        try:
            return await request
        except Exception as error:  # noqa: BLE001  # whatever it is, its text may hold credentials
            failure = self._translated(error, key)
        # Outside the except block, so that the original is not chained to it.
        raise failure

    def _translated(self, error: Exception, key: str) -> Exception:
        kinds = self._api.exceptions
        text = _first_line(error, self._secrets)
        if isinstance(error, FileNotFoundError):
            return FileNotFoundError(errno.ENOENT, f"No such object, or no such bucket: {text}", key)
        if isinstance(error, kinds.PreconditionError):
            return ObjectChanged(f"{key} was overwritten while it was read")
        if isinstance(error, (kinds.PermissionDeniedError, kinds.UnauthenticatedError)):
            return PermissionError(errno.EACCES, f"The store refused the credentials or the access: {text}", key)
        if isinstance(error, (kinds.InvalidPathError, kinds.NotSupportedError, ValueError, TypeError)):
            return UsageError(f"{key}: {text}")
        return OSError(errno.EIO, text, key)


class CloudUpload:
    """A multipart upload through obstore's writer, which overlaps the parts by itself."""

    lanes = 1

    def __init__(self, store: CloudStore, key: str, writer: Any) -> None:
        """Made by `CloudStore.begin`."""
        self._store = store
        self._key = key
        self._writer = writer
        self._begun = False
        self._ended = False

    async def part(self, number: int, data: bytes) -> None:  # noqa: ARG002  # the writer counts
        """Hand a part over; returns when it is under way. A failure shows at a later call."""
        if self._begun:
            await self._store.asked(self._writer.write(data), self._key)
        else:
            await finish(self._first(data))

    async def _first(self, data: bytes) -> None:
        await self._store.asked(self._writer.write(data), self._key)
        self._begun = True

    async def complete(self) -> Stored:
        """Wait for the parts and make the object; on failure the writer itself has aborted the upload."""
        self._ended = True
        await self._store.asked(self._writer.close(), self._key)
        try:
            return await self._store.info(self._key)
        except OSError:
            return Stored(
                0, None
            )  # it is committed; only its version stays unknown (a key that may write but not read)

    async def abort(self) -> None:
        """Remove what was uploaded."""
        if not self._ended:
            self._ended = True
            cause = RuntimeError("aborted")
            await self._store.asked(self._writer.__aexit__(type(cause), cause, None), self._key)


def _first_line(error: Exception, secrets: list[str]) -> str:
    """Return what happened without obstore's dump of the request: its first lines, in one, shortened."""
    text = str(error).partition("\n\nDebug source")[0]
    return redact(" ".join(text.split()), secrets)[:500]
