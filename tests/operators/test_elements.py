"""Operators on single items: the five contract lines of each, and every kind of callable."""

from __future__ import annotations

import asyncio
import functools
import itertools
import operator
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

import streamflow as sf
from streamflow.operators.elements import cast, enumerate, filter_map, flatten, starmap  # noqa: A004
from streamflow.testing import SlowSink, Trace, TrackedSource


async def endless() -> AsyncIterator[int]:
    """Give numbers for ever, without ever waiting."""
    for number in itertools.count():
        yield number


class Broken(Exception):
    """What the tests raise."""


# --- every kind of callable --------------------------------------------------------------------------------------


def add_one(number: int) -> int:
    return number + 1


async def add_one_later(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


class Adder:
    def __call__(self, number: int) -> int:
        return number + 1

    def method(self, number: int) -> int:
        return number + 1


class LaterAdder:
    async def __call__(self, number: int) -> int:
        return number + 1


KINDS: dict[str, Callable[[int], Any]] = {
    "function": add_one,
    "coroutine function": add_one_later,
    "lambda": lambda number: number + 1,
    "lambda that returns a coroutine": lambda number: add_one_later(number),  # noqa: PLW0108  # the point of it
    "lambda that returns a future": lambda number: asyncio.ensure_future(add_one_later(number)),
    "partial": functools.partial(int.__add__, 1),
    "partial of a coroutine function": functools.partial(add_one_later),
    "builtin": (1).__add__,
    "method": Adder().method,
    "object": Adder(),
    "object with an async call": LaterAdder(),
}
kinds = pytest.mark.parametrize("fn", KINDS.values(), ids=KINDS.keys())


@kinds
async def test_map_takes_every_kind_of_callable(fn: Callable[[int], Any]) -> None:
    assert await sf.stream(range(5)).map(fn).collect() == [1, 2, 3, 4, 5]


@kinds
async def test_map_takes_every_kind_of_callable_after_an_async_stage(fn: Callable[[int], Any]) -> None:
    source = TrackedSource(range(5))

    assert await sf.pipeline(source, sf.map(fn), sf.map(fn), sf.collect()) == [2, 3, 4, 5, 6]


@kinds
async def test_map_takes_every_kind_of_callable_by_hand(fn: Callable[[int], Any]) -> None:
    assert [item async for item in sf.map(fn)(TrackedSource(range(3)))] == [1, 2, 3]


@kinds
async def test_filter_takes_every_kind_of_callable(fn: Callable[[int], Any]) -> None:
    assert await sf.stream([-1, 0, -1, 5]).filter(fn).collect() == [0, 5]


@kinds
async def test_tap_takes_every_kind_of_callable_and_drops_what_it_returns(fn: Callable[[int], Any]) -> None:
    assert await sf.stream(range(3)).tap(fn).collect() == [0, 1, 2]


@kinds
async def test_filter_map_takes_every_kind_of_callable(fn: Callable[[int], Any]) -> None:
    assert await sf.stream([-1, 0, 5]).through(filter_map(fn)).collect() == [0, 1, 6]


def twice(number: int) -> list[int]:
    return [number, number]


def twice_lazily(number: int) -> Iterator[int]:
    yield from twice(number)


async def twice_later(number: int) -> list[int]:
    await asyncio.sleep(0)
    return [number, number]


async def twice_streamed(number: int) -> AsyncIterator[int]:
    yield number
    await asyncio.sleep(0)
    yield number


async def twice_streamed_later(number: int) -> AsyncIterator[int]:
    return twice_streamed(number)


FLATTENERS: dict[str, Callable[[int], Any]] = {
    "list": twice,
    "generator": twice_lazily,
    "awaitable list": twice_later,
    "async generator": twice_streamed,
    "awaitable async generator": twice_streamed_later,
    "lambda of an async generator": lambda number: twice_streamed(number),  # noqa: PLW0108
    "stream": lambda number: sf.stream(twice(number)),
    "dict": lambda number: {number: "x", float(number) + 0.5: "y"},
}


@pytest.mark.parametrize("name", FLATTENERS)
@pytest.mark.parametrize("source", [range(3), TrackedSource(range(3))], ids=["sync", "async"])
async def test_flat_map_takes_every_kind_of_iterable(name: str, source: Any) -> None:
    flattened = await sf.stream(source).flat_map(FLATTENERS[name]).collect()

    assert [int(number) for number in flattened] == [0, 0, 1, 1, 2, 2]


async def test_the_first_item_is_not_called_twice_to_find_out() -> None:
    seen: list[int] = []

    def fetch(number: int) -> Any:
        seen.append(number)
        return add_one_later(number)

    await sf.stream(range(3)).map(fetch).run()

    assert seen == [0, 1, 2]


async def test_how_it_was_found_out_does_not_show_in_later_errors() -> None:
    def fail(number: int) -> Any:
        return fail_at_three_later(number)

    async with aclosing(aiter(TrackedSource(range(9)))) as source:
        with pytest.raises(Broken) as caught:
            await _count(sf.map(fail)(source))

    assert caught.value.__context__ is None


async def test_a_coroutine_found_out_under_a_stage_that_has_enough_is_closed() -> None:
    """E8: nothing is reported as never awaited."""
    assert await sf.pipeline(range(3), sf.map(lambda n: add_one_later(n)), sf.take(1), sf.collect()) == [1]  # noqa: PLW0108


NAMED: dict[str, Callable[[Any], Any]] = {
    "map": sf.map,
    "filter": sf.filter,
    "filter_map": filter_map,
    "flat_map": sf.flat_map,
    "starmap": starmap,
    "tap": sf.tap,
}


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("thing", [None, 3, "strip", [len]])
def test_what_cannot_be_called_is_refused_by_name(name: str, thing: object) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=f"^{name} needs a function to call for each item, not"):
        NAMED[name](thing)


