"""A plan in words: tasks, channels, what is fused, threads, and the most that can be held in memory.

What lives here: `explain`. What must not: anything about a run (report.py).
"""

from __future__ import annotations

from streamflow.engine.planner import SegmentPlan, segments_of
from streamflow.stages import Plan, Stage

__all__ = ["explain", "human_bytes", "worst_case"]

_KIB = 1024


def human_bytes(count: float) -> str:
    """Return a number of bytes as people write it: `1.5 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < _KIB:
            return f"{count:.0f} {unit}" if unit == "B" or count == int(count) else f"{count:.1f} {unit}"
        count /= _KIB
    return f"{count:.1f} TiB"


def worst_case(plan: Plan) -> tuple[int, int]:
    """Return the most that streamflow itself holds at once: items, and bytes of items that have a size plus buffers.

    Channels, one batch in each stage's hand as its operator states, and the buffers that places and codecs declare; not
    what a user's own stage keeps.
    """
    segments = segments_of(plan)
    channels = [segment.capacity for segment in segments if segment.capacity]
    items = sum(channels) + sum(stage.holds_items for stage in plan.stages if stage.capacity is None) + 1
    items += plan.sink is not None
    steps = [plan.source, *plan.stages, *([plan.sink] if plan.sink is not None else [])]
    return items, len(channels) * plan.max_bytes + sum(step.holds for step in steps)


def explain(plan: Plan) -> str:
    """Return the plan as text: one line a task, one a channel, and the worst case held."""
    segments = segments_of(plan)
    steps = sum(len(segment.parts) for segment in segments)
    threads = _threads(segments)
    channels = sum(1 for segment in segments if segment.capacity)
    lines = [f"{plan.name}: {_count(steps, 'step')} in {_count(len(segments), 'task')}, {_count(channels, 'channel')}, "
             f"{_count(threads, 'thread')}"]
    for number, segment in enumerate(segments, 1):
        lines.append(f"  task {number}  {segment.name}{_remarks(segment)}")
        if segment.capacity:
            below = "the consumer" if number == len(segments) else f"task {number + 1}"
            lines.append(f"    |     up to {segment.capacity:,} items, or {human_bytes(plan.max_bytes)} of bytes, to {below}")
    items, held = worst_case(plan)
    lines.append(f"  held at most: {items:,} items, {human_bytes(held)} of items with a size and buffers")
    return "\n".join(lines)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _threads(segments: tuple[SegmentPlan, ...]) -> int:
    return sum(part.step.threads for segment in segments for part in segment.parts)


def _remarks(segment: SegmentPlan) -> str:
    remarks = ["fused"] * (segment.fused and len(segment.parts) > 1)
    for part in segment.parts:
        if part.step.threads:
            remarks.append(f"{part.name}: {_count(part.step.threads, 'thread')}")
        if isinstance(part.step, Stage) and part.step.concurrency > 1:
            remarks.append(f"{part.step.concurrency} calls at once")
    return f"  ({'; '.join(remarks)})" if remarks else ""
