"""`sf.run`: the loop it starts, what it returns and raises, and real signals in real processes."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import types

import pytest

import streamflow as sf

pytestmark = pytest.mark.slow

# --- the call -------------------------------------------------------------------------------------------------------


def test_it_returns_what_main_returns_on_uvloop_where_there_is_one():
    async def main():
        return type(asyncio.get_running_loop()).__module__, await sf.stream([1, 2]).count()

    module, total = sf.run(main())

    assert total == 2
    assert module.partition(".")[0] == ("uvloop" if sf.engine.runner.find_spec("uvloop") else "asyncio")


def test_without_uvloop_it_runs_on_asyncio(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)

    async def main():
        return type(asyncio.get_running_loop()).__module__

    assert sf.run(main()).startswith("asyncio.")


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_it_raises_what_main_raises(error):
    async def main():
        raise error

    with pytest.raises(type(error)) as caught:
        sf.run(main())
    assert type(error) is asyncio.CancelledError or caught.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_inside_a_stage_leaves_after_cleanup(error):
    """H22"""
    closed = []

    async def source():
        try:
            for number in itertools.count():
                yield number
        finally:
            await asyncio.sleep(0)
            closed.append("source")

    def stop(number):
        raise error(number)

    with pytest.raises(error):
        sf.run(sf.pipeline(source, sf.map(stop), sf.drain()))
    assert closed == ["source"]


def test_what_is_no_coroutine_is_refused():
    async def main():
        pass

    with pytest.raises(sf.UsageError, match=r"not function; write sf.run\(main\(\)\)"):
        sf.run(main)


def test_inside_a_running_loop_it_is_refused_and_the_coroutine_closed():
    async def main():
        return 1

    async def outer():
        sf.run(main())

    with pytest.raises(sf.UsageError, match="write `await main\\(\\)` instead"):
        asyncio.run(outer())


def test_debug_is_passed_on():
    async def main():
        return asyncio.get_running_loop().get_debug()

    assert sf.run(main(), debug=True)
    assert not sf.run(main(), debug=False)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_the_handlers_that_were_there_before_are_put_back(monkeypatch, loop):
    """H84"""
    if loop == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)

    def mine(_number, _frame):
        pass

    async def main():
        return signal.getsignal(signal.SIGTERM)

    before = {number: signal.signal(number, mine) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        assert sf.run(main()) is not mine
        assert signal.getsignal(signal.SIGINT) is mine
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_in_another_thread_it_runs_without_handlers():
    async def main():
        return await sf.stream(range(3)).collect()

    got = []
    thread = threading.Thread(target=lambda: got.append(sf.run(main())))
    thread.start()
    thread.join()

    assert got == [[0, 1, 2]]


# --- signals -------------------------------------------------------------------------------------------------------

PRELUDE = """
import asyncio, itertools, sys, time
LOOP = {loop!r}
if LOOP == "asyncio":
    sys.modules["uvloop"] = None
import streamflow as sf

def say(word):
    sys.stdout.write(word + "\\n")
    sys.stdout.flush()

async def source():
    try:
        for number in itertools.count():
            yield number
    finally:
        say("source closing")
        await cleanup()
        say("source closed")

async def sink(items):
    try:
        async for number in items:
            if number == 3:
                say("ready")
            await asyncio.sleep(0.001)
    finally:
        say("sink closed")
"""

QUICK = """
async def cleanup():
    await asyncio.sleep(0.02)
sf.run(sf.pipeline(source, sink))
"""

LONG = """
async def cleanup():
    await asyncio.sleep(3600)
sf.run(sf.pipeline(source, sink, grace=3600))
"""

STUBBORN = """
async def cleanup():
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            say("cancelled again")
sf.run(sf.pipeline(source, sink, grace=3600))
"""

REPORTING = """
async def main():
    try:
        await sf.pipeline(source, sink, grace=3600)
    except asyncio.CancelledError as error:
        say("StageDidNotStop" if "StageDidNotStop: stage 'source'" in error.__notes__[0] else "?")
        raise
sf.run(main())
"""

BUSY = """
async def cleanup():
    pass
def compute(number):
    if number == 50:
        say("computing")
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass
        say("computed")
    return number
async def main():
    try:
        await sf.pipeline(source, sf.map(compute), sink)
    except asyncio.CancelledError:
        say("cancelled")
        raise
sf.run(main())
"""

BACKGROUND = """
async def cleanup():
    await asyncio.sleep(0.05)
async def main():
    task = asyncio.create_task(sf.pipeline(source, sink))
    while True:
        await asyncio.sleep(0.001)
        if task.done():
            break
sf.run(main())
"""

NOTHING_LEFT = """
async def main():
    try:
        say("ready")
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        say("own cleanup")
        await asyncio.sleep(3600)
