"""What a run did and which stage was the bottleneck, as a value that prints as a table.

What lives here: `Report`. What must not: colours and live drawing (cli/).
"""

from __future__ import annotations

from dataclasses import dataclass

from streamflow.observe.explain import human_bytes
from streamflow.observe.statistics import RunStats, StageStats

__all__ = ["Report", "advice", "bottleneck", "sentence"]

# Below this share of the time nobody can be said to hold the others up.
_BUSY = 0.5


def bottleneck(stats: RunStats) -> StageStats | None:
    """Return the stage whose task worked most while the others waited for it; `None` before anything ran.

    Of steps fused into one task the last is returned; they share its seconds.
    """
    ran = [stage for stage in stats.stages if stage.working > 0]
    return max(ran, key=lambda stage: (stage.working, stage.position)) if ran else None


def sentence(stats: RunStats) -> str:
    """Say in one sentence which stage was the bottleneck, and how that shows."""
    slow = bottleneck(stats)
    if slow is None or not stats.seconds:
        return "Nothing has run yet, so there is no bottleneck."
    task = [stage.name for stage in stats.stages if stage.task == slow.task]
    name = f"{' + '.join(task)!r}"
    share = min(1.0, slow.working / stats.seconds)
    if share < _BUSY:
        return f"No single stage is the bottleneck: the busiest, {name}, worked {share:.0%} of the time."
    above = [stage for stage in stats.stages if stage.task == slow.task - 1]
    below = [stage for stage in stats.stages if stage.task == slow.task + 1]
    shows = []
    if above:
        shows.append(f"{above[-1].name!r} before it waited {above[-1].waiting_for_room / stats.seconds:.0%} for room")
    if below:
        shows.append(f"{below[0].name!r} after it waited {below[0].waiting_for_input / stats.seconds:.0%} for input")
    return f"The bottleneck is {name}: it worked {share:.0%} of the time" + "".join(f", {show}" for show in shows) + "."


def advice(stats: RunStats) -> str:
    """Say what to change to make the run faster."""
    slow = bottleneck(stats)
    if slow is None or not stats.seconds or slow.working / stats.seconds < _BUSY:
        return "The stages overlap well; to go faster, make every one of them cheaper."
    if slow.kind == "source":
        return f"Feed it faster: larger blocks or more reads at once in {slow.name!r}; the stages after it have time to spare."
    if slow.kind == "sink":
        return f"Let {slow.name!r} write larger batches, or more of them at once; the stages before it have time to spare."
    return (
        f"If {slow.name!r} waits for something, give it concurrency= ; if it computes, make it cheaper "
        f"(a lower compression level, fewer columns). More buffering will not help: its input is already waiting."
    )


@dataclass(frozen=True, slots=True)
class Report:
    """How a run went: `report.stats` holds the numbers, `print(report)` shows them.

    `outcome` is `"succeeded"`, `"failed"` or `"cancelled"`; `error` names the exception of a failed run.
    """

    stats: RunStats
    outcome: str
    error: str | None = None

    @property
    def bottleneck(self) -> str:
        """The bottleneck in one sentence."""
        return sentence(self.stats)

    @property
    def advice(self) -> str:
        """What to change to go faster, in one sentence."""
        return advice(self.stats)

    def __str__(self) -> str:
        """Return the report as text that fits 100 columns."""
        stats = self.stats
        head = f"{stats.name} {self.outcome} after {stats.seconds:.2f} s" + (f": {self.error}" if self.error else "")
        return "\n".join([head, "", *_stage_table(stats), "", *_channel_table(stats), "", *_account(stats),
                          self.bottleneck, self.advice])


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Lay out rows in columns: the first to the left, the rest to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def _stage_table(stats: RunStats) -> list[str]:
    rows: list[tuple[str, ...]] = [("stage", "in", "out", "dropped", "bytes in", "bytes out", "working", "for input", "for room")]
    for stage in stats.stages:
        rows.append((
            f"{stage.position} {stage.name[:30]}",
            "" if stage.kind == "source" else f"{stage.items_in:,}",
            "" if stage.kind == "sink" else f"{stage.items_out:,}",
            f"{stage.dropped:,}" if stage.dropped else "",
            human_bytes(stage.bytes_in) if stage.bytes_in else "",
            human_bytes(stage.bytes_out) if stage.bytes_out else "",
            f"{stage.working:.2f} s",
            f"{stage.waiting_for_input:.2f} s",
            f"{stage.waiting_for_room:.2f} s",
        ))
    return _table(rows)


def _channel_table(stats: RunStats) -> list[str]:
    rows: list[tuple[str, ...]] = [("channel after", "peak", "of", "peak bytes", "drains", "put", "got", "discarded")]
    ends = {stage.task: stage for stage in stats.stages}
    for task, channel in enumerate(stats.channels, 1):
        rows.append((
            f"{ends[task].position} {ends[task].name[:30]}",
            f"{channel.peak:,}",
            f"{channel.maxsize:,}",
            human_bytes(channel.peak_bytes) if channel.peak_bytes else "",
            f"{channel.drains:,}",
            f"{channel.put:,}",
            f"{channel.got:,}",
            f"{channel.discarded:,}",
        ))
    return _table(rows)


def _account(stats: RunStats) -> list[str]:
    verdict = "balances" if stats.balanced else "DOES NOT BALANCE"
    return [f"The account {verdict}: every item put was taken" + (f" or counted as discarded ({stats.discarded:,})." if stats.discarded else ".")]
