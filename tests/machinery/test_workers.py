"""Calls in threads and in processes of a stage: in order, waited for, and all gone at the end."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import math
import multiprocessing
import os
import signal
import threading
from multiprocessing import resource_tracker
from typing import Any

import pytest

import streamflow as sf
from streamflow.machinery.policies import Backoff, Retry, skip_errors
from streamflow.operators.concurrency import for_each
from streamflow.operators.concurrency import map as mapped
from streamflow.testing import TrackedSource

TAG: contextvars.ContextVar[str] = contextvars.ContextVar("TAG", default="none")


class Broken(Exception):
    """What the tests raise."""


class Hall:
    """Blocking calls that wait in their threads until the test lets them go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.ended: list[int] = []
        self._go = threading.Event()
        self._some = threading.Event()

    def __call__(self, item: int) -> int:
        self.begun.append(item)
        self._some.set()
        self._go.wait(10)
        self.ended.append(item)
        return item

    async def someone(self) -> None:
        await asyncio.to_thread(self._some.wait, 10)

    def open(self) -> None:
        self._go.set()


# --- threads -----------------------------------------------------------------------------------------------------


async def test_calls_run_in_threads_of_their_own_and_keep_the_order() -> None:
    names: set[str] = set()

    def call(item: int) -> int:
        names.add(threading.current_thread().name)
        return item * 2

    assert await sf.pipeline(range(100), mapped(call, threads=3), sf.collect()) == [*range(0, 200, 2)]
    assert 1 <= len(names) <= 3
    assert all(name.startswith("map(threads=3)") for name in names)


async def test_so_many_calls_run_at_once() -> None:
    meeting = threading.Barrier(4, timeout=10)

    def call(item: int) -> int:
        meeting.wait()
        return item

    assert await sf.pipeline(range(8), mapped(call, threads=4), sf.collect()) == [*range(8)]


async def test_one_thread_calls_one_at_a_time() -> None:
    busy = threading.Lock()

    def call(item: int) -> int:
        assert busy.acquire(blocking=False)
        busy.release()
        return item

    assert await sf.pipeline(range(50), mapped(call, threads=1), sf.collect()) == [*range(50)]


async def test_out_of_order_a_slow_thread_holds_up_nobody() -> None:
    done = threading.Event()

    def call(item: int) -> int:
        if item == 0:
            assert done.wait(10)
        if item == 9:
            done.set()
        return item

    got = await sf.pipeline(range(10), mapped(call, threads=2, ordered=False), sf.collect())

    assert got.index(9) < got.index(0)


async def test_threads_see_the_context_variables() -> None:
    TAG.set("mine")

    assert await sf.pipeline(range(3), mapped(lambda _: TAG.get(), threads=2), sf.collect()) == ["mine"] * 3


async def test_no_thread_starts_before_it_is_needed() -> None:
    before = threading.active_count()
    stage = mapped(str, threads=4)

    assert await sf.pipeline([], stage, sf.collect()) == []
    assert threading.active_count() == before


async def test_what_a_call_raises_comes_at_its_turn() -> None:
    got: list[int] = []

    def call(item: int) -> int:
        if item == 3:
            raise Broken
        return item

    with pytest.raises(Broken) as caught:
        await sf.pipeline(range(9), mapped(call, threads=3), for_each(got.append))

    assert got == [0, 1, 2]
    assert caught.value.__notes__[0] == "it was the call for item 4"


async def test_a_stop_iteration_is_an_error_and_no_hang() -> None:
    """H36."""
    with pytest.raises(RuntimeError, match="next raised StopIteration in a thread"):
        await sf.pipeline([iter([1]), iter([])], mapped(next, threads=2), sf.collect())


async def test_policies_hold_for_threads_too() -> None:
    tries = {3: 2, 5: 99}

    def call(item: int) -> int:
        tries[item] = tries.get(item, 0) - 1
        if tries[item] >= 0:
            raise OSError
        return item

    retry = Retry(3, backoff=Backoff(first=1e-9, most=1e-9))
    stage = mapped(call, threads=2, retry=retry, errors=skip_errors(OSError), key=lambda item: item % 4)

    assert await sf.pipeline(range(8), stage, sf.collect()) == [0, 1, 2, 3, 4, 6, 7]


