"""A run cancelled after every step of the loop, in every way; and what stages can do against being cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import sys

import anyio
import anyio.lowlevel
import pytest

import streamflow as sf
from streamflow.engine.shielding import finish
from streamflow.testing import KINDS, Gate, StepLoop, cancel_everywhere, no_leaks
from tests.engine.scenes import Scene

# --- cancelled after every step -------------------------------------------------------------------------------------


class Cancelled:
    """A scene with items enough to fill its channels; checked after every run."""

    kinds: tuple[str, ...] = ()
    source = "source"
    pause = False

    def __init__(self):
        self.scene = Scene(*self.kinds, source=self.source, items=range(5), maxsize=2, pause=self.pause)

    async def __call__(self):
        return await self.scene.run()

    def check(self, outcome):
        scene = self.scene
        if outcome.ended == "returned":
            assert outcome.value == [0, 1, 2, 3, 4]
            assert scene.outcome == "committed"
        if scene.outcome == "committed":
            assert scene.got == [0, 1, 2, 3, 4], "half of it was committed"
        if scene.job._run is None:
            assert scene.events == []  # cancelled before it started: nothing was read or written (X1)
        else:
            scene.verify_account()
            assert scene.wrong == []
            for at in range(len(scene.kinds)):
                assert scene.events.count(("open", at)) == scene.events.count(("closing", at)) <= 1


SCENES = {
    "generators": ("generator",),
    "scopes": ("scoped",),
    "fused": ("map", "filter"),
    "awaiting": ("awaiting",),
    "concurrent": ("concurrent",),
    "batches": ("batch", "unbatch"),
}


@pytest.mark.parametrize("kinds", SCENES.values(), ids=SCENES.keys())
@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_after_every_step_all_is_committed_or_nothing(kinds, kind):
    """X1, X2, X6, X7, X13, X14, X21, L4"""
    case = type("Case", (Cancelled,), {"kinds": kinds})

    assert cancel_everywhere(case, case.check, kinds=(kind,)) > 20


@pytest.mark.parametrize("source", ["source", "sync source"])
def test_cancelled_in_a_shuffled_order_of_steps(source):
    case = type("Case", (Cancelled,), {"kinds": ("generator", "map"), "source": source, "pause": True})

    for seed in range(4):
        assert cancel_everywhere(case, case.check, kinds=("task", "anyio_scope"), stride=3, seed=seed) > 20


class Upload:
    """A sink in the way of a multipart upload: parts, then a commit of two round trips, or an abort of one."""

    def __init__(self):
        self.parts = []
        self.state = "not begun"

    async def write(self, items):
        self.state = "begun"
        try:
            async for item in items:
                await asyncio.sleep(0)
                self.parts.append(item)
        except BaseException:
            await finish(self.abort())
            raise
        await finish(self.commit())
        return len(self.parts)

    async def commit(self):
        self.state = "committing"
        await asyncio.sleep(0.02)
        self.state = "committed"
        await asyncio.sleep(0.02)

    async def abort(self):
        self.state = "aborting"
        await asyncio.sleep(0.02)
        self.state = "aborted"


class Uploading:
    def __init__(self):
        self.upload = Upload()
        self.job = sf.Pipeline(self.rows, sf.map(str), self.pack, self.upload.write, maxsize=2)
        self.open = 0

    async def rows(self):
        self.open += 1
        try:
            for number in range(4):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(0.01)
            self.open -= 1

    async def pack(self, items):
        self.open += 1
        try:
            async for item in items:
                yield item
        finally:
            self.open -= 1

    async def __call__(self):
        return await self.job.run()

    def check(self, outcome):
        state = self.upload.state
        assert state in {"not begun", "committed", "aborted"}, "left half done"
        if state == "committed":
            assert self.upload.parts == ["0", "1", "2", "3"]
        if outcome.ended == "returned":
            assert state == "committed"
        if self.job._run is not None:
            assert self.job.stats().balanced


@pytest.mark.parametrize("kind", KINDS)
def test_an_upload_is_committed_whole_or_aborted_also_when_cancelled_twice_or_while_it_commits(kind):
    """H25, H26, H27, H28, H20, X2"""
    assert cancel_everywhere(Uploading, Uploading.check, kinds=(kind,)) > 40


@pytest.mark.virtual_time
async def test_a_cancellation_during_the_successful_close_waits_for_the_commit():
    """H28"""
    upload = Upload()
    task = asyncio.create_task(sf.pipeline([1, 2], upload.write))
    while upload.state != "committing":  # noqa: ASYNC110  # seen from outside, as a caller would
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert upload.state == "committed"


async def test_a_cancellation_that_comes_when_all_is_done_says_that_the_result_stands():
    """X6, H28"""
    finished = asyncio.Event()

    async def sink(items):
        async for _ in items:
            pass
        finished.set()

    async def source():
        yield 1

    task = asyncio.create_task(sf.pipeline(source, sink))
    await finished.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task

    assert "the sink of pipeline had already finished: its result stands" in caught.value.__notes__


class Iterating:
    """A stream read with `open()` and left early; nothing is open behind the block, what was taken was in order."""

    def __init__(self):
        self.open = 0
        self.got = []

    async def rows(self):
        self.open += 1
        try:
            for number in itertools.count():
                yield number
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            self.open -= 1

    async def __call__(self):
        try:
            async with sf.stream(self.rows).map(lambda x: x).buffer(2).open(maxsize=2) as items:
                async for item in items:
                    await asyncio.sleep(0)
                    self.got.append(item)
                    if item == 4:
                        break
        finally:
            self.left_open = self.open

    def check(self, outcome):
        assert self.got == list(range(len(self.got)))
        assert outcome.ended != "returned" or len(self.got) == 5
        assert getattr(self, "left_open", 0) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_open_stream_cancelled_after_every_step_is_closed_when_the_block_is_left(kind):
    """X8, P7"""
    assert cancel_everywhere(Iterating, Iterating.check, kinds=(kind,)) > 20


class Nested:
    """A stage that runs a pipeline of its own for every item, and one that iterates a stream."""

    def __init__(self):
        self.inner = []
        self.open = 0

    async def inner_rows(self):
        self.open += 1
        try:
            for number in range(3):
                yield number
        finally:
            self.open -= 1

    async def outer(self, items):
        async for item in items:
            yield item + await sf.pipeline(self.inner_rows, sf.map(lambda x: x), sf.count(), maxsize=1)

    async def sums(self, items):
        async for item in items:
            async with sf.stream(self.inner_rows).buffer(1).open(maxsize=1) as rows:
                yield item + sum([row async for row in rows])

    async def __call__(self):
        return await sf.pipeline([0, 10], self.outer, self.sums, sf.collect(), maxsize=1)

    def check(self, outcome):
        assert self.open == 0
        if outcome.ended == "returned":
            assert outcome.value == [6, 16]


@pytest.mark.parametrize("kind", KINDS)
def test_nested_pipelines_cancelled_after_every_step_leave_nothing_open(kind):
    assert cancel_everywhere(Nested, Nested.check, kinds=(kind,), stride=2) > 40


class Early:
    """`take` and `first` while the source is at work: success with everything closed."""

    def __init__(self):
        self.open = 0

    async def rows(self):
        self.open += 1
        try:
            for number in itertools.count():
                yield number
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0)
            self.open -= 1

    async def __call__(self):
        return await sf.pipeline(self.rows, sf.map(lambda x: x), sf.take(3), sf.collect(), maxsize=2)

    def check(self, outcome):
        assert self.open == 0
        if outcome.ended == "returned":
            assert outcome.value == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_an_early_end_cancelled_after_every_step_closes_the_source(kind):
    """C3, X15"""
    assert cancel_everywhere(Early, Early.check, kinds=(kind,)) > 20


class Failing:
    """A failure and a cancellation in the same run: one of the two is raised, never success."""

    def __init__(self):
        self.scene = Scene("generator", "map", items=range(5), fail=(1, 3, ValueError("boom")), maxsize=2)

    async def __call__(self):
        return await self.scene.run()

    def check(self, outcome):
        assert outcome.ended in {"failed", "cancelled"}
        assert self.scene.outcome in {None, "aborted"}
        assert self.scene.wrong == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_failing_run_cancelled_after_every_step_fails_or_is_cancelled(kind):
    """H13, H18"""
    assert cancel_everywhere(Failing, Failing.check, kinds=(kind,), errors=(ValueError,)) > 20


# --- before it starts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["task", "scope", "timeout"])
async def test_cancelled_before_it_starts_it_reads_and_writes_nothing(how):
    """X1"""
    scene = Scene("generator", "map")

    if how == "scope":
        with anyio.CancelScope() as scope:
            scope.cancel()
            await scene.run()
    elif how == "timeout":
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await scene.run()
    else:

        async def cancelled():
            asyncio.current_task().cancel()
            await scene.run()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cancelled())

    assert scene.events == []
    assert asyncio.current_task().cancelling() == 0


# --- stages that do not stop ---------------------------------------------------------------------------------------


class Stubborn:
    """A pipeline of which one actor swallows every cancellation until it is released."""

    def __init__(self, place):
        self.place = place
        self.release = asyncio.Event()
        self.closed = []
        self.job = sf.Pipeline(self.source, self.stage, self.sink, grace=5.0, maxsize=2)

    async def at(self, place):
        while place == self.place and not self.release.is_set():
            try:
                await self.release.wait()
            except asyncio.CancelledError:
                continue

    async def source(self):
        try:
            for number in itertools.count():
                if number == 2:
                    await self.at("source")
                yield number
        finally:
            self.closed.append("source")

    async def stage(self, items):
        async for item in items:
            await self.at("stage")
            yield item

    async def sink(self, items):
        async for _ in items:
            await self.at("sink")


@pytest.mark.virtual_time
@pytest.mark.parametrize("place", ["source", "stage", "sink"])
async def test_a_stage_that_swallows_cancellations_is_left_behind_by_name_within_the_grace(place):
    """H14, H23: control returns within the grace and two seconds, and the message says where it stands."""
    scene = Stubborn(place)
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(scene.job.run())
    await asyncio.sleep(1)
    start = loop.time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task

    assert 5.0 <= loop.time() - start <= 7.1
    [note] = [note for note in caught.value.__notes__ if "StageDidNotStop" in note]
    assert f"{place}' was asked to stop and did not within 5 s" in note
    assert f"{__file__}:" in note
    assert scene.job.stats().finished
    assert scene.closed == ([] if place == "source" else ["source"])
    scene.release.set()
    await asyncio.sleep(1)
    assert scene.closed == ["source"]


@pytest.mark.virtual_time
async def test_a_stage_that_does_not_stop_after_an_early_end_is_an_error():
    """H14: success would hide that something is still running."""
    release = asyncio.Event()

    async def source():
        yield 1
        yield 2
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(sf.StageDidNotStop, match=r"stage 'source' was asked to stop and did not within 3 s"):
        await sf.stream(source).buffer(1).to(sf.first(), grace=3.0, maxsize=1).run()

    release.set()
    await asyncio.sleep(1)


@pytest.mark.virtual_time
async def test_a_cancellation_swallowed_once_is_repeated_when_the_grace_is_over():
    """H14"""
    swallowed = []

    async def source():
        yield 1
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            swallowed.append(1)
        await asyncio.sleep(3600)

    start = asyncio.get_running_loop().time()
    assert await sf.stream(source).to(sf.first(), grace=4.0).run() == 1

    assert swallowed == [1]
    assert asyncio.get_running_loop().time() - start == pytest.approx(4.0)


@pytest.mark.virtual_time
async def test_cleanup_within_the_grace_is_never_disturbed():
    """X15: neither by a second cancel of the caller nor by the stages below ending."""
    log = []

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            await asyncio.sleep(8)
            log.append("source")

    async def stage(items):
        try:
            async for item in items:
                yield item
        finally:
            await asyncio.sleep(8)
            log.append("stage")

    async def sink(items):
        try:
            async for _ in items:
                await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(8)
            log.append("sink")

    task = asyncio.create_task(sf.pipeline(source, stage, sink, maxsize=1))
    await asyncio.sleep(1)
    for _ in range(5):
        task.cancel()
        await asyncio.sleep(1)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert log == ["sink", "stage", "source"]


@pytest.mark.virtual_time
@pytest.mark.parametrize("at", ["parked", "at work"])
async def test_a_cancellation_of_somebody_else_is_not_doubled(at):
    """P7: when a loop shuts down every task is cancelled; the conductor's own request must not cut the cleanup."""
    log = []

    async def source():
        try:
            for number in itertools.count():
                yield number
                if at == "at work":
                    await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(2)
            log.append("source")

    async def sink(items):
        try:
            async for _ in items:
                await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(1)
            log.append("sink")

    main = asyncio.create_task(sf.pipeline(source, sink, maxsize=1))
    await asyncio.sleep(1)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()  # what asyncio.run does at its end
    with pytest.raises(asyncio.CancelledError):
        await main

    assert sorted(log) == ["sink", "source"]


