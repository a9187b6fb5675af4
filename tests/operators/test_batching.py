"""batched by count, weight and time, in virtual time; what waits; bytes in pieces. Nothing empty, nothing lost."""

from __future__ import annotations

import array
import asyncio
import itertools
import operator
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.operators.batching import batch_waiting, batched, rechunk, unbatch
from streamflow.testing import Outcome, SlowSink, StepLoop, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


async def at(moments: Iterable[float]) -> AsyncIterator[float]:
    """Emit each moment, in seconds of the loop's clock, when it has come."""
    for moment in moments:
        await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))
        yield moment


async def timed(flow: sf.Stream[tuple[float, ...]]) -> list[tuple[float, tuple[float, ...]]]:
    """Return the batches with the moments at which they came out."""
    out: list[tuple[float, tuple[float, ...]]] = []
    now = asyncio.get_running_loop().time
    await flow.for_each(lambda batch: out.append((round(now(), 6), batch)))
    return out


withins = pytest.mark.parametrize("within", [None, 60.0], ids=["count only", "count and time"])
sources = pytest.mark.parametrize("later", [False, True], ids=["sync source", "async source"])


# --- by count ----------------------------------------------------------------------------------------------------


@withins
@sources
@pytest.mark.parametrize("n", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("count", [0, 1, 6, 7])
async def test_batches_have_n_items_and_the_last_one_the_rest(
    n: int, count: int, within: float | None, later: bool
) -> None:
    """C9: the last partial group is emitted at the end, and never an empty one."""
    source: Any = TrackedSource(range(count)) if later else range(count)
    expected = [tuple(range(at, min(at + n, count))) for at in range(0, count, n)]

    assert await sf.stream(source).batched(n, within=within).collect() == expected


@withins
async def test_falsy_items_are_data(within: float | None) -> None:
    """E7."""
    falsy = [0, "", None, False, []]

    assert await sf.stream(falsy).batched(2, within=within).collect() == [(0, ""), (None, False), ([],)]


@withins
async def test_it_works_by_hand_on_a_plain_generator(within: float | None) -> None:
    source = TrackedSource(range(5))

    assert [batch async for batch in sf.batched(2, within=within)(source)] == [(0, 1), (2, 3), (4,)]
    source.verify()


# --- by time -----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_the_clock_starts_with_the_first_item_of_a_batch() -> None:
    flow = sf.stream(at([10.0, 10.5, 20.0])).batched(99, within=1.0)

    assert await timed(flow) == [(11.0, (10.0, 10.5)), (20.0, (20.0,))]


@pytest.mark.virtual_time
async def test_the_clock_starts_anew_after_the_count_limit_fired() -> None:
    """C9: the second batch has its full second, not what the first one left of its own."""
    flow = sf.stream(at([0.0, 0.9, 0.95, 1.5, 9.0])).batched(2, within=1.0)

    assert await timed(flow) == [(0.9, (0.0, 0.9)), (1.5, (0.95, 1.5)), (9.0, (9.0,))]


@pytest.mark.virtual_time
async def test_a_silent_source_gives_no_empty_batches() -> None:
    flow = sf.stream(at([1.0, 1000.0])).batched(5, within=0.25)

    assert await timed(flow) == [(1.25, (1.0,)), (1000.0, (1000.0,))]


@pytest.mark.virtual_time
async def test_a_source_that_is_never_silent_does_not_stretch_the_time() -> None:
    """An item is always there when it is asked for: the clock is looked at all the same."""

    async def busy() -> AsyncIterator[int]:
        loop: Any = asyncio.get_running_loop()
        for number in itertools.count():
            loop._now += 0.001  # the clock of the StepLoop: time passes, and nobody waits
            yield number

    run = sf.stream(busy()).batched(10**6, within=0.1).take(3).to(sf.collect(), maxsize=4)

    assert [len(batch) for batch in await run.run()] == pytest.approx([100, 100, 100], abs=10)


@pytest.mark.virtual_time
async def test_a_batch_may_come_while_the_stage_below_is_busy() -> None:
    """Backpressures when the stage below does: what waits meanwhile is in the next batches."""

    async def slow(batch: tuple[float, ...]) -> tuple[float, ...]:
        await asyncio.sleep(10)
        return batch

    moments = [0.1 * number for number in range(100)]
    batches = await sf.pipeline(at(moments), sf.batched(8, within=1.0), sf.map(slow), sf.collect(), maxsize=2)

    assert [moment for batch in batches for moment in batch] == moments
    assert all(0 < len(batch) <= 8 for batch in batches)


@pytest.mark.parametrize("delay", [0.0, 0.25, 0.999, 1.0, 1.001])
def test_no_item_is_lost_when_the_time_is_over_just_as_one_comes(delay: float) -> None:
    """H37: for every order of the loop's steps."""

    async def scenario() -> list[tuple[int, ...]]:
        return await sf.stream(TrackedSource(range(12), delay=delay)).batched(4, within=1.0).collect()

    for seed in range(40):
        with asyncio.Runner(loop_factory=lambda seed=seed: StepLoop(seed=seed)) as runner:
            batches = runner.run(scenario())

        assert [number for batch in batches for number in batch] == list(range(12))
        assert all(batches)


@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, 1.1]), max_size=30),
    st.integers(1, 5),
    st.sampled_from([0.1, 0.5, 1.0]),
)
def test_however_the_items_come_none_is_lost_and_no_batch_is_late_or_too_large(
    pauses: list[float], n: int, within: float
) -> None:
    """C9, as a law."""
    moments = list(itertools.accumulate(pauses))
    with asyncio.Runner(loop_factory=StepLoop) as runner:
        out = runner.run(_timed(moments, n, within))

    assert [moment for _, batch in out for moment in batch] == moments
    assert all(0 < len(batch) <= n for _, batch in out)
    assert all(came <= batch[0] + within + 1e-6 for came, batch in out)


