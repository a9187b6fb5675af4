"""What a benchmark gives: a text for the docs, and the ratios that are promised or watched.

What lives here: the two values, and how a promised ratio is judged. What must not: measuring, layout of pages.

Ratios are what travels between machines; seconds are not. Every ratio has a key, under which `baseline.json` remembers
what it was, so that a change that makes something slower is seen (`python -m benchmarks --check`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["Ratio", "Result", "slug"]


def slug(name: str) -> str:
    """Return the name as a part of a key: `"bears 10, uneven"` is `"bears-10-uneven"`."""
    return "-".join(name.replace(",", "").split())


@dataclass(frozen=True, slots=True)
class Ratio:
    """One number with a meaning: how many times something is of what it is compared with, in the same run.

    Example: `Ratio("hops.functions/limit", "sync operators / map(filter(map()))", 1.12, at_most=1.15)`.

    Args:
        key: the name in `baseline.json`: `benchmark.subject/reference`.
        what: the two things compared, for people.
        value: the first divided by the second.
        at_most: the goal, where less is better.
        at_least: the goal, where more is better.
        more_is_better: for a ratio that is watched and has no goal; said by the goal where there is one.
        spread: the least and the most of the rounds, where there were several: `1.08 to 1.15`.
        unit: for the rare goal that is no ratio (`µs`, `MiB`, `ms`). It is judged and shown, but not kept in the
            baseline, because it belongs to one machine.
    """

    key: str
    what: str
    value: float
    at_most: float | None = None
    at_least: float | None = None
    more_is_better: bool = False
    spread: str = ""
    unit: str = ""

    @property
    def goal(self) -> str:
        """The goal in words; empty without one."""
        if self.at_most is not None:
            return f"at most {self.at_most:g}{self._unit}"
        return "" if self.at_least is None else f"at least {self.at_least:g}{self._unit}"

    @property
    def kept(self) -> bool:
        """Whether the goal is reached; true without one."""
        if self.at_most is not None:
            return self.value <= self.at_most
        return self.at_least is None or self.value >= self.at_least

    @property
    def larger_is_better(self) -> bool:
        """Which way is good."""
        return self.more_is_better or self.at_least is not None

    @property
    def shown(self) -> str:
        """The value as it stands in a table, with its unit: `1.12`, `24`, `0.83 µs`."""
        digits = 0 if abs(self.value) >= 100 else 1 if abs(self.value) >= 10 else 2
        return f"{self.value:,.{digits}f}{self._unit}"

    @property
    def verdict(self) -> str:
        """`kept`, or `**missed** by 12 %`; empty without a goal."""
        if not self.goal:
            return ""
        if self.kept:
            return "kept"
        per_cent = 100 * self._missed_by
        return f"**missed** by {per_cent:.0f} %" if per_cent >= 1 else "**missed** by less than 1 %"

    @property
    def _missed_by(self) -> float:
        if self.at_most is not None:
            return self.value / self.at_most - 1
        return 1 - self.value / (self.at_least or 1)

    @property
    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark found.

    Args:
        text: Markdown without a heading.
        ratios: tabled behind the text by the command.
        pictures: SVG by the name of its file in docs/, written with `--write`.
    """

    text: str
    ratios: Sequence[Ratio] = field(default=())
    pictures: Mapping[str, str] = field(default_factory=dict)
