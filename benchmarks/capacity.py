"""How throughput and memory depend on the capacity of the channels: where the defaults come from.

What lives here: two curves, over `maxsize` (items) and over `max_bytes`. Every point is measured in processes of its
own: speed in alternating rounds, memory over what the smallest capacity takes. Run as
`python -m benchmarks.capacity rows|bytes CAPACITY` it fills channels, for the second.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

import streamflow as sf
from benchmarks.memory import peak_of
from benchmarks.picture import Curve, chart
from benchmarks.processes import Process, Times, python, race
from benchmarks.results import Ratio, Result
from benchmarks.tables import machine, table

__all__ = ["bytes_through", "run"]

_SIZES = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536)
_BYTES = tuple(1 << power for power in range(16, 27))
_DEFAULT_SIZE, _DEFAULT_BYTES = 1024, 1 << 20
_CHUNK = 64 * 1024
_JOBS = {"functions": "benchmarks.hops:boundaries", "stages": "benchmarks.hops:generators"}


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


async def bytes_through(n: int, max_bytes: int) -> int:
    """Blocks of 64 KiB through two stages."""
    return await sf.pipeline(_chunks(n), _same, _same, sf.count(), max_bytes=max_bytes)


def _peaks(what: str, capacities: Sequence[int]) -> list[float]:
    """MiB above the least, with a sink that lets every channel fill up."""
    peaks = [peak_of(["-m", "benchmarks.capacity", what, str(capacity)])[0] for capacity in capacities]
    return [peak - min(peaks) for peak in peaks]


def run(*, items: int = 200_000, rounds: int = 5) -> Result:
    """Measure both curves; the first is drawn."""
    times = race(_contenders(items), rounds=rounds)
    speeds = {way: [1e9 / times[f"{way} {size}"].median for size in _SIZES] for way in _JOBS}
    peaks = _peaks("rows", _SIZES)
    text = "\n\n".join([f"Median of {rounds} rounds. {machine()}", _by_items(speeds, peaks), _by_bytes(times)])
    ratios = [_default_beside_best(way, values, _SIZES.index(_DEFAULT_SIZE)) for way, values in speeds.items()]
    blocks = [1 / times[f"bytes {limit}"].median for limit in _BYTES]
    ratios.append(_default_beside_best("bytes", blocks, _BYTES.index(_DEFAULT_BYTES)))
    return Result(text, ratios, {"capacity.svg": _drawn(speeds, peaks)})


def _contenders(items: int) -> list[Process]:
    """Where every item costs a switch of tasks, a tenth of the items says the same."""
    found = []
    for size in _SIZES:
        n = items if size >= 16 else items // 10
        found += [python(f"{way} {size}", job, n, size, expected=n // 2) for way, job in _JOBS.items()]
    chunks = items // 20
    return [*found, *(python(f"bytes {limit}", "benchmarks.capacity:bytes_through", chunks, limit) for limit in _BYTES)]


def _default_beside_best(way: str, speeds: Sequence[float], default: int) -> Ratio:
    """What the default gives away, as one number: items per second with it, of those with the best capacity."""
    what = f"{way}: throughput at the default / at the best"
    return Ratio(f"capacity.{way}/best", what, speeds[default] / max(speeds), at_least=0.9)


def _by_items(speeds: Mapping[str, Sequence[float]], peaks: Sequence[float]) -> str:
    rows = [
        [_marked(f"{size:,}", size == _DEFAULT_SIZE), *_relative(speeds, place), f"{peaks[place]:.1f} MiB"]
        for place, size in enumerate(_SIZES)
    ]
    head = ["maxsize", "functions, items/s", "of the default", "stages, items/s", "of the default", "memory"]
    return table(head, rows)


def _marked(text: str, default: bool) -> str:  # noqa: FBT001  # two arguments, and the call says which is which
    return f"**{text}**" if default else text


def _relative(speeds: Mapping[str, Sequence[float]], place: int) -> list[str]:
    at, cells = _SIZES.index(_DEFAULT_SIZE), []
    for values in speeds.values():
        cells += [f"{values[place]:,.0f}", f"{100 * values[place] / values[at]:.0f} %"]
    return cells


def _drawn(speeds: Mapping[str, Sequence[float]], peaks: Sequence[float]) -> str:
    return chart(
        "Throughput and memory over the capacity of the channels",
        "maxsize: items in each of the channels",
        _SIZES,
        (
            Curve("million items per second", [speed / 1e6 for speed in speeds["functions"]], "#1f6fb4"),
            Curve("MiB held by full channels", peaks, "#c2410c"),
        ),
        _SIZES.index(_DEFAULT_SIZE),
    )


def _by_bytes(times: Mapping[str, Times]) -> str:
    peaks = _peaks("bytes", _BYTES)
    speeds = [_CHUNK / times[f"bytes {limit}"].median * 1e9 / 2**20 for limit in _BYTES]
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
