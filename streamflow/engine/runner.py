"""The event loop and the signals: `run`.

What lives here: starting a loop for a script. What must not: anything a library embedded in somebody's service would
do; no signal handler is installed unless `run` is called.

The first SIGINT or SIGTERM cancels the main task: every run stops, aborts what it had begun and cleans up within its
grace. The second ends the grace and says on stderr what is still open, instead of tearing through the cleanup as
asyncio's own handler does (H84, H85). The third leaves the process at once.

A task that does not end even when the loop cancels it would keep a process for ever (H21). After a signal it does not:
when the main task has ended, what is left gets a while, and then the process leaves.

The handlers stay while the loop shuts down, since what was left in the background is closed there, and then those that
were there before are put back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from streamflow.engine.signals import HANDLED, may_handle, mind, put_back, say
from streamflow.engine.unfinished import hurry
from streamflow.errors import UsageError

__all__ = ["loop_factory", "run", "run_on"]

T = TypeVar("T")

_PATIENCE = (30.0, 2.0)  # seconds for what outlives the main task, after one signal and after two


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a coroutine in a new event loop, uvloop's where it is installed, with signals handled.

    Example: `sf.run(main())`

    Args:
        main: the coroutine, called: `main()`, not `main`.
        debug: asyncio's debug mode; `None` leaves it to `PYTHONASYNCIODEBUG`.

    Returns what `main` returns and raises what it raises. After SIGINT it raises `KeyboardInterrupt`, after SIGTERM
    `SystemExit(143)`, once everything is closed. In a notebook, where a loop runs already, it runs in a thread of its
    own and the cell waits. Raises `UsageError` inside any other running loop (write `await main()` there) and for
    anything that is not a coroutine.
    """
    _refuse_what_is_no_coroutine(main)
    if asyncio._get_running_loop() is not None:  # noqa: SLF001  # the documented way raises
        if _is_notebook():
            return _run_beside(main, debug=debug)
        main.close()
        raise UsageError("sf.run starts an event loop, and one is running here already; write `await main()` instead.")
    return run_on(loop_factory(), main, debug=debug)


def run_on(
    factory: Callable[[], asyncio.AbstractEventLoop] | None, main: Coroutine[Any, Any, T], *, debug: bool | None = None
) -> T:
    """Do as `run` on a loop of this factory; `None` stands for asyncio's own."""
    signals = _Signals()
    with signals.put_back(), asyncio.Runner(debug=debug, loop_factory=factory) as runner:
        try:
            return runner.run(signals.guarding(main))
        except asyncio.CancelledError:
            signals.leave()
            raise


def _is_notebook() -> bool:
    """Whether the running loop is that of a notebook's kernel, which waits for each cell anyway."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def _run_beside(main: Coroutine[Any, Any, T], *, debug: bool | None) -> T:
    """Run it in a thread with a loop of its own and wait; an interrupt of the cell cancels it and waits for its end."""
    result: Future[T] = Future()
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def watched() -> T:
        task = asyncio.current_task()
        assert task is not None
        started.set_result((asyncio.get_running_loop(), task))
        return await main

    def work() -> None:
        try:
            result.set_result(run_on(loop_factory(), watched(), debug=debug))
        except BaseException as error:  # noqa: BLE001  # it is raised in the cell
            result.set_exception(error)

    thread = threading.Thread(target=work, name="streamflow.run")
    thread.start()
    try:
        return result.result()
    except KeyboardInterrupt:
        loop, task = started.result()
        if not result.done():
            loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        thread.join()


def _refuse_what_is_no_coroutine(main: object) -> None:
    if not asyncio.iscoroutine(main):
        called = f"{getattr(main, '__name__', 'main')}()"
        raise UsageError(f"sf.run needs a coroutine, not {type(main).__name__}; write sf.run({called}).")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's event loop where it is installed; `None` stands for asyncio's own."""
    if find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    return factory


class _Signals:
    """SIGINT and SIGTERM while a main task runs."""

    def __init__(self) -> None:
        self._received: list[signal.Signals] = []

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Leave the handlers as they were found; the loop takes its own away when it is closed."""
        found = {number: signal.getsignal(number) for number in HANDLED} if may_handle() else {}
        try:
            yield
        finally:
            put_back(found)

    async def guarding(self, main: Coroutine[Any, Any, T]) -> T:
        """Run the main coroutine with the handlers installed."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if may_handle() and task is not None:
            mind(partial(self._on_signal, task))
        try:
            return await main
        finally:
            self._watch(loop)

    def _on_signal(self, task: asyncio.Task[Any], number: signal.Signals) -> None:
        self._received.append(number)
        if len(self._received) == 1:
            task.cancel()
        elif len(self._received) == 2:  # noqa: PLR2004
            names = ", ".join(hurry()) or "cleanup of the program itself"
            say(f"{number.name} again: no more waiting for {names}. Once more leaves at once.")
            task.cancel()
        else:
            self._leave_now(f"{number.name} for the third time")
        if task.done():
            self._watch(task.get_loop())

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """The main task has ended: let what is left keep the process only for a while."""
        if self._received:
            loop.call_later(_PATIENCE[len(self._received) > 1], self._leave_late)

    def _leave_late(self) -> None:
        names = ", ".join(sorted(task.get_name() for task in asyncio.all_tasks()))
        self._leave_now(f"no more waiting for tasks that do not end when they are cancelled ({names})")

    def _leave_now(self, reason: str) -> None:
        say(f"{reason}: leaving with work unfinished.")
        os._exit(128 + self._received[0])

    def leave(self) -> None:
        """Turn the cancellation that a signal began into what a process ends with."""
        if not self._received:
            return
        if self._received[0] is signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self._received[0])
