"""The four endings, each with the event at every position of pipelines of mixed stages."""

from __future__ import annotations

import asyncio
import gc
import itertools
import sys
import time
import weakref

import anyio
import pytest

import streamflow as sf
from tests.engine.scenes import FAILING, STOPPING, Boom, Scene, places

SHAPES = {
    "bare": (),
    "one generator": ("generator",),
    "one map": ("map",),
    "fused": ("map", "filter", "tap", "flat_map"),
    "generators": ("generator", "generator", "generator"),
    "scopes": ("scoped", "scoped"),
    "around a fused run": ("generator", "map", "filter", "generator"),
    "awaiting in a fused run": ("filter", "awaiting", "map", "filter"),
    "concurrent": ("map", "concurrent", "generator"),
    "buffers": ("map", "buffer", "map", "generator", "buffer"),
    "batches": ("generator", "batch", "unbatch", "scoped"),
    "eight": ("map", "generator", "concurrent", "scoped", "flat_map", "tap", "generator", "awaiting"),
}
shapes = pytest.mark.parametrize("kinds", SHAPES.values(), ids=SHAPES.keys())
sources = pytest.mark.parametrize("source", ["source", "sync source"])


@shapes
@sources
@pytest.mark.parametrize("maxsize", [1, 3])
async def test_exhausted_every_stage_ends_and_the_sink_commits_everything(kinds, source, maxsize):
    """C1, C2, F9"""
    for total in (0, 1, 2, 20):
        scene = Scene(*kinds, source=source, items=range(total), maxsize=maxsize)

        assert await scene.run() == list(range(total))
        assert scene.outcome == "committed"
        assert scene.events[-1] == ("closed", len(scene.kinds) - 1)
        scene.verify()


@shapes
@sources
async def test_failure_at_every_position_closes_everything_once_and_surfaces_as_itself(kinds, source):
    """E1, E15, H11, H16, H17"""
    everywhere = (source, *kinds, "sink")
    for at, number in itertools.product(places(everywhere, FAILING), (1, 2, 9)):
        error = Boom(at, number)
        scene = Scene(*kinds, source=source, fail=(at, number, error))

        with pytest.raises(Boom) as caught:
            await scene.run()

        assert caught.value is error
        assert scene.outcome == "aborted"
        if "batch" not in kinds[at:]:
            assert scene.got == list(range(number - 1))
        scene.verify()
        scene.closed_before(at)


@shapes
@sources
async def test_the_note_names_the_stage_its_position_the_item_and_the_line(kinds, source):
    """P4"""
    everywhere = (source, *kinds, "sink")
    for at in places(everywhere, FAILING):
        scene = Scene(*kinds, source=source, fail=(at, 7, Boom()))

        with pytest.raises(Boom) as caught:
            await scene.run()

        *more, note = caught.value.__notes__
        assert f"in stage {at + 1} of {len(everywhere)} of scene: " in note
        assert f"{__file__.rpartition('/')[0]}/scenes.py:" in note
        assert more == (["it was the call for item 7"] if everywhere[at] == "concurrent" else [])
        assert (", at item 7 (added at" in note) == bool(at and not more)
        assert ("at item" in note) == bool(at and not more)


@shapes
async def test_failure_before_the_first_item_and_after_the_last(kinds):
    """E1, E15: also while flushing."""
    everywhere = ("source", *kinds, "sink")
    for at, number in itertools.product(places(everywhere, {"source", "generator", "scoped", "sink"}), (0, -1)):
        scene = Scene(*kinds, items=range(5) if number else None, fail=(at, number, Boom()))

        with pytest.raises(Boom):
            await scene.run()

        assert scene.outcome == "aborted"
        scene.verify()


@shapes
@sources
@pytest.mark.parametrize("maxsize", [1, 3])
async def test_enough_at_every_position_closes_what_is_above_and_is_success(kinds, source, maxsize):
    """C3, C10"""
    everywhere = (source, *kinds, "sink")
    for at, number in itertools.product(places(everywhere, STOPPING), (0, 1, 2, 9)):
        scene = Scene(*kinds, source=source, enough=(at, number), maxsize=maxsize)

        assert await scene.run() == list(range(number))
        assert scene.outcome == "committed"
        scene.verify()
        scene.closed_before(at)
        if at < len(everywhere) - 1 and scene.opened(0):  # the sink saw a clean end only when all above was closed
            end = scene.events.index(("closing", len(everywhere) - 1))
            assert scene.events.index(("closed", 0)) < end


