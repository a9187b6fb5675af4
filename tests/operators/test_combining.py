"""chain, merge, race, interleave: whose turn it is, what is pulled when, and that every source is closed."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

import streamflow as sf
from streamflow.operators.combining import chain, interleave, merge, race
from streamflow.testing import KINDS, Gate, SlowSink, Trace, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def numbered(name: str = "n", count: int = 4) -> AsyncIterator[str]:
    """Give `a0`, `a1`, ... without ever waiting."""
    for number in range(count):
        yield f"{name}{number}"


async def every(seconds: float, name: str, count: int = 4) -> AsyncIterator[str]:
    """Give `a0`, `a1`, ... one at a time."""
    for number in range(count):
        await asyncio.sleep(seconds)
        yield f"{name}{number}"


async def silent() -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield "never"


async def turns(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


COMBINATIONS = {"merge": merge, "race": race, "interleave": interleave, "chain": chain}
combinations = pytest.mark.parametrize("combine", COMBINATIONS.values(), ids=COMBINATIONS.keys())


# --- the same for all --------------------------------------------------------------------------------------------


@combinations
async def test_stage_source_and_method_are_one_thing(combine: Callable[..., Any]) -> None:
    source = await sf.pipeline(combine([1, 2, 3], [4, 5]), sf.collect())
    method = await getattr(sf.stream([1, 2, 3]), combine.__name__)([4, 5]).collect()
    by_hand = [item async for item in combine([4, 5])([1, 2, 3])]

    assert source == by_hand
    assert sorted(method) == sorted(source) or (combine is race and method in ([1, 2, 3], [4, 5]))


@combinations
@pytest.mark.parametrize("thing", [3, None, "text", len, sf.map(str)], ids=repr)
def test_what_cannot_be_a_source_is_refused_by_its_number(combine: Callable[..., Any], thing: Any) -> None:
    """P10."""
    with pytest.raises(sf.UsageError) as caught:
        combine([1], thing)

    assert f"source 2 of {combine.__name__}" in caught.value.__notes__


@combinations
def test_a_list_of_sources_is_refused_with_the_star_to_write(combine: Callable[..., Any]) -> None:
    with pytest.raises(sf.UsageError, match=rf"Write {combine.__name__}\(\*sources\)"):
        combine([sf.stream([1]), sf.stream([2])])


@combinations
async def test_one_generator_object_cannot_stand_twice(combine: Callable[..., Any]) -> None:
    async with aclosing(numbered()) as items:
        with pytest.raises(sf.UsageError, match="source 3 is the same generator object"):
            combine(items, [1], items)


@combinations
async def test_a_generator_that_was_used_up_is_refused(combine: Callable[..., Any]) -> None:
    """P2: it would give no items, silently."""
    items = numbered()
    assert [item async for item in items] == ["n0", "n1", "n2", "n3"]

    with pytest.raises(sf.UsageError, match="used up"):
        await sf.pipeline(combine(items), sf.collect())


@combinations
async def test_a_combination_can_be_run_again_and_beside_itself(combine: Callable[..., Any]) -> None:
    combination = combine([1, 2], sf.stream([3]).map(str))
    once = await sf.pipeline(combination, sf.collect())

    assert await sf.pipeline(combination, sf.collect()) == once
    assert Counter(await sf.pipeline(combine(combination, combination), sf.collect())) == Counter(
        once if combine is race else once * 2
    )


@combinations
async def test_by_hand_everything_is_closed_too(combine: Callable[..., Any]) -> None:
    source, other = TrackedSource("ab"), TrackedSource("cd")

    got = [item async for item in combine(other)(source)]

    assert Counter(got) in (Counter("abcd"), Counter("ab"))
    source.verify()
    other.verify()


@combinations
@pytest.mark.parametrize("n", [0, 1, 3])
async def test_an_early_end_closes_every_source_in_its_own_task(combine: Callable[..., Any], n: int) -> None:
    """USERS 29: on an early exit some sources' `finally` never ran."""
    sources = [TrackedSource(itertools.count(), delay=0) for _ in range(6)]

    assert len(await sf.pipeline(sources[0], combine(*sources[1:]), sf.take(n), sf.collect())) == n
    assert len(await sf.pipeline(combine(*sources), sf.take(n), sf.collect())) == n

    for source in sources:
        source.verify()


