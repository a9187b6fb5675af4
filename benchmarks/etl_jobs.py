"""The job `etl` in Python, each way in a process of its own: `python -m benchmarks.etl_jobs WAY INPUT OUTPUT`.

What lives here: streamflow's ways over rows and those of the standard library in one thread. What must not: Arrow
batches (`etl_arrow`), comparing them (`etl`).

Each prints the seconds that the job took in the form that `processes.py` reads; imports and the start of the
interpreter are not counted.
"""

from __future__ import annotations

import csv
import gzip
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import uvloop

import streamflow as sf
from benchmarks.etl_data import COLUMN, HEADER, VALUE
from streamflow import files

__all__ = ["WAYS"]

_LEVEL = 6


def _longer_list(row: list[str]) -> list[str]:
    row.append(VALUE)
    return row


def _longer_dict(row: dict[str, str]) -> dict[str, str]:
    row[COLUMN] = VALUE
    return row


async def _flow(source: Path, target: Path, parse: Any, add: Callable[[Any], Any], write: Any) -> None:
    await sf.pipeline(
        # The others do not wait for the disk either.
        files.read(source),
        parse,
        sf.map(add),
        write,
        sf.gzip.compress(_LEVEL, threads=2),
        files.write(target, sync=False),
    )


def _streamflow_lists(source: Path, target: Path) -> None:
    parse, write = sf.csv.parse(rows="lists"), sf.csv.format(header=[*HEADER, COLUMN], lineterminator="\n")
    uvloop.run(_flow(source, target, parse, _longer_list, write))


def _streamflow_dicts(source: Path, target: Path) -> None:
    parse, write = sf.csv.parse(), sf.csv.format(lineterminator="\n")
    uvloop.run(_flow(source, target, parse, _longer_dict, write))


def _python_lists(source: Path, target: Path) -> None:
    with (
        source.open(encoding="utf-8", newline="") as rows,
        gzip.open(target, "wt", _LEVEL, encoding="utf-8", newline="") as out,
    ):
        reader = csv.reader(rows)
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([*next(reader), COLUMN])
        for row in reader:
            row.append(VALUE)
            writer.writerow(row)


def _python_dicts(source: Path, target: Path) -> None:
    with (
        source.open(encoding="utf-8", newline="") as rows,
        gzip.open(target, "wt", _LEVEL, encoding="utf-8", newline="") as out,
    ):
        reader = csv.DictReader(rows)
        writer = csv.DictWriter(out, [*(reader.fieldnames or ()), COLUMN], lineterminator="\n")
        writer.writeheader()
        for row in reader:
            row[COLUMN] = VALUE
            writer.writerow(row)


def _streamflow_arrow(source: Path, target: Path) -> None:
    # Imported here, since the others must not depend on pyarrow, nor hold its memory.
    uvloop.run(import_module("benchmarks.etl_arrow").run(source, target))


WAYS: dict[str, Callable[[Path, Path], None]] = {
    "streamflow-lists": _streamflow_lists,
    "streamflow-dicts": _streamflow_dicts,
    "streamflow-arrow": _streamflow_arrow,
    "python-lists": _python_lists,
    "python-dicts": _python_dicts,
}
"""The job as a function of two paths, by the name it has on the command line."""


def main(way: str, source: str, target: str) -> None:
    """Do the job once and print the seconds it took."""
    wall, processor = time.perf_counter(), time.process_time()
    WAYS[way](Path(source), Path(target))
    print(json.dumps({"wall": time.perf_counter() - wall, "processor": time.process_time() - processor}))


if __name__ == "__main__":
    main(*sys.argv[1:])
