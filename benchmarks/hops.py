"""What a hop costs: N integers through `+1`, `filter even`, `*2`, in all the ways there are.

What lives here: streamflow's three ways to run that job, next to those of `rivals.py` and Node.js, in one comparison.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import streamflow as sf
from benchmarks.rivals import (
    add_one,
    count,
    double,
    even_only,
    incremented,
    is_even,
    iterators,
    nested,
    queues,
    times_two,
)
from benchmarks.rounds import LOOPS, Contender, LoopFactory, Timing, alternate, seconds_on
from benchmarks.tables import machine, table

__all__ = ["SIZES", "boundaries", "fused", "generators", "run"]

SIZES = (16, 64, 256, 1024)
_LIMIT = "`map(filter(map()))`, no channel: the limit for functions"
_NESTED = "async generators nested, no channel: the limit for stages"
_FUSED = "streamflow, functions"
_BOUNDARIES = "streamflow, functions, a channel at every boundary"
_STAGES = "streamflow, three async generators"
_QUEUES = "`asyncio.Queue` by hand"


async def fused(n: int, maxsize: int) -> int:
    """Functions, run as the planner likes: one task for the source and all three."""
    return await sf.pipeline(
        range(n), sf.map(add_one), sf.filter(is_even), sf.map(times_two), sf.count(), maxsize=maxsize
    )


async def boundaries(n: int, maxsize: int) -> int:
    """Functions, with a task for each and a channel at each of the four boundaries."""
    flow = sf.stream(range(n)).buffer(maxsize).map(add_one).buffer(maxsize).filter(is_even).buffer(maxsize)
    return await flow.map(times_two).to(sf.count(), maxsize=maxsize).run()


async def generators(n: int, maxsize: int) -> int:
    """Three stages as users write them, and a sink that takes one item at a time."""
    return await sf.pipeline(range(n), incremented, even_only, double, count, maxsize=maxsize)


def _contenders(n: int, loop: LoopFactory) -> Iterator[Contender]:
    def contender(name: str, job: Callable[[], Awaitable[int]]) -> Contender:
        return Contender(name, seconds_on(loop, job, n // 2))

    yield contender(_LIMIT, partial(iterators, n))
    yield contender(_NESTED, partial(nested, n))
    for size in SIZES:
        yield contender(f"{_FUSED} {size}", partial(fused, n, size))
        yield contender(f"{_BOUNDARIES} {size}", partial(boundaries, n, size))
        yield contender(f"{_STAGES} {size}", partial(generators, n, size))
        yield contender(f"{_QUEUES} {size}", partial(queues, n, size))


def _node(n: int) -> Iterator[Contender]:
    node = shutil.which("node")
    if node is None:
        return
    script = str(Path(__file__).with_name("hops.mjs"))

    def seconds(kind: str, size: int) -> float:
        command = [node, script, kind, str(n), str(size)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603

    for size in SIZES:
        for kind, name in (("transforms", "Node.js, three `Transform`s"), ("generators", "Node.js, async generators")):
            yield Contender(f"{name} {size}", partial(seconds, kind, size))


def run(*, items: int = 100_000, rounds: int = 5) -> str:
    """Measure on both loops; return the tables."""
    parts = [f"{items:,} integers, median of {rounds} rounds. {machine()}"]
    for name, loop in LOOPS.items():
        rivals = list(_node(items)) if name == "asyncio" else []
        timings = alternate([*_contenders(items, loop), *rivals], rounds=rounds, items=items)
        parts += [f"### On {name}", _table(timings)]
    if shutil.which("node") is None:
        parts.append("Node.js is not installed here, so it is not in the table.")
    return "\n\n".join(parts)


def _table(timings: dict[str, Timing]) -> str:
    """One row a way, one column a capacity; each cell: times the limit, and nanoseconds per item."""
    limits = {_STAGES: timings[_NESTED].median, "Node.js, async generators": timings[_NESTED].median}
    rows = []
    for name in dict.fromkeys(name.rpartition(" ")[0] for name in timings if name not in (_LIMIT, _NESTED)):
        limit = limits.get(name, timings[_LIMIT].median)
        cells = [timings[f"{name} {size}"] for size in SIZES]
        rows.append([name, *(f"{cell.median / limit:.1f}x ({cell.median:,.0f} ns)" for cell in cells), _worst(cells)])
    for name in (_LIMIT, _NESTED):
        cell = timings[name]
        rows.append([name, *[""] * (len(SIZES) - 1), f"1.0x ({cell.median:,.0f} ns)", cell.spread])
    return table(["", *(f"maxsize {size:,}" for size in SIZES), "spread"], rows)


def _worst(cells: list[Timing]) -> str:
    return max(cells, key=lambda cell: (cell.most - cell.least) / cell.median).spread