@pytest.mark.virtual_time
async def test_a_timeout_of_the_stage_that_strikes_when_it_is_asked_to_stop_does_not_keep_it():
    """A foreign cancellation is waited for only as long as it is under way."""
    log = []

    async def source():
        yield 1
        try:
            async with asyncio.timeout(1):
                try:
                    await asyncio.sleep(3600)
                finally:
                    await asyncio.sleep(0.5)  # asked to stop in here, while its own timeout is under way
                    log.append("cleaned")
        except TimeoutError:
            log.append("timeout")
        await asyncio.sleep(3600)

    async def sink(items):
        async for _ in items:
            await asyncio.sleep(1.2)
            return

    start = asyncio.get_running_loop().time()
    await sf.pipeline(source, sink)

    assert log == ["cleaned", "timeout"]
    assert asyncio.get_running_loop().time() - start < 2


async def test_what_a_writer_has_in_hand_when_somebody_else_cancels_it_is_counted():
    """P2"""
    made = []

    def chunks():
        for number in range(100):
            made.append(number)
            yield b"x" * 100

    async def stuck(items):
        async for _ in items:
            await asyncio.Event().wait()

    job = sf.Pipeline(chunks, sf.map(lambda chunk: chunk), stuck, max_bytes=250)
    main = asyncio.create_task(job.run())
    for _ in range(20):
        await asyncio.sleep(0)
    [source] = [task for task in asyncio.all_tasks() if task.get_name() == "streamflow: chunks + map"]
    source.cancel()
    main.cancel()
    with pytest.raises(asyncio.CancelledError):
        await main

    assert len(made) == job.stats().channels[0].put == 4


