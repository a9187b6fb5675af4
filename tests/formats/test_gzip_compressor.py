"""The compressors: read by the standard library, and the same bytes for the same data. With zlib and with isal."""

from __future__ import annotations

import gzip as stdlib
import itertools
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from streamflow.errors import TruncatedError, UsageError
from streamflow.formats.gzip_compressor import BLOCK, Compressor, ParallelCompressor
from streamflow.formats.gzip_decompressor import Decompressor

ROWS = b"".join(b"%d,%d,row of text\n" % (n, n * n) for n in range(30_000))

pytestmark = pytest.mark.usefixtures("library")


def chunks_of(data: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def run(codec: Any, *chunks: Any) -> bytes:
    return b"".join([out for chunk in chunks for out in codec.feed(chunk)] + list(codec.finish()))


@pytest.mark.parametrize("level", range(10))
def test_what_was_compressed_is_read_by_the_standard_library(level: int) -> None:
    """L1, C7."""
    for data in (b"", b"x", ROWS, random.Random(1).randbytes(300_000)):
        assert stdlib.decompress(run(Compressor(level), data)) == data
        assert run(Decompressor(), run(Compressor(level), data)) == data


@pytest.mark.parametrize("level", [0, 1, 3, 6])
def test_the_bytes_do_not_depend_on_the_chunks(level: int) -> None:
    """L1: also where the library's own output would."""
    whole = run(Compressor(level), ROWS)
    rng = random.Random(level)

    for size in (1, 1000, 70_000, 200_000):
        cut = sorted(rng.randrange(len(ROWS)) for _ in range(len(ROWS) // size if size > 1 else 0))
        assert whole == run(Compressor(level), *chunks_of(ROWS, cut))
    assert run(Compressor(level), ROWS[:5000]) == run(Compressor(level), *chunks_of(ROWS[:5000], list(range(5000))))


def test_equal_data_gives_equal_files_unless_a_time_is_asked_for() -> None:
    assert run(Compressor(), b"rows") == run(Compressor(), b"rows")
    assert run(Compressor(), b"rows")[4:8] == b"\0\0\0\0"
    assert run(Compressor(mtime=1_700_000_000), b"rows")[4:8] == (1_700_000_000).to_bytes(4, "little")


def test_the_trailer_is_written_by_finish_alone() -> None:
    """H61: without the clean end the file stays visibly cut."""
    compressor = Compressor()
    cut = b"".join(compressor.feed(ROWS * 3))

    with pytest.raises(EOFError):
        stdlib.decompress(cut)
    with pytest.raises(TruncatedError):
        run(Decompressor(), cut)


def test_the_header_is_ours_with_every_library_and_level() -> None:
    """The libraries write their own system and strength; a file must not tell which one it was."""
    for level, strength in ((0, 0), (1, 4), (3, 0), (6, 0), (9, 2)):
        for data in (b"", b"x", random.Random(1).randbytes(BLOCK + 1)):
            compressed = run(Compressor(level, mtime=7), data)
            assert compressed[:10] == bytes([0x1F, 0x8B, 8, 0, 7, 0, 0, 0, strength, 255])


def test_text_is_refused_with_advice() -> None:
    with pytest.raises(UsageError, match=r"gzip.compress takes items of bytes, not str. Put text.encode\(\) before it"):
        list(Compressor().feed("text"))  # type: ignore[arg-type]  # the mistake is the point


# --- for several threads ---------------------------------------------------------------------------------------------


def called(compressor: ParallelCompressor, *chunks: bytes, calls: Callable[[list[Any]], Any] | None = None) -> bytes:
    """Make the calls one after the other, or as `calls` does it."""
    found = [call for chunk in chunks for call in compressor.feed(chunk)] + list(compressor.finish())
    return b"".join(calls(found) if calls else [call() for call in found])


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
def test_blocks_of_a_parallel_compressor_are_one_member(level: int, size: int) -> None:
    """L1, C7."""
    data = (ROWS * 4)[:size]
    assert len(data) == size
    compressed = called(ParallelCompressor(level, mtime=7), data)

    assert stdlib.decompress(compressed) == data
    assert run(Decompressor(), compressed) == data
    assert compressed[4:8] == (7).to_bytes(4, "little")


def test_blocks_may_be_compressed_in_any_order_and_thread() -> None:
    def backwards(calls: list[Any]) -> list[bytes]:
        with ThreadPoolExecutor(3) as threads:
            futures = [threads.submit(call) for call in reversed(calls)]
        return [future.result() for future in reversed(futures)]

    assert called(ParallelCompressor(6), ROWS * 3) == called(ParallelCompressor(6), ROWS * 3, calls=backwards)


@pytest.mark.parametrize("level", [0, 1, 3, 6])
def test_the_bytes_of_a_parallel_compressor_do_not_depend_on_the_chunks(level: int) -> None:
    """L1."""
    whole = called(ParallelCompressor(level), ROWS * 3)

    assert whole == called(ParallelCompressor(level), *chunks_of(ROWS * 3, [1, 70_000, 70_001, 900_000, 1_200_000]))


def test_blocks_use_what_came_before_them() -> None:
    """Without the dictionary each block would start from nothing."""
    noise = random.Random(1).randbytes(16_000)

    assert len(called(ParallelCompressor(6), noise * 32)) < 32_000


def test_a_parallel_compressor_that_is_not_finished_is_visibly_cut() -> None:
    """H61."""
    cut = b"".join(call() for call in ParallelCompressor().feed(ROWS * 3))

    with pytest.raises(TruncatedError):
        run(Decompressor(), cut)
