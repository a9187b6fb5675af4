"""What the tests of the compression formats share: each format beside the library that it must agree with."""

from __future__ import annotations

import bz2 as bz2_library
import gzip as gzip_library
import itertools
import lzma
import os
import zlib as zlib_library
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from streamflow.formats import bz2, deflate, gzip, xz, zlib, zstd
from streamflow.formats.zstd_library import zstd as zstd_module
from streamflow.stages import Stage

zstd_library = zstd_module("these tests")

ROWS = b"".join(b"%d,%d,row of text\n" % (n, n * n) for n in range(30_000))

thorough = pytest.mark.skipif(
    os.environ.get("STREAMFLOW_HYPOTHESIS") != "thorough", reason="minutes: a part of `make thorough`"
)


@dataclass(frozen=True)
class Kind:
    """A format, and what the library of its own does with whole data."""

    module: ModuleType
    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes], bytes]
    compressor: Callable[[], Any]
    several: bool = True
    padding: int = 0
    checked: bool = True

    @property
    def name(self) -> str:
        return self.module.__name__.rpartition(".")[2]


def compressor_of(wbits: int) -> Callable[[], Any]:
    return lambda: zlib_library.compressobj(9, zlib_library.DEFLATED, wbits)


def deflated(data: bytes) -> bytes:
    compressor = zlib_library.compressobj(6, zlib_library.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def zstd_compressor() -> Any:
    parameter = zstd_library.CompressionParameter
    return zstd_library.ZstdCompressor(options={parameter.checksum_flag: 1})


def zstd_packed(data: bytes) -> bytes:
    compressor = zstd_compressor()
    return bytes(compressor.compress(data) + compressor.flush())


KINDS = (
    Kind(gzip, gzip_library.compress, gzip_library.decompress, compressor_of(31), padding=1),
    Kind(zlib, zlib_library.compress, zlib_library.decompress, compressor_of(15), several=False),
    Kind(
        deflate,
        deflated,
        lambda data: zlib_library.decompress(data, -15),
        compressor_of(-15),
        several=False,
        checked=False,
    ),
    Kind(zstd, zstd_packed, zstd_library.decompress, zstd_compressor),
    Kind(bz2, bz2_library.compress, bz2_library.decompress, bz2_library.BZ2Compressor),
    Kind(
        xz,
        # A small preset: the memory for a dictionary of 8 MiB is not what is measured.
        lambda data: lzma.compress(data, preset=1),
        lzma.decompress,
        lambda: lzma.LZMACompressor(preset=1),
        padding=4,
    ),
)

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def run(codec: Any, *chunks: Any) -> bytes:
    """Give a codec its input and return its output."""
    return b"".join([out for chunk in chunks for out in codec.feed(chunk)] + list(codec.finish()))


def chunks_of(data: bytes, at: Iterable[int]) -> list[bytes]:
    """Cut data at some places."""
    edges = [0, *sorted(min(place, len(data)) for place in at), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


async def staged(stage: Stage[Any, bytes], data: bytes, size: int = 50_000) -> bytes:
    """Send data through a stage in chunks of `size`."""

    async def source() -> AsyncIterator[bytes]:
        for at in range(0, len(data), size):
            yield data[at : at + size]

    async with aclosing(source()) as chunks:
        return b"".join([piece async for piece in stage(chunks)])