# --- falsy items and results -------------------------------------------------------------------------------------

FALSY = [0, "", None, False, [], 0.0]


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
async def test_falsy_items_are_data(later: bool) -> None:
    """E7."""

    async def same(item: object) -> object:
        return item

    identity = same if later else lambda item: item

    assert await sf.stream(FALSY).map(identity).collect() == FALSY
    assert await sf.stream(FALSY).tap(identity).take(6).buffer(1).collect() == FALSY
    assert await sf.stream(FALSY).filter(lambda _: True).collect() == FALSY
    assert await sf.stream([FALSY]).flat_map(identity).collect() == FALSY


# --- emits, completes --------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "stage",
    [sf.map(add_one), sf.map(add_one_later), sf.filter(add_one), sf.tap(add_one), sf.flat_map(twice), sf.take(9)],
    ids=lambda stage: stage.name,
)
async def test_each_item_is_emitted_as_soon_as_it_is_there(stage: sf.Stage[int, int]) -> None:
    """Emits when: nothing is held back until the next item comes."""
    trace = Trace()
    source = TrackedSource(range(3), delay=1.0)

    await sf.pipeline(source, stage, sf.for_each(lambda _: trace("out")))

    assert sorted(set(trace.times)) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    "stage", [sf.map(add_one), sf.filter(add_one), sf.tap(add_one), sf.flat_map(twice), sf.take(9), sf.buffer(1)]
)
@pytest.mark.parametrize("source", [[], TrackedSource([])], ids=["sync", "async"])
async def test_no_input_completes_with_no_output(stage: sf.Stage[int, int], source: Any) -> None:
    """C7."""
    assert await sf.pipeline(source, stage, sf.collect()) == []


# --- backpressures -----------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "stage",
    [sf.map(add_one), sf.map(add_one_later), sf.filter(add_one), sf.tap(add_one), sf.take(99), sf.flat_map(twice)],
)
async def test_a_sink_that_asks_for_nothing_stops_the_source(stage: sf.Stage[int, int]) -> None:
    """F1, F5: at most what the channels and one hand of each stage hold is taken."""
    source = TrackedSource(range(1000))
    run = asyncio.create_task(sf.pipeline(source, stage, SlowSink(), maxsize=4))
    await asyncio.sleep(1)

    assert source.taken <= 4 + 1 + 4 + 1
    run.cancel()
    await asyncio.wait([run])


async def test_a_stage_that_drops_every_item_is_called_for_every_item() -> None:
    """F7: no output must not look like backpressure."""
    calls = 0

    def refuse(_: int) -> bool:
        nonlocal calls
        calls += 1
        return False

    assert await sf.pipeline(range(5000), sf.filter(refuse), sf.collect(), maxsize=2) == []
    assert calls == 5000


