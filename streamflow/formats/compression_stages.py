"""From the codecs of a compression format to its stages.

What lives here: how much is given to a thread at once, and what a stage says that it holds; the same for all formats.
What must not: any one format.
"""

from __future__ import annotations

from collections.abc import Callable

from streamflow.engine.codecs import codec_stage, parallel_stage
from streamflow.formats.compression_compressor import BLOCK
from streamflow.formats.compression_members import OUTPUT
from streamflow.formats.pieces import PIECE, BytesLike
from streamflow.stages import Stage
from streamflow.types import Codec

__all__ = ["compress_stage", "compress_stage_in_parallel", "decompress_stage"]

Bytes = Codec[BytesLike, bytes]
Calls = Codec[BytesLike, Callable[[], bytes]]


def compress_stage(
    make: Callable[[], Bytes], *, name: str, thread_above: int, block: int = BLOCK, memory: int = 0
) -> Stage[BytesLike, bytes]:
    """Return the stage of a compressor; `memory` is what its library takes, in bytes."""
    return codec_stage(make, name=name, thread_above=thread_above, gather=block, holds=block + memory)


def compress_stage_in_parallel(
    make: Callable[[], Calls], *, name: str, threads: int, block: int = BLOCK, memory: int = 0
) -> Stage[BytesLike, bytes]:
    """Return the stage of a compressor that gives calls; `memory` is what its library takes in one thread, in bytes."""
    return parallel_stage(make, name=name, threads=threads, holds=(2 * threads + 1) * block + threads * memory)


def decompress_stage(
    make: Callable[[], Bytes], *, name: str, thread_above: int = 64 * 1024, memory: int = 0
) -> Stage[BytesLike, bytes]:
    """Return the stage of a decompressor, whose arguments are checked now; `memory` is what its library may take."""
    make()
    return codec_stage(make, name=name, thread_above=thread_above, holds=OUTPUT + PIECE + memory)
