"""Whole pipelines in both forms of the hot path: whatever an item is, it arrives, and the account is the same."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

import streamflow as sf
from streamflow.channel import bound, hand, storage
from streamflow.engine import chain, gates, reader, stretches, writer

ODD: dict[str, Any] = {
    "None": None,
    "False": False,
    "an empty tuple": (),
    "a tuple": (1, 2),
    "a tuple of an error": (ValueError("inside"),),
    "an error": ValueError("an item"),
    "the class of an error": ValueError,
    "StopIteration": StopIteration,
    "a StopIteration": StopIteration("value"),
    "StopAsyncIteration": StopAsyncIteration,
    "a StopAsyncIteration": StopAsyncIteration("value"),
    "a GeneratorExit": GeneratorExit(),
    "a cancellation": asyncio.CancelledError(),
    "an interrupt": KeyboardInterrupt(),
    "a group": ExceptionGroup("g", [ValueError()]),
    "a subclass of tuple": type("Row", (tuple,), {})((1, 2)),
    "NotImplemented": NotImplemented,
}


class Later:
    """An awaitable item."""

    def __await__(self):
        raise AssertionError("nobody awaits an item")


class Falsy:
    """An item that is equal to everything, has no length and no truth."""

    __hash__ = None

    def __eq__(self, other):
        raise AssertionError("nobody compares an item")

    def __bool__(self):
        raise AssertionError("nobody asks an item for its truth")

    def __len__(self):
        raise AssertionError("nobody asks an item for its length")


def go_pure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the Python in the place of everything in C."""
    monkeypatch.setattr(bound, "make_storage", deque)
    for module in (hand, writer):
        monkeypatch.setattr(module, "fill", storage._fill)
    monkeypatch.setattr(hand, "take", storage._take)
    monkeypatch.setattr(chain, "GATES", ())
    for module in (gates, reader, stretches, writer):
        monkeypatch.setattr(module, "speedups", None)


@pytest.fixture(params=["Python"] if storage.speedups is None else ["C", "Python"], autouse=True)
def form(request, monkeypatch):
    """Which form is used."""
    if request.param == "Python":
        go_pure(monkeypatch)
    return request.param


def source_of(items: Iterable[Any], pause: int) -> Callable[[], Any]:
    async def source():
        for number, item in enumerate(items):
            if pause and number % pause == 0:
                await asyncio.sleep(0)
            yield item

    return source


async def passing(items):
    async for item in items:
        yield item


async def pausing(items):
    async for item in items:
        await asyncio.sleep(0)
        yield item


async def sink(items):
    return [item async for item in items]


def the_same(got: list[Any], expected: list[Any]) -> bool:
    """Whether these are the very objects, without asking them anything."""
    return list(map(id, got)) == list(map(id, expected))


@pytest.mark.parametrize("maxsize", [1, 2, 16])
@pytest.mark.parametrize("item", [*ODD.values(), Later(), Falsy()], ids=[*ODD, "an awaitable", "a mute item"])
async def test_any_item_passes_through_generators(item, maxsize):
    items = [item, 0, item, item, "between", item]
    for pause in (0, 2):
        got = await sf.pipeline(source_of(items, pause), passing, pausing, passing, sink, maxsize=maxsize)
        assert the_same(got, items)


@pytest.mark.parametrize("item", ODD.values(), ids=ODD.keys())
async def test_any_item_passes_through_a_fused_chain(item):
    items = [item, 0, item, item, "between", item] * 3
    same = sf.map(lambda item: item)
    kept = sf.filter(lambda item: True)
    for source in (items, source_of(items, 2)):
        assert the_same(await sf.pipeline(source, same, kept, passing, same, sink, maxsize=4), items)


async def test_what_comes_in_batches_is_the_same_too():
    async def batches(items):
        async for batch in items.batches():
            for item in batch:
                yield item

    items = list(ODD.values())
    assert the_same(await sf.pipeline(source_of(items, 3), passing, batches, sink, maxsize=4), items)


async def test_items_of_all_kinds_with_bytes_among_them_are_weighed_from_the_first_one_on():
    items = [1, "a", b"bytes", (1,), b"more", None, bytearray(3)]
    job = sf.Pipeline(source_of(items, 0), passing, sink, maxsize=4, max_bytes=8)
    assert the_same(await job.run(), items)
    assert job.stats().balanced


# --- the account ----------------------------------------------------------------------------------------------------


