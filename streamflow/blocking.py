"""A stream in an ordinary thread: a plain iterator over the items of a run on an event loop of its own.

What lives here: `Blocking`. What must not: a hidden loop that outlives its use; starting a loop for coroutines
(engine/runner.py).

How it works. The run lives in a thread with its own event loop (anyio's blocking portal). One hop fetches all that is
there, up to half the last channel, so a hop is paid per batch. Between two hops the run goes on until its channels are
full: backpressure reaches through to the source as always.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from streamflow.engine.runner import loop_factory
from streamflow.errors import UsageError
from streamflow.items import Items

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

__all__ = ["Blocking"]

T = TypeVar("T")


class Blocking(Generic[T]):
    """The items of a stream for a thread without an event loop, to iterate once.

    Example:
        with stream.blocking() as items:      # everything is closed at the end of the block
            for item in items:
                ...

        for item in stream.blocking(): ...    # allowed, and as safe: an iterator that is dropped stops the run

    Made by `Stream.blocking()`.
    """

    def __init__(self, make: Callable[[], Items[T]], name: str) -> None:
        """Prepare; nothing runs yet."""
        self._name = name
        self._each = _each(make, name)

    def __repr__(self) -> str:
        """Show of what it is."""
        return f"<Blocking items of {self._name}>"

    def __iter__(self) -> Iterator[T]:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next item, waiting for it. The end and an error come after everything has been closed."""
        return next(self._each)

    def __enter__(self) -> Self:
        """Return itself; the run starts with the first item asked for."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Stop the run and wait until everything is closed. Raises what failed while closing. Twice is harmless."""
        self._each.close()


def _each(make: Callable[[], Items[T]], name: str) -> Generator[T, None, None]:
    """Iterate; a function, since a generator that knew its `Blocking` would outlive it until the garbage collector."""
    _refuse_a_running_loop(name)
    with ExitStack() as closing:
        portal = closing.enter_context(_portal())
        items = portal.call(make)
        closing.enter_context(_closed(portal, items))
        while hand := portal.call(items.some):
            yield from hand


def _refuse_a_running_loop(name: str) -> None:
    if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the documented way raises
        raise UsageError(
            f"blocking() of {name} would stop the event loop that runs in this thread; write `async for` here, or call "
            f"it in a thread: await asyncio.to_thread(...)."
        )


@contextmanager
def _portal() -> Iterator[BlockingPortal]:
    from_thread = import_module("anyio.from_thread")  # here, since few streams are read this way
    start = from_thread.start_blocking_portal
    with start(backend_options={"loop_factory": loop_factory()}, name="streamflow.blocking") as portal:
        yield portal


@contextmanager
def _closed(portal: BlockingPortal, items: Items[T]) -> Iterator[None]:
    """Close the items in their loop, whatever ended the iteration; also after Ctrl-C, which strikes in this thread."""
    try:
        yield
    except GeneratorExit:
        portal.call(items.aclose)
        raise
    except BaseException as error:
        portal.call(items.close_after, error)
        raise
    portal.call(items.aclose)
