"""The incident as a job: a CSV file, parsed, a column added, formatted, gzipped at level 6, into a file (work 4).

What lives here: the comparison, the goals, and the check of what each contender wrote. What must not: the contenders
(`etl_ways`), the job (`etl_jobs`, `etl_arrow`, `peers/etl/`), the rows (`etl_data`).

A contender whose output lacks a row is no contender: after the rounds everything is decompressed by the standard
library and compared with what was to be written, row by row. How much each output weighs stands beside its time, since
gzip libraries mean different things by level 6.
"""

from __future__ import annotations

import csv
import gzip
import tempfile
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from benchmarks.etl_data import COLUMN, HEADER, VALUE, rows_of, write_input
from benchmarks.etl_floor import deflating
from benchmarks.etl_ways import (
    ARROW,
    DICTS,
    GO,
    LISTS,
    NODE,
    NODE_OBJECTS,
    PYTHON_DICTS,
    PYTHON_LISTS,
    Way,
    found_ways,
)
from benchmarks.goals import Goal, judged
from benchmarks.memory import peak_of
from benchmarks.presence import absent
from benchmarks.processes import Times, race
from benchmarks.results import Ratio, Result
from benchmarks.tables import machine, table
from streamflow.formats.deflate_library import for_compression

__all__ = ["GOALS", "run"]

_LEVEL = 6
_MEBIBYTE = 1 << 20
_MOST_MEMORY, _MOST_GROWTH = 100.0, 1.1

GOALS = [
    Goal("etl.lists/node", "rows as lists / Node.js", LISTS, NODE, at_most=0.1),
    Goal("etl.lists/go", "rows as lists / Go", LISTS, GO, at_most=1.0),
    Goal("etl.lists/python", "rows as lists / `csv` and `gzip` in one thread", LISTS, PYTHON_LISTS, at_most=1.0),
    Goal("etl.dicts/python", "rows as dictionaries / `DictReader` and `gzip`", DICTS, PYTHON_DICTS, at_most=0.667),
    Goal("etl.dicts/go", "rows as dictionaries / Go", DICTS, GO, at_most=1.3),
    Goal("etl.dicts/node", "rows as dictionaries / Node.js, objects", DICTS, NODE_OBJECTS),
    Goal("etl.arrow/go", "Arrow batches / Go", ARROW, GO, at_most=0.333),
]
"""The ratios of wall times; those of memory are added by `run`."""


def run(*, rows: int = 1_000_000, rounds: int = 5, growth: int = 10) -> Result:
    """Race all that is installed here, check what they wrote, and ask for the memory with `growth` times the rows."""
    ways, missing = found_ways()
    with tempfile.TemporaryDirectory(prefix="etl-") as name:
        folder = Path(name)
        times = _raced(ways, folder, rows, rounds)
        sizes = [_checked(_target(folder, at), rows // way.part) for at, way in enumerate(ways)]
        alone = deflating(_target(folder, 0), _LEVEL) / rows * 1e9
        peaks = _peaks(folder, rows, growth)
    size = sizes[0][1] / _MEBIBYTE
    head = (
        f"{rows:,} rows (Node.js: a fifth of them) of {size:.0f} MiB as they are written, median of {rounds} rounds. "
        f"{machine()} gzip at level {_LEVEL} is {_library()} in streamflow, zlib {zlib.ZLIB_RUNTIME_VERSION} in the "
        f"standard library, Go's own in Go, and Node.js's copy of zlib there."
    )
    memory = _memory_table(rows, growth, peaks)
    parts = [head, _table(ways, times, sizes), _floor(alone, times), memory, absent(missing)]
    return Result("\n\n".join(filter(None, parts)), [*judged(GOALS, times), *_memory_ratios(growth, peaks)])


def _library() -> str:
    library = for_compression(_LEVEL)
    return "the same zlib" if library is zlib else f"`{library.__name__}`"


# --- speed -----------------------------------------------------------------------------------------------------------


def _target(folder: Path, at: int) -> Path:
    return folder / f"{at}.csv.gz"


def _raced(ways: Sequence[Way], folder: Path, rows: int, rounds: int) -> dict[str, Times]:
    for part in {way.part for way in ways}:
        write_input(folder / f"{part}.csv", rows // part)
    processes = [
        way.process(folder / f"{way.part}.csv", _target(folder, at), rows // way.part) for at, way in enumerate(ways)
    ]
    return race(processes, rounds=rounds)


def _checked(path: Path, rows: int) -> tuple[int, int]:
    """Compare a result row by row with what it should be; return the bytes of the file and of what is in it."""
    wanted = chain([[*HEADER, COLUMN]], ([*row, VALUE] for row in rows_of(rows)))
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        for number, (found, right) in enumerate(zip(csv.reader(text), wanted, strict=True)):
            if found != right:
                raise AssertionError(f"{path.name}: row {number} is {found}, not {right}")
        return path.stat().st_size, text.buffer.tell()


def _table(ways: Sequence[Way], times: dict[str, Times], sizes: Sequence[tuple[int, int]]) -> str:
    lines = []
    for way, (packed, _) in zip(ways, sizes, strict=True):
        took = times[way.name]
        cells = [f"{took.median / 1e3:.2f} µs", took.spread, f"{took.cores:.1f}"]
        lines.append([way.name, *cells, f"{packed * way.part / _MEBIBYTE:.1f} MiB"])
    return table(["", "a row, by the wall", "spread", "cores", "output"], lines)


def _floor(alone: float, times: dict[str, Times]) -> str:
    """Say how fast it could be if there were nothing but gzip, divided over two cores without loss."""
    both = alone / 2
    beside = f", {both / times[GO].median:.2f} of Go's time" if GO in times else ""
    text = f"Deflating alone takes {alone / 1e3:.2f} µs a row; spread over two cores without loss {both / 1e3:.2f} µs"
    return f"{text}{beside}."


# --- memory ----------------------------------------------------------------------------------------------------------


def _peaks(folder: Path, rows: int, growth: int) -> dict[str, tuple[float, float]]:
    """Return the MiB that each row path of streamflow held at most, with few rows and with many."""
    few, many, target = folder / "1.csv", folder / "many.csv", folder / "memory.csv.gz"
    write_input(many, rows, times=growth)
    return {
        name: (_peak(job, few, target), _peak(job, many, target))
        for name, job in ((LISTS, "streamflow-lists"), (DICTS, "streamflow-dicts"))
    }


def _peak(job: str, source: Path, target: Path) -> float:
    return peak_of(["-m", "benchmarks.etl_jobs", job, str(source), str(target)])[0]


def _memory_table(rows: int, growth: int, peaks: dict[str, tuple[float, float]]) -> str:
    lines = [[name, *(f"{peak:.0f} MiB" for peak in both)] for name, both in peaks.items()]
    return table(["most memory held", f"{rows:,} rows", f"{rows * growth:,} rows"], lines)


def _memory_ratios(growth: int, peaks: dict[str, tuple[float, float]]) -> list[Ratio]:
    grown = max(many / few for few, many in peaks.values())
    most = max(max(both) for both in peaks.values())
    return [
        Ratio("etl.memory/growth", f"most memory with {growth} times the rows / with few", grown, at_most=_MOST_GROWTH),
        Ratio("etl.memory/limit", "most memory of the row path / 100 MiB", most / _MOST_MEMORY, at_most=1.0),
    ]