async def test_a_cancelled_call_is_waited_for_and_no_other_begins() -> None:
    """H40, X14."""
    hall = Hall()
    run = asyncio.create_task(sf.pipeline(range(100), mapped(hall, threads=2, concurrency=5), sf.collect()))
    await hall.someone()
    run.cancel()
    for _ in range(5):
        await asyncio.sleep(0.002)
        assert not run.done()
    begun = len(hall.begun)
    hall.open()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert len(hall.begun) == len(hall.ended) == begun <= 2


async def test_an_early_stop_waits_for_the_calls_at_work() -> None:
    hall, source = Hall(), TrackedSource(range(100))

    def call(item: int) -> int:
        return item if item == 0 else hall(item)

    async def first() -> int:
        return await sf.stream(source).through(mapped(call, threads=2)).first()

    run = asyncio.create_task(first())
    await hall.someone()
    hall.open()

    assert await run == 0
    assert sorted(hall.begun) == sorted(hall.ended)
    source.verify()


async def test_for_each_in_threads() -> None:
    seen: list[int] = []

    assert await sf.pipeline(range(20), for_each(seen.append, threads=3)) == 20
    assert sorted(seen) == [*range(20)]


async def test_a_function_that_returns_an_awaitable_in_a_thread_is_an_error() -> None:
    """P10."""

    async def call(item: int) -> int:
        return item

    with pytest.raises(sf.UsageError, match="returned an awaitable in a thread"):
        await sf.pipeline([1], mapped(lambda item: call(item + 1), threads=2), sf.collect())


async def _coroutine_function(item: int) -> int:
    return item


@pytest.mark.parametrize("word", ["threads", "processes"])
@pytest.mark.parametrize(
    ("fn", "arguments", "message"),
    [
        (str, {"$": 0}, r"\$ must be a whole number"),
        (str, {"$": True}, r"\$ must be a whole number"),
        (str, {"$": 4, "concurrency": 2}, r"leaves some of \$=4 idle"),
        (str, {"$": 4, "concurrency": "auto"}, "an adaptive concurrency has no effect"),
        (str, {"$": 4, "timeout": 3.0}, r"timeout= cannot stop a call in \$"),
        (str, {"threads": 4, "processes": 4}, "exclude each other"),
        (_coroutine_function, {"$": 4}, r"write concurrency=4 instead of \$=4"),
        (str, {"$": 1, "ordered": False}, "ordered=False has no effect"),
    ],
)
def test_what_cannot_mean_anything_is_refused(word: str, fn: Any, arguments: dict[str, Any], message: str) -> None:
    """F14, P10."""
    arguments = {name.replace("$", word): value for name, value in arguments.items()}

    with pytest.raises(sf.UsageError, match=message.replace(r"\$", word)):
        mapped(fn, **arguments)


def test_the_stage_says_what_it_uses() -> None:
    stage = mapped(str, threads=4)

    assert (stage.name, stage.concurrency, stage.threads, stage.holds_items) == ("map(threads=4)", 4, 4, 8)


# --- processes ---------------------------------------------------------------------------------------------------


class Stubborn(Exception):
    """It cannot be unpickled: its `__init__` wants more than `args` says."""

    def __init__(self, stage: str, row: int) -> None:
        super().__init__(f"{stage}:{row}")


def pid_of(_: Any) -> int:
    return os.getpid()


def square_root(item: int) -> float:
    return math.sqrt(item)  # a ValueError below 0


def stubborn(item: int) -> int:
    if item == 1:
        raise Stubborn("parse", item)
    return item


def die_at_three(item: int) -> int:
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def hang(path: str) -> None:
    with open(path, "w") as file:
        file.write(str(os.getpid()))
    signal.pause()


