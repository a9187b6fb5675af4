"""`file` and `object`: a file, or an object of a store, as a response that can be had in parts.

What lives here: finding out what is there, and reading exactly that version. What must not: ranges (`ranges.py`).

What is there is looked at when the response is sent. From then on it is that version or an error: what is overwritten
meanwhile breaks the connection off, and no client gets the beginning of one version with the end of another.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar, Unpack, cast

from starlette.exceptions import HTTPException

from streamflow.engine.threads import Worker
from streamflow.errors import ObjectChanged, TruncatedError
from streamflow.places import files
from streamflow.places.content_types import guessed
from streamflow.places.files import FilePath
from streamflow.places.objects_stores import is_file, store_of
from streamflow.places.stores import Fetched, Store, Stored
from streamflow.places.urls import Location, parse
from streamflow.stages import Source
from streamflow.web.conditions import Version
from streamflow.web.options import SendingOptions
from streamflow.web.ranges import Ranged, Sized

__all__ = ["file", "object_"]

T = TypeVar("T")

UNKNOWN = "application/octet-stream"
FILE_BLOCK = 256 * 1024
"""Bytes read at once. A response holds about three of them, however slow its client is. With a quarter of it, a file
took twice the processor time; with twice as much, half of it."""
OBJECT_BLOCK = 1 << 20
"""Bytes asked for at once. A response holds about two of them, however slow its client is."""


def file(
    path: FilePath,
    *,
    media_type: str | None = None,
    filename: str | None = None,
    headers: Mapping[str, str] | None = None,
    **options: Unpack[SendingOptions],
) -> Ranged:
    """Answer with a file, or with the part of it that the client asks for.

    Example: `return web.file("/srv/exports/orders.csv.gz", filename="orders.csv.gz")`.

    Args:
        path: the file. Do not make it of what a client says without looking: `..` leads anywhere.
        media_type: what it is; `None`: what its suffix stands for.
        filename: as for `ranged`.
        headers: as for `ranged`.
        **options: as for `ranged`.

    Raises, when it is sent, `HTTPException(404)` where there is no such file; a directory, a pipe, and a name that no
    file can have are none either. `OSError`s for one that cannot be read: a framework answers with 500, and the client
    is told neither why nor where. A file that is changed while it is sent is `ObjectChanged`, and breaks the connection
    off.

    Cancellation: as for `StreamResponse`.
    """
    name = os.fspath(path)
    kind = media_type or _guessed(name) or UNKNOWN
    return Ranged(partial(_file, name, kind), filename, headers, options)


def object_(
    url: str,
    *,
    media_type: str | None = None,
    filename: str | None = None,
    headers: Mapping[str, str] | None = None,
    store: object = None,
    config: Mapping[str, Any] | None = None,
    **options: Unpack[SendingOptions],
) -> Ranged:
    """Answer with an object of a store, or with the part of it that the client asks for.

    Example: `return web.object("s3://exports/orders.csv.gz", filename="orders.csv.gz")`.

    Each part is asked for from the store as it is needed, with the version that the headers told: the store's `ETag`.

    Whoever stored it chose its type, which may be that of a page with scripts. Where that was a stranger, say
    `filename=`: then browsers save it and do not show it.

    Args:
        url: `s3://bucket/key` and its kin, as for `objects.read`.
        media_type: what it is; `None`: what it was stored as, or what its suffix stands for.
        store: a store of your own or one of obstore's; otherwise it follows from the URL.
        config: options for the store, such as `{"endpoint": ...}`.
        filename: as for `ranged`.
        headers: as for `ranged`.
        **options: as for `ranged`.

    Raises at once `UsageError` and `MissingExtra`. When it is sent, `HTTPException(404)` where there is no such object,
    and what `objects.read` raises. An object that is overwritten meanwhile is `ObjectChanged`.

    Cancellation: as for `StreamResponse`; requests to the store are dropped.
    """
    location, settings = parse(url, scheme_needed=store is None), dict(config or {})
    if is_file(location, store, settings):
        return file(location.key, media_type=media_type, filename=filename, headers=headers, **options)
    opened = store_of(location, store, settings)
    return Ranged(partial(_object, opened, location, media_type), filename, headers, options)


_NOTHING_THERE = {errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
_LONGEST_KEY = 1024
"""Bytes in the longest name of an object that S3, Google and Azure take."""


async def _or_404(found: Awaitable[T], name: str) -> T:
    """Answer that there is nothing, also for a name that nothing can have: names come from clients."""
    try:
        return await found
    except OSError as error:
        if error.errno not in _NOTHING_THERE and not isinstance(error, FileNotFoundError):
            raise
        raise HTTPException(404) from error
    except Exception as error:
        if not _is_impossible(name):
            raise
        raise HTTPException(404) from error


def _is_impossible(name: str) -> bool:
    try:
        return "\0" in name or len(name.encode(errors="surrogateescape")) > _LONGEST_KEY
    except UnicodeEncodeError:
        return True


def _guessed(name: str) -> str | None:
    """Return the type that a suffix stands for, also where the rest is no text."""
    return guessed(name.encode(errors="replace").decode())


# --- files -------------------------------------------------------------------------------------------------------


async def _file(path: str, media_type: str) -> Sized:
    status = await _or_404(_status(path), path)
    version = Version(_etag(status), datetime.fromtimestamp(status.st_mtime, UTC))
    return Sized(partial(_bytes_of_file, path, _etag(status)), status.st_size, version, media_type)


def _bytes_of_file(path: str, etag: str, offset: int, length: int) -> Source[bytes]:
    read = files.read(path, block=FILE_BLOCK, offset=offset, length=length)

    async def same_version() -> AsyncGenerator[bytes, None]:
        # Looked at when the file is open, so what is read is what the headers told; and again at its end.
        held = b""
        async with aclosing(cast("AsyncGenerator[bytes, None]", read.open())) as blocks:
            async for block in blocks:
                if held:
                    yield held
                else:
                    await _check_same(path, etag)
                held = block
        await _check_same(path, etag)
        yield held

    return Source(same_version, name=read.name, threads=2, holds=read.holds + FILE_BLOCK)


async def _check_same(path: str, etag: str) -> None:
    if _etag(await _status(path)) != etag:
        raise ObjectChanged(f"{path} was changed while it was sent")


async def _status(path: str) -> os.stat_result:
    async with Worker("streamflow-file") as worker:
        status = await worker.call(os.stat, path)
    if not stat.S_ISREG(status.st_mode):
        raise FileNotFoundError(f"{path} is no file")
    return status


def _etag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


# --- objects -----------------------------------------------------------------------------------------------------


async def _object(store: Store, location: Location, media_type: str | None) -> Sized:
    stored = await _or_404(store.info(location.key), location.key)
    kind = media_type or stored.content_type or _guessed(location.key) or UNKNOWN
    read: Callable[[int, int], Source[bytes]] = partial(_bytes_of_object, store, location, stored)
    return Sized(read, stored.size, Version(stored.etag, stored.modified), kind)


def _bytes_of_object(store: Store, location: Location, stored: Stored, offset: int, length: int) -> Source[bytes]:
    async def blocks() -> AsyncIterator[bytes]:
        at, end = offset, offset + length
        while at < end:
            fetched = await store.get(location.key, at, min(OBJECT_BLOCK, end - at), stored.etag)
            if not stored.same_version(fetched.stored):
                raise ObjectChanged(f"{location} was overwritten while it was sent")
            before = at
            for piece in await _whole(fetched):
                at += len(piece)
                yield bytes(piece)
            if at == before:
                raise TruncatedError(f"{location} ended {end - at} bytes early, at byte {at}")

    return Source(blocks, name=f"web.object({location})", holds=2 * OBJECT_BLOCK)


async def _whole(fetched: Fetched) -> list[bytes | memoryview]:
    """Return all of an answer: a client that is slow must not keep a connection to the store waiting."""
    if isinstance(fetched.data, bytes | memoryview):
        return [fetched.data]
    async with aclosing(fetched.data) as pieces:
        return [piece async for piece in pieces]
