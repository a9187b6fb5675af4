"""Sinks that end in a value: inside a pipeline, as terminals of a stream, and by hand on any async iterable."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import streamflow as sf
from streamflow.testing import Gate, Outcome, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def numbers(count: int = 5) -> AsyncIterator[int]:
    """Give numbers, as a user's plain async generator."""
    for number in range(count):
        yield number


async def add_later(total: int, number: int) -> int:
    await asyncio.sleep(0)
    return total + number


async def nothing(_: object) -> None:
    await asyncio.sleep(0)


VALUES: dict[str, tuple[Callable[[], sf.Sink[Any, Any]], Any, Any]] = {
    "collect": (sf.collect, [0, 1, 2, 3, 4], []),
    "count": (sf.count, 5, 0),
    "drain": (sf.drain, None, None),
    "first": (lambda: sf.first(default="none"), 0, "none"),
    "reduce": (lambda: sf.reduce(lambda total, number: total + number, 100), 110, 100),
    "reduce, async": (lambda: sf.reduce(add_later, 100), 110, 100),
    "reduce, lambda of a coroutine": (lambda: sf.reduce(lambda total, number: add_later(total, number), 100), 110, 100),  # noqa: PLW0108
    "for_each": (lambda: sf.for_each(lambda _: None), 5, 0),
    "for_each, async": (lambda: sf.for_each(nothing), 5, 0),
    "for_each, concurrent": (lambda: sf.for_each(nothing, concurrency=3), 5, 0),
}
every_sink = pytest.mark.parametrize("name", VALUES)


@every_sink
async def test_the_sinks_value_is_the_pipelines_value(name: str) -> None:
    """C2."""
    make, value, _ = VALUES[name]

    assert await sf.pipeline(range(5), make()) == value
    assert await sf.pipeline(numbers(), make(), maxsize=1) == value


@every_sink
async def test_no_items_have_a_value_too(name: str) -> None:
    """C7."""
    make, _, value = VALUES[name]

    assert await sf.pipeline([], make()) == value
    assert await sf.pipeline(numbers(0), make()) == value


@every_sink
async def test_a_sink_runs_by_hand_on_a_plain_async_generator(name: str) -> None:
    make, value, empty = VALUES[name]
    items = numbers()

    assert await make()(items) == value
    await items.aclose()  # type: ignore[attr-defined]  # it is a generator
    assert await make()(numbers(0)) == empty


@every_sink
async def test_a_sink_runs_by_hand_on_a_channel_and_a_stream(name: str) -> None:
    make, value, _ = VALUES[name]
    channel = sf.Channel[int](8)
    await channel.put_many(range(5))
    channel.close()

    assert await make()(channel) == value
    async with sf.stream(range(5)).open() as items:
        assert await make()(items) == value


@every_sink
async def test_a_sink_may_be_used_again(name: str) -> None:
    make, value, _ = VALUES[name]
    sink = make()

    assert [await sf.pipeline(range(5), sink) for _ in range(2)] == [value, value]


@every_sink
async def test_an_error_above_ends_the_sink_and_closes_the_source(name: str) -> None:
    source = TrackedSource([], error=Broken())

    with pytest.raises(Broken):
        await sf.pipeline(source, VALUES[name][0]())

    source.verify()


@every_sink
@pytest.mark.virtual_time
async def test_cancelling_a_terminal_ends_the_run_it_started_and_nothing_else(name: str) -> None:
    """X13, X16: also on a source that waits for ever."""

    async def silent() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 0

    other = asyncio.create_task(sf.stream(TrackedSource(range(3), delay=10.0)).collect())
    run = asyncio.create_task(sf.pipeline(silent(), VALUES[name][0]()))
    await asyncio.sleep(1)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert await other == [0, 1, 2]


# --- first -------------------------------------------------------------------------------------------------------


async def test_first_closes_the_stages_above_and_is_success() -> None:
    """C3."""
    source = TrackedSource(itertools.count(), delay=0)

    assert await sf.stream(source).first() == 0
    source.verify()


@pytest.mark.virtual_time
async def test_first_does_not_wait_for_a_second_item() -> None:
    async def one_and_then_nothing() -> AsyncIterator[str]:
        yield "one"
        await asyncio.Event().wait()

    assert await sf.stream(one_and_then_nothing()).first() == "one"


@pytest.mark.parametrize("item", [0, None, "", False])
async def test_a_falsy_first_item_is_an_item(item: object) -> None:
    """E7."""
    assert await sf.stream([item, 1]).first(default="default") == item


async def test_first_of_nothing_says_what_to_write() -> None:
    with pytest.raises(sf.UsageError, match=r"write first\(default=\.\.\.\)"):
        await sf.stream([]).first()


async def test_none_is_a_default() -> None:
    assert await sf.stream([]).first(default=None) is None
    assert await sf.stream([]).first(None) is None


