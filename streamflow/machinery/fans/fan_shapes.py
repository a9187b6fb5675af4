"""Sinks and stages with branches, which can be asked what each branch has seen.

What lives here: `FanSink`, `FanStage` and `FanPassing`, subclasses with `stats()`. What must not: behaviour.

A description is immutable and may be used in several runs; what they share is only the list in which the latest run is
noted, so that somebody can look.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from streamflow.machinery.fans.branches import Branches
from streamflow.machinery.fans.fan import OutletStats
from streamflow.machinery.stage_shapes import Passing
from streamflow.stages import Sink, Stage

__all__ = ["FanPassing", "FanSink", "FanStage"]

A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FanSink(Sink[A_contra, R_co]):
    """A sink with branches, which can be asked what each of them has seen.

    Example: `copies = sf.broadcast(a, b, overflow="drop_newest"); ...; copies.stats()[1].dropped`
    """

    runs: list[Branches] = field(default_factory=list, kw_only=True)

    def stats(self) -> tuple[OutletStats, ...]:
        """Return the numbers of each branch, of the run that goes on or of the last one; nothing before the first."""
        return self.runs[-1].stats() if self.runs else ()


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FanStage(Stage[A_contra, B_co]):
    """A stage with a branch, which can be asked what that has seen."""

    runs: list[Branches] = field(default_factory=list, kw_only=True)

    def stats(self) -> tuple[OutletStats, ...]:
        """Return the numbers of the branch, of the run that goes on or of the last one; nothing before the first."""
        return self.runs[-1].stats() if self.runs else ()


class FanPassing(Passing[A_contra], FanStage[A_contra, Any]):
    """The same of one that gives its items on as they are."""

    __slots__ = ()
