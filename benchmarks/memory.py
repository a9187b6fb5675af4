"""Whether memory depends on the length of the stream: the main job with few rows and with ten times as many.

What lives here: running a command in a process of its own and asking the system for the most memory it ever held.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.tables import machine, table

__all__ = ["peak_of", "run"]

_GOAL = 10.0  # per cent
# The target is made as fast as it can be: a slow one gives the same peak later.
_JOB = ("-m", "streamflow", "demo", "--slow", "0", "--rows")


def peak_of(arguments: Sequence[str]) -> tuple[float, float]:
    """Run Python with these arguments; return the MiB it held at most and the seconds of processor time it took.

    Raises `RuntimeError` with what it wrote if it failed.
    """
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10  # there it is bytes, elsewhere KiB
    return usage.ru_maxrss / scale, usage.ru_utime + usage.ru_stime


def run(*, few: int = 200_000, many: int = 2_000_000) -> str:
    """Run the demo with few and with many rows; return the table and whether the peak stayed the same."""
    rows, peaks = [], []
    for count in (few, many):
        peak, seconds = peak_of([*_JOB, str(count)])
        peaks.append(peak)
        rows.append([f"{count:,} rows", f"{peak:.1f} MiB", f"{seconds:.1f} s"])
    growth = 100 * (peaks[1] / peaks[0] - 1)
    verdict = "kept" if abs(growth) <= _GOAL else "**missed**"
    return (
        f"`python {' '.join(_JOB)} N`: objects, CSV, a timestamp, CSV, gzip, objects; then the result is read back and "
        f"compared. {machine()}\n\n{table(['', 'peak memory', 'processor time'], rows)}\n\n"
        f"Ten times the rows, {growth:+.1f} % memory (promised: at most {_GOAL:.0f} % more or less): {verdict}."
    )
