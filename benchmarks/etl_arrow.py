"""The job `etl` with Arrow batches instead of rows: the same file in, the same file out.

What lives here: streamflow's way with pyarrow. What must not: the other ways (`etl_jobs`), comparing them (`etl`).

All columns are text, as they are for the others. gzip has two threads: it is the larger part of the work, and the other
stages leave room for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

import streamflow as sf
from benchmarks.etl_data import COLUMN, VALUE
from streamflow import files, gzip
from streamflow.formats import arrow

__all__ = ["run"]

_LEVEL = 6


async def run(source: Path, target: Path) -> int:
    """Do the job; return how many rows there were."""
    rows = 0

    def add(batch: Any) -> Any:
        nonlocal rows
        rows += batch.num_rows
        return batch.append_column(COLUMN, pa.repeat(VALUE, batch.num_rows))

    await sf.pipeline(
        files.read(source),
        arrow.parse_csv(infer=False),
        sf.map(add),
        arrow.format_csv(lineterminator="\n"),
        gzip.compress(_LEVEL, threads=2),
        # The others do not wait for the disk either.
        files.write(target, sync=False),
    )
    return rows
