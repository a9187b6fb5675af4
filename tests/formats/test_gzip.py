"""The gzip stages: options reach the codecs, bad ones are refused, and threads change nothing."""

from __future__ import annotations

import gzip as stdlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from streamflow.errors import LimitExceeded, TruncatedError, UsageError
from streamflow.formats import gzip
from streamflow.formats.gzip_compressor import Compressor
from streamflow.stages import Stage

ROWS = b"".join(b"%d,%d,row of text\n" % (n, n * n) for n in range(90_000))

pytestmark = pytest.mark.usefixtures("library")


async def run(stage: Stage[Any, bytes], data: bytes, size: int = 50_000) -> bytes:
    async def source() -> AsyncIterator[bytes]:
        for at in range(0, len(data), size):
            yield data[at : at + size]

    async with aclosing(source()) as chunks:
        return b"".join([piece async for piece in stage(chunks)])


@pytest.mark.parametrize("size", [100, 10_000, 100_000, 700_000])
async def test_the_stages_give_what_the_codecs_give(size: int) -> None:
    """L1: small items inline, big ones in a thread, the same bytes."""
    data = ROWS if size > 100 else ROWS[:400_000]
    compressor = Compressor()
    compressed = await run(gzip.compress(), data, size)

    assert compressed == b"".join([*compressor.feed(data), *compressor.finish()])
    assert await run(gzip.decompress(), compressed, size) == data


@pytest.mark.parametrize("level", [1, 6])
async def test_threads_give_the_same_bytes_whatever_their_number(level: int) -> None:
    """L1, C7."""
    compressed = await run(gzip.compress(level, threads=2), ROWS)

    assert stdlib.decompress(compressed) == ROWS
    assert compressed == await run(gzip.compress(level, threads=3), ROWS, 333_333)
    assert stdlib.decompress(await run(gzip.compress(threads=2), b"")) == b""


async def test_the_time_is_in_the_header() -> None:
    for threads in (1, 2):
        assert (await run(gzip.compress(mtime=5, threads=threads), b"rows"))[4:8] == (5).to_bytes(4, "little")


async def test_no_data_gives_a_valid_empty_file_and_back() -> None:
    """C7."""
    empty = await run(gzip.compress(), b"")

    assert stdlib.decompress(empty) == b""
    assert await run(gzip.decompress(), empty) == b""
    assert await run(gzip.decompress(), b"") == b""


async def test_the_limits_of_decompress_are_kept() -> None:
    data = stdlib.compress(bytes(40 << 20))

    with pytest.raises(LimitExceeded, match="max_output_bytes=100"):
        await run(gzip.decompress(max_output_bytes=100), data)
    with pytest.raises(LimitExceeded, match="max_ratio=200"):
        await run(gzip.decompress(), data)
    assert len(await run(gzip.decompress(max_ratio=None), data)) == 40 << 20
    assert await run(gzip.decompress(trailing="ignore"), stdlib.compress(b"x") + b"garbage") == b"x"


async def test_a_cut_file_is_truncated() -> None:
    """H59, P5."""
    with pytest.raises(TruncatedError):
        await run(gzip.decompress(), stdlib.compress(ROWS)[:-1])


def test_the_stages_say_what_they_cost() -> None:
    assert (gzip.compress().name, gzip.compress().threads) == ("gzip.compress", 1)
    assert (gzip.compress(threads=4).name, gzip.compress(threads=4).threads) == ("gzip.compress", 4)
    assert (gzip.decompress().name, gzip.decompress().threads) == ("gzip.decompress", 1)
    assert gzip.compress(threads=4).holds > gzip.compress(threads=2).holds >= 4 * 128 * 1024


@pytest.mark.parametrize("level", [-1, 10, 1.5, True, "6", None])
def test_levels_that_are_none_are_refused(level: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match="level must be a whole number from 0"):
        gzip.compress(level)


@pytest.mark.parametrize("mtime", [-1, 1 << 32, 1.5, True, None])
def test_times_that_are_none_are_refused(mtime: Any) -> None:
    with pytest.raises(UsageError, match="mtime must be"):
        gzip.compress(mtime=mtime)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, None])
def test_numbers_of_threads_that_are_none_are_refused(threads: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match="threads must be"):
        gzip.compress(threads=threads)


@pytest.mark.parametrize(
    "options",
    [
        {"max_output_bytes": 0},
        {"max_output_bytes": True},
        {"max_output_bytes": 1.5},
        {"max_ratio": 0},
        {"max_ratio": float("nan")},
        {"max_ratio": float("inf")},
        {"trailing": "skip"},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    """F14, P10."""
    with pytest.raises(UsageError, match=next(iter(options))):
        gzip.decompress(**options)
