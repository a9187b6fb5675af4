"""Stages nested in one task: each ending at every position, as for stages in tasks of their own (test_endings.py)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import anyio
import pytest

import streamflow as sf
from streamflow.engine.generators import Generators, Nest
from streamflow.testing import cancel_everywhere
from tests.engine.scenes import FAILING, STOPPING, Boom, Scene, places

SHAPES = {
    "two": ("generator", "generator"),
    "scope": ("generator", "scoped", "generator"),
    "synchronous": ("map", "filter"),
    "mixed": ("map", "generator", "filter", "tap", "generator"),
    "awaiting": ("filter", "awaiting", "scoped", "map"),
    "concurrent first": ("concurrent", "generator"),
    "concurrent between": ("generator", "scoped", "concurrent", "generator"),
    "batches": ("generator", "batch", "unbatch", "generator"),
}
shapes = pytest.mark.parametrize("kinds", SHAPES.values(), ids=SHAPES.keys())
sources = pytest.mark.parametrize("source", ["source", "sync source"])


class NestedScene(Scene):
    """The same stages in one `fuse`."""

    def _stages(self):
        return [sf.fuse(*super()._stages())]

    def verify(self):
        # Nested generators share a context, and who ends first leaves it to the others as it is.
        self.wrong = [wrong for wrong in self.wrong if "context" not in wrong]
        super().verify()

    def verify_account(self):
        stats = self.job.stats()
        assert stats.balanced
        assert stats.finished
        if self.kinds[0] == "source":
            assert stats.stages[0].items_out == self.made[0]
        assert stats.stages[-1].items_in == self.taken[-1]


@shapes
@sources
@pytest.mark.parametrize("maxsize", [1, 3])
async def test_exhausted_every_stage_ends_and_the_sink_commits_everything(kinds, source, maxsize):
    """C1, C2"""
    for total in (0, 1, 2, 20):
        scene = NestedScene(*kinds, source=source, items=range(total), maxsize=maxsize)

        assert await scene.run() == list(range(total))
        assert scene.outcome == "committed"
        scene.verify()


@shapes
@sources
async def test_failure_at_every_position_closes_everything_once_and_surfaces_as_itself(kinds, source):
    """E1, P4"""
    everywhere = (source, *kinds, "sink")
    for at, number in itertools.product(places(everywhere, FAILING), (1, 2, 9)):
        error = Boom(at, number)
        scene = NestedScene(*kinds, source=source, fail=(at, number, error))

        with pytest.raises(Boom) as caught:
            await scene.run()

        assert caught.value is error
        assert scene.outcome in {None, "aborted"}  # None: it never began
        scene.verify()


@pytest.mark.parametrize("kinds", [shape for name, shape in SHAPES.items() if name != "synchronous"])
async def test_a_note_tells_which_of_them_raised(kinds):
    """P4"""
    for at in places(("source", *kinds, "sink"), FAILING):
        scene = NestedScene(*kinds, fail=(at, 3, Boom()))
        with pytest.raises(Boom) as caught:
            await scene.run()

        told = [note for note in caught.value.__notes__ if note.startswith("raised by stage ")]
        wanted = [f"raised by stage {at} of the {len(kinds)} "] if 0 < at <= len(kinds) else []
        assert [note[: len(start)] for note, start in zip(told, wanted, strict=True)] == wanted


@shapes
@sources
@pytest.mark.parametrize("maxsize", [1, 3])
async def test_enough_at_every_position_closes_what_is_above_and_is_success(kinds, source, maxsize):
    """C5, P3"""
    everywhere = (source, *kinds, "sink")
    for at, number in itertools.product(places(everywhere, STOPPING), (0, 1, 3)):
        if number == 0 and everywhere[at] == "map":
            continue
        scene = NestedScene(*kinds, source=source, enough=(at, number), maxsize=maxsize)

        await scene.run()

        assert scene.outcome == "committed"
        scene.verify()


@shapes
@sources
async def test_cancelled_everything_is_closed_once(kinds, source):
    """P7"""
    for held in (1, 4):
        scene = NestedScene(*kinds, source=source, hold=held)
        task = asyncio.create_task(scene.run())
        await scene.holding.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert scene.outcome == "aborted"
        scene.verify()


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [SHAPES["scope"], SHAPES["mixed"], SHAPES["concurrent between"]])
def test_cancelled_after_every_step_everything_is_closed_once(kinds):
    scenes = []

    async def scenario():
        scenes.append(NestedScene(*kinds, items=range(2)))
        return await scenes[-1].run()

    def check(_state, _outcome):
        # Who ends by itself just then may get its one cancellation inside its `finally`.
        events = scenes[-1].events
        assert sorted(at for what, at in events if what == "open") == sorted(
            at for what, at in events if what == "closing"
        )
        assert [wrong for wrong in scenes[-1].wrong if "context" not in wrong] == []
        assert scenes[-1].job.stats().balanced

    cancel_everywhere(scenario, check, kinds=("task", "anyio_scope"))


# --- closing ---------------------------------------------------------------------------------------------------------


def stage(name, log, *, fails=None):
    async def passing(items):
        try:
            async for item in items:
                yield item
        finally:
            log.append(name)
            if fails is not None:
                raise fails

    return sf.Stage(passing, name=name)


async def first_of(*stages):
    """Take one item and leave, while the stages are parked: they stand at a `yield` and are closed, not cancelled."""
    async with sf.stream(itertools.count()).through(sf.fuse(*stages)).open(maxsize=1) as items:
        item = await anext(items)
        for _ in range(9):
            await asyncio.sleep(0)
    return item


async def test_they_are_closed_outside_in():
    log = []

    assert await first_of(*(stage(name, log) for name in "abc")) == 0

    assert log == ["c", "b", "a"]


async def test_what_fails_in_closing_does_not_keep_the_others_open():
    log, error = [], OSError("of b")
    three = [stage("a", log), stage("b", log, fails=error), stage("c", log)]

    with pytest.raises(OSError, match="of b"):
        await first_of(*three)

    assert log == ["c", "b", "a"]


async def test_two_that_fail_in_closing_come_as_a_group():
    """P4"""
    log = []
    three = [stage("a", log, fails=OSError("of a")), stage("b", log), stage("c", log, fails=OSError("of c"))]

    with pytest.raises(ExceptionGroup) as caught:
        await first_of(*three)

    assert [str(error) for error in caught.value.exceptions] == ["of c", "of a"]
    assert log == ["c", "b", "a"]


async def test_what_fails_in_closing_is_told_on_the_error_that_was_first():
    """P4: the first failure is raised, and does not hide the second."""

    async def failing(items):
        async for _ in items:
            raise Boom
            yield

    with pytest.raises(Boom) as caught:
        await sf.stream(itertools.count()).fuse(stage("a", [], fails=OSError("of a")), failing).collect()

    assert "while closing what it came through, there was also OSError: of a" in caught.value.__notes__


async def test_an_error_in_closing_reaches_the_sink_before_it_commits():
    """E15"""

    async def enough(items):
        async for item in items:
            yield item
            break

    committed = []

    async def sink(items):
        async for _ in items:
            pass
        committed.append(True)

    with pytest.raises(OSError, match="of a"):
        await sf.pipeline(itertools.count(), sf.fuse(stage("a", [], fails=OSError("of a")), enough), sink)

    assert committed == []


async def test_by_hand_they_are_closed_outside_in_too():
    log = []

    async def numbers():
        yield 0
        yield 1

    async with (
        contextlib.aclosing(numbers()) as source,
        contextlib.aclosing(sf.fuse(*(stage(name, log) for name in "abc"))(source)) as items,
    ):
        assert await anext(items) == 0

    assert log == ["c", "b", "a"]


async def test_what_is_its_users_to_close_is_kept_open():
    log = []
    items = stage("a", log)(sf.stream([1, 2]))
    async with Generators([items], keep=True) as given:
        assert await anext(given) == 1
    assert log == []
    await items.aclose()


# --- one task, one generator in the other ----------------------------------------------------------------------------


async def test_nothing_stands_between_them():
    """No generator is pulled for an item but those of the stages, and the reader's."""
    seen = []

    async def outer(items):
        seen.append(aiter(items))
        async for item in items:
            yield item

    inner = stage("inner", [])
    async with Nest([inner, sf.Stage(outer)], sf.stream([1])) as flow:
        assert flow.ag_code is outer.__code__
        assert [item async for item in flow] == [1]

    assert seen[0].ag_code is inner.function.__code__


