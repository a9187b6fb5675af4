"""What still runs on a loop: the runs that are not over, and the tasks that were given up.

What lives here: the two registers, and the questions a program asks when it is to end. What must not: how a run ends.

The event loop keeps only weak references to tasks: a run that nobody awaits must not be collected halfway (H19), nor a
task that was given up.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from streamflow.engine.segments import Segment
from streamflow.engine.telling import whereabouts
from streamflow.errors import StageDidNotStop

__all__ = ["HURRIED", "Unfinished", "give_up", "hurry", "left_running", "running"]

HURRIED = 1.0
"""Seconds of grace left once somebody is in a hurry."""


class Unfinished(Protocol):
    """A run that is entered here until it is over."""

    @property
    def over(self) -> asyncio.Future[None]:
        """Done when it is over."""

    def hurry(self) -> list[str]:
        """End the grace of what is stopping; return the names of what is open."""


running: set[Unfinished] = set()
"""The runs that are not over."""

_given_up: set[asyncio.Task[Any]] = set()


def give_up(segment: Segment, grace: float) -> None:
    """Go on without a segment that does not stop: that is its error, and its task is left running."""
    task = segment.task
    assert task is not None
    segment.error = StageDidNotStop(
        f"stage {segment.plan.name!r} was asked to stop and did not within {grace:g} s; "
        f"it is left running at {whereabouts(task, segment.generator)}"
    )
    segment.late = True
    _given_up.add(task)
    task.add_done_callback(_given_up.discard)


def left_running() -> list[str]:
    """Return the names of the tasks of this loop that were given up, and still run."""
    loop = asyncio.get_running_loop()
    return sorted(task.get_name() for task in _given_up if task.get_loop() is loop and not task.done())


def hurry() -> list[str]:
    """End the grace of every run of this loop; return the names of the stages that are still open in those stopping."""
    loop = asyncio.get_running_loop()
    return [name for run in list(running) if run.over.get_loop() is loop for name in run.hurry()]
