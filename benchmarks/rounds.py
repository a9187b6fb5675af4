"""A fair comparison: rounds that alternate, the median, and how far the rounds lay apart.

What lives here: running contenders and summing up. What must not: contenders.

All contenders of a comparison run one after another, several times over: what disturbs the machine for a while disturbs
all of them, and their ratios stay true. The time is that of the processor, not that of the wall, so other programs
disturb less.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import median

import uvloop

__all__ = ["LOOPS", "Contender", "Timing", "alternate", "seconds_on"]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

LOOPS: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
"""The event loops to measure on."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to do the job: `run()` does it once and returns the seconds it took."""

    name: str
    run: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Timing:
    """Nanoseconds per item: the median of the rounds, the least and the most."""

    median: float
    least: float
    most: float

    @property
    def spread(self) -> str:
        """How far the rounds lay from the median, in per cent: `-2 +5 %`."""
        low, high = (100 * (edge / self.median - 1) for edge in (self.least, self.most))
        return f"{low:+.0f} {high:+.0f} %"


def seconds_on(loop: LoopFactory, job: Callable[[], Awaitable[int]], expected: int) -> Callable[[], float]:
    """Return a function that runs `job` once on a fresh event loop and returns the processor's seconds.

    The start of the loop is not counted. `expected` is what the job must return: a run that lost items is no run.
    """

    async def timed() -> float:
        start = time.process_time()
        result = await job()
        taken = time.process_time() - start
        if result != expected:
            raise AssertionError(f"the job returned {result}, not {expected}")
        return taken

    def run() -> float:
        gc.collect()
        with asyncio.Runner(loop_factory=loop) as runner:
            return runner.run(timed())

    return run


def alternate(contenders: Sequence[Contender], *, rounds: int, items: int) -> dict[str, Timing]:
    """Run every contender once per round, after one round that does not count; sum up by name."""
    taken: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            seconds = contender.run()
            if number:
                taken[contender.name].append(seconds / items * 1e9)
    return {name: Timing(median(times), min(times), max(times)) for name, times in taken.items()}
