"""Which items pass, by their place or by what came before: what the table of cases does not show."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.selecting import (
    dedupe,
    distinct,
    skip,
    skip_last,
    skip_while,
    take_last,
    take_while,
)
from streamflow.testing import SlowSink, StepLoop, Trace, TrackedSource


class Broken(Exception):
    """What the tests raise."""


async def add_one_later(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


def add_one(number: int) -> int:
    return number + 1


def below_three(number: int) -> bool:
    return number < 3


async def below_three_later(number: int) -> bool:
    await asyncio.sleep(0)
    return number < 3


PREDICATES: dict[str, Callable[[int], Any]] = {
    "function": below_three,
    "coroutine function": below_three_later,
    "lambda that returns a coroutine": lambda number: below_three_later(number),  # noqa: PLW0108  # the point of it
    "builtin": (3).__gt__,
}
predicates = pytest.mark.parametrize("fn", PREDICATES.values(), ids=PREDICATES.keys())
sources = pytest.mark.parametrize("kind", [list, TrackedSource], ids=["sync", "async"])

# --- take --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5])
async def test_take_closes_the_stages_above_and_is_success(n: int) -> None:
    """C3."""
    source = TrackedSource(itertools.count(), delay=0)

    assert await sf.stream(source).map(add_one_later).take(n).collect() == list(range(1, n + 1))
    source.verify()


@pytest.mark.virtual_time
@pytest.mark.parametrize("later", [False, True])
async def test_take_does_not_wait_for_one_item_more(later: bool) -> None:
    """C10: the loop would report a deadlock."""

    async def three_and_then_nothing() -> AsyncIterator[int]:
        for number in range(3):
            yield number
        await asyncio.Event().wait()

    stage = sf.map(add_one_later) if later else sf.map(add_one)

    assert await sf.pipeline(three_and_then_nothing(), stage, sf.take(3), sf.collect()) == [1, 2, 3]


@pytest.mark.parametrize("by_hand", [False, True], ids=["pipeline", "by hand"])
async def test_take_of_nothing_pulls_nothing(by_hand: bool) -> None:
    """C10."""
    pulled: list[int] = []
    source = map(pulled.append, range(3))

    if by_hand:
        assert [item async for item in sf.take(0)(TrackedSource(source))] == []
    else:
        assert await sf.stream(source).take(0).collect() == []

    assert pulled == []


@pytest.mark.virtual_time
async def test_take_of_nothing_does_not_wait_for_a_source_that_never_gives() -> None:
    """C10, X16."""

    async def silent() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 0

    assert await sf.stream(silent()).take(0).collect() == []


async def test_take_of_more_than_there_is_gives_what_there_is() -> None:
    assert await sf.stream(range(3)).take(10).collect() == [0, 1, 2]


@pytest.mark.parametrize("n", [-1, 1.0, True, False, None, "3", float("nan")])
def test_take_refuses_what_is_no_number_of_items(n: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"take\(n\)"):
        sf.take(n)


# --- take_while, skip_while --------------------------------------------------------------------------------------


@predicates
@sources
async def test_take_while_takes_every_kind_of_callable(fn: Callable[[int], Any], kind: Callable[[Any], Any]) -> None:
    source = [0, 1, 5, 2]

    assert await sf.stream(kind(source)).through(take_while(fn)).collect() == [0, 1]
    assert await sf.stream(kind(source)).through(take_while(fn, inclusive=True)).collect() == [0, 1, 5]


@predicates
@sources
async def test_skip_while_takes_every_kind_of_callable(fn: Callable[[int], Any], kind: Callable[[Any], Any]) -> None:
    assert await sf.stream(kind([0, 1, 5, 2])).through(skip_while(fn)).collect() == [5, 2]


@predicates
@pytest.mark.parametrize("inclusive", [False, True])
async def test_take_while_asks_about_no_item_more_and_closes_what_is_above(
    fn: Callable[[int], Any], inclusive: bool
) -> None:
    """C3."""
    source = TrackedSource(itertools.count(), delay=0)
    asked: list[int] = []

    def ask(number: int) -> Any:
        asked.append(number)
        return fn(number)

    assert await sf.stream(source).through(take_while(ask, inclusive=inclusive)).count() == 3 + inclusive
    assert asked == [0, 1, 2, 3]
    source.verify()


@pytest.mark.virtual_time
@predicates
async def test_take_while_does_not_wait_for_one_item_more(fn: Callable[[int], Any]) -> None:
    """C10: the loop would report a deadlock."""

    async def four_and_then_nothing() -> AsyncIterator[int]:
        for number in range(4):
            yield number
        await asyncio.Event().wait()

    assert await sf.stream(four_and_then_nothing()).through(take_while(fn)).collect() == [0, 1, 2]


@pytest.mark.parametrize("later", [False, True], ids=["sync", "async"])
async def test_skip_while_asks_no_more_once_it_passes(later: bool) -> None:
    asked: list[int] = []

    def ask(number: int) -> bool:
        asked.append(number)
        return number < 2

    async def ask_later(number: int) -> bool:
        return ask(number)

    got = await sf.stream([0, 1, 2, 0, 1]).through(skip_while(ask_later if later else ask)).collect()

    assert got == [2, 0, 1]
    assert asked == [0, 1, 2]


def fail(_: int) -> bool:
    raise Broken


async def fail_later(_: int) -> bool:
    raise Broken


@pytest.mark.parametrize(
    "operator", [take_while, skip_while, lambda fn: dedupe(key=fn), lambda fn: distinct(2, key=fn)]
)
@pytest.mark.parametrize("fn", [fail, fail_later], ids=["sync", "async"])
async def test_the_error_of_a_function_names_stage_and_item(
    operator: Callable[..., sf.Stage[int, int]], fn: Callable[[int], Any]
) -> None:
    """P4."""
    stage = operator(fn)
    source = TrackedSource(range(9))

    with pytest.raises(Broken) as caught:
        await sf.pipeline(source, stage, sf.collect())

    assert f"in stage 2 of 3 of pipeline: {stage.name!r}, at item 1 " in "\n".join(caught.value.__notes__)
    source.verify()


@pytest.mark.parametrize("name", ["take_while", "skip_while", "dedupe", "distinct"])
@pytest.mark.parametrize("thing", [3, "id", [len]])
def test_what_cannot_be_called_is_refused_by_name(name: str, thing: Any) -> None:
    """P10."""
    made: dict[str, Callable[[], Any]] = {
        "take_while": lambda: take_while(thing),
        "skip_while": lambda: skip_while(thing),
        "dedupe": lambda: dedupe(key=thing),
        "distinct": lambda: distinct(5, key=thing),
    }
    with pytest.raises(sf.UsageError, match=f"^{name} needs a function to call for each item, not"):
        made[name]()


# --- skip, skip_last, take_last ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["skip", "skip_last", "take_last"])
@pytest.mark.parametrize("n", [-1, 1.0, True, False, None, "3", float("nan")])
def test_what_is_no_number_of_items_is_refused(name: str, n: Any) -> None:
    """F14."""
    made: dict[str, Callable[[Any], Any]] = {"skip": skip, "skip_last": skip_last, "take_last": take_last}
    with pytest.raises(sf.UsageError, match=rf"{name}\(n\)"):
        made[name](n)


@given(st.integers(0, 2000), st.integers(0, 2000))
def test_skip_and_take_are_slices(length: int, n: int) -> None:
    items = list(range(length))
    loop = StepLoop()

    def got(stage: sf.Stage[int, int]) -> list[int]:
        return loop.run_until_complete(sf.stream(items).map(add_one).through(stage).map(lambda m: m - 1).collect())

    try:
        assert got(sf.take(n)) == items[:n]
        assert got(skip(n)) == items[n:]
        assert got(take_last(n)) == (items[-n:] if n else [])
        assert got(skip_last(n)) == (items[:-n] if n else items)
    finally:
        loop.close()


@pytest.mark.virtual_time
async def test_skip_last_emits_each_item_when_n_more_have_come() -> None:
    trace = Trace()

    await sf.pipeline(TrackedSource(range(5), delay=1.0), skip_last(2), sf.for_each(lambda n: trace(str(n))))

    assert (trace.events, trace.times) == (["0", "1", "2"], [3.0, 4.0, 5.0])


@pytest.mark.virtual_time
async def test_take_last_of_nothing_does_not_wait_for_a_source_that_never_gives() -> None:
    """C10."""

    async def silent() -> AsyncIterator[int]:
        await asyncio.Event().wait()
        yield 0

    assert await sf.stream(silent()).through(take_last(0)).collect() == []


async def test_take_last_takes_all_of_a_source_and_is_not_stopped_by_it() -> None:
    assert await sf.stream(range(100_000)).through(take_last(2)).collect() == [99_998, 99_999]


@pytest.mark.parametrize(
    ("stage", "kept"),
    [
        (skip(3), 7),
        (skip_last(3), 7),
        (take_last(3), 3),
        (take_while(below_three), 3),
        (skip_while(below_three), 7),
        (distinct(9, key=below_three), 2),
        (dedupe(key=below_three), 2),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_what_does_not_pass_is_counted_as_dropped(stage: sf.Stage[int, int], kept: int) -> None:
    """P2."""
    job = sf.stream(range(10)).map(add_one).map(lambda n: n - 1).through(stage).to(sf.collect())
    await job.run()

    stats = job.report.stats.stages[3]
    assert stats.items_out == kept
    assert stats.items_in - stats.items_out == stats.dropped


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    "stage",
    [skip(1), skip_last(3), skip_while(below_three), take_while(bool), distinct(3), dedupe()],
    ids=lambda stage: stage.name,
)
async def test_a_sink_that_asks_for_nothing_stops_the_source(stage: sf.Stage[int, int]) -> None:
    """F1, F5."""
    source = TrackedSource(range(1, 1000))
    run = asyncio.create_task(sf.pipeline(source, stage, SlowSink(), maxsize=4))
    await asyncio.sleep(1)

    assert source.taken <= 4 + 1 + 4 + 1 + 3
    run.cancel()
    await asyncio.wait([run])


# --- distinct, dedupe --------------------------------------------------------------------------------------------


async def test_distinct_forgets_the_key_seen_longest_ago() -> None:
    """Being seen again keeps a key: the 1 is remembered, the 2 is not."""
    assert await sf.stream([1, 2, 1, 3, 1, 2]).through(distinct(2)).collect() == [1, 2, 3, 2]


@given(st.lists(st.integers(0, 6)), st.integers(1, 8))
def test_distinct_over_more_keys_than_there_are_is_what_a_dict_keeps(items: list[int], n: int) -> None:
    loop = StepLoop()
    try:
        got = loop.run_until_complete(sf.stream(items).through(distinct(max(n, 7))).collect())
    finally:
        loop.close()
    assert got == list(dict.fromkeys(items))


async def test_distinct_holds_no_more_keys_than_it_was_told() -> None:
    """P1."""
    alive = 0

    class Key:
        def __init__(self) -> None:
            nonlocal alive
            alive += 1

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    most = 0

    def look(_: int) -> None:
        nonlocal most
        most = max(most, alive)

    await sf.stream(range(500)).through(distinct(5, key=lambda _: Key())).tap(look).run()

    assert most <= 5 + 1


@pytest.mark.parametrize("source", [[1, [2]], TrackedSource([1, [2]])], ids=["sync", "async"])
async def test_distinct_of_what_is_not_hashable_says_what_to_write(source: Any) -> None:
    """P4, P10."""
    with pytest.raises(TypeError, match=r"distinct\(9\) needs hashable items, not list\. Give key=") as caught:
        await sf.pipeline(source, sf.map(lambda item: item), distinct(9), sf.collect())

    assert "in stage 3 of 4 of pipeline: 'distinct(9)', at item 2" in "\n".join(caught.value.__notes__)


async def test_a_distinct_that_stands_twice_is_two_of_them() -> None:
    stage = distinct(9)

    assert await sf.pipeline([1, 1, 2], stage, stage, sf.collect()) == [1, 2]


@pytest.mark.parametrize("key", [lambda item: [item], lambda item: later_list(item)], ids=["sync", "async"])  # noqa: PLW0108
async def test_a_key_that_is_not_hashable_is_an_error(key: Callable[[int], Any]) -> None:
    with pytest.raises(TypeError, match="needs hashable keys, not list"):
        await sf.stream([1, 2]).through(distinct(9, key=key)).run()


async def later_list(item: int) -> list[int]:
    return [item]


async def test_an_error_of_a_comparison_is_passed_on_as_it_is() -> None:
    class Odd:
        def __eq__(self, other: object) -> bool:
            raise Broken

        def __hash__(self) -> int:
            return 1

    for stage in (distinct(9), dedupe()):
        with pytest.raises(Broken):
            await sf.stream([Odd(), Odd()]).through(stage).run()


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None, float("inf")])
def test_distinct_needs_a_bound(n: Any) -> None:
    """P1: nothing remembers without a bound."""
    with pytest.raises(sf.UsageError, match=r"distinct\(n\)"):
        distinct(n)


async def test_dedupe_compares_with_the_item_before_over_every_stretch() -> None:
    items = [number // 3 for number in range(3000)]

    assert await sf.stream(items).through(dedupe()).collect() == list(range(1000))


async def test_dedupe_takes_what_is_the_same_object_for_equal() -> None:
    nan = float("nan")

    assert len(await sf.stream([nan, nan, float("nan")]).through(dedupe()).collect()) == 2


async def test_a_stage_can_be_used_in_several_runs_and_remembers_nothing() -> None:
    for stage in (sf.take(2), skip(1), distinct(5), dedupe(), take_while(below_three), skip_while(below_three)):
        flow = sf.stream([1, 1, 2, 5, 1]).through(stage)

        assert await flow.collect() == await flow.collect()
