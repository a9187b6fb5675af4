"""`split`: each file whole or absent, all items in the file they belong to, few descriptors, nothing left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import stat
import subprocess
import threading
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import streamflow as sf
from streamflow.errors import FormatError, LimitExceeded, UsageError
from streamflow.places import files, partfile, split_files
from streamflow.places.blocks import MIB
from streamflow.places.written import Written


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("streamflow-file")] == []


@pytest.fixture
def out(tmp_path):
    directory = tmp_path / "out"
    directory.mkdir()
    return directory


def content(out):
    return {path.name: path.read_bytes() for path in sorted(out.iterdir())}


def first(item):
    return item[:1].decode()


def notes_of(error):
    return " ".join(getattr(error, "__notes__", []))


# ------------------------------------------------------------------------------------------------------ what goes where


async def test_a_new_file_every_so_many_items(out, feed):
    written = await files.split(out / "part-{:02}.txt", rows=2)(feed(b"a", b"b", b"c", b"d", b"e"))

    assert content(out) == {"part-00.txt": b"ab", "part-01.txt": b"cd", "part-02.txt": b"e"}
    assert written == [Written(str(out / f"part-{n:02}.txt"), size, durable=True) for n, size in enumerate([2, 2, 1])]


async def test_a_new_file_before_one_would_be_too_large(out, feed):
    await files.split(out / "{}", size=4)(feed(b"aa", b"bb", b"c", b"dddddd", b"e", b"ffff"))

    assert content(out) == {"0": b"aabb", "1": b"c", "2": b"dddddd", "3": b"e", "4": b"ffff"}


async def test_by_size_and_items_at_whichever_comes_first(out, feed):
    await files.split(out / "{}", size=4, rows=3)(feed(b"aa", b"b", b"c", b"ddd", b"e", b"fff"))

    assert content(out) == {"0": b"aabc", "1": b"ddde", "2": b"fff"}


async def test_a_file_for_each_key_in_the_order_in_which_they_came(out, feed):
    written = await files.split(out / "{}.txt", key=first)(feed(b"b1", b"a1", b"b2", b"c1", b"a2"))

    assert content(out) == {"a.txt": b"a1a2", "b.txt": b"b1b2", "c.txt": b"c1"}
    assert [file.url for file in written] == [str(out / f"{key}.txt") for key in "bac"]


async def test_rows_are_encoded_and_keyed_as_they_are(out, feed):
    rows = [{"country": "de", "id": 1}, {"country": "fr", "id": 2}, {"country": "de", "id": 3}]
    sink = files.split(
        out / "{}.txt", key=lambda row: row["country"], encode=lambda row: b"%d\n" % row["id"], header=b"id\n"
    )
    await sf.pipeline(rows, sink)

    assert content(out) == {"de.txt": b"id\n1\n3\n", "fr.txt": b"id\n2\n"}


async def test_a_header_counts_for_the_size_and_stands_in_every_file(out, feed):
    await files.split(out / "{}", size=5, header=b"h:")(feed(b"aa", b"a", b"bbbbbb", b"c"))

    assert content(out) == {"0": b"h:aaa", "1": b"h:bbbbbb", "2": b"h:c"}


async def test_keys_that_read_the_same_have_one_file(out, feed):
    keys = iter([1, "1", 1])
    await files.split(out / "{}", key=lambda _: next(keys))(feed(b"a", b"b", b"c"))

    assert content(out) == {"1": b"abc"}


@pytest.mark.parametrize("how", [{"rows": 1}, {"size": 1}, {"key": first}])
async def test_without_items_there_are_no_files(out, feed, how):
    assert await files.split(out / "{}", **how)(feed()) == []
    assert content(out) == {}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.lists(st.binary(max_size=6), max_size=30),
    size=st.none() | st.integers(1, 12),
    rows=st.none() | st.integers(1, 5),
)
def test_files_put_end_to_end_are_the_input_and_keep_their_bounds(tmp_path_factory, items, size, rows):
    if size is None and rows is None:
        return
    out = tmp_path_factory.mktemp("split")

    async def run():
        return await sf.pipeline(items, files.split(out / "{:04}", size=size, rows=rows, sync=False))

    written = asyncio.run(run())
    parts = list(content(out).values())
    assert b"".join(parts) == b"".join(items)
    assert [file.bytes for file in written] == list(map(len, parts))
    assert size is None or all(len(part) <= max(size, 6) for part in parts)
    assert rows is None or len(parts) >= len(items) / rows


async def test_items_of_many_keys_through_few_descriptors(out, feed, monkeypatch):
    """H51: each item goes to the end of its file, however often that was closed meanwhile."""
    most, real = [], split_files.SplitFile.open

    def opened(self, **options):
        real(self, **options)
        most.append(len([fd for fd in os.listdir("/proc/self/fd") if ".part" in target(fd)]))

    def target(fd):
        try:
            return os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            return ""

    monkeypatch.setattr(split_files.SplitFile, "open", opened)
    monkeypatch.setattr("streamflow.places.split.MIB", 100)  # so that a file is written to many times
    items = [b"%d:%d," % (number % 20, number) for number in range(400)]
    await files.split(out / "{}", key=lambda item: item.split(b":")[0].decode(), open_files=3)(feed(*items))

    expected = defaultdict(bytes)
    for item in items:
        expected[item.split(b":")[0].decode()] += item
    assert content(out) == dict(sorted(expected.items()))
    assert max(most) == 3
    assert len(most) > 100


async def test_descriptors_are_a_share_of_what_the_process_may_open(out, feed, monkeypatch):
    """H51."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (16, 16))
    assert split_files.SplitFiles(64, sync=True, overwrite=True)._most_open == 2
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert split_files.SplitFiles(64, sync=True, overwrite=True)._most_open == 64


