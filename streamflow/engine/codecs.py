"""From a codec, which never waits, to a stage.

What lives here: `codec_stage`, and the async generator that lets a codec work in a thread. What must not: any format.

How it works. A codec that is quick becomes a synchronous stage: `map` and `chain` feed it, so the planner fuses it with
its neighbours and the items pass through at C speed. A codec that is heavy (compression) gets a task and a thread:

* Input of less than `thread_above` bytes is worked off right here, since a hop to a thread costs about 0.1 ms.
* With `gather=0` each item is answered before the next one is taken. The output is pulled in helpings of about
  `HELPING` bytes, so a small input that expands to gigabytes stays bounded. Good for decompression.
* With `gather=n` items are collected to blocks of n bytes. While the thread works on one block the next one is
  collected; never more than these two are held. For codecs that hold data back anyway and give less than they take:
  compression. If it is wanted, what was collected is flushed when the input pauses.

A codec that makes many items of one (a chunk of bytes is hundreds of rows) may give them in batches: see `Batching`.

What the codec gives does not depend on how it was run: the same items go in, in the same order.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from functools import partial
from types import FunctionType
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

from streamflow.engine.codec_calls import AHEAD, Calls
from streamflow.engine.pauses import Pause, pausing
from streamflow.engine.shielding import finish
from streamflow.engine.threads import Worker
from streamflow.limits import byte_size
from streamflow.stages import Stage
from streamflow.types import Codec

__all__ = ["Batching", "Flushing", "codec_stage", "parallel_stage"]

A = TypeVar("A")
B = TypeVar("B")
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)


@runtime_checkable
class Batching(Protocol[A_contra, B_co]):
    """A codec that also gives what `feed` gives in batches, so that no Python frame is entered for an item.

    An error must come between two batches, not out of one: the engine knows the stage it came from by the frame that
    asks for the next batch.
    """

    def batches(self, data: A_contra, /) -> Iterable[Iterable[B_co]]:
        """Take one item in; return in batches what is complete by now. Lazy, as `feed` is."""


class Flushing(Protocol[B_co]):
    """A codec that can give, in the middle, what makes all that it was given so far readable at the other end."""

    def flush(self) -> Iterable[B_co]:
        """Return it, lazily, as `feed` does."""


class _Way(NamedTuple):
    """How a heavy codec is run."""

    name: str
    above: int
    gather: int
    flush: float | None


_Run: TypeAlias = Callable[..., Iterator[B]]

HELPING = 1 << 20
"""Bytes of output taken from the thread at once, about."""

EXPANDS = 4
"""How many times larger than its input an answer usually is; if that is less than a helping, one call is enough."""


def codec_stage(
    make: Callable[[], Codec[A, B]],
    *,
    name: str,
    thread_above: int | None = None,
    gather: int = 0,
    flush: float | None = None,
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
        flush: seconds after which what the codec, a `Flushing` one, was given is flushed although no block is full;
            `None`: never. Only with `gather`.
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

    body = partial(_gathered if gather else _prompt, make, run, _Way(name, thread_above, gather, flush))
    held = AHEAD * gather or (AHEAD + 1) * HELPING
    return Stage(body, name=name, callable=run, drops=drops, threads=1, holds=holds + held)


def parallel_stage(
    make: Callable[[], Codec[A, Callable[[], B]]], *, name: str, threads: int, holds: int = 0
) -> Stage[A, B]:
    """Make a stage of a codec that emits calls instead of results: threads make them, the results go out in order.

    Example: `parallel_stage(ParallelCompressor, name="gzip.compress", threads=4)`.

    Args:
        make: returns a fresh codec; called once per run.
        name: shown in plans, reports, errors and tracebacks.
        threads: how many; at most twice as many calls are under way or wait to be handed on.
        holds: bytes that the codec and its calls hold at most, for `explain()`.

    Errors and cancellation: as for `codec_stage`. An error surfaces when its turn comes.
    """
    run = _named(name)
    return Stage(partial(_parallel, make, run, name, threads), name=name, callable=run, threads=threads, holds=holds)


def _named(name: str) -> _Run[Any]:
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

    def __init__(self, codec: Codec[A, B], run: _Run[Any]) -> None:
        self._codec = codec
        self._run = run
        self._batching = codec.batches if isinstance(codec, Batching) else None

    def apply(self, items: Iterator[A], /) -> Iterator[B]:
        if self._batching is None:
            return itertools.chain.from_iterable(map(partial(self._run, self._codec.feed), items))
        batches = itertools.chain.from_iterable(map(partial(self._run, self._batching), items))
        return itertools.chain.from_iterable(batches)

    def finish(self) -> Iterator[B]:
        return self._run(self._codec.finish)


async def _prompt(
    make: Callable[[], Codec[A, B]], run: _Run[B], way: _Way, items: AsyncIterable[A]
) -> AsyncGenerator[B, None]:
    """Answer each item before the next one is taken; big ones in the thread, ahead of what is handed on."""
    codec, calls = make(), Calls[B](way.name)
    try:
        async for item in items:
            work = run(codec.feed, item)
            size = byte_size(item) or 0
            if size >= way.above:
                for _ in range(AHEAD if size * EXPANDS > HELPING else 1):
                    calls.begin(work, HELPING)
            while calls:
                helping, more = await calls.take()
                while more and len(calls) < AHEAD:
                    calls.begin(work, HELPING)
                for out in helping:
                    yield out
            for out in work:
                yield out
        for out in run(codec.finish):
            yield out
    finally:
        await calls.close()


async def _gathered(
    make: Callable[[], Codec[A, B]], run: _Run[B], way: _Way, items: AsyncIterable[A]
) -> AsyncGenerator[B, None]:
    """Collect one block while the thread works on the one before."""
    codec = make()
    gathering = _Gathering(codec, run, way)
    calls = gathering.calls
    try:
        async with pausing(items, way.flush) as arriving:
            async for item in arriving:
                if pause := isinstance(item, Pause):
                    gathering.end(cast("Flushing[B]", codec).flush)
                else:
                    gathering.add(item)
                while calls.due() or (pause and calls):
                    for out in (await calls.take())[0]:
                        yield out
        gathering.end(codec.finish)
        while calls:
            for out in (await calls.take())[0]:
                yield out
    finally:
        await calls.close()


class _Gathering(Generic[A, B]):
    """Items that are collected to blocks, and the calls that work on them."""

    def __init__(self, codec: Codec[A, B], run: _Run[B], way: _Way) -> None:
        self.calls: Calls[B] = Calls(way.name)
        self._feed = partial(run, codec.feed)
        self._run = run
        self._way = way
        self._block: list[A] = []
        self._size = 0

    def add(self, item: A) -> None:
        """Begin a call if the block is full now."""
        self._block.append(_frozen(item))
        weight = byte_size(item)
        self._size += self._way.gather if weight is None else weight
        if self._size >= self._way.gather:
            self.calls.begin(self._fed())

    def end(self, step: Callable[[], Iterable[B]]) -> None:
        """Begin a call for what fills no block, and for a last step; if it is little, it needs no thread."""
        heavy = self.calls.used or self._size >= self._way.above
        work = itertools.chain(self._fed(), self._run(step))
        (self.calls.begin if heavy else self.calls.spare)(work)

    def _fed(self) -> Iterator[B]:
        block, self._block, self._size = self._block, [], 0
        return itertools.chain.from_iterable(map(self._feed, block))


async def _parallel(
    make: Callable[[], Codec[A, Callable[[], B]]],
    run: _Run[Callable[[], B]],
    name: str,
    threads: int,
    items: AsyncIterable[A],
) -> AsyncGenerator[B, None]:
    """Keep the threads busy with the codec's calls; hand their results on in order."""
    codec = make()
    workers = [Worker(f"{name}-{number}") for number in range(threads)]
    turn = itertools.cycle(workers)
    flying: deque[asyncio.Task[B]] = deque()
    try:
        async for item in items:
            for call in run(codec.feed, item):
                flying.append(asyncio.create_task(next(turn).call(call), name=f"streamflow: {name}: thread"))
                while flying and (flying[0].done() or len(flying) >= 2 * threads):
                    yield await flying[0]
                    del flying[0]
        for call in run(codec.finish):
            flying.append(asyncio.create_task(next(turn).call(call), name=f"streamflow: {name}: thread"))
        while flying:
            yield await flying[0]
            del flying[0]
    finally:
        await finish(_settled(flying, workers))


def _frozen(item: A) -> A:
    """Copy what its owner may write into again before the thread has read it."""
    return cast("A", bytes(item)) if isinstance(item, bytearray | memoryview) else item


async def _settled(running: Iterable[asyncio.Task[Any]], workers: Iterable[Worker]) -> None:
    """Let the threads' last calls end, and end the threads."""
    for task in running:
        await asyncio.wait((task,))
        if not task.cancelled():
            # Looked at, so that the loop does not report it: the stage ends by an error of its own already.
            task.exception()
    for worker in workers:
        await worker.close()
