"""Sources over what asyncio itself hands out: a queue, a reader of a connection.

What lives here: `from_queue` and `from_reader`. What must not: a queue of our own (that is `Channel`), lines
(formats/).

Both are the caller's: they are read, never closed, and what was not asked for is still in them.
"""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncGenerator
from typing import Any, TypeVar, overload

from streamflow.channel import Channel
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.operators.sinks import MISSING
from streamflow.stages import Source

__all__ = ["from_queue", "from_reader"]

T = TypeVar("T")

if sys.version_info >= (3, 13):
    _SHUT: tuple[type[Exception], ...] = (asyncio.QueueShutDown,)
else:
    _SHUT = ()


@overload
def from_queue(queue: asyncio.Queue[T | None], *, until: None, task_done: bool = True) -> Source[T]: ...
@overload
def from_queue(queue: asyncio.Queue[T], *, until: T = ..., task_done: bool = True) -> Source[T]: ...
def from_queue(queue: asyncio.Queue[Any], *, until: Any = MISSING, task_done: bool = True) -> Source[Any]:
    """Emit what is put into an `asyncio.Queue`, until a certain item comes or the queue is shut down.

    Example:
        queue = asyncio.Queue()
        for job in ["a", "b", None]:
            queue.put_nowait(job)

        await sf.pipeline(sf.from_queue(queue, until=None), sf.collect())  # gives ["a", "b"]

    * emits when: an item is in the queue.
    * backpressures when: the stage below does; then a bounded queue fills up and its writers wait.
    * completes when: `until` comes, or the queue is shut down and empty (Python 3.13); otherwise never.
    * on error: there is none: a queue cannot carry one. A `Channel` can.
    * on early stop: what was not taken is still in the queue; what was taken ahead is discarded, and counted.

    Several runs and others may read one queue; each item goes to one of them. `queue.shutdown(immediate=True)` throws
    away what is queued, and this looks like an end: a `Channel` tells the two apart.

    Args:
        queue: the queue, which stays the caller's.
        until: the item that means the end, itself not emitted; the very object, or one that equals it. Without it every
            item is data, `None` too.
        task_done: whether `queue.task_done()` is called for an item when the next one is asked for; `False` where your
            stages call it when they are done with the item.

    Raises `UsageError` for what is no `asyncio.Queue`. Cancellation: a wait for an item takes none.
    """
    if isinstance(queue, Channel):
        raise UsageError("A Channel is a source as it is, with an end of its own: write sf.stream(channel).")
    if not isinstance(queue, asyncio.Queue):
        raise UsageError(
            f"from_queue(queue) needs an asyncio.Queue, not {type(queue).__name__}. A queue that blocks its thread is "
            f"read by sf.threaded(iter(queue.get, last))."
        )
    return Source(functools.partial(_queued, queue, until, task_done=task_done), name=f"from_{type(queue).__name__}")


async def _queued(queue: asyncio.Queue[Any], until: Any, *, task_done: bool) -> AsyncGenerator[Any, None]:
    while True:
        try:
            item = await queue.get()
        except _SHUT:
            return
        if item is until or item == until:
            queue.task_done()
            return
        try:
            yield item
        finally:
            if task_done:
                queue.task_done()


def from_reader(reader: asyncio.StreamReader, *, chunk: int = 65_536) -> Source[bytes]:
    """Emit the bytes that come from an `asyncio.StreamReader`, in chunks as they come.

    Example:
        reader = asyncio.StreamReader()
        reader.feed_data(b"one two")
        reader.feed_eof()
        await sf.pipeline(sf.from_reader(reader, chunk=4), sf.collect())  # gives [b"one ", b"two"]

    * emits when: bytes are there, without waiting for a whole chunk.
    * backpressures when: the stage below does; then the reader's transport stops reading.
    * completes when: the other side ends its stream.
    * on error: of the connection: ends the stream after the bytes before it.
    * on early stop: what was not taken is still in the reader; the connection stays open.

    The lines of a reader that is iterated directly break where one is longer than the reader's limit: bytes are thrown
    away. `text.lines()` over these chunks has a limit that loses nothing. A peer that closes a connection too early
    looks like one that is done, unless the format has an end of its own.

    Args:
        reader: the reader, which stays the caller's, as does its writer.
        chunk: how many bytes a chunk has at most.

    Raises `UsageError` for what is no `StreamReader` and for a chunk that cannot be. Cancellation: a wait for bytes
    takes none.
    """
    if not isinstance(reader, asyncio.StreamReader):
        raise UsageError(
            f"from_reader(reader) needs an asyncio.StreamReader, not {type(reader).__name__}. "
            f"A receive stream of anyio is a source as it is."
        )
    check_capacity("from_reader(chunk)", chunk)
    return Source(functools.partial(_read, reader, chunk), name="from_reader", holds=chunk)


async def _read(reader: asyncio.StreamReader, chunk: int) -> AsyncGenerator[bytes, None]:
    while data := await reader.read(chunk):
        yield data
