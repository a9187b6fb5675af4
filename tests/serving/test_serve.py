"""`sf.serve`: what signals do to pipelines, in this process and in real ones."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import streamflow as sf
from streamflow.serving.serve import serve

_spec = importlib.util.spec_from_file_location("serving_children", Path(__file__).with_name("children.py"))
children = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(children)

loops = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


class Killed(Exception):
    """A signal came that nobody handled."""


@pytest.fixture(autouse=True)
def _no_signal_ends_the_tests():
    """What these tests send to their own process must not end it, whatever goes wrong."""

    def complain(number, _frame):
        raise Killed(number)

    before = {number: signal.signal(number, complain) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    assert all(signal.getsignal(number) is complain for number in before), "the handlers were put back"
    for number, handler in before.items():
        signal.signal(number, handler)


async def endless():
    for number in itertools.count():
        yield number
        await asyncio.sleep(0)


def sending(*numbers, at=3):
    """A sink that sends its own process signals, one at each item from the third on, and returns what it got."""
    left = list(numbers)

    async def sink(items):
        got = []
        async for item in items:
            got.append(item)
            if item >= at and left:
                signal.raise_signal(left.pop(0))
        return got

    return sink


async def holding(items):
    """A stage that never lets go of what it has."""
    async for item in items:
        yield item
        if item == 3:
            await asyncio.Event().wait()


# --- in this process -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_first_signal_drains_and_the_value_is_returned(number):
    """H84, H88"""
    job = sf.stream(endless).to(sending(number))
    got = await serve(job)
    assert got == list(range(len(got)))
    assert job.report.outcome == "drained"


async def test_without_a_signal_it_runs_to_the_end():
    assert await serve(sf.stream([1, 2]).to(sf.collect())) == [1, 2]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_cancels(number, code):
    committed = []

    async def sink(items):
        async for item in items:
            if item == 3:
                signal.raise_signal(number)
                asyncio.get_running_loop().call_soon(signal.raise_signal, number)
        committed.append(True)

    job = sf.stream(endless).through(holding).to(sink)
    with pytest.raises(SystemExit) as leaving:
        asyncio.run(serve(job))
    assert leaving.value.code == code
    assert committed == []
    assert job.report.outcome == "cancelled"


def test_the_deadline_cancels():
    job = sf.stream(endless).through(holding).to(sending(signal.SIGTERM, at=2))
    with pytest.raises(SystemExit) as leaving:
        asyncio.run(serve(job, drain=0.01))
    assert leaving.value.code == 143
    assert job.report.outcome == "cancelled"


def test_with_no_time_to_drain_the_first_signal_cancels():
    job = sf.stream(endless).to(sending(signal.SIGTERM))
    with pytest.raises(SystemExit):
        asyncio.run(serve(job, drain=0))
    assert job.report.outcome == "cancelled"


def test_inside_sf_run_the_signals_are_its_own_only_while_it_runs():
    async def main():
        got = await serve(sf.stream(endless).to(sending(signal.SIGTERM)))
        assert got
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(3600)

    with pytest.raises(SystemExit) as leaving:
        sf.run(main())
    assert leaving.value.code == 143


async def test_two_at_once_are_both_drained():
    first, second = sf.stream(endless).to(sending(signal.SIGTERM)), sf.stream(endless).to(sf.count())
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(first))
        group.create_task(serve(second))
    assert first.report.outcome == second.report.outcome == "drained"


async def test_several_pipelines_are_drained_together_and_give_a_list():
    jobs = [
        sf.stream(endless).to(sending(signal.SIGTERM)),
        sf.stream(endless).to(sf.collect()),
        sf.stream([7]).to(sf.collect()),
    ]
    first, second, third = await serve(*jobs)
    assert first == list(range(len(first)))
    assert second == list(range(len(second)))
    assert third == [7]
    assert [job.report.outcome for job in jobs] == ["drained", "drained", "succeeded"]


async def test_when_one_fails_the_others_are_drained_before_it_is_raised():
    async def failing(item):
        await asyncio.sleep(0)
        raise ValueError(item)

    other = sf.stream(endless).to(sf.count(), name="other")
    with pytest.raises(ValueError, match="1"):
        await serve(sf.stream([1]).map(failing).to(sf.drain(), name="bad"), other)
    assert other.report.outcome == "drained"


async def test_several_failures_come_as_a_group():
    def failing(item):
        raise ValueError(item)

    jobs = [sf.stream([number]).map(failing).to(sf.drain()) for number in range(2)]
    with pytest.raises(ExceptionGroup, match="2 pipelines failed"):
        await serve(*jobs)


async def test_when_one_fails_and_the_others_do_not_finish_they_are_cancelled():
    def failing(item):
        raise ValueError(item)

    other = sf.stream(endless).through(holding).to(sf.drain())
    with pytest.raises(ValueError, match="1"):
        await serve(sf.stream([1]).map(failing).to(sf.drain()), other, drain=0.01)
    assert other.report.outcome == "cancelled"


async def test_a_function_may_make_the_pipeline():
    async def making():
        return sf.stream([1]).to(sf.collect())

    assert await serve(making) == [1]
    assert await serve(lambda: sf.stream([2]).to(sf.collect())) == [2]


async def test_a_signal_while_the_pipeline_is_being_made_ends_with_nothing_read():
    opened = []

    async def making():
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0.01)
        return sf.stream(sf.source(lambda: opened.append(1) or [1])).to(sf.collect())

    assert await serve(making) is None
    assert opened == []


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (lambda: 3, r"'<lambda>' returned int, not a Pipeline"),
        (sf.stream([1]), r"not Stream\. It has no sink yet"),
        ("shop:orders", "not str"),
    ],
)
async def test_what_is_no_pipeline_is_refused(thing, words):
    with pytest.raises(sf.UsageError, match=words):
        await serve(thing)


async def test_a_coroutine_is_refused_and_closed():
    with pytest.raises(sf.UsageError, match=r"sf\.serve\(job\), not sf\.serve\(job\.run\(\)\)"):
        await serve(sf.stream([1]).to(sf.collect()).run())


async def test_a_pipeline_that_runs_already_or_is_given_twice_is_refused():
    job = sf.stream(endless).to(sf.drain())
    with pytest.raises(sf.UsageError, match="given twice"):
        await serve(job, job)
    supervisor = sf.Supervisor({"job": lambda: job})
    with pytest.raises(sf.UsageError, match="given twice"):
        await serve(supervisor, supervisor)
    task = asyncio.create_task(job.run())
    await asyncio.sleep(0)
    with pytest.raises(sf.UsageError, match="already running"):
        await serve(job)
    job.drain()
    await task


@pytest.mark.parametrize("drain", [-1, float("nan"), "20", False])
async def test_a_drain_time_that_means_nothing_is_refused(drain):
    with pytest.raises(sf.UsageError, match="drain"):
        await serve(sf.stream([1]).to(sf.collect()), drain=drain)


async def test_cancelling_it_cancels_the_pipelines_and_waits_for_them():
    closed = []

    async def source():
        try:
            for number in itertools.count():
                yield number
                await asyncio.sleep(0)
        finally:
            await asyncio.sleep(0.001)
            closed.append(True)

    jobs = [sf.stream(sf.source(source)).to(sf.drain()) for _ in range(2)]
    task = asyncio.create_task(serve(*jobs))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [job.report.outcome for job in jobs] == ["cancelled"] * 2
    assert closed == [True] * 2


def test_outside_the_main_thread_it_runs_without_signals_and_says_so(caplog):
    got = []
    thread = threading.Thread(target=lambda: got.append(asyncio.run(serve(sf.stream([1]).to(sf.collect())))))
    thread.start()
    thread.join()
    assert got == [[1]]
    assert "Signals are not handled here" in caplog.text


async def test_a_pipeline_that_is_not_served_installs_no_handler():
    before = signal.getsignal(signal.SIGTERM)

    async def sink(items):
        async for _ in items:
            assert signal.getsignal(signal.SIGTERM) is before

    await sf.stream([1]).to(sink).run()


async def test_what_becomes_of_it_is_logged_with_names_and_numbers(caplog):
    caplog.set_level(logging.INFO, logger="streamflow.serving")
    await serve(sf.stream(endless).to(sending(signal.SIGTERM), name="orders"))

    events = [record.event for record in caplog.records]
    assert events == ["started", "draining", "drained"]
    assert {record.pipeline for record in caplog.records} == {"orders"}
    last = caplog.records[-1]
    assert last.items_in == last.items_out >= 4
    assert last.in_flight == 0


async def test_a_failure_is_logged_with_the_stage(caplog):
    def failing(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="1"):
        await serve(sf.stream([1]).map(failing).to(sf.drain(), name="orders"))
    record = caplog.records[-1]
    assert (record.levelname, record.event, record.pipeline, record.stage) == ("ERROR", "failed", "orders", "map")
    assert isinstance(record.exc_info[1], ValueError)


# --- real processes --------------------------------------------------------------------------------------------------

PRELUDE = """
import asyncio, os, signal, sys
if sys.argv[2] == "asyncio":
    sys.modules["uvloop"] = None
