"""The numbers of a run that goes on, as lines: rows, bytes, the fill of each channel, and who waits for whom.

What lives here: pure functions from `RunStats` to lines. What must not: terminals (live.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from streamflow.channel import ChannelStats
from streamflow.cli.layout import bar, cut, flow, seconds, short, table
from streamflow.observe.explain import human_bytes
from streamflow.observe.statistics import RunStats, StageStats

__all__ = ["Line", "Look", "headline", "one_line", "panel", "rows_done", "waiting_for"]

_WIDE, _MIDDLE = 100, 60
_STEP = {"waiting for room": 1, "waiting for input": -1}
_BRIEF = {"waiting for room": "no room", "waiting for input": "no input", "not started": "", "finished": "done"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the panel: its text, and what its stage is doing, for colours."""

    text: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What the panel is drawn with: its width in characters, the rows expected (0: unknown), the signs of a bar."""

    width: int
    expected: int = 0
    filled: str = "█"
    empty: str = "░"


def rows_done(stats: RunStats) -> int:
    """Return how many rows have come to the stage that writes them as CSV."""
    return next((stage.items_in for stage in stats.stages if stage.name.startswith("csv.format")), 0)


def headline(stats: RunStats, expected: int = 0) -> list[str]:
    """Return time, rows, speed and bytes as parts of a line."""
    rows = rows_done(stats)
    total = f" of {expected:,}" if expected else ""
    first, last = stats.stages[0], stats.stages[-1]
    parts = [seconds(stats.seconds), f"{rows:,}{total} rows", f"{rows / max(stats.seconds, 0.001):,.0f} rows/s"]
    if first.bytes_out:
        parts.append(f"{human_bytes(first.bytes_out)} read")
    return [*parts, f"{human_bytes(last.bytes_in)} written"]


def waiting_for(stats: RunStats) -> str:
    """Say in one sentence who waits for whom: each waiting task is followed to the one that does not wait."""
    tasks = {stage.task: stage for stage in stats.stages}
    roots: dict[int, int] = {}
    for task in tasks:
        root = _root(tasks, task)
        if root != task:
            roots[root] = roots.get(root, 0) + 1
    if not roots:
        return "Nobody waits."
    found = (f"{count} of {len(tasks)} tasks wait for {_label(tasks[root])}" for root, count in roots.items())
    return "; ".join(found) + "."


def _root(tasks: dict[int, StageStats], task: int) -> int:
    seen: set[int] = set()
    while task not in seen and (to := task + _STEP.get(tasks[task].state, 0)) in tasks and to != task:
        seen.add(task)
        task = to
    return task


def _label(stage: StageStats) -> str:
    return short(stage.name)


def panel(stats: RunStats, look: Look) -> list[Line]:
    """Return the live view: a line of numbers, a row a stage, and who waits. No line is longer than the width."""
    columns = _wide if look.width >= _WIDE else _middle if look.width >= _MIDDLE else _narrow
    head, rows = columns(stats, look)
    lines = table([head, *rows], look.width, left=frozenset({0, len(head) - 2, len(head) - 1}))
    body = [Line(text, stage.state) for text, stage in zip(lines[1:], stats.stages, strict=True)]
    return [
        *(Line(text, "head") for text in flow(headline(stats, look.expected), look.width)),
        Line(lines[0], "columns"),
        *body,
        Line(cut(waiting_for(stats), look.width), "head"),
    ]


Rows = tuple[list[str], list[list[str]]]


def _wide(stats: RunStats, look: Look) -> Rows:
    tasks = {stage.task: stage for stage in stats.stages}

    def row(stage: StageStats) -> list[str]:
        busy = f"{min(1.0, stage.working / stats.seconds):.0%}" if stats.seconds else ""
        return [_label(stage), _came_out(stage), busy, _doing(stage, tasks), _fill(stats, stage, look, 16, detail=True)]

    return ["stage", "out", "worked", "doing", "channel after it"], [row(stage) for stage in stats.stages]


def _middle(stats: RunStats, look: Look) -> Rows:
    rows = [[_label(stage), _came_out(stage), stage.state, _fill(stats, stage, look, 10)] for stage in stats.stages]
    return ["stage", "out", "doing", "channel after it"], rows


def _narrow(stats: RunStats, look: Look) -> Rows:
    def row(stage: StageStats) -> list[str]:
        return [_label(stage), _BRIEF.get(stage.state, stage.state), _fill(stats, stage, look, 8)]

    return ["stage", "doing", "channel after"], [row(stage) for stage in stats.stages]


def _doing(stage: StageStats, tasks: dict[int, StageStats]) -> str:
    other = tasks.get(stage.task + _STEP.get(stage.state, 0))
    return f"waits for {_label(other)}" if other is not None and other.task != stage.task else stage.state


def _came_out(stage: StageStats) -> str:
    """What came out of it: bytes where items have a size, else items. Of a sink: what went in."""
    size = stage.bytes_in if stage.kind == "sink" else stage.bytes_out
    items = stage.items_in if stage.kind == "sink" else stage.items_out
    return human_bytes(size) if size else f"{items:,}"


def _fill(stats: RunStats, stage: StageStats, look: Look, width: int, *, detail: bool = False) -> str:
    """The channel after this stage, drawn at the last stage of its task."""
    after = stats.channels[stage.task - 1] if stage.task <= len(stats.channels) else None
    if after is None or any(other.task == stage.task and other.position > stage.position for other in stats.stages):
        return ""
    share = fill(after)
    text = f"{bar(share, width, look.filled, look.empty)} {share:4.0%}"
    return f"{text}  {_held(after)}" if detail else text


def fill(channel: ChannelStats) -> float:
    """Return how full a channel is, from 0 to 1, by items or by bytes, whichever is nearer to its bound."""
    by_bytes = channel.bytes / channel.max_bytes if channel.max_bytes else 0.0
    return min(1.0, max(channel.items / channel.maxsize, by_bytes))


def _held(channel: ChannelStats) -> str:
    if channel.bytes and channel.max_bytes:
        return f"{human_bytes(channel.bytes)} of {human_bytes(channel.max_bytes)}"
    return f"{channel.items:,} of {channel.maxsize:,} items"


def one_line(stats: RunStats, expected: int = 0) -> list[str]:
    """Return the same in the parts of one line, for a pipe or a log: numbers, the fill of each channel, who waits."""
    fills = " ".join(f"{fill(channel):.0%}" for channel in stats.channels)
    return [*headline(stats, expected), f"channels {fills} full", waiting_for(stats)]
