"""Whether memory depends on the length of the stream: the main job with few rows and with ten times as many.

What lives here: running a command in a process of its own and asking the system for the most memory it ever held.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Ratio, Result
from benchmarks.tables import machine, table

__all__ = ["peak_of", "run"]

_GOAL = 1.1
# The target is made as fast as it can be: a slow one gives the same peak later.
_JOB = ("-m", "streamflow", "demo", "--slow", "0", "--rows")


def peak_of(arguments: Sequence[str]) -> tuple[float, float]:
    """Run Python with these arguments; return the MiB it held at most and the seconds of processor time it took.

    Raises `RuntimeError` with what it wrote if it failed.
    """
    peak = Path(__file__).with_name("peak.py")
    command = [sys.executable, "-I", "-S", str(peak), sys.executable, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {ended.returncode}:\n{ended.stderr}")
    kib, seconds = ended.stdout.split()
    return int(kib) / 1024, float(seconds)


def run(*, few: int = 200_000, many: int = 2_000_000) -> Result:
    """Run the demo with few and with many rows; the ratio says whether the peak stayed the same."""
    rows, peaks = [], []
    for count in (few, many):
        peak, seconds = peak_of([*_JOB, str(count)])
        peaks.append(peak)
        rows.append([f"{count:,} rows", f"{peak:.1f} MiB", f"{seconds:.1f} s"])
    text = (
        f"`python {' '.join(_JOB)} N`: objects, CSV, a timestamp, CSV, gzip, objects; then the result is read back and "
        f"compared. {machine()}\n\n{table(['', 'peak memory', 'processor time'], rows)}"
    )
    what = f"peak memory of {many:,} rows / of {few:,}"
    return Result(text, [Ratio("memory.many/few", what, peaks[1] / peaks[0], at_most=_GOAL)])
