"""How throughput and memory depend on the capacity of the channels: where the defaults come from.

What lives here: two curves, over `maxsize` (items) and over `max_bytes`. Speed is measured in this process in
alternating rounds; memory in a process for each point, which runs this file, over what the smallest capacity takes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from functools import partial

import streamflow as sf
from benchmarks.hops import boundaries, generators
from benchmarks.memory import peak_of
from benchmarks.picture import Curve, chart
from benchmarks.rounds import LOOPS, Contender, alternate, seconds_on
from benchmarks.tables import DOCS, machine, table

__all__ = ["run"]

_SIZES = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
_BYTES = tuple(1 << power for power in range(16, 27))
_DEFAULT_SIZE, _DEFAULT_BYTES = 1024, 1 << 20
_CHUNK = 64 * 1024


async def _rows(n: int) -> AsyncGenerator[dict[str, object], None]:
    for number in range(n):
        yield {"id": number, "name": f"customer {number}", "amount": number * 0.01, "note": "x" * 100 + str(number)}


async def _chunks(n: int) -> AsyncGenerator[bytes, None]:
    for number in range(n):
        yield bytes([number & 255]) * _CHUNK


async def _same(items: AsyncIterator[object]) -> AsyncGenerator[object, None]:
    async for item in items:
        yield item


async def _slow_start(items: AsyncIterator[object]) -> int:
    """A sink that asks for its first item late, when every channel above it is full."""
    await asyncio.sleep(1.0)
    total = 0
    async for _ in items:
        total += 1
    return total


async def _held_rows(maxsize: int) -> None:
    await sf.pipeline(_rows(4 * 65536), _same, _same, _slow_start, maxsize=maxsize)


async def _held_bytes(max_bytes: int) -> None:
    await sf.pipeline(_chunks(4096), _same, _same, _slow_start, max_bytes=max_bytes)


async def _bytes_through(n: int, max_bytes: int) -> int:
    return await sf.pipeline(_chunks(n), _same, _same, sf.count(), max_bytes=max_bytes)


def _peaks(what: str, capacities: Sequence[int]) -> list[float]:
    """MiB above the least, with a sink that lets every channel fill up."""
    peaks = [peak_of(["-m", "benchmarks.capacity", what, str(capacity)])[0] for capacity in capacities]
    return [peak - min(peaks) for peak in peaks]


def run(*, items: int = 100_000, rounds: int = 5) -> str:
    """Measure both curves; return the tables, and draw the first into docs/."""
    return "\n\n".join([machine(), _by_items(items, rounds), _by_bytes(items // 50, rounds)])


def _by_items(items: int, rounds: int) -> str:
    loop = LOOPS["asyncio"]
    contenders = [
        Contender(f"{name} {size}", seconds_on(loop, partial(job, items, size), items // 2))
        for size in _SIZES
        for name, job in (("functions", boundaries), ("stages", generators))
    ]
    timings = alternate(contenders, rounds=rounds, items=items)
    speeds = {name: [1e9 / timings[f"{name} {size}"].median for size in _SIZES] for name in ("functions", "stages")}
    peaks = _peaks("rows", _SIZES)
    at = _SIZES.index(_DEFAULT_SIZE)
    rows = [
        [
            _marked(f"{size:,}", size == _DEFAULT_SIZE),
            *_relative(speeds, place, at),
            f"{peaks[place]:.1f} MiB",
        ]
        for place, size in enumerate(_SIZES)
    ]
    _draw(speeds["functions"], peaks)
    head = ["maxsize", "functions, items/s", "of the default", "stages, items/s", "of the default", "memory"]
    return table(head, rows)


def _marked(text: str, default: bool) -> str:  # noqa: FBT001  # two arguments, and the call says which is which
    return f"**{text}**" if default else text


def _relative(speeds: dict[str, list[float]], place: int, at: int) -> list[str]:
    cells = []
    for values in speeds.values():
        cells += [f"{values[place]:,.0f}", f"{100 * values[place] / values[at]:.0f} %"]
    return cells


def _draw(speeds: Sequence[float], peaks: Sequence[float]) -> None:
    picture = chart(
        "Throughput and memory over the capacity of the channels",
        "maxsize: items in each of the channels",
        _SIZES,
        (
            Curve("million items per second", [speed / 1e6 for speed in speeds], "#1f6fb4"),
            Curve("MiB held by full channels", peaks, "#c2410c"),
        ),
        _SIZES.index(_DEFAULT_SIZE),
    )
    (DOCS / "capacity.svg").write_text(picture, encoding="utf-8")


def _by_bytes(chunks: int, rounds: int) -> str:
    loop = LOOPS["asyncio"]
    contenders = [
        Contender(str(limit), seconds_on(loop, partial(_bytes_through, chunks, limit), chunks)) for limit in _BYTES
    ]
    timings = alternate(contenders, rounds=rounds, items=chunks)
    peaks = _peaks("bytes", _BYTES)
    speeds = [_CHUNK / timings[str(limit)].median * 1e9 / 2**20 for limit in _BYTES]
    base = speeds[_BYTES.index(_DEFAULT_BYTES)]
    rows = [
        [
            _marked(f"{limit >> 10:,} KiB", limit == _DEFAULT_BYTES),
            f"{speed:,.0f} MiB/s",
            f"{100 * speed / base:.0f} %",
            f"{peak:.1f} MiB",
        ]
        for limit, speed, peak in zip(_BYTES, speeds, peaks, strict=True)
    ]
    return "Chunks of 64 KiB:\n\n" + table(["max_bytes", "throughput", "of the default", "memory"], rows)


if __name__ == "__main__":
    asyncio.run((_held_rows if sys.argv[1] == "rows" else _held_bytes)(int(sys.argv[2])))
