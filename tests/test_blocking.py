"""`stream.blocking()`: a stream in an ordinary thread; its run has a thread and a loop, which end with it."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import streamflow as sf
from streamflow.testing import TrackedSource


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "streamflow" in thread.name]


@pytest.mark.parametrize("items", [[], [None], [0, "", False], list(range(5000))])
def test_it_gives_the_items_of_the_stream(items: list[Any]) -> None:
    assert list(sf.stream(items).blocking()) == items
    assert threads() == []


def test_in_a_block_it_may_be_left_and_taken_up_again() -> None:
    source = TrackedSource(itertools.count())
    with sf.stream(source).map(str).blocking() as items:
        assert next(items) == "0"
        for item in items:
            if item == "5":
                break
        assert next(items) == "6"
        assert threads() == ["streamflow.blocking"]

    assert source.opened == source.closed == 1
    assert threads() == []
    assert list(items) == []


def test_a_loop_that_is_left_closes_everything() -> None:
    source = TrackedSource(itertools.count())
    for item in sf.stream(source).blocking():
        if item == 3:
            break

    assert source.closed == 1
    assert threads() == []


def test_nothing_runs_before_the_first_item_is_asked_for() -> None:
    source = TrackedSource(range(3))
    with sf.stream(source).blocking():
        assert threads() == []

    assert source.opened == 0


def test_an_error_comes_as_itself_after_the_items_before_it() -> None:
    got: list[float] = []
    with pytest.raises(ZeroDivisionError) as caught, sf.stream([1, 0]).map(lambda n: 1 / n).blocking() as items:
        got += items

    assert caught.value.__notes__[0].startswith("in stage 2 of 2 of stream: 'map', at item 2")
    assert threads() == []


def test_an_error_of_the_loop_is_the_one_that_is_seen() -> None:
    source = TrackedSource(itertools.count())
    with pytest.raises(KeyError), sf.stream(source).blocking() as items:
        {}[next(items)]

    assert source.closed == 1


def test_a_slow_thread_holds_the_source_back() -> None:
    source = TrackedSource(itertools.count())
    with sf.stream(source).buffer(4).blocking() as items:
        next(items)
        taken = -1
        while taken != source.taken:
            taken = source.taken
            time.sleep(0.01)  # the run goes on in its own thread, in real time

    assert taken <= 4 * 3 + 2


def test_several_threads_may_each_have_their_own() -> None:
    numbers = sf.stream(range(500)).map(lambda number: number + 1)
    sums: list[int] = []
    workers = [threading.Thread(target=lambda: sums.append(sum(numbers.blocking()))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sums == [sum(range(501))] * 4


async def test_where_a_loop_runs_it_is_refused() -> None:
    items = sf.stream([1]).blocking()
    with pytest.raises(sf.UsageError, match="async for"):
        next(items)


async def test_from_a_thread_of_a_loop_it_works() -> None:
    numbers = sf.stream(range(10))

    assert await asyncio.to_thread(lambda: list(numbers.blocking())) == list(range(10))


def test_it_says_of_what_it_is() -> None:
    assert repr(sf.stream([1]).map(str).blocking()) == "<Blocking items of list > map>"


SCRIPT = """
import asyncio, os, signal, threading
import streamflow as sf

async def source():
    try:
        yield 1
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0.01)
        print("closed", flush=True)

try:
    for item in sf.stream(source).blocking():
        print(item, flush=True)
except KeyboardInterrupt:
    print("interrupted", [thread.name for thread in threading.enumerate()])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to a process of its own there")
def test_ctrl_c_stops_the_run_and_waits_until_everything_is_closed() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stdout.splitlines() == ["1", "closed", "interrupted ['MainThread']"], done.stderr
    assert done.stderr == ""


def test_a_stream_may_be_iterated_again() -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)

    async def letters() -> AsyncIterator[str]:
        yield "a"

    for flow, expected in ((sf.stream(numbers), [0, 1, 2]), (sf.stream(letters), ["a"])):
        assert list(flow.blocking()) == list(flow.blocking()) == expected