# --- reduce, for_each --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sink", [sf.reduce, lambda fn, _: sf.for_each(fn)], ids=["reduce", "for_each"])
def test_what_cannot_be_called_is_refused(sink: Callable[..., Any]) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match="needs a function to call for each item, not"):
        sink(3, 0)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_an_error_of_for_each_ends_the_pipeline(concurrency: int) -> None:
    """E13; E15: what was counted is no result."""
    source = TrackedSource(range(100))

    async def fail(number: int) -> None:
        await asyncio.sleep(0)
        if number == 3:
            raise Broken

    with pytest.raises(Broken):
        await sf.stream(source).for_each(fail, concurrency=concurrency)

    source.verify()


async def test_an_error_of_for_each_names_the_item() -> None:
    """P4."""

    def fail(number: int) -> None:
        if number == 3:
            raise Broken

    with pytest.raises(Broken) as caught:
        await sf.stream(range(9)).for_each(fail)

    assert any("'for_each', at item 4" in note for note in caught.value.__notes__)


@pytest.mark.virtual_time
async def test_for_each_runs_so_many_calls_at_once() -> None:
    gate, most = Gate(), 0

    async def call(_: int) -> None:
        nonlocal most
        most = max(most, gate.waiting + 1)
        await gate.passage()

    run = asyncio.create_task(sf.stream(range(50)).for_each(call, concurrency=6))
    await asyncio.sleep(1)
    assert gate.waiting == 6
    gate.open()

    assert await run == 50
    assert most == 6


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5, None])
def test_a_concurrency_of_for_each_that_cannot_mean_anything_is_refused(concurrency: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match="concurrency must be a whole number"):
        sf.for_each(print, concurrency=concurrency)


class _Run:
    """Calls for each item, to cancel at every step."""

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.source = TrackedSource(range(5), delay=0.1)
        self.running = 0

    async def __call__(self) -> int:
        return await sf.stream(self.source).for_each(self.call, concurrency=self.concurrency)

    async def call(self, _: int) -> None:
        self.running += 1
        try:
            await asyncio.sleep(0.25)
        finally:
            self.running -= 1


@pytest.mark.parametrize("concurrency", [1, 2])
def test_for_each_cancelled_at_any_step_leaves_no_call_running(concurrency: int) -> None:
    """X13, X14."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        assert run.running == 0
        assert outcome.ended != "returned" or outcome.value == 5

    assert cancel_everywhere(lambda: _Run(concurrency), check, stride=2) > 30


# --- the other sinks that keep items -----------------------------------------------------------------------------


async def test_collect_with_a_limit_guards_the_memory() -> None:
    source = TrackedSource(itertools.count())

    with pytest.raises(sf.LimitExceeded, match=r"sf\.take\(100\)"):
        await sf.pipeline(source, sf.collect(limit=100))
    assert source.closed == source.opened == 1
    assert await sf.stream(range(100)).collect(100) == list(range(100))


@pytest.mark.parametrize("limit", [0, -1, 2.5, True, "3"])
def test_a_limit_that_cannot_mean_anything_is_refused(limit: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match="limit"):
        sf.collect(limit)


async def test_a_key_that_comes_again_is_no_silent_loss() -> None:
    rows = [("a", 1), ("b", 2), ("a", 3)]

    with pytest.raises(sf.UsageError, match="'a' a second time, with item 3"):
        await sf.stream(rows).to_dict()
    assert await sf.stream(rows).to_dict(duplicates="first") == {"a": 1, "b": 2}
    assert await sf.stream(rows).to_dict(duplicates="last") == {"a": 3, "b": 2}


async def test_keys_and_values_of_a_dict_come_from_functions() -> None:
    assert await sf.stream(["a", "bb"]).to_dict(len) == {1: "a", 2: "bb"}
    assert await sf.stream(["a", "bb"]).to_dict(len, str.upper) == {1: "A", 2: "BB"}


def test_a_value_without_a_key_is_refused() -> None:
    with pytest.raises(sf.UsageError, match="needs key="):
        sf.to_dict(None, str)
    with pytest.raises(sf.UsageError, match='"first" or "last"'):
        sf.to_dict(duplicates="newest")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(sf.UsageError, match='"first" or "last"'):
        sf.to_dict(duplicates=["first"])  # type: ignore[arg-type]  # a list cannot be hashed


@pytest.mark.parametrize("argument", ["key", "value"])
def test_what_to_dict_cannot_call_is_refused(argument: str) -> None:
    """P10: the keys would have been coroutines that nobody awaits."""
    for bad in (3, asyncio.sleep):
        with pytest.raises(sf.UsageError, match=rf"^to_dict\({argument}\) "):
            sf.to_dict(**{"key": str, argument: bad})


async def test_single_wants_exactly_one() -> None:
    assert await sf.stream([None]).single() is None
    assert await sf.stream([]).single(None) is None
    with pytest.raises(sf.UsageError, match="without items"):
        await sf.stream([]).single()


async def test_single_stops_at_the_second_item() -> None:
    source = TrackedSource(itertools.count())

    with pytest.raises(sf.UsageError, match="more than one"):
        await sf.pipeline(source, sf.single(), maxsize=1)
    assert source.opened == source.closed == 1
    assert source.taken <= 4


async def test_last_of_nothing_says_what_to_write() -> None:
    with pytest.raises(sf.UsageError, match=r"last\(default=\.\.\.\)"):
        await sf.stream([]).last()