def lambda_for(_: int) -> Any:
    return lambda: None


@pytest.fixture(autouse=True, scope="module")
def _tracker() -> None:
    """Start what multiprocessing starts once per process and keeps."""
    resource_tracker.ensure_running()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_function_that_cannot_be_pickled_is_refused_at_once() -> None:
    """H98."""
    with pytest.raises(sf.UsageError, match=r"'<lambda>' cannot be sent to a process: .* write threads=2"):
        mapped(lambda item: item, processes=2)


async def test_no_process_starts_before_it_is_needed() -> None:
    assert await sf.pipeline([], mapped(str, processes=2), sf.collect()) == []
    assert multiprocessing.active_children() == []


@pytest.mark.slow
async def test_calls_run_in_processes_and_keep_the_order() -> None:
    got = await sf.pipeline(range(20), mapped(math.factorial, processes=2), sf.collect())
    pids = await sf.pipeline(range(20), mapped(pid_of, processes=2), sf.collect())

    assert got == [math.factorial(number) for number in range(20)]
    assert 1 <= len(set(pids)) <= 2
    assert os.getpid() not in pids
    assert multiprocessing.active_children() == []
    assert all(map(is_gone, pids))


@pytest.mark.slow
async def test_failures_in_a_process_are_the_items_own() -> None:
    """H99: an error that cannot be unpickled, a result that cannot be pickled, an item that cannot be."""
    with pytest.raises(ValueError, match="math domain error") as caught:
        await sf.pipeline([4, 9, -1, 16], mapped(square_root, processes=1), sf.collect())
    assert caught.value.__notes__[0] == "it was the call for item 3"

    with pytest.raises(sf.StageError, match="Stubborn: parse:1"):
        await sf.pipeline(range(3), mapped(stubborn, processes=1), sf.collect())

    with pytest.raises(sf.StageError, match="cannot be sent back from its process: a function cannot be pickled"):
        await sf.pipeline(range(3), mapped(lambda_for, processes=1), sf.collect())

    with pytest.raises(sf.StageError, match="cannot send this item to a process: a lock cannot be pickled"):
        await sf.pipeline([threading.Lock()], mapped(str, processes=1), sf.collect())

    assert await sf.pipeline(range(3), mapped(stubborn, processes=1, errors=skip_errors()), sf.collect()) == [0, 2]
    assert multiprocessing.active_children() == []


@pytest.mark.slow
async def test_a_killed_process_is_an_error_and_no_hang() -> None:
    """H99: and where it is skipped, the next call has new processes."""
    with pytest.raises(sf.StageError, match=r"a worker process of map\(processes=1\) died") as caught:
        await sf.pipeline(range(9), mapped(die_at_three, processes=1), sf.collect())
    assert caught.value.__notes__[0] == "it was the call for item 4"

    stage = mapped(die_at_three, processes=1, errors=skip_errors(sf.StageError))
    assert await sf.pipeline(range(6), stage, sf.collect()) == [0, 1, 2, 4, 5]
    assert multiprocessing.active_children() == []


@pytest.mark.slow
async def test_a_cancellation_kills_the_processes(tmp_path: Any) -> None:
    fifos = [tmp_path / name for name in "ab"]
    for fifo in fifos:
        os.mkfifo(fifo)
    run = asyncio.create_task(sf.pipeline(map(str, fifos), mapped(hang, processes=2), sf.collect()))
    pids = [int(await asyncio.to_thread(fifo.read_text)) for fifo in fifos]
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert multiprocessing.active_children() == []
    assert all(map(is_gone, pids))


@pytest.mark.slow
async def test_a_cancellation_while_processes_start_leaves_none() -> None:
    for delay in (0.0, 0.001, 0.01, 0.1):
        run = asyncio.create_task(sf.pipeline(range(99), mapped(functools.partial(pow, 2), processes=2), sf.count()))
        await asyncio.sleep(delay)
        run.cancel()
        await asyncio.wait([run])

        assert run.cancelled()
        assert multiprocessing.active_children() == []