async def test_a_sink_that_was_stopped_is_not_said_to_have_finished():
    """H28: only a result that stands is told."""
    scene = Scene("generator", hold=1)
    task = asyncio.create_task(scene.run())
    await scene.holding.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task

    assert not hasattr(caught.value, "__notes__")


# --- loops ---------------------------------------------------------------------------------------------------------


def test_a_pipeline_in_the_background_is_closed_when_asyncio_run_ends():
    """H21: the runner cancels every task at once."""
    scene = Scene("generator", "map")

    async def main():
        task = asyncio.create_task(scene.run())
        await asyncio.sleep(0.01)
        return task

    task = asyncio.run(main())

    assert task.cancelled()
    assert scene.outcome == "aborted"
    scene.verify()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_change_nothing_for_a_cancelled_run():
    """H24"""

    class Eager(Cancelled):
        kinds = ("generator", "map")

        async def __call__(self):
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            return await super().__call__()

    assert cancel_everywhere(Eager, Eager.check, kinds=("task", "twice", "timeout")) > 20


async def test_cancelling_is_as_it_was_found():
    """H15, P7"""
    task = asyncio.current_task()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await sf.stream(itertools.count()).filter(lambda _: False).run()
        assert task.cancelling() == 0
        with anyio.move_on_after(0.01):
            await sf.pipeline(itertools.count(), sf.for_each(lambda _: asyncio.sleep(0)))
        assert task.cancelling() == 0


