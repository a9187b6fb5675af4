"""The plan in words; and that what it says is held at most is never exceeded, whatever the speeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from typing import Any, ClassVar

import pytest

import streamflow as sf
from streamflow.observe.explain import human_bytes, worst_case
from streamflow.testing import StepLoop

# --- the words ---------------------------------------------------------------------------------------------------


async def same(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


async def echo(item: Any) -> Any:
    await asyncio.sleep(0)
    return item


def test_a_plan_reads_like_this() -> None:
    flow = sf.stream(range(9)).map(str).buffer(32).map(echo, concurrency=16).batched(100)

    assert flow.to(sf.collect(), name="orders", maxsize=8).explain() == (
        "orders: 5 steps in 4 tasks, 3 channels, 0 threads\n"
        "  task 1  range + map  (fused)\n"
        "    |     up to 32 items, or 1 MiB\n"
        "  task 2  map(concurrency=16)  (16 calls at once, up to 32 items in flight)\n"
        "    |     up to 8 items, or 1 MiB\n"
        "  task 3  batched(100)\n"
        "    |     up to 8 batches of 100 items, or 1 MiB\n"
        "  task 4  collect\n"
        "  held at most: 2,015 items, 3 MiB of items with a size in bytes and of buffers"
    )


def test_threads_and_buffers_of_the_stages_are_told() -> None:
    heavy: sf.Stage[Any, Any] = sf.Stage(same, name="zip", threads=1, holds=2 << 20)
    lines = sf.Pipeline([b""], heavy, sf.drain(), max_bytes=512 << 10).explain().splitlines()

    assert lines[0] == "pipeline: 3 steps in 3 tasks, 2 channels, 1 thread"
    assert lines[3] == "  task 2  zip  (1 thread; holds up to 2 MiB)"
    assert lines[-1].endswith("3 MiB of items with a size in bytes and of buffers")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (1 << 20, "1 MiB"),
        (int(2.25 * (1 << 30)), "2.2 GiB"),
        (3 << 40, "3.0 TiB"),
    ],
)
def test_bytes_are_written_as_people_write_them(count: int, text: str) -> None:
    assert human_bytes(count) == text


# --- the worst case ----------------------------------------------------------------------------------------------


class Item:
    """An item that is counted while it is alive."""

    alive: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def __init__(self) -> None:
        Item.alive += 1
        Item.most = max(Item.most, Item.alive)

    def __del__(self) -> None:
        Item.alive -= 1


def many() -> Iterator[Item]:
    for _ in range(100_000):
        yield Item()


async def many_later() -> AsyncIterator[Item]:
    for _ in range(100_000):
        yield Item()


async def one_by_one(items: AsyncIterable[Any], stop: int) -> None:
    taken = 0
    async for item in items:
        taken += 1
        if taken == stop:
            del item
            await asyncio.Event().wait()


async def batch_by_batch(items: Any, stop: int) -> None:
    taken = 0
    async for batch in items.batches():
        taken += len(batch)
        if taken >= stop:
            await asyncio.Event().wait()


PLANS: dict[str, Callable[[], list[Any]]] = {
    "nothing between": list,
    "one task each": lambda: [same, same],
    "fused": lambda: [sf.map(lambda item: item), sf.tap(id), sf.filter(lambda _: True)],
    "fused between tasks": lambda: [same, sf.map(lambda item: item), same],
    "async map": lambda: [sf.map(echo)],
    "concurrent": lambda: [sf.map(echo, concurrency=8)],
    "concurrent, unordered": lambda: [sf.map(echo, concurrency=8, ordered=False)],
    "batches": lambda: [sf.batched(5)],
    "batches by time": lambda: [sf.batched(5, within=10.0), same],
    "batches undone": lambda: [sf.batched(5), sf.flat_map(lambda batch: batch)],
    "buffers": lambda: [sf.buffer(3), sf.map(lambda item: item), sf.buffer(7), sf.map(echo)],
}
each_plan = pytest.mark.parametrize("plan", PLANS)


async def _stopped(job: sf.Pipeline[Any]) -> None:
    run = asyncio.create_task(job.run())
    await asyncio.sleep(100)
    run.cancel()
    await asyncio.wait([run])


def _at_most(job: sf.Pipeline[Any]) -> int:
    return worst_case(job._plan)[0]


@each_plan
@pytest.mark.parametrize("source", [many, many_later])
@pytest.mark.parametrize(
    "maxsize", [1, 2, pytest.param(5, marks=pytest.mark.slow), pytest.param(64, marks=pytest.mark.slow)]
)
def test_a_fast_source_and_a_stopped_sink_never_hold_more_items_than_explained(
    plan: str, source: Callable[[], Any], maxsize: int
) -> None:
    """F4: wherever the sink stops, taking items or batches."""
    for sink in (one_by_one, batch_by_batch):
        for stop in (1, 2, 3, 31, 32, 63, 64, 65, 127, 1000):

            async def stopping(items: AsyncIterable[Any], sink: Any = sink, stop: int = stop) -> None:
                await sink(items, stop)

            Item.alive = Item.most = 0
            job = sf.Pipeline(source(), *PLANS[plan](), stopping, maxsize=maxsize)
            with asyncio.Runner(loop_factory=StepLoop) as runner:
                runner.run(_stopped(job))

            assert maxsize <= Item.most <= _at_most(job)


class Weighed(bytearray):
    """Bytes that are counted while they are alive."""

    alive: ClassVar[int] = 0
    most: ClassVar[int] = 0

    def __init__(self, size: int) -> None:
        super().__init__(size)
        Weighed.alive += size
        Weighed.most = max(Weighed.most, Weighed.alive)

    def __del__(self) -> None:
        Weighed.alive -= len(self)


@pytest.mark.parametrize("plan", ["nothing between", "one task each", "fused", "async map", "buffers"])
@pytest.mark.parametrize("size", [100, 1000, 5000])
def test_nor_more_bytes_than_explained_and_an_item_in_each_hand(plan: str, size: int) -> None:
    """F4, F19."""

    async def source() -> AsyncIterator[Weighed]:
        for _ in range(1000):
            yield Weighed(size)

    for stop in (1, 2, 10, 50):

        async def stopping(items: AsyncIterable[Any], stop: int = stop) -> None:
            await one_by_one(items, stop)

        Weighed.alive = Weighed.most = 0
        job = sf.Pipeline(source(), *PLANS[plan](), stopping, max_bytes=4000)
        with asyncio.Runner(loop_factory=StepLoop) as runner:
            runner.run(_stopped(job))
        tasks = job.stats().channels
        oversize = len(tasks) if size > 4000 else 0

        assert Weighed.most <= worst_case(job._plan)[1] + (2 * len(tasks) + 1 + oversize) * size
