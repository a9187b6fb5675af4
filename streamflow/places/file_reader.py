"""One file being read, block after block.

What lives here: `FileReader`. What must not: reading ahead (ahead.py), items, cancellation.

How it works. A file on disk has a thread of its own, through which every call on its handle goes. A FIFO has none: its
writer may never come, and a thread cannot be called back from that wait, so the loop waits for it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from typing import TYPE_CHECKING

from streamflow.engine.threads import Worker
from streamflow.errors import TruncatedError
from streamflow.places.descriptors import Input
from streamflow.places.handles import opened

if TYPE_CHECKING:
    from aiofiles.threadpool.binary import AsyncFileIO  # a name of its stubs only

__all__ = ["FileReader"]


class FileReader:
    """One open file. What is awaited must run inside `finish`, and `close` after what was fetched is done.

    Example: `await finish(reader.open())`, `await reader.fetch()` ..., at the end `await finish(reader.close())`.

    Args:
        path: the file.
        block: the most bytes in one block.
        offset: where to begin, in bytes.
        length: how many bytes to read; `None` reads to the end.
    """

    def __init__(self, path: str, block: int, offset: int, length: int | None) -> None:
        """Open nothing yet."""
        self._path = path
        self._block = block
        self._offset = offset
        self._left = length
        self._worker = Worker("streamflow-file-read")
        self._handle: AsyncFileIO | None = None
        self._fifo: Input | None = None

    @property
    def cancels(self) -> bool:
        """Whether a fetch under way can be cancelled."""
        return self._fifo is not None

    async def open(self) -> None:
        """Open it. Raises as `open`."""
        fifo = await self._worker.call(_fifo, self._path, self._offset)
        if fifo is not None:
            try:
                self._fifo = Input(fifo, waits_first=True)
                await self._fifo.open()
            finally:
                os.close(fifo)
            return
        self._handle = await opened(self._path, "rb", self._worker)
        if self._offset:
            await self._handle.seek(self._offset)

    def fetch(self) -> asyncio.Future[bytes]:
        """Begin to read the next block, `b""` at the end."""
        if self._fifo is not None:
            return asyncio.create_task(self._fetched(self._fifo), name=f"streamflow: reading {self._path}")
        if self._handle is None:
            raise RuntimeError("fetch before open")
        return asyncio.get_running_loop().run_in_executor(self._worker.executor, self._block_of, self._handle.fileno())

    async def _fetched(self, fifo: Input) -> bytes:
        size = self._wanted()
        return self._counted(await fifo.read(size) if size else b"")

    def _block_of(self, descriptor: int) -> bytes:
        return self._counted(os.read(descriptor, self._wanted()))

    def _wanted(self) -> int:
        return self._block if self._left is None else min(self._block, self._left)

    def _counted(self, data: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(data)
            if self._left and not data:
                raise TruncatedError(f"{self._path} ended {self._left} bytes before the length that was asked for")
        return data

    async def close(self) -> None:
        """Close it and end its thread."""
        try:
            if self._handle is not None:
                await self._handle.close()
            if self._fifo is not None:
                await self._fifo.close()
        finally:
            await self._worker.close()


def _fifo(path: str, offset: int) -> int | None:
    """Return a descriptor of a FIFO, opened without waiting for its writer; `None` for anything else."""
    if not stat.S_ISFIFO(os.stat(path).st_mode):
        return None
    if offset:
        raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE), path)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)
