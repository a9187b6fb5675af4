"""The list of benchmarks: what each is called with, and the page its results go to.

What lives here: the list, and calling one. What must not: measuring.

A benchmark is a module of this package with a function `run(**sizes)` that returns a `Result`. Its module is imported
when it is asked for, so that one that cannot be imported does not take the others along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

from benchmarks.results import Result

__all__ = ["BENCHMARKS", "Benchmark", "run"]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """How to call `run()` of the module, and where its text belongs.

    Args:
        quick: the arguments of a quick run; a full run has none.
        page: the file in docs/ that has its markers.
        key: whether `--quick` without names runs it: the key ratios, in under a minute altogether.
    """

    quick: Mapping[str, float] = field(default_factory=dict)
    page: str = "benchmarks.md"
    key: bool = False


BENCHMARKS: dict[str, Benchmark] = {
    "hops": Benchmark({"items": 100_000, "rounds": 5, "every": False}, key=True),
    "cmap": Benchmark({"items": 20_000, "rounds": 3, "every": False}, key=True),
    "etl": Benchmark({"rows": 20_000, "rounds": 2, "growth": 2}),
    "copying": Benchmark({"mebibytes": 16, "rounds": 3}),
    "formats": Benchmark({"rows": 640_000, "rounds": 2}),
    "objects": Benchmark({"mebibytes": 32, "rounds": 2}),
    "load": Benchmark({"seconds": 1, "rounds": 2, "crowd": 200}),
    "clients": Benchmark({"clients": 100, "seconds": 2, "mebibytes": 128}),
    "latency": Benchmark({"times": 50, "imports": 3}, key=True),
    "statistics": Benchmark({"items": 200_000, "rounds": 5}),
    "growth": Benchmark({"items": 100_000, "stage_items": 2_000, "stages": 10, "pipelines": 100, "rounds": 2}),
    "hotspots": Benchmark({"items": 200_000}),
    "ticker": Benchmark({"seconds": 0.3}, key=True),
    "memory": Benchmark({"few": 20_000, "many": 100_000}),
    "adaptive": Benchmark({"calls": 1_000}),
    "capacity": Benchmark({"items": 50_000, "rounds": 2}, "capacity.md"),
}


def run(name: str, *, quick: bool) -> Result:
    """Run one benchmark; one that returns only a text has no ratios."""
    sizes = BENCHMARKS[name].quick if quick else {}
    found = import_module(f"benchmarks.{name}").run(**sizes)
    return found if isinstance(found, Result) else Result(found)
