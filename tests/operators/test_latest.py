"""switch_map and with_latest_from: at which moment what comes out, in virtual time; what is stopped and dropped."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest

import streamflow as sf
from streamflow.engine import budget
from streamflow.operators.latest import switch_map, with_latest_from
from streamflow.testing import Outcome, SlowSink, StepLoop, Trace, TrackedSource, cancel_everywhere
from tests.operators.timelines import Timed, at, timeline

Events = list[tuple[float, Any]]


class Broken(Exception):
    """What the tests raise."""


async def search(word: str) -> list[str]:
    """Take a second."""
    await asyncio.sleep(1)
    return [word.upper()]


async def ticks(item: Any) -> AsyncIterator[Any]:
    """Give a pair each second, for ever."""
    for number in itertools.count(1):
        await asyncio.sleep(1)
        yield item, number


# --- switch_map: emits and completes -----------------------------------------------------------------------------

SWITCHED: dict[str, tuple[Any, Events, Timed]] = {
    "a slow call gives way": (search, [(0, "a"), (0.5, "ab"), (2, "abc")], [(1.5, "AB"), (3, "ABC")]),
    "a quick call does not": (search, [(0, "a"), (1.5, "b")], [(1, "A"), (2.5, "B")]),
    "of those that come at once the last": (search, [(1, "a"), (1, "b"), (1, "c")], [(2, "C")]),
    "nothing": (search, [], []),
    "an endless inner iterable gives way": (
        lambda item: ticks(item) if item else [],
        [(0, "a"), (2.5, "b"), (4, None)],
        [(1, ("a", 1)), (2, ("a", 2)), (3.5, ("b", 1))],
    ),
    "falsy items are data": (lambda item: [item, item], [(0, 0), (1, None), (2, "")],
        [(0, 0), (0, 0), (1, None), (1, None), (2, ""), (2, "")]),
    "the last inner iterable goes on to its end": (
        lambda item: sf.stream(ticks(item)).take(3), [(0, "a")], [(1, ("a", 1)), (2, ("a", 2)), (3, ("a", 3))]
    ),
    "an inner iterable that gives nothing": (
        lambda item: [] if item == "a" else [item], [(0, "a"), (1, "b")], [(1, "b")]
    ),
}  # fmt: skip


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", SWITCHED)
async def test_switch_map_emits_what_the_latest_item_gives(name: str) -> None:
    fn, events, expected = SWITCHED[name]

    assert await timeline(at(events), switch_map(fn)) == expected


def generator(item: Any) -> Iterator[Any]:
    yield item


async def async_generator(item: Any) -> AsyncIterator[Any]:
    yield item


async def coroutine(item: Any) -> list[Any]:
    return [item]


async def coroutine_of_an_async_generator(item: Any) -> AsyncIterator[Any]:
    return async_generator(item)


KINDS: dict[str, Callable[[Any], Any]] = {
    "list": lambda item: [item],
    "generator": generator,
    "async generator": async_generator,
    "coroutine function": coroutine,
    "coroutine function of an async generator": coroutine_of_an_async_generator,
    "lambda that gives a coroutine": lambda item: coroutine(item),  # noqa: PLW0108  # does not look like one
    "stream": lambda item: sf.stream([item]),
    "source": lambda item: sf.merge([item]),
    "tracked source": lambda item: TrackedSource([item], delay=0),
}


@pytest.mark.virtual_time
@pytest.mark.parametrize("kind", KINDS)
async def test_switch_map_takes_every_kind_of_function(kind: str) -> None:
    assert await timeline(at([(0, "a"), (1, None)]), switch_map(KINDS[kind])) == [(0, "a"), (1, None)]


@pytest.mark.parametrize("source", [["a"], TrackedSource(["a"])], ids=["sync", "async"])
async def test_switch_map_of_one_item_on_every_loop(source: Any) -> None:
    assert await sf.stream(source).through(switch_map(ticked)).collect() == [("a", 0), ("a", 1)]


async def ticked(item: Any) -> AsyncIterator[Any]:
    for number in range(2):
        await asyncio.sleep(0)
        yield item, number


async def test_switch_map_by_hand_closes_its_input_and_the_inner_iterable() -> None:
    source, inner = TrackedSource(["a"]), TrackedSource(itertools.count(), delay=0)
    async with aclosing(switch_map(lambda _: inner)(source)) as outs:  # type: ignore[type-var]  # an async generator
        async for out in outs:
            if out == 3:
                break

    source.verify()
    inner.verify()
    assert inner.closed == 1


# --- switch_map: the switch --------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_the_old_inner_iterable_is_closed_before_the_function_is_called_again() -> None:
    """And of the items that come while it is being closed only the last one counts."""
    trace = Trace()

    async def inner(item: Any) -> AsyncIterator[Any]:
        trace(f"open {item}")
        try:
            await asyncio.sleep(100)
            yield item
        finally:
            await asyncio.sleep(5)
            trace(f"closed {item}")

    out = await timeline(at([(0, "a"), (1, "b"), (2, "c"), (3, "d")]), switch_map(inner))

    assert out == [(106, "d")]
    assert trace.events == ["open a", "closed a", "open d", "closed d"]
    assert trace.times == [0, 6, 6, 111]


@pytest.mark.virtual_time
async def test_a_call_is_cancelled_by_the_next_item() -> None:
    trace = Trace()

    async def call(item: Any) -> list[Any]:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            trace(f"cancelled {item}")
            raise
        return [item]

    assert await timeline(at([(0, "a"), (4, "b")]), switch_map(call)) == [(14, "b")]
    assert (trace.events, trace.times) == (["cancelled a"], [4])


@pytest.mark.virtual_time
async def test_every_inner_iterable_is_closed_in_its_own_task() -> None:
    """P7."""
    inner = TrackedSource(range(100), delay=1)

    out = await timeline(at([(0, "a"), (2.5, "b"), (5, "c")]), switch_map(lambda _: inner), sf.take(5))

    assert out == [(1, 0), (2, 1), (3.5, 0), (4.5, 1), (6, 0)]
    assert (inner.opened, inner.closed) == (3, 3)
    inner.verify()


@pytest.mark.virtual_time
async def test_a_timeout_around_a_yield_of_an_inner_iterable_is_legal() -> None:
    """H32."""

    async def inner(item: Any) -> AsyncIterator[Any]:
        try:
            async with asyncio.timeout(2):
                for number in itertools.count():
                    yield item, number
        except TimeoutError:
            yield item, "late"

    out = await timeline(["a"], switch_map(inner), busy=1.0)

    assert [item for _, item in out] == [*(("a", number) for number in range(17)), ("a", "late")]


def test_what_is_emitted_at_the_moment_of_the_switch_reaches_a_consumer_that_waits() -> None:
    """Whatever the order of the steps of the loop: either it was not emitted, or it is delivered."""
    emitted: list[str] = []

    async def inner(item: str) -> AsyncIterator[str]:
        await asyncio.sleep(1)
        emitted.append(item)
        yield item

    for seed in range(60):
        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            out = runner.run(timeline(at([(0, "a"), (1, "b"), (2, "c")]), switch_map(inner)))
        assert [item for _, item in out] == emitted
        emitted.clear()


def test_what_was_kept_for_a_consumer_that_waited_is_out_of_date_at_the_next_switch() -> None:
    async def inner(item: str) -> AsyncIterator[tuple[str, int]]:
        await asyncio.sleep(1)
        for number in range(9):
            yield item, number

    for seed in range(60):
        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            out = runner.run(timeline(at([(0, "a"), (1, "b"), (1.5, "c")]), switch_map(inner), busy=50.0))
        assert len([item for _, item in out if item[0] != "c"]) <= 3  # at the consumer, before it, at the yield


@pytest.mark.virtual_time
async def test_a_busy_consumer_does_not_hold_the_input_back() -> None:
    """And what the old inner iterables had read ahead for it is dropped; what had been emitted is delivered."""
    called: list[int] = []

    def numbers(item: int) -> list[tuple[int, int]]:
        called.append(item)
        return [(item, number) for number in range(10)]

    source = TrackedSource(range(20), delay=1)
    out = await timeline(source, switch_map(numbers), busy=50.0)

    assert called == list(range(20))
    assert [item for _, item in out[:3]] == [(0, 0), (0, 1), (0, 2)]  # at the consumer, before it, at the yield
    assert [item for _, item in out[3:]] == [(19, number) for number in range(10)]


@pytest.mark.virtual_time
async def test_an_inner_iterable_is_held_back_by_a_busy_consumer() -> None:
    """P1."""
    inner = TrackedSource(itertools.count())
    run = asyncio.create_task(sf.pipeline([1], switch_map(lambda _: inner), SlowSink()))
    await asyncio.sleep(1)

    assert inner.taken <= 16 + 4
    run.cancel()
    await asyncio.wait([run])
    inner.verify()


@pytest.mark.virtual_time
async def test_what_switch_map_supersedes_is_counted_as_dropped() -> None:
    """P2."""
    job = sf.stream(at([(0, "a"), (0.5, "b"), (0.6, "c"), (5, "d")])).through(switch_map(search)).to(sf.collect())

    assert await job.run() == ["C", "D"]
    stage = job.report.stats.stages[1]
    assert (stage.items_in, stage.items_out, stage.dropped) == (4, 2, 2)
    assert job.report.stats.balanced


async def test_of_an_input_that_never_waits_only_a_few_items_are_called_for() -> None:
    """P8: neither the input nor the inner iterables keep the loop to themselves."""
    calls = 0

    def count(item: int) -> list[int]:
        nonlocal calls
        calls += 1
        return [item]

    out = await sf.stream(range(20_000)).through(switch_map(count)).collect()

    assert out[-1] == 19_999
    assert out == sorted(out)
    assert calls < 20_000


# --- switch_map: errors ------------------------------------------------------------------------------------------


async def fails_later(item: Any) -> list[Any]:
    await asyncio.sleep(1)
    raise Broken(item)


def fails(item: Any) -> list[Any]:
    raise Broken(item)


async def fails_after_two(item: Any) -> AsyncIterator[Any]:
    for number in range(2):
        yield item, number
        await asyncio.sleep(1)
    raise Broken(item)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("fn", "moment", "before"),
    [(fails, 1, []), (fails_later, 2, []), (fails_after_two, 3, [(1, ("a", 0)), (2, ("a", 1))])],
)
async def test_an_error_of_the_function_or_the_inner_iterable_ends_the_stream_at_once(
    fn: Any, moment: float, before: Timed
) -> None:
    """P3, P4: after the items before it, while the input goes on; it names the stage, the item and the function."""
    got: Timed = []

    with pytest.raises(Broken) as caught:
        await timeline(at([(1, "a"), (100, "b")]), switch_map(fn), got=got)

    assert got == before
    assert asyncio.get_running_loop().time() == moment
    notes = "\n".join(caught.value.__notes__)
    assert f"{fn.__name__!r}" in notes
    assert f"'switch_map', at item 1 (added at {__file__}:" in notes


@pytest.mark.virtual_time
async def test_an_error_of_the_input_comes_after_what_the_inner_iterable_emitted_before_it() -> None:
    got: Timed = []
    inner = TrackedSource(itertools.count(), delay=1)

    with pytest.raises(Broken):
        await timeline(at([(0, "a")], ends=2.5, error=Broken()), switch_map(lambda _: inner), got=got)

    assert got == [(1, 0), (2, 1)]
    inner.verify()


@pytest.mark.virtual_time
async def test_an_error_of_the_input_comes_after_what_a_busy_consumer_has_not_taken_yet() -> None:
    got: Timed = []

    with pytest.raises(Broken):
        await timeline(at([(0, "a")], ends=2.5, error=Broken()), switch_map(lambda _: range(8)), got=got, busy=10.0)

    assert [item for _, item in got] == list(range(8))


@pytest.mark.virtual_time
async def test_an_error_of_an_inner_iterable_that_is_superseded_is_not_lost() -> None:
    """A busy consumer has not seen it; that is no reason to go on."""

    async def inner(item: Any) -> AsyncIterator[Any]:
        for number in range(8):
            yield item, number
        if item == "a":
            raise Broken

    with pytest.raises(Broken):
        await timeline(at([(0, "a"), (5, "b")], ends=1000), switch_map(inner), busy=10.0)

    assert asyncio.get_running_loop().time() < 1000


@pytest.mark.virtual_time
async def test_an_error_in_closing_the_old_inner_iterable_ends_the_stream() -> None:
    async def inner(item: Any) -> AsyncIterator[Any]:
        try:
            await asyncio.sleep(10)
            yield item
        finally:
            if item == "a":
                raise Broken

    with pytest.raises(Broken):
        await timeline(at([(0, "a"), (5, "b")]), switch_map(inner))


@pytest.mark.virtual_time
async def test_an_error_in_closing_the_last_inner_iterable_is_raised() -> None:
    async def inner(item: Any) -> AsyncIterator[Any]:
        try:
            for number in itertools.count():
                yield item, number
        finally:
            await asyncio.sleep(1)
            raise Broken

    with pytest.raises(Broken):
        await sf.stream(["a"]).through(switch_map(inner)).take(2).collect()


@pytest.mark.virtual_time
async def test_a_cancelled_error_out_of_the_function_is_an_error_and_no_end() -> None:
    """P4."""

    async def cancelled(_: Any) -> list[Any]:
        raise asyncio.CancelledError

    with pytest.raises(sf.StageCancelled):
        await sf.stream(["a"]).through(switch_map(cancelled)).collect()


async def test_what_is_no_iterable_is_the_users_error() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        await sf.stream([1]).through(switch_map(lambda number: number)).collect()  # type: ignore[type-var, arg-type, return-value]  # the mistake


def test_switch_map_refuses_what_cannot_be_called() -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match="switch_map needs a function"):
        switch_map(3)  # type: ignore[call-overload]  # the mistake


@pytest.mark.slow
def test_cancelled_after_every_step_switch_map_closes_every_inner_iterable() -> None:
    """P7, also while one is being closed slowly."""

    class Scenario:
        def __init__(self) -> None:
            self.opened = self.closed = 0

        async def inner(self, item: Any) -> AsyncIterator[Any]:
            self.opened += 1
            try:
                for number in itertools.count():
                    await asyncio.sleep(1)
                    yield item, number
            finally:
                await asyncio.sleep(1)
                self.closed += 1

        async def __call__(self) -> Timed:
            events = [(0, "a"), (1.5, "b"), (2, "c")]
            return await timeline(at(events), switch_map(self.inner), sf.take(4), busy=0.7)

    def check(state: Scenario, outcome: Outcome) -> None:
        assert state.opened == state.closed
        assert outcome.ended in {"returned", "cancelled"}

    cancel_everywhere(Scenario, check)


# --- with_latest_from --------------------------------------------------------------------------------------------

COMBINED: dict[str, tuple[Events, list[Events], Timed]] = {
    "the latest of one": ([(1, "a"), (3, "b"), (4, "c")], [[(0, 0), (2, 2), (2.5, 3)]],
        [(1, ("a", 0)), (3, ("b", 3)), (4, ("c", 3))]),
    "before each has had one they are dropped": ([(1, "a"), (2, "b"), (4, "c")], [[(0, 0)], [(3, 3)]],
        [(4, ("c", 0, 3))]),
    "falsy items are data": ([(1, None), (2, 0)], [[(0, None)], [(0, ""), (1.5, False)]],
        [(1, (None, None, "")), (2, (0, None, False))]),
    "one that never has any": ([(1, "a")], [[(0, 0)], []], []),
    "no input": ([], [[(0, 0)]], []),
    "one that has ended keeps its last": ([(9, "a"), (99, "b")], [[(0, 0), (1, 1)]], [(9, ("a", 1)), (99, ("b", 1))]),
}  # fmt: skip


@pytest.mark.virtual_time
@pytest.mark.parametrize("name", COMBINED)
async def test_with_latest_from_emits_for_each_item_of_the_input(name: str) -> None:
    events, others, expected = COMBINED[name]

    assert await timeline(at(events), with_latest_from(*map(at, others))) == expected


@pytest.mark.virtual_time
async def test_the_others_are_read_to_the_latest_however_much_comes() -> None:
    """No channel fills up with what is old."""
    other = TrackedSource(itertools.count(), delay=0.01)

    out = await timeline(at([(1.005, "a"), (9.505, "b")]), with_latest_from(other))

    assert [item for _, item in out] == [("a", 99), ("b", 949)]


@pytest.mark.virtual_time
async def test_the_others_are_read_on_while_the_consumer_is_busy() -> None:
    """A tuple is made when there is room for it, with what is the latest then."""
    out = await timeline(
        at([(1.5, number) for number in range(6)]), with_latest_from(sf.interval(1.0)), sf.buffer(1), busy=100.0
    )

    assert [item for _, (item, _) in out] == list(range(6))
    assert [latest for _, (_, latest) in out] == [1, 1, 1, 101, 201, 301]  # two were made for channels that were empty


@pytest.mark.virtual_time
async def test_the_others_are_closed_when_the_input_ends() -> None:
    """P7."""
    others = [TrackedSource(itertools.count(), delay=1) for _ in range(3)]

    await timeline(at([(2, "a")]), with_latest_from(*others))

    assert [other.closed for other in others] == [1, 1, 1]
    for other in others:
        other.verify()


@pytest.mark.virtual_time
@pytest.mark.parametrize("busy", [0.0, 10.0])
async def test_an_error_of_an_other_ends_the_stream_at_once(busy: float) -> None:
    got: Timed = []
    source, other = TrackedSource(range(100), delay=1), TrackedSource(itertools.count(), delay=1)

    with pytest.raises(Broken) as caught:
        await timeline(source, with_latest_from(other, at([(0, 0)], ends=5.5, error=Broken())), got=got, busy=busy)

    assert asyncio.get_running_loop().time() <= 5.5 + busy * 4
    assert "source 2 of with_latest_from" in "\n".join(caught.value.__notes__)
    assert len(got) < 10
    source.verify()
    other.verify()


@pytest.mark.virtual_time
async def test_an_error_of_an_other_does_not_wait_for_an_input_that_is_far_ahead() -> None:
    other = at([(0, 0)], ends=25, error=Broken())

    with pytest.raises(Broken):
        await timeline(sf.stream(range(500)), with_latest_from(other), sf.buffer(1), busy=10.0)

    assert asyncio.get_running_loop().time() <= 25 + 3 * 10


@pytest.mark.virtual_time
async def test_an_error_of_the_input_comes_after_the_tuples_before_it() -> None:
    got: Timed = []

    with pytest.raises(Broken):
        await timeline(at([(1, "a"), (2, "b")], ends=2, error=Broken()), with_latest_from([0]), got=got, busy=5.0)

    assert [item for _, item in got] == [("a", 0), ("b", 0)]


@pytest.mark.virtual_time
async def test_what_comes_before_the_others_have_had_one_is_counted_as_dropped() -> None:
    """P2."""
    job = sf.stream(at([(1, 1), (2, 2), (3, 3)])).through(with_latest_from(at([(2.5, 0)]))).to(sf.collect())

    assert await job.run() == [(3, 0)]
    stage = job.report.stats.stages[1]
    assert (stage.items_in, stage.items_out, stage.dropped) == (3, 1, 2)


AT_ONCE: dict[str, Callable[[], Any]] = {
    "list": lambda: ["x", "y"],
    "another collection": lambda: {"x": 1, "y": 2},
    "iterator": lambda: iter(["x", "y"]),
    "stream": lambda: sf.stream(["x", "y"]),
    "async iterable": lambda: TrackedSource(["y"]),
    "stream of one": lambda: sf.stream(TrackedSource(["y"])),
    "fused stream": lambda: sf.stream(TrackedSource(["Y"])).map(str.lower),
}


@pytest.mark.parametrize("kind", AT_ONCE)
async def test_what_another_source_has_at_once_is_heard_before_the_input(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "perf_counter", lambda: 0.0)  # else a busy machine may hear it in two turns
    out = await sf.stream(range(3)).through(with_latest_from(AT_ONCE[kind]())).collect()

    assert out == [(0, "y"), (1, "y"), (2, "y")]


def test_that_does_not_depend_on_the_order_of_steps() -> None:
    for seed in range(30):

        async def main() -> list[Any]:
            other = sf.stream(TrackedSource(["Y"])).map(str.lower)
            return await sf.stream(range(3)).through(with_latest_from(other)).collect()

        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            assert runner.run(main()) == [(0, "y"), (1, "y"), (2, "y")]


async def test_another_source_that_never_waits_is_no_trouble() -> None:
    """P8."""
    out = await sf.stream(TrackedSource(range(5), delay=0)).through(with_latest_from(itertools.count())).collect()

    assert [item for item, _ in out] == [0, 1, 2, 3, 4]


async def test_with_latest_from_can_be_run_again() -> None:
    flow = sf.stream([1, 2]).through(with_latest_from([3], sf.stream([4])))

    assert await flow.collect() == await flow.collect() == [(1, 3, 4), (2, 3, 4)]


@pytest.mark.parametrize("wrong", [3, "text", sf.map(str)])
def test_with_latest_from_refuses_what_is_no_source(wrong: Any) -> None:
    """P10."""
    with pytest.raises(sf.UsageError):
        with_latest_from(wrong)


def test_with_latest_from_needs_another_source() -> None:
    with pytest.raises(sf.UsageError, match=r"with_latest_from\(\) needs another source"):
        with_latest_from()


@pytest.mark.slow
def test_cancelled_after_every_step_with_latest_from_closes_the_others() -> None:
    """P7."""

    class Scenario:
        def __init__(self) -> None:
            self.others = [TrackedSource(range(9), delay=0.5), TrackedSource([1], delay=1)]

        async def __call__(self) -> Timed:
            return await timeline(at([(1, "a"), (2, "b")]), with_latest_from(*self.others), busy=0.7)

    def check(state: Scenario, outcome: Outcome) -> None:
        for other in state.others:
            other.verify()
        assert outcome.ended in {"returned", "cancelled"}

    cancel_everywhere(Scenario, check)
