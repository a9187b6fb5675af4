"""What a concurrent call costs: N calls, 32 at once, of a coroutine that gives the loop one turn (work 3).

What lives here: `map(concurrency=32)` next to what people write by hand and to other libraries; its goals, and the
tables. What one item in flight holds is measured in `inflight.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

import streamflow as sf
from benchmarks import inflight
from benchmarks.goals import Goal, judged
from benchmarks.picture import Bar, bars
from benchmarks.presence import absent, has_library
from benchmarks.processes import Process, Times, python, race
from benchmarks.results import Ratio, Result
from benchmarks.rivals import call
from benchmarks.rounds import LOOPS
from benchmarks.tables import machine, table

__all__ = ["GOALS", "alone", "gathered", "mapped", "run", "sharing", "unordered", "workers"]

AT_ONCE = 32
_HELD = 10_000


async def alone(n: int, _at_once: int) -> int:
    """The calls alone, one after another."""
    total = 0
    for number in range(n):
        await call(number)
        total += 1
    return total


async def sharing(n: int, at_once: int) -> int:
    """So many tasks that share one iterator and drop their results: no order, no bound, nothing handed on."""
    numbers = iter(range(n))

    async def work() -> int:
        total = 0
        for number in numbers:
            await call(number)
            total += 1
        return total

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work()) for _ in range(at_once)]
    return sum(task.result() for task in tasks)


async def mapped(n: int, at_once: int) -> int:
    """Results in the order of the items."""
    return await sf.pipeline(range(n), sf.map(call, concurrency=at_once), sf.count())


async def unordered(n: int, at_once: int) -> int:
    """Results as they come."""
    return await sf.pipeline(range(n), sf.map(call, concurrency=at_once, ordered=False), sf.count())


async def gathered(n: int, at_once: int) -> int:
    """`gather` over a semaphore: all N tasks exist from the start."""
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> int:
        async with gate:
            return await call(number)

    return len(await asyncio.gather(*(one(number) for number in range(n))))


async def workers(n: int, at_once: int) -> int:
    """Workers between two bounded queues; the order is lost."""
    jobs: asyncio.Queue[int | None] = asyncio.Queue(at_once)
    results: asyncio.Queue[int] = asyncio.Queue(at_once)

    async def work() -> None:
        while (number := await jobs.get()) is not None:
            await results.put(await call(number))

    async def produce() -> None:
        for number in range(n):
            await jobs.put(number)
        for _ in range(at_once):
            await jobs.put(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        for _ in range(at_once):
            group.create_task(work())
        for _ in range(n):
            await results.get()
    return n


_OURS = "`sf.map(call, concurrency=32)`"
_ALONE = "the calls alone, one after another"
_STREAMABLE, _AIOSTREAM, _SPDL = "streamable, `concurrency=32`", "aiostream, `task_limit=32`", "SPDL, `concurrency=32`"

# What each row runs, the share of the N calls it makes, and the library it needs.
_WAYS = {
    _ALONE: ("benchmarks.cmap:alone", 1.0, ""),
    "32 tasks that share an iterator, no results": ("benchmarks.cmap:sharing", 1.0, ""),
    _OURS: ("benchmarks.cmap:mapped", 1.0, ""),
    "`sf.map(call, concurrency=32, ordered=False)`": ("benchmarks.cmap:unordered", 1.0, ""),
    "32 workers between two `asyncio.Queue`s": ("benchmarks.cmap:workers", 1.0, ""),
    "`asyncio.gather` over a semaphore (unbounded)": ("benchmarks.cmap:gathered", 1.0, ""),
    _STREAMABLE: ("benchmarks.peers.with_streamable:calls", 1.0, "streamable"),
    _AIOSTREAM: ("benchmarks.peers.with_aiostream:calls", 0.2, "aiostream"),
    _SPDL: ("benchmarks.peers.with_spdl:calls", 0.04, "spdl.pipeline"),
}
_NEEDED = {f"{name}|asyncio" for name in (_ALONE, _OURS, _STREAMABLE, _AIOSTREAM)}


def _goals(loop: str) -> list[Goal]:
    key, on = ("cmap", "") if loop == "asyncio" else (f"cmap.{loop}", f", on {loop}")
    ours = f"{_OURS}|{loop}"
    return [
        Goal(f"{key}.streamable/map", f"streamable / `sf.map`{on}", f"{_STREAMABLE}|{loop}", ours, at_least=3.0),
        Goal(f"{key}.aiostream/map", f"aiostream / `sf.map`{on}", f"{_AIOSTREAM}|{loop}", ours, at_least=20.0),
        Goal(f"{key}.map/alone", f"`sf.map` / the calls alone{on}", ours, f"{_ALONE}|{loop}"),
    ]


GOALS = [*_goals("asyncio"), *_goals("uvloop")]
"""The ratios of two times; what a call costs more than alone and what it holds are no ratios."""


def run(*, items: int = 50_000, rounds: int = 7, every: bool = True) -> Result:
    """Run all contenders on both loops; without `every` only those that a goal needs, on asyncio."""
    times = race([one for one in _contenders(items) if every or one.name in _NEEDED], rounds=rounds)
    held = inflight.kib_per_item(_HELD) if every else {}
    head = f"{items:,} calls (aiostream and SPDL fewer), median of {rounds} rounds. {machine()}"
    missing = [needs for _, _, needs in _WAYS.values() if needs and not has_library(needs)]
    parts = [head, _table(times), _held_table(held) if held else "", absent(missing)]
    ratios = [*_more_than_alone(times), *judged(GOALS, times), *_held_ratios(held)]
    return Result("\n\n".join(filter(None, parts)), ratios, {"cmap.svg": _picture(times)})


def _contenders(items: int) -> Iterator[Process]:
    for loop in LOOPS:
        for name, (job, share, needs) in _WAYS.items():
            if (not needs or has_library(needs)) and not (name == _SPDL and loop == "uvloop"):
                yield python(f"{name}|{loop}", job, round(items * share), AT_ONCE, loop=loop, waits=name == _SPDL)


def _table(times: Mapping[str, Times]) -> str:
    rows = []
    for name in _WAYS:
        found = [times.get(f"{name}|{loop}") for loop in LOOPS]
        if any(found):
            rows.append([name, *(cell for one in found for cell in (_cell(one), one.spread if one else ""))])
    return table(["ns per call", *(column for loop in LOOPS for column in (loop, "spread"))], rows)


def _cell(found: Times | None) -> str:
    return f"{found.median:,.0f}" if found else ""


def _more_than_alone(times: Mapping[str, Times]) -> Iterator[Ratio]:
    """The goal that is a difference: microseconds per call over the calls alone."""
    for loop in LOOPS:
        ours, base = times.get(f"{_OURS}|{loop}"), times.get(f"{_ALONE}|{loop}")
        if ours and base:
            over = (ours.median - base.median) / 1e3
            what = f"`sf.map`, for each call more than the calls alone, on {loop}"
            yield Ratio(f"cmap.over-alone-{loop}", what, over, at_most=1.5, unit="µs")


def _held_table(held: Mapping[str, float]) -> str:
    rows = [[inflight.WAYS[way][1], f"{kib:.2f} KiB"] for way, kib in held.items()]
    return f"{_HELD:,} calls that all wait at once:\n\n{table(['', 'memory for each'], rows)}"


def _held_ratios(held: Mapping[str, float]) -> list[Ratio]:
    if not held:
        return []
    what = "memory of an item in flight: `sf.map` / `asyncio.TaskGroup`"
    return [Ratio("cmap.held-map/held-group", what, held["map"] / held["group"])]


def _picture(times: Mapping[str, Times]) -> str:
    kinds = {_ALONE: "limit", _OURS: "ours"}
    shown = [
        Bar(name.replace("`", ""), times[f"{name}|asyncio"].median, kinds.get(name, "ours" if "sf." in name else ""))
        for name in _WAYS
        if f"{name}|asyncio" in times
    ]
    return bars("Calls of a coroutine, 32 at once, on asyncio", "nanoseconds per call", shown)
