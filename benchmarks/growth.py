"""Whether an item costs the same in a long stream, behind many stages and beside many pipelines (work 8).

What lives here: the three questions, and their ratios. What must not: the jobs (`growth_jobs.py`).

Each point is a process of its own, of one thread; the time is the processor's. "Flat" means that the last point of a
curve costs little more than the one it is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from benchmarks.growth_jobs import PER_PIPELINE, measured
from benchmarks.processes import Times, python, race
from benchmarks.results import Ratio, Result
from benchmarks.tables import machine, table

__all__ = ["run"]

_JOBS = "benchmarks.growth_jobs"
_FLAT = 1.2
_KINDS = {
    "functions": "functions in one task",
    "channels": "functions, a channel between any two",
    "stages": "async generators",
}


def run(
    *, items: int = 10_000_000, stage_items: int = 20_000, stages: int = 100, pipelines: int = 10_000, rounds: int = 5
) -> Result:
    """Measure the three curves up to these numbers."""
    long, ratios = _lengths(_powers(10_000, items), rounds)
    deep, more = _depths(_powers(1, stages), stage_items, rounds)
    beside, most = _crowds(_powers(1, pipelines), rounds)
    text = f"Processor time, median of {rounds} rounds. {machine()}\n\n{long}\n\n{deep}\n\n{beside}"
    return Result(text, [*ratios, *more, *most])


def _powers(least: int, most: int) -> list[int]:
    """Powers of ten, from the least to the most."""
    return [least * 10**power for power in range(len(str(most // least)))]


def _lengths(points: Sequence[int], rounds: int) -> tuple[str, list[Ratio]]:
    """The cost per item over the length of the stream."""
    jobs = {"functions": "benchmarks.hops:fused", "stages": "benchmarks.hops:generators"}
    times = race(
        [python(f"{kind} {n}", job, n, 1024, expected=n // 2) for kind, job in jobs.items() for n in points],
        rounds=rounds,
    )
    rows = [[_KINDS[kind], *(_cell(times[f"{kind} {n}"]) for n in points)] for kind in jobs]
    ratios = [
        _flat(f"items.{kind}", f"{_KINDS[kind]}, per item: {points[-1]:,} items / {points[0]:,}", times, kind, points)
        for kind in jobs
    ]
    head = ["`+1`, *keep the even*, `*2`: per item", *(f"{n:,} items" for n in points)]
    return f"### A long stream\n\n{table(head, rows)}", ratios


def _depths(points: Sequence[int], items: int, rounds: int) -> tuple[str, list[Ratio]]:
    """The cost per item and stage over the number of stages: what a stage more costs, the ends not counted."""
    contenders = [
        python(f"{kind} {n}", f"{_JOBS}:{kind}", max(items, 20 * items // max(n, 1)), n)
        for kind in _KINDS
        for n in (0, *points)
    ]
    times = race(contenders, rounds=rounds)
    per_stage = {
        f"{kind} {n}": [
            (all_of_it - bare) / n
            for all_of_it, bare in zip(times[f"{kind} {n}"].processors, times[f"{kind} 0"].processors, strict=True)
        ]
        for kind in _KINDS
        for n in points
    }
    rows = [[name, *(f"{median(per_stage[f'{kind} {n}']):,.0f} ns" for n in points)] for kind, name in _KINDS.items()]
    ratios = [
        _per(f"stages.{kind}", f"{name}, per item and stage: {points[-1]:,} stages / 10", per_stage, kind, points)
        for kind, name in _KINDS.items()
    ]
    head = ["per item and stage", *(f"{n:,} stages" if n > 1 else "1 stage" for n in points)]
    return f"### Many stages\n\n{table(head, rows)}", ratios


def _crowds(points: Sequence[int], rounds: int) -> tuple[str, list[Ratio]]:
    """Pipelines of a stage each that run at once: what an item, a pipeline's start and an idle pipeline cost."""
    found = {(kind, n): [measured(kind, n) for _ in range(rounds)] for n in points for kind in ("pipelines", "queues")}
    mids = {point: {name: median(one[name] for one in each) for name in each[0]} for point, each in found.items()}
    rows = [
        [name, *(f"{mids[kind, n][what]:,.{digits}f} {unit}" for n in points)]
        for kind, name, what, digits, unit in (
            ("pipelines", "streamflow, per item", "nanoseconds", 0, "ns"),
            ("queues", "queues by hand, per item", "nanoseconds", 0, "ns"),
            ("pipelines", "streamflow, to start one", "start", 0, "µs"),
            ("queues", "queues by hand, to start one", "start", 0, "µs"),
            ("pipelines", "streamflow, an idle one holds", "kib", 1, "KiB"),
            ("queues", "queues by hand, an idle one holds", "kib", 1, "KiB"),
        )
    ]
    ours = {n: mids["pipelines", n] for n in points}
    last, some = points[-1], points[min(1, len(points) - 1)]
    ratios = [
        Ratio(
            "growth.pipelines",
            f"per item: {last:,} pipelines at once / {some:,}",
            ours[last]["nanoseconds"] / ours[some]["nanoseconds"],
            at_most=_FLAT,
        ),
        Ratio("growth.idle_kib", f"KiB that each of {last:,} idle pipelines holds", ours[last]["kib"], unit="KiB"),
        Ratio(
            "growth.idle/queues",
            f"memory of an idle pipeline / the same by hand, {last:,} of them",
            ours[last]["kib"] / mids["queues", last]["kib"],
        ),
    ]
    head = [f"a source, a stage and a sink; {PER_PIPELINE:,} items each", *(f"{n:,} at once" for n in points)]
    return f"### Many pipelines\n\n{table(head, rows)}", ratios


def _cell(times: Times) -> str:
    return f"{median(times.processors):,.0f} ns"


def _flat(key: str, what: str, times: Mapping[str, Times], kind: str, points: Sequence[int]) -> Ratio:
    found = {f"{kind} {n}": list(times[f"{kind} {n}"].processors) for n in (points[0], points[-1])}
    return _quotient(key, what, found[f"{kind} {points[-1]}"], found[f"{kind} {points[0]}"])


def _per(key: str, what: str, times: Mapping[str, Sequence[float]], kind: str, points: Sequence[int]) -> Ratio:
    """Beside ten stages: what a single one costs drowns in the rest."""
    few = points[min(1, len(points) - 1)]
    return _quotient(key, what, times[f"{kind} {points[-1]}"], times[f"{kind} {few}"])


def _quotient(key: str, what: str, firsts: Sequence[float], seconds: Sequence[float]) -> Ratio:
    """The median of the rounds' quotients: within a round the clock of the processor changes less than between two."""
    quotients = [first / second for first, second in zip(firsts, seconds, strict=True)]
    return Ratio(f"growth.{key}", what, median(quotients), at_most=_FLAT)
