"""How near `concurrency="auto"` comes to the best fixed number, against simulated services in virtual time.

What lives here: the services, and one table. What must not: real time; the same numbers come out on every machine.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import streamflow as sf
from benchmarks.results import Ratio, Result, slug
from benchmarks.tables import table
from streamflow.testing import StepLoop

__all__ = ["run"]

_FIXED = (1, 4, 10, 16, 64)


class _Service:
    """Answers in 0.1 s on average while at most `bears` calls run; more of them share what it can do."""

    def __init__(self, bears: int, *, uneven: bool) -> None:
        self._bears = bears
        self._running = 0
        self._length = random.Random(3).expovariate if uneven else lambda _rate: 0.1  # noqa: S311  # no secret

    async def __call__(self, item: int) -> int:
        self._running += 1
        try:
            await asyncio.sleep(self._length(10.0) * max(1.0, self._running / self._bears))
        finally:
            self._running -= 1
        return item


_SERVICES: dict[str, Callable[[], _Service]] = {
    "bears 10 calls": lambda: _Service(10, uneven=False),
    "bears 10, calls of uneven length": lambda: _Service(10, uneven=True),
    "without limit, calls of uneven length": lambda: _Service(10_000, uneven=True),
}


def _seconds(service: _Service, calls: int, concurrency: Any) -> float:
    async def timed() -> float:
        await sf.pipeline(range(calls), sf.for_each(service, concurrency=concurrency))
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=StepLoop) as runner:
        return runner.run(timed())


def run(*, calls: int = 5_000) -> Result:
    """Simulate every service with fixed numbers and with `"auto"`; the table has the limits it chose."""
    rows, ratios = [], []
    for name, make in _SERVICES.items():
        limits: list[int] = []
        fixed = [_seconds(make(), calls, number) for number in _FIXED]
        found = _seconds(make(), calls, sf.Adaptive(1, 64, on_change=limits.append))
        settled = sorted(limits[len(limits) // 2 :]) or [1]
        rows.append([name, *(f"{one:,.0f} s" for one in fixed), f"{found:,.0f} s", f"{settled[0]}-{settled[-1]}"])
        ratios.append(
            Ratio(
                f"adaptive.{slug(name)}/best",
                f"auto / the best fixed number: {name}",
                found / min(fixed),
            )
        )
    head = [
        "a service that",
        *(f"{number} at once" for number in _FIXED),
        "auto, 1 to 64",
        "its limits, later",
    ]
    return Result(f"{calls:,} calls of 0.1 s, simulated in virtual time.\n\n{table(head, rows)}", ratios)
