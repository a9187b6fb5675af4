"""From a codec to a stage: fused where it is quick, in a thread where it is heavy, and never a different result."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.engine import codecs
from streamflow.engine.codec_calls import AHEAD
from streamflow.engine.codecs import codec_stage, parallel_stage
from streamflow.stages import Stage


class Doubler:
    """Doubles bytes; holds them back to pairs, so that chunks and answers differ; `finish` gives the odd rest."""

    def __init__(self) -> None:
        self.held = b""
        self.threads: set[str] = set()

    def feed(self, data: bytes, /) -> Iterable[bytes]:
        self.threads.add(threading.current_thread().name)
        data = self.held + data
        even = len(data) - len(data) % 2
        self.held = data[even:]
        return (data[at : at + 2] * 2 for at in range(0, even, 2))

    def finish(self) -> Iterable[bytes]:
        self.threads.add(threading.current_thread().name)
        return (self.held * 2, b"end")


async def each(items: Iterable[Any], log: list[Any] | None = None) -> AsyncIterator[Any]:
    for item in items:
        if log is not None:
            log.append(item)
        yield item
        await asyncio.sleep(0)


def expected(chunks: list[bytes]) -> list[bytes]:
    codec = Doubler()
    return [out for chunk in chunks for out in codec.feed(chunk)] + list(codec.finish())


def ways() -> list[Any]:
    return [
        pytest.param({}, id="inline"),
        pytest.param({"thread_above": 1}, id="thread"),
        pytest.param({"thread_above": 4}, id="mixed"),
        pytest.param({"thread_above": 1, "gather": 1}, id="overlapped"),
        pytest.param({"thread_above": 5, "gather": 16}, id="gathered"),
        pytest.param({"thread_above": 1000, "gather": 1000}, id="never"),
    ]


@asynccontextmanager
async def opened(stage: Stage[Any, Any], source: AsyncIterator[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """The stage over the source, both closed afterwards, as the engine does it."""
    async with aclosing(source), aclosing(stage(source)) as out:  # type: ignore[type-var]  # generators, all of them
        yield out


async def collect(stage: Stage[Any, Any], source: AsyncIterator[Any]) -> list[Any]:
    async with opened(stage, source) as items:
        return [item async for item in items]


@pytest.mark.parametrize("options", ways())
@given(chunks=st.lists(st.binary(max_size=9), max_size=9))
def test_the_output_does_not_depend_on_where_the_codec_runs(options: dict[str, int], chunks: list[bytes]) -> None:
    """L1, L2, C7."""
    stage: Stage[bytes, bytes] = codec_stage(Doubler, name="double", **options)

    assert expected(chunks) == asyncio.run(collect(stage, each(chunks)))


@pytest.mark.parametrize("options", ways())
async def test_a_stage_can_be_used_again_with_a_fresh_codec(options: dict[str, int]) -> None:
    stage: Stage[bytes, bytes] = codec_stage(Doubler, name="double", **options)

    for _ in range(2):
        assert await collect(stage, each([b"abc"])) == expected([b"abc"])


def test_without_a_thread_it_is_a_transform_that_feeds_lazily() -> None:
    codec = Doubler()
    stage: Stage[bytes, bytes] = codec_stage(lambda: codec, name="double", holds=7)
    assert stage.transform is not None
    transform = stage.transform()
    taken: list[bytes] = []
    out = transform.apply(taken.append(item) or item for item in (b"ab", b"cd", b"ef"))  # type: ignore[func-returns-value]  # append gives None

    assert next(out) == b"abab"
    assert taken == [b"ab"]
    assert list(out) == [b"cdcd", b"efef"]
    assert list(transform.finish()) == [b"", b"end"]
    assert (stage.threads, stage.holds, stage.name, transform.done) == (0, 7, "double", False)


def test_a_threaded_stage_says_what_it_costs() -> None:
    stage: Stage[bytes, bytes] = codec_stage(Doubler, name="double", thread_above=1, gather=1000, holds=7, drops=True)

    assert (stage.threads, stage.holds, stage.drops, stage.transform) == (1, 2007, True, None)


@pytest.mark.parametrize("gather", [0, 8])
async def test_big_items_are_worked_off_in_one_thread_and_small_ones_are_not(gather: int) -> None:
    codec = Doubler()
    stage: Stage[bytes, bytes] = codec_stage(lambda: codec, name="double", thread_above=8, gather=gather)
    here = threading.current_thread().name

    await collect(stage, each([b"abc"]))
    assert codec.threads == {here}

    codec.threads.clear()
    await collect(stage, each([b"x" * 8] * 3))
    assert len(codec.threads - {here}) == 1
    assert all(name.startswith("double") for name in codec.threads - {here})


# --- errors ----------------------------------------------------------------------------------------------------------


class Failing:
    def __init__(self, at: str) -> None:
        self.at = at

    def feed(self, data: bytes, /) -> Iterator[bytes]:
        yield data
        if self.at == "feed":
            raise KeyError("mine")

    def finish(self) -> Iterator[bytes]:
        if self.at == "finish":
            raise KeyError("mine")
        return iter(())


@pytest.mark.parametrize("options", [{}, {"thread_above": 1}, {"thread_above": 1, "gather": 1}])
@pytest.mark.parametrize("at", ["feed", "finish"])
async def test_errors_of_the_codec_come_as_they_are(at: str, options: dict[str, int]) -> None:
    """P4."""
    stage: Stage[bytes, bytes] = codec_stage(lambda: Failing(at), name="fail", **options)

    with pytest.raises(KeyError, match="mine"):
        await collect(stage, each([b"x", b"y"]))


@pytest.mark.parametrize("options", [{}, {"thread_above": 1}, {"thread_above": 1, "gather": 2}])
@pytest.mark.parametrize("at", ["feed", "finish"])
async def test_what_was_good_before_an_error_is_given(at: str, options: dict[str, int]) -> None:
    """P3."""
    stage: Stage[bytes, bytes] = codec_stage(lambda: Failing(at), name="fail", **options)

    async with opened(stage, each([b"x", b"y"])) as items:
        for good in [b"x"] if at == "feed" else [b"x", b"y"]:
            assert await anext(items) == good
        with pytest.raises(KeyError, match="mine"):
            await anext(items)


@pytest.mark.parametrize("gather", [0, 8])
async def test_items_that_have_no_size_are_not_collected_without_end(gather: int) -> None:
    """P1."""
    taken: list[Any] = []

    class Plain:
        def feed(self, data: str, /) -> Iterable[str]:
            return (data,)

        def finish(self) -> Iterable[str]:
            return ()

    stage: Stage[str, str] = codec_stage(Plain, name="plain", thread_above=1, gather=gather)
    async with opened(stage, each(["a", "b", "c", "d"], taken)) as items:
        assert await anext(items) == "a"
        assert len(taken) <= 2


@pytest.mark.parametrize("options", [{}, {"thread_above": 1}, {"thread_above": 1, "gather": 4}])
async def test_finish_is_not_called_after_a_failure_above(options: dict[str, int]) -> None:
    """H61: a trailer would make a cut output look whole."""
    finished: list[str] = []

    class Noting(Doubler):
        def finish(self) -> Iterable[bytes]:
            finished.append("finish")
            return super().finish()

    async def failing() -> AsyncIterator[bytes]:
        yield b"some rows"
        raise ZeroDivisionError("above")

    stage: Stage[bytes, bytes] = codec_stage(Noting, name="note", **options)
    with pytest.raises(ZeroDivisionError, match="above"):
        await collect(stage, failing())

    assert not finished


@pytest.mark.parametrize("step", ["feed", "finish"])
def test_an_error_shows_the_stage_in_the_traceback_and_one_from_above_does_not(step: str) -> None:
    """By this frame the engine tells which of several fused stages failed."""
    stage: Stage[bytes, bytes] = codec_stage(lambda: Failing(step), name="csv.something")
    assert stage.transform is not None
    assert stage.callable is not None
    transform = stage.transform()
    with pytest.raises(KeyError) as own:
        list(itertools.chain(transform.apply(iter([b"x"])), transform.finish()))
    with pytest.raises(ZeroDivisionError) as above:
        list(transform.apply(b"x" for _ in [1 // 0 for _ in range(1)]))

    assert stage.callable.__code__ in [frame.f_code for frame, _ in traceback.walk_tb(own.value.__traceback__)]  # type: ignore[attr-defined]  # a plain function
    assert "csv.something" in "".join(traceback.format_tb(own.value.__traceback__))
    assert "csv.something" not in "".join(traceback.format_tb(above.value.__traceback__))


class InBatches(Failing):
    """Gives each byte twice, in one batch; by `feed` it could not be told from one that does not batch."""

    def batches(self, data: bytes, /) -> Iterator[Iterable[bytes]]:
        yield [data, data]
        yield iter([b"more"])
        if self.at == "feed":
            raise KeyError("mine")


def test_batches_are_given_item_by_item_and_an_error_comes_behind_them_with_the_name_of_the_stage() -> None:
    """P3: and by that frame the engine tells which of several fused stages failed."""
    whole: Stage[bytes, bytes] = codec_stage(lambda: InBatches("never"), name="csv.batches")
    stage: Stage[bytes, bytes] = codec_stage(lambda: InBatches("feed"), name="csv.batches")
    assert whole.transform is not None
    assert stage.transform is not None
    given: list[bytes] = []

    assert list(whole.transform().apply(iter([b"x", b"y"]))) == [b"x", b"x", b"more", b"y", b"y", b"more"]
    with pytest.raises(KeyError, match="mine") as error:
        given.extend(stage.transform().apply(iter([b"x", b"y"])))

    assert given == [b"x", b"x", b"more"]
    assert "csv.batches" in "".join(traceback.format_tb(error.value.__traceback__))


def test_a_codec_in_batches_takes_no_input_before_its_batches_are_used_up() -> None:
    stage: Stage[bytes, bytes] = codec_stage(lambda: InBatches("never"), name="csv.batches")
    assert stage.transform is not None
    taken: list[bytes] = []
    out = stage.transform().apply(taken.append(item) or item for item in (b"x", b"y"))  # type: ignore[func-returns-value]  # append gives None

    assert [next(out) for _ in range(3)] == [b"x", b"x", b"more"]
    assert taken == [b"x"]


# --- bounds, order, cancellation -------------------------------------------------------------------------------------


class Gate:
    """A codec that stops in its thread until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.left = threading.Event()
        self.fed: list[bytes] = []

    def feed(self, data: bytes, /) -> Iterable[bytes]:
        self.fed.append(data)
        self.entered.set()
        self.open.wait(10)
        self.left.set()
        return (data,)

    def finish(self) -> Iterable[bytes]:
        return (b"end",)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for happens in a thread
        await asyncio.sleep(0)


