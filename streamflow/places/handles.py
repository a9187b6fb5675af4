"""An open file: every call on its handle goes through one thread; aiofiles opens, seeks and closes it there.

What lives here: opening one. What must not: what is read or written. Blocks go through the same thread's queue as plain
futures (files.py, partfile.py): a call of aiofiles is a coroutine, which has to be awaited before the next one begins.

aiofiles is imported when the first file is opened, and in the file's own thread: it takes tempfile, bz2 and lzma along,
and whoever opens no file need not wait for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from streamflow.engine.threads import Worker

if TYPE_CHECKING:
    from aiofiles.threadpool.binary import AsyncFileIO  # a name of its stubs only

__all__ = ["opened"]


async def opened(path: str, mode: str, worker: Worker) -> AsyncFileIO:
    """Open a file without a buffer of its own, in the thread of `worker`; raises as `open`. Run it inside `finish`."""
    aiofiles = await worker.call(import_module, "aiofiles")
    handle: AsyncFileIO = await aiofiles.open(path, mode, buffering=0, executor=worker.executor)
    return handle