@combinations
async def test_a_dropped_iterator_closes_every_source(combine: Callable[..., Any]) -> None:
    """C5."""
    sources = [TrackedSource(itertools.count(), delay=0) for _ in range(3)]

    async for _ in sf.stream(combine(*sources)):
        break
    await turns()

    for source in sources:
        source.verify()


@combinations
async def test_what_fails_in_closing_is_raised_and_the_others_are_closed_all_the_same(
    combine: Callable[..., Any],
) -> None:
    """E15: an early end is success only when closing succeeds."""
    other = TrackedSource(itertools.count(10), delay=0)

    async def stubborn() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise Broken

    with pytest.raises(Broken):
        await sf.pipeline(combine(stubborn, other), sf.take(1), sf.collect())

    other.verify()


@combinations
async def test_a_source_that_fails_ends_it_and_the_others_are_closed(combine: Callable[..., Any]) -> None:
    """E14; P4: the error says which source it was."""
    other = TrackedSource(itertools.count(), delay=0)
    failing = TrackedSource([], error=Broken())

    with pytest.raises(Broken) as caught:
        await sf.pipeline(combine(failing, other), sf.drain())

    failing.verify()
    other.verify()
    assert any(f"of source 1 of {combine.__name__}: 'TrackedSource'" in note for note in caught.value.__notes__)


@combinations
async def test_a_plain_iterable_that_fails_is_named_too(combine: Callable[..., Any]) -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise Broken

    got: list[int] = []

    with pytest.raises(Broken) as caught:
        await sf.pipeline(combine(failing, []), sf.for_each(got.append))

    assert got == [1]
    assert "in source 1 (failing)" in caught.value.__notes__


@combinations
async def test_a_generator_is_closed_and_a_file_like_iterator_left_open(combine: Callable[..., Any]) -> None:
    class Lines:
        closed = False

        def __iter__(self) -> Lines:
            return self

        def __next__(self) -> str:
            return "line"

        def close(self) -> None:
            self.closed = True

    trace = Trace()

    def generated() -> Iterator[str]:
        try:
            yield from itertools.repeat("generated")
        finally:
            trace("closed")

    lines = Lines()
    await sf.pipeline(combine(generated, lines), sf.take(4), sf.drain())

    assert trace.events == ["closed"]
    assert not lines.closed


variable = contextvars.ContextVar("variable", default="unset")


@combinations
async def test_each_source_has_a_context_of_its_own_for_its_whole_life(combine: Callable[..., Any]) -> None:
    """USERS 78: a token "was created in a different Context"."""

    async def using(name: str) -> AsyncIterator[str]:
        token = variable.set(name)
        try:
            for _ in range(3):
                await asyncio.sleep(0)
                yield variable.get()
        finally:
            variable.reset(token)

    got = await sf.pipeline(combine(using("a"), using("b")), sf.collect())

    assert Counter(got) in (Counter("aaabbb"), Counter("aaa"))
    assert variable.get() == "unset"


@combinations
@pytest.mark.virtual_time
async def test_a_timeout_around_the_yield_of_a_source_strikes_that_source(combine: Callable[..., Any]) -> None:
    """H32: while the combination is idle and nobody asks the source for more."""

    async def limited() -> AsyncIterator[int]:
        try:
            async with asyncio.timeout(5):
                for number in itertools.count():
                    yield number
        except TimeoutError:
            yield -1

    async with sf.stream(combine(limited)).open(maxsize=1) as items:
        first = await anext(items)
        await asyncio.sleep(10)
        rest = [item async for item in items]

    assert first == 0
    assert rest[-1] == -1


