"""zlib's container: its header, with zlib and with isal. What all formats share is tested in test_compression_*."""

from __future__ import annotations

import zlib as library

import pytest

from streamflow.errors import FormatError, TruncatedError
from streamflow.formats.zlib import Compressor, Decompressor, compress
from tests.formats.compressed import ROWS, run, staged

pytestmark = pytest.mark.usefixtures("library")


@pytest.mark.parametrize("level", range(10))
def test_every_level_is_read_by_the_library(level: int) -> None:
    """L1, C7."""
    for data in (b"", b"x", ROWS):
        assert library.decompress(run(Compressor(level), data)) == data


@pytest.mark.parametrize("level", range(10))
def test_the_header_is_zlibs_whatever_library_did_the_work(level: int) -> None:
    assert run(Compressor(level), ROWS)[:2] == library.compress(b"", level)[:2]


async def test_the_header_is_the_same_with_threads() -> None:
    assert (await staged(compress(1, threads=2), ROWS))[:2] == library.compress(b"", 1)[:2]


@pytest.mark.parametrize("window", range(9, 16))
def test_streams_with_every_window_are_read_at_every_cut(window: int) -> None:
    """L1."""
    compressor = library.compressobj(6, library.DEFLATED, window)
    packed = compressor.compress(b"data" * 300) + compressor.flush()

    for at in range(len(packed)):
        assert run(Decompressor(), packed[:at], packed[at:]) == b"data" * 300
        with pytest.raises(TruncatedError):
            run(Decompressor(), packed[:at])


def test_a_wrong_checksum_is_damage() -> None:
    packed = bytearray(library.compress(ROWS))
    packed[-1] ^= 1

    with pytest.raises(FormatError, match=r"damaged in stream 1, near byte .*: the checksum is wrong"):
        run(Decompressor(), bytes(packed))


def test_a_stream_with_a_dictionary_cannot_be_read_and_says_so() -> None:
    compressor = library.compressobj(zdict=b"dictionary")
    packed = compressor.compress(b"dictionary") + compressor.flush()

    for at in range(4):
        with pytest.raises(FormatError, match="compressed with a dictionary of its own"):
            run(Decompressor(), packed[:at], packed[at:])