async def test_a_task_group_sibling_that_fails_stops_the_pipeline_before_the_group_ends():
    """X21"""
    scene = Scene("generator", hold=1)

    async def sibling():
        await scene.holding.wait()
        raise ValueError("sibling")

    with pytest.raises(ExceptionGroup):  # noqa: PT012  # the whole group is what raises
        async with asyncio.TaskGroup() as group:
            group.create_task(scene.run())
            group.create_task(sibling())

    assert scene.outcome == "aborted"
    scene.verify()


async def test_an_anyio_task_group_that_is_cancelled_waits_for_the_cleanup():
    """X21, H25"""
    scene = Scene("generator", "scoped", hold=1)

    async with anyio.create_task_group() as group:
        group.start_soon(scene.run)
        await scene.holding.wait()
        group.cancel_scope.cancel()

    assert scene.outcome == "aborted"
    scene.verify()


@pytest.mark.virtual_time
@pytest.mark.parametrize("branches", [1, 2])
async def test_cancelling_works_on_what_waits_for_ever_and_on_an_endless_source_that_never_yields(branches):
    """X16"""

    async def waiting():
        await asyncio.Event().wait()
        yield

    async def spinning():
        while True:  # noqa: ASYNC110  # it spins, that is the point
            await asyncio.sleep(0)
        yield

    for source in (waiting, spinning):
        tasks = [asyncio.create_task(sf.stream(source).run()) for _ in range(branches)]
        for _ in range(10):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        assert len((await asyncio.wait(tasks))[0]) == branches
        assert all(task.cancelled() for task in tasks)


