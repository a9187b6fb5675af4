"""Local files as sources and sinks of bytes.

What lives here: `read`, `read_many` and `write`, and the face of the place: `append`, `follow`, `split` and `walk` have
files of their own. What must not: formats (a CSV file is `files.read(path)` and then `csv.parse()`), and the steps of a
commit.

How it works. Each open file has one thread of its own, and every call on its handle goes through that thread's queue,
in blocks of 1 MiB: a hop per 64 KiB would read at a twelfth of the speed. Reading is one block ahead, writing up to two
blocks behind; a block costs a future, not a task. The handle is closed in the same queue, so a call that was begun
always ends before that, however often the caller is cancelled; else the thread would write on into a descriptor number
that by then belongs to another file.

A file is written beside its name and renamed when it is whole: see `partfile.py`.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from typing import Any, TypeAlias, TypeVar, cast, overload

import anyio

from streamflow.engine.shielding import finish
from streamflow.errors import UsageError
from streamflow.places.ahead import ReadAhead
from streamflow.places.append import append
from streamflow.places.behind import HOLDS, WriteBehind
from streamflow.places.blocks import MIB, Gather, positive
from streamflow.places.file_reader import FileReader
from streamflow.places.follow import follow
from streamflow.places.many import many
from streamflow.places.partfile import PartFile
from streamflow.places.split import split
from streamflow.places.walk import parted, walk
from streamflow.places.written import Written
from streamflow.stages import Sink, Source
from streamflow.types import SourceLike, StageFunction

__all__ = ["append", "follow", "read", "read_many", "split", "walk", "write"]

A = TypeVar("A")
B = TypeVar("B")

FilePath: TypeAlias = str | os.PathLike[str]


def read(path: FilePath, *, block: int = MIB, offset: int = 0, length: int | None = None) -> Source[bytes]:
    """Read a file as blocks of bytes, with the next block read while the one before it is used.

    Example: `await sf.pipeline(files.read("orders.csv"), csv.parse(), ..., sink)`.

    Args:
        path: the file; a FIFO or a device that can be read to its end works too.
        block: the size of the items in bytes; the last one, and those of a FIFO, may be shorter.
        offset: where to begin, in bytes.
        length: how many bytes to read; `None` reads to the end.

    Raises, when it runs, Python's own `FileNotFoundError`, `IsADirectoryError`, `PermissionError` and other `OSError`s,
    and `TruncatedError` if the file ends before `length` bytes.

    Cancellation: the read under way is waited for, then the file is closed and its thread ended. A FIFO that nobody
    writes to has neither: the wait for its writer ends at once.
    """
    name, size = os.fspath(path), positive("block", block)
    if offset < 0 or (length is not None and length < 0):
        raise UsageError(f"offset and length are bytes, 0 or more; not {offset!r} and {length!r}")

    async def blocks() -> AsyncIterator[bytes]:
        reader = FileReader(name, size, offset, length)
        try:
            await finish(reader.open())
            ahead = ReadAhead(reader.fetch, cancels=reader.cancels)
            try:
                while data := await ahead.next():
                    yield data
            finally:
                await finish(ahead.close())
        finally:
            await finish(reader.close())

    return Source(blocks, name=f"files.read({name})", threads=1, holds=2 * size, whole=True)


@overload
def read_many(paths: FilePath | SourceLike[FilePath], *, concurrency: int = ..., block: int = ...) -> Source[bytes]: ...
@overload
def read_many(
    paths: FilePath | SourceLike[FilePath],
    stage: StageFunction[bytes, A],
    /,
    *,
    concurrency: int = ...,
    ordered: bool = ...,
    block: int = ...,
) -> Source[A]: ...
@overload
def read_many(
    paths: FilePath | SourceLike[FilePath],
    stage: StageFunction[bytes, A],
    stage2: StageFunction[A, B],
    /,
    *,
    concurrency: int = ...,
    ordered: bool = ...,
    block: int = ...,
) -> Source[B]: ...
@overload
def read_many(
    paths: FilePath | SourceLike[FilePath],
    *stages: object,
    concurrency: int = ...,
    ordered: bool = ...,
    block: int = ...,
) -> Source[Any]: ...
def read_many(
    paths: FilePath | SourceLike[FilePath],
    *stages: object,
    concurrency: int = 1,
    ordered: bool = True,
    block: int = MIB,
) -> Source[Any]:
    """Read many files, one after another or several at once, each through stages of its own.

    Example: `files.read_many("orders/**/*.csv.gz", gzip.decompress(), csv.parse(), concurrency=4)` gives the rows of
    all these files; each has its own header.

    Args:
        paths: a pattern such as `"logs/2026-*/**/*.log"` (see `walk`; the files come sorted; `glob.escape(path)` takes
            a path as it is), or any source of paths.
        stages: what the bytes of each file go through by themselves. Without any, the bytes of the files follow each
            other, as from `cat`.
        concurrency: how many files may be open at once.
        ordered: all of the first file, then all of the second, with those to come read ahead; else items of the files
            that are open as they come.
        block: the size of the blocks that are read, in bytes.

    Memory: for each open file what `files.read` and its stages hold.

    Raises `UsageError` for bounds that cannot mean anything, and for `ordered=False` without stages, which would mix
    the bytes of different files. When it runs, `FileNotFoundError` for a pattern that no file matches, and what `read`
    and the stages raise, with a note that names the file.

    Cancellation, and a consumer that has enough: as for `read`, for each file that is open.
    """
    if not ordered and not stages:
        raise UsageError(
            "read_many(ordered=False) would mix the bytes of different files; give it the stages that make items of "
            "them: files.read_many(paths, text.decode(), text.lines(), concurrency=4, ordered=False)."
        )
    positive("block", block)
    pattern = os.fspath(paths) if isinstance(paths, (str, os.PathLike)) else None
    names = cast("SourceLike[FilePath]", paths) if pattern is None else _matches(pattern)
    return many(
        names,
        lambda path: read(path, block=block),
        *stages,
        like=read(os.devnull, block=block),
        concurrency=concurrency,
        ordered=ordered,
        name=f"files.read_many({pattern or '...'})",
    )


def _matches(pattern: str) -> Source[FilePath]:
    found = walk(*parted(pattern))

    async def some() -> AsyncGenerator[FilePath, None]:
        none = True
        async with aclosing(cast("AsyncGenerator[str, None]", found.open())) as paths:
            async for path in paths:
                none = False
                yield path
        if none:
            raise FileNotFoundError(errno.ENOENT, "No file matches the pattern", pattern)

    return Source(some, name=found.name, threads=1)


def write(path: FilePath, *, sync: bool = True, overwrite: bool = True) -> Sink[bytes, Written]:
    """Write bytes to a file that appears under its name only when it is complete.

    Example: `written = await sf.pipeline(source, csv.format(), files.write("out.csv"))`.

    Args:
        path: the file; its directory must exist. A symbolic link is followed, an existing file's permissions are kept.
        sync: whether the bytes and the name are on disk when it returns (fsync); `False` is faster and leaves that to
            the system.
        overwrite: whether an existing file is replaced; otherwise it raises `FileExistsError`, also if the file appears
            meanwhile.

    The value is a `Written`: path, bytes, and whether it is durable.

    Memory: up to 2.5 MiB on the way to the disk and 1 MiB being gathered; more only where single items are larger.

    Raises, when it runs, Python's own `OSError`s (a full disk is `OSError: No space left on device`) and `UsageError`
    for items that are not bytes. No such end leaves a file, nor a part of one.

    Cancellation: the write under way is waited for, then the part file is removed. A cancellation that arrives during
    the commit waits for it; `CancelledError` then carries a note that the file is complete.
    """
    name = os.fspath(path)
    label = f"files.write({name})"

    async def sink(items: AsyncIterable[bytes]) -> Written:
        part = PartFile(name, sync=sync, overwrite=overwrite)
        try:
            await finish(part.open())
            await _fill(part, items, Gather(label))
            await anyio.lowlevel.checkpoint_if_cancelled()
            await finish(part.commit())
        except BaseException as error:
            await _given_up(part, error)
            raise
        return Written(name, part.size, durable=part.durable)

    return Sink(sink, name=label, threads=1, holds=HOLDS + MIB)


async def _fill(part: PartFile, items: AsyncIterable[bytes], gather: Gather) -> None:
    behind = WriteBehind(part.submit)
    try:
        async for item in items:
            gather.add(item)
            if len(gather) >= MIB:
                await behind.write(gather.take())
                # An anyio scope's cancellation is seen only where something waits, and writing may not have to.
                await anyio.lowlevel.checkpoint_if_cancelled()
        if len(gather):
            await behind.write(gather.take())
        await behind.drain()
    finally:
        behind.stop()


async def _given_up(part: PartFile, error: BaseException) -> None:
    """Leave nothing behind; what goes wrong in that must not hide why it was needed."""
    try:
        await finish(part.discard())
    except OSError as failure:
        error.add_note(f"The part file could not be removed: {failure}")
    if part.committed and isinstance(error, asyncio.CancelledError):
        error.add_note(f"{part.path} had been committed when the cancellation was raised: the file is complete.")
    elif part.committed:
        error.add_note(f"{part.path} is complete and in its place, but may not survive a power cut.")
