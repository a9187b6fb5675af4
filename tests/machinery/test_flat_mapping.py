"""flat_map with concurrency: several inner iterables read at once, bounded, in order or as they come, all closed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

import streamflow as sf
from streamflow.operators.concurrency import flat_map, for_each
from streamflow.testing import Gate, Outcome, SlowSink, Trace, TrackedSource, cancel_everywhere

both_orders = pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])


class Broken(Exception):
    """What the tests raise."""


class Inners:
    """A function that gives an async iterable per item, and watches all of them."""

    def __init__(self, make: Callable[[Any], TrackedSource[Any]]) -> None:
        self._make = make
        self.made: list[TrackedSource[Any]] = []

    def __call__(self, item: Any) -> TrackedSource[Any]:
        self.made.append(self._make(item))
        return self.made[-1]

    @property
    def open(self) -> int:
        return sum(inner.opened - inner.closed for inner in self.made)

    def verify(self) -> None:
        for inner in self.made:
            inner.verify()


def three_of(item: Any) -> list[Any]:
    return [(item, number) for number in range(3)]


async def three_of_later(item: Any) -> list[Any]:
    await asyncio.sleep(0)
    return three_of(item)


async def streamed(item: Any) -> AsyncIterator[Any]:
    for out in three_of(item):
        await asyncio.sleep(0)
        yield out


async def streamed_later(item: Any) -> AsyncIterator[Any]:
    await asyncio.sleep(0)
    return streamed(item)


def generated(item: Any) -> Iterator[Any]:
    yield from three_of(item)


def stream_of(item: Any) -> Any:
    return sf.stream([0, 1, 2]).map(lambda number: (item, number))


# --- emits when --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fn", [three_of, three_of_later, streamed, streamed_later, generated, stream_of])
@pytest.mark.parametrize("concurrency", [2, 3, 50])
async def test_in_order_all_of_the_first_comes_before_the_second(fn: Any, concurrency: int) -> None:
    got = await sf.pipeline(range(20), flat_map(fn, concurrency=concurrency), sf.collect())

    assert got == [(item, number) for item in range(20) for number in range(3)]


@pytest.mark.parametrize("fn", [three_of, streamed_later, generated])
async def test_out_of_order_each_item_comes_once_and_each_inner_keeps_its_order(fn: Any) -> None:
    got = await sf.pipeline(range(20), flat_map(fn, concurrency=3, ordered=False), sf.collect())

    assert sorted(got) == [(item, number) for item in range(20) for number in range(3)]
    for item in range(20):
        assert [number for of, number in got if of == item] == [0, 1, 2]


@pytest.mark.virtual_time
async def test_out_of_order_items_leave_as_they_come() -> None:
    trace = Trace()
    flow = sf.stream([3.0, 1.0]).through(
        flat_map(lambda delay: TrackedSource([delay] * 2, delay=delay), concurrency=2, ordered=False)
    )

    await flow.for_each(lambda delay: trace(str(delay)))

    assert trace.events == ["1.0", "1.0", "3.0", "3.0"]
    assert trace.times == [1.0, 2.0, 3.0, 6.0]


@pytest.mark.virtual_time
async def test_out_of_order_no_endless_inner_starves_another() -> None:
    """Fair: each is at most `ahead` items ahead."""
    inners = [itertools.repeat("a"), itertools.repeat("b")]

    got = await sf.pipeline(
        range(2), flat_map(inners.__getitem__, concurrency=2, ordered=False, ahead=3), sf.take(100), sf.collect()
    )

    assert 40 <= got.count("a") <= 60


@pytest.mark.virtual_time
@both_orders
async def test_the_inner_iterables_are_read_at_once(ordered: bool) -> None:
    flow = flat_map(lambda _: TrackedSource(range(5), delay=1.0), concurrency=4, ordered=ordered)

    assert len(await sf.pipeline(range(8), flow, sf.collect())) == 40
    assert asyncio.get_running_loop().time() == 10.0


@pytest.mark.virtual_time
@both_orders
async def test_an_item_does_not_wait_for_the_next_input(ordered: bool) -> None:
    """R3."""
    trace = Trace()
    source = TrackedSource(range(4), delay=0.1)

    await (
        sf.stream(source)
        .through(flat_map(lambda item: [item], concurrency=8, ordered=ordered))
        .for_each(lambda _: trace("out"))
    )

    assert trace.times == pytest.approx([0.1, 0.2, 0.3, 0.4])


@both_orders
async def test_falsy_items_are_data_and_empty_inner_iterables_are_none(ordered: bool) -> None:
    """E7."""
    inners: list[list[Any]] = [[], [0, ""], [], [None, False], [[]], []]

    assert await sf.pipeline(inners, flat_map(list, concurrency=2, ordered=ordered), sf.collect()) == [
        0,
        "",
        None,
        False,
        [],
    ]


@both_orders
async def test_only_empty_inner_iterables_give_nothing(ordered: bool) -> None:
    assert await sf.pipeline(range(500), flat_map(lambda _: (), concurrency=3, ordered=ordered), sf.collect()) == []


# --- backpressures when ------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@both_orders
@pytest.mark.parametrize("ahead", [1, 5])
async def test_a_stopped_consumer_stops_every_inner_iterable(ordered: bool, ahead: int) -> None:
    inners, gate = Inners(lambda _: TrackedSource(itertools.count())), Gate()
    source = TrackedSource(itertools.count())
    flow = flat_map(inners, concurrency=3, ordered=ordered, ahead=ahead)
    run = asyncio.create_task(sf.pipeline(source, flow, SlowSink[int](gate), maxsize=1))
    await asyncio.sleep(1000)

    below = 3  # a channel of one, an item in front of it and one behind
    assert len(inners.made) == 3
    assert sum(inner.taken for inner in inners.made) <= 3 * ahead + below
    assert source.taken <= 3 + 3
    run.cancel()
    await asyncio.wait([run])
    inners.verify()


@pytest.mark.virtual_time
async def test_in_order_finished_inner_iterables_wait_for_their_turn_and_nothing_new_begins() -> None:
    begun: list[int] = []

    async def inner(item: int) -> AsyncIterator[int]:
        begun.append(item)
        if item == 0:
            await asyncio.sleep(100)
        yield item

    run = asyncio.create_task(sf.pipeline(range(9), flat_map(inner, concurrency=3), sf.collect()))
    await asyncio.sleep(99)

    assert begun == [0, 1, 2]
    assert await run == [*range(9)]


@pytest.mark.virtual_time
async def test_a_slow_source_needs_no_crowd() -> None:
    most, before = 0, len(asyncio.all_tasks())

    def look(item: int) -> None:
        nonlocal most
        most = max(most, len(asyncio.all_tasks()) - before)

    flow = sf.stream(TrackedSource(range(20), delay=1.0)).through(flat_map(lambda item: [item], concurrency=100))
    await flow.for_each(look)

    assert most <= 3 + 3  # the segments, and the workers


async def test_an_inner_iterable_that_computes_does_not_keep_the_loop_to_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P8: each item takes a millisecond of a clock that only they move."""
    now, ticks = 0.0, list[float]()

    def slow(_: int) -> Iterator[int]:
        nonlocal now
        for number in range(100):
            now += 0.001
            yield number

    async def tick() -> None:
        while now < 0.1:
            ticks.append(now)
            await asyncio.sleep(0)

    monkeypatch.setattr("streamflow.machinery.crews.flat_mapping.perf_counter", lambda: now)
    ticking = asyncio.create_task(tick())
    await sf.pipeline([1], flat_map(slow, concurrency=2, ahead=1000), sf.collect())
    await ticking

    assert max(after - before for before, after in itertools.pairwise(ticks)) < 0.004


