"""What runs in a worker process of `map(processes=n)`.

What lives here: the two functions that the pool calls there. What must not: anything of the parent's side (workers.py).

Items and results travel as bytes that are pickled and unpickled here, not by the pool: what fails in that is then the
error of one call. In the pool's own hands an exception that cannot be unpickled ends the whole pool (H99).
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from importlib import import_module
from typing import Any

from streamflow.errors import StageError

__all__ = ["IGNORED", "call_pickled", "prepare"]

IGNORED = (signal.SIGINT, signal.SIGTERM)
"""The signals that are the parent's to answer."""

_here: dict[str, Any] = {}


def prepare(fn: bytes) -> None:
    """Start of a process: remember the function, still pickled, so that a failing import is a failing call."""
    # Ctrl-C reaches every process of a terminal, SIGTERM those of a service (systemd); it is the parent that ends us.
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)  # held back until here
    threading.Thread(target=_end_with_parent, name="streamflow: end with the parent", daemon=True).start()
    _here["pickled"] = fn


def _end_with_parent() -> None:
    """A parent that was killed tells nobody, and its workers would wait for their next call for ever."""
    parent = import_module("multiprocessing").parent_process()  # here in the worker it is there; elsewhere it is big
    if parent is not None:
        parent.join()
        os._exit(1)


def call_pickled(data: bytes) -> bytes:
    """Call the function with a pickled item and return the pickled result."""
    try:
        if "fn" not in _here:
            _here["fn"] = pickle.loads(_here["pickled"])  # noqa: S301  # from the parent, over its own pipe
        return _dumped(_here["fn"](pickle.loads(data)))  # noqa: S301
    except Exception as error:
        if _survives(error):
            raise
        raise StageError(f"{type(error).__name__}: {error} (the exception itself cannot be pickled)") from error


def _dumped(result: Any) -> bytes:
    try:
        return pickle.dumps(result)
    except Exception as error:
        raise StageError(
            f"a result cannot be sent back from its process: a {type(result).__name__} cannot be pickled ({error}). "
            f"Return plain data, or write threads= instead, which share everything."
        ) from error


def _survives(error: Exception) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)  # noqa: S301  # our own, just made
    except Exception:  # noqa: BLE001  # whatever its own `__reduce__` or `__init__` raises
        return False
