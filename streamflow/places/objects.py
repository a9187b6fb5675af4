"""Objects by URL as a source and a sink of bytes: `s3://`, `gs://`, `az://`, `file://`, `memory://`.

What lives here: `read`, `write`, and the few verbs around them. What must not: formats; the ways of single stores (they
are in `memory.py`, `cloud.py` and `files.py`, behind the protocol in `stores.py`).

`memory://` and `file://` need nothing installed. The others need the extra `objects`; they are configured by options
(`endpoint=`, `region=`, `access_key_id=`, `secret_access_key=`, `skip_signature=True`, ...) or by the environment
(`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...), or made by yourself and given as `store=`.

How an object is read is told in `ranges.py`, how one is written in `uploads.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, cast

import anyio

from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.errors import PipelineTimeout, StageDidNotStop, UsageError
from streamflow.places import files, memory
from streamflow.places.ahead import ReadAhead
from streamflow.places.blocks import MIB, Gather, positive
from streamflow.places.cloud import CloudStore, connect, is_obstore
from streamflow.places.ranges import RANGE, Ranges
from streamflow.places.stores import Store, Stored
from streamflow.places.uploads import PARTS, Uploading
from streamflow.places.urls import Location, parse
from streamflow.places.written import Written
from streamflow.stages import Sink, Source

__all__ = ["delete", "exists", "info", "read", "write"]

_PART = 8 * MIB
_LANES = 4
_ABORT_GRACE = 60.0


def read(
    url: str,
    *,
    block: int = MIB,
    offset: int = 0,
    length: int | None = None,
    store: object = None,
    **config: Any,
) -> Source[bytes]:
    """Read an object as blocks of bytes.

    Example: `await sf.pipeline(objects.read("s3://bucket/orders.csv"), csv.parse(), ..., sink)`.

    Args:
        url: `s3://bucket/key` and its kin; with `store=` a bare key will do.
        block: the size of the items in bytes; the last of a range may be shorter.
        offset: where to begin, in bytes.
        length: how many bytes to read; `None` reads to the end.
        store: a store of your own (see `stores.Store`) or one of obstore's; otherwise it follows from the URL.
        config: options for the store, such as `endpoint=` and `region=`.

    Raises at once `UsageError` and `MissingExtra`; when it runs `FileNotFoundError`, `PermissionError`, other
    `OSError`s, `ObjectChanged` if the object was overwritten meanwhile, and `TruncatedError` if it ends early.

    Cancellation: requests under way are dropped.
    """
    size = positive("block", block)
    if offset < 0 or (length is not None and length < 0):
        raise UsageError(f"offset and length are bytes, 0 or more; not {offset!r} and {length!r}")
    location = parse(url, scheme_needed=store is None)
    if location.scheme == "file" and store is None:
        _refuse(config, location)
        return files.read(location.key, block=size, offset=offset, length=length)
    opened = _store(location, store, config)

    async def blocks() -> AsyncIterator[bytes]:
        ranges = Ranges(opened, location, size, offset, length)
        ahead = ReadAhead(lambda: asyncio.create_task(ranges.fetch(), name="streamflow:read-ahead"), cancels=True)
        try:
            while data := await ahead.next():
                for start in range(0, len(data), size):
                    yield data[start : start + size]
        finally:
            await finish(ahead.close())

    return Source(blocks, name=f"objects.read({location})", holds=2 * max(RANGE, size))


def write(
    url: str,
    *,
    part_size: int | None = None,
    concurrency: int | None = None,
    expected_size: int | None = None,
    store: object = None,
    **config: Any,
) -> Sink[bytes, Written]:
    """Write bytes to an object that becomes visible only when it is complete.

    Example: `written = await sf.pipeline(source, csv.format(), gzip.compress(),
    objects.write("s3://bucket/out.csv.gz"))`.

    An object smaller than a part is stored by one request; a larger one in parts. It is completed after a clean end
    only; after a failure or a cancellation the upload is aborted and nothing stays at the store.

    Args:
        url: as for `read`.
        part_size: bytes per part, 8 MiB if not given; S3 wants at least 5 MiB.
        concurrency: parts under way at once, 4 if not given. Memory: up to `(concurrency + 2) * part_size`.
        expected_size: about how many bytes will come, if more than 10,000 parts of `part_size` (78 GiB): clouds want
            equal parts, so theirs are made large enough. The stores in memory grow them by themselves.
        store: as for `read`.
        config: as for `read`.

    The value is a `Written`: URL, bytes, ETag.

    A `file://` URL is written as `files.write` does, without parts; an option about parts is refused there.

    Raises `UsageError`, `MissingExtra`, `OSError`s as for `read`; and `CommitUnknown` if the answer to the last request
    was lost and the object may be there.

    Cancellation: before the commit the upload is aborted; during it, it is waited for, and `CancelledError` then
    carries a note that the object is complete.
    """
    location = parse(url, scheme_needed=store is None)
    if location.scheme == "file" and store is None:
        parts = {"part_size": part_size, "concurrency": concurrency, "expected_size": expected_size}
        _refuse({**config, **{name: value for name, value in parts.items() if value is not None}}, location)
        return files.write(location.key)
    size = max(positive("part_size", _PART if part_size is None else part_size), _equal_part(expected_size))
    lanes = positive("concurrency", _LANES if concurrency is None else concurrency)
    opened = _store(location, store, config, size)
    if size < opened.smallest_part:
        raise UsageError(f"{location}: part_size is at least {opened.smallest_part} bytes there, not {size}")
    label = f"objects.write({location})"

    async def sink(items: AsyncIterable[bytes]) -> Written:
        uploading = Uploading(opened, location.key, str(location), size, lanes)
        try:
            stored = await _upload(uploading, items, Gather(label))
        except BaseException as error:
            await _given_up(uploading, location, error)
            raise
        durable = not isinstance(opened, memory.MemoryStore)
        return Written(str(location), uploading.size, durable=durable, etag=stored.etag)

    return Sink(sink, name=label, holds=(lanes + 2) * size)


def _equal_part(expected_size: int | None) -> int:
    """Return the part size by which the expected bytes, and a tenth more, fit into the parts a store takes."""
    if expected_size is None:
        return 1
    return -(-positive("expected_size", expected_size) * 11 // (10 * PARTS * MIB)) * MIB


async def _upload(uploading: Uploading, items: AsyncIterable[bytes], gather: Gather) -> Stored:
    # An anyio scope's cancellation is seen only where something waits, and sending may not have to.
    async for item in items:
        gather.add(item)
        while len(gather) >= uploading.wanted:
            await uploading.send(gather.take(uploading.wanted))
            await anyio.lowlevel.checkpoint_if_cancelled()
    await uploading.drain(gather.take())
    await anyio.lowlevel.checkpoint_if_cancelled()
    return await finish(uploading.complete())


async def _given_up(uploading: Uploading, location: Location, error: BaseException) -> None:
    """Leave nothing behind; what goes wrong in that must not hide why it was needed."""
    try:
        await finish(uploading.abort(), grace=_ABORT_GRACE)
    except (OSError, PipelineTimeout, StageDidNotStop) as failure:
        error.add_note(f"The upload to {location} could not be aborted, parts of it may be left there: {failure}")
    if uploading.committed and isinstance(error, asyncio.CancelledError):
        error.add_note(f"{location} had been committed when the cancellation was raised: the object is complete.")


async def info(url: str, *, store: object = None, **config: Any) -> Stored:
    """Return an object's size in bytes and its ETag, without reading it.

    Example: `(await objects.info("s3://bucket/key")).size`. Raises `FileNotFoundError` and as `read`. Cancellation:
    safe.
    """
    location = parse(url, scheme_needed=store is None)
    if location.scheme == "file" and store is None:
        _refuse(config, location)
        async with Worker("streamflow-file") as worker:
            return Stored((await worker.call(os.stat, location.key)).st_size, None)
    return await _store(location, store, config).info(location.key)


async def exists(url: str, *, store: object = None, **config: Any) -> bool:
    """Return whether there is an object under this URL.

    Example: `if not await objects.exists("memory://out/a.csv"): ...`. Raises as `info`, but for the missing object.
    Cancellation: safe.
    """
    try:
        await info(url, store=store, **config)
    except FileNotFoundError:
        return False
    return True


async def delete(url: str, *, store: object = None, **config: Any) -> None:
    """Remove an object. One that is not there is no error at an object store; a missing file is `FileNotFoundError`.

    Example: `await objects.delete("s3://bucket/key")`. Cancellation: it may have been removed or not.
    """
    location = parse(url, scheme_needed=store is None)
    if location.scheme == "file" and store is None:
        _refuse(config, location)
        async with Worker("streamflow-file") as worker:
            await worker.call(os.unlink, location.key)
    else:
        await _store(location, store, config).delete(location.key)


def _store(location: Location, store: object, config: dict[str, Any], part_size: int = RANGE) -> Store:
    """Return the store to use: the given one, or the one that the URL's scheme names."""
    if store is not None:
        _refuse(config, location)
        if is_obstore(store):
            return CloudStore(store)
        if not callable(getattr(store, "begin", None)):
            raise UsageError(
                f"store= takes one of obstore's stores or an object with the methods of stores.Store, "
                f"not {type(store).__name__}"
            )
        return cast("Store", store)
    if location.scheme == "memory":
        _refuse(config, location)
        return memory.bucket(location.bucket)
    return connect(location, config, part_size)


def _refuse(config: dict[str, Any], location: Location) -> None:
    if config:
        raise UsageError(f"{location}: {', '.join(sorted(config))} would have no effect here; leave it out")
