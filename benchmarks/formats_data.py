"""What the benchmark `formats` reads: files made once, and the same chunks in memory for every contender.

What lives here: writing the files, cutting them into chunks, items to be written. What must not: the ways. The rows are
those of the job `etl`: 41 bytes each, one in five with a field in quotes.
"""

from __future__ import annotations

import csv
import gzip
import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.etl_data import HEADER, rows_of, write_input

__all__ = ["CHUNK", "input_of", "write_inputs", "zstd"]

CHUNK = 1 << 20
"""Bytes of a chunk: what `files.read` and `objects.read` give."""

_CSV, _GZIP, _ZSTD, _LINES = "rows.csv", "rows.csv.gz", "rows.csv.zst", "rows.jsonl"


def zstd() -> Any:
    """Return the zstd of the standard library, or its copy for older ones; `None` where neither is installed."""
    for package, name in (("compression", "compression.zstd"), ("backports", "backports.zstd")):
        if find_spec(package) and find_spec(name):
            return import_module(name)
    return None


def write_inputs(folder: Path, rows: int) -> None:
    """Write the rows into a new folder: as CSV, compressed in both ways, and as JSON Lines."""
    folder.mkdir()
    write_input(folder / _CSV, rows)
    data = (folder / _CSV).read_bytes()
    (folder / _GZIP).write_bytes(gzip.compress(data, 6, mtime=0))
    if (library := zstd()) is not None:
        (folder / _ZSTD).write_bytes(library.compress(data))
    with (folder / _LINES).open("w", encoding="utf-8") as file:
        for row in rows_of(rows):
            file.write(json.dumps(_record(row), ensure_ascii=False, separators=(",", ":")) + "\n")


def input_of(kind: str, folder: Path) -> list[Any]:
    """Return what a contender is given: chunks of `csv`, `gzip`, `zstd` or `jsonl`, or `lists`, `dicts`, `records`."""
    if kind in _FILES:
        data = (folder / _FILES[kind]).read_bytes()
        return [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
    if kind == "records":
        return [json.loads(line) for line in (folder / _LINES).read_text("utf-8").split("\n") if line]
    with (folder / _CSV).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file) if kind == "dicts" else csv.reader(file))


_FILES = {"csv": _CSV, "gzip": _GZIP, "zstd": _ZSTD, "jsonl": _LINES}


def _record(row: list[str]) -> dict[str, Any]:
    return dict(zip(HEADER, row, strict=True)) | {"id": int(row[0]), "cents": int(row[3])}
