"""Iterators that nobody can reach any more, found soon.

What lives here: `Attendance`, which notes who asks an iterator for items. What must not: what is done with an iterator
that is dropped (items.py).

*The trouble.* An iterator that is dropped stops its run. But a task that is cancelled may leave an exception that
stands in a circle with the frames it went through, as each one does that goes through a task group of anyio (4.16). A
generator that such a frame knows, and left at its `yield`, is then open until the garbage collector finds the circle:
so it is with the handlers of FastAPI whose client goes away while an item is being sent. Its cursor stays open with it.

*The means.* Nothing but the collector can tell whether somebody still knows an iterator. So where the task that asked
last was cancelled, and its iterator was neither closed nor asked again, the collector looks: a little later at the
young objects, which takes less than a millisecond and finds nearly all; where that was too early or too late, once more
at all of them, for which it gets at most a hundredth of the time. An iterator that somebody still knows is not touched.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from time import perf_counter
from typing import Any, Protocol

__all__ = ["Attendance", "Attended"]

_SHORTLY = 0.02  # seconds in which whoever was cancelled with a task has ended, too
_LATER = 0.2  # seconds until the second look
_YOUNG = 1  # the generations that the first look is for
_SHARE = 100  # the second look takes at most one part in so many of the time


class Attended(Protocol):
    """What is iterated."""

    @property
    def is_over(self) -> bool:
        """Whether it has been closed."""
        ...


class Attendance:
    """Who asks an iterator for items.

    Example:
        attendance = Attendance(items)
        if not attendance.noted:    # before each wait
            attendance.note()

    `noted` says that the task which asked first has not ended; that another one asks meanwhile is rare, and then it is
    not seen. It does not keep the iterator alive.
    """

    def __init__(self, items: Attended) -> None:
        """Nobody has asked yet."""
        self.noted = False
        self._items = weakref.ref(items)
        self._asker: weakref.ref[asyncio.Task[Any]] | None = None

    def note(self) -> None:
        """The task that runs is going to ask."""
        task = asyncio.current_task()
        if task is not None:
            self.noted = True
            self._asker = weakref.ref(task)
            _asked_by(task).add(self)

    def ended(self, task: asyncio.Task[Any]) -> None:
        """A task that has asked has ended."""
        self.noted = False
        asker = self._asker
        if asker is not None and task.cancelled() and self._is_left(asker):
            task.get_loop().call_later(_SHORTLY, self._look, asker, task.get_loop())

    def _is_left(self, asker: weakref.ref[Any]) -> bool:
        """Whether it is still there, open, and nobody has asked it since. Who turned the collector off has said so."""
        items = self._items()
        return items is not None and not items.is_over and self._asker is asker and gc.isenabled()

    def _look(self, asker: weakref.ref[Any], loop: asyncio.AbstractEventLoop) -> None:
        if self._is_left(asker):
            gc.collect(_YOUNG)
        if self._is_left(asker):
            loop.call_later(_LATER, self._look_at_all, asker, loop)

    def _look_at_all(self, asker: weakref.ref[Any], loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_left(asker):
            return
        wait = _all.due - perf_counter()
        if wait > 0:
            loop.call_later(wait, self._look_at_all, asker, loop)
        else:
            _all.collect()


_asked: weakref.WeakKeyDictionary[asyncio.Task[Any], weakref.WeakSet[Attendance]] = weakref.WeakKeyDictionary()
"""What each task has asked: weakly, since a task may live for ever and ask one iterator after the other."""


def _asked_by(task: asyncio.Task[Any]) -> weakref.WeakSet[Attendance]:
    asked = _asked.get(task)
    if asked is None:
        asked = _asked[task] = weakref.WeakSet()
        task.add_done_callback(_tell)
    return asked


def _tell(task: asyncio.Task[Any]) -> None:
    for attendance in _asked.pop(task, ()):
        attendance.ended(task)


class _All:
    """The looks at all objects of the process."""

    due = 0.0

    def collect(self) -> None:
        began = perf_counter()
        gc.collect()
        ended = perf_counter()
        self.due = ended + (ended - began) * _SHARE


_all = _All()
