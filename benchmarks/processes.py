"""A fair comparison: each contender in a process of its own, in rounds that alternate.

What lives here: starting contenders, their times, and the ratio of two of them. What must not: contenders.

In every round each contender runs once, in a fresh process, so that no one inherits another's heap, caches or
compiled code, and what disturbs the machine for a while disturbs all. A ratio is formed within a round, between two
runs that lie close together; what is told is the median over the rounds, with the least and the most.

The pace of a machine may change from one second to the next, by more than what is looked for (a frequency that falls, a
host with other guests). So right after each run a small loop is timed here, always the same one; where it took longer
than it does in the median, the machine was slower, and the times of that run are shortened by as much.

The time is that of the wall, because it is what a user waits for, and because a contender that keeps two cores busy
(Go, the compiler threads of Node.js) may profit from it. But a contender that never waits keeps at least one core busy
as long as it has one; if its processor time is less than the wall's, the machine gave its core to another program in
between, and the processor's time counts. On an idle machine that makes no difference. `cores` says how many cores were
busy: below 1 the contender waited, or was disturbed.

A contender prints one line of JSON, `{"wall": seconds, "processor": seconds}`. It warms up and checks its own result.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import process_time

__all__ = ["ROOT", "Process", "Times", "python", "race"]

ROOT = Path(__file__).parent.parent
"""The checkout: where contenders run."""


@dataclass(frozen=True, slots=True)
class Process:
    """A contender: the command that runs it once, and the number of items it handles then.

    `waits` says that it may leave the processor alone (for files, for threads); one that never does keeps a core busy.
    """

    name: str
    command: Sequence[str]
    items: int
    environment: Mapping[str, str] = field(default_factory=dict)
    waits: bool = True

    @property
    def whole_environment(self) -> dict[str, str]:
        """That of this process, and what the contender adds to it."""
        return {**os.environ, **self.environment}


@dataclass(frozen=True, slots=True)
class Times:
    """Nanoseconds per item of each round, by the wall and by the processor."""

    walls: Sequence[float]
    processors: Sequence[float]
    waits: bool = True

    @property
    def nanoseconds(self) -> list[float]:
        """What counts: the wall, or the processor's time where that is less and the contender never waits."""
        pairs = zip(self.walls, self.processors, strict=True)
        return list(self.walls) if self.waits else [min(wall, processor) for wall, processor in pairs]

    @property
    def median(self) -> float:
        """The nanoseconds per item."""
        return median(self.nanoseconds)

    @property
    def spread(self) -> str:
        """How far the rounds lay from the median, in per cent: `-2 +5 %`."""
        low, high = (100 * (edge / self.median - 1) for edge in (min(self.nanoseconds), max(self.nanoseconds)))
        return f"{low:+.0f} {high:+.0f} %"

    @property
    def cores(self) -> float:
        """How many cores were busy."""
        return median(mine / wall for mine, wall in zip(self.processors, self.walls, strict=True))


def python(  # noqa: D417  # the others are said by their names
    name: str,
    job: str,
    items: int,
    *arguments: int,
    expected: int | None = None,
    loop: str = "asyncio",
    environment: Mapping[str, str] | None = None,
    waits: bool = False,
) -> Process:
    """A contender in Python, run by `contend.py`.

    Args:
        job: `module:function`.
        arguments: what the function is called with after the number of items.
        expected: what it must return; the number of items if not given.
    """
    numbers = [str(number) for number in (items, items if expected is None else expected, *arguments)]
    command = [sys.executable, "-m", "benchmarks.contend", "--loop", loop, job, *numbers]
    return Process(name, command, items, environment or {}, waits)


def race(contenders: Sequence[Process], *, rounds: int) -> dict[str, Times]:
    """Run every contender once per round; return their times by name. `RuntimeError` with its words if one fails."""
    found: dict[str, list[dict[str, float]]] = {one.name: [] for one in contenders}
    for _ in range(rounds):
        for one in contenders:
            found[one.name].append(_once(one) | {"pace": _pace()})
    usual = median(run["pace"] for runs in found.values() for run in runs)

    def nanoseconds(one: Process, clock: str) -> list[float]:
        return [run[clock] * usual / run["pace"] / one.items * 1e9 for run in found[one.name]]

    return {one.name: Times(nanoseconds(one, "wall"), nanoseconds(one, "processor"), one.waits) for one in contenders}


def _pace() -> float:
    """The processor's seconds that a small loop takes now."""
    start = process_time()
    for number in range(100_000):
        str(number)
    return process_time() - start


def _once(one: Process) -> dict[str, float]:
    ended = subprocess.run(  # noqa: S603
        one.command, cwd=ROOT, env=one.whole_environment, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise RuntimeError(f"{one.name}: {' '.join(one.command)} ended with {ended.returncode}:\n{ended.stderr}")
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found
