"""cancel_everywhere finds the hazards that plain tests miss, and is silent on code that is right."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import anyio
import pytest

from streamflow.errors import UsageError
from streamflow.testing import KINDS, CancellationFailure, StepLoop, cancel_everywhere
from streamflow.testing.ways import SiblingFailed

NATIVE = ("task", "twice", "timeout", "taskgroup_sibling")


def anything_goes(state, outcome):
    pass


class Handover:
    """One item goes from a producer through a queue of one place to a consumer; afterwards it must be somewhere."""

    def __init__(self):
        self.queue = asyncio.Queue(1)
        self.put = 0
        self.got = []

    async def receive(self):
        return await self.queue.get()

    async def produce(self):
        for item in range(3):
            await self.queue.put(item)
            self.put += 1

    async def consume(self):
        for _ in range(3):
            self.got.append(await self.receive())

    async def __call__(self):
        producer = asyncio.create_task(self.produce())
        try:
            await self.consume()
        finally:
            producer.cancel()
            await asyncio.wait({producer})

    def check(self, outcome):
        left = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        assert [*self.got, *left] == list(range(len(self.got) + len(left))), "an item was lost"
        assert len(self.got) + len(left) >= self.put, "an item was lost"


class LossyHandover(Handover):
    """The same with the popular "get or stop" idiom of H1."""

    async def receive(self):
        getter = asyncio.ensure_future(self.queue.get())
        stop = asyncio.ensure_future(asyncio.Event().wait())
        try:
            await asyncio.wait({getter, stop}, return_when=asyncio.FIRST_COMPLETED)
            return getter.result()
        finally:
            getter.cancel()
            stop.cancel()
            await asyncio.wait({getter, stop})


class CleanWork:
    """Nested generators and a task group, with cleanup that waits: nothing is wrong here."""

    def __init__(self):
        self.closed = 0

    async def numbers(self):
        try:
            for number in range(3):
                await asyncio.sleep(1)
                yield number
        finally:
            self.closed += 1

    async def __call__(self):
        async with contextlib.aclosing(self.numbers()) as numbers, asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(5))
            return [number async for number in numbers]


def test_a_right_scenario_passes_in_every_way_and_the_runs_are_counted():
    outcomes = []

    def check(state, outcome):
        outcomes.append(outcome)
        if outcome.ended == "returned":
            assert outcome.value == [0, 1, 2]
            assert state.closed == 1

    runs = cancel_everywhere(CleanWork, check)

    assert runs == len(outcomes) > 60
    for kind in KINDS:
        mine = [outcome for outcome in outcomes if outcome.kind == kind]
        assert [outcome.step for outcome in mine] == [None, *range(len(mine) - 1)]
        assert (mine[0].ended, mine[1].ended) == ("returned", "cancelled")


def test_a_right_handover_loses_nothing():
    """X22"""
    assert cancel_everywhere(Handover, Handover.check) > 60


@pytest.mark.parametrize("kind", ["task", "timeout", "taskgroup_sibling"])
def test_the_item_lost_by_get_or_stop_is_found(kind):
    """H1"""
    with pytest.raises(CancellationFailure, match="an item was lost"):
        cancel_everywhere(LossyHandover, LossyHandover.check, kinds=(kind,))


def test_the_item_lost_by_anyio_memory_streams_is_found():
    """H6"""

    class Rendezvous:
        def __init__(self):
            self.send, self.receive = anyio.create_memory_object_stream(0)
            self.sent, self.got = 0, 0

        async def __call__(self):
            asyncio.get_running_loop().call_later(1, self.hand_over)
            with self.send, self.receive:
                await self.receive.receive()
                self.got += 1

        def hand_over(self):
            with contextlib.suppress(anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
                self.send.send_nowait("item")
                self.sent += 1

        def check(self, outcome):
            with self.send, self.receive:
                assert self.sent == self.got, "an item was lost"

    with pytest.raises(CancellationFailure, match="an item was lost"):
        cancel_everywhere(Rendezvous, Rendezvous.check, kinds=("task",))


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="wait_for was rewritten in 3.12")
def test_the_cancellation_that_wait_for_swallows_is_found():
    """H2"""

    async def scenario():
        queue = asyncio.Queue()
        asyncio.get_running_loop().call_later(1, queue.put_nowait, "item")
        return await asyncio.wait_for(queue.get(), 10)

    with pytest.raises(CancellationFailure, match="swallowed: the scenario returned 'item'"):
        cancel_everywhere(scenario, anything_goes, kinds=("task",))


@pytest.mark.parametrize("kind", NATIVE)
def test_a_swallowed_cancellation_is_found(kind):
    """X7"""

    async def scenario():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)

    with pytest.raises(CancellationFailure, match="swallowed"):
        cancel_everywhere(scenario, anything_goes, kinds=(kind,))


class ShieldedOnce:
    """Cleanup that survives one native cancellation, wherever it comes, and no more."""

    def __init__(self):
        self.begun = self.done = False

    async def clean(self):
        for _ in range(6):
            await asyncio.sleep(0)
        self.done = True

    async def __call__(self):
        self.begun = True
        try:
            await asyncio.sleep(1)
        finally:
            cleanup = asyncio.ensure_future(self.clean())
            try:
                await asyncio.shield(cleanup)
            except asyncio.CancelledError:
                await cleanup
                raise

    def check(self, outcome):
        assert self.begun == self.done, "the cleanup was cut short"


def test_cleanup_that_survives_one_cancellation_passes_where_there_is_one():
    assert cancel_everywhere(ShieldedOnce, ShieldedOnce.check, kinds=("task", "timeout", "taskgroup_sibling")) > 30


def test_a_second_cancel_in_the_cleanup_is_found():
    """H20"""
    with pytest.raises(CancellationFailure, match=r"'twice', cancelled after step \d+: .*cut short"):
        cancel_everywhere(ShieldedOnce, ShieldedOnce.check, kinds=("twice",))


@pytest.mark.parametrize("kind", ["anyio_scope", "anyio_group"])
def test_cleanup_that_awaits_under_an_anyio_scope_is_found(kind):
    """H25, H26: a level-triggered cancellation strikes at every await."""
    with pytest.raises(CancellationFailure, match="cut short"):
        cancel_everywhere(ShieldedOnce, ShieldedOnce.check, kinds=(kind,))


def test_a_cancellation_that_does_not_reach_the_scope_is_found():
    async def scenario():
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            pass
        else:
            return
        raise asyncio.CancelledError  # another one: the scope does not know it

    with pytest.raises(CancellationFailure, match="did not reach who asked for it: CancelledError"):
        cancel_everywhere(scenario, anything_goes, kinds=("anyio_scope",))


def test_a_stray_cancelled_error_is_found():
    """H12"""

    async def scenario():
        raise asyncio.CancelledError

    with pytest.raises(CancellationFailure, match=r"'task', in the undisturbed run: .*nobody had asked for"):
        cancel_everywhere(scenario, anything_goes)


def test_a_task_left_marked_as_cancelled_is_found():
    """H15"""

    async def absorbs_its_own():
        asyncio.current_task().cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    async def and_says_so():
        await absorbs_its_own()
        asyncio.current_task().uncancel()

    for kind in ("task", "timeout", "anyio_scope"):
        with pytest.raises(CancellationFailure, match="still marked as cancelled"):
            cancel_everywhere(absorbs_its_own, anything_goes, kinds=(kind,))
        assert cancel_everywhere(and_says_so, anything_goes, kinds=(kind,), only=9) == 2


def test_a_task_that_outlives_the_cancellation_is_found():
    kept = []

    async def awaited():
        kept.append(asyncio.create_task(asyncio.sleep(5), name="child"))
        await kept[-1]

    async def shielded():
        kept.append(asyncio.create_task(asyncio.sleep(5), name="orphan"))
        await asyncio.shield(kept[-1])

    assert cancel_everywhere(awaited, anything_goes, kinds=("task",)) > 3
    with pytest.raises(CancellationFailure, match="1 left behind:\n- pending: Task 'orphan'"):
        cancel_everywhere(shielded, anything_goes, kinds=("task",))


def test_a_hang_after_the_cancellation_is_found():
    async def scenario():
        try:
            await asyncio.sleep(1)
        finally:
            if asyncio.current_task().cancelling() == 1:
                await asyncio.Event().wait()

    with pytest.raises(CancellationFailure, match="DeadlockError: Nothing can happen any more"):
        cancel_everywhere(scenario, anything_goes, kinds=("task",))


def test_an_unexpected_error_fails_the_run_and_an_expected_one_does_not():
    async def scenario():
        await asyncio.sleep(1)
        raise ValueError("bad row")

    seen = []
    runs = cancel_everywhere(scenario, lambda _, outcome: seen.append(outcome.ended), errors=(ValueError,))

    assert set(seen) == {"failed", "cancelled"}
    assert runs == len(seen)
    with pytest.raises(CancellationFailure, match="the scenario failed with ValueError") as caught:
        cancel_everywhere(scenario, anything_goes)
    assert caught.value.step is None


def test_the_report_says_where_it_stood_and_how_to_replay_that_run_alone():
    with pytest.raises(CancellationFailure) as caught:
        cancel_everywhere(LossyHandover, LossyHandover.check, kinds=("task",), seed=5)
    failure = caught.value

    assert f"kinds=('task',), only={failure.step}, seed=5)" in str(failure)
    assert "When it was cancelled: Task 'scenario' waits at" in str(failure)
    with pytest.raises(CancellationFailure) as again:
        cancel_everywhere(LossyHandover, LossyHandover.check, kinds=("task",), only=failure.step, seed=5)
    assert again.value.step == failure.step


def test_a_replay_is_one_undisturbed_run_and_the_one_asked_for():
    seen = []

    runs = cancel_everywhere(CleanWork, lambda _, outcome: seen.append(outcome.step), kinds=("task",), only=3)

    assert (runs, seen) == (2, [None, 3])


def test_a_stride_leaves_out_the_steps_between():
    seen = []

    cancel_everywhere(CleanWork, lambda _, outcome: seen.append(outcome.step), kinds=("task",), stride=4)

    assert seen[:4] == [None, 0, 4, 8]


def test_every_run_gets_fresh_state_and_a_plain_function_gets_none():
    states = []

    cancel_everywhere(CleanWork, lambda state, _: states.append(state), kinds=("task",))
    assert len(set(map(id, states))) == len(states)

    async def scenario():
        await asyncio.sleep(0)

    states.clear()
    cancel_everywhere(scenario, lambda state, _: states.append(state), kinds=("task",))
    assert set(states) == {None}


def test_the_check_may_be_async():
    async def check(state, outcome):
        await asyncio.sleep(600)
        assert isinstance(asyncio.get_running_loop(), StepLoop)
        assert outcome.step != 2, "seen"

    with pytest.raises(CancellationFailure, match=r"cancelled after step 2: AssertionError: seen"):
        cancel_everywhere(CleanWork, check, kinds=("task",))


def test_a_scenario_cancelled_before_it_starts_does_nothing():
    """X1"""
    started = []

    async def scenario():
        started.append(1)
        await asyncio.sleep(0)

    cancel_everywhere(scenario, anything_goes, kinds=("task",), only=0)

    assert started == [1]  # the undisturbed run


def test_an_unknown_kind_is_refused():
    with pytest.raises(UsageError, match=r"'sigterm' is no kind of cancellation\. The kinds are task, twice"):
        cancel_everywhere(CleanWork, anything_goes, kinds=("sigterm",))


def test_the_siblings_own_failure_is_no_failure_of_the_scenario():
    def check(state, outcome):
        assert not isinstance(outcome.error, SiblingFailed)

    assert cancel_everywhere(CleanWork, check, kinds=("taskgroup_sibling",)) > 10
