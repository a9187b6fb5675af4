"""SIGINT and SIGTERM of a process, as calls in its event loop, for those who ask for them.

What lives here: where the signals of a loop arrive, and `listening`, which hears them for a block. What must not: what
a signal means (runner.py, serving/).

`sf.run` listens as long as its loop lives. Whoever listens inside it is told instead of it; several who do so at once
are all told. Where nobody has installed handlers, `listening` does, and puts back those that it found.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

__all__ = ["HANDLED", "Listener", "listening", "may_handle", "mind", "put_back", "say"]

Listener: TypeAlias = Callable[[signal.Signals], None]

HANDLED = (signal.SIGINT, signal.SIGTERM)


class _Arrivals:
    """Who is to be told of the signals of one loop."""

    def __init__(self) -> None:
        self.minder: Listener | None = None
        self.listeners: list[Listener] = []
        self.found: dict[signal.Signals, Any] = {}

    def arrive(self, number: signal.Signals) -> None:
        for listener in tuple(self.listeners) or ((self.minder,) if self.minder is not None else ()):
            listener(number)


_arrivals: WeakKeyDictionary[asyncio.AbstractEventLoop, _Arrivals] = WeakKeyDictionary()


def may_handle() -> bool:
    """Whether signals can be handled here: only the main thread gets them, and Windows has none to speak of."""
    return sys.platform != "win32" and threading.current_thread() is threading.main_thread()


def mind(minder: Listener) -> None:
    """Install the handlers for as long as the running loop lives; `minder` is told what no listener hears."""
    loop = asyncio.get_running_loop()
    arrivals = _arrivals.setdefault(loop, _Arrivals())
    arrivals.minder = minder
    _install(loop, arrivals)


@contextmanager
def listening(listener: Listener) -> Iterator[bool]:
    """Call `listener(number)` in the running loop for each SIGINT and SIGTERM during the block.

    Gives whether that can be: not outside the main thread, nor on Windows; then nothing is installed.
    """
    if not may_handle():
        yield False
        return
    loop = asyncio.get_running_loop()
    arrivals = _arrivals.setdefault(loop, _Arrivals())
    if arrivals.minder is None and not arrivals.listeners:
        arrivals.found = {number: signal.getsignal(number) for number in HANDLED}
        _install(loop, arrivals)
    arrivals.listeners.append(listener)
    try:
        yield True
    finally:
        arrivals.listeners.remove(listener)
        if arrivals.minder is None and not arrivals.listeners:
            for number in HANDLED:
                loop.remove_signal_handler(number)
            put_back(arrivals.found)


def _install(loop: asyncio.AbstractEventLoop, arrivals: _Arrivals) -> None:
    for number in HANDLED:
        loop.add_signal_handler(number, arrivals.arrive, number)


def put_back(found: dict[signal.Signals, Any]) -> None:
    """Set the handlers that were found; one that was not installed from Python cannot be set."""
    for number, handler in found.items():
        if handler is not None:
            signal.signal(number, handler)


def say(text: str) -> None:
    """Tell who sent a signal what comes of it, on standard error, at once; if that is gone, nobody."""
    with suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(f"streamflow: {text}\n")
        sys.stderr.flush()
