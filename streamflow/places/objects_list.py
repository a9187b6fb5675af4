"""What is in a store: its objects by prefix or pattern, and the uploads that were never ended.

What lives here: `list_objects` (as `objects.list`), `leftovers`, `clean_leftovers`. What must not: contents.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from streamflow.engine.threads import Worker
from streamflow.errors import UsageError
from streamflow.places.objects_stores import is_file, store_of
from streamflow.places.patterns import Pattern
from streamflow.places.stores import Leftover, Listing, Stored, Sweeping
from streamflow.places.urls import Location, parse, url_of
from streamflow.places.walk import parted, walk
from streamflow.stages import Source

__all__ = ["clean_leftovers", "leftovers", "list_objects"]


def list_objects(url: str, *, store: object = None, **config: Any) -> Source[Stored]:
    """List the objects whose key begins with a prefix, or fits a pattern.

    Example: `async for found in objects.list("s3://bucket/logs/2024-*.csv"): print(found.url, found.size)`.

    Each item is a `Stored`: `url`, `size` in bytes, `etag`, `modified`. To read them:
    `sf.stream(objects.list(url)).flat_map(lambda each: objects.read(each.url), concurrency=4)`.

    Args:
        url: `s3://bucket`, `s3://bucket/prefix`, or a pattern: `*` and `?` stay between two slashes, `**` passes them,
            `[ab]` is one of these. A `file://` URL is a folder, or a pattern.
        store: as for `read`.
        config: as for `read`.

    The order is the store's: that of the keys on S3, Google Cloud Storage, Azure and in memory, folder by folder on
    disk.

    Raises at once `UsageError` and `MissingExtra`; when it runs `OSError`s as `read` does.

    Cancellation: requests under way are dropped.
    """
    location = parse(url, scheme_needed=store is None, key_needed=False)
    pattern = Pattern(location.key)
    name = f"objects.list({location})"
    if is_file(location, store, config):
        return Source(lambda: _files(location.key), name=name, threads=2)
    opened = cast("Listing", store_of(location, store, config))
    if not callable(getattr(opened, "listing", None)):
        raise UsageError(f"{type(opened).__name__} cannot list: give it the method of stores.Listing")

    async def found() -> AsyncIterator[Stored]:
        async with aclosing(opened.listing(pattern.prefix)) as entries:  # type: ignore[type-var]  # a generator
            async for key, stored in entries:
                if pattern.matches(key):
                    yield replace(stored, url=url_of(location, key))

    return Source(found, name=name)


async def _files(path: str) -> AsyncIterator[Stored]:
    root, pattern = (path, "**/*") if Pattern(path).plain else parted(path)
    async with Worker("streamflow-file") as worker, aclosing(aiter(walk(root, pattern))) as paths:  # type: ignore[type-var]  # a generator
        async for found in paths:
            stat = await worker.call(os.stat, found)
            yield Stored(stat.st_size, None, datetime.fromtimestamp(stat.st_mtime, UTC), url=f"file://{quote(found)}")


def leftovers(url: str, *, store: object = None, **config: Any) -> Source[Leftover]:
    """List the multipart uploads that were begun and never completed nor aborted: invisible, and paid for.

    Example: `async for left in objects.leftovers("s3://bucket/exports/"): print(left.url, left.begun)`.

    Writes of this library leave none behind unless the process is killed or the store cannot be reached any more.
    Uploads that are still running are listed too.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`; `memory://` works as well, other clouds do not tell.
        store: as for `read`.
        config: as for `read`.

    Raises at once `UsageError` and `MissingExtra`; when it runs `OSError`s as `read` does.

    Cancellation: safe.
    """
    location, opened = _sweeping(url, store, config)

    async def found() -> AsyncIterator[Leftover]:
        async with aclosing(opened.leftovers(location.key)) as entries:  # type: ignore[type-var]  # a generator
            async for leftover in entries:
                yield replace(leftover, url=url_of(location, leftover.key))

    return Source(found, name=f"objects.leftovers({location})", threads=1)


async def clean_leftovers(url: str, *, older_than: float, store: object = None, **config: Any) -> list[Leftover]:
    """Abort the multipart uploads that were begun at least `older_than` seconds ago; returns them.

    Example: `await objects.clean_leftovers("s3://bucket/exports/", older_than=7 * 86400)`.

    Args:
        url: as for `leftovers`.
        older_than: seconds, by the store's clock if it tells its time (S3 does), else by that of this machine. Make it
            longer than your longest upload takes: one that is still running is aborted under its writer, who then
            fails.
        store: as for `read`.
        config: as for `read`.

    Raises as `leftovers`. Cancellation: those already aborted stay so.
    """
    if isinstance(older_than, bool) or not 0 <= older_than < float("inf"):
        raise UsageError(f"older_than is a number of seconds, 0 or more; not {older_than!r}")
    location, opened = _sweeping(url, store, config)
    found = [each async for each in opened.leftovers(location.key) if _age(each) >= older_than]
    for leftover in found:
        await opened.discard(leftover)
    return [replace(each, url=url_of(location, each.key)) for each in found]


def _age(leftover: Leftover) -> float:
    """Return the seconds since it was begun. A store tells its time in whole seconds, so it may seem to come first."""
    return max(0.0, ((leftover.listed or datetime.now(UTC)) - leftover.begun).total_seconds())


def _sweeping(url: str, store: object, config: dict[str, Any]) -> tuple[Location, Sweeping]:
    location = parse(url, scheme_needed=store is None, key_needed=False)
    if is_file(location, store, config):
        raise UsageError(f"{location}: there are no multipart uploads of files")
    opened = cast("Sweeping", store_of(location, store, config))
    if not callable(getattr(opened, "leftovers", None)):
        raise UsageError(f"{type(opened).__name__} does not know its uploads: give it the methods of stores.Sweeping")
    return location, opened