@shapes
@sources
async def test_cancelled_everything_is_closed_one_after_another_sink_first(kinds, source):
    """X2, X15, X16"""
    for held in (1, 4):
        scene = Scene(*kinds, source=source, hold=held)
        task = asyncio.create_task(scene.run())
        await scene.holding.wait()
        for _ in range(50):
            await asyncio.sleep(0)  # everything is full and parked

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert scene.outcome == "aborted"
        scene.verify()
        scene.closed_before(len(scene.kinds) - 1)


@shapes
async def test_a_stage_may_catch_the_error_of_a_stage_above(kinds):
    """P3: it arrives at its `async for`, after the items before it."""

    async def catching(items):
        try:
            async for item in items:
                yield item
        except Boom:
            yield "caught"
        async for _ in items:
            yield "never"  # after a failure iteration simply ends (X10)

    everywhere = ("source", *kinds, "sink")
    for at in places(everywhere[:-1], FAILING):
        scene = Scene(*kinds, fail=(at, 4, Boom()))
        flow = sf.stream(scene._source("source"))
        for stage in scene._stages():
            flow = flow.through(stage)

        got = await flow.through(catching).collect()

        assert got[-1] == "caught"
        assert got[:-1] == list(range(len(got) - 1))
        if "batch" not in kinds[at:]:
            assert len(got) == 4


# --- errors --------------------------------------------------------------------------------------------------------


class Falsy(Exception):
    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        return 0


@shapes
async def test_falsy_errors_are_carried(kinds):
    """E7"""
    everywhere = ("source", *kinds, "sink")
    for at in places(everywhere, FAILING):
        scene = Scene(*kinds, fail=(at, 2, Falsy()))
        with pytest.raises(Falsy):
            await scene.run()
        assert scene.outcome == "aborted"
        scene.verify()


async def test_falsy_items_are_data():
    """E7"""
    falsy = [0, "", None, False, 0.0, (), [], b"", {}]

    async def stage(items):
        async for item in items:
            yield item

    got = await sf.pipeline(falsy, sf.map(lambda x: x), stage, sf.buffer(1), sf.tap(lambda x: None), sf.collect())

    assert all(a is b for a, b in zip(got, falsy, strict=True))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_keyboard_interrupt_and_system_exit_in_a_stage_leave_through_the_pipeline_after_cleanup(error, at):
    """H22"""
    scene = Scene("generator", "map", fail=(at, 3, error("stop")))
    after = []

    async def main():
        try:
            await scene.run()
        except BaseException as raised:
            after.append((raised, list(scene.events)))
            raise

    with pytest.raises(error) as caught:
        asyncio.run(main())

    [(raised, events)] = after
    assert raised is caught.value
    assert [at for event, at in events if event == "closed"] != []
    assert scene.outcome == "aborted"
    scene.verify()


async def test_a_stray_cancelled_error_is_an_error_of_its_stage():
    """H12: a future that a library cancels is no end of stream."""
    for kinds in SHAPES.values():
        everywhere = ("source", *kinds, "sink")
        for at in places(everywhere, {"source", "generator", "scoped", "concurrent", "sink", "awaiting"}):
            scene = Scene(*kinds, fail=(at, 3, asyncio.CancelledError("pool closed")))

            with pytest.raises(sf.StageCancelled) as caught:
                await scene.run()

            assert isinstance(caught.value.__cause__, asyncio.CancelledError)
            assert f"in stage {at + 1} of" in caught.value.__notes__[-1]
            assert scene.outcome == "aborted"
            assert asyncio.current_task().cancelling() == 0
            scene.verify()


async def test_stop_async_iteration_out_of_a_stage_is_an_error():
    """H36, PEP 479"""

    class Source:
        def __aiter__(self):
            raise StopAsyncIteration

    async def sink(items):
        await anext(aiter(items))

    def sync_source():
        raise StopAsyncIteration
        yield

    for source, end in ((Source(), sf.collect()), (sync_source, sf.collect()), ([], sink)):
        with pytest.raises(RuntimeError, match="StopAsyncIteration") as caught:
            await sf.pipeline(source, end)
        assert isinstance(caught.value.__cause__, StopAsyncIteration)


