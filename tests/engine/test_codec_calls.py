"""Calls in a codec's thread: in a row, taken in order, the next one there before the one before it has ended."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest

from streamflow.engine.codec_calls import AHEAD, Calls

number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


async def taken(calls: Calls[bytes]) -> list[bytes]:
    return [out for _ in range(len(calls)) for out in (await calls.take())[0]]


async def test_results_come_in_order_from_one_thread_in_the_context_of_the_caller() -> None:
    calls: Calls[bytes] = Calls("test")

    def work(name: bytes) -> Iterator[bytes]:
        yield b"%s %s %d" % (name, threading.current_thread().name[:4].encode(), number.get())

    number.set(7)
    for name in (b"one", b"two"):
        calls.begin(work(name))
    calls.spare(work(b"three"))
    out = await taken(calls)
    await calls.close()

    assert out[:2] == [b"one test 7", b"two test 7"]
    assert out[2].startswith(b"three Main")
    assert calls.used


async def test_no_thread_is_started_for_what_is_spared_it() -> None:
    calls: Calls[bytes] = Calls("test")
    before = threading.active_count()
    calls.spare(iter([b"x"]))

    assert await taken(calls) == [b"x"]
    assert (threading.active_count(), calls.used) == (before, False)
    await calls.close()


async def test_output_is_pulled_in_helpings_and_an_error_comes_behind_the_good() -> None:
    """P3, H60."""

    def work() -> Iterator[bytes]:
        yield from [b"123", b"456", b"789"]
        raise KeyError("mine")

    calls, pieces = Calls[bytes]("test"), work()
    for _ in range(3):
        calls.begin(pieces, 5)
    first, more = await calls.take()
    assert (list(first), more) == ([b"123", b"456"], True)
    second, more = await calls.take()
    assert (next(second), more) == (b"789", False)
    with pytest.raises(KeyError, match="mine"):
        next(second)
    third, more = await calls.take()
    assert (list(third), more) == ([], False)
    await calls.close()


async def test_a_result_is_due_when_it_is_there_or_when_there_must_not_be_more_calls() -> None:
    gate = threading.Event()

    def work() -> Iterator[bytes]:
        gate.wait(10)
        yield b"x"

    calls: Calls[bytes] = Calls("test")
    assert not calls.due()
    for begun in range(AHEAD):
        assert not calls.due(), begun
        calls.begin(work())
    assert calls.due()
    gate.set()
    await calls.take()
    await taken(calls)
    calls.spare(iter([b"y"]))
    assert calls.due()
    assert await taken(calls) == [b"y"]
    await calls.close()


async def test_closing_waits_for_the_call_that_runs_and_takes_back_the_others() -> None:
    """P7, H40."""
    entered, gate = threading.Event(), threading.Event()
    made: list[int] = []

    def work(which: int) -> Iterator[bytes]:
        made.append(which)
        entered.set()
        gate.wait(10)
        yield b"x"

    calls: Calls[bytes] = Calls("test")
    before = set(threading.enumerate())
    for which in range(3):
        calls.begin(work(which))
    entered.wait(10)
    closing = asyncio.create_task(calls.close())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not closing.done()
    gate.set()
    await closing

    assert made == [0]
    assert set(threading.enumerate()) == before
