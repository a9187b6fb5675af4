"""The command as a process, numbers of a run made by hand, and small CSV files."""

from __future__ import annotations

import csv
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamflow.channel import ChannelStats
from streamflow.observe.statistics import RunStats, StageStats

ROOT = Path(__file__).parents[2]


@pytest.fixture
def start(tmp_path: Path):
    """Start the command in a process whose temporary files are under `tmp_path / "tmp"`."""
    (tmp_path / "tmp").mkdir()

    @contextmanager
    def starting(*arguments: object, at: Path = ROOT, **options: object) -> Iterator[subprocess.Popen[str]]:
        command = [sys.executable, "-m", "streamflow", *map(str, arguments)]
        env = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), **options.pop("env", {})}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8", **options}
        with subprocess.Popen(command, cwd=at, env=env, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    return starting


@pytest.fixture
def command(start):
    """Run the command to its end: exit code, standard output, standard error."""

    def running(*arguments: object, **options: object) -> tuple[int, str, str]:
        with start(*arguments, **options) as process:
            out, err = process.communicate(timeout=50)
        return process.returncode, out or "", err or ""

    return running


@pytest.fixture
def orders_csv(tmp_path: Path) -> Path:
    """A small CSV with everything awkward in it: 2,000 rows and a header."""
    path = tmp_path / "orders.csv"
    rows = [[str(n), 'say "hi", Zoë', "two\nlines", "東京"] for n in range(2000)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["id", "note", "text", "city"], *rows])
    return path


@pytest.fixture
def gunzipped() -> Callable[[Path], list[list[str]]]:
    """Read a gzipped CSV with the standard library."""

    def reading(path: Path) -> list[list[str]]:
        return list(csv.reader(io.StringIO(gzip.decompress(path.read_bytes()).decode(), newline="")))

    return reading


def _channel(items: int, maxsize: int, size: int = 0, max_bytes: int | None = None) -> ChannelStats:
    return ChannelStats(
        name="a > b",
        state="open",
        maxsize=maxsize,
        max_bytes=max_bytes,
        items=items,
        bytes=size,
        put=items,
        got=0,
        discarded=0,
        bytes_put=size,
        peak=items,
        peak_bytes=size,
        drains=3,
        waited_for_room=0.0,
        waited_for_items=0.0,
        writers_waiting=0,
        readers_waiting=0,
    )


def _stage(at: int, name: str, state: str, last: int) -> StageStats:
    return StageStats(
        position=at,
        name=name,
        kind="source" if at == 1 else "sink" if at == last else "stage",
        task=at,
        items_in=0 if at == 1 else 31_744,
        items_out=0 if at == last else 31_744,
        dropped=0,
        failed=0,
        bytes_in=5 << 20,
        bytes_out=6 << 20,
        working=1.5,
        waiting_for_input=0.25,
        waiting_for_room=0.25,
        state=state,
    )


@pytest.fixture
def stats() -> Callable[..., RunStats]:
    """Numbers of a run with one task a stage: `stats(("objects.read(file:///x)", "waiting for room"), ...)`."""

    def making(*stages: tuple[str, str], channels: Sequence[tuple] = ()) -> RunStats:
        filled = [*channels, *[(10, 1024)] * (len(stages) - 1 - len(channels))]
        return RunStats(
            name="demo",
            seconds=3.2,
            finished=False,
            stages=tuple(_stage(at, name, state, len(stages)) for at, (name, state) in enumerate(stages, 1)),
            channels=tuple(_channel(*channel) for channel in filled),
        )

    return making