async def test_a_pipeline_of_channels_of_one_item_does_not_deadlock() -> None:
    """F9."""
    stages = [sf.buffer(1), sf.map(add_one_later), sf.tap(add_one), sf.buffer(1), sf.filter(add_one_later)]

    assert await sf.pipeline(range(50), *stages, sf.count(), maxsize=1) == 50


# --- errors ------------------------------------------------------------------------------------------------------


def fail_at_three(number: int) -> int:
    if number == 3:
        raise Broken
    return number


async def fail_at_three_later(number: int) -> int:
    await asyncio.sleep(0)
    return fail_at_three(number)


@pytest.mark.parametrize("fail", [fail_at_three, fail_at_three_later], ids=["sync", "async"])
@pytest.mark.parametrize("operator", [sf.map, sf.tap])
async def test_an_error_comes_after_the_items_before_it(
    operator: Callable[..., Any], fail: Callable[[int], Any]
) -> None:
    """P3, and P4: it names the stage, the item and the line."""
    got: list[int] = []
    source = TrackedSource(range(9))

    with pytest.raises(Broken) as caught:
        await sf.pipeline(source, operator(fail), sf.for_each(got.append))

    assert got == [0, 1, 2]
    source.verify()
    note = "\n".join(caught.value.__notes__)
    assert f"in stage 2 of 3 of pipeline: {operator.__name__!r}, at item 4 (added at {__file__}:" in note


@pytest.mark.parametrize("fail", [fail_at_three, fail_at_three_later], ids=["sync", "async"])
async def test_filter_passes_the_error_of_its_callable_on_after_the_items_before_it(fail: Callable[[int], Any]) -> None:
    got: list[int] = []

    with pytest.raises(Broken):
        await sf.stream(range(9)).filter(fail).for_each(got.append)

    assert got == [1, 2]


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
async def test_flat_map_passes_the_error_of_an_inner_iterable_on_after_its_items(later: bool) -> None:
    got: list[int] = []

    def inner(number: int) -> Iterator[int]:
        yield number
        raise Broken

    async def inner_later(number: int) -> AsyncIterator[int]:
        yield number
        raise Broken

    with pytest.raises(Broken):
        await sf.stream(range(9)).flat_map(inner_later if later else inner).for_each(got.append)

    assert got == [0]


async def test_a_callback_that_fails_is_not_swallowed_and_closes_everything() -> None:
    """E13."""
    source = TrackedSource(range(9))

    with pytest.raises(Broken):
        await sf.stream(source).tap(fail_at_three).run()

    source.verify()


@pytest.mark.parametrize("by_hand", [False, True], ids=["pipeline", "by hand"])
async def test_a_stray_stop_iteration_is_an_error_and_no_end(by_hand: bool) -> None:
    """H36: `map` takes it for the end of its input."""

    def find(number: int) -> int:
        return next(iter([])) if number == 2 else number

    got: list[int] = []
    async with aclosing(aiter(TrackedSource(range(9)))) as source:
        run = _count(sf.map(find)(source)) if by_hand else sf.stream(range(9)).map(find).for_each(got.append)
        with pytest.raises(sf.StageError, match="StopIteration"):
            await run

    assert by_hand or got == [0, 1]


async def _count(items: AsyncIterator[object]) -> int:
    return len([item async for item in items])


async def test_flat_map_over_what_is_no_iterable_is_the_users_error() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        await sf.stream([1]).flat_map(lambda number: number).run()


# --- early stop --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None, float("inf")])
def test_buffer_refuses_what_is_no_capacity(n: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"buffer\(n\)"):
        sf.buffer(n)


async def test_flat_map_closes_the_inner_iterator_that_is_open() -> None:
    trace = Trace()

    async def inner(number: int) -> AsyncIterator[int]:
        try:
            for item in itertools.count(number):
                yield item
        finally:
            await asyncio.sleep(0)
            trace(f"closed {number}")

    assert await sf.stream(range(9)).flat_map(inner).take(2).collect() == [0, 1]
    assert trace.events == ["closed 0"]


async def test_flat_map_closes_an_inner_stream() -> None:
    source = TrackedSource(itertools.count(), delay=0)

    assert await sf.stream(range(9)).flat_map(lambda _: sf.stream(source)).take(2).collect() == [0, 1]
    source.verify()