async def test_many_small_files_are_bounded_as_large_ones_are(out, feed, monkeypatch):
    """P1: what is put together, and what is under way, although it has next to no bytes."""
    most, real = [], split_files.SplitFiles.write

    def write(self, batch):
        most.append(len(batch.blocks))
        real(self, batch)

    monkeypatch.setattr(split_files.SplitFiles, "write", write)
    await files.split(out / "number-{}", rows=1, sync=False)(feed(*[b"x"] * 100))
    assert max(most) == 16 + 1  # complete ones, and the one that is not

    most.clear()
    monkeypatch.setattr("streamflow.places.split.MIB", 10 * 1024)
    keys = iter(range(100))
    await files.split(out / "{}", key=lambda _: next(keys), sync=False)(feed(*[b""] * 100))
    assert max(most) == 40
    assert len(content(out)) == 200


async def test_more_keys_than_were_meant_are_an_error(out, feed):
    with pytest.raises(LimitExceeded, match="'c' is one more than max_files=2"):
        await files.split(out / "{}", key=first, max_files=2)(feed(b"a", b"b", b"c"))
    assert content(out) == {}


# ------------------------------------------------------------------------------------------------------------ hostile


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "..", "", "a\0b", "a" * 300, "CON"])
async def test_a_hostile_key_is_named_and_nothing_is_left(tmp_path, out, feed, key):
    """H97."""
    keys = iter(["good", key])
    with pytest.raises(FormatError, match="split: the key"):
        await files.split(out / "{}.csv", key=lambda _: next(keys))(feed(b"1", b"2"))

    assert os.listdir(tmp_path) == ["out"]
    assert content(out) == {}


async def test_a_link_in_the_place_of_a_file_is_neither_followed_nor_replaced(tmp_path, out, feed):
    """H97."""
    (tmp_path / "secret").write_bytes(b"secret")
    (out / "b").symlink_to(tmp_path / "secret")

    with pytest.raises(FormatError, match=r"out/b, the file of the key 'b', is a symbolic link"):
        await files.split(out / "{}", key=first)(feed(b"a", b"b"))
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert os.listdir(out) == ["b"]


async def test_a_link_put_there_meanwhile_is_found_before_the_rename(tmp_path, out):
    """H97."""
    (tmp_path / "secret").write_bytes(b"secret")

    async def items():
        yield b"a"
        (out / "a").symlink_to(tmp_path / "secret")

    with pytest.raises(FormatError, match="is a symbolic link"):
        await files.split(out / "{}", key=first)(items())
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert os.listdir(out) == ["a"]


async def test_a_part_file_replaced_by_a_link_is_not_written_to(tmp_path, out, monkeypatch):
    """H97: reopened, it is not followed either."""
    (tmp_path / "secret").write_bytes(b"secret")
    monkeypatch.setattr("streamflow.places.split.MIB", 1)

    async def items():
        yield b"a1"
        yield b"b1"
        while len(os.listdir(out)) < 2:  # noqa: ASYNC110  # a thread makes them
            await asyncio.sleep(0)
        part = next(path for path in out.iterdir() if path.name.startswith(".a."))
        part.unlink()
        part.symlink_to(tmp_path / "secret")
        yield b"a2"

    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        await files.split(out / "{}", key=first, open_files=1)(items())
    assert (tmp_path / "secret").read_bytes() == b"secret"


# ------------------------------------------------------------------------------------------------- all of them or none


