"""What a hop costs: N integers through `+1`, `filter even`, `*2`, in all the ways there are (works 1 and 2).

What lives here: streamflow's ways to run that job, the goals, and the tables. What must not: how others do it
(`rivals.py`, `peers/`), who takes part (`hops_ways.py`), how a comparison is taken (`processes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import streamflow as sf
from benchmarks.goals import Goal, judged
from benchmarks.hops_ways import LIMIT, NESTED, SIZES, WAYS, Way, contenders, missing, named
from benchmarks.picture import Bar, bars
from benchmarks.presence import absent
from benchmarks.processes import Times, race
from benchmarks.results import Result
from benchmarks.rivals import add_one, count, double, even_only, incremented, is_even, times_two
from benchmarks.tables import machine, table

__all__ = ["GOALS", "SIZES", "boundaries", "fused", "generators", "in_one_task", "run"]


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


async def in_one_task(n: int, maxsize: int) -> int:
    """The same three stages and the sink, in one task, with no channel between the stages."""
    return await sf.pipeline(range(n), sf.fuse(incremented, even_only, double), count, maxsize=maxsize)


def _goals(loop: str) -> list[Goal]:
    """What is promised, and what is watched, on one event loop. Node.js and Go are the same beside both."""

    def ours(way: str, size: int | None = 1024) -> str:
        return named(way, size, loop)

    functions, forced = ours("streamflow, functions"), "streamflow, functions, a channel at every boundary"
    stages, pure = ours("streamflow, async generators"), ours("streamflow, async generators, without the extension")
    one_task, nested = ours("streamflow, async generators in one `sf.fuse()`"), ours(NESTED, None)
    node, node_async = (named(f"Node.js, {kind}", 1024) for kind in ("`Transform`s", "async generators"))
    key, on = ("hops", "") if loop == "asyncio" else (f"hops.{loop}", f", on {loop}")
    queues, go = ours("`asyncio.Queue` by hand"), named("Go, goroutines and channels", 1024)
    return [
        Goal(f"{key}.functions/limit", f"functions / the limit{on}", functions, named(LIMIT), at_most=1.15),
        Goal(f"{key}.functions/node", f"functions / Node.js `Transform`s{on}", functions, node, at_most=1.0),
        Goal(f"{key}.functions/go", f"functions / Go{on}", functions, go, at_most=2.5),
        Goal(f"{key}.channels/limit", f"a channel at every boundary / the limit{on}", ours(forced), named(LIMIT), 1.4),
        Goal(
            f"{key}.channels-16/node-16",
            f"the same, 16 items each / Node.js `Transform`s at 16{on}",
            ours(forced, 16),
            named("Node.js, `Transform`s", 16),
            at_most=3.0,
        ),
        Goal(
            f"{key}.switches-16/node-16",
            f"bare task switches for 16 items each, no items / Node.js `Transform`s at 16{on}",
            ours("bare task switches, no items", 16),
            named("Node.js, `Transform`s", 16),
        ),
        Goal(f"{key}.queue/channels", f"`asyncio.Queue` by hand / channels{on}", queues, ours(forced), at_least=1.0),
        Goal(f"{key}.generators/node", f"async generators / Node.js' own{on}", stages, node_async, at_most=0.8),
        Goal(f"{key}.generators/nested", f"async generators / nested{on}", stages, nested, at_most=1.45),
        Goal(f"{key}.pure/node", f"without the extension / Node.js' own{on}", pure, node_async, at_most=1.3),
        Goal(f"{key}.pure/nested", f"without the extension / nested{on}", pure, nested),
        Goal(f"{key}.fuse/nested", f"`sf.fuse()` / nested{on}", one_task, nested, at_most=1.1),
    ]


GOALS = [*_goals("asyncio"), *_goals("uvloop")]
"""All ratios of this benchmark."""

_KEY = {name for goal in _goals("asyncio") for name in (goal.first, goal.second)}


def run(*, items: int = 200_000, rounds: int = 9, every: bool = True) -> Result:
    """Run all contenders; without `every` only those whose ratio on asyncio is promised or watched."""
    times = race([one for one in contenders(items) if every or one.name in _KEY], rounds=rounds)
    head = f"{items:,} integers (Node.js and Go more, slow contenders fewer), median of {rounds} rounds. {machine()}"
    parts = [head, _table(times, "asyncio")]
    if every:
        parts += ["### On uvloop", _table(times, "uvloop")]
    parts.append(absent(missing()))
    return Result("\n\n".join(filter(None, parts)), judged(GOALS, times), {"hops.svg": _picture(times)})


def _table(times: Mapping[str, Times], loop: str) -> str:
    """One row a way, one column a capacity; each cell: nanoseconds per item, and times the limit."""
    rows = []
    for way in WAYS:
        found = {size: times.get(named(way.name, size, loop)) for size in (*SIZES, None)}
        if any(found.values()):
            limit = times[named(way.beside, None, loop if way.beside == NESTED else "asyncio")]
            rows.append([way.name, *(_cell(one, limit) for one in found.values()), *_last(found)])
    head = ["ns per item, and times the limit", *(f"maxsize {size:,}" for size in SIZES), "no channel"]
    return table([*head, "spread", "cores"], rows)


def _cell(found: Times | None, limit: Times) -> str:
    if found is None:
        return ""
    times = found.median / limit.median
    return f"{found.median:,.0f} ({times:,.{0 if times >= 100 else 1}f}x)"


def _last(found: Mapping[int | None, Times | None]) -> list[str]:
    """The widest spread of the row, and the cores that were busy."""
    measured = [one for one in found.values() if one]
    widest = max(measured, key=lambda one: (max(one.nanoseconds) - min(one.nanoseconds)) / one.median)
    return [widest.spread, f"{measured[-1].cores:.1f}"]


def _picture(times: Mapping[str, Times]) -> str:
    """Every way at the default capacity, or without a channel, on asyncio."""

    def bar(way: Way) -> Bar | None:
        found = times.get(named(way.name, 1024 if way.sizes else None))
        kind = "ours" if way.name.startswith("streamflow") else "limit" if way.beside and "limit" in way.name else ""
        return found and Bar(way.name.replace("`", ""), found.median, kind)

    shown = [one for one in map(bar, WAYS) if one]
    return bars("Integers through three stages, channels of 1,024 items", "nanoseconds per item", shown)
