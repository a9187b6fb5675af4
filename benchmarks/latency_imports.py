"""How long an import takes: a process of its own each time, with the compiled files in place.

What lives here: asking such processes. What must not: what is done with the numbers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["milliseconds_of_imports"]

_STATEMENTS = {
    "`streamflow`": "import streamflow",
    "with all formats and places": "from streamflow import csv, files, gzip, objects, processes, text",
    "`anyio`, which it needs": "import anyio; anyio.CancelScope",
    "`asyncio` itself, from nothing": "",
}


def milliseconds_of_imports(times: int) -> dict[str, list[float]]:
    """Import each so many times, in turns, after once that compiles it."""
    found: dict[str, list[float]] = {name: [] for name in _STATEMENTS}
    with TemporaryDirectory() as cache:
        for number in range(times + 1):
            for name, statement in _STATEMENTS.items():
                milliseconds = _once(statement, cache)
                if number:
                    found[name].append(milliseconds)
    return found


def _once(statement: str, cache: str) -> float:
    before, timed = ("asyncio, time", statement) if statement else ("time", "import asyncio")
    code = f"import {before}\nstart = time.perf_counter()\n{timed}\nprint(1e3 * (time.perf_counter() - start))"
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": cache, "PYTHONPATH": str(Path(__file__).parent.parent)}
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)  # noqa: S603
    return float(ended.stdout)
