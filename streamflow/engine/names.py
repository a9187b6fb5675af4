"""Where in a pipeline something runs, found by context: for logs, and for what is opened inside a source.

What lives here: `Place` and its context variable. What must not: anything that reads it (nested.py, serving/logs.py).

What a stage starts inherits its place: its own tasks, the workers of a concurrent `map`, a call in a thread. A run
within a run keeps the name of the outermost pipeline.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple

__all__ = ["Place", "in_source", "place"]


class Place(NamedTuple):
    """The name of the pipeline, the names of the stages that share the task, and whether its source is among them."""

    pipeline: str
    stage: str
    source: bool


place: ContextVar[Place | None] = ContextVar("streamflow.place", default=None)
"""Where this runs; `None` outside any pipeline."""


def in_source() -> bool:
    """Whether what runs here is the source of its run, or was started by it."""
    here = place.get()
    return here is not None and here.source
