"""How soon: through an idle pipeline, out of a slow source, after a cancellation, to start, to import (work 6).

What lives here: how each of the five is taken, and the comparisons. What must not: throughput.

Times are those of the wall, medians of many. Within one process the ways of a comparison take turns.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from statistics import median

from benchmarks.latency_imports import milliseconds_of_imports
from benchmarks.latency_ways import CANCELS, FIRSTS, INTERVAL, ITEMS, STAGES, STARTS
from benchmarks.results import Ratio, Result
from benchmarks.rounds import LOOPS, LoopFactory
from benchmarks.tables import machine, table

__all__ = ["run"]

Ways = Mapping[str, Callable[[], Awaitable[float]]]
Found = dict[str, list[float]]


def _taken(loop: LoopFactory, ways: Ways, times: int) -> Found:
    """Let each way run so many times, in turns, after once that does not count; return the seconds of each."""

    async def all_ways() -> Found:
        found: Found = {name: [] for name in ways}
        for number in range(times + 1):
            for name, way in ways.items():
                seconds = await way()
                if number:
                    found[name].append(seconds)
        return found

    gc.collect()
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(all_ways())


def _both(ways: Ways, times: int) -> dict[str, Found]:
    return {name: _taken(loop, ways, times) for name, loop in LOOPS.items()}


def _rows(found: Mapping[str, Found], scale: float, unit: str) -> str:
    """One row a way, one column an event loop; behind the first row, how many times the first."""
    rows = []
    first = {loop: median(next(iter(ways.values()))) for loop, ways in found.items()}
    for name in next(iter(found.values())):
        mids = {loop: median(ways[name]) for loop, ways in found.items()}
        cells = [f"{mid * scale:,.1f} {unit} ({mid / first[loop]:.1f}x)" for loop, mid in mids.items()]
        rows.append([name, *cells])
    return table(["", *found], rows)


def _ratio(key: str, found: Mapping[str, Found], of: str, to: str) -> Ratio:
    """The medians of two ways on asyncio."""
    times = found["asyncio"]
    return Ratio(f"latency.{key}", f"{of} / {to}", median(times[of]) / median(times[to]))


def run(*, times: int = 500, imports: int = 15) -> Result:
    """Take all five; `times` is how often the short ones are repeated, `imports` how often a process is started."""
    found = {
        "items": _both(ITEMS, times),
        "firsts": _both(FIRSTS, max(3, times // 50)),
        "cancels": _both(CANCELS, max(3, times // 25)),
        "starts": _both(STARTS, times),
    }
    brought = milliseconds_of_imports(imports)
    return Result(_text(found, brought), _ratios(found, brought))


def _text(found: Mapping[str, Mapping[str, Found]], brought: Mapping[str, Sequence[float]]) -> str:
    imported = [
        [name, f"{median(each):.1f} ms", f"{min(each):.1f} to {max(each):.1f}"] for name, each in brought.items()
    ]
    slow = f"The first item of a source that gives one every {INTERVAL * 1e3:.0f} ms, through {STAGES} stages"
    parts = {
        f"One item through {STAGES} stages that wait": _rows(found["items"], 1e6, "µs"),
        slow: _rows(found["firsts"], 1e3, "ms"),
        "From a cancellation until all is clean": _rows(found["cancels"], 1e3, "ms"),
        "Two stages, from nothing to the end, with one item": _rows(found["starts"], 1e6, "µs"),
        "What `import` takes, over `import asyncio`": table(["", "median", "least to most"], imported),
    }
    head = f"Medians by the wall; in brackets, how many times the first row. {machine()}"
    return "\n\n".join([head, *(f"### {title}\n\n{rows}" for title, rows in parts.items())])


def _ratios(found: Mapping[str, Mapping[str, Found]], brought: Mapping[str, Sequence[float]]) -> list[Ratio]:
    items, cancels, starts = found["items"], found["cancels"], found["starts"]
    nested, functions, stages, queues = ITEMS
    by_hand, hundred, *_ = CANCELS
    tasks, ours, _ = STARTS
    first = median(found["firsts"]["asyncio"][list(FIRSTS)[1]]) / INTERVAL
    return [
        _ratio("item/nested", items, stages, nested),
        _ratio("functions/nested", items, functions, nested),
        _ratio("item/queues", items, stages, queues),
        Ratio("latency.first/interval", "the first item of a slow source / its interval", first, at_most=1.1),
        _ratio("cancel/tasks", cancels, hundred, by_hand),
        _ratio("start/tasks", starts, ours, tasks),
        Ratio(
            "latency.import/asyncio",
            "`import streamflow` over `import asyncio` / that one itself",
            min(brought["`streamflow`"]) / min(brought["`asyncio` itself, from nothing"]),
        ),
        Ratio(
            "latency.import_ms",
            "milliseconds that `import streamflow` takes over `import asyncio`, at its quickest",
            min(brought["`streamflow`"]),
            at_most=60.0,
            unit="ms",
        ),
    ]
