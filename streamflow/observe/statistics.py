"""The numbers of a run, taken from counters that are always on.

What lives here: frozen snapshots (`StageStats`, `RunStats`) and the one function that takes them. What must not: text
(report.py, explain.py), or anything that changes a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from streamflow.channel import ChannelStats
from streamflow.engine.conductor import Run
from streamflow.engine.lone import Lone
from streamflow.engine.nested import NestedStats, dropped_in
from streamflow.engine.planner import Part
from streamflow.engine.segments import Segment
from streamflow.stages import Sink, Source, Stage

__all__ = ["NestedStats", "RunStats", "StageStats", "snapshot"]


@dataclass(frozen=True, slots=True)
class StageStats:
    """What one step of a pipeline has done so far.

    `items_in`, `items_out`, `dropped` (on purpose) and `failed` count items; `bytes_in` and `bytes_out` count the
    bytes of items that have a size; `working`, `waiting_for_input` and `waiting_for_room` are seconds of the task,
    shared by the steps that were fused into it (`task` is its number). `state` says what the task is doing now.
    `concurrency` is how many calls it may run at once, `threads` how many worker threads it uses.
    """

    position: int
    name: str
    kind: str
    task: int
    items_in: int
    items_out: int
    dropped: int
    failed: int
    bytes_in: int
    bytes_out: int
    working: float
    waiting_for_input: float
    waiting_for_room: float
    state: str
    concurrency: int = 1
    threads: int = 0


@dataclass(frozen=True, slots=True)
class RunStats:
    """A snapshot of a run: its stages, its channels, and how long it has been going, in seconds.

    `nested` says by name what runs its stages have started themselves came to: further sources, branches, groups.
    `values` holds what stages have found out, by their names, the first 64 of them: `{"checksum.sha256": "ba78..."}`.
    """

    name: str
    seconds: float
    finished: bool
    stages: tuple[StageStats, ...]
    channels: tuple[ChannelStats, ...]
    nested: tuple[NestedStats, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def balanced(self) -> bool:
        """Whether the account of every channel balances, of nested runs too: put = got + discarded + what is in it.

        What was put is counted where items go in: if one was lost, it does not balance (promise P2). While a stage that
        is a generator runs, the channel it writes balances anyway; that one is known when the stage has ended.
        """
        own = all(channel.put == channel.got + channel.discarded + channel.items for channel in self.channels)
        return own and all(numbers.balanced for numbers in self.nested)

    @property
    def discarded(self) -> int:
        """Items that were put and never taken, because somebody below had enough, failed or was cancelled.

        Those of nested runs are among them.
        """
        own = sum(channel.discarded for channel in self.channels)
        return own + sum(numbers.discarded for numbers in self.nested)


def snapshot(run: Run | Lone) -> RunStats:
    """Take the numbers of a run now."""
    stages = tuple(row for at, segment in enumerate(run.segments, 1) for row in _rows(at, segment))
    return RunStats(
        name=run.plan.name,
        seconds=(run.ended_at or perf_counter()) - run.started_at if run.started_at else 0.0,
        finished=run.over.done(),
        stages=stages,
        channels=tuple(channel.stats() for channel in run.channels),
        nested=run.nested.stats(),
        values=run.nested.values(),
    )


def _rows(task: int, segment: Segment) -> list[StageStats]:
    counts = segment.counts()
    guilty = segment.guilty(segment.error)[0] if segment.failed_here and segment.error is not None else None
    dropped = iter(dropped_in(segment))
    return [
        _row(
            task,
            segment,
            part,
            in_and_out,
            dropped=next(dropped) if isinstance(part.step, Stage) else 0,
            failed=guilty is part,
        )
        for part, in_and_out in zip(segment.plan.parts, _in_and_out(segment.plan.parts, counts), strict=True)
    ]


def _in_and_out(parts: Sequence[Part], counts: list[int]) -> Iterator[tuple[int, int]]:
    """The items that went into and came out of each part, from the counts at the edges of the segment."""
    at = 0
    for part in parts:
        if isinstance(part.step, Stage):
            yield counts[at], counts[at + 1]
            at += 1
        else:
            yield counts[0], counts[0] if isinstance(part.step, Source) else 0


def _row(task: int, segment: Segment, part: Part, counts: tuple[int, int], *, dropped: int, failed: bool) -> StageStats:
    came, went = counts
    working, for_input, for_room = segment.seconds()
    first, last = part is segment.plan.parts[0], part is segment.plan.parts[-1]
    step = part.step
    return StageStats(
        position=part.position,
        name=part.name,
        kind="source" if isinstance(step, Source) else "sink" if isinstance(step, Sink) else "stage",
        task=task,
        items_in=came,
        items_out=went,
        dropped=dropped,
        failed=int(failed),
        bytes_in=segment.reader.channel.stats().bytes_put if segment.reader is not None and first else 0,
        bytes_out=segment.writer.channel.stats().bytes_put if segment.writer is not None and last else 0,
        working=working,
        waiting_for_input=for_input,
        waiting_for_room=for_room,
        state=segment.doing(),
        concurrency=step.concurrency if isinstance(step, Stage) else 1,
        threads=step.threads,
    )
