"""The incident that streamflow exists for: object -> CSV -> add a timestamp -> CSV -> gzip -> object, at a slow store.

    python examples/incident.py
    python examples/incident.py s3://bucket/orders.csv s3://bucket/orders.csv.gz

The naive code ignored that the slow end was full: memory grew to gigabytes, and the last 8,000 of 50,000 rows never
arrived. Here every stage waits when the next one has no room, and `pipeline()` returns only when all of it is written.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator
from datetime import UTC, datetime
from typing import Any

import streamflow as sf
from streamflow import csv, gzip, objects
from streamflow.places import memory

Row = dict[str, Any]


async def add_timestamp(rows: AsyncIterable[Row]) -> AsyncIterator[Row]:
    """A stage is an async generator over rows: nothing to inherit, nothing to register."""
    async for row in rows:
        row["processed_at"] = datetime.now(UTC).isoformat()
        yield row


async def main(source: str, target: str) -> None:
    """Move the rows; say what was written."""
    written = await sf.pipeline(
        objects.read(source),
        csv.parse(),
        add_timestamp,
        csv.format(),
        gzip.compress(),
        objects.write(target),
    )
    print(f"{written.url}: {written.bytes:,} bytes")


async def make_orders(url: str, rows: int) -> None:
    """Put something to read into a store in memory, and make that store slow."""
    orders = ({"id": number, "customer": "Zoë", "note": 'she said "hi",\ntwice'} for number in range(rows))
    await sf.pipeline(orders, csv.format(), objects.write(url))
    memory.bucket("shop").bytes_per_second = 2_000_000


async def demonstrate() -> None:
    """Run it on made rows."""
    await make_orders("memory://shop/orders.csv", 50_000)
    await main("memory://shop/orders.csv", "memory://shop/orders.csv.gz")


if __name__ == "__main__":
    sf.run(main(*sys.argv[1:3]) if len(sys.argv) > 2 else demonstrate())  # noqa: PLR2004  # a source and a target
