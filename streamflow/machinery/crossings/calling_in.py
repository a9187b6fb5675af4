"""Where an object lives that several threads use, and how they call in: for `push`.

What lives here: `Home`, the event loop it belongs to, and `called_in`, by which a thread calls into that loop and waits
for the answer. What must not: what is called.

A loop that ends does not always tell those who wait for it, so a waiting thread looks now and then whether it still is.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Coroutine
from typing import Any, TypeVar

from streamflow.errors import ReaderGone, UsageError

__all__ = ["Home", "called_in"]

R = TypeVar("R")

_LOOK = 1.0  # seconds between two looks


class Home:
    """The event loop that an object belongs to: the first in which it is made or used."""

    def __init__(self) -> None:
        """Belong to the loop that runs now, if one does."""
        self._loop = _running()

    def known(self) -> asyncio.AbstractEventLoop:
        """Return it, for a call from a thread."""
        if self._loop is None:
            raise UsageError(
                "No event loop has used this push yet, so a thread cannot reach it. Make it inside a coroutine, or "
                "begin to read it before the thread starts."
            )
        return self._loop

    def enter(self) -> None:
        """Belong to the loop that runs here, or refuse another thread's call, which would wake nobody."""
        running = _running()
        if self._loop is running:
            return
        if self._loop is not None:
            raise UsageError(
                "This push belongs to an event loop that does not run in this thread. In a thread write "
                "push.put_threadsafe(item), push.close_threadsafe() or push.fail_threadsafe(error)."
            )
        self._loop = running


def _running() -> asyncio.AbstractEventLoop | None:
    return asyncio._get_running_loop()  # noqa: SLF001  # the public one raises where None will do


def called_in(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, R]) -> R:
    """Run a coroutine in the loop of another thread, wait, and return or raise what comes of it.

    Raises `ReaderGone` when the loop has ended, `UsageError` in the loop's own thread, which would wait for itself.
    """
    if _running() is loop:
        coroutine.close()
        raise UsageError(
            "A threadsafe put in the event loop's own thread would wait for itself for ever. "
            "Write await push.put(item), or push.put_nowait(item) in a callback."
        )
    answer = _sent(loop, coroutine)
    if answer is None or not _answered(answer, loop):
        coroutine.close()
        raise ReaderGone("the event loop of the stream that was pushed into has ended")
    return answer.result()


def _sent(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, R]) -> concurrent.futures.Future[R] | None:
    try:
        return asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError:  # the loop is closed
        return None


def _answered(answer: concurrent.futures.Future[Any], loop: asyncio.AbstractEventLoop) -> bool:
    while not answer.done() and not loop.is_closed():
        concurrent.futures.wait((answer,), timeout=_LOOK)
    return answer.done() and not answer.cancelled()