async def test_while_the_thread_works_one_more_block_is_collected_and_no_more() -> None:
    """P1, P8: bounded, and overlapped with the loop."""
    gate, taken = Gate(), []
    stage: Stage[bytes, bytes] = codec_stage(lambda: gate, name="gate", thread_above=1, gather=2)
    task = asyncio.create_task(collect(stage, each([b"%d" % n for n in range(10)], taken)))

    await until(lambda: len(taken) == 4)
    for _ in range(50):
        await asyncio.sleep(0)
    assert taken == [b"0", b"1", b"2", b"3"]
    assert gate.fed == [b"0"]

    gate.open.set()
    assert await task == [b"%d" % n for n in range(10)] + [b"end"]


async def test_the_thread_gets_its_next_block_before_the_loop_has_a_turn() -> None:
    """P8: with a quick library the thread would else wait for the loop as long as it works."""
    second = threading.Event()

    class Noting(Doubler):
        def feed(self, data: bytes, /) -> Iterable[bytes]:
            if data == b"bb":
                second.set()
            return (data,)

    stage: Stage[bytes, bytes] = codec_stage(Noting, name="note", thread_above=1, gather=2)
    async with opened(stage, each([b"aa", b"bb", b"cc"])) as out:
        assert await anext(out) == b"aa"
        assert second.wait(10)  # the loop stands still meanwhile


