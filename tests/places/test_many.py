"""`many` and `read_many`: in order or merged, bounded, and every one that was opened is closed."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

import streamflow as sf
from streamflow.errors import TruncatedError, UsageError
from streamflow.formats import gzip, text
from streamflow.places import files
from streamflow.places.many import many
from streamflow.testing import TrackedSource


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("streamflow-file")] == []


class Contents:
    """Sources by name, which remember how many are open."""

    def __init__(self, **items):
        self.items = items
        self.open = self.most = 0
        self.opened: list[str] = []

    def __call__(self, name):
        async def items():
            self.open += 1
            self.most = max(self.most, self.open)
            self.opened.append(name)
            try:
                for item in self.items[name]:
                    await asyncio.sleep(0.01)
                    if isinstance(item, Exception):
                        raise item
                    yield item
            finally:
                self.open -= 1

        return items()


async def test_one_after_another_in_the_order_of_the_names():
    contents = Contents(a=[1, 2], b=[], c=[3])

    assert await sf.stream(many(["a", "b", "c"], contents)).collect() == [1, 2, 3]
    assert (contents.most, contents.open) == (1, 0)


@pytest.mark.parametrize("names", [list, iter, sf.stream])
async def test_names_come_from_any_source(names):
    assert await sf.stream(many(names(["a", "b"]), Contents(a=[1], b=[2]))).collect() == [1, 2]


@pytest.mark.virtual_time
@pytest.mark.parametrize("concurrency", [2, 3])
async def test_several_at_once_in_order(concurrency):
    contents = Contents(a=[1] * 5, b=[2], c=[3, 3], d=[4])
    source = many(list("abcd"), contents, concurrency=concurrency)

    assert await sf.stream(source).collect() == [1, 1, 1, 1, 1, 2, 3, 3, 4]
    assert (contents.most, contents.open) == (concurrency, 0)


@pytest.mark.virtual_time
async def test_several_at_once_as_they_come():
    contents = Contents(a=["a1", "a2"], b=["b1", "b2"], c=["c1"])
    source = many(["a", "b", "c"], contents, concurrency=2, ordered=False)

    got = await sf.stream(source).collect()
    # Of what comes at the same moment either may be first.
    assert [sorted(got[:2]), sorted(got[2:4]), got[4:]] == [["a1", "b1"], ["a2", "b2"], ["c1"]]
    assert contents.most == 2


async def test_stages_belong_to_each_by_itself():
    async def numbered(items):
        number = 0
        async for item in items:
            number += 1
            yield number, item

    contents = Contents(a=["x", "y"], b=["z"])

    assert await sf.stream(many(["a", "b"], contents, numbered, sf.map(str))).collect() == [
        "(1, 'x')",
        "(2, 'y')",
        "(1, 'z')",
    ]


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_a_failure_comes_after_the_items_before_it_and_names_where_it_was(concurrency):
    """P3."""
    contents = Contents(a=[1], b=[2, ValueError("bad")], c=[3])
    got = []
    with pytest.raises(ValueError, match="bad") as failure:
        await sf.pipeline(many(["a", "b", "c"], contents, concurrency=concurrency), sf.tap(got.append), sf.drain())

    assert got == [1, 2]
    assert "It was in the content of 'b'." in failure.value.__notes__
    assert contents.open == 0


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_enough_closes_what_is_open_and_opens_no_more(concurrency):
    contents = Contents(**{str(number): [number] * 50 for number in range(20)})

    assert await sf.stream(many(map(str, range(20)), contents, concurrency=concurrency)).take(1).collect() == [0]
    assert contents.open == 0
    assert len(contents.opened) == concurrency


@pytest.mark.parametrize("ordered", [True, False])
async def test_cancelled_at_any_turn_all_that_was_opened_is_closed(cancelled_after, ordered):
    """X2, X21."""
    for turns in range(60):
        sources = {name: TrackedSource(range(5)) for name in "abc"}
        source = many(list("abc"), sources.__getitem__, concurrency=2, ordered=ordered)
        await cancelled_after(lambda s=source: sf.stream(s).collect(), turns)

        for tracked in sources.values():
            tracked.verify()


def test_bounds_that_mean_nothing_are_refused():
    with pytest.raises(UsageError, match="concurrency"):
        many([], Contents(), concurrency=0)
    with pytest.raises(UsageError, match="ahead"):
        many([], Contents(), concurrency=2, ahead=0)
    with pytest.raises(UsageError, match="ordered=False has no effect"):
        many([], Contents(), ordered=False)
    with pytest.raises(UsageError, match="is not a stage"):
        many([], Contents(), 3)


# ------------------------------------------------------------------------------------------------------------- files


@pytest.fixture
def logs(tmp_path):
    for number, data in enumerate([b"a1\na2\n", b"b1", b"", b"c1\nc2\n"]):
        path = tmp_path / f"day-{number}" / "app.log"
        path.parent.mkdir()
        path.write_bytes(data)
    return tmp_path


async def test_the_bytes_of_files_follow_each_other_as_from_cat(logs):
    assert b"".join(await sf.stream(files.read_many(f"{logs}/*/*.log")).collect()) == b"a1\na2\nb1c1\nc2\n"


async def test_each_file_goes_through_stages_of_its_own(logs):
    """The line without an end of one file is not joined to the first of the next."""
    source = files.read_many(str(logs / "**/*.log"), text.decode(), text.lines(), concurrency=2)

    assert await sf.stream(source).collect() == ["a1", "a2", "b1", "c1", "c2"]


async def test_paths_come_from_any_source(logs):
    paths = [logs / "day-3/app.log", str(logs / "day-1/app.log")]

    assert b"".join(await sf.stream(files.read_many(paths)).collect()) == b"c1\nc2\nb1"
    assert b"".join(await sf.stream(files.read_many(files.walk(logs, "day-1/*"))).collect()) == b"b1"
    assert b"".join(await sf.stream(files.read_many(logs / "day-1/app.log")).collect()) == b"b1"


async def test_a_pattern_that_nothing_matches_is_an_error(logs):
    """P2: no rows would look like an empty day."""
    with pytest.raises(FileNotFoundError, match=r"No file matches the pattern: '.*\*\.csv'"):
        await sf.stream(files.read_many(f"{logs}/*.csv")).collect()
    assert await sf.stream(files.read_many([])).collect() == []


async def test_a_broken_file_among_many_is_named(logs):
    packed = b"".join(await sf.stream([b"some rows"]).through(gzip.compress()).collect())
    (logs / "1.gz").write_bytes(packed)
    (logs / "2.gz").write_bytes(packed[:-4])

    with pytest.raises(TruncatedError) as failure:
        await sf.stream(files.read_many(f"{logs}/*.gz", gzip.decompress(), concurrency=2)).collect()
    assert any("2.gz" in note for note in failure.value.__notes__)


def test_bytes_of_different_files_are_never_mixed():
    with pytest.raises(UsageError, match="would mix the bytes"):
        files.read_many("*", concurrency=2, ordered=False)
    with pytest.raises(UsageError, match="block"):
        files.read_many("*", block=0)


def test_what_it_costs_is_that_of_all_that_may_be_open():
    one = files.read_many("*.log", block=1000)
    four = files.read_many("*.log", concurrency=4, block=1000)

    assert one.name == "files.read_many(*.log)"
    assert (one.threads, four.threads) == (1, 4)
    assert four.holds == 4 * one.holds
    assert one.holds >= 2000


async def test_it_leaves_no_descriptor(logs):
    before = set(os.listdir("/proc/self/fd"))
    await sf.stream(files.read_many(f"{logs}/*/*.log", text.decode(), concurrency=3)).first()

    assert set(os.listdir("/proc/self/fd")) <= before
