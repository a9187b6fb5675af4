"""What bytes cost on their way: a file copied, compressed and expanded, against `cp`, `gzip` and `pigz`.

What lives here: the data, who is compared with whom, and the tables. What must not: the ways themselves, which are in
`copying_jobs.py`.

The source has been read just before, so it is in the page cache, and source and target are on one file system. Results
are compared at equal durability: streamflow syncs a file before it renames it, `cp` does not; so there is a comparison
without a sync on either side and one with a sync on both.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.copying_jobs import COMMANDS, digest
from benchmarks.copying_profile import by_thread
from benchmarks.goals import Goal, judged
from benchmarks.memory import peak_of
from benchmarks.processes import Process, Times, race
from benchmarks.results import Ratio, Result
from benchmarks.tables import machine, table

__all__ = ["run"]

_MIB = 1 << 20
_UNIQUE = 16 * _MIB
_SMALL = 4 * _MIB

_CP = "`cp`"
_COPY = "`files.read`, `files.write(sync=False)`"
_CP_SYNCED = "`cp`, then fsync"
_COPY_SYNCED = "`files.read`, `files.write`"
_GZIP = "`gzip -6`, then fsync"
_PIGZ = "`pigz -p2 -6`, then fsync"
_COMPRESS = "`files.read`, `gzip.compress()`, `objects.write`"
_COMPRESS_TWO = "`files.read`, `gzip.compress(threads=2)`, `objects.write`"
_COMPRESS_TWO_FAST = "the same on two threads with the extra `fast`"
_GUNZIP = "`gunzip`, then fsync"
_UNPIGZ = "`pigz -p2 -d`, then fsync"
_DECOMPRESS = "`objects.read`, `gzip.decompress()`, `files.write`"
_DECOMPRESS_FAST = "the same with the extra `fast`"

# A goal divides times. The throughput of streamflow over that of the other is the time of the other over its own.
_GOALS = (
    Goal("copying.file/cp", "throughput of a copy / that of cp", _CP, _COPY, at_least=0.8),
    Goal("copying.synced/cp", "the same with fsync on both sides", _CP_SYNCED, _COPY_SYNCED, at_least=0.8),
    Goal("copying.gzip/pigz", "throughput of gzip on two threads / pigz -p2", _PIGZ, _COMPRESS_TWO, at_least=0.9),
    Goal("copying.gzip-fast/pigz", "the same by zlib-ng", _PIGZ, _COMPRESS_TWO_FAST, at_least=0.9),
    Goal("copying.gzip-one/gzip", "throughput of gzip on one thread / gzip", _GZIP, _COMPRESS, at_least=0.9),
    Goal("copying.gunzip/pigz", "throughput of gunzip / pigz -d", _UNPIGZ, _DECOMPRESS, at_least=0.9),
    Goal("copying.gunzip-fast/pigz", "throughput of gunzip by isal / pigz -d", _UNPIGZ, _DECOMPRESS_FAST, at_least=0.9),
)


@dataclass(frozen=True, slots=True)
class _Files:
    """The sources, plain and compressed, in the directory where the targets go."""

    directory: Path
    size: int
    digest: str

    @property
    def plain(self) -> Path:
        return self.directory / "orders.csv"

    @property
    def packed(self) -> Path:
        return self.directory / "orders.csv.gz"

    @property
    def warm(self) -> Path:
        return self.directory / "small.csv"

    def process(self, name: str, way: str, *options: str) -> Process:
        source = self.packed if way in ("gunzip", "unpigz", "decompress") else self.plain
        target = self.directory / "target"
        command = [sys.executable, "-m", "benchmarks.copying_jobs", way, source, target, self.digest, *options]
        return Process(name, [str(word) for word in command], self.size)


def _rows(size: int) -> bytes:
    """Return about so many bytes of CSV: numbers, times, names, amounts, and notes of words in quotes."""
    choice = random.Random(1)  # noqa: S311  # no secret; the same bytes on every machine
    letters = "etaoinshrdlucmfwypvbgkjqxz"
    words = ["".join(choice.choices(letters, k=choice.randint(2, 10))) for _ in range(3000)]
    rows, length = [], 0
    while length < size:
        name, surname, *note = choice.choices(words, k=choice.randint(3, 10))
        when = f"2026-{choice.randint(1, 12):02}-{choice.randint(1, 28):02}T{choice.randrange(86400)}"
        row = f'{choice.randrange(10**7)},{when},{name} {surname},{choice.random() * 1000:.2f},"{" ".join(note)}"\n'
        rows.append(row)
        length += len(row)
    return "".join(rows).encode()[:size]


def _made(directory: Path, size: int) -> _Files:
    """Write the sources. The rows repeat after 16 MiB, much farther apart than gzip can look back (32 KiB)."""
    rows = _rows(min(_UNIQUE, size))
    plain = directory / "orders.csv"
    with plain.open("xb") as file:
        for at in range(0, size, len(rows)):
            file.write(rows[: size - at])
    made = _Files(directory, size, digest(plain))
    made.warm.write_bytes(rows[:_SMALL])
    _packed(made.plain, made.packed)
    return made


def _packed(source: Path, target: Path) -> None:
    with target.open("xb") as file:
        subprocess.run(["gzip", "-6", "-c", str(source)], stdout=file, check=True)  # noqa: S603, S607


def run(*, mebibytes: int = 256, rounds: int = 7) -> Result:
    """Race the three groups; return their tables, the memory of streamflow's ways, and the ratios."""
    missing = sorted({words[0] for words in COMMANDS.values() if not shutil.which(words[0])} - {"pigz"})
    if missing:
        return Result(f"Not measured: {' and '.join(missing)} is not installed here.")
    few = max(3, rounds // 2)
    with tempfile.TemporaryDirectory(prefix="streamflow-copying-") as directory:
        made = _made(Path(directory), mebibytes * _MIB)
        times = [
            race(group, rounds=count) for group, count in zip(_groups(made), (rounds, rounds, few, few), strict=True)
        ]
        memory, growth = _memory(made)
        busy = by_thread(_profiled(made))
    together = {name: found for one in times for name, found in one.items()}
    absent = "" if shutil.which("pigz") else " pigz is not installed here."
    head = f"{mebibytes} MiB of CSV, median of {rounds} rounds ({few} with gzip).{absent} {machine()}"
    return Result("\n\n".join([head, *map(_table, times), memory, busy]), [*judged(_GOALS, together), growth])


def _groups(made: _Files) -> list[list[Process]]:
    """Return who runs against whom: copies, copies onto the disk, compression, expansion."""
    pigz = bool(shutil.which("pigz"))
    whole, sync = ("--warm", str(made.plain)), ("--sync",)
    packed, small = ("--warm", str(made.packed)), ("--warm", str(made.warm))
    copies = [
        made.process(_CP, "cp", *whole),
        made.process(_COPY, "copy", *whole),
        made.process("the same on asyncio instead of uvloop", "copy", *whole, "--loop", "asyncio"),
    ]
    synced = [
        made.process(_CP_SYNCED, "cp", *sync, *whole),
        made.process(_COPY_SYNCED, "copy", *sync, *whole),
    ]
    compressed = [
        made.process(_GZIP, "gzip", *sync, *small),
        *([made.process(_PIGZ, "pigz", *sync, *small)] if pigz else []),
        made.process(_COMPRESS, "compress", *small, "--plain"),
        made.process(_COMPRESS_TWO, "compress", *small, "--threads", "2", "--plain"),
        *([made.process(_COMPRESS_TWO_FAST, "compress", *small, "--threads", "2")] if find_spec("zlib_ng") else []),
    ]
    expanded = [
        made.process(_GUNZIP, "gunzip", *sync, *packed),
        *([made.process(_UNPIGZ, "unpigz", *sync, *packed)] if pigz else []),
        made.process(_DECOMPRESS, "decompress", *sync, *packed, "--plain"),
        *([made.process(_DECOMPRESS_FAST, "decompress", *sync, *packed)] if find_spec("isal") else []),
    ]
    return [copies, synced, compressed, expanded]


def _table(times: dict[str, Times]) -> str:
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
    return table(["", "of the plain data", "throughput", "cores", "spread"], rows)


def _profiled(made: _Files) -> dict[str, Process]:
    whole = "--warm", str(made.plain)
    return {
        "a copy, without fsync": made.process("", "copy", *whole),
        "gzip on two threads": made.process("", "compress", "--threads", "2", "--plain"),
        "gunzip, without `fast` and fsync": made.process("", "decompress", "--plain", "--warm", str(made.packed)),
    }


def _memory(made: _Files) -> tuple[str, Ratio]:
    """Measure what streamflow's ways hold at most, and what a copy of a quarter of the file holds."""
    ways = {
        "a copy": made.process("", "copy"),
        "gzip on one thread": made.process("", "compress"),
        "gzip on two threads": made.process("", "compress", "--threads", "2"),
        "gunzip": made.process("", "decompress"),
    }
    with tempfile.TemporaryDirectory(dir=made.directory) as directory:
        quarter = _quarter(made, Path(directory))
        ways["a copy of a quarter of the file"] = quarter.process("", "copy")
        peaks = {name: peak_of(way.command[1:])[0] for name, way in ways.items()}
    whole, part = peaks["a copy"], peaks["a copy of a quarter of the file"]
    head = ["the most memory held", ""]
    text = table(head, [[name, f"{peak:.1f} MiB"] for name, peak in peaks.items()])
    return text, Ratio("copying.memory/quarter", "memory, a file / a quarter of it", whole / part, at_most=1.1)


def _quarter(made: _Files, directory: Path) -> _Files:
    path = directory / made.plain.name
    with made.plain.open("rb") as source:
        path.write_bytes(source.read(made.size // 4))
    return _Files(directory, made.size // 4, digest(path))