async def test_both_ends_failing_at_once_come_as_a_group_sink_first():
    """E6"""

    async def source():
        yield 1
        raise ValueError("source")

    async def sink(items):
        async for _ in items:
            for _ in range(10):
                await asyncio.sleep(0)  # the source has failed by now
            raise OSError("sink")

    with pytest.raises(ExceptionGroup) as caught:
        await sf.pipeline(source, sink)

    assert [str(error) for error in caught.value.exceptions] == ["sink", "source"]
    assert all("in stage" in error.__notes__[0] for error in caught.value.exceptions)


async def test_an_error_while_ending_the_source_is_shown_beside_the_error_of_the_sink():
    """E4"""

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise OSError("closing the source")

    async def sink(items):
        async for _ in items:
            raise ValueError("sink")

    with pytest.raises(ExceptionGroup) as caught:
        await sf.pipeline(source, sink)

    assert [str(error) for error in caught.value.exceptions] == ["sink", "closing the source"]


async def test_an_error_ahead_of_what_was_wanted_is_no_error():
    """P3: nested generators would not have got so far."""

    async def source():
        yield 1
        yield 2
        raise ValueError("nobody asked for a third")

    assert await sf.pipeline(source, sf.take(2), sf.collect()) == [1, 2]
    assert await sf.pipeline(source, sf.first()) == 1


async def test_an_error_while_closing_above_reaches_the_sink_before_it_commits():
    """E15"""
    outcome = []

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise OSError("the trailer was wrong")

    async def sink(items):
        try:
            async for _ in items:
                pass
        except OSError:
            outcome.append("aborted")
            raise
        outcome.append("committed")

    with pytest.raises(OSError, match="the trailer was wrong") as caught:
        await sf.pipeline(source, sf.take(3), sink)

    assert outcome == ["aborted"]
    assert "in stage 1 of 3" in caught.value.__notes__[0]


async def test_a_stage_that_handles_an_error_while_closing_above_has_handled_it():
    """P3"""

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise OSError("closing")

    async def forgiving(items):
        try:
            async for item in items:
                yield item
        except OSError:
            yield "handled"

    assert await sf.pipeline(source, sf.take(1), sf.map(str), forgiving, sf.collect()) == ["0", "handled"]


async def test_a_consequence_in_its_own_words_keeps_the_cause():
    """E3: a stage may replace the error; then its own is raised, with the cause attached."""

    async def source():
        yield 1
        raise ValueError("the cause")

    async def translating(items):
        try:
            async for item in items:
                yield item
        except ValueError as error:
            raise KeyError("translated") from error

    with pytest.raises(KeyError) as caught:
        await sf.pipeline(source, translating, sf.collect())

    assert str(caught.value.__cause__) == "the cause"
    assert "in stage 1 of 3" in caught.value.__cause__.__notes__[0]
    assert "in stage 2 of 3" in caught.value.__notes__[0]


async def test_an_error_whose_message_fails_still_ends_the_run():
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def fail(_):
        raise Mute

    with pytest.raises(Mute):
        async for _ in sf.stream([1]).map(fail):
            pass


async def test_a_finished_error_overtakes_no_item():
    """H17: what was emitted before the failure reaches the sink, however slow it is."""
    got = []

    async def source():
        for number in range(5):
            yield number
        raise ConnectionError("reset")

    async def slow(items):
        async for item in items:
            for _ in range(20):
                await asyncio.sleep(0)
            got.append(item)

    with pytest.raises(ConnectionError):
        await sf.pipeline(source, slow)

    assert got == [0, 1, 2, 3, 4]


# --- cleanup -------------------------------------------------------------------------------------------------------


async def test_a_stage_that_yields_in_its_cleanup_is_reported_by_name():
    """H35"""

    async def trailing(items):
        try:
            async for item in items:
                yield item
        finally:
            yield "trailer"

    closed = []

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            closed.append("source")

    async def one(items):
        async for item in items:
            yield item
            for _ in range(20):  # until `trailing` stands at its `yield`, where there is no room, however slow it is
                await asyncio.sleep(0)
            return

    with pytest.raises(RuntimeError, match="ignored GeneratorExit") as caught:
        await sf.pipeline(source, trailing, one, sf.collect(), maxsize=1)

    assert "'trailing'" in caught.value.__notes__[0]
    assert closed == ["source"]


