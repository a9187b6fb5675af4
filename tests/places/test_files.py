"""Files: the whole file or none, whatever cancels or fails, and no thread or descriptor left."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
import threading
from contextlib import aclosing
from io import FileIO

import aiofiles.threadpool
import anyio
import pytest

from streamflow.errors import TruncatedError, UsageError
from streamflow.places import files, partfile
from streamflow.places.blocks import MIB
from streamflow.places.written import Written


async def collected(source):
    async with aclosing(source.open()) as blocks:
        return [block async for block in blocks]


async def until(condition):
    while not condition():  # noqa: ASYNC110  # a thread sets it, which an asyncio.Event cannot be told by
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("streamflow-file")] == []


@pytest.fixture
def out(tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    return directory / "result.bin"


def left_in(out):
    return sorted(os.listdir(out.parent))


# ------------------------------------------------------------------------------------------------------------- read


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 35])
async def test_a_file_is_read_in_blocks(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "a").write_bytes(data)

    blocks = await collected(files.read(tmp_path / "a", block=10))

    assert b"".join(blocks) == data
    assert all(len(block) == 10 for block in blocks[:-1])
    assert all(blocks)


async def test_a_part_of_a_file_is_read_by_offset_and_length(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(100)))

    assert b"".join(await collected(files.read(tmp_path / "a", block=7, offset=10, length=20))) == bytes(range(10, 30))
    assert b"".join(await collected(files.read(tmp_path / "a", offset=95))) == bytes(range(95, 100))
    assert await collected(files.read(tmp_path / "a", offset=200)) == []
    assert await collected(files.read(tmp_path / "a", length=0)) == []


async def test_a_file_shorter_than_the_length_asked_for_is_truncated(tmp_path):
    """P5."""
    (tmp_path / "a").write_bytes(b"abc")

    with pytest.raises(TruncatedError, match="ended 7 bytes before"):
        await collected(files.read(tmp_path / "a", length=10))


async def test_python_s_own_errors_are_raised_when_it_runs(tmp_path):
    missing, directory = files.read(tmp_path / "none"), files.read(tmp_path)

    with pytest.raises(FileNotFoundError, match="none"):
        await collected(missing)
    with pytest.raises(IsADirectoryError):
        await collected(directory)


async def test_a_source_can_be_opened_again(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    source = files.read(tmp_path / "a")

    assert await collected(source) == await collected(source) == [b"abc"]


async def test_reading_stops_early_and_leaves_nothing(tmp_path):
    (tmp_path / "a").write_bytes(bytes(1000))

    async with aclosing(files.read(tmp_path / "a", block=10).open()) as blocks:
        async for _ in blocks:
            break


async def test_the_next_block_is_read_while_the_one_before_it_is_used(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(bytes(30))
    fetched, real = [], os.read

    def watched(descriptor, size):
        data = real(descriptor, size)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(files.os, "read", watched)
    async with aclosing(files.read(tmp_path / "a", block=10).open()) as blocks:
        await anext(blocks)
        await until(lambda: len(fetched) == 2)
        for _ in range(50):
            await asyncio.sleep(0)
        assert fetched == [10, 10]  # one ahead, and not two


async def test_a_failure_of_the_read_ahead_comes_after_the_block_before_it(tmp_path, monkeypatch):
    """P3."""
    (tmp_path / "a").write_bytes(bytes(20))
    got, real = [], os.read

    def damaged(descriptor, size):
        if os.lseek(descriptor, 0, os.SEEK_CUR):
            raise OSError("bad sector")
        return real(descriptor, size)

    monkeypatch.setattr(files.os, "read", damaged)

    async def read():
        async with aclosing(files.read(tmp_path / "a", block=10).open()) as blocks:
            async for block in blocks:
                got.append(block)  # noqa: PERF401  # what was got before the error is the point

    with pytest.raises(OSError, match="bad sector"):
        await read()
    assert got == [bytes(10)]


async def test_reading_cancelled_at_any_turn_leaves_no_thread_and_no_descriptor(tmp_path, cancelled_after):
    """X21."""
    (tmp_path / "a").write_bytes(bytes(100))
    before = set(os.listdir("/proc/self/fd"))
    for turns in range(50):
        task = await cancelled_after(lambda: collected(files.read(tmp_path / "a", block=10)), turns)

        assert task.cancelled() or len(task.result()) == 10
        assert set(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("options", [{"block": 0}, {"offset": -1}, {"length": -1}])
def test_options_that_mean_nothing_are_refused_at_once(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        files.read("a", **options)


def test_a_source_says_what_it_costs():
    source = files.read("some/file", block=100)

    assert (source.name, source.threads, source.holds) == ("files.read(some/file)", 1, 200)
    assert __file__ in source.where


@pytest.fixture
def fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def writer_of(fifo):
    return open(fifo, "wb", buffering=0)


async def test_a_fifo_is_read_from_its_first_writer_to_its_last(fifo):
    read = asyncio.ensure_future(collected(files.read(fifo)))
    await asyncio.sleep(0.01)  # it waits for a writer, which a file at its end would not
    with writer_of(fifo) as writer:
        writer.write(b"first ")
        await asyncio.sleep(0.01)
        writer.write(b"second")

    assert b"".join(await read) == b"first second"


@pytest.mark.parametrize("length", [3, 10])
async def test_a_part_of_a_fifo_is_read_by_length(fifo, length):
    read = asyncio.ensure_future(collected(files.read(fifo, length=length)))
    await asyncio.sleep(0.01)
    with writer_of(fifo) as writer:
        writer.write(b"abcd"[:length])

    if length == 3:
        assert b"".join(await read) == b"abc"
    else:
        with pytest.raises(TruncatedError, match="ended 6 bytes before"):
            await read


async def test_there_is_no_offset_in_a_fifo(fifo):
    with pytest.raises(OSError, match="Illegal seek"):
        await collected(files.read(fifo, offset=1))


@pytest.mark.parametrize("turns", [5, 20, 40])
async def test_waiting_for_a_fifo_that_nobody_writes_to_ends_when_cancelled(fifo, cancelled_after, turns):
    """H44: no thread stands in it."""
    before = set(os.listdir("/proc/self/fd"))
    task = await cancelled_after(lambda: collected(files.read(fifo)), turns)

    assert task.cancelled()
    assert set(os.listdir("/proc/self/fd")) <= before


# ------------------------------------------------------------------------------------------------------------ write


@pytest.mark.parametrize("sync", [True, False])
async def test_a_file_is_written_whole(out, feed, sync):
    written = await files.write(out, sync=sync)(feed(b"abc", bytearray(b"def"), memoryview(b"ghi"), b""))

    assert written == Written(str(out), 9, durable=sync)
    assert out.read_bytes() == b"abcdefghi"
    assert left_in(out) == ["result.bin"]


async def test_no_items_make_an_empty_file(out, feed):
    assert (await files.write(out)(feed())).bytes == 0
    assert out.read_bytes() == b""


async def test_small_items_are_gathered_and_large_ones_arrive_whole(out, feed, monkeypatch):
    hops = []
    real = partfile.PartFile.submit

    def submit(self, data):
        hops.append(len(data))
        return real(self, data)

    monkeypatch.setattr(partfile.PartFile, "submit", submit)
    data = os.urandom(3 * MIB + 5)
    pieces = [data[at : at + 64 * 1024] for at in range(0, len(data), 64 * 1024)]
    await files.write(out, sync=False)(feed(*pieces))

    assert out.read_bytes() == data
    assert hops == [MIB, MIB, MIB, 5]


async def test_a_short_write_is_continued(out, feed, monkeypatch):
    """H92: the system takes a part of a block and reports no error."""
    real = os.write
    monkeypatch.setattr(partfile.os, "write", lambda descriptor, data: real(descriptor, data[:100_000]))
    data = os.urandom(2 * MIB + 100)
    written = await files.write(out)(feed(data[:MIB], data[MIB:]))

    assert out.read_bytes() == data
    assert written.bytes == len(data)


async def test_the_file_appears_only_at_the_end_beside_its_part(out):
    """H91: until the rename nothing stands under the result's name."""
    seen = []

    async def items():
        yield bytes(MIB)
        seen.append(left_in(out))
        yield b"end"

    await files.write(out)(items())

    assert len(seen[0]) == 1
    assert seen[0][0].startswith(".result.bin.")
    assert seen[0][0].endswith(".part")
    assert left_in(out) == ["result.bin"]


