"""Signals to `streamflow run` before there is an event loop: in this process, in real ones, and as PID 1."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from streamflow.cli import early as module
from streamflow.cli.early import Early, Told

ROOT = str(Path(__file__).parents[2])
NUMBERS = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


class Left(Exception):
    """Instead of the end of the process."""


@pytest.fixture(autouse=True)
def _nothing_ends_the_tests(monkeypatch):
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}

    def leave(code):
        raise Left(code)

    monkeypatch.setattr(module.os, "_exit", leave)
    yield
    assert {signal.getsignal(number) for number in before} == {signal.SIG_IGN}, "the handlers were put back"
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted(block):
    """Run a block that may be interrupted; return what it ended with."""
    with Early() as early:
        try:
            with early.interrupting():
                block()
        except BaseException as error:  # noqa: BLE001  # which it is, the test says
            return error
    return None


@pytest.mark.parametrize(("number", "code"), NUMBERS)
def test_a_signal_ends_what_may_be_interrupted(number, code):
    """H88"""
    went_on = []

    def block():
        signal.raise_signal(number)
        went_on.append(1)

    told = interrupted(block)
    assert isinstance(told, Told)
    assert (told.number, told.code, went_on) == (number, code, [])


def test_also_where_that_is_caught_it_ends_there():
    def block():
        try:
            signal.raise_signal(signal.SIGTERM)
        except BaseException:  # noqa: BLE001  # as modules do that try one import after the other
            raise ImportError("something else") from None

    assert isinstance(interrupted(block), Told)


def test_the_third_leaves_at_once():
    left = []

    def block():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
            try:
                signal.raise_signal(number)
            except (Told, Left) as error:
                left.append(error)

    assert isinstance(interrupted(block), Told)
    assert [type(error) for error in left] == [Told, Told, Left]
    assert left[2].args == (130,)


def test_what_ends_by_itself_is_left_alone():
    assert interrupted(lambda: None) is None
    assert isinstance(interrupted([].pop), IndexError)


def test_what_may_not_be_interrupted_goes_on_and_asks_afterwards():
    began = []
    with Early() as early:
        with early.interrupting():
            pass
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Told):
            early.raise_if_told()
        with pytest.raises(Told), early.interrupting():
            began.append(1)
    assert began == []


def test_the_end_of_the_terminal_counts_as_sigterm_unless_it_is_ignored():
    def block():
        signal.raise_signal(signal.SIGHUP)

    found = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        assert interrupted(block).number == signal.SIGTERM
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert interrupted(block) is None
    finally:
        signal.signal(signal.SIGHUP, found)


async def test_outside_the_main_thread_nothing_is_installed():
    def work():
        with Early() as early, early.interrupting():
            return signal.getsignal(signal.SIGTERM)

    assert await asyncio.to_thread(work) is signal.SIG_IGN


def test_the_first_process_keeps_a_handler_that_leaves(monkeypatch):
    """H88: what is not handled there is ignored, and threads of the user's may not end."""
    monkeypatch.setattr(module.os, "getpid", lambda: 1)
    with Early():
        pass
    with pytest.raises(Left, match="143"):
        signal.raise_signal(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


# --- real processes --------------------------------------------------------------------------------------------------

SLOW = """
import sys
import time

import streamflow as sf

print("importing", flush=True)
time.sleep(60)
job = sf.stream([1]).to(sf.count())
"""
STUBBORN = """
import time

while True:
    try:
        print("importing", flush=True)
        time.sleep(60)
    except BaseException:
        pass
"""
MAKING = """
import asyncio

import streamflow as sf

async def job():
    print("importing", flush=True)
    await asyncio.sleep(0.3)
    return sf.stream(sf.source(lambda: print("read") or [1])).to(sf.count(), name="job")
"""
AT_A_MOMENT = """
import asyncio
import os
import signal
import sys

import streamflow as sf

left = int(os.environ["CALLS"])

def count(frame, event, argument):
    global left
    left -= 1
    if left == 0:
        sys.setprofile(None)
        signal.raise_signal(signal.SIGTERM)

async def endless():
    while True:
        yield 1
        await asyncio.sleep(0.001)

job = sf.stream(endless).to(sf.count(), name="job")
sys.setprofile(count)
"""
THREAD = """
import threading
import time

import streamflow as sf

threading.Thread(target=time.sleep, args=(60,)).start()
job = sf.stream([1]).to(sf.count(), name="job")
"""


@pytest.fixture
def shop(start, tmp_path):
    def running(text, *options, **environment):
        (tmp_path / "a shop").mkdir()
        (tmp_path / "a shop" / "shop.py").write_text(text)
        return start("run", "shop:job", *options, env={"PYTHONPATH": ROOT, **environment}, at=tmp_path / "a shop")

    return running


def ended(process):
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "options", "code"),
    [(signal.SIGTERM, (), 0), (signal.SIGINT, (), 0), (signal.SIGHUP, (), 0), (signal.SIGTERM, ("--drain", "0"), 143)],
)
def test_a_signal_while_the_module_is_imported_ends_it_and_nothing_was_read(shop, number, options, code):
    with shop(SLOW, *options) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        ending, out, err = ended(process)
    assert (ending, out) == (code, "")
    (line,) = err.splitlines()
    assert "before anything had begun: nothing was read" in line


