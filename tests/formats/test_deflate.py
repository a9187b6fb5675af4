"""Raw deflate, with zlib and with isal. What all formats share is tested in test_compression_*."""

from __future__ import annotations

import zlib as library

import pytest

from streamflow.errors import FormatError, TruncatedError
from streamflow.formats import deflate_library
from streamflow.formats.deflate import Compressor, Decompressor
from tests.formats.compressed import ROWS, run

pytestmark = pytest.mark.usefixtures("library")


@pytest.mark.parametrize("level", range(10))
def test_every_level_is_read_by_the_library(level: int) -> None:
    """L1, C7."""
    for data in (b"", b"x", ROWS):
        assert library.decompress(run(Compressor(level), data), -15) == data


def test_there_is_nothing_around_the_data() -> None:
    same = deflate_library.for_compression(6)
    assert run(Compressor(6), ROWS) == same.compress(ROWS, 6)[2:-4]


@pytest.mark.parametrize("text", [b"", b"data", b"data" * 300])
def test_every_cut_is_read_or_truncated(text: bytes) -> None:
    """L1, P5."""
    packed = run(Compressor(), text)

    for at in range(len(packed)):
        assert run(Decompressor(), packed[:at], packed[at:]) == text
        with pytest.raises(TruncatedError):
            run(Decompressor(), packed[:at])


def test_data_that_cannot_be_is_damage() -> None:
    with pytest.raises(FormatError, match="the deflate data is damaged in stream 1, near byte 0"):
        run(Decompressor(), b"\xff" * 10)
