"""`processes`: programs as sources, stages and sinks. The programs are Python, so any machine has them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time

import anyio
import pytest

import streamflow as sf
from streamflow.places import processes

pytestmark = pytest.mark.slow

CAT = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer, 4096)"
SPEAK = "import sys; sys.stdout.buffer.write(b'x' * {0}); sys.stdout.flush()"
FAIL = "import sys; print('so far'); sys.stdout.flush(); sys.stderr.write({0!r}); sys.exit({1})"
FOR_EVER = "import sys\nwhile True: sys.stdout.write('x' * 1000)"
SLEEP = "import os, time; os.write(1, b'up'); time.sleep(600)"


def python(code):
    return sys.executable, "-c", code


def stubborn(path):
    """A program that only SIGKILL ends; it writes its process number into a file."""
    return (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(path)!r}, 'w').write(str(os.getpid()))\n"
        "os.write(1, b'up')\n"
        "time.sleep(600)"
    )


async def endless():
    while True:
        yield b"x" * 1000


def is_gone(pid):
    """Whether a process has ended and was awaited: a zombie still answers."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def joined(flow):
    return b"".join(await flow.collect())


# --- read --------------------------------------------------------------------------------------------------------


async def test_the_output_comes_in_chunks():
    chunks = await sf.stream(processes.read(*python(SPEAK.format(1_000_000)), chunk=10_000)).collect()

    assert b"".join(chunks) == b"x" * 1_000_000
    assert max(map(len, chunks)) <= 10_000


async def test_a_program_without_output_is_an_empty_stream():
    """C7."""
    assert await sf.stream(processes.read(*python("pass"))).collect() == []


async def test_a_source_runs_the_program_anew_for_each_run():
    source = processes.read(*python("print(1)"))

    assert await joined(sf.stream(source)) == await joined(sf.stream(source)) == b"1\n"


async def test_directory_and_environment_are_those_given(tmp_path):
    code = "import os; print(os.path.basename(os.getcwd()), os.environ['WORD'])"
    env = {**os.environ, "WORD": "given"}

    output = await joined(sf.stream(processes.read(*python(code), cwd=tmp_path, env=env)))

    assert output.decode().split() == [tmp_path.name, "given"]


async def test_an_exit_code_is_an_error_after_the_output():
    """P5: never a clean end."""
    got = []
    with pytest.raises(subprocess.CalledProcessError) as caught:
        await sf.stream(processes.read(*python(FAIL.format("disk full", 3)))).for_each(got.append)

    assert b"".join(got) == b"so far\n"
    assert caught.value.returncode == 3
    assert caught.value.stderr == b"disk full"
    assert "disk full" in "".join(caught.value.__notes__)


async def test_a_program_that_was_killed_is_an_error():
    """P5."""
    code = "import os, signal; print('so far', flush=True); os.kill(os.getpid(), signal.SIGKILL)"

    with pytest.raises(subprocess.CalledProcessError) as caught:
        await sf.stream(processes.read(*python(code))).collect()
    assert caught.value.returncode == -signal.SIGKILL


async def test_an_exit_code_may_mean_nothing():
    assert await joined(sf.stream(processes.read(*python(FAIL.format("", 1)), check=False))) == b"so far\n"


async def test_errors_show_neither_arguments_nor_environment():
    code = FAIL.format("no", 2) + " # password=hunter2"
    env = {**os.environ, "TOKEN": "hunter2"}
    with pytest.raises(subprocess.CalledProcessError) as caught:
        await sf.stream(processes.read(*python(code), env=env)).collect()

    shown = [str(caught.value), repr(caught.value), *caught.value.__notes__]
    assert not any("hunter2" in text for text in shown)
    assert os.path.basename(sys.executable) in str(caught.value)
    assert "hunter2" not in processes.read(*python(code), env=env).name


async def test_standard_error_is_bounded_and_never_blocks_the_program():
    """H45: a pipe that nobody reads is full after 64 KiB."""
    code = "import sys; sys.stderr.write('x' * 3_000_000 + 'the end'); sys.exit(1)"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        await sf.stream(processes.read(*python(code))).collect()

    assert len(caught.value.stderr) == 65_536
    assert caught.value.__notes__[0].endswith("the end")
    assert len(caught.value.__notes__[0]) < 3_000


