"""xz's own: levels, checks, padding by fours, memory. What all formats share is tested in test_compression_*."""

from __future__ import annotations

import lzma

import pytest

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats.xz import Compressor, Decompressor, compress, decompress
from tests.formats.compressed import ROWS, run


@pytest.mark.parametrize("level", range(7))
def test_every_level_is_read_by_the_library(level: int) -> None:
    """L1, C7. (7 to 9 are the same with dictionaries of up to 64 MiB.)"""
    for data in (b"", b"x", ROWS[:200_000]):
        packed = run(Compressor(level), data)
        assert lzma.decompress(packed, lzma.FORMAT_XZ) == run(Decompressor(), packed) == data


@pytest.mark.parametrize("check", [lzma.CHECK_NONE, lzma.CHECK_CRC32, lzma.CHECK_CRC64, lzma.CHECK_SHA256])
def test_streams_with_every_checksum_are_read(check: int) -> None:
    packed = lzma.compress(b"rows" * 100, check=check)
    decompressor = Decompressor()

    assert run(decompressor, packed) == b"rows" * 100


@pytest.mark.parametrize("zeros", range(13))
def test_padding_is_a_multiple_of_four(zeros: int) -> None:
    """H59: as the format has it; anything else was cut, or is no padding."""
    packed = lzma.compress(b"one", preset=0)
    padded = packed + bytes(zeros)

    for at in (0, len(packed), len(packed) + zeros // 2, len(padded) - 1):
        chunks = padded[:at], padded[at:]
        if zeros % 4 == 0:
            assert run(Decompressor(), *chunks) == b"one"
            assert run(Decompressor(), *chunks, packed) == b"oneone"
            continue
        with pytest.raises(TruncatedError, match=f"ends inside stream 2, after {len(padded)} bytes"):
            run(Decompressor(), *chunks)
        with pytest.raises(FormatError, match=f"after stream 1 of the xz data, at byte {len(padded)}"):
            run(Decompressor(), *chunks, packed)
        assert run(Decompressor(trailing="ignore"), *chunks, packed) == b"one"


def test_data_that_asks_for_too_much_memory_is_refused_before_it_gets_it() -> None:
    """H60: the first bytes say how much; level 6 needs 9 MiB to be read."""
    packed = lzma.compress(b"rows", preset=6)

    assert run(Decompressor(max_memory=10 << 20), packed) == b"rows"
    with pytest.raises(LimitExceeded, match=r"needs too much memory in stream 1, .* more than max_memory=8388608"):
        run(Decompressor(max_memory=8 << 20), packed)


def test_the_default_reads_what_level_9_wrote() -> None:
    assert run(Decompressor(), lzma.compress(b"rows", preset=9)) == b"rows"


def test_the_older_format_is_another() -> None:
    with pytest.raises(FormatError, match="this is not xz data"):
        run(Decompressor(), lzma.compress(b"rows", lzma.FORMAT_ALONE))


def test_the_stages_say_how_much_the_library_takes() -> None:
    assert compress(9).holds > 600 << 20 > 100 << 20 > compress(6).holds
    assert decompress(max_memory=10 << 20).holds < 14 << 20
