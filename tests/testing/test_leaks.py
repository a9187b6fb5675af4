"""Each leak detector fires on a bad example and stays silent on a good one."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import threading
import warnings

import pytest

from streamflow.errors import UsageError
from streamflow.testing import LeakCheck, LeakError, StepLoop, no_leaks

try:
    import uvloop
except ImportError:
    uvloop = None

FACTORIES = [
    pytest.param(asyncio.SelectorEventLoop, id="asyncio"),
    pytest.param(StepLoop, id="virtual"),
    pytest.param(
        getattr(uvloop, "new_event_loop", None),
        id="uvloop",
        marks=pytest.mark.skipif(uvloop is None, reason="uvloop is not installed"),
    ),
]


@pytest.fixture(params=FACTORIES)
def runner(request):
    with asyncio.Runner(loop_factory=request.param) as runner:
        yield runner


def leaks_of(runner, main):
    """Return what a check around the run of `main` reports."""
    with pytest.raises(LeakError) as caught, no_leaks(runner.get_loop()):
        runner.run(main())
    return caught.value.leaks


async def numbers():
    yield 1
    yield 2


def test_a_clean_run_is_silent(runner):
    async def main():
        async for _ in numbers():
            pass
        assert await asyncio.to_thread(int) == 0
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    with no_leaks(runner.get_loop()) as check:
        runner.run(main())

    assert isinstance(check, LeakCheck)


def test_a_pending_task_is_named_with_its_line(runner):
    """H21: the runner's shutdown would have cancelled it without a word."""

    async def forgotten():
        await asyncio.Event().wait()

    async def main():
        kept.append(asyncio.create_task(forgotten(), name="forgotten"))
        await asyncio.sleep(0)

    kept = []
    (leak,) = leaks_of(runner, main)

    assert "pending: Task 'forgotten' waits at" in leak
    assert f"{__file__}:{forgotten.__code__.co_firstlineno + 1} in" in leak


def test_a_generator_left_by_break_is_reported(runner):
    """H30"""

    async def main():
        async for _ in numbers():
            break

    (leak,) = leaks_of(runner, main)

    assert "dropped without aclose()" in leak
    assert f"{__file__}:{numbers.__code__.co_firstlineno + 1} in numbers" in leak


def test_a_generator_in_a_reference_cycle_is_reported(runner):
    """H30"""

    async def main():
        generator = numbers()
        await anext(generator)
        circle = [generator]
        circle.append(circle)

    (leak,) = leaks_of(runner, main)

    assert "dropped without aclose()" in leak


def test_a_generator_that_is_still_referenced_is_reported_as_open(runner):
    async def main():
        generator = numbers()
        kept.append(generator)
        await anext(generator)

    kept = []
    (leak,) = leaks_of(runner, main)

    assert "async generator still open" in leak
    assert "numbers" in leak


def test_generators_that_were_closed_or_never_started_are_no_leak(runner):
    async def main():
        generator = numbers()
        kept.extend([generator, numbers()])
        await anext(generator)
        await generator.aclose()

    kept = []
    with no_leaks(runner.get_loop()):
        runner.run(main())

    assert len(kept) == 2


def test_a_thread_is_named_with_its_line():
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="left behind")

    async def main():
        thread.start()

    try:
        with asyncio.Runner() as runner:
            (leak,) = leaks_of(runner, main)
    finally:
        release.set()
        thread.join()

    assert "thread: 'left behind'" in leak
    assert "threading.py" in leak


def test_a_file_descriptor_is_named(runner):
    async def main():
        ends.extend(os.pipe())

    ends = []
    try:
        leaks = leaks_of(runner, main)
    finally:
        for end in ends:
            os.close(end)

    assert len(leaks) == 2
    assert all("file descriptor" in leak and "pipe:" in leak for leak in leaks)