class Combining:
    """Sources of every kind, combined and taken from, cancelled after every step."""

    def __init__(self, combine: Callable[..., Any], n: int) -> None:
        self.combine = combine
        self.n = n
        self.sources = [TrackedSource(range(3), delay=0), TrackedSource(range(3))]

    async def __call__(self) -> list[Any]:
        first, second = self.sources
        combination = self.combine(first, [1, 2], sf.stream(second).map(lambda number: number))
        return await sf.pipeline(TrackedSource(range(2)), combination, sf.take(self.n), sf.collect())

    def check(self, outcome: Any) -> None:
        for source in self.sources:
            source.verify()


@combinations
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [3, 99], ids=["early", "all"])
def test_cancelled_after_every_step_every_source_is_closed(combine: Callable[..., Any], kind: Any, n: int) -> None:
    assert cancel_everywhere(lambda: Combining(combine, n), Combining.check, kinds=(kind,)) > 10


# --- merge: whose turn it is --------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_merge_emits_as_soon_as_any_source_has_an_item() -> None:
    trace = Trace()

    await sf.pipeline(merge(every(2, "a"), every(3, "b")), sf.for_each(trace))

    assert trace.events[:3] == ["a0", "b0", "a1"]
    assert trace.times == [2, 3, 4, 6, 6, 8, 9, 12]


async def test_merge_takes_turns_where_all_have_something() -> None:
    items = await sf.pipeline(merge(*(numbered(name, 50) for name in "abc")), sf.collect())

    assert [item[0] for item in items] == list("abc" * 50)


async def test_merge_takes_turns_with_plain_iterables_which_always_have_something() -> None:
    items = await sf.pipeline(merge(itertools.count(), numbered("a", 50)), sf.take(100), sf.collect())

    assert [type(item) for item in items] == [int, str] * 50


@pytest.mark.virtual_time
async def test_a_slow_source_is_heard_beside_an_endless_one_that_never_waits() -> None:
    """By hand, under a consumer that never waits: the merge itself gives the other tasks their turns."""
    got: Counter[str] = Counter()
    deep = sf.stream(numbered("d", 99)).tap(bool).through(sf.buffer(1)).tap(bool).buffer(2)

    async with aclosing(merge(itertools.count(), every(0, "a", 99), deep)(numbered("b", 99))) as items:
        async for item in items:
            got[str(item)[0] if isinstance(item, str) else "count"] += 1
            if got["a"] >= 20 and got["b"] >= 20 and got["d"] >= 20:
                break

    assert got["count"] < 20 * 20