@pytest.mark.slow
def test_a_module_that_catches_everything_is_left_by_the_third(shop):
    with shop(STUBBORN) as process:
        for _ in range(3):
            assert process.stdout.readline() == "importing\n"
            process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 143


@pytest.mark.slow
def test_a_signal_while_a_function_makes_the_pipeline_lets_it_and_nothing_is_read(shop):
    with shop(MAKING) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGTERM)
        assert ended(process)[:2] == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["asyncio", "auto"])
@pytest.mark.parametrize("calls", [1, 60, 150, 300, 600])
def test_no_moment_between_the_import_and_the_run_is_deaf_or_deadly(shop, loop, calls):
    """A signal at this call or return of a function after the module, however far that is."""
    with shop(AT_A_MOMENT, "--loop", loop, CALLS=str(calls)) as process:
        code, _, err = ended(process)
    assert code == 0
    assert (
        "Traceback" not in err or "Exception ignored" in err
    )  # Python tells of one that comes in a callback of its own


@pytest.fixture
def first_process(tmp_path):
    """Start `streamflow run` as the first process of a namespace; gives it, and what sends a signal there."""
    wrapper = ["unshare", "-Urpf", "--mount-proc"]
    try:
        allowed = subprocess.call([*wrapper, "true"], stderr=subprocess.DEVNULL) == 0
    except FileNotFoundError:
        allowed = False
    if not allowed:
        pytest.skip("this machine does not let us make a namespace of processes (unshare -Urpf)")
    started = []

    def running(text):
        (tmp_path / "shop.py").write_text(text)
        command = [*wrapper, "--kill-child", sys.executable, "-m", "streamflow", "run", "shop:job"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": ROOT}, **pipes)
        started.append(process)

        def tell(number):
            inside = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
            os.kill(int(inside), number)

        return process, tell

    yield running
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_process_of_a_container_hears_it_too(first_process, number):
    """H88: without a handler the kernel ignores it there."""
    process, tell = first_process(SLOW)
    assert process.stdout.readline() == "importing\n"
    tell(number)
    code, _, err = ended(process)
    assert code == 0
    assert "nothing was read" in err


@pytest.mark.slow
def test_the_first_process_is_not_kept_by_a_thread_that_does_not_end(first_process):
    """H88"""
    process, tell = first_process(THREAD)
    for line in process.stderr:
        if "finished" in line:
            break
    while process.poll() is None:  # the handler stands a moment later
        tell(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)
    assert process.returncode == 143
