"""The compressors of every format: read by its library, the same for the same data, never whole by accident."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamflow.errors import TruncatedError, UsageError
from streamflow.formats.compression_compressor import Blocks, check_level
from tests.formats.compressed import ROWS, Kind, chunks_of, every_kind, run

LONG = b"".join(b"%d,%d,row of text\n" % (n, n * n) for n in range(140_000))  # more than two blocks


@every_kind
def test_what_was_compressed_is_read_by_the_library(kind: Kind) -> None:
    """L1, C7."""
    for data in (b"", b"x", ROWS, random.Random(1).randbytes(300_000)):
        packed = run(kind.module.Compressor(), data)
        assert kind.unpack(packed) == data
        assert run(kind.module.Decompressor(), packed) == data


@every_kind
@given(data=st.binary(max_size=200), at=st.lists(st.integers(0, 200), max_size=5))
def test_compressed_and_back_is_the_same(kind: Kind, data: bytes, at: list[int]) -> None:
    """L1."""
    packed = run(kind.module.Compressor(1), *chunks_of(data, at))

    assert packed == run(kind.module.Compressor(1), data)
    assert run(kind.module.Decompressor(), *chunks_of(packed, at)) == data


@every_kind
@pytest.mark.parametrize("size", [999, 70_000, 300_001])
def test_the_bytes_do_not_depend_on_the_chunks(kind: Kind, size: int) -> None:
    """L1: also where the library's own output would."""
    whole = run(kind.module.Compressor(1), ROWS)

    assert whole == run(kind.module.Compressor(1), *chunks_of(ROWS, range(size, len(ROWS), size)))


@every_kind
@pytest.mark.parametrize("size", [0, 100, 2_000_000])
def test_the_end_is_written_by_finish_alone(kind: Kind, size: int) -> None:
    """H61: without the clean end the file stays visibly cut."""
    compressor, decompressor = kind.module.Compressor(1), kind.module.Decompressor(max_ratio=None)
    cut = b"".join(compressor.feed(LONG[:size]))
    rest = b"".join(compressor.finish())

    assert LONG[:size].startswith(b"".join(decompressor.feed(cut)))
    if cut or kind.name != "gzip":  # no data at all is good gzip
        with pytest.raises(TruncatedError):
            decompressor.finish()
    assert kind.unpack(cut + rest) == LONG[:size]


@every_kind
def test_text_is_refused_with_advice(kind: Kind) -> None:
    with pytest.raises(UsageError, match=rf"{kind.name}.compress takes items of bytes, not str"):
        list(kind.module.Compressor().feed("text"))


@given(data=st.binary(max_size=100), at=st.lists(st.integers(0, 100), max_size=5), size=st.integers(1, 30))
def test_blocks_have_their_size_and_lose_nothing(data: bytes, at: list[int], size: int) -> None:
    """L1."""
    blocks = Blocks(size, "test")
    full = [block for chunk in chunks_of(data, at) for block in blocks.feed(chunk)]

    rest = blocks.rest()
    assert all(len(block) == size for block in full)
    assert len(rest) < size
    assert b"".join(full) + rest == data
    assert blocks.rest() == b""


def test_a_chunk_of_the_size_of_a_block_is_passed_on_uncopied() -> None:
    """With a quick library a copy of each block would be a tenth of the work."""
    data, longer = b"abcd", b"efghij"
    blocks = Blocks(4, "test")

    assert [block is data for block in blocks.feed(data)] == [True]
    assert list(blocks.feed(longer)) == [b"efgh"]
    assert blocks.rest() == b"ij"
    assert [block is data for block in blocks.feed(data)] == [True]


def test_a_level_that_is_none_is_refused_with_what_levels_mean() -> None:
    check_level(1, range(1, 3), "1 (fast) to 2 (small)")
    with pytest.raises(UsageError, match=r"level must be a whole number from 1 \(fast\) to 2 \(small\), not 3"):
        check_level(3, range(1, 3), "1 (fast) to 2 (small)")