sf.run(main())
"""

loops = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
numbers = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])


@pytest.fixture
def child():
    """Start children that do not outlive the test."""
    children = []

    def start(loop, body, *wrapper):
        if loop == "uvloop":
            pytest.importorskip("uvloop")
        children.append(Child(loop, body, *wrapper))
        return children[-1]

    yield start
    for one in children:
        one.process.kill()
        with one.process:  # closes its pipes and waits for it
            pass


class Child:
    """A Python process that says words, a line each, and is sent signals when it has said some."""

    def __init__(self, loop, body, *wrapper):
        code = textwrap.dedent(PRELUDE.format(loop=loop)) + textwrap.dedent(body)
        self.process = subprocess.Popen(
            [*wrapper, sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said = []

    def until(self, word):
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.strip() == word:
                return self
        raise AssertionError(f"it ended without saying {word!r}: {self.said} {self.process.stderr.read()}")

    def signal(self, number):
        self.process.send_signal(number)
        return self

    def ends(self):
        """Wait for the end; return the exit code, all it said, and what stands on stderr."""
        self.said += self.process.stdout.read().splitlines()  # not `communicate`, which forgets what was read ahead
        err = self.process.stderr.read()
        return self.process.wait(timeout=30), self.said, err


def exit_code(number):
    """What a shell sees: SIGINT kills the process after its KeyboardInterrupt, SIGTERM ends it with 143."""
    return -signal.SIGINT if number == signal.SIGINT else 128 + signal.SIGTERM


@loops
@numbers
def test_the_first_signal_stops_the_run_and_waits_for_the_cleanup(child, loop, number):
    """H84, H85, H87, X21"""
    code, said, err = child(loop, QUICK).until("ready").signal(number).ends()

    assert said == ["ready", "sink closed", "source closing", "source closed"]
    assert code == exit_code(number)
    assert "never retrieved" not in err
    assert "was destroyed" not in err


@loops
@numbers
def test_the_second_signal_ends_the_grace_and_says_what_is_still_open(child, loop, number):
    """H85"""
    process = child(loop, LONG).until("ready").signal(number).until("source closing").signal(number)
    code, said, err = process.ends()

    assert said == ["ready", "sink closed", "source closing"]
    assert code == exit_code(number)
    assert f"{number.name} again: no more waiting for 'source' of pipeline. Once more leaves at once." in err


@loops
@pytest.mark.slow
def test_after_the_second_signal_a_stage_that_does_not_stop_keeps_neither_the_run_nor_the_process(child, loop):
    """H14, H21, H85"""
    body = STUBBORN.replace("sf.run(sf.pipeline(source, sink, grace=3600))", REPORTING)
    process = child(loop, body).until("ready").signal(signal.SIGTERM).until("source closing").signal(signal.SIGTERM)
    code, said, err = process.ends()

    assert "StageDidNotStop" in said
    assert code == 143
    assert "tasks that do not end when they are cancelled (streamflow: source)" in err


@loops
@numbers
def test_the_third_signal_leaves_at_once(child, loop, number):
    """H84"""
    process = child(loop, STUBBORN).until("ready").signal(number).until("source closing").signal(number)
    process.until("cancelled again").signal(number)
    code, said, err = process.ends()

    assert code == 128 + number
    assert "source closed" not in said
    assert f"{number.name} for the third time: leaving with work unfinished." in err


@loops
def test_a_signal_during_a_computation_arrives_when_it_is_over(child, loop):
    """H86: it does not strike in the middle of a function."""
    code, said, _ = child(loop, BUSY).until("computing").signal(signal.SIGINT).ends()

    assert said[said.index("computing") :][:2] == ["computing", "computed"]
    assert said[-1] == "cancelled"
    assert "source closed" in said
    assert code == -signal.SIGINT


@loops
def test_a_pipeline_in_the_background_is_closed_too(child, loop):
    """H21: main ends first, the loop's shutdown cancels the rest."""
    code, said, _ = child(loop, BACKGROUND).until("ready").signal(signal.SIGTERM).ends()

    assert sorted(said[1:]) == ["sink closed", "source closed", "source closing"]
    assert code == 143


@loops
def test_the_cleanup_of_the_program_itself_is_ended_by_the_second_signal(child, loop):
    process = (
        child(loop, NOTHING_LEFT).until("ready").signal(signal.SIGTERM).until("own cleanup").signal(signal.SIGTERM)
    )
    code, _, err = process.ends()

    assert code == 143
    assert "no more waiting for cleanup of the program itself" in err


@loops
def test_as_process_one_of_a_container_sigterm_is_heard(child, loop):
    """H88"""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs `unshare --pid` and the right to use it")
    process = child(loop, QUICK, unshare, "--pid", "--fork", "--kill-child").until("ready")
    pid = process.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        [inner] = children.read().split()
    subprocess.run(["kill", "-TERM", inner], check=True)
    code, said, _ = process.ends()

    assert said == ["ready", "sink closed", "source closing", "source closed"]
    assert code == 143


# --- in a notebook ---------------------------------------------------------------------------------------------------


@pytest.fixture
def kernel(monkeypatch):
    """Make this process look like a notebook's kernel, which runs its cells while its own loop runs."""
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    return shell


async def test_in_a_notebook_it_runs_beside_the_loop_that_runs(kernel):
    async def main():
        return threading.current_thread().name, await sf.stream(range(5)).count()

    assert sf.run(main()) == ("streamflow.run", 5)


async def test_in_a_notebook_it_raises_what_main_raises(kernel):
    async def main():
        raise KeyError("cell")

    with pytest.raises(KeyError, match="cell"):
        sf.run(main())


async def test_an_interrupted_cell_cancels_main_and_waits_for_its_cleanup(kernel, monkeypatch):
    log = []
    running = threading.Event()

    async def main():
        try:
            running.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    def interrupted(_future, timeout=None):
        running.wait(10)
        raise KeyboardInterrupt

    real = sf.engine.runner.Future
    waits = iter([interrupted])

    class Interrupted(real):
        """What the cell waits for: the first wait is interrupted, as by the kernel's SIGINT."""

        def result(self, timeout=None):
            wait = next(waits, None) if threading.current_thread() is threading.main_thread() else None
            return wait(self, timeout) if wait else super().result(timeout)

    monkeypatch.setattr(sf.engine.runner, "Future", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        sf.run(main())
    assert log == ["closed"]


async def test_in_ipython_without_a_kernel_a_running_loop_is_refused(kernel):
    """A terminal's IPython has a shell and no kernel; whoever has a loop there has made it on purpose."""
    del kernel.kernel

    async def main():
        """Never started."""

    with pytest.raises(sf.UsageError, match="await main"):
        sf.run(main())