async def test_flat_map_reads_inner_iterables_lazily() -> None:
    pulled: list[int] = []

    def inner(_: int) -> Iterator[int]:
        for number in itertools.count():
            pulled.append(number)
            yield number

    assert await sf.stream([0]).flat_map(inner).take(3).collect() == [0, 1, 2]
    assert pulled == [0, 1, 2]


# --- starmap -----------------------------------------------------------------------------------------------------


def add(first: int, second: int) -> int:
    return first + second


async def add_later(first: int, second: int) -> int:
    await asyncio.sleep(0)
    return first + second


ADDERS: dict[str, Callable[[int, int], Any]] = {
    "function": add,
    "coroutine function": add_later,
    "builtin": operator.add,
    "lambda that returns a coroutine": lambda first, second: add_later(first, second),  # noqa: PLW0108
}


@pytest.mark.parametrize("fn", ADDERS.values(), ids=ADDERS.keys())
@pytest.mark.parametrize("source", [[(1, 2), [3, 4]], TrackedSource([(1, 2), [3, 4]])], ids=["sync", "async"])
async def test_starmap_takes_every_kind_of_callable_and_of_item(fn: Callable[[int, int], Any], source: Any) -> None:
    assert await sf.stream(source).through(starmap(fn)).collect() == [3, 7]


async def test_two_starmaps_of_one_function_are_told_apart_in_an_error() -> None:
    """P4: the second one is called through a function of its own."""

    def swap(first: int, second: int) -> tuple[int, int]:
        if first == 3:
            raise Broken
        return second, first

    with pytest.raises(Broken) as caught:
        await sf.pipeline([(1, 2), (2, 3)], starmap(swap), starmap(swap), sf.collect())

    assert "in stage 3 of 4 of pipeline: 'starmap', at item 2" in "\n".join(caught.value.__notes__)


async def test_starmap_of_the_wrong_number_of_members_is_the_functions_error() -> None:
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        await sf.stream([(1, 2), (3,)]).through(starmap(add)).run()


# --- filter_map --------------------------------------------------------------------------------------------------


async def test_filter_map_drops_none_and_nothing_else() -> None:
    """E7, and P2: what is dropped is counted."""
    job = sf.stream([1, None, 0, "", False, None]).through(filter_map(lambda item: item)).to(sf.collect())

    assert await job.run() == [1, 0, "", False]
    stats = job.report.stats.stages[1]
    assert (stats.items_in, stats.items_out, stats.dropped) == (6, 4, 2)


# --- flatten -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [list, iter, sf.stream, TrackedSource])
async def test_flatten_takes_iterables_and_async_iterables(kind: Callable[[Any], Any]) -> None:
    assert await sf.stream([kind([0, 1]), kind([]), kind([2])]).through(flatten()).collect() == [0, 1, 2]


async def test_flatten_undoes_batched() -> None:
    assert await sf.stream(range(7)).batched(3).through(flatten()).collect() == list(range(7))


async def test_flatten_closes_the_inner_source_that_is_open() -> None:
    """C3."""
    inner = TrackedSource(itertools.count(), delay=0)

    assert await sf.stream([inner, inner]).through(flatten()).take(3).collect() == [0, 1, 2]
    inner.verify()
    assert inner.opened == 1


async def test_flatten_says_which_item_is_no_iterable() -> None:
    """P4, P10."""
    with pytest.raises(TypeError, match="items that are iterables, and this one is of type int") as caught:
        await sf.pipeline([[1], 2], sf.map(lambda item: item), flatten(), sf.collect())

    assert "in stage 3 of 4 of pipeline: 'flatten', at item 2" in "\n".join(caught.value.__notes__)


async def test_flatten_of_both_kinds_is_an_error_that_says_what_to_write() -> None:
    """P10."""
    with pytest.raises(TypeError, match=r"a plain iterable came first.*sf\.flat_map"):
        await sf.stream([[1], TrackedSource([2])]).through(flatten()).run()


async def test_flatten_takes_an_iterable_after_an_async_one() -> None:
    assert await sf.stream([TrackedSource([2]), [1]]).through(flatten()).collect() == [2, 1]


# --- tap ---------------------------------------------------------------------------------------------------------


