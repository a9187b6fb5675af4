"""Where the time goes: streamflow's own contenders of `hops` and `cmap` under a sampling profiler.

What lives here: running py-spy and summing up its samples. What must not: conclusions; they stand in the docs.

py-spy looks at the running process from outside, 200 times a second, so that what is measured runs as it always does. A
sample counts for the Python function that was running; what C did on its behalf (`map`, `filter`, the extension, the
selector) counts for the Python function that called it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from benchmarks.hops_ways import WAYS, contenders
from benchmarks.presence import absent
from benchmarks.processes import Process, python
from benchmarks.results import Result
from benchmarks.tables import machine, table

__all__ = ["run", "shares"]

_RATE = 200
_SHOWN = 5
_TIMED = "timed.<locals>.run"


def run(*, items: int = 5_000_000) -> Result:
    """Profile every way of streamflow; the table names the functions that take most."""
    profiler = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if profiler is None:
        return Result(absent(["py-spy"]))
    rows = [[_named(one), *_top(_samples(profiler, one))] for one in _subjects(items)]
    text = f"Samples of py-spy, {_RATE} a second, per cent of the run. {machine()}"
    return Result(f"{text}\n\n{table(['', 'where it is'], rows)}")


def _subjects(items: int) -> Iterable[Process]:
    ours = [way for way in WAYS if way.name.startswith("streamflow")]
    for one in contenders(items, ours):
        if one.name.endswith(("|16|", "|1024|")):
            yield one
    yield python("`sf.map(call, concurrency=32)`||", "benchmarks.cmap:mapped", items // 10, 32)


def _named(one: Process) -> str:
    way, size, _ = one.name.split("|")
    return f"{way}, {int(size):,} items" if size else way


def _samples(profiler: str, one: Process) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder, "samples")
        options = ["--rate", str(_RATE), "--format", "raw", "--output", str(found)]
        command = [profiler, "record", *options, "--", *one.command]
        ended = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=False, env=one.whole_environment
        )
        if not found.exists():
            raise RuntimeError(f"py-spy ended with {ended.returncode}:\n{ended.stderr}")
        return found.read_text(encoding="utf-8").splitlines()


def shares(samples: Iterable[str]) -> list[tuple[str, float]]:
    """The share of each function in the samples `frame;frame;... count` that lie within the timed run, most first."""
    counted: Counter[str] = Counter()
    for line in samples:
        stack, _, number = line.rpartition(" ")
        if _TIMED in stack.rpartition(";")[0]:  # not what it does itself: it collects the garbage before
            counted[_function(stack.rpartition(";")[2])] += int(number)
    return [(name, number / counted.total()) for name, number in counted.most_common()]


def _function(frame: str) -> str:
    """`fill (streamflow/engine/writer.py:120)` as `writer.fill`; what lies in the file of a rival is the user's."""
    name, _, place = frame.partition(" (")
    module = Path(place.partition(":")[0].rstrip(")")).stem
    return f"{'the user' if module == 'rivals' else module}: {name.rpartition('.')[2]}"


def _top(samples: Iterable[str]) -> list[str]:
    return [", ".join(f"{share:.0%} {name}".replace("%", " %") for name, share in shares(samples)[:_SHOWN])]
