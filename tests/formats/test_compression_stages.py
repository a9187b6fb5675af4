"""The stages of every format: options reach the codecs, bad ones are refused, a failure never looks like an end."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from streamflow.errors import LimitExceeded, TruncatedError, UsageError
from streamflow.formats import deflate, gzip, zlib, zstd
from streamflow.stages import Stage
from tests.formats.compressed import KINDS, ROWS, Kind, every_kind, run, staged

pytestmark = pytest.mark.slow

LONG = ROWS * 4
LEVELS = {"gzip": (0, 9), "zlib": (0, 9), "deflate": (0, 9), "zstd": (-7, 22), "bz2": (1, 9), "xz": (0, 9)}
THREADED = (gzip, zlib, deflate, zstd)

every_threaded = pytest.mark.parametrize("module", THREADED, ids=lambda module: module.__name__.rpartition(".")[2])


@every_kind
@pytest.mark.parametrize("size", [100, 10_000, 700_000])
async def test_the_stages_give_what_the_codecs_give(kind: Kind, size: int) -> None:
    """L1: small items inline, big ones in a thread, the same bytes."""
    data = LONG if size > 100 else ROWS[:100_000]
    packed = await staged(kind.module.compress(1), data, size)

    assert packed == run(kind.module.Compressor(1), data)
    assert await staged(kind.module.decompress(), packed, size) == data


@every_threaded
async def test_threads_give_the_same_bytes_whatever_their_number(module: Any) -> None:
    """L1, C7."""
    packed = await staged(module.compress(1, threads=2), LONG)

    assert run(module.Decompressor(), packed) == LONG
    assert packed == await staged(module.compress(1, threads=3), LONG, 333_333)
    assert run(module.Decompressor(), await staged(module.compress(threads=2), b"")) == b""


@every_kind
async def test_no_data_gives_a_valid_empty_file_and_back(kind: Kind) -> None:
    """C7."""
    empty = await staged(kind.module.compress(), b"")

    assert kind.unpack(empty) == b""
    assert await staged(kind.module.decompress(), empty) == b""


class UpstreamError(Exception):
    """What a source fails with."""


async def cut_off(stage: Stage[Any, bytes], data: bytes) -> bytes:
    """Return what a stage gave before its source failed behind `data`."""
    out = bytearray()

    async def collected() -> None:
        async with aclosing(source()) as chunks, aclosing(stage(chunks)) as pieces:
            async for piece in pieces:
                out.extend(piece)

    async def source() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 50_000):
            yield data[at : at + 50_000]
        raise UpstreamError

    with pytest.raises(UpstreamError):
        await collected()
    return bytes(out)


@every_kind
@pytest.mark.parametrize("size", [0, 1, 300_000, 1 << 20, 2_300_000])
async def test_a_failing_upstream_never_leaves_a_validly_ended_output(kind: Kind, size: int) -> None:
    """H61, P5."""
    out = await cut_off(kind.module.compress(1), LONG[:size])
    if out:
        with pytest.raises(TruncatedError):
            run(kind.module.Decompressor(max_ratio=None), out)


@every_threaded
@pytest.mark.parametrize("size", [0, 1, 300_000, 1 << 20, 2 << 20, 2_300_000])
async def test_a_failing_upstream_of_threads_never_leaves_a_validly_ended_output(module: Any, size: int) -> None:
    """H61, P5."""
    out = await cut_off(module.compress(1, threads=2), LONG[:size])
    if out:
        with pytest.raises(TruncatedError):
            run(module.Decompressor(max_ratio=None), out)


@every_kind
async def test_a_cut_file_is_truncated(kind: Kind) -> None:
    """H59, P5."""
    with pytest.raises(TruncatedError):
        await staged(kind.module.decompress(), kind.pack(ROWS)[:-1])


@every_kind
async def test_the_limits_of_decompress_are_kept(kind: Kind) -> None:
    """H60."""
    packed = kind.pack(bytes(20 << 20))

    with pytest.raises(LimitExceeded, match="max_output_bytes=100"):
        await staged(kind.module.decompress(max_output_bytes=100), packed)
    with pytest.raises(LimitExceeded, match="max_ratio=200"):
        await staged(kind.module.decompress(), packed)
    assert len(await staged(kind.module.decompress(max_ratio=None), packed)) == 20 << 20
    assert await staged(kind.module.decompress(trailing="ignore"), kind.pack(b"x") + b"garbage") == b"x"


@every_kind
async def test_a_bomb_through_a_stage_needs_little_memory(kind: Kind) -> None:
    """H60: one small item that expands to a thousand and more times its size, in a thread."""
    size = 0

    async def bomb() -> AsyncIterator[bytes]:
        yield packed

    packed = kind.pack(bytes(32 << 20))
    tracemalloc.start()
    try:
        async with aclosing(bomb()) as chunks, aclosing(kind.module.decompress(max_ratio=None)(chunks)) as pieces:
            async for piece in pieces:
                size += len(piece)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert size == 32 << 20
    assert peak < 8 << 20


@every_kind
def test_the_stages_say_what_they_cost(kind: Kind) -> None:
    packing, unpacking = kind.module.compress(), kind.module.decompress()

    assert (packing.name, packing.threads) == (f"{kind.name}.compress", 1)
    assert (unpacking.name, unpacking.threads) == (f"{kind.name}.decompress", 1)
    assert packing.holds >= 128 * 1024
    assert unpacking.holds >= 256 * 1024


@every_threaded
def test_more_threads_hold_more(module: Any) -> None:
    two, four = module.compress(threads=2), module.compress(threads=4)

    assert (two.threads, four.threads) == (2, 4)
    assert four.holds > two.holds >= 4 << 20


@every_kind
def test_levels_that_are_none_are_refused(kind: Kind) -> None:
    """F14."""
    first, last = LEVELS[kind.name]
    kind.module.compress(first)
    kind.module.compress(last)
    for level in (first - 1, last + 1, 1.5, True, "6", None):
        with pytest.raises(UsageError, match=f"level must be a whole number from {first} "):
            kind.module.compress(level)
        with pytest.raises(UsageError, match="level must be a whole number"):
            kind.module.Compressor(level)


@every_threaded
@pytest.mark.parametrize("threads", [0, -1, 1.5, True, None])
def test_numbers_of_threads_that_are_none_are_refused(module: Any, threads: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match="threads must be"):
        module.compress(threads=threads)


@every_kind
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
def test_options_that_mean_nothing_are_refused(kind: Kind, options: dict[str, Any]) -> None:
    """F14, P10."""
    with pytest.raises(UsageError, match=next(iter(options))):
        kind.module.decompress(**options)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name in {"zstd", "xz"}], ids=lambda kind: kind.name)
def test_memory_that_cannot_be_is_refused(kind: Kind) -> None:
    with pytest.raises(UsageError, match="max_memory must be"):
        kind.module.decompress(max_memory=1000)
