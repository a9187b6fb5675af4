"""Which stages share a task: from a plan to its segments.

What lives here: the grouping, as data that `explain()` prints and the conductor runs. What must not: anything that
runs.

Neighbouring synchronous stages are fused into one segment, with a synchronous source before them. Each async generator,
the sink, and what follows a `buffer(n)` starts a segment of its own. One task per segment, one channel between two.

A stage that looks at whether its consumer is busy (`conflate`) makes the channels below it small (`output_capacity`):
all of them, since each would let the stages above it run ahead. A `buffer(n)` sets its own boundary as ever.

Stages that are to be nested (`fuse`) are one part of one segment. If all of them are synchronous they are fused as they
are, each a part.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from streamflow.stages import Plan, Sink, Source, Stage

__all__ = ["Part", "SegmentPlan", "segments_of"]


class Part(NamedTuple):
    """A source, stage or sink with its position (1 is the source) in the pipeline."""

    position: int
    step: Source[Any] | Stage[Any, Any] | Sink[Any, Any]

    @property
    def name(self) -> str:
        """The name of the step."""
        return self.step.name


class SegmentPlan(NamedTuple):
    """The parts that run in one task, and the capacity in items of the channel after it (0 after the last one)."""

    parts: tuple[Part, ...]
    capacity: int = 0

    @property
    def name(self) -> str:
        """The names of the parts, joined."""
        return " + ".join(part.name for part in self.parts)

    @property
    def source(self) -> Source[Any] | None:
        """The source, if this segment starts with it."""
        step = self.parts[0].step
        return step if isinstance(step, Source) else None

    @property
    def sink(self) -> Sink[Any, Any] | None:
        """The sink, if this segment is it."""
        step = self.parts[-1].step
        return step if isinstance(step, Sink) else None

    @property
    def stages(self) -> tuple[Stage[Any, Any], ...]:
        """The stages between."""
        return tuple(part.step for part in self.parts if isinstance(part.step, Stage))

    @property
    def fused(self) -> bool:
        """Whether it runs as a chain of synchronous iterators."""
        synchronous = self.source is None or self.source.synchronous
        return self.sink is None and synchronous and all(stage.transform is not None for stage in self.stages)


class _Grouping:
    def __init__(self, default: int) -> None:
        self.default = default
        self.done: list[SegmentPlan] = []
        self.parts: list[Part] = []
        self.fusible = False

    def add(self, part: Part, *, fusible: bool) -> None:
        if self.parts and not (fusible and self.fusible):
            self.cut(self.default)
        self.parts.append(part)
        self.fusible = fusible

    def cut(self, capacity: int) -> None:
        if self.parts:
            self.done.append(SegmentPlan(tuple(self.parts), capacity))
            self.parts = []
        elif self.done:
            # Two buffers in a row, or one behind a boundary that is there anyway: it sets the capacity.
            self.done[-1] = self.done[-1]._replace(capacity=capacity)


def segments_of(plan: Plan) -> tuple[SegmentPlan, ...]:
    """Group the parts of a plan into segments, source first."""
    grouping = _Grouping(min(plan.maxsize, plan.source.output_capacity or plan.maxsize))
    grouping.add(Part(1, plan.source), fusible=plan.source.synchronous)
    for position, stage in enumerate(plan.stages, 2):
        if stage.capacity is not None:
            grouping.cut(stage.capacity)
        else:
            for step in _apart(stage):
                grouping.add(Part(position, step), fusible=step.transform is not None)
        if stage.output_capacity is not None:
            grouping.default = min(grouping.default, stage.output_capacity)
    if plan.sink is not None:
        # A buffer just before the sink has cut already and its capacity stands.
        grouping.cut(grouping.default) if grouping.parts else None
        grouping.done.append(SegmentPlan((Part(len(plan.stages) + 2, plan.sink),)))
    else:
        grouping.cut(grouping.default) if grouping.parts else None
    return tuple(grouping.done)


def _apart(stage: Stage[Any, Any]) -> tuple[Stage[Any, Any], ...]:
    """The stages of which a part is to be made, each."""
    synchronous = bool(stage.nested) and all(inner.transform is not None for inner in stage.nested)
    return stage.nested if synchronous else (stage,)
