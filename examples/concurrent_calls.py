"""Sixteen calls at once to a service, the answers in order, stored in batches.

    python examples/concurrent_calls.py

`map` keeps sixteen calls under way, never more, and hands the answers on in the order of the questions. When the
database is slow, the calls wait; when a call fails, the others are cancelled and `pipeline()` raises its error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable

import streamflow as sf


class Service:
    """Stands in for an HTTP API; it remembers how many calls it saw at once."""

    def __init__(self) -> None:
        """Begin with nobody calling."""
        self.now = 0
        self.most = 0

    async def price(self, product: int) -> tuple[int, float]:
        """Answer after a hundredth of a second."""
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.01)
        self.now -= 1
        return product, product * 1.19


async def insert(batches: AsyncIterable[tuple[tuple[int, float], ...]]) -> int:
    """A sink is a coroutine over the items; what it returns is the value of the pipeline."""
    stored = 0
    async for batch in batches:
        await asyncio.sleep(0.001)  # one round trip for the whole batch
        stored += len(batch)
    return stored


async def main() -> None:
    """Ask for 500 prices."""
    service = Service()
    stored = await sf.pipeline(
        range(500),
        sf.map(service.price, concurrency=16),
        sf.batched(100, within=0.25),
        insert,
        name="prices",
    )
    print(f"{stored} prices stored, at most {service.most} calls at once")


if __name__ == "__main__":
    sf.run(main())
