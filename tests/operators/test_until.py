"""take_until and skip_until: which items are before the sign and which after it, in virtual time; what is closed."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import anyio
import pytest

import streamflow as sf
from streamflow.operators.until import skip_until, take_until
from streamflow.testing import Outcome, StepLoop, TrackedSource, cancel_everywhere
from tests.operators.timelines import Timed, at, timeline

Events = list[tuple[float, Any]]

FIVE: Events = [(1, "a"), (2, None), (3, 0), (4, ""), (5, "e")]


class Broken(Exception):
    """What the tests raise."""


def set_at(moment: float) -> asyncio.Event:
    """Return an event that is set at a moment."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_at(moment, event.set)
    return event


def anyio_set_at(moment: float) -> anyio.Event:
    """Return one of anyio's."""
    event = anyio.Event()
    asyncio.get_running_loop().call_at(moment, event.set)
    return event


SIGNS: dict[str, Callable[[float], Any]] = {
    "async generator": lambda moment: at([(moment, None)], ends=99),
    "async iterable": lambda moment: TrackedSource([0, 1], delay=moment),
    "stream": lambda moment: sf.stream(TrackedSource(range(9), delay=moment / 3)).filter(lambda n: n >= 2),
    "asyncio event": set_at,
    "anyio event": anyio_set_at,
}


# --- before and after the sign -----------------------------------------------------------------------------------


@pytest.mark.virtual_time
@pytest.mark.parametrize("kind", SIGNS)
@pytest.mark.parametrize(("moment", "before"), [(0.5, 0), (1.5, 1), (3.5, 3), (6, 5)])
async def test_the_sign_divides_the_stream(kind: str, moment: float, before: int) -> None:
    taken = await timeline(at(FIVE, ends=50), take_until(SIGNS[kind](moment)))
    now = asyncio.get_running_loop().time()

    assert taken == FIVE[:before]
    assert now == pytest.approx(moment)


@pytest.mark.virtual_time
@pytest.mark.parametrize("kind", SIGNS)
@pytest.mark.parametrize(("moment", "before"), [(0.5, 0), (1.5, 1), (3.5, 3), (6, 5)])
async def test_what_comes_after_the_sign_is_not_skipped(kind: str, moment: float, before: int) -> None:
    skipped = await timeline(at(FIVE), skip_until(SIGNS[kind](moment)))

    assert skipped == FIVE[before:]


@pytest.mark.parametrize("kind", ["async generator", "async iterable", "asyncio event"])
@pytest.mark.parametrize("late", [False, True])
def test_an_item_at_the_very_moment_of_the_sign_is_before_it_whoever_was_first(kind: str, late: bool) -> None:
    for seed in range(30):

        async def main() -> tuple[Timed, Timed]:
            now = asyncio.get_running_loop().time()
            events = [(now + moment, item) for moment, item in [(2, "a"), (4, "b"), (6, "c")]]
            sign = SIGNS[kind](4.0)
            taken = await timeline(_set_late(events) if late else at(events), take_until(sign))
            begin = asyncio.get_running_loop().time()
            events = [(begin + moment, item) for moment, item in [(2, "a"), (4, "b"), (6, "c")]]
            sign = SIGNS[kind](begin + 4.0) if kind != "async iterable" else SIGNS[kind](4.0)
            skipped = await timeline(_set_late(events) if late else at(events), skip_until(sign))
            return taken, skipped

        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            taken, skipped = runner.run(main())
        assert [item for _, item in taken] == ["a", "b"]
        assert [item for _, item in skipped] == ["c"]


async def _set_late(events: Events) -> AsyncIterator[Any]:
    """Emit each at its moment, but set the timer a second before it only."""
    time = asyncio.get_running_loop().time
    for moment, item in events:
        await asyncio.sleep(max(0.0, moment - 1 - time()))
        await asyncio.sleep(moment - time())
        yield item


def already_set(event: Any) -> Any:
    event.set()
    return event


GIVEN: dict[str, Callable[[], Any]] = {
    "list": lambda: [0],
    "iterator": lambda: iter([None]),
    "generator function": lambda: sf.range(3),
    "asyncio event": lambda: already_set(asyncio.Event()),
    "anyio event": lambda: already_set(anyio.Event()),
}


@pytest.mark.parametrize("kind", GIVEN)
async def test_a_sign_that_was_given_before(kind: str) -> None:
    source = TrackedSource(range(5))

    assert await sf.stream(source).through(take_until(GIVEN[kind]())).collect() == []
    assert await sf.stream(range(5)).through(skip_until(GIVEN[kind]())).collect() == [0, 1, 2, 3, 4]
    source.verify()


