"""The loop of the kit: virtual time, counted steps, seeds, and errors where other loops hang."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import threading
import time

import anyio
import anyio.to_thread
import pytest

from streamflow.testing import BusyLoopError, DeadlockError, StepLoop


def run(main, **options):
    with asyncio.Runner(loop_factory=functools.partial(StepLoop, **options)) as runner:
        return runner.run(main())


async def order_of_five():
    seen = []

    async def note(name):
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(name)

    async with asyncio.TaskGroup() as group:
        for name in "abcde":
            group.create_task(note(name))
    return "".join(seen)


def test_ten_minutes_pass_in_no_time():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(600):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    begin = time.monotonic()

    assert run(main) == 600
    assert time.monotonic() - begin < 60


def test_time_starts_at_zero_and_moves_only_by_timers():
    async def main():
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        for seconds in (0, 0.25, 3):
            await asyncio.sleep(seconds)
            times.append(loop.time())
        return times

    assert run(main) == [0, 0, 0.25, 3.25]


def test_anyio_deadlines_are_virtual_too():
    async def main():
        with anyio.move_on_after(300) as scope:
            await anyio.sleep_forever()
        return scope.cancelled_caught, anyio.current_time()

    assert run(main) == (True, 300)


def test_timers_of_the_same_moment_fire_in_the_order_they_were_set():
    async def main():
        loop, seen = asyncio.get_running_loop(), []
        for number in range(50):
            loop.call_at(5, seen.append, number)
        await asyncio.sleep(5)
        return seen

    assert run(main) == list(range(50))


def test_a_cancelled_timer_is_not_jumped_to():
    async def main():
        loop = asyncio.get_running_loop()
        loop.call_later(1, lambda: None).cancel()
        await asyncio.sleep(7)
        return loop.time()

    assert run(main) == 7


def test_without_a_seed_the_order_is_that_of_asyncio():
    assert run(order_of_five) == asyncio.run(order_of_five()) == "abcdeabcdeabcde"


def test_seeds_give_different_orders_and_each_is_repeatable():
    orders = [run(order_of_five, seed=seed) for seed in range(8)]

    assert len(set(orders)) > 4
    assert orders == [run(order_of_five, seed=seed) for seed in range(8)]
    assert all(sorted(order) == sorted("abcde" * 3) for order in orders)


@pytest.mark.parametrize("seed", range(10))
def test_a_seed_keeps_the_order_of_plain_callbacks(seed):
    async def main():
        loop, seen = asyncio.get_running_loop(), []
        for number in range(20):
            loop.call_soon(seen.append, number)
            loop.create_task(asyncio.sleep(0))
        await asyncio.sleep(1)
        return seen

    assert run(main, seed=seed) == list(range(20))


def test_every_callback_that_runs_is_one_step():
    async def main():
        loop = asyncio.get_running_loop()
        begin = loop.steps
        for _ in range(5):
            await asyncio.sleep(0)
        return loop.steps - begin

    assert run(main) == 5


def test_a_task_is_cancelled_exactly_after_step_k():
    async def main():
        loop, turns = asyncio.get_running_loop(), []

        async def count():
            while True:
                turns.append(loop.steps)
                await asyncio.sleep(0)

        task = loop.create_task(count())
        loop.call_after_step(loop.steps + 4, task.cancel)
        await asyncio.wait({task})
        return task.cancelled(), len(turns)

    assert run(main) == (True, 3)  # the first of the four steps is the rest of main's own


def test_a_hook_for_a_step_that_has_passed_is_refused():
    async def main():
        await asyncio.sleep(0)
        asyncio.get_running_loop().call_after_step(0, print)

    with pytest.raises(ValueError, match="Step 0 has passed"):
        run(main)


def test_a_deadlock_names_every_task_and_the_line_where_it_waits():
    queue = asyncio.Queue(1)

    async def numbers():
        while True:
            yield await queue.get()

    async def reader():
        async for _ in numbers():
            pass  # pragma: no cover

    async def main():
        task = asyncio.create_task(reader(), name="the reader")
        await task

    with pytest.raises(DeadlockError) as caught:
        run(main)

    message = str(caught.value)
    assert "no timer is set, no worker thread is busy" in message
    assert "Task 'the reader' waits at" in message
    assert "queues.py" in message
    assert "numbers" in message  # seen through the async for
    assert f"{__file__}:{reader.__code__.co_firstlineno + 1} in" in message
    assert "main" in message


def test_a_deadlock_while_a_thread_pool_idles_is_still_found():
    async def main():
        await asyncio.to_thread(int)
        await asyncio.Event().wait()

    with pytest.raises(DeadlockError):
        run(main, patience=0.2)


def test_a_thread_that_waits_for_the_loop_is_named_as_a_deadlock_after_some_patience():
    """H43"""
    release = threading.Event()

    async def main():
        try:
            await asyncio.to_thread(release.wait)
        finally:
            release.set()

    with pytest.raises(DeadlockError, match=r"a worker thread was busy for 0\.2 real seconds"):
        run(main, patience=0.2)


def test_a_busy_loop_is_an_error_that_names_the_task():
    """H73"""

    async def spin():
        while True:  # noqa: ASYNC110  # the hazard itself
            await asyncio.sleep(0)

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(spin(), name="spinner")

    with pytest.raises(BusyLoopError, match=r"1000 steps ran .*(\n.*)*spinner"):
        run(main, max_steps=1000)


def test_many_steps_are_no_busy_loop_when_time_passes():
    async def main():
        for _ in range(3000):
            await asyncio.sleep(0.001)
        return asyncio.get_running_loop().time()

    assert run(main, max_steps=1000) == pytest.approx(3)


def test_the_clock_waits_for_a_busy_thread():
    async def main():
        loop = asyncio.get_running_loop()
        slow = loop.create_task(asyncio.to_thread(time.sleep, 0.02))
        async with asyncio.timeout(0.001):  # in real time this would be over first
            await slow
        return loop.time()

    assert run(main) == 0


def test_the_clock_waits_for_a_thread_of_anyio():
    async def main():
        with anyio.fail_after(0.001):
            await anyio.to_thread.run_sync(time.sleep, 0.02)
        return anyio.current_time()

    assert run(main) == 0


def test_the_clock_goes_on_without_a_thread_that_takes_longer_than_the_patience():
    release = threading.Event()

    async def main():
        job = asyncio.create_task(asyncio.to_thread(release.wait))
        await asyncio.sleep(600)
        release.set()
        return await job, asyncio.get_running_loop().time()

    assert run(main, patience=0.2) == (True, 600)


def test_a_foreign_thread_wakes_the_loop():
    async def main():
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        go = threading.Event()

        def foreign():
            go.wait()
            loop.call_soon_threadsafe(answer.set_result, 42)

        thread = threading.Thread(target=foreign)
        thread.start()
        loop.call_soon(go.set)
        try:
            return await answer
        finally:
            thread.join()

    assert run(main) == 42


def test_sockets_are_waited_for_before_the_clock_jumps():
    async def main():
        near, far = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=near)
        timer = threading.Timer(0.02, far.sendall, (b"hello\n",))
        timer.start()
        try:
            async with asyncio.timeout(1):
                line = await reader.readline()
            return line, asyncio.get_running_loop().time()
        finally:
            timer.join()
            writer.close()
            await writer.wait_closed()
            far.close()

    assert run(main, io_patience=5) == (b"hello\n", 0)


def test_open_generators_are_closed_at_shutdown():
    closed = []

    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(1)
            closed.append("numbers")

    async def main():
        generator = numbers()
        kept.append(generator)
        return await anext(generator)

    kept = []

    assert run(main) == 1
    assert closed == ["numbers"]


@pytest.mark.virtual_time
async def test_a_marked_test_runs_on_the_step_loop():
    await asyncio.sleep(3600)

    assert isinstance(asyncio.get_running_loop(), StepLoop)
    assert asyncio.get_running_loop().time() == 3600


async def test_an_unmarked_test_runs_on_the_real_loops(request):
    name = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    chosen = os.environ.get("STREAMFLOW_LOOPS", "asyncio uvloop").split()

    assert name in chosen
    assert len(chosen) == 1 or f"[{name}]" in request.node.name
