"""zlib: `compress` and `decompress` for the container of RFC 1950, as PNG, PDF, git and HTTP's "deflate" have it.

What lives here: the two stages, and the codecs behind them as public names. What must not: the work, which is in
`deflate_compressor`, `compression_decompressor` and `deflate_member`; threads, which `engine.codecs` has.

It is gzip's data with a shorter header and trailer. Files with a suffix are gzip's; deflated data without anything
around it is `deflate`'s.
"""

from __future__ import annotations

from functools import partial

from streamflow.formats.compression_decompressor import MembersDecompressor
from streamflow.formats.compression_limits import Trailing
from streamflow.formats.compression_members import Format
from streamflow.formats.compression_stages import (
    check_flush,
    compress_stage,
    compress_stage_in_parallel,
    decompress_stage,
)
from streamflow.formats.deflate_compressor import DeflateCompressor, ParallelDeflateCompressor, check_deflate_level
from streamflow.formats.deflate_member import DeflateMember
from streamflow.formats.deflate_wrapping import ZLIB, zlib_header, zlib_headers
from streamflow.formats.pieces import BytesLike
from streamflow.limits import check_capacity
from streamflow.stages import Stage

__all__ = ["Compressor", "Decompressor", "compress", "decompress"]


class Compressor(DeflateCompressor):
    """Bytes to one zlib stream. One object serves one run; `compress` explains the argument.

    Example: `data = b"".join([*compressor.feed(b"rows"), *compressor.finish()])`.
    """

    def __init__(self, level: int = 6) -> None:
        """Check the level and make it for one run."""
        check_deflate_level(level)
        super().__init__(ZLIB, level, zlib_header(level))


class Decompressor(MembersDecompressor):
    """One zlib stream to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    format = Format("zlib", "stream", zlib_headers(), partial(DeflateMember, ZLIB), several=False)


def compress(level: int = 6, *, threads: int = 1, flush: float | None = None) -> Stage[BytesLike, bytes]:
    """Compress a stream of bytes into one zlib stream.

    Example:
        await sf.pipeline(chunks, zlib.compress(), sink)

    The work is done in a thread of its own while the loop goes on. The bytes are the same for the same data, however it
    is chunked. No data gives a valid stream of zero bytes.

    Args:
        level: 0 (stored), 1 (fastest) to 9 (smallest), as for `gzip.compress`. With the extra `fast`, 1 to 3
            are done by isal, some ten times faster than 6 and 10 % larger, 4 to 9 by zlib-ng, nearly twice as fast.
        threads: 1, or more for as many blocks at once: `2 * threads` blocks of 1 MiB are held at most. The stream then
            is less than a tenth of a percent larger, and the same for any number above 1.
        flush: seconds after which what has come in can be read at the other end although more may follow; 0: as soon as
            it is there. For live data, such as a log that is followed. It costs some bytes each time, and where they
            stand depends on when the data came. `None`: when 1 MiB is full. Not with `threads`.

    Raises `UsageError`, at once, for a level, a number of threads or a `flush` that cannot be.

    Cancellation: waits for the block in the thread (some milliseconds). The trailer is written only after a clean end,
    so a stream that was cut short can never be mistaken for a whole one.
    """
    check_deflate_level(level)
    check_capacity("threads", threads)
    check_flush(flush, threads)
    if threads > 1:
        make = partial(ParallelDeflateCompressor, ZLIB, level, zlib_header(level))
        return compress_stage_in_parallel(make, name="zlib.compress", threads=threads)
    return compress_stage(partial(Compressor, level), name="zlib.compress", thread_above=8 * 1024, flush=flush)


def decompress(
    *, max_output_bytes: int | None = None, max_ratio: float | None = 200, trailing: Trailing = "error"
) -> Stage[BytesLike, bytes]:
    """Decompress one zlib stream, in pieces of at most 256 KiB.

    Example:
        await sf.pipeline(body, zlib.decompress(max_output_bytes=100 << 20), json.parse(), sink)

    Chunks of 64 KiB and more are worked off in a thread. A zlib stream is one: what follows it is no second part.

    Args:
        max_output_bytes: the most bytes it may expand to; `None`: no limit. Memory is bounded in any case.
        max_ratio: how many times larger than its input the output may be, judged over each 16 MiB of output. Text is
            compressed 5 to 20 times, the most that is possible is about 1030. `None`: no limit.
        trailing: what to do with data behind the stream: `"error"` or `"ignore"`.

    Raises `FormatError` with the byte offset for data that is not zlib's, is damaged (also a wrong checksum), needs a
    dictionary, or is followed by something else; `TruncatedError` when it ends inside the stream, also when there is no
    data at all; `LimitExceeded` beyond the limits.

    The checksum comes last: what was handed on before it may be damaged. Sinks that commit at the end are safe.

    Cancellation: waits for the piece in the thread (about a millisecond).
    """
    make = partial(Decompressor, max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing)
    return decompress_stage(make, name="zlib.decompress")
