"""Bytes added to the end of a file.

What lives here: `append`, and how a failure is undone. What must not: the commit of whole files (partfile.py).

How it works. Nothing can add many bytes to a file at once, as a rename gives a whole file its name: whoever reads it
sees them come. What can be done is done: the system puts each block at the end of the file (O_APPEND), a lock that
other appenders respect keeps them out, and after a failure the file is cut back to the size it had, unless somebody
else has written to it meanwhile, whose bytes would go with ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
import sys
from collections.abc import AsyncIterable

from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.errors import UsageError
from streamflow.places.behind import HOLDS, WriteBehind, until_failure
from streamflow.places.blocks import MIB
from streamflow.places.partfile import remove, sync_directory, write_all
from streamflow.places.pouring import pour
from streamflow.places.written import Appended
from streamflow.stages import Sink

if sys.platform != "win32":
    import fcntl

__all__ = ["append"]

_FLAGS = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_FLAGS |= getattr(os, "O_BINARY", 0)


def append(path: str | os.PathLike[str], *, sync: bool = True) -> Sink[bytes, Appended]:
    """Add bytes to the end of a file, which is made if there is none.

    Example: `await sf.pipeline(events, to_lines, files.append("events.log"))`.

    Unlike `files.write` it cannot be all or nothing: the bytes are in the file as they come. When the run fails or is
    cancelled, the file is cut back to the size it had, and removed if the run had made it; a note on the error says so.
    They stay, and the note says that, if something else has written to the file meanwhile or the system refuses (a file
    marked append-only). A process that is killed cannot undo anything.

    Args:
        path: the file; its directory must exist. A symbolic link is followed.
        sync: whether the bytes are on disk when it returns (fsync).

    The value is an `Appended`: path, offset where the bytes begin, how many, and whether they are durable.

    What is there is written at once and not held back for a full block, so a live stream is seen live. Memory: up to
    2.5 MiB on the way to the disk and 1 MiB being gathered; more only where single items are larger.

    Raises, when it runs, `BlockingIOError` if another `append` is at work on the file, in this process or another one,
    Python's other `OSError`s, and `UsageError` for items that are not bytes and for what is no regular file.

    Cancellation: the write under way is waited for, then the file is cut back. A cancellation that arrives during the
    final sync waits for it; `CancelledError` then carries a note that all has been appended.
    """
    name = os.fspath(path)
    label = f"files.append({name})"

    async def sink(items: AsyncIterable[bytes]) -> Appended:
        file = _File(name, sync=sync)
        behind = WriteBehind(file.submit)
        try:
            try:
                await finish(file.open())
                await pour(items, label, behind.write)
                await behind.drain()
            finally:
                behind.stop()
            await finish(file.commit())
        except BaseException as error:
            await _undone(file, error)
            raise
        return Appended(name, file.offset, file.size, durable=file.durable)

    return Sink(sink, name=label, threads=1, holds=HOLDS + MIB)


async def _undone(file: _File, error: BaseException) -> None:
    """Cut the file back, and say on the error what has become of it; what goes wrong in that must not hide it."""
    try:
        note = await finish(file.undo())
    except OSError as failure:
        note = f"{file.path} could not be cut back to {file.offset} bytes: {failure}"
    if note:
        error.add_note(note)


class _File:
    """An open file and its thread. What is awaited must run inside `finish`."""

    def __init__(self, path: str, *, sync: bool) -> None:
        self.path = path
        self.offset = self.size = 0
        self.durable = False
        self._sync = sync
        self._worker = Worker("streamflow-file-append")
        self._descriptor: int | None = None
        self._made = self._committed = False
        self._write = until_failure(self._write_block)

    async def open(self) -> None:
        await self._worker.call(self._open)

    def _open(self) -> None:
        try:
            descriptor, made = os.open(self.path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o666), True
        except FileExistsError:
            descriptor, made = os.open(self.path, _FLAGS), False
        try:
            _lock(descriptor, self.path)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._made = descriptor, made
        self.offset = os.fstat(descriptor).st_size

    def submit(self, data: bytes) -> asyncio.Future[None]:
        """Put a block into the thread's queue; the future is done when all of it is written."""
        if self._descriptor is None:
            raise RuntimeError("submit before open")
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._worker.executor, self._write, self._descriptor, data)

    def _write_block(self, descriptor: int, data: bytes) -> None:
        for taken in write_all(descriptor, data):
            self.size += taken

    async def commit(self) -> None:
        """Sync, if that is wanted, and close. A sync that failed is never tried again: its pages may be gone."""
        await self._worker.call(self._commit)
        await self._worker.close()

    def _commit(self) -> None:
        assert self._descriptor is not None
        if self._sync:
            os.fsync(self._descriptor)
            self.durable = not self._made or sync_directory(os.path.dirname(os.path.abspath(self.path)))
        self._close()
        self._committed = True

    async def undo(self) -> str | None:
        """Cut the file back and close it; return what has become of it, if anything had been written."""
        if self._committed:
            return f"All {self.size} bytes had been appended to {self.path} when this was raised."
        try:
            return await self._worker.call(self._undo)
        finally:
            await self._worker.close()

    def _undo(self) -> str | None:
        if self._descriptor is None:
            return None
        try:
            return self._cut_back(self._descriptor)
        finally:
            self._close()

    def _cut_back(self, descriptor: int) -> str | None:
        about = os.fstat(descriptor)
        if about.st_size != self.offset + self.size:
            return (
                f"The {self.size} bytes that had been appended to {self.path} are left there: "
                f"something else has written to it meanwhile."
            )
        if self.size:
            os.ftruncate(descriptor, self.offset)
            if self._sync:
                os.fsync(descriptor)
        if self._made and not self.offset:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(about, os.stat(self.path)):
                    remove(self.path)
        return f"{self.path} has been cut back to the {self.offset} bytes it had before." if self.size else None

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int, path: str) -> None:
    """Keep other appenders out until the file is closed; where the file system has no locks, go on without."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UsageError(f"{path} is not a regular file, so nothing could be undone. Write to it in a sink of your own")
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BlockingIOError(errno.EWOULDBLOCK, "Another run is appending to it", path) from None
    except OSError as error:
        if error.errno not in {errno.ENOLCK, errno.ENOTSUP, errno.EINVAL}:
            raise
