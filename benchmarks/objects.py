"""What objects cost on their way: `objects.write` and `objects.read` beside obstore's own streams, s3fs and `aws`.

What lives here: who is compared with whom, the goals, and the tables. What must not: the ways, which are in
`objects_jobs.py`, and the store (`objects_server.py`).

The store is on loopback and as quick as can be had, so that the clients are what is measured. A store that is far away
hides all of it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from benchmarks.goals import Goal, judged
from benchmarks.memory import peak_of
from benchmarks.objects_jobs import CHUNK, CONCURRENCY, PART, aws_command, aws_environment
from benchmarks.objects_server import serving
from benchmarks.presence import absent
from benchmarks.processes import Process, Times, race
from benchmarks.results import Ratio, Result
from benchmarks.tables import machine, table

__all__ = ["run"]

_MIB = 1 << 20
_MOST_GROWTH = 1.1

_NAMES = {
    "obstore-put": "obstore, `open_writer_async`, with SHA-256",
    "obstore-put-unchecked": "obstore, `open_writer_async`, without",
    "streamflow-put": "streamflow, `objects.write`",
    "s3fs-put": 's3fs, `open("wb")`',
    "aws-put": "`aws s3 cp`, from a file",
    "obstore-get": "obstore, `get_async`, `stream()`",
    "streamflow-get": "streamflow, `objects.read`",
    "s3fs-get": 's3fs, `open("rb")`',
    "aws-get": "`aws s3 cp`, into a file",
}


def _goal(what: str, way: str, other: str, at_least: float | None) -> Goal:
    # A goal divides times. The throughput of streamflow over that of the other is the time of the other over its own.
    key = f"objects.{way.partition('-')[2]}/{other.partition('-')[0]}"
    return Goal(key, what, _NAMES[other], _NAMES[way], at_least=at_least)


_CLOSE = [
    _goal("throughput of writing / obstore", "streamflow-put", "obstore-put", 0.9),
    Goal(
        "objects.put/obstore-unchecked",
        "the same / obstore without checksums",
        _NAMES["obstore-put-unchecked"],
        _NAMES["streamflow-put"],
    ),
    _goal("throughput of reading / obstore", "streamflow-get", "obstore-get", 0.9),
]
_FAR = [
    _goal("throughput of writing / s3fs", "streamflow-put", "s3fs-put", 1.0),
    _goal("throughput of writing / aws", "streamflow-put", "aws-put", 1.0),
    _goal("throughput of reading / s3fs", "streamflow-get", "s3fs-get", 1.0),
    _goal("throughput of reading / aws", "streamflow-get", "aws-get", 1.0),
]


def run(*, mebibytes: int = 256, rounds: int = 7) -> Result:
    """Race the ways to the store and from it; return their tables, what they held at most, and the ratios."""
    if not find_spec("obstore"):
        return Result(f"Not measured. {absent(['obstore'])}")
    few = max(2, rounds // 2)
    there = {"s3fs": bool(find_spec("s3fs")), "aws": bool(shutil.which("aws"))}
    others = [name for name, found in there.items() if found]
    missing = [name for name, found in there.items() if not found]
    with serving() as url:
        close, far = {}, {}
        for way, more in (("put", ["obstore-put-unchecked"]), ("get", [])):
            ways = [f"obstore-{way}", f"streamflow-{way}", *more]
            close[way] = race([_process(one, url, mebibytes) for one in ways], rounds=rounds)
            ways = [f"{one}-{way}" for one in ("streamflow", *others)]
            far[way] = race([_process(one, url, mebibytes) for one in ways], rounds=few) if others else {}
        peaks = {way: _peak(way, url, mebibytes) for way in _NAMES if way.partition("-")[0] not in missing}
        grown = _growth(url, mebibytes)
    head = (
        f"{mebibytes} MiB, parts of {PART // _MIB} MiB, {CONCURRENCY} at once, chunks of {CHUNK // _MIB} MiB; median "
        f"of {rounds} rounds ({few} with the slower ones). {machine()}"
    )
    tables = [_table(times, mebibytes) for way in ("put", "get") for times in (close[way], far[way]) if times]
    speeds = [*judged(_CLOSE, {**close["put"], **close["get"]}), *judged(_FAR, {**far["put"], **far["get"]})]
    ratios = [
        *(replace(ratio, more_is_better=True) for ratio in speeds),
        Ratio(
            "objects.memory/growth", "memory, an object of four times the size / of one", grown, at_most=_MOST_GROWTH
        ),
    ]
    held = table(["the most memory held", ""], [[_NAMES[way], f"{peak:.0f} MiB"] for way, peak in peaks.items()])
    return Result("\n\n".join(filter(None, [head, *tables, held, absent(missing)])), ratios)


def _process(way: str, url: str, mebibytes: int) -> Process:
    command = [sys.executable, "-m", "benchmarks.objects_jobs", way, url, str(mebibytes)]
    return Process(_NAMES[way], command, mebibytes * _MIB)


def _table(times: Mapping[str, Times], mebibytes: int) -> str:
    first = next(iter(times.values()))
    rows = [
        [
            name,
            f"{1e9 / found.median / _MIB:,.0f} MiB/s",
            f"{first.median / found.median:.2f}x",
            f"{found.cores:.1f}",
            found.spread,
        ]
        for name, found in times.items()
    ]
    return table(["", f"of {mebibytes} MiB", "throughput", "cores", "spread"], rows)


def _growth(url: str, mebibytes: int) -> float:
    """Return how many times the memory an object of four times the size takes, at most."""
    small, large = _held(url, mebibytes), _held(url, 4 * mebibytes)
    return max(much / little for little, much in zip(small, large, strict=True))


def _held(url: str, mebibytes: int) -> list[float]:
    """Return what streamflow holds to write an object and then to read it; of two runs, as allocators have moods."""
    return [min(_peak(way, url, mebibytes) for _ in range(2)) for way in ("streamflow-put", "streamflow-get")]


def _peak(way: str, url: str, mebibytes: int) -> float:
    """Return the MiB that a way held at most."""
    if not way.startswith("aws"):
        return peak_of(["-m", "benchmarks.objects_jobs", way, url, str(mebibytes), "--once"])[0]
    with tempfile.TemporaryDirectory(prefix="streamflow-objects-") as folder:
        file = Path(folder) / "file"
        with file.open("xb") as out:
            out.truncate(mebibytes * _MIB)
        peak = Path(__file__).with_name("peak.py")
        program, *arguments = aws_command(way, url, file)
        command = [sys.executable, "-I", "-S", str(peak), shutil.which(program) or program, *arguments]
        ended = subprocess.run(command, env=aws_environment(), capture_output=True, text=True, check=True)  # noqa: S603
    return int(ended.stdout.split()[0]) / 1024
