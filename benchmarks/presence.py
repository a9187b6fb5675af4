"""What is installed here: peers that are absent are named, never guessed.

What lives here: finding a command or a library, building the small Go programs. Builds go to .cache/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from benchmarks.processes import ROOT

__all__ = ["absent", "built", "has_library"]

_NAMES = {
    "extension": "streamflow's optional extension in C",
    "go": "Go",
    "node": "Node.js",
    "reactivex": "RxPY",
    "spdl.pipeline": "SPDL",
}
_CACHE = ROOT / ".cache" / "bench"


def has_library(name: str) -> bool:
    """Whether the library can be imported; `spdl.pipeline` asks for the part, too."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def built(source: Path) -> str | None:
    """Build a Go program of one file and return its path; None if Go is not installed."""
    go = shutil.which("go")
    if go is None:
        return None
    program = _CACHE / source.stem
    _CACHE.mkdir(parents=True, exist_ok=True)
    command = [go, "build", "-o", str(program), str(source)]
    environment = {**os.environ, "GOCACHE": str(_CACHE / "go"), "GO111MODULE": "off"}
    subprocess.run(command, check=True, capture_output=True, env=environment)  # noqa: S603
    return str(program)


def absent(needed: Iterable[str]) -> str:
    """One sentence about the needs that are not met here; empty if there are none."""
    names = list(dict.fromkeys(_NAMES.get(need, need) for need in needed))
    if not names:
        return ""
    *most, last = names
    listed = f"{', '.join(most)} and {last}" if most else last
    verb, are = ("are", "they are") if most else ("is", "it is")
    return f"{listed} {verb} not installed here, so {are} not in the table."
