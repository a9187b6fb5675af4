"""A plan in words: tasks, channels, what is fused, threads, and the most that can be held in memory.

What lives here: `explain`, and the arithmetic of the worst case. What must not: anything about a run (report.py).
"""

from __future__ import annotations

from streamflow.engine.planner import SegmentPlan, segments_of
from streamflow.stages import Plan, Sink, Source, Stage

__all__ = ["explain", "human_bytes", "worst_case"]

_KIB = 1024

# What a reader has taken at once stays in memory until it has consumed the last of it, while the channel fills again.
_TWICE = 2


def human_bytes(count: float) -> str:
    """Return a number of bytes as people write it: `1.5 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < _KIB:
            return f"{count:.0f} {unit}" if unit == "B" or count == int(count) else f"{count:.1f} {unit}"
        count /= _KIB
    return f"{count:.1f} TiB"


def worst_case(plan: Plan) -> tuple[int, int]:
    """Return the most that streamflow itself holds at once: items, and bytes of items that have a size plus buffers.

    Counted are the channels with what their readers have in hand, what each operator says it holds, the item in the
    hand of each task, and the buffers that places and codecs declare; a batch counts as its items. Not counted is what
    a user's own stage or sink keeps, nor a single item that is heavier than `max_bytes`.
    """
    group, items = 1, plan.source.holds_items
    segments = segments_of(plan)
    for segment in segments:
        for stage in segment.stages:
            items += stage.holds_items * group
            group *= stage.groups
        items += group  # in the hand of the task: the item that waits for room, or that the sink is at
        items += _TWICE * segment.capacity * group
    channels = sum(1 for segment in segments if segment.capacity)
    return items, channels * plan.max_bytes + sum(step.holds for step in _steps(plan))


def _steps(plan: Plan) -> list[Source[object] | Stage[object, object] | Sink[object, object]]:
    return [plan.source, *plan.stages, *([plan.sink] if plan.sink is not None else [])]


def explain(plan: Plan) -> str:
    """Return the plan as text: a line for each task, a line for each channel, and the worst case held.

    Example: `print(pipeline.explain())` shows

        pipeline: 4 steps in 3 tasks, 2 channels, 0 threads
          task 1  range + map  (fused)
            |     up to 1,024 items, or 1 MiB
          task 2  batched(100)
            |     up to 1,024 batches of 100 items, or 1 MiB
          task 3  collect
          held at most: 206,152 items, 2 MiB of items with a size in bytes and of buffers
    """
    segments = segments_of(plan)
    lines = [_summary(plan, segments)]
    group = 1
    for number, segment in enumerate(segments, 1):
        for stage in segment.stages:
            group *= stage.groups
        lines.append(f"  task {number}  {segment.name}{_remarks(segment)}")
        if segment.capacity:
            lines.append(f"    |     {_channel(plan, segment, group, last=number == len(segments))}")
    items, held = worst_case(plan)
    lines.append(f"  held at most: {items:,} items, {human_bytes(held)} of items with a size in bytes and of buffers")
    return "\n".join(lines)


def _summary(plan: Plan, segments: tuple[SegmentPlan, ...]) -> str:
    steps = sum(len(segment.parts) for segment in segments)
    channels = sum(1 for segment in segments if segment.capacity)
    threads = sum(part.step.threads for segment in segments for part in segment.parts)
    parts = [_count(steps, "step"), _count(channels, "channel"), _count(threads, "thread")]
    return f"{plan.name}: {parts[0]} in {_count(len(segments), 'task')}, {', '.join(parts[1:])}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _channel(plan: Plan, segment: SegmentPlan, group: int, *, last: bool) -> str:
    what = "items" if group == 1 else f"batches of {group:,} items"
    below = ", for the consumer" if last else ""
    return f"up to {segment.capacity:,} {what}, or {human_bytes(plan.max_bytes)}{below}"


def _remarks(segment: SegmentPlan) -> str:
    remarks = ["fused"] * (segment.fused and len(segment.parts) > 1)
    for part in segment.parts:
        step = part.step
        if isinstance(step, Stage) and step.nested:
            remarks.append("nested, no channel between")
        if step.threads:
            remarks.append(_count(step.threads, "thread"))
        if isinstance(step, Stage) and step.concurrency > 1:
            remarks.append(f"{step.concurrency:,} calls at once, up to {step.holds_items:,} items in flight")
        if step.holds:
            remarks.append(f"holds up to {human_bytes(step.holds)}")
    return f"  ({'; '.join(remarks)})" if remarks else ""
