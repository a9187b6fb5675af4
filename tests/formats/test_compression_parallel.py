"""The compressors for several threads: their blocks are one file, whole only with its end."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from streamflow.errors import TruncatedError
from streamflow.formats.compression_compressor import BLOCK
from streamflow.formats.deflate_compressor import ParallelDeflateCompressor
from streamflow.formats.deflate_wrapping import RAW, ZLIB, zlib_header
from streamflow.formats.gzip_compressor import ParallelCompressor as ParallelGzip
from streamflow.formats.zstd_compressor import ParallelCompressor as ParallelZstd
from tests.formats.compressed import KINDS, chunks_of, run

KIND = {kind.name: kind for kind in KINDS}
LONG = b"".join(b"%d,%d,row of text\n" % (n, n * n) for n in range(140_000))  # more than two blocks

PARALLEL: dict[str, Callable[[], Any]] = {
    "gzip": ParallelGzip,
    "zlib": partial(ParallelDeflateCompressor, ZLIB, 6, zlib_header(6)),
    "deflate": partial(ParallelDeflateCompressor, RAW, 6, b""),
    "zstd": ParallelZstd,
}
every_parallel = pytest.mark.parametrize("name", PARALLEL)


def called(compressor: Any, *chunks: bytes, calls: Callable[[list[Any]], Any] | None = None) -> bytes:
    """Make the calls one after the other, or as `calls` does it."""
    found = [call for chunk in chunks for call in compressor.feed(chunk)] + list(compressor.finish())
    return b"".join(calls(found) if calls else [call() for call in found])


@every_parallel
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 7])
def test_blocks_are_one_file(name: str, size: int) -> None:
    """L1, C7."""
    data = LONG[:size]
    assert len(data) == size
    packed = called(PARALLEL[name](), data)

    assert KIND[name].unpack(packed) == data
    assert run(KIND[name].module.Decompressor(), packed) == data


@every_parallel
def test_blocks_may_be_compressed_in_any_order_and_thread(name: str) -> None:
    def backwards(calls: list[Any]) -> list[bytes]:
        with ThreadPoolExecutor(3) as threads:
            futures = [threads.submit(call) for call in reversed(calls)]
        return [future.result() for future in reversed(futures)]

    assert called(PARALLEL[name](), LONG) == called(PARALLEL[name](), LONG, calls=backwards)


@every_parallel
def test_the_bytes_of_blocks_do_not_depend_on_the_chunks(name: str) -> None:
    """L1."""
    cut = chunks_of(LONG, [1, 70_000, 70_001, 900_000, 1_200_000])

    assert called(PARALLEL[name](), LONG) == called(PARALLEL[name](), *cut)


@every_parallel
@pytest.mark.parametrize("blocks", [1, 2])
def test_blocks_without_the_end_are_visibly_cut(name: str, blocks: int) -> None:
    """H61: also where each block is a whole frame, and the cut is between two."""
    cut = b"".join(call() for call in PARALLEL[name]().feed(LONG[: blocks * BLOCK]))
    decompressor = KIND[name].module.Decompressor()

    assert b"".join(decompressor.feed(cut)) == LONG[: blocks * BLOCK]
    with pytest.raises(TruncatedError):
        decompressor.finish()
    with pytest.raises(Exception, match=r"end-of-stream marker|incomplete or truncated"):
        KIND[name].unpack(cut)
