"""From the codecs of a compression format to its stages.

What lives here: how much is given to a thread at once, and what a stage says that it holds; the same for all formats.
What must not: any one format.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from streamflow.engine.codecs import codec_stage, parallel_stage
from streamflow.errors import UsageError
from streamflow.formats.compression_compressor import BLOCK
from streamflow.formats.compression_members import OUTPUT
from streamflow.formats.pieces import PIECE, BytesLike
from streamflow.stages import Stage
from streamflow.types import Codec

__all__ = ["check_flush", "compress_stage", "compress_stage_in_parallel", "decompress_stage"]

Bytes = Codec[BytesLike, bytes]
Calls = Codec[BytesLike, Callable[[], bytes]]


def compress_stage(
    make: Callable[[], Bytes],
    *,
    name: str,
    thread_above: int,
    block: int = BLOCK,
    memory: int = 0,
    flush: float | None = None,
) -> Stage[BytesLike, bytes]:
    """Return the stage of a compressor; `memory` is what its library takes, in bytes."""
    return codec_stage(make, name=name, thread_above=thread_above, gather=block, flush=flush, holds=block + memory)


def check_flush(flush: object, threads: int) -> None:
    """Refuse a `flush=` that cannot be, with `UsageError`."""
    if flush is None:
        return
    if isinstance(flush, bool) or not isinstance(flush, (int, float)) or not 0 <= flush < math.inf:
        raise UsageError(f"flush={flush!r} is neither a number of seconds, 0 or more, nor None")
    if threads > 1:
        raise UsageError(
            f"flush={flush!r} is for one thread: several work on whole blocks, which have to be full first"
        )


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
