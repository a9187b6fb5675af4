"""A file that is written beside its name and appears under it when it is whole.

What lives here: `PartFile` and the steps of its commit, in their order. What must not: items, tasks, cancellation.

How it works. A thread of its own opens the file, writes to it and closes it, in the order of its queue. So a block can
be submitted while the one before it is still being written, and the descriptor is never closed under a write. A block
is one call, in however many pieces the system takes it: two calls might mix their pieces.

The bytes go to `.<name>.<random>.part` in the same directory, a name that cannot be mistaken for the
result. The commit syncs the bytes, renames, and syncs the directory, so that after a power cut there is the old file or
the new one. Whatever happens before the rename leaves nothing; after it, the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from streamflow.engine.threads import Worker
from streamflow.errors import UsageError
from streamflow.places.handles import opened

if TYPE_CHECKING:
    from aiofiles.threadpool.binary import AsyncFileIO  # a name of its stubs only

__all__ = ["PartFile", "part_name", "remove", "sync_directory", "write_all"]

# Filesystems and platforms that cannot sync a directory say so by one of these.
_CANNOT_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES, errno.EISDIR}


class PartFile:
    """A file being written beside its name. What is awaited must run inside `finish`, one call at a time.

    Example: `await finish(part.open())`, `part.submit(block)` ..., and when all are written `finish(part.commit())`; on
    any failure `finish(part.discard())`.

    Args:
        path: the result's name.
        sync: whether `commit` waits until bytes and name are on disk.
        overwrite: whether a file of that name is replaced.
    """

    def __init__(self, path: str, *, sync: bool, overwrite: bool) -> None:
        self.path = path
        self.size = 0
        self.committed = False
        self.durable = False
        self._sync = sync
        self._overwrite = overwrite
        self._worker = Worker("streamflow-file-write")
        self._handle: AsyncFileIO | None = None
        self._target = self._part = ""
        self._mode: int | None = None

    async def open(self) -> None:
        """Make the part file; the result's own name is not touched."""
        self._target, self._mode = await self._worker.call(_target, self.path, self._overwrite)
        part = part_name(self._target)
        self._handle = await opened(part, "xb", self._worker)
        self._part = part

    def submit(self, data: bytes) -> asyncio.Future[None]:
        """Put a block into the thread's queue; the future is done when all of it is written."""
        if self._handle is None:
            raise RuntimeError("submit before open")
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._worker.executor, self._write, self._handle.fileno(), data)

    def _write(self, descriptor: int, data: bytes) -> None:
        for taken in write_all(descriptor, data):
            self.size += taken

    async def commit(self) -> None:
        """Give the file its name. A sync that failed is never tried again: its pages may be gone."""
        if self._handle is None:
            raise RuntimeError("commit before open")
        if self._mode is not None:
            await self._worker.call(os.chmod, self._part, self._mode)
        if self._sync:
            await self._worker.call(os.fsync, self._handle.fileno())
        await self._handle.close()
        self._handle = None
        await self._worker.call(self._publish)
        self.durable = self._sync and await self._worker.call(sync_directory, os.path.dirname(self._target))
        await self._worker.close()

    async def discard(self) -> None:
        """Close and remove the part file, if there is one, and end the thread. Does nothing after a commit."""
        handle, self._handle = self._handle, None
        try:
            if handle is not None:
                with contextlib.suppress(OSError):  # what could not be flushed is thrown away anyway
                    await handle.close()
            if self._part and not self.committed:
                await self._worker.call(remove, self._part)
        finally:
            await self._worker.close()

    def _publish(self) -> None:
        if self._overwrite:
            os.replace(self._part, self._target)
            self.committed = True
        else:
            os.link(self._part, self._target)  # unlike a rename it never replaces what is there
            self.committed = True
            os.unlink(self._part)


def write_all(descriptor: int, data: bytes) -> Iterator[int]:
    """Write a block, in as many pieces as the system takes it without an error; give the size of each when written."""
    rest = memoryview(data)
    while rest:
        taken = os.write(descriptor, rest)
        yield taken
        rest = rest[taken:]


def _target(path: str, overwrite: bool) -> tuple[str, int | None]:  # noqa: FBT001  # a thread's call has positions only
    """Return the real path to write and the permissions to keep; refuse what a rename must not replace."""
    target = os.path.realpath(path)
    os.stat(os.path.dirname(target))  # so that a missing directory is named by itself
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return target, None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise UsageError(
            f"{path} is not a regular file; a rename would put a file in its place. Write to it in a sink of your own"
        )
    if not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    return target, stat.S_IMODE(mode)


def part_name(target: str) -> str:
    """Return a hidden name beside the target that nobody else uses; a long one is cut to stay under 255 bytes."""
    directory, name = os.path.split(target)
    short = os.fsdecode(os.fsencode(name)[:200])
    return os.path.join(directory, f".{short}.{os.urandom(6).hex()}.part")


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def sync_directory(path: str) -> bool:
    """Put the new name itself on disk; return whether this system can."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        if error.errno in _CANNOT_SYNC:
            return False
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
        return False
    finally:
        os.close(descriptor)
    return True