async def test_a_timeout_around_yield_that_strikes_in_backpressure_is_the_stages_own():
    """H32: the item that was handed over is delivered, then the stage's TimeoutError."""
    gate = asyncio.Event()
    got = []

    async def impatient(items):
        async with asyncio.timeout(0.02):
            async for item in items:
                yield item

    async def stuck(items):
        async for item in items:
            got.append(item)
            await gate.wait()

    task = asyncio.create_task(sf.pipeline(itertools.count(), impatient, stuck, maxsize=2))
    await asyncio.sleep(0.04)
    gate.set()
    with pytest.raises(TimeoutError) as caught:
        await task

    assert "'impatient'" in caught.value.__notes__[0]
    assert got == list(range(len(got)))
    assert len(got) == 4  # one taken, two in the channel, one that waited for room


@pytest.mark.parametrize("scope", ["timeout", "anyio"])
async def test_a_stage_may_handle_a_scope_that_struck_at_its_yield_and_go_on(scope):
    """H32, H33"""

    async def limited(items):
        rest = aiter(items)
        if scope == "timeout":
            try:
                async with asyncio.timeout(0.02):
                    async for item in rest:
                        yield item
            except TimeoutError:
                pass
        else:
            with anyio.move_on_after(0.02):
                async for item in rest:
                    yield item
        yield "struck"
        for _ in range(3):
            yield await anext(rest)

    got = []

    async def slow(items):
        async for item in items:
            got.append(item)
            await asyncio.sleep(0.01)

    await sf.pipeline(itertools.count(), limited, slow, maxsize=2)

    at = got.index("struck")
    assert got[:at] + got[at + 1 :] == list(range(len(got) - 1))
    assert len(got) == at + 4


async def test_a_reader_that_a_stage_closes_itself_ends_what_is_above_undisturbed():
    """X15: the request that follows when the stage ends must not cut the cleanup that has begun already."""
    log = []

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            log.append("source")

    async def leaving(items):
        yield await anext(items)
        await items.close()
        for _ in range(5):
            await asyncio.sleep(0)
        yield "done"

    assert await sf.pipeline(source, leaving, sf.collect(), maxsize=1) == [0, "done"]
    assert log == ["source"]


async def test_a_task_group_around_yield_whose_child_fails_fails_the_stage():
    """H33"""
    fail = asyncio.Event()

    async def grouped(items):
        async def child():
            await fail.wait()
            raise OSError("upstream reset")

        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            async for item in items:
                yield item

    async def slow(items):
        async for _ in items:
            fail.set()
            await asyncio.sleep(0.002)

    with pytest.raises(ExceptionGroup) as caught:
        await sf.pipeline(itertools.count(), grouped, slow, maxsize=2)

    [error] = caught.value.exceptions
    assert str(error) == "upstream reset"
    assert "'grouped'" in caught.value.__notes__[0]


async def test_a_task_group_around_yield_is_closed_cleanly_by_an_early_end():
    """H33: its GeneratorExit group is a stop, what its children raise while stopping is not."""

    async def native(items):
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(3600))
            async for item in items:
                yield item

    async def of_anyio(items):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 3600)
            async for item in items:
                yield item

    async def failing(items):
        async def child():
            try:
                await asyncio.sleep(3600)
            finally:
                raise OSError("while stopping")

        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            async for item in items:
                yield item

    assert await sf.pipeline(itertools.count(), native, of_anyio, sf.first(), maxsize=1) == 0
    with pytest.raises(ExceptionGroup) as caught:
        await sf.pipeline(itertools.count(), failing, sf.take(2), sf.collect(), maxsize=1)
    assert [str(error) for error in caught.value.exceptions] == ["while stopping"]


async def test_the_iterator_of_a_nested_stream_is_closed_before_control_returns():
    """P7: a source function may return a stream."""
    closed = []

    async def rows():
        try:
            for number in itertools.count():
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append("rows")

    @sf.source
    def doubled():
        return sf.stream(rows).map(lambda x: x * 2)

    assert await sf.pipeline(doubled(), sf.take(2), sf.collect()) == [0, 2]
    assert closed == ["rows"]