async def test_the_thread_pulls_ahead_before_the_loop_has_a_turn_and_only_so_far(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """P1, P8."""
    monkeypatch.setattr(codecs, "HELPING", 8)
    made: list[int] = []
    far = threading.Event()

    class Steps(Doubler):
        def feed(self, data: bytes, /) -> Iterator[bytes]:
            for step in range(100):
                made.append(step)
                if step == 2 * AHEAD:
                    far.set()
                yield b"1234"

    stage: Stage[bytes, bytes] = codec_stage(Steps, name="steps", thread_above=1)
    async with opened(stage, each([b"12345678"])) as out:
        await anext(out)
        assert far.wait(10)
        for _ in range(50):
            await asyncio.sleep(0)
        # One helping is being handed on; each is two pieces.
        assert len(made) <= 2 * (AHEAD + 1)


async def test_with_gather_0_an_item_is_answered_before_the_next_is_taken() -> None:
    gate, taken = Gate(), []
    stage: Stage[bytes, bytes] = codec_stage(lambda: gate, name="gate", thread_above=1)
    task = asyncio.create_task(collect(stage, each([b"a", b"b"], taken)))

    await until(gate.entered.is_set)
    for _ in range(50):
        await asyncio.sleep(0)
    assert taken == [b"a"]

    gate.open.set()
    assert await task == [b"a", b"b", b"end"]


async def test_output_that_is_ready_is_handed_on_when_the_next_small_item_comes() -> None:
    gate, more = Gate(), asyncio.Event()
    gate.open.set()

    async def source() -> AsyncIterator[bytes]:
        yield b"1234"
        await until(gate.left.is_set)
        await asyncio.sleep(0.01)  # the answer of the thread needs a real turn of the loop
        yield b"5"
        await more.wait()

    stage: Stage[bytes, bytes] = codec_stage(lambda: gate, name="gate", thread_above=1, gather=4)
    async with opened(stage, source()) as out:
        assert await anext(out) == b"1234"


@pytest.mark.parametrize("gather", [0, 1])
async def test_cancelling_waits_for_the_thread_and_leaves_none(gather: int) -> None:
    """P7, H40."""
    gate = Gate()
    stage: Stage[bytes, bytes] = codec_stage(lambda: gate, name="gate", thread_above=1, gather=gather)
    before = set(threading.enumerate())
    task = asyncio.create_task(collect(stage, each([b"a", b"b", b"c"])))
    await until(gate.entered.is_set)

    task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)

    assert set(threading.enumerate()) == before
    assert gate.fed == [b"a"]


