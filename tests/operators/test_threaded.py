"""`threaded`: a blocking iterable, opened, read and closed in one thread of its own."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import threading

import pytest

import streamflow as sf
from streamflow.operators.threaded import threaded


def threads_left():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streamflow-threaded")]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert threads_left() == []


class Rows:
    """A blocking iterable that gives its items one by one as the test lets it, and notes where it is used."""

    def __init__(self, items=(), *, error=None, close_error=None):
        self.items = iter(items)
        self.error = error
        self.close_error = close_error
        self.permits = threading.Semaphore(0)
        self.asked = 0
        self.taken = 0
        self.closed = 0
        self.threads = []

    def open(self):
        self.threads.append(threading.get_ident())
        return self

    def __iter__(self):
        return self

    def __next__(self):
        self.threads.append(threading.get_ident())
        self.asked += 1
        assert self.permits.acquire(timeout=10)
        self.taken += 1
        for item in self.items:
            return item
        raise self.error or StopIteration

    def close(self):
        self.threads.append(threading.get_ident())
        self.closed += 1
        if self.close_error is not None:
            raise self.close_error

    def let(self, count=1_000_000):
        if count < 1000:
            self.permits.release(count)
        else:
            self.permits = threading.Semaphore(count)
        return self


async def until(condition):
    while not condition():  # noqa: ASYNC110  # a thread makes it true, which an asyncio.Event cannot be told by
        await asyncio.sleep(0)


async def test_it_is_opened_read_and_closed_in_one_thread_that_is_not_the_loops():
    """H31, H40."""
    rows = Rows(range(100)).let()

    assert await sf.stream(threaded(rows.open)).collect() == list(range(100))
    assert len(set(rows.threads)) == 1
    assert rows.threads[0] != threading.get_ident()
    assert rows.closed == 1


async def test_an_item_is_not_kept_for_the_sake_of_the_next():
    """A hop carries several items, but a slow iterable hands each over at once: the read of the next one blocks."""
    rows = Rows(itertools.count())
    async with sf.stream(threaded(rows.open, maxsize=100)).open() as items:
        for number in range(5):
            rows.let(1)
            assert await anext(items) == number
            assert rows.asked <= number + 2
        rows.let(20)
        assert [await anext(items) for _ in range(20)] == list(range(5, 25))
        rows.let(500)  # for the reads that are under way


async def test_the_event_loop_stays_alive_while_a_read_blocks():
    """P8."""
    rows = Rows([1])
    run = asyncio.create_task(sf.stream(threaded(rows.open)).collect())
    await until(lambda: rows.asked)
    for _ in range(100):
        await asyncio.sleep(0)
    assert not run.done()

    rows.let(2)
    assert await run == [1]


@pytest.mark.parametrize("maxsize", [1, 2, 7])
async def test_no_more_is_read_ahead_than_maxsize(maxsize):
    """P1."""
    rows = Rows(itertools.count()).let()
    async with sf.stream(threaded(rows.open, maxsize=maxsize)).buffer(1).open() as items:
        for number in range(30):
            assert await anext(items) == number
        await asyncio.sleep(0.02)  # what it may do, it has done by now
        assert rows.taken <= 30 + maxsize + 4  # in the buffer, in the hands of its two sides


@pytest.mark.parametrize("maxsize", [1, 2, 3, 64])
async def test_nothing_is_lost_at_any_bound(maxsize):
    """P2."""
    assert await sf.stream(threaded(lambda: range(3000), maxsize=maxsize)).collect() == list(range(3000))


async def test_an_error_comes_after_the_items_before_it_and_closes():
    """P3."""
    rows, got = Rows(range(5), error=OSError("connection lost")).let(), []

    with pytest.raises(OSError, match="connection lost") as caught:
        await sf.stream(threaded(rows.open)).for_each(got.append)
    assert caught.value is rows.error
    assert got == list(range(5))
    assert rows.closed == 1


async def test_an_early_end_ignores_what_would_have_failed_later():
    """P3: as if nested."""
    rows = Rows([0, 1, 2], error=OSError("read ahead")).let()

    assert await sf.stream(threaded(rows.open)).take(3).collect() == [0, 1, 2]
    assert rows.closed == 1


async def test_a_failure_to_open_is_an_error():
    def connect():
        raise ConnectionRefusedError("no database")

    with pytest.raises(ConnectionRefusedError, match="no database"):
        await sf.stream(threaded(connect)).collect()


@pytest.mark.parametrize("take", [2, 9999])
async def test_a_failure_to_close_is_an_error(take):
    rows = Rows(range(5000), close_error=OSError("rollback")).let()

    with pytest.raises(OSError, match="rollback"):
        await sf.stream(threaded(rows.open)).take(take).collect()


async def test_a_failure_to_close_after_an_error_is_told_on_it():
    """P4: the first failure wins."""
    rows = Rows(range(5), error=OSError("first"), close_error=OSError("second")).let()

    with pytest.raises(OSError, match="first") as caught:
        await sf.stream(threaded(rows.open)).collect()
    assert any("second" in note for note in caught.value.__notes__)


async def test_stop_iteration_out_of_a_function_is_no_end():
    """H36."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await sf.stream(threaded(lambda: next(iter(())))).collect()


