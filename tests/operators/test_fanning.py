"""Fanning out: the slowest gates, whoever leaves gates no more, nothing commits unless everything ended cleanly."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from typing import Any

import pytest

import streamflow as sf
from streamflow.engine.feeding import reading
from streamflow.engine.shielding import finish
from streamflow.operators.fanning import broadcast, tap_to, tee
from streamflow.testing import DeadlockError, Outcome, SlowSink, StepLoop, Trace, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


class Store:
    """A sink that commits at a clean end, and says what became of it."""

    def __init__(self, *, fails_at: int | None = None, fails_to_commit: bool = False, seconds: float = 0) -> None:
        self.items: list[Any] = []
        self.outcome = "open"
        self.value = self
        self._fails_at = fails_at
        self._fails_to_commit = fails_to_commit
        self._seconds = seconds

    async def __call__(self, items: AsyncIterable[Any]) -> Store:
        try:
            async for item in items:
                await asyncio.sleep(self._seconds)
                self._check(item)
                self.items.append(item)
            await asyncio.sleep(0)
            self._check(None)
        except BaseException:
            self.outcome = "aborted"
            raise
        self.outcome = "committed"
        return self

    def _check(self, item: Any) -> None:
        if item is None and self._fails_to_commit:
            raise Broken("commit")
        if item is not None and len(self.items) == self._fails_at:
            raise Broken(f"at {item}")


async def settled(steps: int = 40) -> None:
    """Let everything go on as far as it can."""
    for _ in range(steps):
        await asyncio.sleep(0)


async def taking_all(items: AsyncIterable[Any]) -> list[Any]:
    return [item async for item in items]


def same(items: list[Any], wanted: list[Any]) -> bool:
    return items == wanted and list(map(type, items)) == list(map(type, wanted))


FALSY: list[Any] = [0, "", None, False, 0.0, []]


# --- broadcast ---------------------------------------------------------------------------------------------------


async def test_every_branch_of_broadcast_gets_every_item_and_the_value_is_the_tuple_of_values() -> None:
    value = await sf.pipeline(range(5), broadcast(sf.collect(), sf.count(), [sf.map(str), sf.take(2), sf.collect()]))

    assert value == ([0, 1, 2, 3, 4], 5, ["0", "1"])


async def test_falsy_items_go_to_every_branch() -> None:
    left, right = await sf.pipeline(FALSY, broadcast(sf.collect(), sf.collect(), maxsize=1))

    assert same(left, FALSY)
    assert same(right, FALSY)


async def test_branches_get_the_same_objects() -> None:
    """H56: items are shared, not copied."""
    row = {"id": 1}
    left, right = await sf.pipeline([row], broadcast(sf.collect(), sf.collect()))

    assert left[0] is right[0] is row


@pytest.mark.parametrize("maxsize", [1, 2, 5, 64])
async def test_the_slowest_branch_sets_the_pace_and_the_bound_is_exact(maxsize: int) -> None:
    """F12, P1: `maxsize` wait for the slow one; one is in its hand, one waits with the fan."""
    source = TrackedSource(itertools.count())
    slow: SlowSink[int] = SlowSink()
    fan = broadcast(slow, sf.drain(), maxsize=maxsize)
    run = asyncio.create_task(sf.Pipeline(source, fan, maxsize=1).run())
    await settled(400)
    counts = fan.stats()[0]

    assert counts.waiting == maxsize
    assert counts.taken == 0
    assert fan.stats()[1].taken == maxsize
    assert source.taken <= maxsize + 3  # in the channel above, in the hand of its writer, and with the fan

    slow.gate.let(3)
    await settled(400)
    assert fan.stats()[0].waiting <= maxsize
    assert len(slow.items) in {2, 3}
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    source.verify()


async def test_a_branch_that_has_enough_gates_no_more() -> None:
    """F12."""
    value = await sf.pipeline(range(100), broadcast(sf.first(), [sf.take(3), sf.collect()], sf.count(), maxsize=1))

    assert value == (0, [0, 1, 2], 100)


async def test_broadcast_ends_when_every_branch_has_enough_although_the_source_is_silent() -> None:
    async def one_and_silence() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    assert await sf.pipeline(one_and_silence, broadcast(sf.first(), sf.first())) == (1, 1)


async def test_broadcast_over_nothing_commits_every_branch() -> None:
    left, right = await sf.pipeline([], broadcast(Store(), Store()))

    assert (left.outcome, right.outcome) == ("committed", "committed")


async def test_an_error_of_the_source_reaches_every_branch_after_the_items_before_it_and_nothing_commits() -> None:
    """E14, E15."""
    stores = Store(), Store()
    source = TrackedSource(range(5), error=(error := Broken("source")))

    with pytest.raises(Broken) as caught:
        await sf.pipeline(source, broadcast(*stores))

    assert caught.value is error
    assert [store.items for store in stores] == [[0, 1, 2, 3, 4]] * 2
    assert [store.outcome for store in stores] == ["aborted"] * 2
    assert error.__notes__ == [note for note in error.__notes__ if "TrackedSource" in note]


async def test_a_failing_branch_aborts_the_others_and_the_source() -> None:
    """P6: none of the others sees a clean end."""
    source = TrackedSource(range(100))
    stores = Store(), Store(fails_at=3), Store(seconds=0)

    with pytest.raises(Broken, match="at 3") as caught:
        await sf.pipeline(source, broadcast(*stores))

    assert [store.outcome for store in stores] == ["aborted"] * 3
    source.verify()
    assert any("branch 2 of broadcast" in note for note in caught.value.__notes__)
    assert any("item 4" in note for note in caught.value.__notes__)


async def test_a_failing_branch_is_noticed_while_the_source_is_silent() -> None:
    async def one_and_silence() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    with pytest.raises(Broken):
        await sf.pipeline(one_and_silence, broadcast(Store(), Store(fails_at=0)))


async def test_a_failing_branch_is_noticed_while_another_one_is_full() -> None:
    slow: SlowSink[int] = SlowSink()

    with pytest.raises(Broken):
        await sf.pipeline(itertools.count(), broadcast(slow, Store(fails_at=1), maxsize=2))


async def test_a_branch_that_fails_to_commit_keeps_those_after_it_from_committing() -> None:
    stores = Store(), Store(fails_to_commit=True), Store()

    with pytest.raises(Broken, match="commit"):
        await sf.pipeline(range(3), broadcast(*stores))

    assert [store.outcome for store in stores] == ["committed", "aborted", "aborted"]


@pytest.mark.virtual_time
async def test_a_fast_branch_does_not_commit_while_a_slow_one_has_items_to_take() -> None:
    """P6: the slow one may still fail."""
    stores = Store(), Store(fails_at=8, seconds=10)

    with pytest.raises(Broken, match="at 8"):
        await sf.pipeline(range(10), broadcast(*stores))

    assert [store.outcome for store in stores] == ["aborted", "aborted"]
    assert stores[0].items == list(range(10))


async def test_a_branch_fails_while_another_commits_and_that_is_aborted_too() -> None:
    async def slow_to_commit(items: AsyncIterable[int]) -> None:
        await taking_all(items)
        await asyncio.Event().wait()

    with pytest.raises(Broken, match="at 2"):
        await sf.pipeline(range(3), broadcast(slow_to_commit, Store(fails_at=2, seconds=0)))


async def test_independent_errors_come_as_a_group() -> None:
    async def fails_when_stopped(items: AsyncIterable[int]) -> None:
        try:
            await taking_all(items)
        except asyncio.CancelledError:
            raise KeyError("while stopping") from None

    async def endless() -> AsyncIterator[int]:
        for number in itertools.count():
            yield number
            await asyncio.sleep(0)

    with pytest.raises(ExceptionGroup) as caught:
        await sf.pipeline(endless, broadcast(Store(fails_at=2), fails_when_stopped))

    assert sorted(type(error).__name__ for error in caught.value.exceptions) == ["Broken", "KeyError"]


async def test_a_branch_that_catches_the_error_of_the_source_does_not_save_the_others() -> None:
    async def catching(items: AsyncIterable[int]) -> int:
        try:
            return len(await taking_all(items))
        except Broken:
            return -1

    with pytest.raises(Broken):
        await sf.pipeline(TrackedSource(range(3), error=Broken()), broadcast(catching, sf.count()))
    assert await sf.pipeline(TrackedSource(range(3), error=Broken()), broadcast(catching, catching)) == (-1, -1)


@pytest.mark.parametrize(("overflow", "kept"), [("drop_newest", [0, 1, 2]), ("drop_oldest", [0, 8, 9])])
async def test_a_full_branch_drops_what_the_rule_says_and_counts_it(overflow: Any, kept: list[int]) -> None:
    slow: SlowSink[int] = SlowSink()
    fan = broadcast([one_at_a_time, slow], sf.collect(), overflow=[overflow, "block"], maxsize=2)

    async def source() -> AsyncIterator[int]:
        for number in range(10):
            yield number
            await settled(20)
        slow.gate.open()

    taken, collected = await sf.pipeline(source, fan)
    first, second = fan.stats()

    assert collected == list(range(10))
    assert second.dropped == 0
    assert taken == sorted(taken)
    assert taken[0] == 0
    assert taken[-1] == kept[-1] or overflow == "drop_newest"
    assert first.dropped == 10 - len(taken) > 0


async def one_at_a_time(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


async def test_a_full_branch_fails_everything_where_that_is_the_rule() -> None:
    stores = SlowSink[int](), Store()

    with pytest.raises(sf.LimitExceeded, match=r"branch 1 of broadcast.*2 items wait"):
        await sf.pipeline(range(10), broadcast(*stores, overflow="fail", maxsize=2))
    assert stores[1].outcome != "committed"


async def test_bytes_are_bounded_as_well() -> None:
    """P1: a branch holds at most a MiB, or one item."""
    slow: SlowSink[bytes] = SlowSink()
    fan = broadcast(slow, sf.drain())
    run = asyncio.create_task(sf.Pipeline([0, "x", *[bytes(400_000)] * 20], fan, maxsize=1).run())
    await settled(400)

    assert fan.stats()[0].waiting == 4  # the two that weigh nothing and two of 400 kB
    slow.gate.open()
    assert (await run)[0] == [0, "x", *[bytes(400_000)] * 20]


async def test_a_broadcast_can_be_run_again_and_two_runs_do_not_mix() -> None:
    fan = broadcast(sf.collect(), sf.count())
    runs = [asyncio.create_task(sf.pipeline(range(n), fan)) for n in (3, 4)]

    assert [await run for run in runs] == [([0, 1, 2], 3), ([0, 1, 2, 3], 4)]


async def test_broadcast_inside_broadcast() -> None:
    value = await sf.pipeline(range(3), broadcast(broadcast(sf.count(), sf.collect()), sf.count()))

    assert value == ((3, [0, 1, 2]), 3)


async def test_a_broadcast_works_by_hand() -> None:
    assert await broadcast(sf.count(), sf.collect())(TrackedSource(range(3))) == (3, [0, 1, 2])


async def test_a_hundred_branches() -> None:
    value = await sf.pipeline(range(50), broadcast(*[sf.count()] * 100, maxsize=3))

    assert value == (50,) * 100


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (broadcast, "at least one sink"),
        (lambda: broadcast([]), "empty branch"),
        (lambda: broadcast(sf.map(str)), "is a stage"),
        (lambda: broadcast([sf.count(), sf.count()]), "is not a stage"),
        (lambda: broadcast(sf.count(), overflow="drop"), "overflow must be one of"),
        (lambda: broadcast(sf.count(), overflow=None), "overflow must be one of"),
        (lambda: broadcast(sf.count(), overflow=[[]]), "overflow must be one of"),
        (lambda: broadcast(sf.count(), overflow=["block", "block"]), "2 words for 1 branches"),
        (lambda: broadcast(sf.count(), maxsize=0), "broadcast"),
        (lambda: tap_to(sf.count(), maxsize=0), "tap_to"),
        (lambda: tap_to(sf.count(), overflow="none"), "overflow must be one of"),
        (lambda: tap_to(sf.count(), errors="ignore"), "errors"),
        (lambda: tap_to(3), "is not a sink"),
        (lambda: tee(range(3), 0), "tee"),
        (lambda: tee(range(3), maxsize=0), "tee"),
        (lambda: tee(3), "source must be"),
        (lambda: tee(range(3), overflow="wait"), "overflow must be one of"),
    ],
)
def test_misuse_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(sf.UsageError, match=message):
        make()


@pytest.mark.virtual_time
async def test_one_branch_goes_on_while_another_is_busy() -> None:
    trace = Trace()

    async def slow(number: int) -> None:
        await asyncio.sleep(10)
        trace(f"slow {number}")

    async def fast(number: int) -> None:
        trace(f"fast {number}")

    await sf.pipeline(range(3), broadcast(sf.for_each(slow), sf.for_each(fast)))

    assert trace.times == [0, 0, 0, 10, 20, 30]


def test_broadcast_cancelled_after_every_step_commits_nothing_half() -> None:
    class Scene:
        def __init__(self) -> None:
            self.source = TrackedSource(range(3), delay=0)
            self.stores = Store(), Store()

        async def __call__(self) -> Any:
            return await sf.pipeline(self.source, broadcast(*self.stores, maxsize=1))

    def check(scene: Scene, outcome: Outcome) -> None:
        scene.source.verify()
        for store in scene.stores:
            assert store.outcome != "committed" or store.items == [0, 1, 2]
        if outcome.ended == "returned":
            assert [store.outcome for store in scene.stores] == ["committed"] * 2

    cancel_everywhere(Scene, check)


@pytest.mark.parametrize("seed", range(25))
def test_in_whatever_order_things_happen_nothing_commits_when_a_branch_fails(seed: int) -> None:
    """P6, L4: and the account of every branch balances."""
    stores = [Store(), Store(fails_at=seed % 5), Store()]
    source = TrackedSource(range(6), delay=0)
    fan = broadcast(*stores, maxsize=1 + seed % 3)

    async def main() -> None:
        with pytest.raises(Broken):
            await sf.pipeline(source, fan)

    with asyncio.Runner(loop_factory=lambda: StepLoop(seed=seed)) as runner:
        runner.run(main())
    source.verify()
    assert "committed" not in {store.outcome for store in stores}
    for store, seen in zip(stores, fan.stats(), strict=True):
        assert seen.waiting == 0
        assert len(store.items) <= seen.taken <= seen.given


@pytest.mark.parametrize("seed", range(25))
def test_in_whatever_order_things_happen_every_branch_gets_everything(seed: int) -> None:
    async def main() -> Any:
        return await sf.pipeline(
            TrackedSource(range(7), delay=0),
            tap_to(sf.count(), maxsize=1, overflow="block"),
            broadcast(Store(), [sf.take(3), sf.collect()], [one_at_a_time, sf.collect()], maxsize=1 + seed % 3),
        )

    with asyncio.Runner(loop_factory=lambda: StepLoop(seed=seed)) as runner:
        store, three, all_of_them = runner.run(main())
    assert (store.outcome, store.items) == ("committed", list(range(7)))
    assert (three, all_of_them) == ([0, 1, 2], list(range(7)))


async def test_a_cancellation_tells_which_branch_had_committed() -> None:
    async def never_ends(items: AsyncIterable[int]) -> None:
        await taking_all(items)
        await asyncio.Event().wait()

    store = Store()
    run = asyncio.create_task(sf.pipeline(range(3), broadcast(store, never_ends)))
    await settled(200)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert store.outcome == "committed"


async def test_a_broadcast_shows_in_the_plan_and_in_the_report() -> None:
    job = sf.Pipeline(range(3), broadcast(sf.count(), [sf.map(str), sf.collect()]))

    assert "broadcast(count, map > collect)" in job.explain()
    await job.run()
    assert "broadcast(count, map > collect)" in str(job.report)


# --- tap_to ------------------------------------------------------------------------------------------------------


async def test_tap_to_passes_items_on_and_gives_them_to_the_side() -> None:
    store = Store()

    assert same(await sf.pipeline(FALSY, tap_to(store), sf.collect()), FALSY)
    assert same(store.items, FALSY)
    assert store.outcome == "committed"


async def test_a_slow_side_does_not_hold_the_items_back_and_what_it_loses_is_counted() -> None:
    slow: SlowSink[int] = SlowSink()
    tap = tap_to(slow, maxsize=3)

    async def open_after(items: AsyncIterable[int]) -> list[int]:
        got = []
        async for item in items:
            got.append(item)
            if item == 9:
                slow.gate.open()
        return got

    assert await sf.pipeline(range(10), tap, open_after) == list(range(10))
    assert slow.items == [0, 1, 2]
    (side,) = tap.stats()
    assert (side.dropped, side.given, side.taken, side.waiting) == (7, 3, 3, 0)


async def test_a_slow_side_keeps_the_newest_where_that_is_the_rule() -> None:
    slow: SlowSink[int] = SlowSink()
    tap = tap_to(slow, maxsize=3, overflow="drop_oldest")

    async def source() -> AsyncIterator[int]:
        for number in range(10):
            yield number
        await settled()
        slow.gate.open()

    await sf.pipeline(source, tap, sf.drain())
    (side,) = tap.stats()

    assert slow.items == [7, 8, 9]
    assert (side.dropped, side.given, side.taken) == (7, 10, 3)


@pytest.mark.virtual_time
async def test_the_stage_ends_when_the_side_has_committed() -> None:
    """P2: its commit is awaited."""
    trace = Trace()

    async def side(items: AsyncIterable[int]) -> None:
        await taking_all(items)
        await asyncio.sleep(5)
        trace("side committed")

    await sf.pipeline(range(3), tap_to(side), sf.drain())
    trace("pipeline ended")

    assert trace.events == ["side committed", "pipeline ended"]
    assert trace.times == [5, 5]


async def test_a_failing_side_ends_the_stream_at_once() -> None:
    async def one_and_silence() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    store = Store()
    with pytest.raises(Broken, match="at 1") as caught:
        await sf.pipeline(one_and_silence, tap_to(Store(fails_at=0)), store)

    assert store.outcome == "aborted"
    assert any("the side of tap_to" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("commit", [False, True])
async def test_a_failing_side_is_told_where_that_is_asked_for_and_the_items_go_on(commit: bool) -> None:
    told: list[Exception] = []
    side = Store(fails_to_commit=True) if commit else Store(fails_at=2)

    async def tell(error: Exception) -> None:
        told.append(error)

    for errors in (told.append, tell):
        assert await sf.pipeline(range(10), tap_to(side, errors=errors), sf.count()) == 10
        side.items.clear()

    assert [type(error) for error in told] == [Broken, Broken]


async def test_an_error_of_the_function_that_is_told_is_raised() -> None:
    """E13."""

    def tell(error: Exception) -> None:
        raise KeyError("in the callback")

    with pytest.raises(KeyError, match="in the callback"):
        await sf.pipeline(range(10), tap_to(Store(fails_at=2), errors=tell), sf.count())


@pytest.mark.parametrize("errors", ["raise", lambda _error: None])
async def test_an_error_of_the_source_reaches_the_side_and_goes_on(errors: Any) -> None:
    """E15."""
    store = Store()
    got: list[int] = []
    with pytest.raises(Broken) as caught:
        await sf.pipeline(
            TrackedSource(range(3), error=(error := Broken())), tap_to(store, errors=errors), sf.for_each(got.append)
        )

    assert caught.value is error
    assert (store.outcome, store.items, got) == ("aborted", [0, 1, 2], [0, 1, 2])


async def test_a_side_that_has_enough_leaves_and_the_items_go_on() -> None:
    assert await sf.pipeline(range(50), tap_to(sf.first(), maxsize=1, overflow="block"), sf.count()) == 50


async def test_an_early_stop_aborts_the_side() -> None:
    store = Store()
    source = TrackedSource(itertools.count())

    assert await sf.pipeline(source, tap_to(store), sf.take(3), sf.collect()) == [0, 1, 2]
    assert store.outcome == "aborted"
    source.verify()


async def test_a_side_that_blocks_sets_the_pace() -> None:
    slow: SlowSink[int] = SlowSink()
    source = TrackedSource(itertools.count())
    run = asyncio.create_task(
        sf.Pipeline(source, tap_to(slow, maxsize=2, overflow="block"), sf.drain(), maxsize=1).run()
    )
    await settled(200)

    assert source.taken <= 5
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_a_full_side_fails_the_stream_where_that_is_the_rule() -> None:
    with pytest.raises(sf.LimitExceeded, match="2 items wait"):
        await sf.pipeline(range(9), tap_to(SlowSink(), maxsize=2, overflow="fail"), sf.drain())


async def test_tap_to_works_by_hand() -> None:
    store = Store()
    async with aclosing(tap_to(store)(TrackedSource(range(3)))) as items:  # type: ignore[type-var]
        assert [item async for item in items] == [0, 1, 2]
    assert store.outcome == "committed"


def test_tap_to_cancelled_after_every_step_commits_only_the_whole() -> None:
    class Scene:
        def __init__(self) -> None:
            self.source = TrackedSource(range(3), delay=0)
            self.store = Store()

        async def __call__(self) -> Any:
            return await sf.pipeline(self.source, tap_to(self.store, overflow="block", maxsize=1), sf.collect())

    def check(scene: Scene, outcome: Outcome) -> None:
        scene.source.verify()
        assert scene.store.outcome != "committed" or scene.store.items == [0, 1, 2]
        assert outcome.ended != "returned" or scene.store.outcome == "committed"

    cancel_everywhere(Scene, check)


# --- tee ---------------------------------------------------------------------------------------------------------


async def both(*flows: Any) -> list[list[Any]]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(sf.stream(flow).collect()) for flow in flows]
    return [task.result() for task in tasks]


@pytest.mark.parametrize("maxsize", [1, 2, 1024])
async def test_every_branch_of_tee_gives_every_item_and_the_source_is_read_once(maxsize: int) -> None:
    source = TrackedSource(FALSY)
    got = await both(*tee(source, 3, maxsize=maxsize))

    assert all(same(items, FALSY) for items in got)
    assert source.opened == 1
    source.verify()


async def test_nothing_is_read_before_a_branch_is() -> None:
    source = TrackedSource(range(3))
    left, right = tee(source)
    await settled()

    assert source.opened == 0
    assert await both(left, right) == [[0, 1, 2]] * 2


async def test_a_branch_that_begins_late_sees_the_first_item() -> None:
    """X19."""
    left, right = tee(TrackedSource(range(5)))

    assert await sf.stream(left).collect() == [0, 1, 2, 3, 4]
    assert await sf.stream(right).collect() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("maxsize", [1, 3])
async def test_a_branch_that_has_not_begun_gates_and_the_bound_is_exact(maxsize: int) -> None:
    source = TrackedSource(itertools.count())
    left, right = tee(source, maxsize=maxsize)
    got: list[int] = []
    run = asyncio.create_task(sf.stream(left).for_each(got.append))
    await settled(400)
    assert len(got) == maxsize

    async with sf.stream(right).open(maxsize=1) as items:
        assert [await anext(items) for _ in range(10)] == list(range(10))
        await settled(200)
        assert len(got) >= 10
    await settled(200)
    assert len(got) > 20 + maxsize  # it has left, and gates no more
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    source.verify()


async def test_a_branch_that_is_dropped_without_having_begun_gates_no_more() -> None:
    """F12: "never starts"."""
    left, right = tee(range(50), maxsize=2)
    run = asyncio.create_task(sf.stream(left).collect())
    await settled(200)
    assert not run.done()

    del right
    gc.collect()

    assert await run == list(range(50))


async def test_a_branch_that_was_dropped_before_the_start_does_not_gate() -> None:
    assert await sf.stream(tee(range(50), 4, maxsize=2)[2]).collect() == list(range(50))


async def test_a_branch_dropped_in_another_thread_gates_no_more() -> None:
    ways = list(tee(range(50), maxsize=2))
    run = asyncio.create_task(sf.stream(ways.pop(0)).collect())
    await settled(200)

    thread = threading.Thread(target=ways.clear)
    thread.start()

    assert await run == list(range(50))
    thread.join()


async def test_a_branch_that_leaves_or_fails_gates_no_more() -> None:
    """F12."""
    left, middle, right = tee(range(50), 3, maxsize=2)

    async with asyncio.TaskGroup() as group:
        first = group.create_task(sf.stream(left).first())
        failed = group.create_task(failing_at_3(middle))
        rest = group.create_task(sf.stream(right).collect())

    assert (first.result(), failed.result(), rest.result()) == (0, "failed", list(range(50)))


async def failing_at_3(flow: Any) -> str:
    with pytest.raises(Broken):
        await sf.stream(flow).to(Store(fails_at=3)).run()
    return "failed"


async def test_an_error_of_the_source_reaches_every_branch_after_the_items_before_it() -> None:
    """E14."""
    stores = Store(), Store(), Store()
    error = Broken()
    ways = tee(TrackedSource(range(5), error=error), 3, maxsize=2)

    async def run(way: Any, store: Store) -> None:
        with pytest.raises(Broken) as caught:
            await sf.stream(way).to(store).run()
        assert caught.value is error

    async with asyncio.TaskGroup() as group:
        for way, store in zip(ways, stores, strict=True):
            group.create_task(run(way, store))

    assert [store.items for store in stores] == [[0, 1, 2, 3, 4]] * 3
    assert [store.outcome for store in stores] == ["aborted"] * 3


async def test_after_the_error_a_branch_has_ended() -> None:
    """X10."""
    left, right = tee(TrackedSource([1], error=Broken()))
    items = aiter(left)

    assert await anext(items) == 1
    with pytest.raises(Broken):
        await anext(items)
    assert await anext(items, "end") == "end"
    with pytest.raises(Broken):
        await sf.stream(right).collect()


async def test_an_error_while_the_source_is_closed_is_no_clean_end() -> None:
    """E15."""

    async def fails_to_close() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise Broken("closing")

    stores = Store(), Store()
    for way, store in zip(tee(fails_to_close), stores, strict=True):
        with pytest.raises(Broken, match="closing"):
            await sf.stream(way).to(store).run()
    assert [store.outcome for store in stores] == ["aborted"] * 2


async def test_when_the_last_branch_leaves_the_source_is_closed_before_that_has_ended() -> None:
    source = TrackedSource(itertools.count())
    left, right = tee(source, maxsize=4)

    async with sf.stream(left).open() as lefts, sf.stream(right).open() as rights:
        assert await anext(lefts) == await anext(rights) == 0
    assert source.closed == 1
    source.verify()


async def test_who_leaves_last_is_told_what_failed_while_the_source_was_closed() -> None:
    async def fails_to_close() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            raise Broken("closing")

    (only,) = tee(fails_to_close, 1, maxsize=2)
    with pytest.raises(Broken, match="closing"):
        await sf.stream(only).take(2).collect()


async def test_iterators_by_hand_that_are_dropped_stop_the_source() -> None:
    source = TrackedSource(itertools.count())
    left, right = tee(source)
    async for item in left:
        assert item == 0
        break
    del left, right
    gc.collect()
    await settled()

    assert source.closed == 1


async def test_a_branch_can_be_read_again_once_all_have_begun() -> None:
    source = TrackedSource(range(3))
    left, right = tee(source)

    assert await both(left, right) == [[0, 1, 2]] * 2
    assert await both(right, left) == [[0, 1, 2]] * 2
    assert source.opened == 2


async def test_a_branch_that_is_read_twice_before_another_has_begun_is_refused() -> None:
    left, right = tee(range(3))
    await sf.stream(left).collect()

    with pytest.raises(sf.UsageError, match=r"tee\[1\] has not been"):
        await sf.stream(left).collect()
    assert await sf.stream(right).collect() == [0, 1, 2]


def test_fans_show_themselves_as_other_stages_and_sinks_do() -> None:
    assert repr(broadcast(sf.count(), sf.first())) == "<Sink 'broadcast(count, first)'>"
    assert repr(tap_to(sf.count())) == "<Stage 'tap_to(count)'>"


@pytest.mark.parametrize("overflow", ["drop_newest", "drop_oldest"])
async def test_a_branch_that_drops_does_not_gate(overflow: Any) -> None:
    left, right = tee(range(10), maxsize=3, overflow=overflow)

    assert await sf.stream(left).buffer(1).collect() is not None
    kept = await sf.stream(right).collect()
    assert kept == ([0, 1, 2] if overflow == "drop_newest" else [7, 8, 9])


async def test_a_branch_that_is_too_slow_fails_alone_where_that_is_the_rule() -> None:
    left, right = tee(TrackedSource(range(10), delay=0), maxsize=3, overflow="fail")

    assert await sf.stream(left).collect() == list(range(10))
    got: list[int] = []
    with pytest.raises(sf.LimitExceeded, match=r"tee\[1\]"):
        await sf.stream(right).for_each(got.append)
    assert got == [0, 1, 2]


async def test_a_hundred_branches_of_tee() -> None:
    assert await both(*tee(range(30), 100, maxsize=2)) == [list(range(30))] * 100


async def test_tee_of_a_stream_is_a_tuple_of_streams() -> None:
    left, right = sf.stream(range(3)).map(str).tee(2)

    assert isinstance(left, sf.Stream)
    assert await both(left.map(int), right) == [[0, 1, 2], ["0", "1", "2"]]


async def test_stages_after_a_branch_keep_it_alive() -> None:
    left, right = sf.stream(range(20)).tee(maxsize=2)
    flow = right.map(str)
    del right
    gc.collect()

    assert (await both(left, flow))[1] == list(map(str, range(20)))


def test_branches_read_one_after_the_other_are_a_deadlock_that_a_step_loop_names() -> None:
    """H46: more than `maxsize` items lie between the branches."""

    async def main() -> None:
        left, right = tee(range(10), maxsize=4)
        await sf.stream(left).collect()
        await sf.stream(right).collect()

    with pytest.raises(DeadlockError), asyncio.Runner(loop_factory=StepLoop) as runner:
        runner.run(main())


@pytest.mark.parametrize(("maxsize", "deadlock"), [(4, True), (200, False)])
def test_zip_of_branches_that_drift_apart_further_than_the_bound_is_a_deadlock(maxsize: int, deadlock: bool) -> None:
    """H46: with every item that the filter leaves out."""

    async def main() -> list[Any]:
        left, right = tee(range(200), maxsize=maxsize)
        return await sf.stream(zip_of(sf.stream(left).filter(lambda number: number % 64 == 63), right)).collect()

    with asyncio.Runner(loop_factory=StepLoop) as runner:
        if deadlock:
            with pytest.raises(DeadlockError):
                runner.run(main())
        else:
            assert runner.run(main()) == [(63, 0), (127, 1), (191, 2)]


async def zip_of(*sources: Any) -> AsyncIterator[tuple[Any, ...]]:
    """Zip as an operator does, with one item read ahead."""
    async with AsyncExitStack() as stack:
        readers = [await stack.enter_async_context(reading(source, maxsize=1)) for source in sources]
        with suppress(sf.EndOfChannel):
            while True:
                yield tuple([await reader.get() for reader in readers])


async def test_branches_read_one_after_the_other_are_no_deadlock_within_the_bound() -> None:
    """H46: the bound states how far they may be apart."""
    left, right = tee(range(10), maxsize=10)

    assert await sf.stream(left).collect() == await sf.stream(right).collect()


def test_tee_cancelled_after_every_step_leaves_nothing_behind() -> None:
    class Scene:
        def __init__(self) -> None:
            self.source = TrackedSource(range(4), delay=0)
            self.got: list[list[int]] = [[], []]

        async def __call__(self) -> None:
            async with AsyncExitStack() as stack:
                branches = [aiter(way) for way in tee(self.source, maxsize=1)]
                for items in branches:  # a task that is cancelled before its first step closes nothing
                    stack.push_async_callback(lambda items=items: finish(items.aclose()))
                async with asyncio.TaskGroup() as group:
                    for got, items, limit in zip(self.got, branches, (4, 2), strict=True):
                        group.create_task(self.read(items, got, limit))

        async def read(self, items: Any, got: list[int], limit: int) -> None:
            async with aclosing(items):
                async for item in items:
                    got.append(item)
                    if len(got) == limit:
                        return

    def check(scene: Scene, outcome: Outcome) -> None:
        scene.source.verify()
        assert outcome.ended != "returned" or scene.got == [[0, 1, 2, 3], [0, 1]]

    cancel_everywhere(Scene, check)
