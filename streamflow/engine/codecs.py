"""From a codec, which never waits, to a stage.

What lives here: `codec_stage`, and the async generator that lets a codec work in a thread. What must not: any format.

How it works. A codec that is quick becomes a synchronous stage: `map` and `chain` feed it, so the planner fuses it with
its neighbours and the items pass through at C speed. A codec that is heavy (compression) gets a task and a thread:

* Input of less than `thread_above` bytes is worked off right here, since a hop to a thread costs about 0.1 ms.
* With `gather=0` each item is answered before the next one is taken. The output is pulled in helpings of about 1 MiB,
  so a small input that expands to gigabytes stays bounded. Good for decompression.
* With `gather=n` items are collected to blocks of n bytes. While the thread works on one block the next one is
  collected; never more than these two are held. For codecs that hold data back anyway and give less than they take:
  compression.

What the codec gives does not depend on how it was run: the same items go in, in the same order.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from functools import partial
from types import FunctionType
from typing import Any, Generic, TypeVar, cast

from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.limits import byte_size
from streamflow.stages import Stage
from streamflow.types import Codec

__all__ = ["codec_stage"]

A = TypeVar("A")
B = TypeVar("B")

HELPING = 1 << 20
"""Bytes of output taken from the thread at once, about."""


def codec_stage(
    make: Callable[[], Codec[A, B]],
    *,
    name: str,
    thread_above: int | None = None,
    gather: int = 0,
    drops: bool = False,
    holds: int = 0,
) -> Stage[A, B]:
    """Make a stage of a codec.

    Example: `codec_stage(lambda: Decompressor(), name="gzip.decompress", thread_above=64 * 1024)`.

    Args:
        make: returns a fresh codec; called once per run.
        name: shown in plans, reports, errors and tracebacks.
        thread_above: items of at least so many bytes are worked off in a thread; `None`: never, the stage is
            synchronous.
        gather: bytes of items to collect before the thread gets them; 0 answers each item at once. Only with a thread.
        drops: whether it may emit fewer items than it takes on purpose.
        holds: bytes that the codec itself holds at most, for `explain()`.

    Errors of the codec reach the user as they are. Cancellation: a call that runs in the thread is waited for (it is
    short), then the thread is ended; the codec's `finish` is not called, so nothing cut can look whole.
    """
    run = _named(name)
    if thread_above is None:
        return Stage(
            name=name,
            transform=lambda: _CodecTransform(make(), run),
            callable=run,
            drops=drops,
            holds=holds,
            holds_items=0,
        )

    function = _gathered if gather else _prompt
    body = partial(function, make, name, thread_above, gather)
    return Stage(body, name=name, callable=run, drops=drops, threads=1, holds=holds + 2 * (gather or HELPING))


def _named(name: str) -> Callable[..., Iterator[Any]]:
    """Return a function that runs one step of a codec and shows in tracebacks under the stage's name.

    By that frame the engine knows which of several fused stages has failed.
    """

    def run(step: Callable[..., Iterable[Any]], *data: Any) -> Iterator[Any]:
        yield from step(*data)

    function = cast("FunctionType", run)
    function.__code__ = function.__code__.replace(co_name=name, co_qualname=name)
    return run


class _CodecTransform(Generic[A, B]):
    """A codec as the planner's synchronous stage."""

    done = False

    def __init__(self, codec: Codec[A, B], run: Callable[..., Iterator[B]]) -> None:
        self._codec = codec
        self._run = run

    def apply(self, items: Iterator[A], /) -> Iterator[B]:
        return itertools.chain.from_iterable(map(partial(self._run, self._codec.feed), items))

    def finish(self) -> Iterator[B]:
        return self._run(self._codec.finish)


async def _prompt(
    make: Callable[[], Codec[A, B]], name: str, above: int, _gather: int, items: AsyncIterable[A]
) -> AsyncGenerator[B, None]:
    """Answer each item before the next one is taken; big ones in the thread, helping by helping."""
    codec = make()
    async with Worker(name) as worker:
        async for item in items:
            work = iter(codec.feed(item))
            more = (byte_size(item) or 0) >= above
            while more:
                helping, more = await worker.call(_helping, work)
                for out in helping:
                    yield out
            for out in work:
                yield out
        for out in codec.finish():
            yield out


def _helping(work: Iterator[B]) -> tuple[list[B], bool]:
    """Pull about `HELPING` bytes of output; say whether there may be more."""
    helping: list[B] = []
    size = 0
    for out in work:
        helping.append(out)
        size += byte_size(out) or 1
        if size >= HELPING:
            return helping, True
    return helping, False


async def _gathered(
    make: Callable[[], Codec[A, B]], name: str, above: int, gather: int, items: AsyncIterable[A]
) -> AsyncGenerator[B, None]:
    """Collect one block while the thread works on the one before."""
    codec, worker = make(), Worker(name)
    running: asyncio.Task[list[B]] | None = None
    block: list[A] = []
    size, threaded = 0, False
    try:
        async for item in items:
            block.append(_frozen(item))
            size += byte_size(item) or 0
            if running is not None and (running.done() or size >= gather):
                for out in await running:
                    yield out
                running = None
            if size >= gather:
                running = asyncio.create_task(worker.call(_fed, codec, block), name=f"streamflow: {name}: thread")
                block, size, threaded = [], 0, True
        if running is not None:
            for out in await running:
                yield out
        for out in await worker.call(_ended, codec, block) if threaded or size >= above else _ended(codec, block):
            yield out
    finally:
        await finish(_settled(running, worker))


def _fed(codec: Codec[A, B], block: list[A]) -> list[B]:
    return [out for item in block for out in codec.feed(item)]


def _ended(codec: Codec[A, B], block: list[A]) -> list[B]:
    return [*_fed(codec, block), *codec.finish()]


def _frozen(item: A) -> A:
    """Copy what its owner may write into again before the thread has read it."""
    return cast("A", bytes(item)) if isinstance(item, bytearray | memoryview) else item


async def _settled(running: asyncio.Task[Any] | None, worker: Worker) -> None:
    """Let the thread's last call end, and end the thread."""
    if running is not None:
        await asyncio.wait((running,))
        if not running.cancelled():
            # Looked at, so that the loop does not report it: the stage ends by an error of its own already.
            running.exception()
    await worker.close()
