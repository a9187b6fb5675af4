"""The watchers of a leak check, one for each kind of thing that can be left behind.

What lives here: noting what is there (`start`) and saying what is new (`stop`, a line for each).
What must not: when that happens and what follows from it (`leaks`), changing what is watched.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from types import AsyncGeneratorType
from typing import Any, Protocol, TextIO

from streamflow.testing.stacks import describe, spot

__all__ = ["Watcher", "watchers"]

_POOLS = ("asyncio_", "uvloop_", "AnyIO worker thread")  # threads of pools that end with their loop
_FD_FOLDER = "/proc/self/fd"
_GRACE = 0.5  # real seconds for a thread that is just ending

_active: list[Complaints] = []


class Watcher(Protocol):
    """Notes what is there in `start`; `stop` returns what is new, a line for each."""

    def start(self) -> None:
        """Note what is there now."""

    def stop(self) -> list[str]:
        """Say what is new since the start, and put back what `start` changed."""


class Tasks:
    """Tasks that are still pending."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        self._before = asyncio.all_tasks(self._loop)

    def stop(self) -> list[str]:
        new = asyncio.all_tasks(self._loop) - self._before
        self._before = set()  # a reference kept would silence "exception was never retrieved"
        ours = sorted((task for task in new if not _closes_generator(task)), key=lambda task: task.get_name())
        return [f"pending: {describe(task)}" for task in ours]


def _closes_generator(task: asyncio.Task[Any]) -> bool:
    """Return whether the loop's hook made this task for a dropped generator, which is reported as such."""
    return type(task.get_coro()).__name__ == "async_generator_athrow"


