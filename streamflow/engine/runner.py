"""The event loop and the signals: `run`.

What lives here: starting a loop for a script. What must not: anything a library embedded in somebody's service would do;
no signal handler is installed unless `run` is called.

The first SIGINT or SIGTERM cancels the main task: every run stops, aborts what it had begun and cleans up within its
grace. The second ends the grace and says on stderr what is still open, instead of tearing through the cleanup as asyncio's
own handler does (H84, H85). The third leaves the process at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from streamflow.engine.conductor import hurry
from streamflow.errors import UsageError

__all__ = ["run"]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine in a new event loop, uvloop's where it is installed, with signals handled.

    Example: `sf.run(main())`

    Args:
        main: the coroutine, called: `main()`, not `main`.
        debug: asyncio's debug mode; `None` leaves it to `PYTHONASYNCIODEBUG`.

    Returns what `main` returns and raises what it raises. After SIGINT it raises `KeyboardInterrupt`, after SIGTERM
    `SystemExit(143)`, once everything is closed. Raises `UsageError` inside a running loop (write `await main()` there)
    and for anything that is not a coroutine.
    """
    if not asyncio.iscoroutine(main):
        called = f"{getattr(main, '__name__', 'main')}()"
        raise UsageError(f"sf.run needs a coroutine, not {type(main).__name__}; write sf.run({called}).")
    if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the documented way raises
        main.close()
        raise UsageError("sf.run starts an event loop, and one is running here already; write `await main()` instead.")
    signals = _Signals()
    with asyncio.Runner(debug=debug, loop_factory=_loop_factory()) as runner:
        try:
            return runner.run(signals.guarding(main))
        except asyncio.CancelledError:
            signals.leave()
            raise


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    return factory


class _Signals:
    """SIGINT and SIGTERM while a main task runs."""

    def __init__(self) -> None:
        self._received: list[signal.Signals] = []

    async def guarding(self, main: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        handled = self._install(task)
        try:
            return await main
        finally:
            for number in handled:
                asyncio.get_running_loop().remove_signal_handler(number)

    def _install(self, task: asyncio.Task[Any]) -> list[signal.Signals]:
        if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
            return []
        numbers = [signal.SIGINT, signal.SIGTERM]
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number, task)
        return numbers

    def _on_signal(self, number: signal.Signals, task: asyncio.Task[Any]) -> None:
        self._received.append(number)
        if len(self._received) == 1:
            task.cancel()
        elif len(self._received) == 2:  # noqa: PLR2004
            still_open = hurry()
            names = ", ".join(still_open) or "cleanup of the program itself"
            sys.stderr.write(f"streamflow: {number.name} again: no more waiting for {names}. Once more leaves at once.\n")
            task.cancel()
        else:
            sys.stderr.write(f"streamflow: {number.name} for the third time: leaving with work unfinished.\n")
            sys.stderr.flush()
            os._exit(128 + number)

    def leave(self) -> None:
        """Turn the cancellation that a signal began into what a process ends with."""
        if not self._received:
            return
        if self._received[0] is signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self._received[0])