# --- iterators that are dropped ------------------------------------------------------------------------------------


class Rows:
    def __init__(self):
        self.open = 0

    async def __call__(self):
        self.open += 1
        try:
            for number in itertools.count():
                yield number
        finally:
            await asyncio.sleep(0)
            self.open -= 1


async def _settle(rows):
    for _ in range(100):
        await asyncio.sleep(0)


@pytest.mark.parametrize("way", ["break", "raise", "del", "return"])
async def test_a_dropped_iterator_stops_its_run(way):
    """X8, P7"""
    rows = Rows()

    async def loop():
        async for item in sf.stream(rows).map(lambda x: x).buffer(2):
            if item == 3 and way == "break":
                break
            if item == 3 and way == "raise":
                raise ValueError
            if item == 3:
                return

    if way == "del":
        iterator = aiter(sf.stream(rows))
        assert await anext(iterator) == 0
        assert rows.open == 1
        del iterator
    elif way == "raise":
        with pytest.raises(ValueError):  # noqa: PT011
            await loop()
    else:
        await loop()
    gc.collect()
    await _settle(rows)

    assert rows.open == 0


async def test_an_iterator_that_was_never_asked_for_an_item_opens_nothing():
    rows = Rows()

    iterator = aiter(sf.stream(rows))
    del iterator
    async with sf.stream(rows).open():
        pass

    assert rows.open == 0


async def test_what_fails_while_a_dropped_iterator_is_closed_is_told_to_the_loop():
    """P10: nobody awaits it, so the loop's handler is where it can be seen."""
    heard = []
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    loop.set_exception_handler(lambda _, context: heard.append(context))

    async def rows():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise OSError("closing")

    async for _ in sf.stream(rows):
        break
    for _ in range(20):
        await asyncio.sleep(0)
    loop.set_exception_handler(handler)

    [context] = heard
    assert str(context["exception"]) == "closing"
    assert "whose iterator was dropped" in context["message"]


@contextlib.asynccontextmanager
async def leaving(way):
    """What stops the body of a block in this way."""
    if way == "raise":
        with pytest.raises(ValueError, match="in the body"):
            yield
    elif way == "timeout":
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                yield
    elif way == "scope":
        with anyio.move_on_after(0.01):
            yield
    elif way == "cancel":
        asyncio.get_running_loop().call_later(0.01, asyncio.current_task().cancel)
        with pytest.raises(asyncio.CancelledError):
            yield
        asyncio.current_task().uncancel()
    else:
        yield


