"""`streamflow run --stats PATH`: the numbers of the runs, as JSON.

What lives here: a file that is checked before anything begins and is there whole or not at all. What must not: what the
numbers mean (observe/).

It is written beside its place and renamed. What is no regular file (`/dev/stdout`, a pipe) is written into: to rename
something over it would replace the device.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from streamflow.errors import UsageError
from streamflow.serving.service import Runs
from streamflow.serving.supervised import Supervised

__all__ = ["Figures"]

_DEVICES = ("/dev/", "/proc/")


class Figures:
    """Where the numbers go at the end; `Figures(path)` raises `UsageError` if they cannot go there."""

    def __init__(self, path: str) -> None:
        """Try whether a file can be made there; nothing is left of that."""
        self._given = path
        absolute = os.path.abspath(path)  # the user's module may go to another directory
        self._into = absolute.startswith(_DEVICES) or (os.path.exists(path) and not os.path.isfile(path))
        self._path = absolute if self._into else os.path.realpath(path)
        self._beside = f"{self._path}.{os.getpid()}.tmp"
        try:
            self._check()
        except OSError as error:
            raise UsageError(f"--stats {path}: no file can be written there: {_reason(error)}.") from None

    def _check(self) -> None:
        if not self._given:
            raise UsageError("--stats needs a file to write to, as in --stats stats.json")
        if os.path.isdir(self._path):
            name = os.path.join(self._given, "stats.json")
            raise UsageError(f"--stats {self._given} is a directory; name a file in it: --stats {name}")
        if not self._into:
            os.close(os.open(self._beside, os.O_CREAT | os.O_WRONLY, 0o666))
            os.unlink(self._beside)

    def write(self, jobs: Sequence[Runs]) -> None:
        """Write what is known of the runs. Raises `OSError` with the path as it was given, and leaves nothing then."""
        text = json.dumps([_numbers(job) for job in jobs], indent=2, default=str) + "\n"
        try:
            if self._into:
                with open(self._path, "a", encoding="utf-8") as file:
                    file.write(text)
                return
            Path(self._beside).write_text(text, encoding="utf-8")
            os.replace(self._beside, self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(self._beside)
            raise OSError(f"the numbers could not be written to {self._given}: {_reason(error)}") from None


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def _numbers(job: Runs) -> dict[str, Any]:
    if isinstance(job, Supervised):
        return {"name": job.name, "pipelines": [dataclasses.asdict(each) for each in job.supervisor.stats().values()]}
    try:
        report = job.report
    except UsageError:
        return {"name": job.name, "outcome": "not run"}
    return {"name": job.name, "outcome": report.outcome, "error": report.error, **dataclasses.asdict(report.stats)}
