"""A source that blocks, read in a thread of its own: threaded.

What lives here: the operator, and what it reads. What must not: how items come from the thread into the event loop
(crossing.py), blocking calls for each item (`map(fn, threads=4)`).

The iterable is opened, read and closed in that one thread, in order (H31, H40). The thread belongs to the run and ends
with it; no pool is used up by reads that wait (H43).
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar

from streamflow.callables import is_coroutine_function, name_of, unwrapped
from streamflow.engine.nested import heeding
from streamflow.engine.threads import Worker
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.crossings.crossing import Crossing
from streamflow.resolving import resolve_source
from streamflow.stages import Source

__all__ = ["threaded"]

T = TypeVar("T")


def threaded(
    source: Iterable[T] | Callable[[], Iterable[T]], *, maxsize: int = 64, name: str | None = None
) -> Source[T]:
    """Read an iterable that blocks (a database cursor, a paginator of boto3, a file) in a thread of its own.

    Example:
        import time

        def rows():
            for number in range(3):
                time.sleep(0.01)
                yield number

        await sf.pipeline(sf.threaded(rows), sf.collect())  # gives [0, 1, 2]

    * emits when: an item has come; items that come close after each other cross into the event loop together.
    * backpressures when: the stage below does; then `maxsize` items are read ahead, and the thread waits.
    * completes when: the iterable ends.
    * on error: of the iterable: ends the stream after the items before it.
    * on early stop: the read under way is waited for, then the iterable is closed and the thread ends.

    Opening, reading and closing happen in one and the same thread, which sees the context variables of the run. A
    generator is closed, and so is whatever a function given returned, if it has a `close()`; an iterator or file that
    was given itself stays open.

    A thread cannot be interrupted: a stop, also at the end of the program, waits until the read under way returns. So
    give the iterable a timeout of its own where it may wait for ever.

    Args:
        source: an iterable, or a function without arguments that opens one, such as a generator function.
        maxsize: how many items may be read ahead.
        name: shown in reports and as the thread's name.

    Raises `UsageError` for what is no iterable nor function of one, and for one that is async anyway. Cancellation: as
    an early stop.
    """
    check_capacity("threaded(maxsize)", maxsize)
    label = f"threaded({name or _name_of(source)})"
    opened = functools.partial(_opened, _opener(source), owned=not isinstance(source, Iterable))

    async def crossed() -> AsyncGenerator[T, None]:
        crossing = Crossing[T](maxsize, opened)
        worker = Worker(f"streamflow-{label}")
        context = contextvars.copy_context()
        reading = asyncio.get_running_loop().run_in_executor(worker.executor, context.run, crossing.run)
        try:
            with heeding(crossing.stop):  # drained, it still gives what the thread has read
                while crossing.waiting or await crossing.more():
                    yield crossing.take()
            await reading
        finally:
            crossing.stop()
            await worker.close()
            crossing.check_closed()

    return Source(crossed, name=label, threads=1, holds_items=maxsize, composite=True)


def _name_of(source: object) -> str:
    return name_of(source) if callable(source) or inspect.isgenerator(source) else type(source).__name__


def _opener(source: object) -> Callable[[], Any]:
    """Return what opens the iterable in the thread, or refuse what needs no thread or cannot be iterated."""
    if isinstance(source, Iterable) or not callable(source):
        resolved = resolve_source(source)
        if resolved.synchronous:
            return resolved.open
    elif not (is_coroutine_function(source) or inspect.isasyncgenfunction(unwrapped(source))):
        return source
    raise UsageError(f"threaded: {_name_of(source)} is async, so it needs no thread: give it as the source itself.")


def _opened(opener: Callable[[], Any], *, owned: bool) -> tuple[Iterator[Any], Callable[[], object]]:
    """Open the iterable, in the thread; return its iterator and what closes all that was opened."""
    opened = opener()
    with ExitStack() as closing:
        if owned and hasattr(opened, "close"):
            closing.callback(opened.close)
        if not isinstance(opened, Iterable):
            raise UsageError(f"threaded: {name_of(opener)} returned {type(opened).__name__}, which is no iterable.")
        iterator = iter(opened)
        if inspect.isgenerator(iterator):
            closing.callback(iterator.close)
        return iterator, closing.pop_all().close
