"""Where the time of a copy goes: the processor's time of each thread, beside the time of the wall.

What lives here: counting by thread, and the table. What must not: the ways (see `copying_jobs.py`).

A pipeline is as fast as its busiest thread, if there is a core for each. A thread that is busy all the time is the
limit; where none is, the time goes to waiting: for the disk, for each other, or for a core.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping

from benchmarks.processes import ROOT, Process
from benchmarks.tables import table

__all__ = ["by_thread", "count_threads"]

_LOOP = "the event loop"


def count_threads() -> Mapping[str, float]:
    """Count from now on; return a mapping to which each thread adds its seconds as it ends, under its name."""
    spent: dict[str, float] = defaultdict(float)
    real = threading.Thread.run

    def run(self: threading.Thread) -> None:
        try:
            real(self)
        finally:
            spent[self.name.rpartition("_")[0] or self.name] += time.thread_time()

    threading.Thread.run = run  # type: ignore[method-assign]  # the only place every thread passes
    return spent


def by_thread(ways: Mapping[str, Process]) -> str:
    """Run each way once, with `--by-thread`; return a table of how busy its threads were."""
    return table(["", "thread", "busy"], [row for name, way in ways.items() for row in _rows(name, way)])


def _rows(name: str, way: Process) -> list[list[str]]:
    command = [*way.command, "--by-thread"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    found = json.loads(ended.stdout.splitlines()[-1])
    threads = {_LOOP: found["loop"], **found["threads"]}
    rows = [["", thread, f"{100 * spent / found['wall']:.0f} %"] for thread, spent in threads.items()]
    rows[0][0] = name
    return rows
