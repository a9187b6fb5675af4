"""`follow`: what is appended comes once and in order, through every kind of rotation, and it ends when told."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import aclosing

import pytest

from streamflow.errors import TruncatedError, UsageError
from streamflow.places import files, follow

STEP = 10.0
"""Seconds of virtual time between two things that happen to the file: many looks."""


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("streamflow-file")] == []


@pytest.fixture
def log(tmp_path):
    return tmp_path / "app.log"


def append(path, data):
    with path.open("ab") as file:
        file.write(data)


async def followed(path, *events, **options):
    """Follow the file while things happen to it; then say that it is over. Gives all bytes."""
    over = asyncio.Event()
    got = []

    async def follow():
        async with aclosing(files.follow(path, until=over.is_set, **options).open()) as blocks:
            async for block in blocks:
                got.append(block)  # noqa: PERF401  # what has come is looked at meanwhile

    task = asyncio.create_task(follow())
    for event in events:
        await asyncio.sleep(STEP)
        event()
    await asyncio.sleep(STEP)
    over.set()
    await task
    return b"".join(got)


def writing(path, data):
    return lambda: append(path, data)


@pytest.mark.virtual_time
async def test_what_is_appended_comes_and_what_was_there_does_not(log):
    log.write_bytes(b"old\n")

    assert await followed(log, writing(log, b"a\n"), writing(log, b"b\n")) == b"a\nb\n"


@pytest.mark.virtual_time
async def test_from_the_start_all_of_it_comes(log):
    log.write_bytes(b"old\n")

    assert await followed(log, writing(log, b"new\n"), from_="start", block=3) == b"old\nnew\n"


@pytest.mark.virtual_time
@pytest.mark.parametrize("from_", ["start", "end"])
async def test_a_file_that_is_not_there_yet_is_waited_for_and_read_from_its_start(log, from_):
    assert await followed(log, lambda: None, writing(log, b"first\n"), from_=from_) == b"first\n"


@pytest.mark.virtual_time
async def test_a_file_renamed_and_made_anew_is_followed_by_the_new_one(log):
    old = log.with_suffix(".1")
    log.write_bytes(b"")

    got = await followed(
        log, writing(log, b"1"), lambda: log.rename(old), writing(old, b"2"), writing(log, b"3"), writing(log, b"4")
    )

    assert got == b"1234"  # what its writer still wrote to the old one is not lost


@pytest.mark.virtual_time
async def test_writers_that_change_over_late_are_waited_for(log):
    """Another process still writes to the old file when there is something in the new one."""
    old = log.with_suffix(".1")
    log.write_bytes(b"")

    def rotate():
        log.rename(old)
        append(log, b"new")
        asyncio.get_running_loop().call_later(0.2, append, old, b"late ")  # before the next look

    assert await followed(log, rotate, every=0.25) == b"late new"


@pytest.mark.virtual_time
async def test_a_new_file_that_is_still_empty_leaves_the_old_one_in_its_place(log):
    old = log.with_suffix(".1")
    log.write_bytes(b"")

    def rotate():
        log.rename(old)
        log.touch()

    assert await followed(log, rotate, writing(old, b"still "), writing(log, b"new")) == b"still new"


@pytest.mark.virtual_time
async def test_a_file_replaced_by_a_rename_over_it_is_read_from_its_start(log):
    log.write_bytes(b"")
    other = log.with_suffix(".new")

    def replace():
        other.write_bytes(b"replaced")
        other.rename(log)

    assert await followed(log, writing(log, b"a "), replace) == b"a replaced"


@pytest.mark.virtual_time
async def test_a_file_that_was_copied_and_truncated_is_read_from_its_start(log):
    log.write_bytes(b"")

    got = await followed(log, writing(log, b"before "), lambda: os.truncate(log, 0), writing(log, b"after"))

    assert got == b"before after"


@pytest.mark.virtual_time
async def test_a_file_that_is_removed_and_comes_back_is_followed(log):
    log.write_bytes(b"")

    assert await followed(log, writing(log, b"a"), log.unlink, lambda: None, writing(log, b"b")) == b"ab"


@pytest.mark.virtual_time
async def test_a_link_that_leads_elsewhere_is_followed_there(log):
    first, second = log.with_suffix(".first"), log.with_suffix(".second")
    first.write_bytes(b"")
    log.symlink_to(first)

    def relink():
        second.write_bytes(b"second")
        log.unlink()
        log.symlink_to(second)

    assert await followed(log, writing(first, b"first "), relink) == b"first second"


@pytest.mark.virtual_time
async def test_truncation_may_be_an_error(log):
    """P5."""
    log.write_bytes(b"")

    with pytest.raises(TruncatedError, match=r"app\.log was cut to 0 bytes after 3"):
        await followed(log, writing(log, b"abc"), lambda: os.truncate(log, 0), truncation="error")


@pytest.mark.virtual_time
async def test_at_its_end_all_that_was_written_before_is_read_through_a_rotation_just_now(log):
    log.write_bytes(b"")

    def rotate_at_the_last_moment():
        append(log, b"old ")
        log.rename(log.with_suffix(".1"))
        append(log, b"new")

    async def rotate_then_end():
        rotate_at_the_last_moment()
        return True

    looks = []

    async def over():
        looks.append(1)
        return len(looks) > 2 and await rotate_then_end()

    async with aclosing(files.follow(log, until=over).open()) as blocks:
        assert b"".join([block async for block in blocks]) == b"old new"


@pytest.mark.virtual_time
async def test_a_writer_that_never_pauses_does_not_keep_it_from_its_end(log, monkeypatch):
    log.write_bytes(b"0" * 10)
    real = os.read

    def read(descriptor, size):
        append(log, b"1" * 10)  # faster than it is read
        return real(descriptor, size)

    monkeypatch.setattr(follow.os, "read", read)
    async with aclosing(files.follow(log, from_="start", until=lambda: True).open()) as blocks:
        got = b"".join([block async for block in blocks])
    assert got == b"0" * 10


@pytest.mark.virtual_time
async def test_it_looks_once_in_a_while_and_not_at_all_while_its_consumer_is_busy(log, monkeypatch):
    log.write_bytes(b"")
    looks, real = [], os.read

    def read(descriptor, size):
        looks.append(asyncio_time())
        return real(descriptor, size)

    loop = asyncio.get_running_loop()
    asyncio_time = loop.time
    monkeypatch.setattr(follow.os, "read", read)
    async with aclosing(files.follow(log, every=2.0).open()) as blocks:
        loop.call_later(5.0, append, log, b"x")
        await anext(blocks)
        assert len(looks) == 4  # at 0, 2, 4 and 6 seconds
        await asyncio.sleep(100.0)
        assert len(looks) == 4


@pytest.mark.virtual_time
async def test_a_rotated_file_that_nobody_may_open_yet_is_tried_again_once(log, monkeypatch):
    log.write_bytes(b"")
    real, refused = os.open, []

    def rotated(times):
        def refuse(path, *args, **options):
            if len(refused) < times:
                refused.append(path)
                raise PermissionError(13, "Permission denied", path)
            return real(path, *args, **options)

        log.rename(log.with_suffix(".1"))
        append(log, b"new")
        monkeypatch.setattr(follow.os, "open", refuse)

    assert await followed(log, lambda: rotated(1)) == b"new"
    assert len(refused) == 1
    monkeypatch.setattr(follow.os, "open", real)
    with pytest.raises(PermissionError, match=r"app\.log"):
        await followed(log, lambda: rotated(3))


@pytest.mark.virtual_time
async def test_what_cannot_be_followed_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(UsageError, match="fifo is not a regular file"):
        await followed(tmp_path / "fifo")
    with pytest.raises(IsADirectoryError):
        await followed(tmp_path)


@pytest.mark.parametrize("options", [{"from_": "middle"}, {"truncation": "no"}, {"every": 0}, {"block": 0}])
def test_options_that_mean_nothing_are_refused_at_once(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        files.follow("a", **options)
    with pytest.raises(UsageError, match="until"):
        files.follow("a", until=True)


async def test_cancelled_at_any_turn_it_leaves_no_thread_and_no_descriptor(log, cancelled_after):
    """X21, H40."""
    log.write_bytes(b"x" * 100)
    before = set(os.listdir("/proc/self/fd"))

    async def follow():
        async with aclosing(files.follow(log, from_="start", block=10, every=0.001).open()) as blocks:
            async for _ in blocks:
                pass

    for turns in range(40):
        task = await cancelled_after(follow, turns)

        assert task.cancelled()
        assert set(os.listdir("/proc/self/fd")) <= before


def test_a_source_says_what_it_costs():
    source = files.follow("some/file", block=100)

    assert (source.name, source.threads, source.holds) == ("files.follow(some/file)", 1, 100)
    assert __file__ in source.where