@pytest.mark.parametrize("other", [[], sf.stream([]), TrackedSource([]), sf.stream([1]).filter(lambda _: False)])
async def test_a_source_that_ends_without_an_item_is_no_sign(other: Any) -> None:
    assert await sf.stream(range(5)).through(take_until(other)).collect() == [0, 1, 2, 3, 4]
    assert await sf.stream(TrackedSource(range(5), delay=0)).through(skip_until(other)).collect() == []


@pytest.mark.virtual_time
async def test_the_sign_is_noted_while_the_stage_below_is_busy() -> None:
    """What waits above is discarded and counted, as with take."""
    source = TrackedSource(range(1000))
    job = sf.stream(source).buffer(1).through(take_until(set_at(25.0))).to(slow, maxsize=1)

    out = await job.run()

    assert out == [0, 1, 2, 3, 4]  # three until the sign; one waited for the consumer, and one at the yield
    assert source.taken <= 8
    assert job.report.stats.balanced
    source.verify()


@pytest.mark.virtual_time
async def test_what_waits_above_does_not_pass_however_much_it_is() -> None:
    job = sf.stream(TrackedSource(range(500))).through(take_until(set_at(25.0))).buffer(1).to(slow)

    assert await job.run() == [0, 1, 2, 3, 4]
    assert job.report.stats.balanced


async def slow(items: Any) -> list[Any]:
    got = []
    async for item in items:
        got.append(item)
        await asyncio.sleep(10)
    return got


@pytest.mark.virtual_time
async def test_what_stands_below_is_finished_as_at_any_end() -> None:
    """A graceful end: the last batch is emitted and the sink commits."""
    source = TrackedSource(itertools.count(), delay=1)

    out = await timeline(source, take_until(set_at(5.5)), sf.batched(3))

    assert out == [(3, (0, 1, 2)), (5.5, (3, 4))]
    source.verify()


@pytest.mark.virtual_time
async def test_one_event_stops_several_streams_and_can_be_run_again() -> None:
    shutdown = set_at(2.5)
    flow = sf.stream(sf.interval(1.0)).through(take_until(shutdown))

    assert await asyncio.gather(flow.collect(), flow.collect()) == [[0, 1, 2], [0, 1, 2]]
    assert await flow.collect() == []


@pytest.mark.virtual_time
async def test_exactly_one_item_of_the_other_source_is_pulled() -> None:
    """It may be a channel whose items are somebody else's, too."""
    others = [TrackedSource(itertools.count(), delay=1) for _ in range(2)]
    channel: sf.Channel[int] = sf.Channel(9)
    await channel.put_many([1, 2, 3])

    await timeline(at(FIVE), take_until(others[0]), busy=3.0)
    await timeline(at(FIVE), skip_until(others[1]), busy=3.0)
    await timeline(at([(99, "a")]), take_until(channel), busy=3.0)

    assert [other.taken for other in others] == [1, 1]
    assert channel.qsize() == 2


@pytest.mark.virtual_time
async def test_skip_until_closes_the_other_source_when_it_has_given_the_sign() -> None:
    other = TrackedSource(itertools.count(), delay=1.5)
    closed: list[int] = []

    await timeline(at(FIVE), skip_until(other), sf.tap(lambda _: closed.append(other.closed)))

    assert closed == [1, 1, 1, 1]
    other.verify()


@pytest.mark.virtual_time
async def test_skip_until_takes_the_input_meanwhile_and_counts_what_it_drops() -> None:
    """P2."""
    source = TrackedSource(range(5000), delay=0.001)
    job = sf.stream(source).through(skip_until(set_at(4.9995))).to(sf.collect(), maxsize=2)

    assert await job.run() == [4999]
    stage = job.report.stats.stages[1]
    assert (stage.items_in, stage.items_out, stage.dropped) == (5000, 1, 4999)