async def test_a_stage_may_leave_its_input_and_take_it_up_again():
    async def header_first(items):
        async for item in items:
            yield f"header {item}"
            break
        yield await anext(items)
        async for item in items:
            yield item

    got = await sf.stream(range(4)).fuse(stage("a", []), header_first).collect()

    assert got == ["header 0", 1, 2, 3]


async def test_a_stage_that_reads_in_another_task_has_its_input_closed_there():
    """P7"""
    closed = []

    async def inner(items):
        task = asyncio.current_task()
        try:
            async with asyncio.timeout(60):
                async for item in items:
                    yield item
        finally:
            closed.append(asyncio.current_task() is task)

    async def in_a_task(items):
        async def read():
            return [item async for item in items]

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
        for item in reading.result():
            yield item

    assert await sf.stream(range(3)).fuse(inner, inner, in_a_task).collect() == [0, 1, 2]
    assert await sf.stream(range(9)).fuse(inner, inner, sf.timeout(between=60)).take(2).collect() == [0, 1]
    assert closed == [True] * 4


async def test_who_hangs_is_found_inside():
    """StageDidNotStop names the line."""
    hangs, release = asyncio.Event(), asyncio.Event()

    async def hanging(items):
        async for item in items:
            hangs.set()
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()
            yield item

    task = asyncio.create_task(sf.pipeline(range(9), sf.fuse(hanging, stage("b", [])), sf.collect(), grace=0.01))
    await hangs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    release.set()
    for _ in range(9):
        await asyncio.sleep(0)

    assert f"{__file__}:{hanging.__code__.co_firstlineno + 5}" in "".join(caught.value.__notes__)