async def test_merge_keeps_the_loop_alive_between_plain_iterables_that_never_end() -> None:
    """P8."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticker = asyncio.create_task(tick())
    await sf.pipeline(merge(itertools.count(), itertools.count()), sf.take(200_000), sf.drain())
    ticker.cancel()

    assert ticks > 10


async def test_merge_of_a_hundred_sources() -> None:
    sources = [TrackedSource(range(at, 1000, 100), delay=0 if at % 2 else None) for at in range(100)]

    assert sorted(await sf.pipeline(merge(*sources), sf.collect())) == list(range(1000))
    for source in sources:
        source.verify()


async def test_merge_of_the_same_stream_twice_and_inside_itself() -> None:
    numbers = sf.stream(range(3)).map(str)
    inner = merge(numbers, numbers)

    assert Counter(await sf.pipeline(numbers, merge(inner, inner, numbers), sf.collect())) == Counter("012" * 6)


async def test_the_items_of_each_source_keep_their_order_and_none_is_lost() -> None:
    """P2, P3."""
    streams = [sf.stream(numbered(name, 500)).buffer(3) for name in "abc"]
    items = await sf.pipeline(numbered("n", 500), merge(*streams, [f"l{at}" for at in range(500)]), sf.collect())

    for name in "nabcl":
        assert [item for item in items if item[0] == name] == [f"{name}{at}" for at in range(500)]
    assert len(items) == 2500


async def test_a_channel_can_be_merged() -> None:
    channel: sf.Channel[int] = sf.Channel(2)

    async def produce() -> None:
        for number in range(5):
            await channel.put(number)
        channel.close()

    producer = asyncio.create_task(produce())

    assert sorted(await sf.pipeline(merge(channel, [10, 11]), sf.collect())) == [0, 1, 2, 3, 4, 10, 11]
    await producer


async def test_a_stage_may_merge_its_own_input_with_something() -> None:
    async def stage(items: AsyncIterator[int]) -> AsyncIterator[int]:
        async with aclosing(aiter(merge(items, TrackedSource([10, 11])))) as merged:
            async for item in merged:
                yield item

    assert sorted(await sf.pipeline(TrackedSource(range(3)), stage, sf.collect())) == [0, 1, 2, 10, 11]


async def test_falsy_items_are_data() -> None:
    """E7."""
    falsy = [0, "", None, False, [], 0.0]

    assert await sf.pipeline(merge(falsy), sf.collect()) == falsy
    assert await sf.pipeline(merge(TrackedSource(falsy)), sf.collect()) == falsy


# --- merge: weights, priority, end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "in tasks"])
async def test_weights_are_shares_where_all_have_something(kind: str) -> None:
    a, b = (itertools.repeat("a"), itertools.repeat("b"))
    sources = (a, b) if kind == "plain" else (TrackedSource(a), TrackedSource(b))

    items = await sf.pipeline(merge(*sources, weights=(3, 1)), sf.take(80), sf.collect())

    assert Counter(items) == {"a": 60, "b": 20}
    assert "bb" not in "".join(items)


async def test_who_has_nothing_gives_its_share_to_the_others() -> None:
    assert await sf.pipeline(["b"] * 3, merge([], weights=(1, 100)), sf.collect()) == ["b"] * 3


async def test_weights_count_the_input_where_there_is_one() -> None:
    stage = merge([1, 1, 1, 1], weights=(2, 1))

    assert sorted(await sf.pipeline([0] * 4, stage, sf.collect())) == [0] * 4 + [1] * 4
    with pytest.raises(sf.UsageError, match="2 weights for 1 sources"):
        await sf.pipeline(stage, sf.collect())
    with pytest.raises(sf.UsageError, match="1 weights for 2 sources"):
        await sf.pipeline([0], merge([1], weights=[1]), sf.collect())


async def test_with_priority_an_earlier_source_goes_first_whenever_it_has_something() -> None:
    items = await sf.pipeline(merge(numbered("a", 40), numbered("b", 3), priority=True), sf.collect())

    assert items == [*(f"a{at}" for at in range(40)), "b0", "b1", "b2"]


@pytest.mark.virtual_time
async def test_with_priority_a_later_source_fills_the_gaps() -> None:
    trace = Trace()
    stage = merge(every(1, "b", 6), priority=True)

    await sf.pipeline(every(2, "a", 2), stage, sf.for_each(trace))

    assert sorted(zip(trace.times, trace.events, strict=True)) == [
        (1, "b0"),
        (2, "a0"),
        (2, "b1"),
        (3, "b2"),
        (4, "a1"),
        (4, "b3"),
        (5, "b4"),
        (6, "b5"),
    ]


@pytest.mark.virtual_time
async def test_end_any_ends_with_the_first_source_that_does_and_closes_the_others() -> None:
    source = TrackedSource(itertools.count(), delay=1)

    got = await sf.stream(every(2, "a", 2)).merge(source, end="any").collect()

    assert got[:2] == [0, "a0"] or got[:3] == [0, 1, "a0"]
    assert got[-1] in {"a1", 3}
    source.verify()
    assert asyncio.get_running_loop().time() == 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": (1, 0)}, "weights"),
        ({"weights": (1, 1.5)}, "weights"),
        ({"weights": (1,) * 4}, "4 weights for 2 sources"),
        ({"weights": ()}, "0 weights for 2 sources"),
        ({"weights": 3}, "weights"),
        ({"weights": (10**6, 1)}, "1,000,001 turns"),
        ({"weights": (1, 2), "priority": True}, "priority"),
        ({"end": "first"}, "end"),
        ({"end": None}, "end"),
        ({"end": []}, "end"),
    ],
)
def test_options_that_cannot_mean_anything_are_refused(wrong: dict[str, Any], message: str) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=message):
        merge([1], [2], **wrong)


# --- merge: what is pulled ------------------------------------------------------------------------------------------


async def test_while_the_consumer_is_idle_no_source_is_pulled() -> None:
    """F20, USERS 27. One item of each source is held at most."""
    inputs = [TrackedSource(itertools.count()) for _ in range(3)]
    first, second, staged = inputs
    combination = merge(first, second, sf.stream(staged).map(str).through(lambda items: items.map(int)))

    async with aclosing(aiter(combination)) as items:
        await turns()
        assert [source.taken for source in inputs] == [0, 0, 0]
        for number in range(1, 20):
            await anext(items)
            before = [source.taken for source in inputs]
            await turns()
            assert [source.taken for source in inputs] == before
            assert first.taken + second.taken <= number + 2


async def test_a_plain_iterable_is_pulled_only_when_its_item_is_wanted() -> None:
    pulled: list[int] = []

    def source() -> Iterator[int]:
        for number in itertools.count():
            pulled.append(number)
            yield number

    async with aclosing(aiter(merge(source))) as items:
        for number in range(5):
            assert await anext(items) == number
            await turns()
            assert len(pulled) == number + 1


async def test_under_a_consumer_without_a_pause_a_source_is_at_most_sixteen_items_ahead() -> None:
    """What explain() says it holds."""
    sources = [TrackedSource(itertools.count()) for _ in range(2)]

    async with aclosing(aiter(merge(*sources))) as items:
        for number in range(1, 500):
            await anext(items)
            assert sum(source.taken for source in sources) <= number + 2 * 16
    assert merge(*sources).holds_items == 2 * 16 + 1


async def test_a_channel_is_asked_for_one_item_at_a_time_and_keeps_the_rest() -> None:
    """It is its user's, and others may read it: no read-ahead, whatever the consumer does."""
    channel: sf.Channel[int] = sf.Channel(100)
    await channel.put_many(range(100))
    other: sf.Channel[int] = sf.Channel(1)

    async with aclosing(aiter(merge(channel, other))) as items:
        assert [await anext(items) for _ in range(50)] == list(range(50))

    assert channel.qsize() in {49, 50}
    assert channel.state == "open"