@pytest.mark.parametrize("gather", [0, 1])
async def test_leaving_early_ends_the_thread(gather: int) -> None:
    """P7: `break` and `aclose`, with a block still in the thread."""
    gate = Gate()
    gate.open.set()
    stage: Stage[bytes, bytes] = codec_stage(lambda: gate, name="gate", thread_above=1, gather=gather)
    before = set(threading.enumerate())

    async with opened(stage, each([b"a", b"b", b"c", b"d"])) as out:
        assert await anext(out) == b"a"

    assert set(threading.enumerate()) == before


async def test_an_error_in_the_thread_while_the_stage_is_closed_is_not_reported_as_lost() -> None:
    """E8."""
    reported: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: reported.append(context))
    gate = Gate()

    class Late(Gate):
        def feed(self, data: bytes, /) -> Iterable[bytes]:
            gate.feed(data)
            raise KeyError("late")

    async def source() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()

    stage: Stage[bytes, bytes] = codec_stage(Late, name="late", thread_above=1, gather=1)
    task = asyncio.create_task(collect(stage, source()))
    await until(gate.entered.is_set)
    task.cancel()
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    await asyncio.sleep(0)

    assert not reported


async def test_output_is_pulled_from_the_thread_in_helpings(monkeypatch: pytest.MonkeyPatch) -> None:
    """H60: what a small item expands to is not made at once."""
    monkeypatch.setattr(codecs, "HELPING", 100)
    most = (AHEAD + 1) * 10
    made = 0

    class Bomb(Doubler):
        def feed(self, data: bytes, /) -> Iterator[bytes]:
            nonlocal made
            for _ in range(1000):
                made += 1
                yield data

    stage: Stage[bytes, bytes] = codec_stage(Bomb, name="bomb", thread_above=1)
    async with opened(stage, each([b"x" * 10])) as items:
        for taken in range(1, 200):
            await anext(items)
            assert made < taken + most


