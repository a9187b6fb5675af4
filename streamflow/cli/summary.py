"""The report at the end of the demo, as lines for a width.

What lives here: pure functions from a run, a verdict and a few facts to lines. What must not: judging (verify.py) and
measuring (observe/), whose words are used.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamflow.cli.layout import seconds, short, table, wrap
from streamflow.cli.progress import rows_done
from streamflow.cli.verify import Verdict
from streamflow.observe.explain import human_bytes
from streamflow.observe.report import Report
from streamflow.observe.statistics import RunStats, StageStats

__all__ = ["facts", "plan", "report"]

_WIDE, _MIDDLE = 90, 60
_PROVEN = "yes: read back row by row with the standard library"


def facts(pairs: Iterable[tuple[str, str]], width: int) -> list[str]:
    """Lay out words and their values in two columns; a long value goes on under itself."""
    found = list(pairs)
    side = max(len(word) for word, _ in found) + 2
    return [line for word, value in found for line in wrap(f"{word.ljust(side)}{value}", width, " " * side)]


def plan(explained: str, width: int) -> list[str]:
    """Return a plan for a width, with the addresses left out of the names."""
    return [line for text in short(explained).splitlines() for line in wrap(text, width, "      ")]


def report(ran: Report, verdict: Verdict, peak: int | None, width: int) -> list[str]:
    """Return the whole report: the account, the stages, the channels, the bottleneck and the advice."""
    stats = ran.stats
    return [
        *facts(_account(stats, verdict, peak), width),
        "",
        *_stages(stats, width),
        "",
        *_channels(stats, width),
        "",
        *wrap(short(ran.bottleneck), width),
        *wrap(short(ran.advice), width),
    ]


def _account(stats: RunStats, verdict: Verdict, peak: int | None) -> list[tuple[str, str]]:
    rows = rows_done(stats)
    first, last = stats.stages[0], stats.stages[-1]
    verified = f"NO: {verdict.difference}" if verdict.difference else _PROVEN
    balance = "every item put was taken" if stats.balanced and not stats.discarded else "DOES NOT BALANCE"
    return [
        ("rows in", f"{verdict.rows_in:,}"),
        ("rows out", f"{verdict.rows_out:,}"),
        ("same", verified),
        ("channels", balance),
        ("read", human_bytes(first.bytes_out)),
        ("written", human_bytes(last.bytes_in)),
        ("time", f"{seconds(stats.seconds)}, {rows / max(stats.seconds, 0.001):,.0f} rows/s"),
        ("peak memory", human_bytes(peak) if peak is not None else "unknown on this system"),
    ]


def _stages(stats: RunStats, width: int) -> list[str]:
    rows = [["stage", "in", "out", "bytes out", "worked", "no input", "no room"]]
    rows += [_stage(stage) for stage in stats.stages]
    keep = (0, 1, 2, 3, 4, 5, 6) if width >= _WIDE else (0, 2, 4, 5, 6) if width >= _MIDDLE else (0, 4, 5, 6)
    return table([[row[at] for at in keep] for row in rows], width)


def _stage(stage: StageStats) -> list[str]:
    size = stage.bytes_in if stage.kind == "sink" else stage.bytes_out
    return [
        short(stage.name),
        "" if stage.kind == "source" else f"{stage.items_in:,}",
        "" if stage.kind == "sink" else f"{stage.items_out:,}",
        human_bytes(size) if size else "",
        f"{stage.working:.2f} s",
        f"{stage.waiting_for_input:.2f} s",
        f"{stage.waiting_for_room:.2f} s",
    ]


def _channels(stats: RunStats, width: int) -> list[str]:
    ends = {stage.task: short(stage.name) for stage in stats.stages}
    rows = [["channel after", "peak", "of", "peak bytes", "drains"]]
    rows += [
        [
            ends[task],
            f"{channel.peak:,}",
            f"{channel.maxsize:,}",
            human_bytes(channel.peak_bytes) if channel.peak_bytes else "",
            f"{channel.drains:,}",
        ]
        for task, channel in enumerate(stats.channels, 1)
    ]
    keep = (0, 1, 2, 3, 4) if width >= _MIDDLE else (0, 1, 2, 4)
    return table([[row[at] for at in keep] for row in rows], width)