import streamflow as sf
from streamflow import files
from streamflow.serving.serve import serve

def say(word):
    sys.stdout.write(f"{word}\\n")
    sys.stdout.flush()

async def source():
    number = 0
    try:
        while True:
            number += 1
            if number == 20:
                say("ready")
            yield b"%d\\n" % number
            await asyncio.sleep(0.001)
    finally:
        say(f"given {number}")
        await closing()

async def closing():
    pass

async def slowly(item):
    await asyncio.sleep(0.02)
    return item

async def never(item):
    if item == b"10\\n":
        await asyncio.Event().wait()
    return item
"""
SLOW = "job = sf.stream(source).map(slowly, concurrency=8).to(files.write(sys.argv[1]), name='orders')"
STUCK = "job = sf.stream(source).map(never, concurrency=64).to(files.write(sys.argv[1]), name='orders', grace=3600)"
SF_RUN, ASYNCIO_RUN = "sf.run(serve(job))", "asyncio.run(serve(job))"


@pytest.fixture
def run(tmp_path):
    def running(*parts, loop="asyncio", **options):
        program = children.script(tmp_path / "program.py", PRELUDE, *parts)
        (tmp_path / "out").mkdir()
        return children.child(program, tmp_path / "out" / "rows", loop, **options)

    return running


def rows(tmp_path):
    return (tmp_path / "out" / "rows").read_text().split()


def given(said):
    return [str(number) for number in range(1, 1 + int(next(word for word in said if "given" in word).split()[1]))]


def left(tmp_path):
    return sorted(path.name for path in (tmp_path / "out").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("way", "loop", "number"),
    [(SF_RUN, "uvloop", signal.SIGTERM), (SF_RUN, "asyncio", signal.SIGINT), (ASYNCIO_RUN, "asyncio", signal.SIGTERM)],
)
def test_a_process_that_is_told_to_stop_commits_what_is_in_flight_and_exits_with_0(run, tmp_path, way, loop, number):
    """H84, P2"""
    with run(SLOW, way, loop=loop) as process:
        code, err = process.until("ready").signal(number).ends()
    assert (code, err) == (0, "")
    assert rows(tmp_path) == given(process.said)


@pytest.mark.slow
@pytest.mark.parametrize(("way", "number", "code"), [(SF_RUN, signal.SIGTERM, 143), (ASYNCIO_RUN, signal.SIGINT, 130)])
def test_a_second_signal_cancels_and_leaves_no_partial_file(run, tmp_path, way, number, code):
    """H85, P6"""
    with run(STUCK, way) as process:
        process.until("ready").signal(number)
        while not any("given" in word for word in process.said):
            process.said.append(process.process.stdout.readline())
        ended, err = process.signal(number).ends()
    assert ended == code
    assert "Traceback" not in err
    assert left(tmp_path) == []


@pytest.mark.slow
def test_the_deadline_cancels_a_process(run, tmp_path):
    with run(STUCK, "sf.run(serve(job, drain=0.05))") as process:
        code, _ = process.until("ready").signal(signal.SIGTERM).ends()
    assert code == 143
    assert left(tmp_path) == []


@pytest.mark.slow
@loops
def test_the_third_signal_leaves_at_once_and_lists_what_is_unfinished(run, loop):
    hanging = """
    async def closing():
        say("closing")
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                say("cancelled again")
    """
    with run(hanging, STUCK, SF_RUN, loop=loop) as process:
        process.until("ready").signal(signal.SIGTERM).until("closing").signal(signal.SIGTERM)
        process.until_logged("SIGTERM again")  # two signals that wait may come in any order
        code, err = process.signal(signal.SIGINT).ends()
    assert code == 143
    assert "SIGINT for the third time: leaving with work unfinished." in err
    assert "unfinished: orders: " in err
    assert "'source'" in err


@pytest.mark.slow
def test_a_stage_that_does_not_end_keeps_neither_the_run_nor_the_process(run):
    """H21"""
    stubborn = """
    async def closing():
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
    """
    impatient = STUCK.replace("3600", "0.05") + "\nimport streamflow.serving.service as s; s._PATIENCE = 0.05"
    with run(stubborn, impatient, "sf.run(serve(job, drain=0.05))") as process:
        code, err = process.until("ready").signal(signal.SIGTERM).ends()
    assert code == 143
    assert "no more waiting for tasks that do not end when they are cancelled (streamflow: source)." in err


@pytest.mark.slow
def test_as_the_first_process_of_a_container_it_drains_too(run, tmp_path):
    """H88"""
    wrapper = ["unshare", "-Urpf", "--mount-proc"]
    if shutil.which("unshare") is None or subprocess.call([*wrapper, "true"], stderr=subprocess.DEVNULL):
        pytest.skip("this machine does not let us make a namespace of processes (unshare -Upf)")
    program = children.script(tmp_path / "program.py", PRELUDE, SLOW, "say(os.getpid())", SF_RUN)
    (tmp_path / "out").mkdir()
    process = children.Child([*wrapper, sys.executable, str(program), str(tmp_path / "out" / "rows"), "asyncio"])
    with process.process:
        try:
            process.until("ready")
            inside = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children").read_text().split()[0]
            os.kill(int(inside), signal.SIGTERM)
            code, err = process.ends()
        finally:
            process.process.kill()
    assert process.said[0] == "1"
    assert (code, err) == (0, "")
    assert rows(tmp_path) == given(process.said)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_worker_processes_that_get_the_signal_too_finish_what_is_in_flight(run, tmp_path, number):
    """A terminal sends SIGINT, a service manager SIGTERM, to every process of the group."""
    working = """
    def work(item):
        import time
        time.sleep(0.01)
        return item
    """
    body = """
    if __name__ == "__main__":
        job = sf.stream(source).map(work, processes=2).to(files.write(sys.argv[1]), name="orders")
        sf.run(serve(job))
    """
    with run(working, body, start_new_session=True) as process:
        code, err = process.until("ready").signal(number, group=True).ends()
    assert (code, err) == (0, "")
    assert rows(tmp_path) == given(process.said)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_worker_processes_end_with_a_parent_that_was_killed(run):
    """A parent that is killed tells nobody."""
    working = """
    def work(item):
        return os.getpid(), os.getppid()
    """
    body = """
    async def sink(items):
        async for pid, parent in items:
            assert parent == os.getpid()
            say(f"worker {pid}")
            await asyncio.Event().wait()

    if __name__ == "__main__":
        sf.run(serve(sf.stream(source).map(work, processes=2).to(sink)))
    """
    with run(working, body) as process:
        while not any("worker" in word for word in process.said):
            process.said.append(process.process.stdout.readline())
        worker = Path("/proc") / process.said[-1].split()[1]
        assert worker.exists()
        process.signal(signal.SIGKILL).process.wait(timeout=30)
        until = time.monotonic() + 20
        while worker.exists() and "Z" not in worker.joinpath("stat").read_text().rpartition(")")[2][:3]:
            assert time.monotonic() < until, "the worker still runs"
            time.sleep(0.02)
