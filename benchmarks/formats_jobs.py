"""One run of one contender of `formats`: `python -m benchmarks.formats_jobs WORK SIDE FOLDER [--by-thread]`.

What lives here: streamflow's stages, each in the smallest pipeline there is (the chunks in memory, the stage, a sink
that counts), and the timing by the protocol of `processes.py`. What must not: the libraries' own loops
(`formats_bare.py`).

It warms up with the whole input, since a part of what is compressed cannot be read, checks how much came out, and tells
the median of three runs, since some take only some milliseconds. The start of the event loop is not counted.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import uvloop

from benchmarks.copying_profile import count_threads
from benchmarks.formats_bare import LOOPS
from benchmarks.formats_data import input_of

__all__ = ["WORKS", "Work", "main"]

_RUNS = 3


class Work(NamedTuple):
    """What one stage does.

    Args:
        kind: its input, as `formats_data.input_of` has it.
        stage: makes the stage, given streamflow.
        size: of an item of its output, `None` where items are counted.
        part: of how many rows it gets one; slow work gets fewer.
        threaded: whether streamflow does it in a thread.
    """

    kind: str
    stage: Callable[[Any], Any]
    size: Callable[[Any], int] | None = None
    part: int = 1
    threaded: bool = False

    def input(self, folder: Path) -> list[Any]:
        """Return the chunks or items."""
        return input_of(self.kind, folder / str(self.part))


def _rows(batch: Any) -> int:
    return cast("int", batch.num_rows)


WORKS = {
    "gzip-compress": Work("csv", lambda sf: sf.gzip.compress(), len, part=8, threaded=True),
    "gzip-compress-fast": Work("csv", lambda sf: sf.gzip.compress(1), len, threaded=True),
    "gzip-compress-ng": Work("csv", lambda sf: sf.gzip.compress(), len, part=8, threaded=True),
    "gzip-decompress": Work("gzip", lambda sf: sf.gzip.decompress(), len, threaded=True),
    "gzip-decompress-fast": Work("gzip", lambda sf: sf.gzip.decompress(), len, threaded=True),
    "csv-lists": Work("csv", lambda sf: sf.csv.parse(rows="lists"), part=16),
    "csv-dicts": Work("csv", lambda sf: sf.csv.parse(), part=32),
    "csv-format-lists": Work("lists", lambda sf: sf.csv.format(header=False), len, part=16),
    "csv-format-dicts": Work("dicts", lambda sf: sf.csv.format(), len, part=32),
    "json-parse": Work("jsonl", lambda sf: sf.json.parse_lines(), part=16),
    "json-format": Work("records", lambda sf: sf.json.format_lines(), len, part=16),
    "zstd-compress": Work("csv", lambda sf: sf.zstd.compress(), len, threaded=True),
    "zstd-decompress": Work("zstd", lambda sf: sf.zstd.decompress(), len, threaded=True),
    "arrow-csv": Work("csv", lambda sf: sf.arrow.parse_csv(), _rows, threaded=True),
}
"""The work by its name, which is also that of its loop."""


def _bare(work: str, items: list[Any]) -> tuple[int, dict[str, float]]:
    start = _clocks()
    return LOOPS[work](items), _since(start)


def _streamflow(work: str, items: list[Any]) -> tuple[int, dict[str, float]]:
    # Imported here: the extra has to be hidden before it, and a bare loop needs none of it.
    import streamflow as sf  # noqa: PLC0415

    _, stage, size, *_ = WORKS[work]

    async def run() -> tuple[int, dict[str, float]]:
        counted = (sf.count(),) if size is None else (sf.map(size), sf.sum())
        start = _clocks()
        return await sf.pipeline(items, stage(sf), *counted), _since(start)

    return uvloop.run(run())


def _clocks() -> dict[str, float]:
    return {"wall": time.perf_counter(), "processor": time.process_time(), "loop": time.thread_time()}


def _since(start: dict[str, float]) -> dict[str, float]:
    return {clock: now - start[clock] for clock, now in _clocks().items()}


def main() -> int:
    """Run what the arguments name, check its result, print its seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.formats_jobs", description="Do one work once.")
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("side", choices=["streamflow", "bare"])
    parser.add_argument("folder", type=Path, help="the inputs")
    parser.add_argument("--by-thread", action="store_true", help="count the time of each thread")
    options = parser.parse_args()
    if not options.work.endswith(("-fast", "-ng")):
        sys.modules |= dict.fromkeys(("isal", "zlib_ng"), cast("Any", None))  # as if they were not installed
    items = WORKS[options.work].input(options.folder)
    job = _bare if options.side == "bare" else _streamflow
    expected, _ = _bare(options.work, items)
    job(options.work, items)
    gc.collect()
    threads = count_threads() if options.by_thread else {}
    runs = [job(options.work, items) for _ in range(1 if options.by_thread else _RUNS)]
    # Compressed data may be larger or smaller by what a header or another block takes.
    most = expected // 100 + 64 if "-compress" in options.work else 0
    if wrong := {found for found, _ in runs if abs(found - expected) > most}:
        raise AssertionError(f"{options.work}: {options.side} made {wrong}, not {expected}")
    seconds = sorted((seconds for _, seconds in runs), key=lambda seconds: seconds["wall"])[len(runs) // 2]
    print(json.dumps({**seconds, "threads": threads}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
