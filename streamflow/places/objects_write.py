"""An object as a sink of bytes: whole, or not there.

What lives here: `write`, between the items and the upload. What must not: parts and their order (`uploads.py`), stores.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Mapping
from typing import Any

import anyio

from streamflow.engine.shielding import finish
from streamflow.errors import PipelineTimeout, StageDidNotStop, UsageError
from streamflow.places import files, memory
from streamflow.places.blocks import MIB, Gather, positive
from streamflow.places.content_types import guessed
from streamflow.places.objects_stores import is_file, refuse, store_of
from streamflow.places.parts import PARTS
from streamflow.places.stores import Stored, Terms
from streamflow.places.uploads import Uploading
from streamflow.places.urls import Location, parse
from streamflow.places.written import Written
from streamflow.stages import Sink

__all__ = ["write"]

_PART = 8 * MIB
_LANES = 4
_ABORT_GRACE = 60.0
_NAME = re.compile("[a-z][a-z0-9-]*")
_VALUE = re.compile("[ -~]*")


def write(
    url: str,
    *,
    part_size: int | None = None,
    concurrency: int | None = None,
    expected_size: int | None = None,
    equal_parts: bool = False,
    overwrite: bool = True,
    content_type: str | None = None,
    metadata: Mapping[str, str] | None = None,
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
        part_size: bytes of the first part, 8 MiB if not given; S3 wants at least 5 MiB. On S3 the size doubles every
            1,000 parts: 8 MiB up to 7.8 GiB, 16 MiB up to 23 GiB and so on, so that 10,000 parts reach 7.8 TiB.
        concurrency: parts under way at once, 4 if not given; fewer as they grow. Memory: up to
            `(concurrency + 2) * part_size`, and three parts where that is more: 96 MiB from 23 GiB on, 12 GiB at 4 TiB.
        expected_size: about how many bytes will come, if more than 10,000 parts of `part_size` (78 GiB) to where parts
            are equal: on Google Cloud Storage and Azure, on Cloudflare R2, and on S3 where obstore fetches credentials
            by itself (from an instance, a container or a token service). They are made large enough then.
        equal_parts: whether all parts but the last must have one size, as some servers that speak S3 demand.
            Cloudflare R2 is known by its address.
        overwrite: whether an existing object is replaced; otherwise it raises `FileExistsError`, also if the object
            appears meanwhile (the store checks it at the commit, by `If-None-Match`). On Google Cloud Storage and Azure
            only objects smaller than a part can be written so.
        content_type: the media type to store it as; guessed from the suffix if not given.
        metadata: names and values to store beside it. One of ours is added, `streamflowid`: by it the writer knows its
            object again when the answer to the commit was lost.
        store: as for `read`.
        config: as for `read`. Parts sent to S3 carry a SHA-256 unless `checksum_algorithm=` says otherwise.

    The value is a `Written`: URL, bytes, ETag.

    A `file://` URL is written as `files.write` does, without parts; an option about parts, types and metadata is
    refused there.

    The outcome. A returned value: it is committed. `CommitUnknown`: the answer to the last request was lost, and the
    store could not say afterwards whether the object is there. Any other error: nothing was committed, and the upload
    was aborted, or a note on the error says that it could not be (`clean_leftovers` then removes it).

    Raises `UsageError`, `MissingExtra`, `OSError`s as for `read`; `FileExistsError` and `CommitUnknown` as said.

    Cancellation: before the commit the upload is aborted; during it, it is waited for, and `CancelledError` then
    carries a note that the object is complete.
    """
    location = parse(url, scheme_needed=store is None)
    if is_file(location, store, config):
        options: dict[str, object] = {"part_size": part_size, "concurrency": concurrency}
        options |= {"expected_size": expected_size, "content_type": content_type, "metadata": metadata}
        options |= {"equal_parts": equal_parts or None}
        refuse([name for name, value in options.items() if value is not None], location)
        return files.write(location.key, overwrite=overwrite)
    size = max(positive("part_size", _PART if part_size is None else part_size), _equal_part(expected_size))
    lanes = positive("concurrency", _LANES if concurrency is None else concurrency)
    opened = store_of(location, store, config, size)
    if size < opened.smallest_part:
        raise UsageError(f"{location}: part_size is at least {opened.smallest_part} bytes there, not {size}")
    terms = Terms(content_type or guessed(location.key), _names_and_values(metadata or {}), overwrite, equal_parts)
    label = f"objects.write({location})"

    async def sink(items: AsyncIterable[bytes]) -> Written:
        uploading = Uploading(opened, location.key, str(location), size, lanes, terms)
        try:
            stored = await _upload(uploading, items, Gather(label))
        except BaseException as error:
            await _given_up(uploading, location, error)
            raise
        durable = not isinstance(opened, memory.MemoryStore)
        return Written(str(location), uploading.size, durable=durable, etag=stored.etag)

    return Sink(sink, name=label, holds=(lanes + 2) * size)


def _names_and_values(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the metadata if every store can take it: it travels in headers."""
    for name, value in metadata.items():
        if not _NAME.fullmatch(str(name)):
            raise UsageError(f"metadata: {name!r} is no name that every store takes: write small letters and digits")
        if not _VALUE.fullmatch(str(value)):
            raise UsageError(f"metadata {name!r}: a value is printable ASCII, not {value!r}")
    return {name: str(value) for name, value in metadata.items()}


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
            await uploading.send(gather.pieces(uploading.wanted))
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