async def test_cancellation_waits_for_the_read_under_way_and_then_closes():
    """H40, H42: nothing is closed under a thread that still uses it."""
    rows = Rows([1, 2])
    run = asyncio.create_task(sf.stream(threaded(rows.open)).collect())
    await until(lambda: rows.asked)

    for _ in range(3):
        run.cancel()
        await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    assert not run.done()
    assert not rows.closed
    rows.let(1)

    with pytest.raises(asyncio.CancelledError):
        await run
    assert rows.closed == 1
    assert rows.asked == 1


async def test_many_blocked_sources_do_not_use_up_a_pool():
    """H43: each has a thread of its own, so the one that unblocks them always runs."""
    many = [Rows([n]) for n in range(20)]
    runs = [asyncio.create_task(sf.stream(threaded(rows.open)).collect()) for rows in many]
    await until(lambda: all(rows.asked for rows in many))

    def unblock():
        for rows in many:
            rows.let(2)
        yield "unblocked"

    assert await sf.stream(threaded(unblock)).collect() == ["unblocked"]
    assert [await run for run in runs] == [[n] for n in range(20)]


async def test_the_thread_sees_the_context_of_the_run():
    word = contextvars.ContextVar("word")
    word.set("here")

    assert await sf.stream(threaded(lambda: [word.get()])).collect() == ["here"]


async def test_a_generator_is_closed_in_its_thread():
    where = []

    def rows():
        try:
            yield from range(10_000)
        finally:
            where.append(threading.current_thread().name)

    assert await sf.stream(threaded(rows(), name="orders")).first() == 0
    assert where[0].startswith("streamflow-threaded(orders)")


async def test_what_was_given_open_stays_open_and_what_was_opened_is_closed(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("a\nb\n")
    opened = []

    def open_it():
        opened.append(path.open())
        return opened[0]

    assert await sf.stream(threaded(open_it)).collect() == ["a\n", "b\n"]
    assert opened[0].closed
    with path.open() as file:
        assert await sf.stream(threaded(file)).collect() == ["a\n", "b\n"]
        assert not file.closed


async def test_each_run_opens_it_anew():
    source = threaded(lambda: iter("ab"))

    assert await sf.stream(source).collect() == await sf.stream(source).collect() == ["a", "b"]


async def test_a_generator_that_was_used_up_is_refused():
    """P2."""
    source = threaded(n for n in range(2))
    assert await sf.stream(source).collect() == [0, 1]

    with pytest.raises(sf.UsageError, match="used up"):
        await sf.stream(source).collect()


async def test_what_a_function_returned_must_be_an_iterable():
    with pytest.raises(sf.UsageError, match="returned int, which is no iterable"):
        await sf.stream(threaded(lambda: 5)).collect()


async def an_async_source():
    yield 1


async def a_coroutine():
    return [1]


@pytest.mark.parametrize("wrong", [an_async_source, a_coroutine, sf.stream([1])])
def test_what_is_async_is_refused(wrong):
    with pytest.raises(sf.UsageError, match="needs no thread"):
        threaded(wrong)


@pytest.mark.parametrize("wrong", ["text", 5, b"bytes"])
def test_what_cannot_be_iterated_is_refused(wrong):
    with pytest.raises(sf.UsageError, match="The source"):
        threaded(wrong)


@pytest.mark.parametrize("maxsize", [0, -1, 1.5, True])
def test_a_bound_that_cannot_mean_anything_is_refused(maxsize):
    """F14."""
    with pytest.raises(sf.UsageError, match=r"threaded\(maxsize\)"):
        threaded([], maxsize=maxsize)


async def test_the_plan_shows_its_thread_and_what_it_holds():
    source = threaded(range(3), maxsize=7, name="rows")

    assert (source.name, source.threads, source.holds_items) == ("threaded(rows)", 1, 7)
