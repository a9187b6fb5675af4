"""Gzipped CSV to typed rows to Parquet: what is text becomes numbers and dates, and a bad row is named, not guessed.

    python examples/typed_rows.py

`rows=Order` makes each row an `Order`. A row that is none is an error with its line; here it goes to a list instead,
and everything else goes on.
"""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import streamflow as sf


@dataclass
class Order:
    """A row of the file."""

    id: int
    day: date
    cents: int


async def main(folder: Path) -> None:
    """Write a file with one bad row in it, then turn it into Parquet."""
    rows = [{"id": n, "day": "2026-11-23", "cents": n * 100} for n in range(1000)]
    rows[500]["cents"] = "oops"
    await sf.pipeline(rows, sf.write(folder / "orders.csv.gz"))

    rejected: list[object] = []
    written = await sf.pipeline(
        sf.read(folder / "orders.csv.gz", format=sf.csv.parse(rows=Order, bad=sf.skip_errors(to=rejected.append))),
        sf.filter(lambda order: order.cents > 0),
        sf.map(dataclasses.asdict),
        sf.write(folder / "orders.parquet"),
    )

    print(f"{written.bytes:,} bytes; rejected: {rejected}")
    first = await sf.read(folder / "orders.parquet").first()
    print(f"the first: {first}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sf.run(main(Path(folder)))
