"""Descriptors of the process: pipes, terminals, sockets and files, waited for without a thread, left as they were."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import socket
import threading
from contextlib import asynccontextmanager, closing

import pytest

from streamflow.engine.shielding import finish
from streamflow.places.descriptors import Input, Output

BIG = 1 << 20


@pytest.fixture
def ends():
    """A pipe; what the test has not closed itself is closed after it."""
    with closing(Ends(*os.pipe())) as both:
        yield both


class Ends:
    def __init__(self, reading, writing):
        self.reading = reading
        self.writing = writing

    def close(self):
        for name in ("reading", "writing"):
            self.shut(name)

    def shut(self, name):
        descriptor = getattr(self, name)
        setattr(self, name, -1)
        if descriptor != -1:
            os.close(descriptor)


@asynccontextmanager
async def opened(descriptor):
    try:
        await finish(descriptor.open())
        yield descriptor
    finally:
        await finish(descriptor.close())


@pytest.fixture(params=["own description", "duplicate"])
def any_description(request, monkeypatch):
    """Run also where a descriptor cannot be opened a second time."""
    if request.param == "duplicate":
        real = os.open

        def refuse(path, *args, **options):
            if str(path).startswith("/dev/fd/"):
                raise PermissionError(13, "Permission denied", path)
            return real(path, *args, **options)

        monkeypatch.setattr(os, "open", refuse)


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streamflow-file")]


async def drained(descriptor, size):
    """Read so many bytes of a pipe, giving the loop a turn whenever there are none."""
    os.set_blocking(descriptor, False)
    data = b""
    while len(data) < size:
        try:
            data += os.read(descriptor, 65_536)
        except BlockingIOError:
            await asyncio.sleep(0)
    return data


# -------------------------------------------------------------------------------------------------------------- input


@pytest.mark.usefixtures("any_description")
async def test_a_pipe_is_read_as_data_comes_to_its_end(ends):
    async with opened(Input(ends.reading)) as source:
        os.write(ends.writing, b"first")
        assert await source.read(100) == b"first"
        waiting = asyncio.ensure_future(source.read(3))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        os.write(ends.writing, b"second")
        assert await waiting == b"sec"
        assert await source.read(100) == b"ond"
        ends.shut("writing")
        assert await source.read(100) == b""
        assert threads() == []


@pytest.mark.usefixtures("any_description")
async def test_waiting_for_a_pipe_ends_at_once_when_cancelled_and_takes_nothing(ends):
    """H43, H44: no thread stands in a read that may never return."""
    async with opened(Input(ends.reading)) as source:
        waiting = asyncio.ensure_future(source.read(100))
        await asyncio.sleep(0.01)
        assert threads() == []
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
    os.write(ends.writing, b"later")
    assert os.read(ends.reading, 100) == b"later"


@pytest.mark.usefixtures("any_description")
@pytest.mark.parametrize("blocking", [True, False])
async def test_the_blocking_mode_is_that_of_others_too_and_stays(ends, blocking):
    os.set_blocking(ends.reading, blocking)
    os.set_blocking(ends.writing, blocking)
    async with opened(Input(ends.reading)) as source, opened(Output(ends.writing)) as output:
        await output.write(b"data")
        assert await source.read(100) == b"data"
        assert os.get_blocking(ends.reading) == os.get_blocking(ends.writing) == blocking
    assert os.get_blocking(ends.reading) == os.get_blocking(ends.writing) == blocking


@pytest.mark.usefixtures("any_description")
async def test_a_terminal_is_read_line_by_line_to_its_end():
    with closing(Ends(*pty.openpty())) as terminal:
        async with opened(Input(terminal.writing)) as source:
            waiting = asyncio.ensure_future(source.read(100))
            await asyncio.sleep(0.01)
            os.write(terminal.reading, b"typed\n")
            assert await waiting == b"typed\n"
            os.write(terminal.reading, b"\x04")  # Ctrl-D
            assert await source.read(100) == b""
            assert os.get_blocking(terminal.writing)
            assert threads() == []


async def test_a_socket_is_read_to_its_end():
    """A child of a program that runs on uvloop has sockets for its standard streams."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with opened(Input(ours.fileno())) as source:
            waiting = asyncio.ensure_future(source.read(100))
            await asyncio.sleep(0.01)
            theirs.send(b"data")
            assert await waiting == b"data"
            theirs.close()
            assert await source.read(100) == b""
        assert os.get_blocking(ours.fileno())


@pytest.mark.parametrize(("content", "size"), [(b"abcdefg", 3), (b"", 3)])
async def test_a_file_is_read_from_where_it_stands(tmp_path, content, size):
    (tmp_path / "a").write_bytes(b"before" + content)
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    os.lseek(descriptor, 6, os.SEEK_SET)
    got = []
    async with opened(Input(descriptor)) as source:
        while data := await source.read(size):
            got.append(data)
    os.close(descriptor)

    assert b"".join(got) == content
    assert all(len(data) <= size for data in got)