async def test_a_buffer_in_a_source_says_to_run_ahead() -> None:
    source = TrackedSource(itertools.count())

    async with aclosing(aiter(merge(sf.stream(source).buffer(30)))) as items:
        await anext(items)
        await turns(100)
        assert 30 <= source.taken <= 200


async def test_behind_a_sink_that_asks_for_nothing_everything_stands_still() -> None:
    """F1, F5."""
    sources = [TrackedSource(itertools.count()) for _ in range(3)]
    run = asyncio.create_task(sf.pipeline(sources[0], merge(*sources[1:]), SlowSink(), maxsize=2))
    await turns(100)
    before = [source.taken for source in sources]
    await turns(100)

    assert [source.taken for source in sources] == before
    assert sum(before) <= 2 + 1 + 2 + 1 + 2 + 2 * 16
    run.cancel()
    await asyncio.wait([run])


async def test_the_report_counts_what_came_in_and_went_out() -> None:
    job = sf.Pipeline([1, 2, 3], merge([4, 5]), sf.collect())
    await job.run()

    row = job.stats().stages[1]
    assert (row.items_in, row.items_out, row.dropped) == (3, 5, 0)
    assert "merge(list)" in job.explain()


@pytest.mark.virtual_time
async def test_waiting_for_any_source_counts_as_waiting_for_input() -> None:
    """P9: a merge that waits is no bottleneck."""
    job = sf.Pipeline([1], merge(every(1, "a")), sf.collect())
    running = asyncio.create_task(job.run())
    await asyncio.sleep(1.5)
    row = job.stats().stages[1]
    await running

    assert row.waiting_for_input >= row.working or row.waiting_for_input > 0


# --- merge: endings --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing_first", [True, False])
async def test_an_error_comes_after_the_items_of_its_source(failing_first: bool) -> None:
    """E14."""
    failing, other = TrackedSource(["a0", "a1"], error=Broken()), TrackedSource(itertools.repeat("b"), delay=0)
    got: list[str] = []

    with pytest.raises(Broken):
        await sf.pipeline(merge(*((failing, other) if failing_first else (other, failing))), sf.for_each(got.append))

    assert [item for item in got if item != "b"] == ["a0", "a1"]
    failing.verify()
    other.verify()


