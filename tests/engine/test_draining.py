"""`Pipeline.drain()`: the source ends where it is, and all that it has given arrives."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gzip as standard_gzip
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

import streamflow as sf
from streamflow import files, gzip
from streamflow.testing import LeakCheck, StepLoop, cancel_everywhere

N = 16
CAPACITY = 3


class Scene:
    """A source of a kind, stages, and a sink that waits between two items; `given` is what the source gave."""

    def __init__(self, kind: str, shape: str) -> None:
        self.given: list[object] = []
        self.got: list[object] = []
        self.closed: list[str] = []
        self.committed = False
        self.channel: sf.Channel[int] = sf.Channel(2)
        self.queue: asyncio.Queue[int] = asyncio.Queue(2)
        self.feeding: asyncio.Task[None] | None = None
        stages, self.flat = SHAPES[shape]
        self.job = sf.Pipeline(SOURCES[kind](self), *stages, self.sink, maxsize=CAPACITY, max_bytes=30)

    def note(self, item: object) -> object:
        self.given.append(item)
        return item

    async def sink(self, items) -> int:
        async for item in items:
            await asyncio.sleep(0.01 if len(self.got) % 4 else 0)
            self.got.append(item)
        self.committed = True
        return len(self.got)

    # --- sources ---------------------------------------------------------------------------------------------------

    async def numbers(self, pause: Callable[[int], bool], form: str = "") -> AsyncIterator[object]:
        task = asyncio.current_task()
        try:
            for number in range(N):
                if pause(number):
                    await asyncio.sleep(0.02)
                self.note(number)
                yield form.encode() % number if form else number
        finally:
            self.closed.append("in its own task" if asyncio.current_task() is task else "elsewhere")
            await asyncio.sleep(0)

    async def under_a_timeout(self) -> AsyncIterator[object]:
        for number in range(N):
            try:
                async with asyncio.timeout(0.015):
                    yield self.note(number)
            except TimeoutError:
                yield self.note(-number)

    def plain(self) -> Iterator[object]:
        try:
            for number in range(N):
                yield self.note(number)
        finally:
            self.closed.append("in its own task")

    def fed(self, into: asyncio.Queue[int]) -> asyncio.Queue[int]:
        async def feed() -> None:
            for number in range(N):
                await into.put(number)
            into.close() if isinstance(into, sf.Channel) else await into.put(-1)

        self.feeding = asyncio.ensure_future(feed())
        return into


SOURCES: dict[str, Callable[[Scene], object]] = {
    "quick": lambda scene: scene.numbers(lambda _: False),
    "slow": lambda scene: scene.numbers(lambda _: True),
    "mixed": lambda scene: scene.numbers(lambda number: number % 5 == 0),
    "chunks": lambda scene: scene.numbers(lambda number: number % 5 == 0, "%09d"),
    "timeout at yield": lambda scene: scene.under_a_timeout(),
    "plain": lambda scene: scene.plain(),
    "stream": lambda scene: sf.stream(scene.numbers(lambda number: number % 2 == 0)).map(lambda item: item),
    "not said to be plain": lambda scene: sf.source(scene.plain),
    "channel": lambda scene: scene.fed(scene.channel),
    "queue": lambda scene: sf.from_queue(scene.fed(scene.queue), until=-1),
}


def flat(items):
    return list(itertools.chain.from_iterable(items))


async def passing(items):
    async for item in items:
        await asyncio.sleep(0)
        yield item


async def later(item):
    await asyncio.sleep(0.003)
    return item


SHAPES = {
    "nothing": ((), list),
    "batched": ((sf.batched(4),), flat),
    "a generator": ((passing,), list),
    "sync, then batched": ((sf.map(lambda item: item), sf.batched(4)), flat),
    "awaiting": ((sf.map(later),), list),
    "concurrent": ((sf.map(later, concurrency=3),), list),
}


def expected(scene: Scene) -> list[object]:
    chunks = [b"%09d" % item for item in scene.given]
    return chunks if scene.got and isinstance(scene.flat(scene.got)[0], bytes) else scene.given


def drain_everywhere(make: Callable[[], Scene], check: Callable[[Scene, int], None]) -> None:
    """Run a scene, drained after step k, for every k."""
    total = _run(make, None)[1]
    for step in range(total):
        scene, _ = _run(make, step)
        check(scene, step)


def _run(make: Callable[[], Scene], step: int | None) -> tuple[Scene, int]:
    loop = StepLoop()
    try:
        scene, steps = loop.run_until_complete(_one(make, step))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    return scene, steps


async def _one(make: Callable[[], Scene], step: int | None) -> tuple[Scene, int]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StepLoop)
    with LeakCheck(loop) if (step or 0) % 6 == 0 else contextlib.nullcontext():  # it collects, which takes its time
        scene = make()
        start = loop.steps
        if step is not None:
            loop.call_after_step(start + step, scene.job.drain)
        assert await scene.job.run() == len(scene.got)
        steps = loop.steps - start
        if scene.feeding is not None:
            scene.feeding.cancel()
            await asyncio.wait([scene.feeding])
    return scene, steps


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SOURCES if kind not in {"channel", "queue"}])
def test_drained_after_any_step_all_that_the_source_gave_arrives(kind):
    """P2, P7"""
    seen = set()

    def check(scene, step):
        assert scene.committed
        assert scene.flat(scene.got) == expected(scene), f"drained after step {step}"
        assert set(scene.closed) <= {"in its own task"}
        assert bool(scene.closed) or not scene.given or kind == "timeout at yield"
        assert scene.job.report.outcome in {"succeeded", "drained"}
        assert scene.job.report.stats.balanced
        assert scene.job.report.stats.discarded == 0
        seen.add(len(scene.given))

    for shape in SHAPES:
        if not (kind == "chunks" and "batched" in shape):
            drain_everywhere(functools.partial(Scene, kind, shape), check)
    assert len(seen) > 5, "it was drained in many different places"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["channel", "queue"])
def test_what_a_drained_run_did_not_take_from_a_channel_is_still_there(kind):
    """P2"""
    seen = set()

    def check(scene, step):
        box = scene.channel if kind == "channel" else scene.queue
        left = [box.get_nowait() for _ in range(box.qsize())]
        got = scene.flat(scene.got)
        assert scene.committed
        assert got == list(range(len(got)))
        assert [item for item in left if item != -1] == list(range(len(got), len(got) + len(left) - (-1 in left)))
        seen.add(len(got))

    for shape in SHAPES:
        drain_everywhere(functools.partial(Scene, kind, shape), check)
    assert len(seen) > 5


# --- sources made of sources ------------------------------------------------------------------------------------------


class Several(Scene):
    """A scene over two sources, combined in a way; `given` is what each of them gave."""

    def __init__(self, way: str) -> None:
        self.given = []
        self.got = []
        self.closed = []
        self.committed = False
        self.feeding = None
        self.flat = list
        self.job = WAYS[way](self).to(self.sink, maxsize=CAPACITY)

    def one(self, name: str, step: int, last: int = N) -> AsyncIterator[object]:
        async def numbers() -> AsyncIterator[object]:
            try:
                for number in range(last):
                    if number % step == 0:
                        await asyncio.sleep(0.01 * step)
                    yield self.note((name, number))
            finally:
                self.closed.append(name)

        return numbers()

    def a(self) -> AsyncIterator[object]:
        return self.one("a", 3)

    def b(self) -> AsyncIterator[object]:
        return self.one("b", 2)

    def plainly(self) -> Iterator[object]:
        for number in range(N):
            yield self.note(("p", number))


WAYS: dict[str, Callable[[Several], sf.Stream[object]]] = {
    "merge": lambda scene: sf.stream(sf.merge(scene.a(), scene.b())),
    "merge with stages": lambda scene: sf.stream(sf.merge(sf.stream(scene.a()).through(passing).buffer(2), scene.b())),
    "merge with a plain one": lambda scene: sf.stream(sf.merge(scene.a(), scene.plainly)),
    "merge as a stage": lambda scene: sf.stream(scene.a()).merge(scene.b()),
    "merge within merge": lambda scene: sf.stream(sf.merge(scene.a(), sf.stream(scene.b()).merge(scene.plainly))),
    "chain": lambda scene: sf.stream(sf.chain(scene.one("a", 3, 4), scene.plainly, scene.b())),
    "chain as a stage": lambda scene: sf.stream(scene.one("a", 3, 4)).chain(scene.b()),
    "interleave": lambda scene: sf.stream(sf.interleave(scene.a(), scene.b())),
    "retry": lambda scene: sf.stream(sf.source(scene.a)).retry(3, resume="start"),
    "repeat": lambda scene: sf.stream(sf.source(scene.a)).repeat(2),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_source_made_of_sources_drains_each_of_them(way):
    """P2, P7"""
    seen = set()

    def check(scene, step):
        assert scene.committed
        assert sorted(scene.got) == sorted(scene.given), f"drained after step {step}"
        assert {name for name, _ in scene.given} - {"p"} <= set(scene.closed)
        assert scene.job.report.stats.balanced
        seen.add(len(scene.given))

    drain_everywhere(functools.partial(Several, way), check)
    assert len(seen) > 5


ROWS = {
    "zip": lambda scene, **options: sf.stream(sf.zip(scene.a(), scene.b(), **options)),
    "zip as a stage": lambda scene, **options: sf.stream(scene.a()).zip(scene.b(), **options),
    "zip with a plain one": lambda scene, **options: sf.stream(sf.zip(scene.plainly, scene.b(), **options)),
    "zip_longest": lambda scene, **_: sf.stream(sf.zip_longest(scene.a(), scene.b())),
    "zip_longest as a stage": lambda scene, **_: sf.stream(scene.a()).zip_longest(scene.b()),
    "zip_longest with a plain one": lambda scene, **_: sf.stream(sf.zip_longest(scene.plainly, scene.b())),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", ROWS)
def test_drained_rows_are_whole_and_a_strict_zip_has_nothing_against_it(way):
    for strict in (False, True)[: 1 + ("longest" not in way)]:

        def make(strict=strict):
            scene = Several("merge")
            scene.job = ROWS[way](scene, strict=strict).to(scene.sink, maxsize=CAPACITY)
            return scene

        def check(scene, step):
            assert scene.committed
            assert all(None not in row and row[0][1] == row[1][1] for row in scene.got), f"drained after step {step}"
            names = "pb" if "plain" in way else "ab"
            assert len(scene.got) == min(sum(item[0] == name for item in scene.given) for name in names)

        drain_everywhere(make, check)


# --- one by one -------------------------------------------------------------------------------------------------------


async def started(job: sf.Pipeline[object], *, turns: int = 20) -> asyncio.Task[object]:
    task = asyncio.create_task(job.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    return task


async def endless(closed: list[str] | None = None) -> AsyncIterator[int]:
    try:
        for number in itertools.count():
            yield number
            if number == 4:
                await asyncio.Event().wait()
    finally:
        if closed is not None:
            closed.append(asyncio.current_task().get_name())


async def test_a_source_that_waits_is_closed_in_its_own_task_and_a_batch_is_flushed():
    closed: list[str] = []
    job = sf.stream(endless(closed)).batched(3).to(sf.collect())
    task = await started(job)

    assert job.drain()
    assert await task == [(0, 1, 2), (3, 4)]
    assert closed == ["streamflow: endless"]
    assert job.report.outcome == "drained"
    assert job.stats().stages[0].state == "drained"


async def test_a_compressed_stream_gets_its_trailer():
    """P5"""

    async def chunks():
        for number in range(5):
            yield b"%d," % number
        await asyncio.Event().wait()

    job = sf.stream(sf.source(chunks)).through(gzip.compress()).to(sf.collect())
    task = await started(job)
    job.drain()

    assert standard_gzip.decompress(b"".join(await task)) == b"0,1,2,3,4,"


async def test_the_item_that_waits_for_room_is_the_last_one():
    going = asyncio.Event()

    async def sink(items):
        got = []
        async for item in items:
            await going.wait()
            got.append(item)
        return got

    given = []

    async def source():
        for number in itertools.count():
            given.append(number)
            yield number

    job = sf.stream(source).to(sink, maxsize=2)
    task = await started(job)
    assert job.stats().stages[0].state == "waiting for room"
    job.drain()
    going.set()

    assert await task == given


async def test_draining_is_harmless_before_the_start_after_the_end_and_twice():
    job = sf.stream([1, 2]).to(sf.collect())
    assert not job.drain()
    assert await job.run() == [1, 2]
    assert not job.drain()
    assert job.report.outcome == "succeeded"

    again = sf.stream(endless()).to(sf.collect())
    task = await started(again)
    assert again.drain()
    assert again.drain()
    assert await task == [0, 1, 2, 3, 4]
    assert not again.drain()


async def test_it_may_be_drained_from_another_thread():
    job = sf.stream(endless()).to(sf.collect())
    task = await started(job)
    assert await asyncio.to_thread(job.drain)
    assert await task == [0, 1, 2, 3, 4]


async def test_a_run_after_a_drained_one_is_a_fresh_one():
    job = sf.stream(sf.source(endless)).take(3).to(sf.collect())
    task = await started(job, turns=1)
    job.drain()
    await task
    assert await job.run() == [0, 1, 2]
    assert job.report.outcome == "succeeded"


async def test_drained_before_its_first_step_the_source_is_never_opened_and_the_sink_commits_nothing():
    closed: list[str] = []
    job = sf.stream(sf.source(endless)(closed)).to(sf.collect())
    task = asyncio.create_task(job.run())
    await asyncio.sleep(0)
    assert job.drain()
    assert await task == []
    assert closed == []


async def test_an_error_in_closing_the_source_fails_the_run():
    """E15"""
    outcome = []

    async def source():
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            raise ValueError("lost connection")

    async def sink(items):
        try:
            async for _ in items:
                pass
        except ValueError:
            outcome.append("aborted")
            raise
        outcome.append("committed")

    job = sf.stream(source).to(sink)
    task = await started(job)
    job.drain()
    with pytest.raises(ValueError, match="lost connection"):
        await task
    assert outcome == ["aborted"]
    assert job.report.outcome == "failed"


async def test_a_stage_that_fails_on_what_is_in_flight_fails_the_run():
    going = asyncio.Event()

    async def check(item):
        await going.wait()
        raise ValueError(item)

    job = sf.stream(endless()).map(check).to(sf.collect())
    task = await started(job)
    job.drain()
    going.set()
    with pytest.raises(ValueError, match="0"):
        await task


async def test_a_source_that_answers_its_cancellation_with_items_gives_them_and_ends():
    async def stubborn():
        number = 0
        while True:
            number += 1
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                for _ in range(3000):
                    yield number

    job = sf.stream(stubborn).to(sf.count(), maxsize=10)
    task = await started(job)
    job.drain()
    assert 1 <= await task <= 3000


@pytest.mark.parametrize("where", ["source", "plain source", "stage", "sink"])
async def test_it_may_be_drained_from_inside(where):
    got = []

    def at_five(place, number):
        _ = (place, number) == (where, 5) and job.drain()
        return number

    def numbers():
        for number in itertools.count():
            yield at_five("plain source", number)

    async def source():
        for number in itertools.count():
            yield at_five("source", number)
            await asyncio.sleep(0)

    async def stage(items):
        async for item in items:
            yield at_five("stage", item)

    async def sink(items):
        got.extend([at_five("sink", item) async for item in items])

    job = sf.stream({"plain source": numbers}.get(where, source)).through(stage).to(sink, maxsize=4)
    await job.run()
    assert got == list(range(len(got)))
    assert len(got) >= 6


@pytest.mark.virtual_time
async def test_a_retry_that_pauses_ends_at_once():
    async def failing():
        yield 1
        raise ConnectionError("gone")

    pause = sf.Backoff(first=3600, most=3600, jitter=False)
    job = sf.stream(sf.source(failing)).retry(9, backoff=pause, resume="start").to(sf.collect())
    task = await started(job, turns=40)
    job.drain()
    started_at = asyncio.get_running_loop().time()
    assert await task == [1]
    assert asyncio.get_running_loop().time() == started_at


async def test_what_a_stage_combines_for_one_item_is_in_flight_and_comes_whole():
    going = asyncio.Event()

    async def parts(number):
        yield number, "first"
        await going.wait()
        yield number, "last"

    job = (
        sf.stream(endless())
        .take(1)
        .chain(endless())
        .flat_map(lambda n: sf.merge(parts(n), [(n, "more")]))
        .to(sf.collect())
    )
    task = await started(job, turns=60)
    job.drain()
    going.set()
    got = await task
    assert {number for number, word in got if word == "first"} == {number for number, word in got if word == "last"}
    assert got


async def test_a_pipeline_within_a_stage_is_not_drained_with_it():
    going = asyncio.Event()

    async def rows(number):
        yield number
        await going.wait()
        yield -number

    async def whole(number):
        return await sf.pipeline(rows(number), sf.collect())

    job = sf.stream(endless()).map(whole).to(sf.collect())
    task = await started(job)
    job.drain()
    going.set()
    assert await task == [[number, -number] for number in range(5)]


async def test_a_channel_keeps_what_was_not_taken_and_stays_open():
    channel: sf.Channel[int] = sf.Channel(8)
    job = sf.stream(channel).to(sf.collect())
    task = await started(job)
    await channel.put(1)
    await asyncio.sleep(0)
    job.drain()
    got = await task
    await channel.put(2)
    assert [*got, *[channel.get_nowait() for _ in range(channel.qsize())]] == [1, 2]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_a_thread_has_read_ahead_is_delivered(waits):
    """P2"""
    given, going, fifth = [], threading.Event(), threading.Event()

    def numbers():
        for number in itertools.count():
            if waits and number == 5:
                going.wait(30)
            given.append(number)
            if number == 4:
                fifth.set()
            yield number

    job = sf.stream(sf.threaded(numbers, maxsize=4)).map(later).to(sf.collect(), maxsize=2)
    task = await started(job)
    assert await asyncio.to_thread(fifth.wait, 30)
    job.drain()
    going.set()
    assert await task == given
    assert job.report.outcome == "drained"


async def test_what_was_pushed_is_delivered_and_no_more_is_taken():
    push = sf.push(maxsize=8)
    job = sf.stream(push).map(later).to(sf.collect(), maxsize=1)
    task = await started(job)
    for number in range(8):
        push.put_nowait(number)
    job.drain()
    with pytest.raises(sf.ChannelClosed):
        push.put_nowait(8)
    assert await task == list(range(8))


# --- pieces of a whole ------------------------------------------------------------------------------------------------


def blocks_of_a_file(*, failures=()):
    left = list(failures)

    async def blocks():
        for number in range(10):
            await asyncio.sleep(0)
            yield number
            if number == 5 and left:
                raise left.pop()

    return sf.Source(blocks, name="file", whole=True)


async def test_what_is_one_whole_is_read_to_its_end():
    """P5"""
    job = sf.stream(blocks_of_a_file()).to(sf.collect())
    task = await started(job, turns=6)
    assert job.drain()
    assert await task == list(range(10))
    assert job.report.outcome == "succeeded", "nothing was cut off"


async def test_a_file_that_is_read_comes_whole(tmp_path):
    """P5"""
    path = tmp_path / "rows"
    path.write_bytes(b"x" * 3_000_000)
    job = sf.stream(files.read(path)).to(files.write(tmp_path / "copy"))
    task = await started(job)
    job.drain()
    await task
    assert (tmp_path / "copy").stat().st_size == 3_000_000


@pytest.mark.slow
def test_of_several_sources_those_that_are_a_whole_come_to_their_end():
    def make():
        scene = Several("merge")
        whole = sf.stream(sf.Source(functools.partial(scene.one, "a", 3), whole=True))
        scene.job = whole.merge(scene.b()).to(scene.sink, maxsize=CAPACITY)
        return scene

    def check(scene, step):
        assert scene.committed
        assert sorted(scene.got) == sorted(scene.given), f"drained after step {step}"
        assert sum(name == "a" for name, _ in scene.got) == N

    drain_everywhere(make, check)


@pytest.mark.virtual_time
async def test_a_whole_that_fails_is_still_retried():
    """P5"""
    job = sf.stream(blocks_of_a_file(failures=[OSError("reset")])).retry(3, resume="after").to(sf.collect())
    task = await started(job, turns=6)
    job.drain()
    assert await task == list(range(10))


@pytest.mark.virtual_time
async def test_what_fails_while_it_is_drained_is_not_lost_in_a_retry():
    """P2"""
    going = asyncio.Event()

    async def check(item):
        await going.wait()
        raise ConnectionError(item)

    job = sf.stream(sf.source(endless)).map(check).retry(9, resume="start").to(sf.collect())
    task = await started(job, turns=60)
    job.drain()
    going.set()
    with pytest.raises(ConnectionError, match="0"):
        await task


# --- and cancelled ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["slow", "quick", "plain"])
def test_cancelled_while_it_drains_nothing_is_committed_or_all(kind):
    """P2, P6, P7"""

    class Draining(Scene):
        def __init__(self):
            super().__init__(kind, "sync, then batched")

        async def __call__(self):
            loop = asyncio.get_running_loop()
            loop.call_later(0.05, self.job.drain)
            return await self.job.run()

    def check(scene, outcome):
        assert scene.committed or outcome.ended == "cancelled"
        if scene.committed:
            assert scene.flat(scene.got) == scene.given
        assert not scene.job.running

    assert cancel_everywhere(Draining, check, stride=3) > 20
