"""The job that streamflow was made for: objects, CSV, add a timestamp, CSV, gzip, objects that are slow; and its proof.

What lives here: the job, in the order in which a person sees it: rows are made, the plan is printed, the job runs and
is watched, the result is read back and compared, the report is printed. What must not: drawing (live.py, summary.py),
the comparison (verify.py), the meaning of exit codes (main.py).

The embedded store is a directory of files behind `file://` URLs, made for the run and removed after it: a store in
memory would grow with the number of rows, and then the report could not show that the job does not.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from streamflow.cli.layout import wrap
from streamflow.cli.live import view_for, watch
from streamflow.cli.machine import peak_memory
from streamflow.cli.orders import COLUMNS, orders
from streamflow.cli.output import Output
from streamflow.cli.summary import plan, report
from streamflow.cli.verify import Verdict, verify
from streamflow.errors import CommitUnknown, FormatError, StreamflowError
from streamflow.formats import csv, gzip
from streamflow.makers import stage
from streamflow.places import objects
from streamflow.places.urls import redact
from streamflow.places.written import Written
from streamflow.stages import Sink, Source
from streamflow.streams import Pipeline

__all__ = ["COLUMN", "Options", "add_timestamp", "demo", "slowed"]

R = TypeVar("R")
Row = dict[str, Any]

COLUMN = "processed_at"
"""The column the job adds."""

ROWS = 50_000
_UNIT = 64 * 1024  # bytes of which --slow says how long they take
_SLOW = 0.2  # seconds: with 50,000 rows about 6 seconds in all
_SHOWN = (64 * 1024, 128 * 1024)  # bytes of a block and of a channel at a slow target: small, so that they can be seen
_FAST = (256 * 1024, 1024 * 1024)
_REPORT_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for.

    Args:
        rows: how many rows to make, when there is no `source`.
        source: the URL of the CSV object to read, gzipped if it ends in `.gz`.
        target: the URL of the object to write; `None` writes to the embedded store, which is removed at the end.
        slow: seconds that the target takes for each 64 KiB; `None` chooses.
        breaks: the row at which the job breaks on purpose.
    """

    rows: int = ROWS
    source: str | None = None
    target: str | None = None
    slow: float | None = None
    breaks: int | None = None

    @property
    def pace(self) -> float:
        """Seconds for 64 KiB. Unless told otherwise, made rows take some 6 seconds in all; own data none."""
        if self.slow is not None:
            return self.slow
        return 0.0 if self.source else _SLOW * min(1.0, ROWS / self.rows)


async def demo(options: Options, output: Output) -> bool:
    """Run the job and prove it; return whether what was written is what was read.

    Raises what the job raises, with a note that says what became of the target. Cancellation: nothing half-written is
    left, and the embedded store is removed.
    """
    with tempfile.TemporaryDirectory(prefix="streamflow-demo-") as folder:
        store = Path(folder)
        source = options.source or await _made(store / "orders.csv", options.rows, output)
        target = options.target or (store / "orders-stamped.csv.gz").as_uri()
        job = _job(source, target, options)
        output.write(["", *plan(job.explain(), output.width), ""])
        await _moved(job, target, output, 0 if options.source else options.rows)
        output.write(wrap("Reading source and result back with the standard library alone ...", output.width))
        verdict = await verify(source, target, COLUMN)
    _reported(job, verdict, options, output)
    return verdict.same and job.report.stats.balanced


async def _made(path: Path, rows: int, output: Output) -> str:
    """Put the rows into the embedded store: itself a small pipeline, so ten million of them take no memory."""
    output.write(wrap(f"Making {rows:,} orders, with quotes, newlines and non-ASCII in them ...", output.width))
    made: Source[Row] = Source(lambda: orders(rows), name="orders", synchronous=True)
    job = Pipeline[Written](made, csv.format(header=COLUMNS), objects.write(path.as_uri()), name="make")
    await watch(job, view_for(output, rows))
    return path.as_uri()


def _job(source: str, target: str, options: Options) -> Pipeline[Written]:
    unzip = [gzip.decompress()] if source.endswith(".gz") else []
    block, max_bytes = _SHOWN if options.pace else _FAST
    return Pipeline(
        replace(objects.read(source, block=block), name=f"objects.read({redact(source)})"),
        *unzip,
        csv.parse(),
        add_timestamp(options.breaks),
        csv.format(),
        gzip.compress(),
        replace(slowed(objects.write(target), options.pace), name=f"objects.write({redact(target)})"),
        name="demo",
        max_bytes=max_bytes,
    )


@stage
async def add_timestamp(rows: AsyncIterable[Row], breaks: int | None = None) -> AsyncGenerator[Row, None]:
    """Add the time to each row. Raises `FormatError` if there is such a column, and at the row `breaks` on purpose."""
    number = 0
    async for row in rows:
        number += 1
        if number == 1 and COLUMN in row:
            raise FormatError(f"the source has a column {COLUMN!r} already, which the job would overwrite")
        if number == breaks:
            raise RuntimeError(f"row {number:,}: broken on purpose (--break)")
        row[COLUMN] = datetime.now(UTC).isoformat(timespec="milliseconds")
        yield row


def slowed(sink: Sink[bytes, R], pace: float) -> Sink[bytes, R]:
    """Return the sink as it would be at a slow store: each 64 KiB take `pace` seconds longer, without blocking."""
    if not pace:
        return sink

    async def function(items: AsyncIterable[bytes]) -> R:
        async with aclosing(_paced(items, pace)) as paced:
            return await sink.function(paced)

    return replace(sink, function=function)


async def _paced(items: AsyncIterable[bytes], pace: float) -> AsyncGenerator[bytes, None]:
    async for item in items:
        await asyncio.sleep(pace * len(item) / _UNIT)
        yield item


async def _moved(job: Pipeline[Written], target: str, output: Output, expected: int) -> None:
    before = await _there(target)
    try:
        await watch(job, view_for(output, expected))
    except (CommitUnknown, asyncio.CancelledError):
        raise
    except Exception as error:
        error.add_note(await _what_is_left(target, before=before))
        raise


async def _there(target: str) -> bool | None:
    """Whether there is such an object; `None` if the store does not say."""
    try:
        return await objects.exists(target)
    except (OSError, StreamflowError):
        return None


async def _what_is_left(target: str, *, before: bool | None) -> str:
    """Say what a failed run left at the target: P6 promises nothing, and the store is asked."""
    name, after = redact(target), await _there(target)
    if after is False:
        return f"nothing was written: there is no object {name}"
    if after and before:
        return f"nothing was written: {name} is what it was before"
    return f"what became of {name} is not known: the store does not say"


def _reported(job: Pipeline[Written], verdict: Verdict, options: Options, output: Output) -> None:
    width = min(output.width, _REPORT_WIDTH)
    output.write(["", *report(job.report, verdict, peak_memory(), width)])
    if options.pace and not options.slow:
        output.write(wrap("(The target is slow on purpose; --slow 0 makes it as fast as it can be.)", width))
    if options.target:
        output.write(["", "The result:", redact(options.target)])  # never broken, so that it can be copied