# --- completes when, on early stop -------------------------------------------------------------------------------


@pytest.mark.virtual_time
@both_orders
async def test_every_inner_iterator_is_closed_in_its_own_task(ordered: bool) -> None:
    """P7: at the end, at an early stop, and after a failure."""
    inners = Inners(lambda item: TrackedSource(range(item), delay=0.1))
    source = TrackedSource(range(10))
    flow = flat_map(inners, concurrency=3, ordered=ordered)

    assert await sf.pipeline(source, flow, sf.count()) == 45
    assert await sf.pipeline(source, flow, sf.take(5), sf.count()) == 5
    inners.verify()
    source.verify()


async def test_left_by_hand_it_closes_what_it_opened() -> None:
    inners, source = Inners(lambda _: TrackedSource(itertools.count(), delay=0)), TrackedSource(itertools.count())

    async with aclosing(flat_map(inners, concurrency=3)(source)) as items:  # type: ignore[type-var]  # a generator
        assert await anext(items) == 0

    inners.verify()
    source.verify()


async def test_a_plain_generator_is_closed() -> None:
    closed: list[int] = []

    def inner(item: int) -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.append(item)

    await sf.pipeline(range(2), flat_map(inner, concurrency=2), sf.take(5), sf.collect())

    assert sorted(closed) == [0, 1]


# --- on error ----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_in_order_a_failure_comes_at_its_turn() -> None:
    """E11, P3: what the first gives comes before the error of the second, which came earlier."""
    got: list[int] = []
    inners = Inners(lambda item: TrackedSource([item] * 3, delay=3.0 - item, error=Broken() if item == 1 else None))

    with pytest.raises(Broken) as caught:
        await sf.pipeline(range(5), flat_map(inners, concurrency=3), for_each(got.append))

    assert got == [0, 0, 0, 1, 1, 1]
    assert caught.value.__notes__[0] == "it was the call for item 2, or what that gave"
    inners.verify()