async def test_a_failure_above_leaves_the_old_file_and_no_part(out, feed):
    """E15, H61."""
    out.write_bytes(b"old")

    with pytest.raises(ValueError, match="above"):
        await files.write(out)(feed(bytes(2 * MIB), ValueError("above")))
    assert out.read_bytes() == b"old"
    assert left_in(out) == ["result.bin"]


async def test_items_that_are_not_bytes_leave_nothing(out, feed):
    with pytest.raises(UsageError, match="takes bytes, not str"):
        await files.write(out)(feed(b"good", "text"))
    assert left_in(out) == []


async def test_cancelled_at_any_turn_there_is_the_whole_file_or_nothing(out, feed, cancelled_after):
    """X2, X21, H28, H41."""
    before, seen = set(os.listdir("/proc/self/fd")), set()
    for turns in range(120):
        task = await cancelled_after(lambda: files.write(out)(feed(bytes(MIB), bytes(MIB), b"end")), turns)

        assert left_in(out) in ([], ["result.bin"])
        assert not left_in(out) or out.stat().st_size == 2 * MIB + 3
        assert left_in(out) or task.cancelled()
        assert set(os.listdir("/proc/self/fd")) <= before
        seen.add(task.cancelled())
        out.unlink(missing_ok=True)
    assert True in seen


