"""Objects as sources of bytes: one, or many.

What lives here: `read` and `read_many`. What must not: the ranges an object is read in (`ranges.py`), how many are
read at once (`many.py`), formats.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from streamflow.engine.threads import Worker
from streamflow.errors import UsageError
from streamflow.places import files
from streamflow.places.blocks import MIB, positive
from streamflow.places.cloud import CloudStore
from streamflow.places.many import many
from streamflow.places.objects_list import list_objects
from streamflow.places.objects_stores import is_file, refuse, store_of
from streamflow.places.ranges import HOLDS, Ranges, blocks_of
from streamflow.places.stores import Store, Stored
from streamflow.places.urls import Location, parse
from streamflow.stages import Source

__all__ = ["read", "read_many"]


def read(
    url: str,
    *,
    block: int = MIB,
    offset: int = 0,
    length: int | None = None,
    verify: bool = False,
    store: object = None,
    **config: Any,
) -> Source[bytes]:
    """Read an object as blocks of bytes.

    Example: `await sf.pipeline(objects.read("s3://bucket/orders.csv"), csv.parse(), ..., sink)`.

    Args:
        url: `s3://bucket/key` and its kin; with `store=` a bare key will do.
        block: about how many bytes an item has: those from memory and disk exactly as many, but for the last of a
            request; those of a cloud up to half as many more or fewer, as they arrive, because cutting is copying.
        offset: where to begin, in bytes.
        length: how many bytes to read; `None` reads to the end.
        verify: whether the bytes are compared with the checksum that S3 keeps, at the end of the object: where the line
            is not encrypted, or the disk behind it not trusted. It costs one or two small requests and the hashing, in
            a thread.
        store: a store of your own (see `stores.Store`) or one of obstore's; otherwise it follows from the URL.
        config: options for the store, such as `endpoint=` and `region=`.

    Raises at once `UsageError` and `MissingExtra`; when it runs `FileNotFoundError`, `PermissionError`, other
    `OSError`s, `ObjectChanged` if the object was overwritten meanwhile, and `TruncatedError` if it ends early. With
    `verify=True` also `FormatError` if it is not what was stored, and `UsageError` if the store tells no checksum.

    Cancellation: requests under way are dropped.
    """
    size = positive("block", block)
    if verify and (offset or length is not None):
        raise UsageError("verify=True needs the whole object: leave out offset= and length=")
    if offset < 0 or (length is not None and length < 0):
        raise UsageError(f"offset and length are bytes, 0 or more; not {offset!r} and {length!r}")
    location = parse(url, scheme_needed=store is None)
    if is_file(location, store, config):
        refuse(["verify"] if verify else [], location)
        return files.read(location.key, block=size, offset=offset, length=length)
    opened = store_of(location, store, config)
    if verify and not isinstance(opened, CloudStore):
        refuse(["verify"], location)
    return _source(opened, location, size, offset, length, verify=verify)


def _source(
    store: Store, location: Location, size: int, offset: int = 0, length: int | None = None, *, verify: bool = False
) -> Source[bytes]:
    def blocks() -> AsyncIterator[bytes]:
        ranges = Ranges(store, location, size, offset, length)
        return _verified(ranges, store, location, size) if verify else blocks_of(ranges, size)

    return Source(
        blocks,
        name=f"objects.read({location})",
        holds=max(HOLDS, 4 * size),
        threads=int(verify),
        whole=True,
    )


async def _verified(ranges: Ranges, store: Store, location: Location, size: int) -> AsyncIterator[bytes]:
    checksum = await cast("CloudStore", store).checksum(location.key)
    async with Worker("streamflow-checksum") as worker, aclosing(blocks_of(ranges, size)) as blocks:
        async for block in blocks:
            checksum.same_version(str(location), ranges.etag)
            await worker.call(checksum.update, block)
            yield block
    checksum.same_version(str(location), ranges.etag)
    checksum.check(str(location))


def read_many(
    url: str,
    *stages: object,
    concurrency: int = 1,
    ordered: bool = True,
    block: int = MIB,
    store: object = None,
    **config: Any,
) -> Source[Any]:
    """Read the objects under a prefix or a pattern as one stream: one after the other, or several at once.

    Example: `objects.read_many("s3://logs/2024-*/*.csv.gz", gzip.decompress(), csv.parse(), concurrency=4)`.

    Args:
        url: as for `list`.
        stages: what the bytes of each object go through, by itself. Without any, the objects are one stream of bytes.
        concurrency: how many may be open at once.
        ordered: all of the first object, then all of the second; else their items as they come.
        block: as for `read`.
        store: as for `read`.
        config: as for `read`.

    Raises as `list` and `read`, with a note that names the object; at once `UsageError` for `ordered=False` without
    stages, which would mix the bytes of different objects.

    Cancellation: requests under way are dropped.
    """
    if not ordered and not stages:
        raise UsageError(
            "read_many(ordered=False) would mix the bytes of different objects; give it the stages that make items of "
            "them: objects.read_many(url, text.decode(), text.lines(), concurrency=4, ordered=False)."
        )
    size = positive("block", block)
    location = parse(url, scheme_needed=store is None, key_needed=False)
    opened = None if is_file(location, store, config) else store_of(location, store, config)

    def content(one: Location) -> Source[bytes]:
        return files.read(one.key, block=size) if opened is None else _source(opened, one, size)

    return many(
        Source(lambda: _locations(list_objects(url, store=opened)), name=f"objects.list({location})"),
        content,
        *stages,
        like=_source(cast("Store", opened), location, size),
        concurrency=concurrency,
        ordered=ordered,
        name=f"objects.read_many({location})",
    )


async def _locations(found: Source[Stored]) -> AsyncIterator[Location]:
    # A location prints without secrets, and errors name it.
    async with aclosing(aiter(found)) as each:  # type: ignore[type-var]  # a generator
        async for stored in each:
            yield parse(stored.url, scheme_needed=False)