async def test_an_input_that_never_waits_does_not_hide_the_sign() -> None:
    """P8, on real time."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, event.set)

    taken = await sf.stream(itertools.count()).through(take_until(event)).count()
    event.clear()
    asyncio.get_running_loop().call_later(0.01, event.set)
    skipped = await sf.stream(itertools.count()).through(skip_until(event)).first()

    assert taken > 0
    assert skipped > 0


# --- endings -----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@pytest.mark.parametrize("operator", [take_until, skip_until])
async def test_the_other_source_is_closed_at_the_end_of_the_input(operator: Any) -> None:
    """P7."""
    other = TrackedSource([1], delay=1000)

    await timeline(at(FIVE), operator(other))

    assert asyncio.get_running_loop().time() == 5
    assert (other.opened, other.closed) == (1, 1)
    other.verify()


@pytest.mark.virtual_time
async def test_both_are_closed_on_an_early_stop() -> None:
    source, other = TrackedSource(itertools.count(), delay=1), TrackedSource([1], delay=1000)

    assert await sf.stream(source).through(take_until(other)).take(2).collect() == [0, 1]

    source.verify()
    other.verify()
    assert other.closed == 1


@pytest.mark.virtual_time
@pytest.mark.parametrize("operator", [take_until, skip_until])
@pytest.mark.parametrize("busy", [0.0, 3.0])
async def test_an_error_of_the_other_source_before_its_first_item_is_raised_at_once(operator: Any, busy: float) -> None:
    source = TrackedSource(itertools.count(), delay=1)

    with pytest.raises(Broken) as caught:
        await timeline(source, operator(at([], ends=2.5, error=Broken())), busy=busy)

    assert asyncio.get_running_loop().time() <= 2.5 + 4 * busy
    assert f"source 1 of {operator.__name__}" in "\n".join(caught.value.__notes__)
    source.verify()


@pytest.mark.virtual_time
@pytest.mark.parametrize("operator", [take_until, skip_until])
async def test_an_error_of_a_plain_iterable_is_raised(operator: Any) -> None:
    def broken() -> Any:
        raise Broken
        yield

    with pytest.raises(Broken):
        await timeline(at(FIVE), operator(broken))


@pytest.mark.virtual_time
async def test_an_error_of_the_input_comes_after_the_items_before_it() -> None:
    got: Timed = []
    other = TrackedSource([1], delay=1000)

    with pytest.raises(Broken):
        await timeline(at(FIVE, ends=5, error=Broken()), take_until(other), got=got, busy=3.0)

    assert [item for _, item in got] == ["a", None, 0, "", "e"]
    other.verify()


@pytest.mark.virtual_time
async def test_an_error_in_closing_the_other_source_is_raised() -> None:
    async def other() -> AsyncIterator[int]:
        try:
            await asyncio.sleep(2)
            yield 1
        finally:
            raise Broken

    with pytest.raises(Broken):
        await timeline(at(FIVE), take_until(other))


@pytest.mark.parametrize("operator", [take_until, skip_until])
async def test_by_hand_both_are_closed(operator: Any) -> None:
    source, other = TrackedSource(range(9), delay=0), TrackedSource([1, 2])
    async with aclosing(operator(other)(source)) as outs:
        async for _ in outs:
            break

    source.verify()
    other.verify()
    assert source.closed == other.closed == 1


@pytest.mark.parametrize("operator", [take_until, skip_until])
@pytest.mark.parametrize("wrong", [None, 3, "text", asyncio.sleep, sf.map(str)])
def test_what_can_give_no_sign_is_refused(operator: Any, wrong: Any) -> None:
    """P10."""
    with pytest.raises(sf.UsageError) as caught:
        operator(wrong)
    assert operator.__name__ in "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


async def test_an_awaitable_is_refused_with_what_to_write() -> None:
    """P10: a future is an iterable, too; it would give itself at once, and look like a sign."""
    future = asyncio.get_running_loop().create_future()
    for awaitable in (future, asyncio.sleep(1)):
        with pytest.raises(sf.UsageError, match=r"is an awaitable\. Write an async generator function"):
            take_until(awaitable)  # type: ignore[arg-type]  # the mistake


def test_a_threads_event_is_refused_with_what_to_write() -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=r"Give an asyncio\.Event"):
        skip_until(threading.Event())  # type: ignore[arg-type]  # the mistake


@pytest.mark.slow
@pytest.mark.parametrize("operator", [take_until, skip_until])
def test_cancelled_after_every_step_both_are_closed(operator: Any) -> None:
    """P7."""

    class Scenario:
        def __init__(self) -> None:
            self.sources = [TrackedSource(range(4), delay=1), TrackedSource([1, 2], delay=2.5)]

        async def __call__(self) -> Timed:
            return await timeline(self.sources[0], operator(self.sources[1]), busy=0.7)

    def check(state: Scenario, outcome: Outcome) -> None:
        for source in state.sources:
            source.verify()
        assert outcome.ended in {"returned", "cancelled"}

    cancel_everywhere(Scenario, check)
