"""Who takes part in `etl`, and what each needs to be there.

What lives here: the contenders and how they are started. What must not: the job itself (`etl_jobs`, `peers/etl/`).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.presence import built, has_library
from benchmarks.processes import ROOT, Process

__all__ = ["ARROW", "DICTS", "GO", "LISTS", "NODE", "NODE_OBJECTS", "PYTHON_DICTS", "PYTHON_LISTS", "Way", "found_ways"]

LISTS = "streamflow, rows as lists"
DICTS = "streamflow, rows as dictionaries"
ARROW = "streamflow, Arrow batches"
PYTHON_LISTS = "Python in one thread, `csv.reader`, `csv.writer`, `gzip`"
PYTHON_DICTS = "Python in one thread, `csv.DictReader`, `csv.DictWriter`, `gzip`"
GO = "Go, `encoding/csv`, `compress/gzip`, a goroutine per stage"
NODE = "Node.js, csv-parse, csv-stringify, zlib in `pipeline`"
NODE_OBJECTS = "the same with rows as objects"

_PEERS = Path(__file__).with_name("peers") / "etl"
_CACHE = ROOT / ".cache" / "bench" / "etl-node"


@dataclass(frozen=True, slots=True)
class Way:
    """One contender: the command that is followed by the input's and the output's path.

    Args:
        part: of how many rows it gets one; a slow contender gets a smaller file.
    """

    name: str
    command: tuple[str, ...]
    part: int = 1

    def process(self, source: Path, target: Path, rows: int) -> Process:
        """Return it as a process that handles these files."""
        return Process(self.name, [*self.command, str(source), str(target)], rows)


def found_ways() -> tuple[list[Way], list[str]]:
    """Return the contenders that can run here, and the names of what is not installed for the others."""
    ways = [Way(name, (sys.executable, "-m", "benchmarks.etl_jobs", job)) for name, job in _PYTHON.items()]
    missing = []
    if has_library("streamflow.formats.arrow") and has_library("pyarrow"):
        ways.insert(2, Way(ARROW, (sys.executable, "-m", "benchmarks.etl_jobs", "streamflow-arrow")))
    else:
        missing.append("pyarrow")
    program = built(_PEERS / "etl.go")
    if program is None:
        missing.append("go")
    else:
        ways.append(Way(GO, (program,)))
    node, script = shutil.which("node"), _with_packages()
    if node is None or script is None:
        missing.append("node")
    else:
        ways += [Way(NODE, (node, script, "lists"), 5), Way(NODE_OBJECTS, (node, script, "objects"), 5)]
    return ways, missing


_PYTHON = {
    LISTS: "streamflow-lists",
    DICTS: "streamflow-dicts",
    PYTHON_LISTS: "python-lists",
    PYTHON_DICTS: "python-dicts",
}


def _with_packages() -> str | None:
    """Install what package.json names beside a copy of the script; return its path, or `None` without npm."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    _CACHE.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "etl.mjs"):
        shutil.copy(_PEERS / name, _CACHE / name)
    command = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefer-offline"]
    installed = subprocess.run(command, cwd=_CACHE, capture_output=True, check=False)  # noqa: S603
    return str(_CACHE / "etl.mjs") if installed.returncode == 0 else None
