"""Who takes part in `hops`: every way to do the job, and how it is started.

What lives here: the list. What must not: the jobs (`hops.py`, `rivals.py`, `peers/`), measuring.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.presence import built, has_library
from benchmarks.processes import ROOT, Process, python
from streamflow.channel.storage import speedups

__all__ = ["LIMIT", "NESTED", "SIZES", "WAYS", "Way", "contenders", "missing", "named"]

SIZES = (16, 64, 256, 1024)
LIMIT = "`map(filter(map()))`: the limit for functions"
NESTED = "async generators nested: the limit for stages"

_PEERS = ROOT / "benchmarks" / "peers" / "hops"


@dataclass(frozen=True, slots=True)
class Way:
    """One row of the table.

    Args:
        name: the row.
        job: `module:function` in Python, or the kind of stream in Node.js.
        share: how many of the N items it runs; slow ones run fewer, compared per item.
        sizes: the capacities it is run with; none for a way without channels.
        beside: the limit it is compared with.
        uvloop: whether it is run on uvloop as well.
        waits: whether it may leave the processor alone.
        needs: what must be installed: a library, `node`, `go`, or the `extension` of streamflow.
    """

    name: str
    job: str
    share: float = 1.0
    sizes: tuple[int, ...] = ()
    beside: str = LIMIT
    uvloop: bool = False
    needs: str = ""
    waits: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def present(self) -> bool:
        """Whether it can be run here."""
        if self.needs in ("node", "go"):
            return shutil.which(self.needs) is not None
        if self.needs == "extension":
            return speedups is not None
        return not self.needs or has_library(self.needs)


_PURE = {"STREAMFLOW_PURE": "1"}
_ENDS = (16, 1024)

WAYS = (
    Way(LIMIT, "benchmarks.rivals:iterators"),
    Way(NESTED, "benchmarks.rivals:nested", beside=NESTED, uvloop=True),
    Way("streamflow, functions", "benchmarks.hops:fused", 1.0, SIZES, uvloop=True),
    Way("streamflow, functions, a channel at every boundary", "benchmarks.hops:boundaries", 0.5, SIZES, uvloop=True),
    Way(
        "streamflow, async generators", "benchmarks.hops:generators", 0.5, SIZES, NESTED, uvloop=True, needs="extension"
    ),
    Way(
        "streamflow, async generators, without the extension",
        "benchmarks.hops:generators",
        0.5,
        SIZES,
        NESTED,
        uvloop=True,
        environment=_PURE,
    ),
    Way(
        "streamflow, async generators in one `sf.fuse()`",
        "benchmarks.hops:in_one_task",
        1.0,
        (1024,),
        NESTED,
        uvloop=True,
    ),
    Way("bare task switches, no items", "benchmarks.rivals:switches", 0.5, (16,), uvloop=True),
    Way("`asyncio.Queue` by hand", "benchmarks.rivals:queues", 0.1, _ENDS, uvloop=True),
    Way("anyio memory object streams", "benchmarks.peers.with_anyio:hops", 0.02, _ENDS, needs="anyio"),
    Way("streamable, `for` (no channel)", "benchmarks.peers.with_streamable:hops", needs="streamable"),
    Way("streamable, `async for` (no channel)", "benchmarks.peers.with_streamable:hops_async", 0.2, needs="streamable"),
    Way("aiostream (no channel)", "benchmarks.peers.with_aiostream:hops", 0.1, needs="aiostream"),
    Way("RxPY (pushes, no backpressure)", "benchmarks.peers.with_reactivex:hops", 0.2, needs="reactivex"),
    Way("SPDL (a thread for each stage)", "benchmarks.peers.with_spdl:hops", 0.004, needs="spdl.pipeline", waits=True),
    Way("Node.js, `Transform`s", "transforms", 2.0, _ENDS, needs="node"),
    Way("Node.js, async generators", "generators", 2.0, _ENDS, NESTED, needs="node"),
    Way("Node.js, web streams", "web", 0.4, _ENDS, needs="node"),
    Way("Go, goroutines and channels", "channels", 4.0, SIZES, needs="go"),
)


def named(way: str, size: int | None = None, loop: str = "asyncio") -> str:
    """The name under which the times of one way, capacity and loop are kept."""
    return f"{way}|{size or ''}|{'' if loop == 'asyncio' else loop}"


def contenders(items: int, ways: Iterable[Way] = WAYS) -> Iterator[Process]:
    """All that can be run here, as processes."""
    for way in ways:
        if way.present:
            yield from _processes(way, max(10, round(items * way.share) // 10 * 10))


def missing() -> list[str]:
    """What is needed and not installed here."""
    return [way.needs for way in WAYS if not way.present]


def _processes(way: Way, items: int) -> Iterator[Process]:
    for loop in ("asyncio", "uvloop") if way.uvloop else ("asyncio",):
        for size in way.sizes or (None,):
            yield _process(way, named(way.name, size, loop), items, size, loop)


def _process(way: Way, name: str, items: int, size: int | None, loop: str) -> Process:
    numbers = [] if size is None else [size]
    if way.needs == "node":
        return Process(
            name, ["node", str(_PEERS / "streams.mjs"), way.job, str(items), *map(str, numbers)], items, waits=False
        )
    if way.needs == "go":
        program = built(_PEERS / f"{way.job}.go")
        return Process(name, [program, str(items), *map(str, numbers)], items, waits=False)
    return python(
        name, way.job, items, *numbers, expected=items // 2, loop=loop, environment=way.environment, waits=way.waits
    )