async def stop_after_three(items):
    got = []
    async for item in items:
        got.append(item)
        if len(got) == 3:
            return got
    return got


def failing_at(number: int) -> Callable[[Any], Any]:
    async def stage(items):
        async for item in items:
            if item == number:
                raise ValueError(number)
            yield item

    return stage


def cut_at(number: int) -> Callable[[Any], Any]:
    async def stage(items):
        async for item in items:
            yield item
            if item == number:
                return

    return stage


async def skipping_pairs(items):
    async for item in items:
        await anext(items, None)
        yield item


RUNS: dict[str, Callable[[], tuple[Any, ...]]] = {
    "all": lambda: (source_of(range(50), 0), passing, passing, sink),
    "all with pauses": lambda: (source_of(range(50), 7), pausing, passing, sink),
    "enough": lambda: (source_of(range(50), 0), passing, stop_after_three),
    "cut": lambda: (source_of(range(50), 3), passing, cut_at(20), passing, sink),
    "a failure": lambda: (source_of(range(50), 0), passing, failing_at(20), passing, sink),
    "a failure at the first": lambda: (source_of(range(50), 0), failing_at(0), passing, sink),
    "fused": lambda: (range(50), sf.map(lambda n: n + 1), sf.filter(lambda n: n % 2), passing, sink),
    "fused all dropped": lambda: (range(50), sf.filter(lambda n: n > 99), passing, sink),
    "fused failure": lambda: (range(50), sf.map(lambda n: 1 // (20 - n)), passing, sink),
    "stray StopIteration": lambda: (range(50), sf.map(lambda n: next(iter([]))), sink),
    "anext": lambda: (source_of(range(50), 4), skipping_pairs, sink),
    "take": lambda: (source_of(range(50), 0), sf.take(7), passing, sink),
}


async def outcome(run: Callable[[], tuple[Any, ...]], maxsize: int) -> tuple[Any, ...]:
    """What came of a run, with the items where that does not depend on who was faster."""
    job = sf.Pipeline(*run(), maxsize=maxsize)
    try:
        result: Any = await job.run()
    except Exception as error:  # noqa: BLE001  # whatever came, it must be the same
        result = type(error), str(error)
    assert job.stats().balanced
    return result, job.stats().stages[-1].items_in


@pytest.mark.parametrize("maxsize", [1, 3, 64])
@pytest.mark.parametrize("name", RUNS)
async def test_a_run_comes_to_the_same_in_both_forms(name, maxsize, form, monkeypatch):
    first = await outcome(RUNS[name], maxsize)
    if form == "C":
        go_pure(monkeypatch)
        assert await outcome(RUNS[name], maxsize) == first
    assert first[0] is not None


# --- nothing is kept ------------------------------------------------------------------------------------------------


class Item:
    """An item whose references are counted; it is falsy and unequal to nothing in particular."""


async def _cancelled(coroutine: Awaitable[Any], turns: int) -> None:
    task = asyncio.ensure_future(coroutine)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()


async def slow_sink(items):
    async for _ in items:
        await asyncio.sleep(0)


async def failing_with_item(items):
    async for item in items:
        if item is not None:
            raise ValueError("nothing is kept of it")
        yield item


async def run_and_forget(item: Item, scenario: str) -> None:
    items = [item] * 40
    flow = {
        "all": (passing, pausing, sink),
        "enough": (passing, pausing, stop_after_three),
        "failure": (passing, failing_with_item, sink),
        "fused": (sf.map(lambda item: item), sf.filter(lambda item: True), passing, sink),
        "cancelled": (passing, pausing, slow_sink),
    }[scenario.split(maxsplit=1)[0]]
    source = items if scenario.startswith("fused") else source_of(items, 9)
    job = sf.pipeline(source, *flow, maxsize=8)
    if scenario.startswith("cancelled"):
        await _cancelled(job, int(scenario.split()[1]))
        return
    with contextlib.suppress(ValueError):
        await job


@pytest.mark.parametrize(
    "scenario", ["all", "enough", "failure", "fused", *(f"cancelled {turns}" for turns in (1, 4, 9, 16, 25))]
)
async def test_after_a_run_nobody_holds_an_item(scenario):
    item = Item()
    gone = weakref.ref(item)
    before = sys.getrefcount(item)
    await run_and_forget(item, scenario)
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert sys.getrefcount(item) == before
    del item
    assert gone() is None