async def test_of_two_errors_the_first_one_is_raised_and_the_second_told_on_it() -> None:
    """P4."""
    sources = [TrackedSource([1], error=Broken(name)) for name in ("first", "second")]

    with pytest.raises(Broken, match="first") as caught:
        await sf.pipeline(merge(*sources), sf.drain())

    assert any("Broken: second" in note for note in caught.value.__notes__)


async def test_an_error_of_the_input_closes_the_further_sources() -> None:
    other = TrackedSource(itertools.count(), delay=0)

    with pytest.raises(Broken):
        await sf.pipeline(TrackedSource([1], error=Broken()), merge(other), sf.drain())

    other.verify()


async def test_an_error_of_a_further_source_closes_the_input() -> None:
    source = TrackedSource(itertools.count(), delay=0)

    with pytest.raises(Broken):
        await sf.pipeline(source, merge(TrackedSource([1], error=Broken())), sf.drain())

    source.verify()


@pytest.mark.virtual_time
async def test_the_sources_are_closed_side_by_side() -> None:
    """Ten that take a second each take one second, not ten."""

    async def slow_to_close() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            await asyncio.sleep(1)

    await sf.pipeline(merge(*(slow_to_close() for _ in range(10))), sf.take(1), sf.drain())

    assert asyncio.get_running_loop().time() == 1


async def test_a_source_that_ends_in_a_stray_cancellation_is_an_error() -> None:
    """P4: never a silent end."""

    async def stray() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    with pytest.raises(sf.StageCancelled):
        await sf.pipeline(merge(stray, [2]), sf.drain())


async def test_a_run_whose_sources_have_ended_is_left_by_nobody() -> None:
    """C7."""
    assert await sf.pipeline([], merge([], numbered("a", 0)), sf.collect()) == []


# --- race ------------------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_race_emits_the_source_that_answers_first_and_closes_the_others_at_once() -> None:
    trace = Trace()
    loser = TrackedSource(itertools.count(), delay=3)

    async def losing() -> AsyncIterator[str]:
        try:
            await asyncio.sleep(2)
            yield "late"
        finally:
            trace("closed")

    assert await sf.pipeline(race(losing, every(1, "a"), loser), sf.collect()) == ["a0", "a1", "a2", "a3"]
    assert trace.times == [1]
    loser.verify()
    assert loser.taken == 0


@pytest.mark.virtual_time
async def test_race_the_input_may_lose() -> None:
    source = TrackedSource(itertools.count(), delay=2)

    assert await sf.stream(source).race(every(1, "a", 2)).collect() == ["a0", "a1"]
    source.verify()


@pytest.mark.virtual_time
async def test_race_a_slow_end_of_a_loser_does_not_hold_up_the_first_item() -> None:
    trace = Trace()

    async def clinging() -> AsyncIterator[str]:
        try:
            await asyncio.Event().wait()
            yield "never"
        finally:
            await asyncio.sleep(5)
            trace("closed")

    await sf.pipeline(race(every(1, "a", 2), clinging), sf.for_each(trace))

    assert list(zip(trace.times, trace.events, strict=True)) == [(1, "a0"), (2, "a1"), (6, "closed")]


@pytest.mark.virtual_time
async def test_race_an_end_and_an_error_are_answers_too() -> None:
    async def fails_at_once() -> AsyncIterator[str]:
        raise Broken
        yield ""

    assert await sf.pipeline(race(silent, numbered("a", 0)), sf.collect()) == []
    with pytest.raises(Broken):
        await sf.pipeline(race(silent, fails_at_once), sf.collect())


@pytest.mark.virtual_time
async def test_race_a_loser_that_fails_later_is_of_no_account() -> None:
    async def fails_later() -> AsyncIterator[str]:
        await asyncio.sleep(1)
        raise Broken
        yield ""

    assert await sf.pipeline(race(every(1, "a", 2), fails_later), sf.collect()) == ["a0", "a1"]


