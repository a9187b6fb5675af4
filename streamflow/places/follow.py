"""A file that others append to, as a source that goes on: `tail -F`.

What lives here: `follow`, and what it does about rotation. What must not: lines (put `text.decode()` and `text.lines()`
behind it), notifications by the system: those miss changes on network file systems, and one look in a quarter of a
second costs nothing.

How it works. One thread reads, and looks at the end whether the name still means the file that is open. What is asked
is only (device, inode) and size; since the old file stays open its inode cannot come back as another file's.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, Callable
from inspect import isawaitable
from typing import Any, Literal, TypeAlias

from streamflow.engine.clock import seconds_of
from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.errors import TruncatedError, UsageError
from streamflow.machinery.functions.per_item import check_callable
from streamflow.places.blocks import MIB, positive
from streamflow.stages import Source
from streamflow.types import MaybeAwaitable

__all__ = ["follow"]

Truncation: TypeAlias = Literal["restart", "error"]

# Not to wait for a FIFO's writer, nor to make a terminal ours; some systems lack one or the other.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)


def follow(
    path: str | os.PathLike[str],
    *,
    from_: Literal["end", "start"] = "end",
    every: float = 0.25,
    until: Callable[[], MaybeAwaitable[object]] | None = None,
    truncation: Truncation = "restart",
    block: int = MIB,
) -> Source[bytes]:
    """Read a file and go on with what is appended to it, also when it is rotated: `tail -F`.

    Example: `await sf.pipeline(files.follow("app.log"), text.decode(), text.lines(), ..., sink)`.

    It never ends by itself: by `until`, by cancellation, or by a consumer that has enough.

    Args:
        path: the file. While there is none it is waited for; one that appears later is read from its start.
        from_: where to begin in a file that is there already: at its `"end"`, with what is appended from now on, or at
            its `"start"`.
        every: how many seconds pass from one look for news to the next, once all has been read.
        until: called before each look (sync or async); when it returns something true, what is there by then is read,
            and that is the end: nothing that was written before is missed. `stopped.is_set` of any kind of event fits.
        truncation: what to do when the file has become shorter than what was read of it: `"restart"` reads it from its
            start, `"error"` raises `TruncatedError`.
        block: the most bytes in one item. An item ends anywhere, not at the end of a line.

    Rotation by rename: the old file is read on until there is something in the new one, and then once more after
    `every` seconds, since its writers may not have changed over yet. A file that was both made and rotated away between
    two looks is missed, as by `tail`. Rotation by copy and truncate counts as truncation; what was written between the
    copy and the truncation, and a file that has grown beyond what was read of it by the next look, nobody can tell.
    Where a file ends without a newline, the first bytes of the next one follow directly.

    Raises, when it runs, Python's own `IsADirectoryError`, `PermissionError` and other `OSError`s, and `UsageError` for
    what is no regular file. A rotated file that may not be opened is tried once more, `every` seconds later.

    Cancellation: a read under way is waited for, then the file is closed and its thread ended.
    """
    name, size, pause = os.fspath(path), positive("block", block), seconds_of("follow(every)", every)
    _check_choice("from_", from_, ("end", "start"))
    _check_choice("truncation", truncation, ("restart", "error"))
    if until is not None:
        check_callable("follow(until)", until)

    async def appended() -> AsyncGenerator[bytes, None]:
        worker = Worker("streamflow-file-follow")
        tail = _Tail(name, size, at_end=from_ == "end", restarts=truncation == "restart")
        try:
            over = False
            while not over:
                over = until is not None and bool(await _called(until))
                while data := await worker.call(tail.read, over):
                    yield data
                if not over:
                    await asyncio.sleep(pause)
        finally:
            await finish(_closed(worker, tail))

    return Source(appended, name=f"files.follow({name})", threads=1, holds=size)


def _check_choice(word: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"follow({word}) is {' or '.join(map(repr, choices))}, not {value!r}.")


async def _called(fn: Callable[[], Any]) -> object:
    result = fn()
    return await result if isawaitable(result) else result


async def _closed(worker: Worker, tail: _Tail) -> None:
    try:
        await worker.call(tail.close)
    finally:
        await worker.close()


class _Tail:
    """The file as it is now. Everything here runs in its thread."""

    def __init__(self, path: str, block: int, *, at_end: bool, restarts: bool) -> None:
        self._path = path
        self._block = block
        self._at_end = at_end
        self._restarts = restarts
        self._descriptor: int | None = None
        self._read = 0  # bytes of the file that is open
        self._rotated = self._refused = False
        self._end: os.stat_result | None = None  # the file and its size when the last look began

    def read(self, last: bool) -> bytes:  # noqa: FBT001  # a thread's call has positions only
        """Return the next bytes, or none when there are no more for now; `last` waits for no slow writer."""
        if self._descriptor is None and not self._open():
            self._at_end = False  # what comes to be after this look is all new
            return b""
        while True:
            assert self._descriptor is not None
            wanted = self._wanted(self._descriptor) if last else self._block
            data = os.read(self._descriptor, wanted)
            self._read += len(data)
            if data or not wanted:
                return data
            if not (self._was_cut(self._descriptor) or self._goes_on(self._descriptor, last)):
                return b""

    def _wanted(self, descriptor: int) -> int:
        """Return how much may be read in the last look, which must come to an end although the file may go on."""
        here = os.fstat(descriptor)
        if self._end is None:
            try:
                self._end = os.stat(self._path)
            except FileNotFoundError:
                self._end = here
        if not os.path.samestat(here, self._end):
            return self._block
        return max(0, min(self._block, self._end.st_size - self._read))

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> bool:
        """Open what the name means now; return whether there is anything."""
        try:
            descriptor = os.open(self._path, _FLAGS)
        except FileNotFoundError:
            return False
        except PermissionError:
            if self._descriptor is None or self._refused:
                raise
            self._refused = True  # who rotates it may be about to say who may read it
            return False
        self.close()
        self._descriptor = descriptor
        self._refused = self._rotated = False
        _check_regular(self._path, descriptor)
        self._read = os.lseek(descriptor, 0, os.SEEK_END) if self._at_end else 0
        self._at_end = False
        return True

    def _was_cut(self, descriptor: int) -> bool:
        """Return whether the file has become shorter than what was read of it; then go back to its start."""
        size = os.fstat(descriptor).st_size
        if size >= self._read:
            return False
        if not self._restarts:
            raise TruncatedError(f"{self._path} was cut to {size} bytes after {self._read} of it had been read")
        self._read = os.lseek(descriptor, 0, os.SEEK_SET)
        return True

    def _goes_on(self, descriptor: int, last: bool) -> bool:  # noqa: FBT001  # as above
        """Return whether the name means another file, which is open now."""
        try:
            new = os.stat(self._path)
        except FileNotFoundError:
            return False
        if os.path.samestat(new, os.fstat(descriptor)) or not new.st_size:
            return False
        if not (self._rotated or last):
            self._rotated = True
            return False
        return self._open()


def _check_regular(path: str, descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is not a regular file; files.read(path) reads a FIFO or a device to its end.")
