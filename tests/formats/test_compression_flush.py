"""Compressed data that must be there at once: what was given before `flush` can be read behind it."""

from __future__ import annotations

import asyncio
import math
import zlib as zlib_library
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import TruncatedError, UsageError
from streamflow.formats import deflate, gzip, zlib, zstd
from tests.formats.compressed import ROWS, chunks_of, run, zstd_library

FLUSHING: dict[str, tuple[Any, Callable[[], Any]]] = {
    "gzip": (gzip, lambda: zlib_library.decompressobj(31)),
    "zlib": (zlib, lambda: zlib_library.decompressobj(15)),
    "deflate": (deflate, lambda: zlib_library.decompressobj(-15)),
    "zstd": (zstd, zstd_library.ZstdDecompressor),
}

pytestmark = pytest.mark.usefixtures("library")
every_flushing = pytest.mark.parametrize("name", FLUSHING)

DATA = b"data: one\n\n\0\xff" * 3


def readers(name: str) -> list[Callable[[bytes], bytes]]:
    """The library's decompressor and ours, each fed as the bytes come."""
    module, begin = FLUSHING[name]
    ours, theirs = module.Decompressor(), begin()
    return [lambda packed: b"".join(ours.feed(packed)), lambda packed: bytes(theirs.decompress(packed))]


@every_flushing
@pytest.mark.parametrize("level", [1, 6])
def test_at_every_cut_all_that_was_given_can_be_read(name: str, level: int) -> None:
    """L1: and the whole is one whole file."""
    for cut in range(1, len(DATA)):
        compressor = FLUSHING[name][0].Compressor(level)
        first = b"".join([*compressor.feed(DATA[:cut]), *compressor.flush()])
        second = b"".join([*compressor.feed(DATA[cut:]), *compressor.flush()])
        last = b"".join(compressor.finish())

        for read in readers(name):
            assert read(first) == DATA[:cut]
            assert read(second) == DATA[cut:]
            assert read(last) == b""
        assert run(FLUSHING[name][0].Decompressor(), first + second + last) == DATA


@every_flushing
@given(data=st.binary(max_size=200), at=st.lists(st.integers(0, 200), max_size=5))
def test_each_chunk_can_be_read_when_it_was_flushed(name: str, data: bytes, at: list[int]) -> None:
    """L1."""
    compressor, [ours, theirs] = FLUSHING[name][0].Compressor(), readers(name)
    packed = bytearray()
    for chunk in chunks_of(data, at):
        pieces = b"".join([*compressor.feed(chunk), *compressor.flush()])
        packed += pieces
        assert ours(pieces) == theirs(pieces) == chunk
    packed += b"".join(compressor.finish())

    assert run(FLUSHING[name][0].Decompressor(), bytes(packed)) == data


@every_flushing
def test_blocks_and_what_fills_none_can_be_read(name: str) -> None:
    data = ROWS * 4
    compressor = FLUSHING[name][0].Compressor(1)
    pieces = b"".join([*compressor.feed(data), *compressor.flush()])

    assert readers(name)[0](pieces) == data


@every_flushing
def test_nothing_is_given_where_there_is_nothing_new(name: str) -> None:
    compressor = FLUSHING[name][0].Compressor()

    assert list(compressor.flush()) == []
    assert list(compressor.feed(b"x")) == []
    assert len(list(compressor.flush())) == 1
    assert list(compressor.flush()) == []
    assert list(compressor.feed(b"")) == []
    assert list(compressor.flush()) == []


@every_flushing
def test_no_data_stays_a_valid_empty_file(name: str) -> None:
    """C7: a flush before anything was given must not swallow the header."""
    compressor = FLUSHING[name][0].Compressor()

    assert b"".join([*compressor.flush(), *compressor.finish()]) == run(FLUSHING[name][0].Compressor())


# --- the stages ------------------------------------------------------------------------------------------------------


async def at_moments(*moments: float) -> AsyncIterator[bytes]:
    """Give a line with each moment, in seconds, when it has come; the last one is the end."""
    for moment in moments[:-1]:
        await until_moment(moment)
        yield b"at %g\n" % moment
    await until_moment(moments[-1])


async def until_moment(moment: float) -> None:
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


@every_flushing
@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("seconds", "readable"),
    [
        (2, {2: b"at 0\nat 1\n", 7: b"at 5\nat 6\n", 20: b"at 19.5\n"}),
        (0, {0: b"at 0\n", 1: b"at 1\n", 5: b"at 5\n", 6: b"at 6\n", 19.5: b"at 19.5\n"}),
        (60, {20: b"at 0\nat 1\nat 5\nat 6\nat 19.5\n"}),
    ],
)
async def test_live_data_can_be_read_in_time(name: str, seconds: float, readable: dict[float, bytes]) -> None:
    """The clock starts with the first byte that was not flushed, and nothing is flushed twice."""
    read, now = readers(name)[0], asyncio.get_running_loop().time
    found: dict[float, bytes] = {}
    async with (
        aclosing(at_moments(0, 1, 5, 6, 19.5, 20)) as lines,
        aclosing(FLUSHING[name][0].compress(flush=seconds)(lines)) as pieces,
    ):
        async for piece in pieces:
            if text := read(piece):
                found[round(now(), 6)] = text

    assert found == readable


@every_flushing
async def test_what_a_thread_has_compressed_can_be_read_before_the_input_goes_on(name: str) -> None:
    """With blocks that are full, and one that is not."""
    data, read, seen = ROWS * 4, readers(name)[0], asyncio.Event()
    packed, text = bytearray(), bytearray()

    async def source() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 300_000):
            yield data[at : at + 300_000]
        await seen.wait()
        yield b"more"

    async with (
        asyncio.timeout(60),
        aclosing(source()) as chunks,
        aclosing(FLUSHING[name][0].compress(1, flush=0)(chunks)) as pieces,
    ):
        async for piece in pieces:
            packed += piece
            text += read(piece)
            if text == data:
                seen.set()

    assert run(FLUSHING[name][0].Decompressor(), bytes(packed)) == data + b"more"


@every_flushing
async def test_a_flush_that_is_cut_off_is_no_end(name: str) -> None:
    """H61, P5: what can be read by then is there; that it was all is not said."""
    module, out, seen = FLUSHING[name][0], bytearray(), asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        yield b"rows"
        await seen.wait()
        raise OSError("mine")

    async def collected() -> None:
        async with aclosing(source()) as chunks, aclosing(module.compress(flush=0)(chunks)) as pieces:
            async for piece in pieces:
                out.extend(piece)
                seen.set()

    with pytest.raises(OSError, match="mine"):
        await collected()
    assert readers(name)[0](bytes(out)) == b"rows"
    with pytest.raises(TruncatedError):
        run(module.Decompressor(), bytes(out))


@every_flushing
@pytest.mark.parametrize("seconds", [-1, True, "1", math.nan, math.inf])
def test_a_flush_that_means_nothing_is_refused(name: str, seconds: Any) -> None:
    """F14."""
    with pytest.raises(UsageError, match=f"flush={seconds!r} is neither a number of seconds, 0 or more, nor None"):
        FLUSHING[name][0].compress(flush=seconds)
    with pytest.raises(UsageError, match=r"flush=1 is for one thread"):
        FLUSHING[name][0].compress(flush=1, threads=2)
