"""bzip2's own levels. What all formats share is tested in test_compression_*."""

from __future__ import annotations

import bz2 as library

import pytest

from streamflow.errors import FormatError
from streamflow.formats.bz2 import Compressor, Decompressor
from tests.formats.compressed import ROWS, run


@pytest.mark.parametrize("level", range(1, 10))
def test_every_level_is_read_by_the_library_and_names_its_block(level: int) -> None:
    """L1, C7."""
    for data in (b"", b"x", ROWS):
        packed = run(Compressor(level), data)
        assert packed[3:4] == str(level).encode()
        assert library.decompress(packed) == run(Decompressor(), packed) == data


def test_the_level_is_that_of_the_library_unless_said() -> None:
    assert run(Compressor(), ROWS) == library.compress(ROWS)


@pytest.mark.parametrize("digit", [b"0", b"a"])
def test_a_size_of_block_that_is_none_is_no_bz2(digit: bytes) -> None:
    with pytest.raises(FormatError, match="this is not bz2 data"):
        run(Decompressor(), b"BZh" + digit + library.compress(b"")[4:])


def test_a_block_whose_last_byte_comes_alone_is_given_at_once() -> None:
    """The library says that it needs input although it holds a block that it has not given yet."""
    packed = library.compress(bytes(5_000_000))
    decompressor = Decompressor(max_ratio=None)

    sizes = [sum(map(len, decompressor.feed(packed[at : at + 1]))) for at in range(len(packed))]
    assert sum(sizes) == 5_000_000
    assert not list(decompressor.finish())
