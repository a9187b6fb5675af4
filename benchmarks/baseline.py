"""What the ratios were: `baseline.json`, and what has become worse since.

What lives here: reading, writing and comparing. What must not: measuring, printing.

Quick and full runs are remembered apart, because a ratio depends on the number of items. A ratio moves from run to run,
and from machine to machine, by some per cent; `TOLERANCE` is meant to be wider than that, so that what is reported is a
change of the program.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Ratio

__all__ = ["FILE", "TOLERANCE", "Change", "compare", "read", "update"]

FILE = Path(__file__).with_name("baseline.json")

TOLERANCE = 0.25
"""A ratio that is worse by more than this share of itself is reported."""


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio that differs from what it was: `worse` is 1.5 for one that has become half as bad again."""

    ratio: Ratio
    was: float

    @property
    def worse(self) -> float:
        """How many times worse than it was; below 1 it has become better."""
        return self.was / self.ratio.value if self.ratio.larger_is_better else self.ratio.value / self.was

    def __str__(self) -> str:
        return f"{self.ratio.key}: {self.ratio.shown}, was {self.was:g} ({self.ratio.what})"


def read(mode: str, path: Path = FILE) -> dict[str, float]:
    """The ratios that are remembered of `"quick"` or of `"full"` runs, by key; none if there is no such file."""
    if not path.exists():
        return {}
    return dict(json.loads(path.read_text(encoding="utf-8"))["ratios"].get(mode, {}))


def compare(ratios: Iterable[Ratio], before: Mapping[str, float], tolerance: float = TOLERANCE) -> list[Change]:
    """What has become worse by more than `tolerance`. What is not remembered, or has a unit, is not compared."""
    known = (Change(ratio, before[ratio.key]) for ratio in ratios if ratio.key in before and _lasting(ratio))
    return [change for change in known if change.was > 0 and change.worse > 1 + tolerance]


def update(mode: str, names: Iterable[str], ratios: Iterable[Ratio], machine: str, path: Path = FILE) -> None:
    """Remember these ratios; what the benchmarks called `names` had before is forgotten."""
    data = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"ratios": {}}
    prefixes = tuple(f"{name}." for name in names)
    kept = {key: value for key, value in data["ratios"].get(mode, {}).items() if not key.startswith(prefixes)}
    new = {ratio.key: float(f"{ratio.value:.3g}") for ratio in ratios if _lasting(ratio)}
    data["ratios"][mode] = dict(sorted((kept | new).items()))
    data |= {
        "about": "Written by `python -m benchmarks --update-baseline`; `--check` compares with it.",
        "machine": machine,
        "written": dt.datetime.now(dt.UTC).date().isoformat(),
        "tolerance": TOLERANCE,
    }
    ordered = {key: data[key] for key in ("about", "machine", "written", "tolerance", "ratios")}
    path.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")


def _lasting(ratio: Ratio) -> bool:
    return not ratio.unit and ratio.value > 0
