"""The checksum as a stage: a value after a clean end only, and nothing committed that is not as expected."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from streamflow.errors import ChecksumMismatch, UsageError
from streamflow.formats import checksums, gzip
from streamflow.formats.checksums import Digest, checksum
from streamflow.formats.checksums_algorithms import Algorithm
from streamflow.operators.batching import rechunk
from streamflow.operators.selecting import take
from streamflow.operators.sinks import collect, drain
from streamflow.pipelines import pipeline
from streamflow.places import files, objects

CHUNKS = [b"one", b"", b"x" * 600_000, b"two", b"y" * 70_000]
DATA = b"".join(CHUNKS)
SHA256 = hashlib.sha256(DATA).hexdigest()

ALGORITHMS: list[Algorithm] = ["sha256", "crc32"]
"""One that works in a thread where chunks are big, one that is fused."""

WRONG = {"sha256": "0" * 64, "crc32": "00000000"}


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> Any:
    return request.param


def value_of(name: Algorithm, data: bytes) -> str:
    codec = checksums.Checksum(name)
    list(codec.feed(data))
    list(codec.finish())
    assert codec.value is not None
    return codec.value


async def test_the_items_pass_unchanged_and_the_value_is_there_after_the_run(algorithm: Algorithm) -> None:
    digest = Digest()

    assert await pipeline(CHUNKS, checksum(algorithm, into=digest), collect()) == CHUNKS
    assert digest == Digest(value_of(algorithm, DATA), len(DATA))


async def test_a_value_on_the_way_in_and_one_on_the_way_out() -> None:
    packed = b"".join(await pipeline([DATA], gzip.compress(), collect()))
    before, after = Digest(), Digest()

    await pipeline([packed], checksum("md5", into=before), gzip.decompress(), checksum("sha256", into=after), drain())

    assert (before.value, after.value) == (hashlib.md5(packed, usedforsecurity=False).hexdigest(), SHA256)


async def test_a_stage_is_a_value_and_each_run_has_its_own_hash(algorithm: Algorithm) -> None:
    digest = Digest()
    stage = checksum(algorithm, into=digest)
    for data in (b"first", b"second", b""):
        await pipeline([data], stage, drain())
        assert digest.value == value_of(algorithm, data)

    await asyncio.gather(*(pipeline(CHUNKS, checksum("sha256", expected=SHA256), drain()) for _ in range(3)))


async def failing() -> AsyncIterator[bytes]:
    yield b"begun"
    raise OSError("the source fails")


async def test_a_run_that_failed_has_no_value(algorithm: Algorithm) -> None:
    """Never that of a part."""
    digest = Digest("of an earlier run", 1)
    with pytest.raises(OSError, match="the source fails"):
        await pipeline(failing(), checksum(algorithm, into=digest), drain())

    assert digest == Digest()


async def test_a_run_that_a_stage_below_has_stopped_early_has_no_value(algorithm: Algorithm) -> None:
    """Nor is what has passed compared with what was expected of the whole."""
    digest = Digest("of an earlier run", 1)
    stage = checksum(algorithm, expected=WRONG[algorithm], into=digest)
    endless = itertools.cycle(CHUNKS)

    assert await pipeline(endless, stage, take(2), collect()) == CHUNKS[:2]
    assert digest == Digest()


async def test_a_cancelled_run_has_no_value(algorithm: Algorithm) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 600_000
            await asyncio.sleep(0)

    digest, passed = Digest(), asyncio.Event()

    async def sink(items: Any) -> None:
        async for _ in items:
            passed.set()

    run = asyncio.create_task(pipeline(endless(), checksum(algorithm, into=digest), sink))
    await passed.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert digest == Digest()


async def test_a_file_that_is_not_as_expected_is_never_committed(algorithm: Algorithm, tmp_path: Path) -> None:
    """P6: nothing under the name, and nothing beside it."""
    target, digest = tmp_path / "data.bin", Digest()
    target.write_bytes(b"what was there before")
    stage = checksum(algorithm, expected=WRONG[algorithm], into=digest)
    with pytest.raises(ChecksumMismatch, match=f"{algorithm} of the {len(DATA)} bytes that passed"):
        await pipeline(CHUNKS, stage, files.write(target))

    assert target.read_bytes() == b"what was there before"
    assert os.listdir(tmp_path) == ["data.bin"]
    assert digest == Digest()


@pytest.mark.parametrize("further", [(), (gzip.compress(),), (rechunk(1000),)], ids=["alone", "gzip", "rechunk"])
async def test_an_object_that_is_not_as_expected_is_never_committed(algorithm: Algorithm, further: Any) -> None:
    """P6, also through stages that hold data back."""
    url = "memory://checksums/data.bin"
    with pytest.raises(ChecksumMismatch, match="as expected"):
        await pipeline(CHUNKS, checksum(algorithm, expected=WRONG[algorithm]), *further, objects.write(url))

    assert not await objects.exists(url)


async def test_what_is_as_expected_is_committed(algorithm: Algorithm, tmp_path: Path) -> None:
    stage = checksum(algorithm, expected=value_of(algorithm, DATA))
    await pipeline(CHUNKS, stage, files.write(tmp_path / "data.bin"))

    assert (tmp_path / "data.bin").read_bytes() == DATA


async def test_a_missing_or_a_changed_byte_is_found(algorithm: Algorithm) -> None:
    expected = value_of(algorithm, DATA)
    for wrong in (DATA[:-1], DATA + b"\0", b"p" + DATA[1:]):
        with pytest.raises(ChecksumMismatch, match="as expected"):
            await pipeline([wrong], checksum(algorithm, expected=expected), drain())


async def test_big_chunks_are_hashed_in_a_thread_and_small_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    feed: Callable[..., Any] = checksums.Checksum.feed

    def noted(self: Any, data: bytes) -> Any:
        threads.append(threading.current_thread().name)
        return feed(self, data)

    monkeypatch.setattr(checksums.Checksum, "feed", noted)
    main = threading.current_thread().name
    await pipeline([b"small", b"x" * (1 << 20), b"small"], checksum(), drain())
    assert [name == main for name in threads] == [True, False, True]

    threads.clear()
    await pipeline([b"small", b"x" * (1 << 20)], checksum("crc32"), drain())
    assert threads == [main, main]


def test_what_cannot_be_is_refused_when_the_stage_is_made() -> None:
    """F14."""
    digest: Any = "sha256"
    with pytest.raises(UsageError, match="algorithm='sha3'"):
        checksum("sha3")  # type: ignore[arg-type]  # the mistake is the point
    with pytest.raises(UsageError, match="expected='abc' is no md5"):
        checksum("md5", expected="abc")
    with pytest.raises(UsageError, match=r"into='sha256' is no Digest"):
        checksum(into=digest)


def test_the_stage_says_who_it_is() -> None:
    assert checksum("md5").name == "checksum.md5"