async def test_standard_error_may_be_ours(capfd):
    with pytest.raises(subprocess.CalledProcessError) as caught:
        await sf.stream(processes.read(*python(FAIL.format("to the terminal", 1)), stderr="inherit")).collect()

    assert not caught.value.stderr
    assert capfd.readouterr().err == "to the terminal"


async def test_a_program_that_is_not_there_is_pythons_own_error():
    with pytest.raises(FileNotFoundError):
        await sf.stream(processes.read("/nowhere/program")).collect()


async def test_a_consumer_that_has_enough_ends_the_program():
    """C3."""
    async with asyncio.timeout(20):
        assert len(await sf.stream(processes.read(*python(FOR_EVER))).take(3).collect()) == 3


async def test_a_slow_consumer_holds_the_program_back(tmp_path):
    """P1."""
    path = tmp_path / "written"
    path.touch()
    code = f"import sys\nfor n in range(999):\n sys.stdout.write('x' * 65536)\n open({str(path)!r}, 'a').write('.')"
    async with sf.stream(processes.read(*python(code), check=False)).buffer(1).open() as chunks:
        await anext(chunks)
        before = -1
        while before != (before := path.stat().st_size):  # noqa: ASYNC110  # a program blocked in a pipe cannot say so
            await asyncio.sleep(0.05)

        assert before <= 12


@pytest.mark.parametrize("kind", ["task", "scope"])
async def test_a_cancelled_run_ends_the_program(kind, tmp_path):
    """X21, P7."""
    path = tmp_path / "pid"
    code = f"import os; open({str(path)!r}, 'w').write(str(os.getpid()))\n" + SLEEP

    async def run():
        async with sf.stream(processes.read(*python(code))).open() as chunks:
            await anext(chunks)
            if kind == "task":
                asyncio.current_task().cancel()
            else:
                scope.cancel()
            await asyncio.sleep(0)

    with anyio.CancelScope() as scope:
        task = asyncio.create_task(run()) if kind == "task" else None
        with contextlib.suppress(asyncio.CancelledError):
            await (task or run())
    assert is_gone(int(path.read_text()))


async def test_a_program_that_ignores_sigterm_is_killed_after_its_grace(tmp_path):
    path = tmp_path / "pid"
    start = time.perf_counter()
    flow = sf.stream(processes.read(*python(stubborn(path)), grace=0.05))
    assert await flow.first() == b"up"

    assert is_gone(int(path.read_text()))
    assert time.perf_counter() - start < 20


async def test_a_program_has_its_grace_to_clean_up(tmp_path):
    path = tmp_path / "cleaned"
    code = (
        "import os, signal, sys, time\n"
        f"signal.signal(signal.SIGTERM, lambda *_: (open({str(path)!r}, 'w').write('yes'), sys.exit(0)))\n"
        "os.write(1, b'up')\n"
        "time.sleep(600)"
    )
    await sf.stream(processes.read(*python(code), grace=20)).first()

    assert path.read_text() == "yes"


async def test_programs_that_it_left_behind_hold_nobody_up():
    """They still have our pipes; standard output is closed by us, standard error not waited for."""
    sleep = "import time; time.sleep(5)"
    code = (
        f"import subprocess, sys; print('done', flush=True)\n"
        f"subprocess.Popen([sys.executable, '-c', {sleep!r}], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)"
    )
    start = time.perf_counter()

    assert await joined(sf.stream(processes.read(*python(code)))) == b"done\n"
    assert time.perf_counter() - start < 4


async def test_programs_left_behind_with_the_input_of_one_that_succeeded_do_no_harm():
    """They hold standard error open, so that closing is not over when our end of the input has gone."""
    sleep = "import time; time.sleep(3)"
    code = (
        f"import subprocess, sys; sys.stdin.read()\n"
        f"subprocess.Popen([sys.executable, '-c', {sleep!r}], stdout=subprocess.DEVNULL)"
    )

    assert await sf.pipeline([b"rows"], processes.write(*python(code))) is None


# --- through -----------------------------------------------------------------------------------------------------


async def test_ten_megabytes_go_through_without_a_deadlock():
    """H45: the program's output is drained while it is fed."""
    block = bytes(range(256)) * 256

    async def blocks():
        for _ in range(160):
            yield block

    async with asyncio.timeout(50):
        got = await sf.pipeline(blocks, processes.through(*python(CAT)), sf.collect())
    assert b"".join(got) == block * 160