async def test_an_anyio_cancellation_is_seen_while_items_abound(out):
    """X2: neither the items nor the shielded writes would ever let it in."""
    pulled = []

    class Ready:
        def __aiter__(self):
            return self

        async def __anext__(self):
            pulled.append(1)
            if len(pulled) == 3:
                scope.cancel()
            if len(pulled) > 50:
                raise StopAsyncIteration
            return bytes(MIB)

    with anyio.CancelScope() as scope:
        await files.write(out, sync=False)(Ready())
    assert scope.cancelled_caught
    assert len(pulled) == 3
    assert left_in(out) == []


async def noted(sink, notes):
    try:
        return await sink
    except asyncio.CancelledError as error:
        notes.extend(getattr(error, "__notes__", []))
        raise


async def test_a_cancellation_during_the_commit_waits_for_it_and_says_that_it_is_done(out, feed, monkeypatch):
    """H28."""
    entered, opened = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(descriptor):
        entered.set()
        assert opened.wait(10)
        real(descriptor)

    monkeypatch.setattr(partfile.os, "fsync", fsync)
    task = asyncio.ensure_future(noted(files.write(out)(feed(b"abc")), notes := []))
    await until(entered.is_set)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    opened.set()
    await asyncio.wait({task})

    assert task.cancelled()
    assert out.read_bytes() == b"abc"
    assert "complete" in "".join(notes)


class Slow:
    """A file whose first write waits for `go`; what is done to it in its thread is told to `order`."""

    def __init__(self):
        self.begun, self.go, self.order = threading.Event(), threading.Event(), []

    def write(self, descriptor, data):
        self.order.append("write")
        self.begun.set()
        assert self.go.wait(10)
        self.order.append("written")
        return WRITE(descriptor, data)

    def open(self, path, mode, **_):
        """Open without a buffer, as `files.write` asks for; the handle tells when it is closed."""
        told = self.order

        class Told(FileIO):
            def close(self):
                told.append("close")
                super().close()

        return Told(path, mode)


WRITE = os.write


@pytest.fixture
def slow(monkeypatch):
    """The one file that `files.write` opens."""
    file = Slow()
    monkeypatch.setattr(partfile.os, "write", file.write)
    monkeypatch.setattr(aiofiles.threadpool, "sync_open", file.open)  # where its documentation says to
    return file


async def test_a_cancelled_write_ends_in_the_thread_before_its_descriptor_is_closed(out, feed, slow):
    """H40: otherwise its bytes would land in whatever file gets the number next."""
    task = asyncio.ensure_future(files.write(out)(feed(*[bytes(MIB)] * 5)))
    await until(lambda: slow.begun.is_set() or task.done())
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    slow.go.set()
    await asyncio.wait({task})

    assert task.cancelled()
    assert slow.order[:3] == ["write", "written", "close"]  # the block behind it in the queue was not begun
    assert left_in(out) == []


async def test_while_a_write_is_slow_no_more_is_taken_than_is_stated(out, slow):
    """P1: one in the thread, one in its queue, one in the hand of the sink."""
    pulled = []

    async def items():
        for number in range(10):
            pulled.append(number)
            yield bytes(MIB)

    task = asyncio.ensure_future(files.write(out)(items()))
    await until(lambda: slow.begun.is_set() or task.done())
    for _ in range(50):
        await asyncio.sleep(0)
    held = len(pulled)
    slow.go.set()
    await task

    assert held == 3
    assert files.write(out).holds >= 3 * MIB
    assert out.stat().st_size == 10 * MIB


async def test_a_write_that_fails_behind_the_sink_s_back_is_raised_and_leaves_nothing(out, feed, monkeypatch):
    """P2: also when it is the last block, which nobody follows."""
    real = os.write

    def broken(descriptor, data):
        if len(data) < MIB:
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, data)

    monkeypatch.setattr(partfile.os, "write", broken)
    with pytest.raises(OSError, match="Input/output"):
        await files.write(out)(feed(bytes(MIB), bytes(MIB), b"last"))
    assert left_in(out) == []


async def test_two_failed_writes_are_one_error_and_nobody_reports_the_other(out, feed, monkeypatch):
    def broken(_, data):
        raise OSError(errno.EIO, f"Input/output error after {len(data)}")

    monkeypatch.setattr(partfile.os, "write", broken)
    with pytest.raises(OSError, match="Input/output"):
        await files.write(out)(feed(*[bytes(MIB)] * 5))
    assert left_in(out) == []