async def test_what_cannot_be_waited_for_is_read_all_the_same():
    descriptor = os.open(os.devnull, os.O_RDWR)
    async with opened(Input(descriptor)) as source, opened(Output(descriptor)) as output:
        assert await source.read(100) == b""
        await output.write(b"x" * BIG)
        await output.drain()
        assert output.sent == BIG
    os.close(descriptor)


async def test_a_descriptor_that_is_not_there_is_an_error():
    with pytest.raises(OSError, match="Bad file descriptor"):
        async with opened(Input(10_000)):
            pass


# ------------------------------------------------------------------------------------------------------------- output


@pytest.mark.usefixtures("any_description")
async def test_a_pipe_is_written_as_it_is_read(ends):
    data = os.urandom(BIG)
    async with opened(Output(ends.writing)) as output:
        writing = asyncio.ensure_future(output.write(data))
        assert await drained(ends.reading, BIG) == data
        await writing
        await output.drain()
        assert output.sent == BIG
        assert threads() == []


@pytest.mark.usefixtures("any_description")
async def test_waiting_for_a_reader_ends_at_once_when_cancelled(ends):
    """H43, H44."""
    async with opened(Output(ends.writing)) as output:
        writing = asyncio.ensure_future(output.write(bytes(BIG)))
        while not output.sent:  # noqa: ASYNC110  # the pipe is filled by turns
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        assert not writing.done()
        writing.cancel()
        await asyncio.wait({writing})
        assert writing.cancelled()
        assert output.sent < BIG


@pytest.mark.usefixtures("any_description")
async def test_a_reader_that_leaves_is_a_broken_pipe(ends):
    async with opened(Output(ends.writing)) as output:
        writing = asyncio.ensure_future(output.write(bytes(BIG)))
        await asyncio.sleep(0.01)
        ends.shut("reading")
        with pytest.raises(BrokenPipeError):
            await writing


async def test_a_pipe_that_nobody_reads_from_the_start_is_a_broken_pipe(ends):
    ends.shut("reading")
    async with opened(Output(ends.writing)) as output:
        with pytest.raises(BrokenPipeError):
            await output.write(b"x")


@pytest.mark.usefixtures("any_description")
async def test_a_reader_that_leaves_is_noticed_without_writing(ends):
    async with opened(Output(ends.writing)) as output:
        left = asyncio.ensure_future(output.reader_left())
        await asyncio.sleep(0.01)
        assert not left.done()
        ends.shut("reading")
        await left


async def test_of_what_is_no_pipe_nobody_leaves(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        async with opened(Output(file.fileno())) as output:
            left = asyncio.ensure_future(output.reader_left())
            await asyncio.sleep(0.01)
            assert not left.done()
            left.cancel()
            await asyncio.wait({left})


async def test_a_socket_is_written_as_it_is_read():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        async with opened(Output(ours.fileno())) as output:
            writing = asyncio.ensure_future(output.write(bytes(4 * BIG)))
            assert len(await drained(theirs.fileno(), 4 * BIG)) == 4 * BIG
            await writing
        assert os.get_blocking(ours.fileno())


@pytest.mark.usefixtures("any_description")
async def test_a_terminal_is_written(any_description):
    with closing(Ends(*pty.openpty())) as terminal:
        async with opened(Output(terminal.writing)) as output:
            await output.write(b"shown")
            assert os.read(terminal.reading, 100) == b"shown"
            assert os.get_blocking(terminal.writing)


async def test_a_file_is_written_from_where_it_stands_and_its_position_moves_on(tmp_path):
    """`(echo before; program; echo after) > file`."""
    with (tmp_path / "a").open("wb", buffering=0) as file:
        file.write(b"before ")
        async with opened(Output(file.fileno())) as output:
            await output.write(b"ours ")
            await output.drain()
        file.write(b"after")

    assert (tmp_path / "a").read_bytes() == b"before ours after"


async def test_a_full_disk_is_the_systems_own_error():
    """H90."""
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        async with opened(Output(descriptor)) as output:
            await output.write(b"x")
            with pytest.raises(OSError, match="No space left"):
                await output.drain()
    finally:
        os.close(descriptor)


async def test_what_was_given_stays_open(ends):
    async with opened(Input(ends.reading)), opened(Output(ends.writing)):
        pass
    assert fcntl.fcntl(ends.reading, fcntl.F_GETFD) >= 0
    os.write(ends.writing, b"x")
    assert os.read(ends.reading, 1) == b"x"