async def test_an_iterator_that_its_user_made_is_left_open():
    """Only what was opened for the run is closed."""

    class Cursor:
        def __init__(self):
            self.number = 0
            self.closed = False

        def __aiter__(self):
            return self

        async def __anext__(self):
            self.number += 1
            return self.number

        async def aclose(self):
            self.closed = True

    cursor = Cursor()
    channel = sf.Channel(8)
    channel.put_nowait("item")

    await sf.pipeline(cursor, sf.take(2), sf.collect())
    await sf.pipeline(channel, sf.take(1), sf.collect())

    assert not cursor.closed
    assert channel.state == "open"


async def test_wrong_stages_are_refused_before_anything_is_opened():
    """E9"""
    opened = []

    async def source():
        opened.append(1)
        yield 1

    generator = source()
    for wrong in (42, [1], "text", source()):
        with pytest.raises(sf.UsageError):
            sf.pipeline(generator, wrong, sf.collect())
        if hasattr(wrong, "aclose"):
            await wrong.aclose()

    assert opened == []
    assert await sf.pipeline(generator, sf.collect()) == [1]


async def test_a_sink_that_asks_for_nothing_lets_nothing_more_be_taken_than_the_channels_hold():
    """F1, F5"""
    scene = Scene("generator", "map", fail=(3, 0, Boom()), maxsize=2)

    with pytest.raises(Boom):
        await scene.run()

    assert scene.made[0] <= 2 + 1 + 2 + 1 + 2 + 1
    scene.verify()


async def test_a_pipeline_can_be_run_again_after_each_ending():
    scene = Scene("generator", "map", items=range(4))
    assert await scene.job.run() == [0, 1, 2, 3]
    scene.got = []
    assert await scene.job.run() == [0, 1, 2, 3]

    going = asyncio.create_task(Scene.run(scene))
    await asyncio.sleep(0)
    with pytest.raises(sf.UsageError, match="already running"):
        await scene.job.run()
    await going


async def test_cleanup_says_by_exception_how_it_ended():
    """X15, H18: cancelled stays cancelled, with the failure of the cleanup in a note."""

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise OSError("cleanup failed: 503")

    scene_task = asyncio.create_task(sf.pipeline(source, sf.for_each(lambda _: asyncio.sleep(3600)), maxsize=1))
    await asyncio.sleep(0.01)
    scene_task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await scene_task

    assert "cleanup failed: 503" in "".join(caught.value.__notes__)


async def test_no_reference_cycle_keeps_the_items_of_a_failed_run_alive():
    """H57: when the error is dropped, so is what its frames held."""

    class Item:
        pass

    alive = []

    async def source():
        for _ in range(3):
            item = Item()
            alive.append(weakref.ref(item))
            yield item
            del item

    def fail(_):
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  # raised bare, without a message
        await sf.pipeline(source, sf.map(fail), sf.drain())

    gc.collect()
    assert [ref() for ref in alive] == [None] * len(alive)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
@shapes
async def test_with_eager_tasks_the_wiring_is_finished_before_a_stage_runs(kinds):
    """H24"""
    await _eagerly()

    assert await Scene(*kinds, items=range(20)).run() == list(range(20))
    for at in places(("source", *kinds, "sink"), FAILING):
        scene = Scene(*kinds, fail=(at, 2, Boom()))
        with pytest.raises(Boom):
            await scene.run()
        scene.verify()


async def _eagerly():
    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    probe = asyncio.sleep(0)
    try:
        await loop.create_task(probe)
    except TypeError:
        probe.close()
        loop.set_task_factory(None)
        pytest.skip("this uvloop gives the factory an argument that this Python's eager tasks do not know")


@pytest.mark.virtual_time
@pytest.mark.parametrize("steps", range(12))
async def test_a_reader_that_leaves_while_a_writer_of_bytes_gives_a_turn_ends_it_at_once(steps):
    async def answer():
        await asyncio.sleep(0)
        time.sleep(0.005)  # noqa: ASYNC251  # the turn is used up, so one is given after the next item
        yield b"x"
        await asyncio.sleep(1000)

    async def leave_after(_items):
        for _ in range(steps):
            await asyncio.sleep(0)

    began = asyncio.get_running_loop().time()
    await sf.stream(answer).to(leave_after).run()

    assert asyncio.get_running_loop().time() == began
