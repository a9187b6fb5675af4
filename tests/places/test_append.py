"""`append`: the bytes are at the end, or the file is as it was and the error says so."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import stat
import threading

import pytest

from streamflow.channel import Channel
from streamflow.errors import UsageError
from streamflow.places import append, files
from streamflow.places.blocks import MIB
from streamflow.places.written import Appended


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("streamflow-file")] == []


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "out" / "app.log"
    path.parent.mkdir()
    path.write_bytes(b"old\n")
    return path


async def failing_after(log, data):
    """Give items, and fail when they are in the file."""
    before = log.stat().st_size
    yield data
    while log.stat().st_size < before + len(data):  # noqa: ASYNC110  # a thread writes it
        await asyncio.sleep(0)
    raise ValueError("above")


def notes_of(error):
    return " ".join(getattr(error, "__notes__", []))


@pytest.mark.parametrize("sync", [True, False])
async def test_bytes_are_added_at_the_end_and_accounted_for(log, feed, sync):
    appended = await files.append(log, sync=sync)(feed(b"a", bytearray(b"b"), memoryview(b"c\n"), b""))

    assert appended == Appended(str(log), offset=4, bytes=4, durable=sync)
    assert log.read_bytes() == b"old\nabc\n"


async def test_a_file_that_is_not_there_is_made(log, feed):
    log.unlink()

    assert await files.append(log)(feed(b"new")) == Appended(str(log), offset=0, bytes=3, durable=True)
    assert log.read_bytes() == b"new"


@pytest.mark.parametrize(("sync", "synced"), [(True, ["file", "directory"]), (False, [])])
async def test_what_is_called_durable_has_been_synced(log, feed, monkeypatch, sync, synced):
    """H93."""
    log.unlink()
    calls, real = [], os.fsync

    def fsync(descriptor):
        calls.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real(descriptor)

    monkeypatch.setattr(append.os, "fsync", fsync)
    await files.append(log, sync=sync)(feed(b"new"))

    assert calls == synced


async def test_what_is_there_is_written_at_once(log):
    channel = Channel(16)
    sink = asyncio.ensure_future(files.append(log)(channel))
    await channel.put(b"first")
    while log.stat().st_size < 9:  # noqa: ASYNC110  # a thread writes it
        await asyncio.sleep(0)
    assert log.read_bytes() == b"old\nfirst"

    channel.close()
    assert (await sink).bytes == 5


async def test_a_failure_above_cuts_the_file_back_and_says_so(log):
    """E15, H61."""
    with pytest.raises(ValueError, match="above") as failure:
        await files.append(log)(failing_after(log, bytes(2 * MIB)))

    assert log.read_bytes() == b"old\n"
    assert f"{log} has been cut back to the 4 bytes it had before." in notes_of(failure.value)


async def test_a_failure_removes_a_file_that_the_run_had_made(log, feed):
    log.unlink()
    with pytest.raises(ValueError, match="above"):
        await files.append(log)(feed(b"new", ValueError("above")))
    with pytest.raises(ValueError, match="above"):
        await files.append(log)(feed(ValueError("above")))

    assert os.listdir(log.parent) == []


async def test_what_somebody_else_has_written_meanwhile_is_never_cut_off(log):
    async def items():
        yield b"ours\n"
        while log.stat().st_size < 9:  # noqa: ASYNC110  # a thread writes it
            await asyncio.sleep(0)
        with log.open("ab") as other:
            other.write(b"theirs\n")
        raise ValueError("above")

    with pytest.raises(ValueError, match="above") as failure:
        await files.append(log)(items())
    assert log.read_bytes() == b"old\nours\ntheirs\n"
    assert "The 5 bytes that had been appended" in notes_of(failure.value)
    assert "something else has written to it" in notes_of(failure.value)


async def test_a_file_that_cannot_be_cut_back_is_told(log, monkeypatch):
    def refused(descriptor, length):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(append.os, "ftruncate", refused)
    with pytest.raises(ValueError, match="above") as failure:
        await files.append(log)(failing_after(log, b"new"))
    assert f"{log} could not be cut back to 4 bytes: " in notes_of(failure.value)


async def test_two_at_once_do_not_mix(log, feed):
    """P10."""
    channel = Channel(16)
    first = asyncio.ensure_future(files.append(log)(channel))
    await channel.put(b"1")
    while log.stat().st_size < 5:  # noqa: ASYNC110  # a thread writes it
        await asyncio.sleep(0)
    with pytest.raises(BlockingIOError, match="Another run is appending") as failure:
        await files.append(log)(feed(b"2"))
    assert notes_of(failure.value) == ""
    channel.close()
    await first

    assert log.read_bytes() == b"old\n1"


async def test_a_failed_sync_is_not_tried_again_and_undone(log, feed, monkeypatch):
    """H94."""
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(append.os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        await files.append(log)(feed(b"new"))
    assert log.read_bytes() == b"old\n"
    assert len(calls) == 2  # the second one is for the cut


async def test_a_limit_of_the_system_is_its_own_error_and_is_undone(log, feed):
    """H92: stands in for a full disk; the write before it is short and reports no error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            await files.append(log)(feed(*[bytes(MIB)] * 4))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.read_bytes() == b"old\n"


async def test_items_that_are_not_bytes_are_refused_and_undone(log, feed):
    with pytest.raises(UsageError, match=r"files\.append\(.*\) takes bytes, not str"):
        await files.append(log)(feed(b"good", "text"))
    assert log.read_bytes() == b"old\n"


async def test_what_is_no_regular_file_is_refused(tmp_path, feed):
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(UsageError, match="fifo is not a regular file"):
            await files.append(tmp_path / "fifo")(feed(b"x"))
    finally:
        os.close(reader)
    with pytest.raises(IsADirectoryError):
        await files.append(tmp_path)(feed(b"x"))
    with pytest.raises(FileNotFoundError, match="none"):
        await files.append(tmp_path / "none" / "a")(feed(b"x"))


async def test_cancelled_at_any_turn_all_is_there_or_nothing(log, feed, cancelled_after):
    """X2, X21, H28, H40."""
    before, seen = set(os.listdir("/proc/self/fd")), set()
    for turns in range(80):
        log.write_bytes(b"old\n")
        task = await cancelled_after(lambda: files.append(log)(feed(bytes(MIB), b"end")), turns)

        assert log.stat().st_size in (4, 4 + MIB + 3)
        assert log.stat().st_size > 4 or task.cancelled()
        assert set(os.listdir("/proc/self/fd")) <= before
        seen.add(task.cancelled())
    assert True in seen


async def test_a_cancellation_during_the_sync_says_that_all_is_there(log, feed, monkeypatch):
    """H28."""
    entered, opened, real = threading.Event(), threading.Event(), os.fsync

    def fsync(descriptor):
        entered.set()
        assert opened.wait(10)
        real(descriptor)

    monkeypatch.setattr(append.os, "fsync", fsync)
    task = asyncio.ensure_future(files.append(log)(feed(b"new")))
    while not entered.is_set():  # noqa: ASYNC110  # a thread sets it
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    opened.set()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert log.read_bytes() == b"old\nnew"
    assert "All 3 bytes had been appended" in notes_of(cancelled.value)
