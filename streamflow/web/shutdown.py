"""When the server begins to stop, which an application is told too late.

What lives here: `Shutdown`, which sees it early, and `Cleanups`, which waits for what the server does not. What must
not: anything that stops something.

*Too late.* A server waits for its open responses before it tells the application to shut down. A response that never
ends (a live page, server-sent events) would keep it waiting for ever, or until its limit, and then be cut off. So what
never ends has to be told earlier. ASGI has no message for that; but uvicorn's signal handler is a method of its server,
which has the attributes `should_exit` and, after a second Ctrl-C, `force_exit`. They are read here; nothing is called
or replaced. A worker process of hypercorn is told by an event that came to it when it was started: that is looked at,
too. For other servers signals can be noted, where somebody asks for it: a handler of ours then passes each one
on to the server's own.

*Too early.* A server whose limit has passed cancels its open responses and does not wait until they are closed (H83).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Cleanups", "Shutdown"]

_PERIOD = 0.25  # seconds between two looks
_NOTED = (signal.SIGINT, signal.SIGTERM)
_AGAIN = 2


class Shutdown:
    """What can be seen of the end of the server that runs this process."""

    def __init__(self) -> None:
        """Look on; nothing is installed."""
        self._signals = 0
        self._before: dict[signal.Signals, Any] = {}

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note signals in a block, and pass each on to its former handler; only in the main thread, which gets them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._before = {number: signal.getsignal(number) for number in _NOTED}
        handler = self._note  # the very object that is looked for at the end
        for number in _NOTED:
            signal.signal(number, handler)
        try:
            yield
        finally:
            before, self._before = self._before, {}
            for number, former in before.items():
                if signal.getsignal(number) is handler:  # else somebody came after us, and passes on to us
                    signal.signal(number, former if former is not None else signal.SIG_DFL)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if _told_by_its_parent():
            return  # it is ending; hypercorn's parent kills all others as soon as the first one has ended
        self._signals += 1
        former = self._before.get(signal.Signals(number), signal.SIG_DFL)
        if callable(former):
            former(number, frame)
        elif former is signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def begun(self) -> bool:
        """Return whether it has begun to stop, as far as it can be seen."""
        return self._signals > 0 or self._says("should_exit") or _told_by_its_parent()

    def hurried(self) -> bool:
        """Return whether it was told a second time to stop, as far as it can be seen."""
        return self._signals >= _AGAIN or self._says("force_exit")

    def _says(self, attribute: str) -> bool:
        handler = self._before.get(signal.SIGTERM) or signal.getsignal(signal.SIGTERM)
        return getattr(getattr(handler, "__self__", None), attribute, False) is True

    async def until(self, seen: Callable[[], bool]) -> None:
        """Wait until `seen()`, which is `begun` or `hurried`. Cancellation: ends the wait."""
        while not seen():  # noqa: ASYNC110  # what is looked at tells nobody
            await asyncio.sleep(_PERIOD)


def _told_by_its_parent() -> bool:
    """Whether this is a process that was started with an event for its end, and that is set: hypercorn's (0.18)."""
    given = getattr(multiprocessing.current_process(), "_kwargs", None) or {}
    event = given.get("shutdown_event")
    return event is not None and bool(event.is_set())


class Cleanups:
    """What is being cancelled when the end comes, of all that began after this was made."""

    def __init__(self) -> None:
        """Note who is there already: the server itself, and what the user began, which wait for us."""
        self._others = weakref.WeakSet(asyncio.all_tasks())

    async def over(self, seconds: float) -> None:
        """Wait until the tasks that somebody has cancelled have ended, for so many seconds at most.

        Nobody is waited for in a task that is itself being cancelled: then all of them end together.
        """
        me = asyncio.current_task()
        if me is None or me.cancelling():
            return
        tasks = [task for task in asyncio.all_tasks() if task.cancelling() and task not in self._others]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