@pytest.mark.parametrize("way", ["break", "raise", "cancel", "timeout", "scope"])
async def test_an_open_stream_is_closed_before_the_block_is_left(way):
    """X8"""
    rows = Rows()
    left = []

    async with leaving(way):
        try:
            async with sf.stream(rows).map(lambda x: x).buffer(2).open(maxsize=2) as items:
                async for item in items:
                    if item == 3:
                        break
                if way == "raise":
                    raise ValueError("in the body")
                if way != "break":
                    await asyncio.sleep(3600)
        finally:
            left.append(rows.open)

    assert left == [0]


async def test_leaving_a_stream_without_taking_all_is_no_error_and_errors_in_closing_are():
    async def rows():
        try:
            for number in itertools.count():
                yield number
        finally:
            raise OSError("closing")

    with pytest.raises(OSError, match="closing"):
        async with sf.stream(rows).open() as items:
            assert await anext(items) == 0

    with pytest.raises(ValueError, match="body") as caught:  # noqa: PT012  # the whole block is what raises
        async with sf.stream(rows).open() as items:
            assert await anext(items) == 0
            raise ValueError("body")
    assert "OSError: closing" in caught.value.__notes__[0]


async def test_after_a_failure_further_iteration_ends():
    """X10"""

    async def rows():
        yield 1
        raise ValueError("row 2")

    async with sf.stream(rows).open() as items:
        assert await anext(items) == 1
        with pytest.raises(ValueError, match="row 2"):
            await anext(items)
        assert [item async for item in items] == []


async def test_a_timeout_around_one_item_loses_nothing():
    """H37: a timeout never loses an item."""
    gate = Gate()

    async def rows():
        for number in range(4):
            await gate.passage()
            yield number

    got = []
    async with sf.stream(rows).open() as items:
        while len(got) < 4:
            try:
                async with asyncio.timeout(0.001):
                    got.append(await anext(items))
            except TimeoutError:
                gate.let(1)

    assert got == [0, 1, 2, 3]


async def test_a_hand_over_cancelled_in_the_same_tick_loses_no_item():
    """X22"""
    for _ in range(50):
        gate, got = Gate(), []

        async def rows(gate=gate):
            for number in range(3):
                await gate.passage()
                yield number

        async with sf.stream(rows).open() as items:

            async def take(items=items, got=got):
                got.append(await anext(items))

            for steps in range(6):
                task = asyncio.create_task(take())
                gate.let(1)
                for _ in range(steps):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
            gate.open()
            got += [item async for item in items]

        assert got == [0, 1, 2]


async def test_concurrent_streams_do_not_disturb_one_another():
    """X13: a terminal that is cancelled ends its own run and nothing else."""
    rows, other = Rows(), Rows()
    task = asyncio.create_task(sf.stream(rows).run())
    async with sf.stream(other).open() as items:
        assert await anext(items) == 0
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert rows.open == 0
        assert other.open == 1
        assert await anext(items) == 1


# --- inside a web framework ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_starlette_response_over_a_stream_closes_it_when_it_ends_and_when_the_client_leaves(leaves):
    """X21, H75"""
    responses = pytest.importorskip("starlette.responses")
    rows, sent, gone = Rows(), [], asyncio.Event()

    async def send(message):
        sent.append(message)
        if len(sent) > 3:
            gone.set()
        await asyncio.sleep(0)

    async def receive():
        await gone.wait() if leaves else await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    stream = sf.stream(rows).map(lambda number: f"{number}\n".encode())
    response = responses.StreamingResponse(stream if leaves else stream.take(5))
    await response({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    del response, stream
    gc.collect()
    await _settle(rows)

    assert rows.open == 0
    bodies = [message["body"] for message in sent if message["type"] == "http.response.body"]
    assert bodies[:3] == [b"0\n", b"1\n", b"2\n"]
    assert leaves or (len(bodies) == 6 and not sent[-1]["more_body"])


# --- the leak checks see it ----------------------------------------------------------------------------------------


def test_nothing_is_left_after_many_endings_in_one_loop():
    async def main():
        with no_leaks():
            for number in range(30):
                scene = Scene("generator", "scoped", "concurrent", fail=(number % 5, 2, ValueError()))
                with pytest.raises(ValueError):  # noqa: PT011
                    await scene.run()

    with asyncio.Runner(loop_factory=StepLoop) as runner:
        runner.run(main())
