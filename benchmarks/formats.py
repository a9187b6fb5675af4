"""What a stage costs beside the bare library: each in the smallest pipeline there is, and the library's own loop.

What lives here: who is compared with whom, the goals, and the tables. What must not: the ways, which are in
`formats_jobs.py` (streamflow) and `formats_bare.py` (the loops), and the data (`formats_data.py`).

Both sides are given the same chunks in memory, of 1 MiB, and drop what comes out. So nothing is measured but the work
itself and what streamflow adds to it: the hop to a thread where it takes one, the cutting of output into pieces, the
checks that a library does not make.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from benchmarks.copying_profile import by_thread
from benchmarks.formats_data import write_inputs, zstd
from benchmarks.formats_jobs import WORKS
from benchmarks.goals import Goal, judged
from benchmarks.presence import absent
from benchmarks.processes import Process, Times, race
from benchmarks.results import Result
from benchmarks.tables import machine, table

__all__ = ["run"]

_MIB = 1 << 20
_LEAST = 0.85


class _Pair(NamedTuple):
    """A stage and the loop beside it.

    Args:
        goal: the least throughput of the stage by that of the loop; `None`: it is only told.
        needs: the library that may be missing.
    """

    stage: str
    loop: str
    goal: float | None = None
    needs: str = ""


_PAIRS = {
    "gzip-compress": _Pair("`gzip.compress()`", "`zlib.compressobj`", _LEAST),
    "gzip-compress-fast": _Pair(
        "`gzip.compress(1)` with the extra `fast`", "`isal_zlib.compressobj(1)`", _LEAST, "isal"
    ),
    "gzip-compress-ng": _Pair("`gzip.compress()` with the extra `fast`", "`zlib_ng.compressobj`", _LEAST, "zlib_ng"),
    "gzip-decompress": _Pair("`gzip.decompress()`", "`zlib.decompressobj`", _LEAST),
    "gzip-decompress-fast": _Pair(
        "`gzip.decompress()` with the extra `fast`", "`isal_zlib.decompressobj`", _LEAST, "isal"
    ),
    "csv-lists": _Pair('`csv.parse(rows="lists")`', "`csv.reader`", _LEAST),
    "csv-dicts": _Pair("`csv.parse()`", "`csv.DictReader`", _LEAST),
    "csv-format-lists": _Pair("`csv.format()` of lists", "`csv.writer`", _LEAST),
    "csv-format-dicts": _Pair("`csv.format()` of dictionaries", "`csv.DictWriter`", _LEAST),
    "json-parse": _Pair("`json.parse_lines()`", "msgspec's `decode_lines`", None, "msgspec"),
    "json-format": _Pair("`json.format_lines()`", "msgspec's `encode_lines`", None, "msgspec"),
    "zstd-compress": _Pair("`zstd.compress()`", "`ZstdCompressor`", None, "backports.zstd"),
    "zstd-decompress": _Pair("`zstd.decompress()`", "`ZstdDecompressor`", None, "backports.zstd"),
    "arrow-csv": _Pair("`arrow.parse_csv()`", "`pyarrow.csv.open_csv`", None, "pyarrow"),
}

# A goal divides times. The throughput of a stage over that of the loop is the time of the loop over the stage's.
_GOALS = [
    Goal(f"formats.{work}/bare", f"throughput of {pair.stage} / {pair.loop}", pair.loop, pair.stage, at_least=pair.goal)
    for work, pair in _PAIRS.items()
]


def run(*, rows: int = 1_600_000, rounds: int = 5) -> Result:
    """Race each stage with its loop; return the table, what their threads did, and the ratios."""
    here = {work: pair for work, pair in _PAIRS.items() if _installed(pair.needs)}
    with tempfile.TemporaryDirectory(prefix="streamflow-formats-") as directory:
        folder = Path(directory)
        for part in {WORKS[work].part for work in here}:
            write_inputs(folder / str(part), rows // part)
        times = {work: race(_both(work, folder), rounds=rounds) for work in here}
        busy = by_thread({here[work].stage: _both(work, folder)[1] for work in here if WORKS[work].threaded})
        size = (folder / "1" / "rows.csv").stat().st_size
    parts = sorted({WORKS[work].part for work in here})
    fewer = " and ".join(f"1/{part}" for part in parts if part > 1)
    head = f"{rows:,} rows, {size / _MIB:.0f} MiB of CSV (slow work: {fewer} of it), median of {rounds} rounds."
    missing = absent(dict.fromkeys(pair.needs for pair in _PAIRS.values() if not _installed(pair.needs)))
    together = {name: found for both in times.values() for name, found in both.items()}
    text = "\n\n".join(filter(None, [f"{head} {machine()}", _table(times), busy, missing]))
    return Result(text, [replace(ratio, more_is_better=True) for ratio in judged(_GOALS, together)])


def _installed(library: str) -> bool:
    return zstd() is not None if library == "backports.zstd" else not library or find_spec(library) is not None


def _both(work: str, folder: Path) -> list[Process]:
    return [_process(work, side, folder) for side in ("bare", "streamflow")]


def _process(work: str, side: str, folder: Path) -> Process:
    pair, done = _PAIRS[work], WORKS[work]
    command = [sys.executable, "-m", "benchmarks.formats_jobs", work, side, str(folder)]
    # Both sides by the same clock: a thread may have to wait for a core, so there it is that of the wall.
    return Process(pair.stage if side == "streamflow" else pair.loop, command, 1, waits=done.threaded)


def _table(times: Mapping[str, Mapping[str, Times]]) -> str:
    lines = []
    for both in times.values():
        bare = next(iter(both.values()))
        lines += [
            [
                name,
                f"{found.median / 1e6:.1f} ms",
                f"{bare.median / found.median:.2f}x",
                f"{found.cores:.1f}",
                found.spread,
            ]
            for name, found in both.items()
        ]
    return table(["the loop, then the stage", "time", "throughput", "cores", "spread"], lines)
