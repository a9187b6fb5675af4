"""Standard input as a source of bytes, standard output as a sink of bytes.

What lives here: `read` and `write`, and what a closed pipe means. What must not: how a descriptor is waited for
(descriptors.py), text, progress on a terminal.

They go by the descriptors 0 and 1, whatever stands in `sys.stdin` and `sys.stdout`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from contextlib import contextmanager

from streamflow.engine.shielding import finish
from streamflow.errors import UsageError
from streamflow.machinery.tasks.dismissing import dismiss
from streamflow.places.behind import HOLDS
from streamflow.places.blocks import MIB, positive
from streamflow.places.descriptors import Input, Output, is_closed_pipe
from streamflow.places.pouring import pour
from streamflow.places.written import Sent
from streamflow.stages import Sink, Source

__all__ = ["read", "write"]

_NAMES = ("standard input", "standard output")
_in_use: set[int] = set()


def read(*, block: int = 65_536) -> Source[bytes]:
    """Read standard input to its end, as it comes: a pipe, a terminal, a file, a socket.

    Example: `await sf.pipeline(stdio.read(), text.decode(), text.lines(), ..., sink)`.

    The descriptor is not closed, and its blocking mode, which a terminal shares with the shell, not changed. What
    Python's own `sys.stdin` has read ahead is not seen, so read from one of the two only.

    Args:
        block: the most bytes in one item. A pipe gives what is there, a terminal a line.

    Raises, when it runs, `OSError` if there is no standard input, and `UsageError` if another run is reading it.

    Cancellation, and a consumer that has enough: at once, also while it waits for input; no thread is left in a read.
    What it had not read is left to whoever reads next. (On Windows a read that has begun is waited for.)
    """
    size = positive("block", block)

    async def blocks() -> AsyncGenerator[bytes, None]:
        with _alone(0):
            source = Input(0)
            try:
                await finish(source.open())
                while data := await source.read(size):
                    yield data
            finally:
                await finish(source.close())

    return Source(blocks, name="stdio.read()", holds=size)


def write() -> Sink[bytes, Sent]:
    """Write bytes to standard output as they come: a pipe, a terminal, a file, a socket.

    Example: `sent = await sf.pipeline(rows, csv.format(), stdio.write())`.

    When whoever reads has closed the pipe (`| head`), the sink has had enough: the stages above are closed, and the run
    succeeds, also while it waits for an item. The value is a `Sent`: how many bytes were handed over, and whether that
    was all. A program that is to exit as `cat` would ends with `sys.exit(sent.exit_status)`.

    The descriptor is not closed, and its blocking mode not changed. What was printed before is flushed first; do not
    print while it runs. What is there is written at once and not held back for a full block.

    Memory: 1 MiB being put together; where the output is a file, up to 2.5 MiB more on the way to it.

    Raises, when it runs, `OSError` if there is no standard output or the disk is full, and `UsageError` for items that
    are not bytes and if another run is writing to it.

    Cancellation: at once, also while the reader does not read; what was written is written.
    """

    async def sink(items: AsyncIterable[bytes]) -> Sent:
        with _alone(1):
            output = Output(1)
            try:
                _flush()
                await finish(output.open())
                complete = await _poured(items, output)
            finally:
                await finish(output.close())
            return Sent(output.sent, complete)

    return Sink(sink, name="stdio.write()", holds=HOLDS + MIB)


class _Closed(Exception):
    """Nobody reads standard output any more; nothing that a stage above raises."""


async def _poured(items: AsyncIterable[bytes], output: Output) -> bool:
    """Write all items; return whether they all could be, or the reader left before."""
    left = asyncio.create_task(output.reader_left(), name="streamflow: watching standard output")
    pouring = asyncio.create_task(_pour(items, output), name="streamflow: writing standard output")
    tasks = {left, pouring}
    for task in tasks:
        task.add_done_callback(tasks.discard)
    ended = False
    try:
        await asyncio.wait((left, pouring), return_when=asyncio.FIRST_COMPLETED)
        ended = pouring.done()
    finally:
        await dismiss(tasks, [])
    if not left.cancelled():
        left.result()
    if not ended and pouring.cancelled():
        return False
    try:
        pouring.result()
    except _Closed:
        return False
    return True


async def _pour(items: AsyncIterable[bytes], output: Output) -> None:
    async def written(data: bytes) -> None:
        try:
            await output.write(data)
        except OSError as error:
            raise _closed(error) from None

    await pour(items, "stdio.write()", written)
    await output.drain()


def _closed(error: OSError) -> Exception:
    return _Closed() if is_closed_pipe(error) else error


@contextmanager
def _alone(number: int) -> Iterator[None]:
    """Refuse a second run on the same descriptor: each would get a part of what is meant for both.

    Where the process was started without it, its number may by now be another's: of a file, of the event loop.
    """
    if (sys.__stdin__, sys.__stdout__)[number] is None:
        raise OSError(errno.EBADF, f"This process was started without {_NAMES[number]}")
    if number in _in_use:
        raise UsageError(
            f"{_NAMES[number].capitalize()} is in use by another run of this process, and there is only one."
        )
    _in_use.add(number)
    try:
        yield
    finally:
        _in_use.discard(number)


def _flush() -> None:
    """Let what was printed go before; what cannot be flushed will be told by the first write."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # there may be none, or a closed one
        sys.stdout.flush()
