"""The compressors of zstd: levels, checksums, and how the frames of several threads are chained."""

from __future__ import annotations

from typing import Any

import pytest

from streamflow.errors import FormatError
from streamflow.formats.zstd import Decompressor
from streamflow.formats.zstd_compressor import LEVELS, Compressor, ParallelCompressor, memory_of, thread_above
from tests.formats.compressed import ROWS, run
from tests.formats.compressed import zstd_library as library

MIB = 1 << 20


def pieces_of(data: bytes) -> list[bytes]:
    codec = ParallelCompressor()
    return [call() for call in (*codec.feed(data), *codec.finish())]


@pytest.mark.parametrize("level", [level for level in LEVELS if level < 20])
def test_every_level_is_read_by_the_library(level: int) -> None:
    """L1, C7. (20 to 22 are the same with windows of up to 128 MiB.)"""
    for data in (b"", b"x", ROWS[:50_000]):
        packed = run(Compressor(level), data)
        assert library.decompress(packed) == run(Decompressor(), packed) == data


@pytest.mark.parametrize("packed", [lambda: run(Compressor(), b"rows"), lambda: b"".join(pieces_of(b"rows"))])
def test_frames_have_a_checksum(packed: Any) -> None:
    """Without one, damage in the data itself would go unnoticed."""
    damaged = bytearray(packed())
    damaged[-1] ^= 1

    with pytest.raises(FormatError, match=r"the zstd data is damaged in frame 1, near byte 0: .*checksum"):
        run(Decompressor(), bytes(damaged))


@pytest.mark.parametrize(("size", "frames"), [(0, 1), (5, 1), (MIB, 2), (MIB + 1, 3), (2 * MIB, 4)])
def test_what_closes_a_frame_comes_with_the_next(size: int, frames: int) -> None:
    """H61: one more frame, to be skipped, begins behind each that is full."""
    pieces = pieces_of(bytes(size))
    packed = b"".join(pieces)
    count = 0
    while packed:
        packed = packed[library.get_frame_size(packed) :]
        count += 1

    assert count == frames
    assert all(piece.endswith(b"\x50\x2a\x4d\x18") for piece in pieces[:-1])
    assert all(piece.startswith(bytes(4)) for piece in pieces[1:])


def test_frames_say_how_long_they_are() -> None:
    """So that a reader takes no more memory than they need."""
    assert library.get_frame_info(pieces_of(bytes(3 * MIB))[0]).decompressed_size == MIB


def test_higher_levels_take_more_memory_and_go_earlier_to_a_thread() -> None:
    assert [memory_of(level) for level in LEVELS] == sorted(memory_of(level) for level in LEVELS)
    assert [thread_above(level) for level in LEVELS] == sorted(map(thread_above, LEVELS), reverse=True)