@pytest.mark.virtual_time
async def test_out_of_order_a_failure_comes_when_it_happens() -> None:
    inners = Inners(lambda item: TrackedSource([item] * 3, delay=5.0, error=None))
    flow = flat_map(lambda item: inners(item) if item else fail_after(7.0), concurrency=3, ordered=False)

    with pytest.raises(Broken):
        await sf.pipeline(range(5), flow, sf.collect())

    assert asyncio.get_running_loop().time() == 7.0
    inners.verify()


async def fail_after(seconds: float) -> list[int]:
    await asyncio.sleep(seconds)
    raise Broken


@both_orders
async def test_a_failure_of_the_function_is_the_items(ordered: bool) -> None:
    def fail(item: int) -> list[int]:
        if item == 5:
            raise Broken
        return [item]

    with pytest.raises(Broken) as caught:
        await sf.pipeline(range(9), flat_map(fail, concurrency=2, ordered=ordered), sf.collect())

    assert caught.value.__notes__[0].startswith("it was the call for item 6")


@both_orders
async def test_an_error_of_the_input_comes_after_the_items_before_it(ordered: bool) -> None:
    """P3."""
    got: list[Any] = []

    with pytest.raises(Broken):
        await sf.pipeline(
            TrackedSource(range(3), error=Broken()),
            flat_map(streamed, concurrency=9, ordered=ordered),
            for_each(got.append),
        )

    assert sorted(got) == [(item, number) for item in range(3) for number in range(3)]


async def test_what_is_no_iterable_is_an_error() -> None:
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        await sf.pipeline(range(3), flat_map(lambda item: item, concurrency=2), sf.collect())  # type: ignore[arg-type,return-value]


@both_orders
async def test_a_cancelled_error_nobody_asked_for_is_an_error(ordered: bool) -> None:
    """P4."""

    async def fail(item: int) -> list[int]:
        raise asyncio.CancelledError

    with pytest.raises(sf.StageCancelled, match=r"a call of flat_map\(\) ended in a CancelledError"):
        await sf.pipeline(range(3), flat_map(fail, concurrency=2, ordered=ordered), sf.collect())


@pytest.mark.virtual_time
async def test_an_inner_iterator_that_fails_while_it_is_closed_is_told_on_the_error() -> None:
    """E4."""

    async def inner(item: int) -> AsyncIterator[int]:
        if item == 0:
            await asyncio.sleep(1)
            raise Broken
        try:
            yield item
            await asyncio.sleep(99)
        finally:
            raise ValueError("in the cleanup")

    with pytest.raises(Broken) as caught:
        await sf.pipeline(range(2), flat_map(inner, concurrency=2), sf.collect())

    assert any("another call failed: ValueError: in the cleanup" in note for note in caught.value.__notes__)


# --- cancellation ------------------------------------------------------------------------------------------------


class _Run:
    def __init__(self, *, ordered: bool) -> None:
        self.ordered = ordered
        self.inners = Inners(lambda item: TrackedSource([item] * 2, delay=0.1))
        self.source = TrackedSource(range(4), delay=0.05)
        self.got: list[int] = []

    async def __call__(self) -> None:
        flow = sf.stream(self.source).through(flat_map(self.inners, concurrency=2, ordered=self.ordered, ahead=1))
        async with flow.open(maxsize=1) as items:
            async for item in items:
                self.got.append(item)
                await asyncio.sleep(0.01)


@both_orders
def test_cancelled_at_any_step_it_leaves_nothing_open(ordered: bool) -> None:
    """X14, X16, P7, in every way there is to be cancelled."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        run.inners.verify()
        assert outcome.ended != "returned" or len(run.got) == 8

    assert cancel_everywhere(lambda: _Run(ordered=ordered), check, stride=3) > 30


# --- arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, None, float("inf"), "auto"])
def test_a_concurrency_that_cannot_mean_anything_is_refused(concurrency: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match="concurrency must be a whole number"):
        flat_map(three_of, concurrency=concurrency)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ordered": False}, "ordered=False has no effect without concurrency"),
        ({"ahead": 4}, "ahead= has no effect without concurrency"),
        ({"concurrency": 2, "ahead": 0}, "ahead must be a whole number"),
    ],
)
def test_arguments_without_effect_are_refused(arguments: dict[str, Any], message: str) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=message):
        flat_map(three_of, **arguments)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(sf.UsageError, match="flat_map needs a function"):
        flat_map([1], concurrency=2)  # type: ignore[call-overload]


def test_the_stage_says_what_it_may_hold() -> None:
    stage = flat_map(three_of, concurrency=4, ordered=False)

    assert (stage.name, stage.concurrency) == ("flat_map(concurrency=4, ordered=False)", 4)
    assert stage.holds_items == 4 * 17