async def test_one_item_far_larger_than_any_pipe_goes_through():
    """F19, H45."""
    item = os.urandom(5_000_000)

    assert await joined(sf.stream([item]).through(processes.through(*python(CAT)))) == item


async def test_a_program_that_answers_only_at_the_end_of_its_input_gets_that_end():
    code = "import sys; print(len(sys.stdin.buffer.read()))"

    assert await joined(sf.stream([b"abc"] * 1000).through(processes.through(*python(code)))) == b"3000\n"


@pytest.mark.parametrize("items", [[], [b""], [bytearray(b"a"), memoryview(b"b"), b"c"]])
async def test_any_bytes_will_do_and_none_as_well(items):
    """C7."""
    stage = processes.through(*python(CAT))

    assert await joined(sf.stream(items).through(stage)) == b"".join(map(bytes, items))


async def test_it_works_by_hand():
    async def items():
        yield b"by hand"

    source = items()
    outs = processes.through(*python(CAT))(source)
    assert [out async for out in outs] == [b"by hand"]


async def test_a_program_that_has_had_enough_ends_the_stages_above():
    """C3: as `head` does."""
    code = "import sys; print(sys.stdin.buffer.read(5))"

    async with asyncio.timeout(20):
        assert await joined(sf.stream(endless).through(processes.through(*python(code)))) == b"b'xxxxx'\n"


async def test_a_program_that_has_had_enough_does_not_wait_for_more_input():
    async def slow():
        yield b"first\n"
        await asyncio.get_running_loop().create_future()

    code = "import sys; print(sys.stdin.readline())"
    async with asyncio.timeout(20):
        assert await joined(sf.stream(slow).through(processes.through(*python(code)))) == b"first\n\n"


async def test_a_program_that_fails_in_the_middle_of_its_input_is_an_error():
    """P5: the broken pipe is a consequence, not the cause."""
    code = "import sys; sys.stdin.buffer.read(5); sys.exit('bad row')"

    async with asyncio.timeout(20):
        with pytest.raises(subprocess.CalledProcessError) as caught:
            await sf.stream(endless).through(processes.through(*python(code))).collect()
    assert caught.value.stderr.strip() == b"bad row"


async def test_a_program_may_read_on_after_its_output_has_ended(tmp_path):
    path = tmp_path / "read"
    code = (
        "import os, sys; os.write(1, b'out'); os.close(1)\n"
        f"open({str(path)!r}, 'w').write(str(len(sys.stdin.buffer.read()))); os._exit(0)"
    )

    async with asyncio.timeout(20):
        assert await joined(sf.stream([b"x" * 100] * 5000).through(processes.through(*python(code)))) == b"out"
    assert path.read_text() == "500000"


async def test_a_failure_above_is_never_an_end_of_the_input(tmp_path):
    """P5, E15: or the program would take a part for the whole."""
    path = tmp_path / "complete"
    code = f"import sys\nfor line in sys.stdin: print(line, flush=True)\nopen({str(path)!r}, 'w').write('complete')"
    error = ValueError("above")

    async def items():
        yield b"first\n"
        await asyncio.sleep(0.2)
        raise error

    with pytest.raises(ValueError, match="above") as caught:
        await sf.stream(items).through(processes.through(*python(code))).collect()
    assert caught.value is error
    assert not path.exists()


async def test_an_early_end_stops_the_program_and_the_stages_above():
    """C3, P7."""
    closed = []

    async def items():
        try:
            for _ in itertools.count():
                yield b"x" * 1000
        finally:
            closed.append("closed")

    async with asyncio.timeout(20):
        assert await sf.stream(items).through(processes.through(*python(CAT))).first()
    assert closed == ["closed"]


@pytest.mark.parametrize("turns", [0, 1, 3, 10, 30])
@pytest.mark.parametrize("program", [CAT, "import time; time.sleep(600)"])
async def test_a_run_cancelled_at_any_time_leaves_nothing_behind(turns, program):
    """P7: no process, no transport, no task."""
    run = asyncio.create_task(sf.pipeline(endless, processes.through(*python(program)), sf.drain()))
    for _ in range(turns):
        await asyncio.sleep(0.001)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run


async def test_what_is_not_bytes_is_refused():
    with pytest.raises(sf.UsageError, match="fed with bytes, not str"):
        await sf.stream(["text"]).through(processes.through(*python(CAT))).collect()


# --- write -------------------------------------------------------------------------------------------------------