async def test_a_tap_that_turns_out_asynchronous_later_is_an_error() -> None:
    """P10: nobody would await it, and nobody would see."""

    def send(number: int) -> Any:
        return add_one_later(number) if number == 3 else None

    with pytest.raises(sf.UsageError, match="a coroutine for a later one"):
        await sf.stream(range(9)).tap(send).run()


# --- enumerate ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [0, 1, -3, 10**30])
async def test_enumerate_goes_on_over_every_stretch_of_input(start: int) -> None:
    numbered = await sf.stream(range(3000)).through(enumerate(start)).collect()

    assert numbered == list(zip(itertools.count(start), range(3000)))


async def test_enumerate_numbers_what_a_filter_lets_pass() -> None:
    flow = sf.stream(range(3000)).filter(lambda n: n % 7 == 0).through(enumerate())

    assert await flow.collect() == list(zip(itertools.count(), range(0, 3000, 7)))


@pytest.mark.parametrize("start", [1.0, "1", None, True])
def test_enumerate_refuses_what_is_no_number(start: Any) -> None:
    with pytest.raises(sf.UsageError, match=r"enumerate\(start\) must be a whole number"):
        enumerate(start)


# --- cast --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [[1, 2, "3"], TrackedSource([1, 2, "3"])], ids=["sync", "async"])
async def test_cast_says_which_item_is_of_which_wrong_type(source: Any) -> None:
    """P4, and the items before it have passed (P3)."""
    got: list[int] = []

    with pytest.raises(TypeError, match=r"^cast\(int\): item 3 is of type str, not int\.") as caught:
        await sf.pipeline(source, cast(object), cast(int), sf.for_each(got.append))

    assert got == [1, 2]
    assert "in stage 3 of 4 of pipeline: 'cast(int)', at item 3" in "\n".join(caught.value.__notes__)


async def test_cast_counts_over_stretches() -> None:
    with pytest.raises(TypeError, match="item 2001 "):
        await sf.stream([*range(2000), None]).through(cast(int)).run()


async def test_cast_takes_a_union() -> None:
    assert await sf.stream([1, None]).through(cast(int | None)).collect() == [1, None]


@pytest.mark.parametrize("type_", [None, list[int], "int", 3])
def test_cast_refuses_what_cannot_be_checked(type_: Any) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=r"cast\(type_\) needs a class"):
        cast(type_)


# --- counts ------------------------------------------------------------------------------------------------------


async def test_what_filter_and_take_drop_is_counted_as_dropped() -> None:
    """P2."""
    job = sf.stream(range(10)).filter(lambda number: number % 2).to(sf.collect())
    await job.run()

    kept = job.report.stats.stages[1]
    assert (kept.items_in, kept.items_out, kept.dropped) == (10, 5, 5)


# --- buffer ------------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_buffer_lets_the_stages_above_run_that_many_items_ahead() -> None:
    done: list[int] = []
    run = asyncio.create_task(
        sf.pipeline(range(99), sf.tap(done.append), sf.buffer(7), sf.map(add_one_later), SlowSink(), maxsize=2)
    )
    await asyncio.sleep(1)

    assert 7 <= len(done) <= 7 + 1 + 2 + 1 + 1  # its own, one in the stage after it, that one's channel, the sink's
    run.cancel()
    await asyncio.wait([run])


async def test_buffer_puts_both_sides_into_tasks_of_their_own() -> None:
    names: list[str] = []

    def note(_: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())

    await sf.stream([1]).tap(note).buffer(1).tap(note).run()

    assert len(set(names)) == 2


async def test_buffer_passes_an_error_on_after_the_items_before_it() -> None:
    got: list[int] = []

    with pytest.raises(Broken):
        await sf.stream(range(9)).map(fail_at_three).buffer(2).for_each(got.append)

    assert got == [0, 1, 2]


async def test_what_waits_in_a_buffer_on_an_early_stop_is_counted_as_discarded() -> None:
    job = sf.stream(range(100)).buffer(8).map(add_one_later).take(1).to(sf.collect())
    await job.run()

    assert job.report.stats.balanced
    assert job.report.stats.discarded > 0


async def test_an_endless_source_that_never_waits_can_be_stopped() -> None:
    """X16, P8."""
    assert await sf.stream(endless()).filter(lambda number: number > 5000).first() == 5001