async def test_files_appear_at_the_end_only(out, monkeypatch):
    """H91."""
    seen = []

    async def items():
        for letter in (b"a", b"b", b"c"):
            yield letter
        seen.extend(path.name for path in out.iterdir())

    monkeypatch.setattr("streamflow.places.split.MIB", 1)
    await files.split(out / "{}", rows=1)(items())

    assert all(name.startswith(".") and name.endswith(".part") for name in seen)
    assert sorted(content(out)) == ["0", "1", "2"]


async def test_each_may_appear_when_it_is_complete(out):
    async def items():
        yield b"a"
        yield b"b"
        while not (out / "0").exists():  # noqa: ASYNC110  # a thread makes it
            await asyncio.sleep(0)
        assert (out / "0").read_bytes() == b"a"
        assert not (out / "1").exists()
        raise ValueError("above")

    with pytest.raises(ValueError, match="above") as failure:
        await files.split(out / "{}", rows=1, publish="each")(items())
    assert content(out) == {"0": b"a"}
    assert "1 of 2 files of the split are complete and in their place" in notes_of(failure.value)


async def test_each_at_a_clean_end_all_have_appeared(out, feed):
    written = await files.split(out / "{}", rows=1, publish="each")(feed(b"a", b"b"))

    assert content(out) == {"0": b"a", "1": b"b"}
    assert all(file.durable for file in written)


@pytest.mark.parametrize("how", [{"rows": 2}, {"size": MIB}, {"key": first}])
async def test_a_failure_above_leaves_the_old_files_and_no_parts(out, feed, how):
    """E15, H61."""
    (out / "0").write_bytes(b"old")

    with pytest.raises(ValueError, match="above"):
        await files.split(out / "{}", **how)(feed(bytes([97]) * MIB, b"b" * MIB, b"c" * MIB, ValueError("above")))
    assert content(out) == {"0": b"old"}


async def test_files_that_are_there_are_replaced_and_keep_their_permissions(out, feed):
    (out / "0").write_bytes(b"old")
    (out / "0").chmod(0o640)
    (out / "7").write_bytes(b"of an earlier run")
    await files.split(out / "{}", rows=1)(feed(b"new"))

    assert content(out) == {"0": b"new", "7": b"of an earlier run"}
    assert stat.S_IMODE((out / "0").stat().st_mode) == 0o640


async def test_files_that_are_there_may_be_an_error(out, feed):
    (out / "1").write_bytes(b"old")

    with pytest.raises(FileExistsError, match="out/1"):
        await files.split(out / "{}", rows=1, overwrite=False)(feed(b"a", b"b"))
    assert content(out) == {"1": b"old"}


async def test_a_file_that_appears_meanwhile_is_not_replaced_where_that_is_wanted(out):
    async def items():
        yield b"a"
        (out / "0").write_bytes(b"theirs")

    with pytest.raises(FileExistsError, match="out/0"):
        await files.split(out / "{}", rows=1, overwrite=False)(items())
    assert content(out) == {"0": b"theirs"}


async def test_a_failure_between_the_renames_says_how_many_are_there(out, feed, monkeypatch):
    calls, real = [], os.replace

    def replace(source, target):
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    monkeypatch.setattr(split_files.os, "replace", replace)
    with pytest.raises(OSError, match="Input/output") as failure:
        await files.split(out / "{}", rows=1)(feed(b"a", b"b", b"c"))
    assert content(out) == {"0": b"a"}
    assert "1 of 3 files of the split are complete" in notes_of(failure.value)


async def test_what_stands_in_the_way_is_named(tmp_path, out, feed):
    (out / "0").mkdir()
    os.mkfifo(out / "f")
    with pytest.raises(IsADirectoryError, match="out/0"):
        await files.split(out / "{}", rows=1)(feed(b"a"))
    with pytest.raises(UsageError, match="f is not a regular file"):
        await files.split(out / "{}", key=first)(feed(b"f"))
    with pytest.raises(FileNotFoundError, match="none"):
        await files.split(tmp_path / "none" / "{}", rows=1)(feed())


# ---------------------------------------------------------------------------------------------------------- durability