async def test_a_buffer_that_is_written_again_is_copied_before_the_thread_gets_it() -> None:
    """H56."""

    async def source() -> AsyncIterator[Any]:
        buffer = bytearray(4)
        for n in range(6):
            buffer[:] = b"%d" % n * 4
            yield buffer

    stage: Stage[Any, bytes] = codec_stage(Doubler, name="double", thread_above=1, gather=12)

    assert b"".join(await collect(stage, source())) == b"".join(expected([b"%d" % n * 4 for n in range(6)]))


async def test_no_thread_is_started_for_small_data() -> None:
    before = threading.active_count()
    stage: Stage[bytes, bytes] = codec_stage(Doubler, name="double", thread_above=1000, gather=1000)
    async with opened(stage, each([b"ab", b"cd"])) as out:
        seen = [threading.active_count() async for _ in out]

    assert set(seen) == {before}


# --- several threads -------------------------------------------------------------------------------------------------


class Calls:
    """Emits two calls for each item, and one at the end."""

    def __init__(self, call: Callable[[bytes], bytes] = bytes) -> None:
        self.call = call

    def feed(self, data: bytes, /) -> Iterator[Callable[[], bytes]]:
        middle = len(data) // 2
        for half in (data[:middle], data[middle:]):
            yield partial(self.call, half)

    def finish(self) -> Iterator[Callable[[], bytes]]:
        yield partial(self.call, b"end")


@pytest.mark.parametrize("threads", [2, 5])
async def test_results_of_several_threads_keep_their_order(threads: int) -> None:
    second_began = {b"%02d" % n: threading.Event() for n in range(20)}

    def call(data: bytes) -> bytes:
        if data.startswith(b"<"):
            assert second_began[data[1:]].wait(10)  # so it is always ready after the one behind it
        elif data.startswith(b">"):
            second_began[data[1:]].set()
        return data

    stage: Stage[bytes, bytes] = parallel_stage(lambda: Calls(call), name="calls", threads=threads)

    out = await collect(stage, each([b"<%02d>%02d" % (n, n) for n in range(20)]))

    assert out == [half for n in range(20) for half in (b"<%02d" % n, b">%02d" % n)] + [b"end"]
    assert (stage.threads, stage.name) == (threads, "calls")


async def test_at_most_twice_as_many_calls_as_threads_are_under_way() -> None:
    """P1."""
    gate, taken = threading.Event(), []
    began: list[bytes] = []

    def call(data: bytes) -> bytes:
        began.append(data)
        gate.wait(10)
        return data

    stage: Stage[bytes, bytes] = parallel_stage(lambda: Calls(call), name="calls", threads=2)
    task = asyncio.create_task(collect(stage, each([b"%04d" % n for n in range(9)], taken)))
    await until(lambda: len(began) == 2)
    for _ in range(50):
        await asyncio.sleep(0)

    assert taken == [b"0000", b"0001"]
    assert len(began) == 2
    gate.set()
    assert len(await task) == 19


async def test_an_error_of_a_call_comes_in_its_turn() -> None:
    """P3, P4."""

    def call(data: bytes) -> bytes:
        if data == b"07":
            raise KeyError("mine")
        return data

    stage: Stage[bytes, bytes] = parallel_stage(lambda: Calls(call), name="calls", threads=3)
    async with opened(stage, each([b"%04d" % n for n in range(20)])) as items:
        out = [await anext(items) for _ in range(15)]
        with pytest.raises(KeyError, match="mine"):
            await anext(items)

    assert out == [half for n in range(7) for half in (b"00", b"%02d" % n)] + [b"00"]


async def test_cancelling_waits_for_all_threads_and_leaves_none() -> None:
    """P7."""
    gate = threading.Event()
    began: list[bytes] = []

    def call(data: bytes) -> bytes:
        began.append(data)
        gate.wait(10)
        return data

    stage: Stage[bytes, bytes] = parallel_stage(lambda: Calls(call), name="calls", threads=2)
    before = set(threading.enumerate())
    task = asyncio.create_task(collect(stage, each([b"%04d" % n for n in range(9)])))
    await until(lambda: len(began) == 2)
    task.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not task.done()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert set(threading.enumerate()) == before
    assert b"end" not in began