@pytest.mark.parametrize("times", [1, 2])
async def test_a_failed_fsync_aborts_and_is_never_tried_again(out, feed, monkeypatch, times):
    """H94."""
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(partfile.os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        await files.write(out)(feed(*[bytes(MIB)] * times))
    assert len(calls) == 1
    assert left_in(out) == []


async def test_a_directory_that_fails_to_sync_leaves_the_file_and_says_so(out, feed, monkeypatch):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(partfile.os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output") as caught:
        await files.write(out)(feed(b"abc"))
    assert "may not survive a power cut" in caught.value.__notes__[0]
    assert out.read_bytes() == b"abc"


async def test_a_filesystem_that_cannot_sync_directories_gives_a_result_that_is_not_durable(out, feed, monkeypatch):
    """H93: stated in the result."""
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(descriptor)

    monkeypatch.setattr(partfile.os, "fsync", fsync)
    assert (await files.write(out)(feed(b"abc"))).durable is False


async def test_the_name_is_given_after_the_bytes_are_on_disk(out, feed, monkeypatch):
    """H91, H93: fsync, rename, fsync of the directory, in this order."""
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(partfile.os, "fsync", lambda fd: (order.append("fsync"), fsync(fd)))
    monkeypatch.setattr(partfile.os, "replace", lambda *names: (order.append("replace"), replace(*names)))
    await files.write(out)(feed(b"abc"))

    assert order == ["fsync", "replace", "fsync"]


async def test_a_full_disk_is_the_systems_own_error_and_leaves_nothing(out, feed, monkeypatch):
    def full(_, data):
        with FileIO("/dev/full", "w") as device:
            return device.write(data)

    monkeypatch.setattr(partfile.os, "write", full)
    with pytest.raises(OSError, match="No space left on device"):
        await files.write(out)(feed(bytes(MIB), b"more"))
    assert left_in(out) == []


async def test_a_really_full_disk_leaves_nothing(tmp_path, feed):
    """H92: a tmpfs of one block."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(  # noqa: ASYNC221  # before anything runs on the loop
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    try:
        with pytest.raises(OSError, match="No space left on device"):
            await files.write(disk / "a")(feed(*[bytes(MIB)] * 3))
        assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: ASYNC221


async def test_overwrite_false_never_replaces_a_file(out, feed):
    out.write_bytes(b"old")
    pulled = []

    async def items():
        pulled.append(1)
        yield b"new"

    with pytest.raises(FileExistsError):
        await files.write(out, overwrite=False)(items())
    assert out.read_bytes() == b"old"
    assert pulled == []


async def test_overwrite_false_does_not_replace_a_file_that_appeared_meanwhile(out):
    async def items():
        yield b"new"
        out.write_bytes(b"theirs")

    with pytest.raises(FileExistsError):
        await files.write(out, overwrite=False)(items())
    assert out.read_bytes() == b"theirs"
    assert left_in(out) == ["result.bin"]


async def test_overwrite_false_writes_a_new_file(out, feed):
    await files.write(out, overwrite=False)(feed(b"new"))

    assert out.read_bytes() == b"new"
    assert left_in(out) == ["result.bin"]


async def test_permissions_of_an_existing_file_are_kept_and_links_followed(out, feed):
    out.write_bytes(b"old")
    out.chmod(0o640)
    link = out.parent / "link"
    link.symlink_to(out)
    await files.write(link)(feed(b"new"))

    assert link.is_symlink()
    assert out.read_bytes() == b"new"
    assert stat.S_IMODE(out.stat().st_mode) == 0o640


async def test_what_is_not_a_regular_file_is_never_replaced(tmp_path, feed):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    with pytest.raises(UsageError, match="not a regular file"):
        await files.write(fifo)(feed(b"x"))
    with pytest.raises(IsADirectoryError):
        await files.write(tmp_path)(feed(b"x"))
    assert os.listdir(tmp_path) == ["fifo"]


async def test_a_missing_directory_is_named(tmp_path, feed):
    with pytest.raises(FileNotFoundError, match="none'"):
        await files.write(tmp_path / "none" / "a")(feed(b"x"))


async def test_a_name_of_the_greatest_length_has_room_for_its_part(tmp_path, feed):
    path = tmp_path / ("ä" * 127)
    await files.write(path)(feed(b"x"))

    assert path.read_bytes() == b"x"


async def test_two_writers_of_one_name_do_not_meet(out, feed):
    sinks = [files.write(out)(feed(letter * 10)) for letter in (b"a", b"b")]
    await asyncio.wait([asyncio.ensure_future(sink) for sink in sinks])

    assert out.read_bytes() in (b"a" * 10, b"b" * 10)
    assert left_in(out) == ["result.bin"]
