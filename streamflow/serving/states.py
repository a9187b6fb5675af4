"""Where a supervised pipeline stands.

What lives here: the states and a snapshot. What must not: what goes from one to the next (kept.py).

    new -> starting -> running -> finished                    it ended by itself
                          |  ^
                          v  |
                       restarting                             the pause after a failure
                          |
                          v
                        failed                                too often, or by a mistake that no restart mends
    stop(): running -> draining -> drained | failed           what was in flight is finished and committed
            starting, restarting -> drained                   there is nothing in flight
    cancel(): any of them -> cancelled                        nothing is committed; everything is closed
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from streamflow.observe.statistics import RunStats

__all__ = ["PipelineStatus", "State"]

State: TypeAlias = Literal[
    "new",
    "starting",
    "running",
    "restarting",
    "finished",
    "failed",
    "draining",
    "drained",
    "cancelled",
]
"""Where a supervised pipeline stands."""


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """Where one supervised pipeline stands: a snapshot.

    `state` is one of `"new"`, `"starting"`, `"running"`, `"restarting"` (the pause after a failure), `"finished"` (it
    ended by itself), `"failed"` (for good), `"draining"`, `"drained"`, `"cancelled"`; `seconds` is for how long.
    `begun` says whether it ever got going. `runs` counts the starts, `failures` the runs that failed; `error` tells
    the last failure; `starts_in` is the rest of the pause in seconds. `run` has the numbers of the present run, or of
    the last.
    """

    name: str
    state: State
    seconds: float
    begun: bool
    runs: int
    failures: int
    error: str | None
    starts_in: float | None
    run: RunStats | None
