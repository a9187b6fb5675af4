"""Parquet, filtered, to compressed JSON Lines: place, format and compression follow from the names.

    python examples/parquet_to_jsonl.py
    python examples/parquet_to_jsonl.py s3://bucket/orders.parquet s3://bucket/big.jsonl.zst

Nothing is ever held as a whole: Parquet is read batch by batch, and the object appears under its name when it is
complete.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import streamflow as sf

BIG = 50_000


def is_big(order: dict[str, Any]) -> bool:
    """Whether to keep it."""
    return int(order["cents"]) >= BIG


async def main(source: str, target: str) -> None:
    """Move the big orders; show the plan before, and what was written after."""
    job = sf.Pipeline(sf.read(source), sf.filter(is_big), sf.write(target))
    print(job.explain())
    written = await job.run()
    print(f"{await sf.read(target).count()} orders, {written.bytes:,} bytes")


async def demonstrate(folder: Path) -> None:
    """Run it on made orders."""
    orders = ({"id": number, "cents": number * 100} for number in range(1000))
    await sf.pipeline(orders, sf.write(folder / "orders.parquet"))
    await main(str(folder / "orders.parquet"), str(folder / "big.jsonl.zst"))


if __name__ == "__main__":
    if len(sys.argv) > 2:  # noqa: PLR2004  # a source and a target
        sf.run(main(*sys.argv[1:3]))
    else:
        with tempfile.TemporaryDirectory() as made:
            sf.run(demonstrate(Path(made)))