async def test_race_of_two_that_are_ready_the_earlier_one_wins() -> None:
    assert await sf.pipeline(race(numbered("a"), numbered("b")), sf.collect()) == ["a0", "a1", "a2", "a3"]
    assert await sf.pipeline(race([1], [2]), sf.collect()) == [1]


# --- interleave -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 100])
async def test_interleave_has_a_fixed_order_whatever_the_sources_do(n: int) -> None:
    quick, slow = sf.stream(range(5)).map(str), TrackedSource("abcdefg", delay=0)

    got = await sf.pipeline(range(10, 13), interleave(quick, slow, n=n), sf.collect())

    rest = [iter([10, 11, 12]), iter("01234"), iter("abcdefg")]
    assert got == list(itertools.chain.from_iterable(itertools.islice(it, n) for _ in range(7) for it in rest))


@pytest.mark.virtual_time
async def test_interleave_waits_for_all_sources_at_once() -> None:
    trace = Trace()

    await sf.pipeline(interleave(every(2, "a", 2), every(2, "b", 2)), sf.for_each(trace))

    assert list(zip(trace.times, trace.events, strict=True)) == [(2, "a0"), (2, "b0"), (4, "a1"), (4, "b1")]


@pytest.mark.virtual_time
async def test_interleave_raises_an_error_at_the_turn_of_its_source() -> None:
    got: list[str] = []

    with pytest.raises(Broken):
        await sf.pipeline(interleave(every(5, "a", 2), TrackedSource([], error=Broken())), sf.for_each(got.append))

    assert got == ["a0"]


async def test_interleave_pulls_nothing_while_the_consumer_is_idle() -> None:
    """F20."""
    sources = [TrackedSource(itertools.count()) for _ in range(2)]

    async with aclosing(aiter(interleave(*sources))) as items:
        for number in range(1, 10):
            await anext(items)
            before = [source.taken for source in sources]
            await turns()
            assert [source.taken for source in sources] == before
            assert sum(before) <= number + 2


@pytest.mark.parametrize("n", [0, -1, 1.5, True, None])
def test_interleave_refuses_what_is_no_number_of_items(n: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"interleave\(n\)"):
        interleave([1], n=n)


# --- chain ------------------------------------------------------------------------------------------------------------


async def test_chain_opens_a_source_only_when_the_one_before_has_ended_and_been_closed() -> None:
    trace = Trace()

    async def source(name: str) -> AsyncIterator[str]:
        trace(f"open {name}")
        try:
            yield name
        finally:
            await asyncio.sleep(0)
            trace(f"close {name}")

    def plain(name: str) -> Iterator[str]:
        trace(f"open {name}")
        try:
            yield name
        finally:
            trace(f"close {name}")

    sources = [source("b"), plain("c"), sf.stream(source("d")).map(str)]
    assert await sf.pipeline(source("a"), chain(*sources), sf.collect()) == list("abcd")

    assert trace.events == [f"{what} {name}" for name in "abcd" for what in ("open", "close")]


async def test_chain_never_opens_what_it_does_not_reach() -> None:
    reached, unreached = TrackedSource([1, 2]), TrackedSource([3])

    assert await sf.pipeline(chain(reached, unreached), sf.take(2), sf.collect()) == [1, 2]
    with pytest.raises(Broken):
        await sf.pipeline(chain(TrackedSource([1], error=Broken()), unreached), sf.drain())

    assert unreached.opened == 0


async def test_chain_runs_a_bounded_number_of_items_ahead() -> None:
    source = TrackedSource(itertools.count())

    async with aclosing(aiter(chain(source))) as items:
        await anext(items)
        await turns(100)
        assert source.taken <= chain(source).holds_items


async def test_chain_waits_at_a_source_that_gives_nothing_for_a_while() -> None:
    gate = Gate()

    async def late() -> AsyncIterator[int]:
        await gate.passage()
        yield 2

    run = asyncio.create_task(sf.pipeline([1], chain(late), sf.collect()))
    await turns()
    assert not run.done()
    gate.open()

    assert await run == [1, 2]