async def test_a_sink_returns_when_the_program_has_ended(tmp_path):
    """C1."""
    path = tmp_path / "out"
    code = f"import sys, time; data = sys.stdin.buffer.read(); time.sleep(.1); open({str(path)!r}, 'wb').write(data)"

    assert await sf.pipeline([b"abc"] * 10_000, processes.write(*python(code))) is None
    assert path.read_bytes() == b"abc" * 10_000


async def test_a_sink_whose_program_fails_raises():
    """P2, P5."""
    with pytest.raises(subprocess.CalledProcessError) as caught:
        await sf.pipeline([b"abc"], processes.write(*python("import sys; sys.stdin.read(); sys.exit('refused')")))
    assert "refused" in "".join(caught.value.__notes__)


async def test_a_sink_whose_program_fails_early_does_not_wait_for_more_input():
    async def slow():
        yield b"first\n"
        await asyncio.get_running_loop().create_future()

    async with asyncio.timeout(20):
        with pytest.raises(subprocess.CalledProcessError):
            await sf.pipeline(slow, processes.write(*python("import sys; sys.stdin.readline(); sys.exit(1)")))


async def test_a_sink_whose_program_has_had_enough_is_done():
    """C3."""
    async with asyncio.timeout(20):
        await sf.pipeline(endless, processes.write(*python("import sys; sys.stdin.read(5)")))


async def test_a_sink_below_a_failure_never_ends_the_programs_input(tmp_path):
    """P6, E15."""
    path = tmp_path / "committed"
    code = f"import sys; sys.stdin.read(); open({str(path)!r}, 'w').write('committed')"

    async def items():
        yield b"x" * 1000
        raise ValueError("above")

    with pytest.raises(ValueError, match="above"):
        await sf.pipeline(items, processes.write(*python(code)))
    assert not path.exists()


async def test_a_cancelled_sink_never_ends_the_programs_input(tmp_path):
    """P6, X2."""
    path = tmp_path / "committed"
    code = f"import sys; sys.stdin.read(); open({str(path)!r}, 'w').write('committed')"
    run = asyncio.create_task(sf.pipeline(endless, processes.write(*python(code))))
    await asyncio.sleep(0.1)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert not path.exists()


async def test_the_output_of_a_sinks_program_is_thrown_away(capfd):
    await sf.pipeline([b"x"], processes.write(*python(SPEAK.format(200_000))))

    assert capfd.readouterr() == ("", "")


# --- misuse ------------------------------------------------------------------------------------------------------

FUNCTIONS = pytest.mark.parametrize("function", ["read", "through", "write"])


@FUNCTIONS
def test_a_command_in_one_string_is_refused_without_showing_it(function):
    with pytest.raises(sf.UsageError, match=rf'no shell.*processes\.{function}\("program", "argument"\)') as caught:
        getattr(processes, function)("mysql -phunter2 shop")
    assert "hunter2" not in str(caught.value)


@FUNCTIONS
def test_a_command_in_a_list_is_refused(function):
    with pytest.raises(sf.UsageError, match=rf"not list.*processes\.{function}\(\*command\)"):
        getattr(processes, function)(["cat", "-n"])


@FUNCTIONS
@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((), {}, "needs a program"),
        (("cat", 5), {}, "not int"),
        (("cat", "a\0b"), {}, "zero byte"),
        (("cat",), {"cwd": 5}, "cwd is a directory.*not int"),
        (("cat",), {"env": "PATH=/bin"}, r"\{\*\*os\.environ"),
        (("cat",), {"env": {"RETRIES": 3}}, "strings to strings"),
        (("cat",), {"stderr": []}, r"'collect' or 'inherit', not \[\]"),
        (("cat",), {"stderr": "ignore"}, "'collect' or 'inherit', not 'ignore'"),
        (("cat",), {"grace": 0}, "grace"),
        (("cat",), {"grace": float("inf")}, "grace"),
    ],
)
def test_arguments_that_cannot_be_are_refused(function, arguments, options, message):
    """F14."""
    with pytest.raises(sf.UsageError, match=message):
        getattr(processes, function)(*arguments, **options)


@pytest.mark.parametrize("chunk", [0, -1, 1.5, True])
def test_a_chunk_that_cannot_be_is_refused(chunk):
    """F14."""
    with pytest.raises(sf.UsageError, match="chunk"):
        processes.read("cat", chunk=chunk)
