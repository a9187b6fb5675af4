"""Signals to `streamflow run` while nothing has begun: the module is still imported, there is no event loop yet.

What lives here: `Early`, which holds the handlers before and after those of the loop. What must not: what a signal does
to a pipeline (serving/service.py).

As the first process of a container (PID 1) a signal that nobody handles is ignored, so these handlers come before the
user's module does. Three phases. While the module is imported, a signal ends the import: `Told` is raised in it; the
third leaves at once, for a module that catches everything. From then to the first step of the loop a signal is only
noted: what is being set up there would be left half open. Whoever runs first in the loop asks `raise_if_told`: by then
the loop has handlers of its own, so no signal falls in between. When the command is over, those that were found are put
back; only PID 1 keeps a handler, or threads of the user's that do not end would make it deaf again.

SIGHUP, the end of the terminal, is passed on as SIGTERM, unless it is ignored (`nohup`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn, Self

from streamflow.engine.signals import HANDLED, may_handle, put_back

__all__ = ["Early", "Told"]

_THIRD = 3
_FIRST_PROCESS = 1


class Told(SystemExit):
    """A signal came before anything had begun; `number` is the first one."""

    def __init__(self, number: signal.Signals) -> None:
        """End the process as that signal does where nobody handles it."""
        super().__init__(128 + number)
        self.number = number


class Early:
    """The signals of a process before its event loop hears them.

    Example:
        with Early() as early:
            with early.interrupting():
                module = importlib.import_module(name)
            asyncio.run(main())             # whose first line is `early.raise_if_told()`
    """

    def __init__(self) -> None:
        """Install nothing yet."""
        self._told: list[signal.Signals] = []
        self._found: dict[signal.Signals, Any] = {}
        self._interrupting = False

    def __enter__(self) -> Self:
        """Install the handlers, where that can be."""
        if may_handle():
            self._found = {number: signal.signal(number, self._on_signal) for number in HANDLED}
            if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
                self._found[signal.SIGHUP] = signal.signal(signal.SIGHUP, _hang_up)
        return self

    def __exit__(self, *_error: object) -> None:
        """Put back what was found."""
        put_back(self._found)
        if self._found and os.getpid() == _FIRST_PROCESS:
            for number in self._found:
                signal.signal(number, _leave)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let a signal end the block by `Told`, also where something in it has caught that."""
        self._interrupting = True
        try:
            self.raise_if_told()
            yield
        finally:
            self._interrupting = False
            self.raise_if_told()

    def raise_if_told(self) -> None:
        """Raise `Told` if a signal has come."""
        if self._told:
            raise Told(self._told[0])

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._told.append(signal.Signals(number))
        if len(self._told) >= _THIRD:
            os._exit(128 + self._told[0])
        if self._interrupting:
            self.raise_if_told()


def _hang_up(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGTERM)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)