def test_an_exception_nobody_retrieved_is_reported(runner):
    async def fails():
        raise ValueError("lost")

    async def main():
        asyncio.get_running_loop().create_task(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    (leak,) = leaks_of(runner, main)

    assert "Task exception was never retrieved" in leak
    assert "ValueError: lost" in leak


def test_a_failing_callback_is_reported(runner):
    async def main():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    (leak,) = leaks_of(runner, main)

    assert "ZeroDivisionError" in leak


def test_a_coroutine_never_awaited_is_reported_although_warnings_are_errors(runner):
    async def forgotten():
        pass  # pragma: no cover

    async def main():
        forgotten()

    (leak,) = leaks_of(runner, main)

    assert "forgotten' was never awaited" in leak


def test_a_file_closed_only_by_the_garbage_collector_is_reported(runner, tmp_path):
    async def main():
        (tmp_path / "new").open("w")

    (leak,) = leaks_of(runner, main)

    assert "ResourceWarning: unclosed file" in leak


def test_a_warning_of_asyncios_logger_is_reported(runner):
    async def main():
        logging.getLogger("asyncio").info("not this")
        logging.getLogger("asyncio").warning("socket.send() raised exception.")

    assert leaks_of(runner, main) == ["asyncio logged: socket.send() raised exception."]


def test_several_leaks_are_listed_together(runner):
    async def main():
        kept.append(asyncio.create_task(asyncio.Event().wait()))
        async for _ in numbers():
            break

    kept = []
    with pytest.raises(LeakError, match=r"2 left behind:\n- .*\n") as caught, no_leaks(runner.get_loop()):
        runner.run(main())

    assert len(caught.value.leaks) == 2


def test_what_was_there_before_is_no_leak(runner):
    async def before():
        kept.append(asyncio.create_task(asyncio.Event().wait()))
        await asyncio.sleep(0)

    kept = []
    runner.run(before())
    with no_leaks(runner.get_loop()):
        runner.run(asyncio.sleep(0))

    assert not kept[0].done()


def test_ignored_kinds_are_not_reported(runner):
    async def main():
        kept.append(asyncio.create_task(asyncio.Event().wait()))

    kept = []
    with no_leaks(runner.get_loop(), ignore=("tasks",)):
        runner.run(main())

    assert not kept[0].done()


def test_an_unknown_kind_to_ignore_is_refused():
    with pytest.raises(UsageError, match=r"\['sockets'\] names no kind of leak. The kinds are tasks, "):
        no_leaks(ignore=["sockets"])


def test_the_bodys_own_error_goes_on(runner):
    async def main():
        kept.append(asyncio.create_task(asyncio.Event().wait()))
        raise KeyError("own")

    kept = []
    with pytest.raises(KeyError, match="own"), no_leaks(runner.get_loop()):
        runner.run(main())


def test_everything_is_put_back_as_it_was(runner):
    loop = runner.get_loop()
    before = (loop.get_exception_handler(), warnings.showwarning, list(warnings.filters), dict(vars(loop)))
    handlers = list(logging.getLogger("asyncio").handlers)

    with no_leaks(loop), no_leaks(loop):
        runner.run(asyncio.sleep(0))

    after = (loop.get_exception_handler(), warnings.showwarning, list(warnings.filters), dict(vars(loop)))
    assert before[:3] == after[:3]
    assert set(before[3]) == set(after[3])
    assert handlers == logging.getLogger("asyncio").handlers


async def test_inside_a_running_loop_a_task_and_a_dropped_generator_are_seen():
    async def forgotten():
        await asyncio.Event().wait()

    async def main():
        kept.append(asyncio.create_task(forgotten()))
        async for _ in numbers():
            break
        await asyncio.sleep(0)

    kept = []
    with pytest.raises(LeakError) as caught, no_leaks():
        await main()
    kept[0].cancel()
    await asyncio.wait(kept)

    pending, dropped = caught.value.leaks
    assert pending.startswith("pending: Task")
    assert dropped.startswith("async generator dropped")


async def test_inside_a_running_loop_clean_work_is_silent():
    with no_leaks():
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        async for _ in numbers():
            pass

    assert gc.isenabled()


def test_around_asyncio_run_threads_and_complaints_are_seen():
    async def main():
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(0)

    with pytest.raises(LeakError, match="asyncio logged: Exception in callback"), no_leaks():
        asyncio.run(main())


def test_the_innermost_check_takes_the_complaint():
    with no_leaks() as outer:
        with pytest.raises(LeakError), no_leaks():
            logging.getLogger("asyncio").error("once")
        assert isinstance(outer, LeakCheck)
