"""How a run went, as a value that prints as a table.

What lives here: `Report` and its layout for 100 columns. What must not: finding the bottleneck (bottleneck.py); colours
and live drawing (cli/).
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from streamflow.channel import ChannelStats
from streamflow.observe.bottleneck import advice, sentence
from streamflow.observe.explain import human_bytes
from streamflow.observe.statistics import NestedStats, RunStats, StageStats

__all__ = ["Report"]

_WIDTH = 100
_NARROW = 14  # the least that is left of a name
_NESTED = 10  # how many names of nested runs are shown


@dataclass(frozen=True, slots=True)
class Report:
    """How a run went: `report.stats` holds the numbers, `print(report)` shows them.

    Example:
        await pipeline.run()
        print(pipeline.report)

    `outcome` is `"succeeded"`, `"drained"`, `"failed"` or `"cancelled"`; `error` names the exception of a failed run.
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
        """What to change to go faster."""
        return advice(self.stats)

    def __str__(self) -> str:
        """Return the report as text that fits 100 columns."""
        stats = self.stats
        head = f"{stats.name} {self.outcome} after {stats.seconds:.2f} s" + (f": {self.error}" if self.error else "")
        blocks = [
            _wrapped(head),
            _table(_stage_rows(stats)),
            _table(_channel_rows(stats)),
            _nested(stats),
            "\n".join(f"{name}: {value}" for name, value in stats.values.items()),
            _wrapped(_account(stats)),
        ]
        return "\n\n".join([*filter(None, blocks), _wrapped(self.bottleneck) + "\n" + _wrapped(self.advice)])


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ")


def _table(rows: list[tuple[str, ...]]) -> str:
    """Lay out rows in columns, the first to the left, the rest to the right; columns without a value are left out."""
    if len(rows) == 1:
        return ""
    shown = [at for at in range(len(rows[0])) if any(row[at] for row in rows[1:])]
    widths = {at: max(len(row[at]) for row in rows) for at in shown}
    widths[0] = min(widths[0], max(_NARROW, _WIDTH - sum(widths[at] + 2 for at in shown[1:])))
    lines = ("  ".join([_name(row[0], widths[0]), *(row[at].rjust(widths[at]) for at in shown[1:])]) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _name(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 3] + "..."


def _stage_rows(stats: RunStats) -> list[tuple[str, ...]]:
    head = ("stage", "in", "out", "dropped", "bytes", "at work", "no input", "no room")
    tasks = [stage.task for stage in stats.stages]
    return [
        head,
        *(_stage_row(stage, stats, fused=stage.task in tasks[:at]) for at, stage in enumerate(stats.stages)),
    ]


def _stage_row(stage: StageStats, stats: RunStats, *, fused: bool) -> tuple[str, ...]:
    size = stage.bytes_in if stage.kind == "sink" else stage.bytes_out
    return (
        f"{stage.position} {stage.name}",
        "" if stage.kind == "source" else f"{stage.items_in:,}",
        "" if stage.kind == "sink" else f"{stage.items_out:,}",
        f"{stage.dropped:,}" if stage.dropped else "",
        human_bytes(size) if size else "",
        "as above" if fused else _share(stage.working, stats),
        "" if fused else _share(stage.waiting_for_input, stats),
        "" if fused else _share(stage.waiting_for_room, stats),
    )


def _share(seconds: float, stats: RunStats) -> str:
    """Return a time as a share of the run; nothing for next to nothing."""
    share = min(1.0, seconds / stats.seconds) if stats.seconds else 0.0
    return f"{share:.0%}" if share >= 0.005 else ""  # noqa: PLR2004  # what would round to 0%


def _channel_rows(stats: RunStats) -> list[tuple[str, ...]]:
    ends = {stage.task: stage for stage in stats.stages}
    return [
        ("channel after", "peak", "of", "peak bytes", "of", "waits for room", "discarded"),
        *(_channel_row(ends[task], channel) for task, channel in enumerate(stats.channels, 1)),
    ]


def _channel_row(above: StageStats, channel: ChannelStats) -> tuple[str, ...]:
    return (
        f"{above.position} {above.name}",
        f"{channel.peak:,}",
        f"{channel.maxsize:,}",
        human_bytes(channel.peak_bytes) if channel.peak_bytes else "",
        human_bytes(channel.max_bytes) if channel.peak_bytes and channel.max_bytes else "",
        f"{channel.drains:,}",
        f"{channel.discarded:,}" if channel.discarded else "",
    )


def _nested(stats: RunStats) -> str:
    """What the stages ran themselves; where there is much of it, what lost items is shown before the rest."""
    shown = list(stats.nested)
    if len(shown) > _NESTED:
        shown.sort(key=lambda one: one.balanced and not (one.dropped or one.discarded or one.failed))
    left = shown[_NESTED:]
    table = _table([("inside the stages", "runs", "in", "out", "dropped", "discarded", "failed"), *_nested_rows(shown)])
    return table + (f"\nand {len(left)} more, {_losses(left)}" if left else "")


def _nested_rows(shown: list[NestedStats]) -> list[tuple[str, ...]]:
    return [
        (
            one.name if one.balanced else f"{one.name} (DOES NOT BALANCE)",
            f"{one.runs:,}" if one.runs else "",
            f"{one.items_in:,}",
            f"{one.items_out:,}",
            *(f"{number:,}" if number else "" for number in (one.dropped, one.discarded, one.failed)),
        )
        for one in shown[:_NESTED]
    ]


def _losses(left: list[NestedStats]) -> str:
    dropped, discarded = sum(one.dropped for one in left), sum(one.discarded for one in left)
    return f"with {dropped:,} dropped, {discarded:,} discarded" if dropped or discarded else "which lost nothing"


def _account(stats: RunStats) -> str:
    counted = [*stats.channels, *stats.nested]
    put, got, items = (sum(getattr(one, word) for one in counted) for word in ("put", "got", "items"))
    verdict = "The account balances" if stats.balanced else "THE ACCOUNT DOES NOT BALANCE"
    discarded = f", {stats.discarded:,} discarded because nobody below wanted them" if stats.discarded else ""
    displaced = put - got - stats.discarded - items if stats.balanced else 0
    discarded += f", {displaced:,} dropped to make room" if displaced else ""
    failed = "".join(f" It failed in stage {row.position}, {row.name!r}." for row in stats.stages if row.failed)
    return f"{verdict}: over all channels {put:,} items were put, {got:,} taken{discarded}.{failed}"
