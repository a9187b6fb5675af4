"""Descriptors that the process was given: read and written without blocking the loop, and left as they were.

What lives here: `Input`, `Output`, and what a closed pipe looks like. What must not: items; descriptors that we opened
ourselves by a name.

How it works. Whoever gave us the descriptor may share it: a shell its terminal, programs beside us a pipe. So it is
never closed, and its blocking mode, which all of them would get, never changed. A pipe or a terminal is opened a second
time, for a description of our own that does not block; where that cannot be, a duplicate is used, and nothing is read
or written that would have to wait: only after the system has said "ready", and then no more than what a ready pipe
takes. A socket is told for each call not to wait. In every case the wait is the loop's, so it can be cancelled, and no
thread stands in a read that may never return. What nobody can wait for, a file on disk or /dev/null, never lets us wait
for long: that goes through a thread.

The loop watches a selector of ours, which watches the descriptor: uvloop makes what it watches itself non-blocking.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import selectors
import socket
import stat
import sys

from streamflow.engine.threads import Worker
from streamflow.places.behind import WriteBehind, until_failure
from streamflow.places.partfile import write_all

__all__ = ["Input", "Output", "is_closed_pipe"]

_PIPE = min(4096, getattr(select, "PIPE_BUF", 512))  # bytes that a pipe takes at once when it is ready


class _Descriptor:
    """What both directions share. `open` and `close` run inside `finish`."""

    def __init__(self, number: int, flags: int) -> None:
        self._number = number
        self._flags = flags
        self._worker: Worker | None = None
        self._socket: socket.socket | None = None
        self._patient = True  # whether a call would wait, so that readiness comes first
        self._own = -1
        self._watches: dict[int, selectors.BaseSelector] = {}

    async def open(self) -> None:
        """Get a descriptor of our own. Raises `OSError` if there is none of that number."""
        mode = os.fstat(self._number).st_mode
        self._own = self._opened(mode)
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=self._own)
        self._patient = self._socket is None and os.get_blocking(self._own)
        if stat.S_ISREG(mode) or not self._can_be_awaited():
            self._worker = Worker("streamflow-file-stdio")

    def _opened(self, mode: int) -> int:
        # A file opened again would begin at its start; who shares ours expects that we move on in it together.
        if stat.S_ISFIFO(mode) or (stat.S_ISCHR(mode) and os.isatty(self._number)):
            try:
                return os.open(f"/dev/fd/{self._number}", self._flags | os.O_NONBLOCK | os.O_NOCTTY)
            except OSError:
                pass  # no /dev/fd, another user's pipe, or nobody at its other end, of which the first call will tell
        return os.dup(self._number)

    def _can_be_awaited(self) -> bool:
        if sys.platform == "win32":
            return False
        try:
            self._watch(selectors.EVENT_READ)
        except (OSError, AttributeError):
            return False
        return True

    def _watch(self, event: int) -> int:
        """Return the descriptor of a selector that is readable when ours is ready for `event`."""
        watch = self._watches.get(event)
        if watch is None:
            watch = self._watches[event] = selectors.DefaultSelector()
            watch.register(self._own, event)
        number: int = watch.fileno()  # type: ignore[attr-defined]  # of those that the system has a descriptor for
        return number

    async def close(self) -> None:
        """Close our own descriptor, after what a thread may still do with it."""
        try:
            if self._worker is not None:
                await self._worker.close()
        finally:
            for watch in self._watches.values():
                watch.close()
            own, self._own = self._own, -1
            if self._socket is not None:
                self._socket.close()
            elif own != -1:
                os.close(own)

    async def _ready(self, event: int) -> None:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        watch = self._watch(event)
        loop.add_reader(watch, _wake, waiter)
        try:
            await waiter
        finally:
            loop.remove_reader(watch)


class Input(_Descriptor):
    """A descriptor to read from.

    Example: `await finish(source.open())`, `while data := await source.read(65_536)`, at the end
    `await finish(source.close())`.

    Args:
        number: the descriptor.
        waits_first: for a FIFO, which seems to be at its end as long as no writer has opened it.
    """

    def __init__(self, number: int, *, waits_first: bool = False) -> None:
        """Open nothing yet."""
        super().__init__(number, os.O_RDONLY)
        self._waits_first = waits_first

    async def read(self, size: int) -> bytes:
        """Return what is there, after waiting for something; `b""` at the end. Cancellation: nothing was taken."""
        if self._worker is not None:
            return await self._worker.call(os.read, self._own, size)
        patient = self._patient or self._waits_first
        while True:
            if patient:
                await self._ready(selectors.EVENT_READ)
            try:
                data = self._taken(size)
            except BlockingIOError:
                patient = True
            else:
                self._waits_first = False
                return data

    def _taken(self, size: int) -> bytes:
        if self._socket is not None:
            return self._socket.recv(size, socket.MSG_DONTWAIT)
        return os.read(self._own, size)


class Output(_Descriptor):
    """A descriptor to write to.

    Example: `await finish(output.open())`, `await output.write(data)` ..., `await output.drain()`, at the end
    `await finish(output.close())`.

    `sent` is how many bytes were handed over.
    """

    def __init__(self, number: int) -> None:
        """Open nothing yet."""
        super().__init__(number, os.O_WRONLY)
        self.sent = 0
        self._behind = WriteBehind(self._submit)
        self._write = until_failure(self._write_block)

    async def write(self, data: bytes) -> None:
        """Write all of it. Raises `BrokenPipeError` when nobody reads. Cancellation: a part may have been written."""
        if self._worker is not None:
            await self._behind.write(data)
            return
        rest, patient = memoryview(data), self._patient
        while rest:
            if patient:
                await self._ready(selectors.EVENT_WRITE)
            try:
                taken = self._given(rest)
            except BlockingIOError:
                patient = True
            else:
                self.sent += taken
                rest, patient = rest[taken:], self._patient

    def _given(self, data: memoryview) -> int:
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        return os.write(self._own, data[:_PIPE] if self._patient else data)

    def _submit(self, data: bytes) -> asyncio.Future[None]:
        assert self._worker is not None
        return asyncio.get_running_loop().run_in_executor(self._worker.executor, self._write, data)

    def _write_block(self, data: bytes) -> None:
        for taken in write_all(self._own, data):
            self.sent += taken

    async def drain(self) -> None:
        """Wait until all is written. Raises what a write failed with."""
        await self._behind.drain()

    async def close(self) -> None:
        """Close our own descriptor; what a thread has not begun to write is forgotten."""
        self._behind.stop()
        await super().close()

    async def reader_left(self) -> None:
        """Wait until nobody reads the pipe any more; for ever where that cannot be told without writing."""
        if self._worker is not None or not stat.S_ISFIFO(os.fstat(self._own).st_mode):
            await asyncio.get_running_loop().create_future()
        await self._ready(selectors.EVENT_READ)  # nothing can be read there: it means an error


def is_closed_pipe(error: OSError) -> bool:
    """Return whether an error of a write says that nobody reads any more."""
    return error.errno in {errno.EPIPE, errno.ECONNRESET, errno.ESHUTDOWN}


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