@pytest.mark.parametrize(("sync", "synced"), [(True, ["file", "file", "directory"]), (False, [])])
async def test_what_is_called_durable_has_been_synced(out, feed, monkeypatch, sync, synced):
    """H93."""
    calls, real = [], os.fsync

    def fsync(descriptor):
        calls.append("directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real(descriptor)

    monkeypatch.setattr(split_files.os, "fsync", fsync)
    written = await files.split(out / "{}", key=first, sync=sync, open_files=1)(feed(b"a", b"b"))

    assert calls == synced
    assert {file.durable for file in written} == {sync}


async def test_a_failed_sync_leaves_nothing(out, feed, monkeypatch):
    """H94."""

    def fsync(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(split_files.os, "fsync", fsync)
    with pytest.raises(OSError, match="Input/output"):
        await files.split(out / "{}", rows=1)(feed(b"a", b"b"))
    assert content(out) == {}


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
            await files.split(disk / "{}", rows=2)(feed(*[bytes(MIB // 4)] * 12))
        assert os.listdir(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: ASYNC221


async def test_a_limit_of_the_system_leaves_nothing(out, feed):
    """H92: stands in for a full disk where none can be mounted."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * MIB, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            await files.split(out / "{}", size=8 * MIB)(feed(*[bytes(MIB)] * 5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert content(out) == {}


async def test_after_a_write_that_failed_no_file_gets_its_name(out, monkeypatch):
    """P6: what completes a file stands in the queue already when the write before it fails."""
    failing, failed, real = threading.Event(), threading.Event(), os.write

    def write(descriptor, data):
        if failed.is_set():
            return real(descriptor, data)
        assert failing.wait(10)
        failed.set()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def items():
        yield b"a" * MIB
        yield b"b" * 10
        yield b"c" * MIB  # the third item completes the first file
        failing.set()

    monkeypatch.setattr(partfile.os, "write", write)
    with pytest.raises(OSError, match="No space left"):
        await files.split(out / "{}", rows=2, publish="each", sync=False)(items())
    assert content(out) == {}


async def test_a_short_write_is_continued(out, feed, monkeypatch):
    """H92."""
    real = os.write
    monkeypatch.setattr(partfile.os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    written = await files.split(out / "{}", key=first)(feed(b"a" * 10, b"b" * 10))

    assert content(out) == {"a": b"a" * 10, "b": b"b" * 10}
    assert [file.bytes for file in written] == [10, 10]


# -------------------------------------------------------------------------------------------------------- cancellation


@pytest.mark.parametrize("publish", ["end", "each"])
async def test_cancelled_at_any_turn_each_file_is_whole_or_absent(out, feed, cancelled_after, publish):
    """X2, X21, H28."""
    before, seen = set(os.listdir("/proc/self/fd")), set()
    whole = {"0": bytes(MIB), "1": bytes(MIB), "2": b"end"}
    for turns in range(80):
        sink = files.split(out / "{}", size=MIB, publish=publish)
        task = await cancelled_after(lambda s=sink: s(feed(bytes(MIB), bytes(MIB), b"end")), turns)

        there = content(out)
        assert there.items() <= whole.items()
        assert there == whole or task.cancelled()
        assert publish == "each" or there in ({}, whole)
        assert set(os.listdir("/proc/self/fd")) <= before
        seen.add(task.cancelled())
        for path in out.iterdir():
            path.unlink()
    assert True in seen


async def test_a_cancellation_during_the_commit_waits_for_it_and_says_that_it_is_done(out, feed, monkeypatch):
    """H28."""
    entered, opened, real = threading.Event(), threading.Event(), os.replace

    def replace(source, target):
        entered.set()
        assert opened.wait(10)
        real(source, target)

    monkeypatch.setattr(split_files.os, "replace", replace)
    task = asyncio.ensure_future(files.split(out / "{}", rows=1, sync=False)(feed(b"a", b"b")))
    while not entered.is_set():  # noqa: ASYNC110  # a thread sets it
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    opened.set()
    with pytest.raises(asyncio.CancelledError) as cancelled:
        await task
    assert content(out) == {"0": b"a", "1": b"b"}
    assert "2 of 2 files of the split are complete" in notes_of(cancelled.value)


# --------------------------------------------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs size= in bytes, rows= in items, or key="),
        ({"rows": 0}, r"split\(rows\)"),
        ({"size": 0}, r"split\(size\)"),
        ({"rows": 1, "key": first}, "have no effect beside it"),
        ({"key": 3}, r"split\(key\)"),
        ({"rows": 1, "encode": 3}, r"split\(encode\)"),
        ({"rows": 1, "header": "id"}, r"split\(header\)"),
        ({"rows": 1, "publish": "now"}, r"split\(publish\)"),
        ({"key": first, "publish": "each"}, "has no effect beside key="),
        ({"rows": 1, "open_files": 0}, "open_files"),
        ({"key": first, "max_files": 0}, "max_files"),
    ],
)
def test_options_that_mean_nothing_are_refused_at_once(options, message):
    with pytest.raises(UsageError, match=message):
        files.split("out/{}", **options)


async def test_items_that_are_not_bytes_leave_nothing(out, feed):
    with pytest.raises(UsageError, match=r"files\.split\(.*\) takes bytes, not str"):
        await files.split(out / "{}", rows=1)(feed(b"good", "text"))
    assert content(out) == {}