async def _timed(moments: list[float], n: int, within: float) -> list[tuple[float, tuple[float, ...]]]:
    return await timed(sf.stream(at(moments)).batched(n, within=within))


class _Run:
    """Batches under a consumer that keeps them, to cancel at every step."""

    def __init__(self) -> None:
        self.source = TrackedSource(range(7), delay=0.3)
        self.got: list[int] = []

    async def __call__(self) -> None:
        async with sf.stream(self.source).batched(3, within=0.5).open() as batches:
            async for batch in batches:
                self.got += batch


def test_cancelled_at_any_step_it_leaves_nothing_and_doubles_nothing() -> None:
    """P7."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        assert run.got == list(range(7))[: len(run.got)]
        assert outcome.ended != "returned" or len(run.got) == 7

    assert cancel_everywhere(_Run, check, stride=2) > 50


@pytest.mark.virtual_time
async def test_the_consumers_own_timeouts_lose_nothing() -> None:
    """H37: a wait that is cut off at the consumer is taken up again."""
    got: list[tuple[int, ...]] = []
    async with sf.stream(TrackedSource(range(7), delay=0.3)).batched(2, within=0.5).open() as batches:
        while len(got) < 4:
            try:
                async with asyncio.timeout(0.07):
                    got.append(await anext(batches))
            except TimeoutError:
                continue

    assert got == [(0, 1), (2, 3), (4, 5), (6,)]


@pytest.mark.virtual_time
async def test_a_timeout_error_of_the_input_is_no_clock_of_ours() -> None:
    source = TrackedSource([1, 2], delay=0.1, error=TimeoutError("the database"))

    with pytest.raises(TimeoutError, match="the database"):
        await sf.stream(source).batched(9, within=1.0).run()


# --- the other endings -------------------------------------------------------------------------------------------


@withins
@sources
async def test_an_error_comes_after_the_full_batches_and_drops_the_partial_one(
    within: float | None, later: bool
) -> None:
    got: list[tuple[int, ...]] = []

    def broken() -> Any:
        yield from range(5)
        raise Broken

    source: Any = TrackedSource(range(5), error=Broken()) if later else broken()
    with pytest.raises(Broken):
        await sf.stream(source).batched(2, within=within).for_each(got.append)

    assert got == [(0, 1), (2, 3)]


@withins
async def test_an_early_stop_closes_the_source(within: float | None) -> None:
    source = TrackedSource(itertools.count(), delay=0)

    assert await sf.stream(source).batched(2, within=within).first() == (0, 1)
    source.verify()


@pytest.mark.virtual_time
@withins
async def test_a_sink_that_asks_for_nothing_stops_the_source(within: float | None) -> None:
    """F1: one partial batch, what the channels hold, and the hands."""
    source = TrackedSource(itertools.count())
    run = asyncio.create_task(sf.pipeline(source, sf.batched(3, within=within), SlowSink(), maxsize=2))
    await asyncio.sleep(100)

    assert source.taken <= 1 + 2 + 3 + 3 * (2 + 1)
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2", float("inf")])
def test_a_count_that_cannot_mean_anything_is_refused(n: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"batched\(n\) must be a whole number"):
        sf.batched(n)


@pytest.mark.parametrize("within", [0, -1, True, "2", float("inf"), float("nan")])
def test_a_time_that_cannot_mean_anything_is_refused(within: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"batched\(within\) must be a number above 0"):
        sf.batched(1, within=within)


def test_the_stage_says_what_it_may_hold() -> None:
    assert (sf.batched(5).name, sf.batched(5).holds_items) == ("batched(5)", 5)
    assert sf.batched(5, within=0.25).name == "batched(5, within=0.25)"


def test_a_batch_without_a_limit_is_refused() -> None:
    """P1: a time alone is none."""
    for arguments in ({}, {"within": 1.0}):
        with pytest.raises(sf.UsageError, match=r"batched\(\) needs a limit: batched\(500\) by count"):
            batched(**arguments)
    with pytest.raises(sf.UsageError, match="has no effect without max_weight="):
        batched(5, weight=len)
    with pytest.raises(sf.UsageError, match=r"batched\(max_weight\) must be a number above 0"):
        batched(max_weight=0)
    with pytest.raises(sf.UsageError, match=r"batched\(weight\) needs a function"):
        batched(max_weight=1, weight=3)


# --- by weight ---------------------------------------------------------------------------------------------------

clocks = pytest.mark.parametrize("within", [None, 60.0], ids=["no clock", "a clock"])


@clocks
@sources
async def test_an_item_that_does_not_fit_begins_the_next_batch(within: float | None, later: bool) -> None:
    """C9: an item heavier than the limit passes alone, after the batch before it."""
    chunks = [b"ab", b"cd", b"e", b"too heavy", b"f", b"ghi", b"jk", b"", b"l"]
    source: Any = TrackedSource(chunks) if later else chunks

    assert await sf.stream(source).through(batched(max_weight=4, within=within)).collect() == [
        (b"ab", b"cd"),
        (b"e",),
        (b"too heavy",),
        (b"f", b"ghi"),
        (b"jk", b"", b"l"),
    ]


async def weight_later(item: int) -> int:
    await asyncio.sleep(0)
    return item


WEIGHTS: dict[str, Any] = {
    "sync": lambda item: item,
    "async": weight_later,
    "found out": lambda item: weight_later(item),  # noqa: PLW0108  # the point of it
}


@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 9), max_size=30),
    st.one_of(st.none(), st.integers(1, 4)),
    st.integers(1, 12),
    st.sampled_from([None, 60.0]),
    st.sampled_from(sorted(WEIGHTS)),
)
def test_no_batch_is_too_heavy_or_too_long_and_none_could_have_taken_more(
    items: list[int], n: int | None, limit: int, within: float | None, kind: str
) -> None:
    """C9, as a law."""
    stage = batched(n, max_weight=limit, within=within, weight=WEIGHTS[kind])
    with asyncio.Runner(loop_factory=StepLoop) as runner:
        batches = runner.run(sf.stream(items).through(stage).collect())

    assert [item for batch in batches for item in batch] == items
    for batch, following in itertools.pairwise([*batches, ()]):
        assert batch
        assert len(batch) <= (n or len(items))
        assert sum(batch) <= limit or len(batch) == 1
        assert not following or len(batch) == n or sum(batch) >= limit or sum(batch) + following[0] > limit


@pytest.mark.virtual_time
async def test_weight_and_time_together() -> None:
    """C9: the clock starts with the first item of a batch, and anew when the weight limit fired."""
    stage = batched(max_weight=2.5, weight=lambda _: 1, within=1.0)
    flow = sf.stream(at([0.0, 0.9, 1.5, 1.8, 9.0, 9.2])).through(stage)

    assert await timed(flow) == [(1.0, (0.0, 0.9)), (2.5, (1.5, 1.8)), (9.2, (9.0, 9.2))]


@pytest.mark.virtual_time
async def test_the_clock_starts_anew_when_an_item_did_not_fit() -> None:
    flow = sf.stream(at([0.0, 0.9, 30.0])).through(batched(max_weight=1.5, weight=lambda _: 1, within=1.0))

    assert await timed(flow) == [(0.9, (0.0,)), (1.9, (0.9,)), (30.0, (30.0,))]


@pytest.mark.virtual_time
async def test_a_source_that_is_never_silent_does_not_stretch_the_time_of_a_weight() -> None:
    async def busy() -> AsyncIterator[int]:
        loop: Any = asyncio.get_running_loop()
        for number in itertools.count():
            loop._now += 0.001  # as above: time passes, and nobody waits
            yield number

    stage = batched(max_weight=10**9, weight=lambda _: 1, within=0.1)
    batches = await sf.stream(busy()).through(stage).take(3).to(sf.collect(), maxsize=4).run()

    assert [len(batch) for batch in batches] == pytest.approx([100, 100, 100], abs=10)


@clocks
@pytest.mark.parametrize("weight", [-1, float("nan"), None, "5"])
async def test_a_weight_that_is_none_is_an_error(weight: Any, within: float | None) -> None:
    with pytest.raises(sf.UsageError, match=r"batched\(weight\) must return a number, 0 or more"):
        await sf.stream(range(3)).through(batched(max_weight=5, weight=lambda _: weight, within=within)).run()


@clocks
async def test_items_without_a_size_in_bytes_need_a_weight(within: float | None) -> None:
    with pytest.raises(sf.UsageError, match=r"type dict has no size in bytes\. Say what it weighs: weight=len"):
        await sf.stream([{}]).through(batched(max_weight=5, within=within)).run()


async def test_items_that_weigh_nothing_still_make_batches() -> None:
    """P1: nothing is unbounded."""
    batches = await sf.stream([b""] * 250_000).through(batched(max_weight=1)).collect()

    assert [len(batch) for batch in batches] == [100_000, 100_000, 50_000]


@clocks
async def test_an_error_comes_after_the_batches_before_it(within: float | None) -> None:
    got: list[Any] = []
    source = TrackedSource([1, 2, 3, 4], error=Broken())
    with pytest.raises(Broken):
        await sf.stream(source).through(batched(max_weight=4, weight=int, within=within)).for_each(got.append)

    assert got == [(1, 2), (3,), (4,)]
    source.verify()


def test_without_a_clock_it_is_fused() -> None:
    assert batched(5).transform is not None
    assert batched(5, max_weight=9, weight=len).transform is not None
    assert batched(5, max_weight=9, weight=len).name == "batched(5, max_weight=9)"
    assert (batched(max_weight=9).holds_items, batched(max_weight=9).groups) == (100_000, 100_000)


# --- what waits --------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
async def test_a_fast_consumer_gets_one_item_at_a_time() -> None:
    flow = sf.stream(at([1.0, 2.0, 3.0])).through(batch_waiting(99))

    assert await timed(flow) == [(1.0, (1.0,)), (2.0, (2.0,)), (3.0, (3.0,))]


@pytest.mark.virtual_time
@pytest.mark.parametrize("below", [(), (sf.map(tuple),), (sf.map(tuple, concurrency=1), sf.tap(len))])
async def test_a_slow_consumer_gets_what_came_meanwhile(below: Any) -> None:
    """Whatever stands between, its channels do not hide the busy consumer."""

    async def slow(items: AsyncIterator[tuple[float, ...]]) -> list[int]:
        sizes = []
        async for batch in items:
            sizes.append(len(batch))
            await asyncio.sleep(10.05)
        return sizes

    moments = [float(second) for second in range(1, 101)]
    sizes = await sf.pipeline(at(moments), batch_waiting(8), *below, slow)

    assert sum(sizes) == 100
    assert sizes[0] == 1
    assert set(sizes[6:-2]) <= {7, 8}


async def test_what_waits_is_taken_at_once() -> None:
    batches = await sf.stream(range(1000)).through(batch_waiting(300)).collect()

    assert [number for batch in batches for number in batch] == list(range(1000))
    assert max(map(len, batches)) == 300


async def test_what_waits_comes_before_an_error() -> None:
    got: list[int] = []
    source = TrackedSource(range(50), error=Broken())
    with pytest.raises(Broken):
        await sf.stream(source).through(batch_waiting(20)).for_each(got.extend)

    assert got == list(range(50))


@pytest.mark.virtual_time
async def test_a_stopped_consumer_stops_the_source_of_what_waits() -> None:
    """F1."""
    source = TrackedSource(itertools.count())
    run = asyncio.create_task(sf.pipeline(source, batch_waiting(3), SlowSink(), maxsize=4))
    await asyncio.sleep(100)

    assert source.taken <= 2 * 3 + 3 + 2 * 4 + 1
    run.cancel()
    await asyncio.wait([run])


@pytest.mark.parametrize("n", [0, -1, True, 1.5])
def test_how_many_may_leave_together_must_be_a_count(n: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"batch_waiting\(n\) must be a whole number"):
        batch_waiting(n)


@given(st.lists(st.integers()), st.integers(1, 5))
def test_unbatch_is_the_inverse(items: list[int], n: int) -> None:
    assert asyncio.run(sf.stream(items).batched(n).through(unbatch()).collect()) == items


# --- bytes -------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=12), st.integers(1, 20), st.booleans())
def test_however_bytes_are_cut_the_pieces_are_the_same(data: bytes, cuts: list[int], size: int, mixed: bool) -> None:
    """L1, as a law: of whatever type the input is, and joined they are the input."""
    edges = sorted(min(cut, len(data)) for cut in cuts)
    chunks: list[Any] = [data[begin:end] for begin, end in itertools.pairwise([0, *edges, len(data)])]
    if mixed:
        kinds = itertools.cycle([bytes, bytearray, memoryview])
        chunks = [kind(chunk) for kind, chunk in zip(kinds, chunks, strict=False)]
    pieces = asyncio.run(sf.stream(chunks).through(rechunk(size)).collect())

    assert pieces == [data[begin : begin + size] for begin in range(0, len(data), size)]
    assert {type(piece) for piece in pieces} <= {bytes}


async def test_a_piece_of_the_right_size_is_not_copied() -> None:
    chunks = [bytes([number]) * 1000 for number in range(3)]

    assert all(map(operator.is_, await sf.stream(chunks).through(rechunk(1000)).collect(), chunks))


async def test_a_buffer_that_its_owner_uses_again_is_copied() -> None:
    buffer = bytearray(3)

    async def reused() -> AsyncIterator[bytearray]:
        for number in range(1, 5):
            buffer[:] = bytes([number]) * 3
            yield buffer

    assert [piece async for piece in rechunk(4)(reused())] == [b"\1\1\1\2", b"\2\2\3\3", b"\3\4\4\4"]


async def test_views_of_other_things_than_bytes_are_cut_by_bytes() -> None:
    numbers = memoryview(array.array("I", [1, 2]))

    assert await sf.stream([numbers]).through(rechunk(4)).collect() == [bytes(numbers[:1]), bytes(numbers[1:])]


async def test_text_is_no_bytes() -> None:
    with pytest.raises(sf.UsageError, match=r"this item is str. Put what encodes it before"):
        await sf.stream(["text"]).through(rechunk(4)).run()


@pytest.mark.parametrize("size", [0, -1, True, 1.5])
def test_a_size_that_cannot_mean_anything_is_refused(size: Any) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=r"rechunk\(size\) must be a whole number"):
        rechunk(size)
