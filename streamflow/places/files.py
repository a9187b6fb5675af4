"""Local files as a source and a sink of bytes.

What lives here: `read` and `write`. What must not: formats (a CSV file is `files.read(path)` and then
`csv.parse()`), and the steps of a commit.

How it works. Each open file has one thread of its own, and every call on its handle goes through that thread's queue,
in blocks of 1 MiB: a hop per 64 KiB would read at a twelfth of the speed. Reading is one block ahead, writing up to two
blocks behind; a block costs a future, not a task. The handle is closed in the same queue, so a call that was begun
always ends before that, however often the caller is cancelled; else the thread would write on into a descriptor number
that by then belongs to another file.

A file is written beside its name and renamed when it is whole: see `partfile.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING, TypeAlias

import anyio

from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.errors import TruncatedError, UsageError
from streamflow.places.ahead import ReadAhead
from streamflow.places.behind import HOLDS, WriteBehind
from streamflow.places.blocks import MIB, Gather, positive
from streamflow.places.handles import opened
from streamflow.places.partfile import PartFile
from streamflow.places.written import Written
from streamflow.stages import Sink, Source

if TYPE_CHECKING:
    from aiofiles.threadpool.binary import AsyncFileIO  # a name of its stubs only

__all__ = ["read", "write"]

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

    Cancellation: the read under way is waited for, then the file is closed and its thread ended. (A FIFO that nobody
    writes to keeps a read under way for ever.)
    """
    name, size = os.fspath(path), positive("block", block)
    if offset < 0 or (length is not None and length < 0):
        raise UsageError(f"offset and length are bytes, 0 or more; not {offset!r} and {length!r}")

    async def blocks() -> AsyncIterator[bytes]:
        reader = _Reader(name, size, offset, length)
        ahead = ReadAhead(reader.fetch, cancels=False)
        try:
            await finish(reader.open())
            while data := await ahead.next():
                yield data
        finally:
            await finish(_closed(ahead, reader))

    return Source(blocks, name=f"files.read({name})", threads=1, holds=2 * size)


async def _closed(ahead: ReadAhead, reader: _Reader) -> None:
    await ahead.close()
    await reader.close()


class _Reader:
    """One open file and its thread. What is awaited must run inside `finish`."""

    def __init__(self, path: str, block: int, offset: int, length: int | None) -> None:
        self._path = path
        self._block = block
        self._offset = offset
        self._left = length
        self._worker = Worker("streamflow-file-read")
        self._handle: AsyncFileIO | None = None

    async def open(self) -> None:
        self._handle = await opened(self._path, "rb", self._worker)
        if self._offset:
            await self._handle.seek(self._offset)

    def fetch(self) -> asyncio.Future[bytes]:
        """Begin to read the next block, `b""` at the end."""
        if self._handle is None:
            raise RuntimeError("fetch before open")
        return asyncio.get_running_loop().run_in_executor(self._worker.executor, self._block_of, self._handle.fileno())

    def _block_of(self, descriptor: int) -> bytes:
        data = os.read(descriptor, self._block if self._left is None else min(self._block, self._left))
        if self._left is not None:
            self._left -= len(data)
            if self._left and not data:
                raise TruncatedError(f"{self._path} ended {self._left} bytes before the length that was asked for")
        return data

    async def close(self) -> None:
        try:
            if self._handle is not None:
                await self._handle.close()
        finally:
            await self._worker.close()


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
