"""What the statistics cost that are always on: work 1 with the counting, and with the counting taken out (work 7).

What lives here: the comparison and its goal. What must not: what is taken out, and how (`stripping.py`).

The time is that of the processor: both contenders have one thread, and a difference of some per cent is looked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from benchmarks.processes import python, race
from benchmarks.results import Ratio, Result
from benchmarks.stripping import removed
from benchmarks.tables import machine, table

__all__ = ["run"]

_MAXSIZE = 1024
_JOBS = {
    "functions": ("fused", "functions"),
    "channels": ("boundaries", "functions, a channel at every boundary"),
    "generators": ("generators", "three async generators"),
}
# One layout of the dictionaries for all processes: else that alone makes some of them a few per cent faster.
_SAME = {"PYTHONHASHSEED": "0"}


def run(*, items: int = 1_000_000, rounds: int = 15) -> Result:
    """Race each job against itself without the counting, in alternating rounds."""
    contenders = [
        python(f"{key} {how}", f"benchmarks.{module}:{job}", items, _MAXSIZE, expected=items // 2, environment=_SAME)
        for key, (job, _) in _JOBS.items()
        for how, module in (("with", "hops"), ("without", "uncounted"))
    ]
    times = race(contenders, rounds=rounds)
    found = {(key, how): times[f"{key} {how}"].processors for key in _JOBS for how in ("with", "without")}
    rows = [
        [name, *(f"{median(found[key, how]):,.1f} ns" for how in ("with", "without"))]
        for key, (_, name) in _JOBS.items()
    ]
    text = (
        f"{items:,} integers, processor time, median of {rounds} rounds; {len(removed())} statements are taken out. "
        f"{machine()}\n\n{table(['per item', 'with the counting', 'without'], rows)}"
    )
    return Result(
        text, [_ratio(key, name, found[key, "with"], found[key, "without"]) for key, (_, name) in _JOBS.items()]
    )


def _ratio(key: str, name: str, counted: Sequence[float], bare: Sequence[float]) -> Ratio:
    pairs = [mine / other for mine, other in zip(counted, bare, strict=True)]
    what = f"{name}: with the counting / without"
    spread = f"{min(pairs):.2f} to {max(pairs):.2f}"
    return Ratio(f"statistics.{key}", what, median(pairs), at_most=1.03, spread=spread)
