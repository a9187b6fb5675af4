"""A program that runs beside us, from its start to its end: its pipes, its exit, and how it is stopped.

What lives here: `Child`. What must not: sources, stages and sinks (processes.py).

How it works. The program's pipes belong to the event loop's transports; this file gives them one protocol, which needs
no task of its own: what comes on standard output is kept for `read` (and the transport stops reading when there is too
much of it), of what comes on standard error the end is kept. So no pipe fills up that nobody empties (H45). What feeds
the program is a task, which waits where that pipe is full.

A program that is stopped is asked by SIGTERM, while its standard input is still open: an end of the input is what it
gets after the last byte, and only then, or it would take a part for the whole. After its grace it is killed. Either way
it is awaited, so that no zombie is left, and its transports are closed.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, cast

from streamflow.engine.reader import Reader
from streamflow.errors import UsageError

__all__ = ["Child", "Command"]

_TAIL = 65_536  # bytes of standard error that are kept
_SHOWN = 2_000  # bytes of them that an error shows
_LATE = 0.5  # seconds for pipes to end after the program has; they do not where it left others running
_STDIN, _STDOUT = 0, 1


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and how: as the functions of processes.py explain it."""

    words: tuple[str | os.PathLike[str], ...]
    cwd: str | os.PathLike[str] | None
    env: Mapping[str, str] | None
    stderr: Literal["collect", "inherit"]
    check: bool
    grace: float
    chunk: int = 65_536

    @property
    def program(self) -> str:
        """The program's name; its arguments may hold secrets and are never shown."""
        return os.path.basename(os.fspath(self.words[0]))


class Child:
    """One run of a program. It is started and stopped inside `finish`; `stop` is always called, however far it came.

    Example:
        child = Child(command)
        try:
            await finish(child.start(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE))
            while data := await child.read():
                ...
            await child.succeeded()
        finally:
            await finish(child.stop())
    """

    def __init__(self, command: Command) -> None:
        """Start nothing."""
        self._command = command
        self._pipes = _Pipes(command.chunk)
        self._transport: asyncio.SubprocessTransport | None = None
        self._feeder: asyncio.Task[None] | None = None

    async def start(self, *, stdin: int, stdout: int) -> None:
        """Start the program. Raises Python's own `FileNotFoundError` or `PermissionError` where that cannot be."""
        command = self._command
        self._transport, _ = await asyncio.get_running_loop().subprocess_exec(
            lambda: self._pipes,
            *(os.fspath(word) for word in command.words),
            stdin=stdin,
            stdout=stdout,
            stderr=None if command.stderr == "inherit" else subprocess.PIPE,
            cwd=command.cwd,
            env=command.env,
        )

    async def read(self) -> bytes:
        """Return what is on its standard output, `b""` at the end. Cancellation: nothing was taken."""
        return await self._pipes.stdout.read(self._command.chunk)

    # --- its standard input ----------------------------------------------------------------------------------------

    def feed(self, reader: Reader[bytes]) -> None:
        """Begin to write all that `reader` gives to its standard input, and at the end close that."""
        self._feeder = asyncio.create_task(self._feed(reader), name=f"streamflow: feeding {self._command.program}")
        self._feeder.add_done_callback(self._fed)

    async def _feed(self, reader: Reader[bytes]) -> None:
        pipe: Any = self._pipe(_STDIN)
        while (hand := await reader.next_hand()) is not None:
            for item in hand:
                if self._pipes.broken:
                    return  # it wants no more; its exit code says whether it has had enough
                if not isinstance(item, (bytes, bytearray, memoryview)):
                    raise UsageError(f"{self._command.program} is fed with bytes, not {type(item).__name__}.")
                pipe.write(item)
                await self._pipes.writable.wait()
        pipe.close()

    def _fed(self, feeder: asyncio.Task[None]) -> None:
        """The input failed: what the program still makes of the part it got is not waited for."""
        if feeder.cancelled() or feeder.exception() is not None:
            self._close(_STDOUT)

    # --- its end ---------------------------------------------------------------------------------------------------

    async def succeeded(self) -> None:
        """Wait for its exit, and for the end of the input unless it exits before. Its output must have ended.

        Raises the failure of the input, or `CalledProcessError` for an exit code other than 0.
        """
        exited = self._pipes.exited
        if self._feeder is not None:
            await asyncio.wait((self._feeder, exited), return_when=asyncio.FIRST_COMPLETED)
            if self._feeder.done():
                self._feeder.result()
        await asyncio.wait((exited,))
        await self._pipes_ended()
        self._check()

    async def _pipes_ended(self) -> None:
        self._close(_STDIN)
        await asyncio.wait((self._pipes.lost,), timeout=_LATE)

    def _check(self) -> None:
        command, errors = self._command, self._pipes.errors
        assert self._transport is not None
        code = self._transport.get_returncode()
        if not code or not command.check:
            return
        failure = subprocess.CalledProcessError(code, command.program, stderr=errors)
        if shown := errors[-_SHOWN:].decode(errors="replace").strip():
            failure.add_note(f"The end of its standard error:\n{shown}")
        raise failure

    async def stop(self) -> None:
        """Stop feeding it, end it if it still runs, and close all its pipes."""
        if self._feeder is not None:
            self._feeder.cancel()
            await asyncio.wait((self._feeder,))
        if self._transport is None:
            return
        try:
            if not self._pipes.exited.done():
                await self._terminated(self._transport)
            await self._pipes_ended()
        finally:
            await self._closed(self._transport)

    async def _closed(self, transport: asyncio.SubprocessTransport) -> None:
        stdin: Any = self._pipe(_STDIN)
        if stdin is not None and not self._pipes.broken:
            stdin.abort()  # programs that it left behind hold the pipe, and do not read what waits for them
        transport.close()
        await asyncio.wait((self._pipes.lost,), timeout=_LATE)

    async def _terminated(self, transport: asyncio.SubprocessTransport) -> None:
        exited = self._pipes.exited
        self._close(_STDOUT)  # or it might wait for somebody to read what it says at its end
        with suppress(ProcessLookupError):
            transport.terminate()
            await asyncio.wait((exited,), timeout=self._command.grace)
            if not exited.done():
                transport.kill()
        await asyncio.wait((exited,))

    def _pipe(self, fd: int) -> asyncio.BaseTransport | None:
        return None if self._transport is None else self._transport.get_pipe_transport(fd)

    def _close(self, fd: int) -> None:
        pipe = self._pipe(fd)
        if pipe is not None:
            pipe.close()


class _Pipes(asyncio.SubprocessProtocol):
    """What the loop tells about the program's pipes and its exit."""

    def __init__(self, chunk: int) -> None:
        loop = asyncio.get_running_loop()
        self.stdout = asyncio.StreamReader(limit=chunk, loop=loop)
        self.errors = b""
        self.exited: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.writable = asyncio.Event()
        self.writable.set()
        self.broken = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        pipe = cast("asyncio.SubprocessTransport", transport).get_pipe_transport(_STDOUT)
        if pipe is not None:
            self.stdout.set_transport(pipe)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDOUT:
            self.stdout.feed_data(data)
        else:
            self.errors = (self.errors + data)[-_TAIL:]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == _STDIN:
            self.broken = True
            self.writable.set()
        elif fd == _STDOUT:
            self.stdout.feed_eof() if exc is None else self.stdout.set_exception(exc)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()