class Generators:
    """Sees every async generator that starts, and every one that the loop's hook had to close because nobody did."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop: Any = loop
        self._started: weakref.WeakSet[AsyncGeneratorType[Any, Any]] = weakref.WeakSet()
        self._dropped: list[str] = []
        self._undo: list[Callable[[], object]] = []

    def start(self) -> None:
        # The loop installs its two methods as hooks whenever it starts to run; a running loop has done so already.
        for name, note in (("_asyncgen_firstiter_hook", self._started.add), ("_asyncgen_finalizer_hook", self._drop)):
            self._shadow(name, _both(note, getattr(self._loop, name)))
        if self._loop.is_running():
            old = sys.get_asyncgen_hooks()
            sys.set_asyncgen_hooks(_both(self._started.add, old.firstiter), _both(self._drop, old.finalizer))
            self._undo.append(lambda: sys.set_asyncgen_hooks(*old))

    def _shadow(self, name: str, hook: Callable[[Any], None]) -> None:
        own = vars(self._loop)
        old = own.get(name)
        own[name] = hook
        self._undo.append(lambda: own.pop(name) if old is None else own.__setitem__(name, old))

    def _drop(self, generator: Any) -> None:
        self._started.discard(generator)
        self._dropped.append(_position(generator))

    def stop(self) -> list[str]:
        while self._undo:
            self._undo.pop()()
        still_open = [generator for generator in self._started if generator.ag_frame is not None]
        dropped = [f"async generator dropped without aclose(), closed by the loop's hook: {at}" for at in self._dropped]
        return dropped + [f"async generator still open: {_position(generator)}" for generator in still_open]


def _both(note: Callable[[Any], object], hook: Callable[[Any], object] | None) -> Callable[[Any], None]:
    own: Callable[[Any], object] | None = getattr(hook, "own", hook)  # inside another check: pass over that check

    def both(generator: Any) -> None:
        note(generator)
        if own is not None:
            own(generator)

    both.own = own  # type: ignore[attr-defined]  # a function carries what it stands for, as with __wrapped__
    return both


def _position(generator: Any) -> str:
    frame = generator.ag_frame
    return str(generator.__qualname__) if frame is None else spot(frame)


class Threads:
    """Threads that are still alive."""

    def __init__(self, *, pools_may_stay: bool) -> None:
        self._pools_may_stay = pools_may_stay
        self._before: set[threading.Thread] = set()

    def start(self) -> None:
        self._before = set(threading.enumerate())

    def stop(self) -> list[str]:
        new = [thread for thread in threading.enumerate() if thread not in self._before and not self._excused(thread)]
        for thread in new:
            thread.join(_GRACE)
        self._before = set()
        return [f"thread: {thread.name!r} ({_stands_in(thread)})" for thread in new if thread.is_alive()]

    def _excused(self, thread: threading.Thread) -> bool:
        return self._pools_may_stay and thread.name.startswith(_POOLS)


def _stands_in(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  # documented for exactly this
    return "ending" if frame is None else spot(frame)


class Files:
    """Open file descriptors, where the system lists them (Linux)."""

    def __init__(self, *, reserve_may_stay: bool) -> None:
        self._reserve_may_stay = reserve_may_stay
        self._before: dict[int, str] = {}

    def start(self) -> None:
        self._before = _open_files()

    def stop(self) -> list[str]:
        new = sorted(_open_files().items() - self._before.items())
        return [f"file descriptor {number}: {target}" for number, target in new if not self._excused(target)]

    def _excused(self, target: str) -> bool:
        return self._reserve_may_stay and target == os.devnull  # uvloop keeps one in reserve as long as it listens


def _open_files() -> dict[int, str]:
    found = {}
    for name in os.listdir(_FD_FOLDER) if os.path.isdir(_FD_FOLDER) else ():
        try:
            found[int(name)] = os.readlink(f"{_FD_FOLDER}/{name}")
        except OSError:  # the descriptor of the listing itself is gone by now
            continue
    return found


class Complaints(logging.Handler):
    """What the interpreter and asyncio say about things that nobody awaited, retrieved or closed."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        super().__init__(logging.WARNING)
        self._loop = loop
        self._heard: list[str] = []
        self._handler: Any = None
        self._warnings = warnings.catch_warnings()
        self._show: Callable[..., None] = warnings.showwarning

    def start(self) -> None:
        _active.append(self)
        logging.getLogger("asyncio").addHandler(self)
        self._warnings.__enter__()
        self._show = warnings.showwarning
        warnings.showwarning = self._on_warning
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        warnings.filterwarnings("always", category=ResourceWarning)
        if self._loop is not None:
            self._handler = self._loop.get_exception_handler()
            self._loop.set_exception_handler(self._on_exception)

    def stop(self) -> list[str]:
        if self._loop is not None and self._loop.get_exception_handler() == self._on_exception:
            self._loop.set_exception_handler(self._handler)
        self._warnings.__exit__(None, None, None)
        logging.getLogger("asyncio").removeHandler(self)
        _active.remove(self)
        return self._heard

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record of asyncio's logger."""
        if _active[-1] is self:
            self._heard.append(f"asyncio logged: {record.getMessage().splitlines()[0]}")

    def _on_exception(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        about = next((repr(context[key]) for key in ("task", "future", "handle", "asyncgen") if key in context), "")
        error = context.get("exception")
        cause = "" if error is None else f"{type(error).__name__}: {error}"
        self._heard.append("; ".join(filter(None, (f"loop exception handler: {context['message']}", cause, about))))

    def _on_warning(  # noqa: PLR0917  # the signature of warnings.showwarning
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        told = issubclass(category, ResourceWarning) or "was never awaited" in str(message)
        if told and _active[-1] is self:
            self._heard.append(f"{category.__name__}: {message} ({filename}:{lineno})")
        else:
            self._show(message, category, filename, lineno, file, line)


def watchers(loop: asyncio.AbstractEventLoop | None) -> dict[str, Watcher]:
    """Return a watcher for each kind that can be watched, with or without a loop."""
    common: dict[str, Watcher] = {
        "threads": Threads(pools_may_stay=loop is not None),
        "files": Files(reserve_may_stay=loop is not None),
        "complaints": Complaints(loop),
    }
    return common if loop is None else {"tasks": Tasks(loop), "generators": Generators(loop), **common}
