"""Standard input and output, in a real program between real pipes."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import textwrap
from contextlib import closing

import pytest

import streamflow as sf
from streamflow.errors import UsageError
from streamflow.places import stdio
from streamflow.places.written import Sent

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, sys, threading
import streamflow as sf
from streamflow.places import files, stdio

async def main():
{body}

with asyncio.Runner(loop_factory={loop}) as runner:
    runner.run(main())
assert [t for t in threading.enumerate() if t is not threading.main_thread()] == []
"""
LOOPS = {"asyncio": "asyncio.SelectorEventLoop", "uvloop": "__import__('uvloop').new_event_loop"}


@pytest.fixture(params=[loop for loop in LOOPS if loop in os.environ.get("STREAMFLOW_LOOPS", "asyncio uvloop").split()])
def program(request, tmp_path):
    """Writes a program around the body of a coroutine; gives the command that runs it."""

    def written(body):
        path = tmp_path / "program.py"
        path.write_text(PROGRAM.format(body=textwrap.indent(textwrap.dedent(body), "    "), loop=LOOPS[request.param]))
        return [sys.executable, "-W", "error", str(path)]

    return written


def ran(command, **options):
    return subprocess.run(command, capture_output=True, timeout=50, check=False, **options)


COPY = """
sent = await sf.pipeline(stdio.read(), stdio.write())
print(sent.bytes, sent.complete, file=sys.stderr)
"""


def test_a_pipe_is_copied_whole(program):
    data = os.urandom(3_000_000)
    done = ran(program(COPY), input=data)

    assert done.stdout == data
    assert (done.returncode, done.stderr) == (0, b"3000000 True\n")


def test_files_are_copied_whole_in_their_place(program, tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target:
        target.write(b"before")
        target.flush()
        done = subprocess.run(program(COPY), stdin=source, stdout=target, check=True, timeout=50, stderr=-1)

    assert (tmp_path / "out").read_bytes() == b"before" + data
    assert done.stderr == b"3000000 True\n"


def test_nothing_is_copied_from_nothing(program):
    assert ran(program(COPY), stdin=subprocess.DEVNULL).stderr == b"0 True\n"


def test_what_was_printed_before_comes_before(program):
    done = ran(program("print('first')\nawait sf.pipeline([b'second'], stdio.write())\nprint('third')"))

    assert done.stdout == b"first\nsecondthird\n"


def test_a_reader_that_has_enough_ends_the_run_quietly(program):
    """H90: `| head`, while there is always more to write."""
    command = program("""
        closed = []
        async def endless():
            try:
                while True:
                    yield b"row\\n" * 100
            finally:
                closed.append(True)
        sent = await sf.pipeline(endless(), stdio.write())
        print(sent.complete, closed, file=sys.stderr)
        raise SystemExit(sent.exit_status)
    """)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.read(8) == b"row\nrow\n"
        child.stdout.close()
        errors = child.stderr.read()
        assert child.wait(50) == 141  # as a shell shows it of `yes | head`
    assert errors == b"False [True]\n"


def test_a_reader_that_has_enough_ends_a_run_that_waits_for_an_item(program):
    """`tail -F app.log | head -1` does not wait for another line, that may never come."""
    command = program("""
        async def slow():
            yield b"row\\n"
            await asyncio.sleep(1000)
        sent = await sf.pipeline(slow(), stdio.write())
        print(sent.bytes, sent.complete, file=sys.stderr)
    """)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"row\n"
        child.stdout.close()
        assert child.stderr.read() == b"4 False\n"
        assert child.wait(50) == 0


def test_a_broken_pipe_of_a_stage_above_is_its_own_error(program):
    command = program("""
        async def broken():
            yield b"row"
            raise BrokenPipeError("of a database")
        await sf.pipeline(broken(), stdio.write())
    """)
    done = ran(command)

    assert done.returncode == 1
    assert b"BrokenPipeError: of a database" in done.stderr


def test_a_full_disk_is_an_error(program):
    """H90."""
    with open("/dev/full", "wb", buffering=0) as full:
        done = subprocess.run(
            program("await sf.pipeline([b'row'], stdio.write())"), stdout=full, stderr=-1, check=False, timeout=50
        )
    assert done.returncode != 0
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("program", ["asyncio"], indirect=True)  # libuv ends a process without them
@pytest.mark.parametrize("number", [0, 1])
def test_a_stream_that_is_closed_is_named(program, number):
    name = ["standard input", "standard output"][number]
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {number}>&-', "sh", *program(COPY)],
        stderr=-1,
        stdout=-1,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=50,
    )
    assert done.returncode == 1
    assert f"This process was started without {name}".encode() in done.stderr


def test_waiting_for_input_is_cancelled_at_once_and_leaves_the_rest_to_others(program):
    """H44: no thread keeps the process from its end."""
    command = program("""
        try:
            async with asyncio.timeout(0.05):
                await sf.pipeline(stdio.read(), sf.drain())
        except TimeoutError:
            print("cancelled", flush=True)
        print(sys.stdin.readline(), end="")
    """)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"cancelled\n"
        child.stdin.write(b"for another\n")
        child.stdin.close()
        assert child.stdout.read() == b"for another\n"
        assert child.wait(50) == 0


def test_waiting_for_input_is_interrupted_by_the_user(program):
    command = program("""
        print("waiting", flush=True)
        await sf.pipeline(stdio.read(), sf.drain())
    """)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        assert child.wait(50) == -signal.SIGINT
        assert b"KeyboardInterrupt" in child.stderr.read()
        child.stdin.close()


def test_a_terminal_stays_as_it_was(program):
    ours, terminal = pty.openpty()
    with closing(os.fdopen(ours, "r+b", buffering=0)), closing(os.fdopen(terminal, "r+b", buffering=0)) as shell:
        command = program("await sf.pipeline(stdio.read(), sf.map(bytes.upper), stdio.write())")
        with subprocess.Popen(command, stdin=shell, stdout=shell, stderr=subprocess.PIPE) as child:
            os.write(ours, b"typed\n\x04")
            errors = child.stderr.read()
            assert child.wait(50) == 0
        assert errors == b""
        assert b"TYPED" in os.read(ours, 1000)
        assert os.get_blocking(shell.fileno())


async def test_a_second_run_on_the_same_stream_is_refused():
    """P10."""
    with stdio._alone(0), pytest.raises(UsageError, match="Standard input is in use"):
        await sf.pipeline(stdio.read(), sf.drain())
    with stdio._alone(1), pytest.raises(UsageError, match="Standard output is in use"):
        await sf.pipeline([b"x"], stdio.write())
    assert stdio._in_use == set()


async def test_items_that_are_not_bytes_are_refused():
    with pytest.raises(UsageError, match=r"stdio\.write\(\) takes bytes, not str"):
        await sf.pipeline(["text"], stdio.write())
    with pytest.raises(UsageError, match="block"):
        stdio.read(block=0)


def test_the_exit_status_is_that_of_coreutils():
    assert Sent(10, complete=True).exit_status == 0
    assert Sent(10, complete=False).exit_status == 128 + signal.SIGPIPE