# --- scopes around a yield -------------------------------------------------------------------------------------------


async def test_a_timeout_of_the_last_one_strikes_it_where_it_stands():
    """H32"""

    async def impatient(items):
        try:
            async with asyncio.timeout(0.01):
                async for item in items:
                    yield item
        except TimeoutError:
            yield "late"

    got = await run_into_a_slow_sink(stage("a", []), impatient)

    assert got == [*range(len(got) - 1), "late"]


async def test_a_timeout_of_an_inner_one_ends_them_all_as_itself():
    """H32: the others were at a `yield` and are cancelled."""
    log = []

    async def impatient(items):
        async with asyncio.timeout(0.01):
            async for item in items:
                yield item

    with pytest.raises(TimeoutError) as caught:
        await run_into_a_slow_sink(impatient, stage("b", log), stage("c", log))

    assert "raised by stage 1 of the 3 that are nested here: " in caught.value.__notes__[0]
    assert log == ["c", "b"]


async def test_a_task_group_of_an_inner_one_ends_them_all_with_its_error():
    """H33"""

    async def grouped(items):
        async def child():
            await asyncio.sleep(0.005)
            raise OSError("upstream reset")

        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            async for item in items:
                yield item

    with pytest.raises(ExceptionGroup) as caught:
        await run_into_a_slow_sink(grouped, stage("b", []))

    assert [str(error) for error in caught.value.exceptions] == ["upstream reset"]


async def test_a_scope_of_an_inner_one_that_would_go_on_is_an_error_and_no_silent_end():
    """H33, P2"""

    async def cut(items):
        with anyio.move_on_after(0.005):
            async for item in items:
                yield item

    async def cut_and_on(items):
        with anyio.move_on_after(0.005):
            async for item in items:
                yield item
        yield "more"

    for inner in (cut, cut_and_on):
        with pytest.raises(sf.StageError, match="leave the stage with that scope out of"):
            await run_into_a_slow_sink(inner, stage("b", []))


async def run_into_a_slow_sink(*stages):
    got = []

    async def slow(items):
        async for item in items:
            got.append(item)
            await asyncio.sleep(0.002)

    await sf.pipeline(itertools.count(), sf.fuse(*stages), slow, maxsize=2)
    return got
