"""gzip: `compress` and `decompress`, with every way a file can be cut, damaged or hostile made visible.

What lives here: the two stages, and the codecs behind them as public names. What must not: the work, which is in
`gzip_compressor`, `gzip_decompressor` and what they are made of; threads, which `engine.codecs` has.
"""

from __future__ import annotations

from functools import partial

from streamflow.formats.compression_limits import Trailing
from streamflow.formats.compression_stages import (
    check_flush,
    compress_stage,
    compress_stage_in_parallel,
    decompress_stage,
)
from streamflow.formats.gzip_compressor import Compressor, ParallelCompressor, check_options
from streamflow.formats.gzip_decompressor import Decompressor
from streamflow.formats.pieces import BytesLike
from streamflow.limits import check_capacity
from streamflow.stages import Stage

__all__ = ["Compressor", "Decompressor", "compress", "decompress"]


def compress(
    level: int = 6, *, mtime: int = 0, threads: int = 1, flush: float | None = None
) -> Stage[BytesLike, bytes]:
    """Compress a stream of bytes into one gzip member.

    Example:
        await sf.pipeline(rows, csv.format(), gzip.compress(), objects.write("s3://bucket/orders.csv.gz"))

    The work is done in a thread of its own while the loop goes on. The bytes are the same for the same data, however it
    is chunked, and for any time and machine with the same library. No data gives a valid file of zero bytes.

    Args:
        level: 0 (stored), 1 (fastest) to 9 (smallest). With the extra `fast`, 1 to 3 are done by
            isal: about ten times faster than 6, and some 10 % larger; 4 to 9 by zlib-ng, nearly twice as fast.
        mtime: the time to put into the header, in seconds since 1970; 0 for none, so that equal data gives equal files.
        threads: 1, or more for as many blocks at once: `2 * threads` blocks of 1 MiB are held at most. The file then
            is less than a tenth of a percent larger, and the same for any number above 1. Take 2 where the other stages
            keep the loop busy (CSV rows): with 1 the thread and the loop then mostly wait for one another.
        flush: seconds after which what has come in can be read at the other end although more may follow; 0: as soon as
            it is there. For live data, such as a log that is followed. It costs some bytes each time, and where they
            stand depends on when the data came. `None`: when 1 MiB is full. Not with `threads`.

    Raises `UsageError`, at once, for a level, a time, a number of threads or a `flush` that cannot be.

    Cancellation: waits for the block in the thread (some milliseconds). The trailer is written only after a clean end,
    so a stream that was cut short can never be mistaken for a whole one.
    """
    check_options(level, mtime)
    check_capacity("threads", threads)
    check_flush(flush, threads)
    if threads > 1:
        make = partial(ParallelCompressor, level, mtime=mtime)
        return compress_stage_in_parallel(make, name="gzip.compress", threads=threads)
    return compress_stage(
        partial(Compressor, level, mtime=mtime), name="gzip.compress", thread_above=8 * 1024, flush=flush
    )


def decompress(
    *,
    max_output_bytes: int | None = None,
    max_ratio: float | None = 200,
    trailing: Trailing = "error",
) -> Stage[BytesLike, bytes]:
    """Decompress gzip data: all members, one after the other, in pieces of at most 256 KiB.

    Example:
        await sf.pipeline(objects.read("s3://bucket/orders.csv.gz"), gzip.decompress(), csv.parse(), sink)

    Chunks of 64 KiB and more are worked off in a thread. Zeros between and after the members are skipped. No data at
    all gives no data, as the standard library has it.

    Args:
        max_output_bytes: the most bytes it may expand to; `None`: no limit. Memory is bounded in any case.
        max_ratio: how many times larger than its input the output may be, judged over each 16 MiB of output. Text is
            compressed 5 to 20 times, the most that is possible is about 1030. `None`: no limit.
        trailing: what to do with data behind the last member that is no gzip data: `"error"` or `"ignore"`.

    Raises `FormatError` with the byte offset for data that is not gzip, is damaged (also a wrong checksum) or is
    followed by something else; `TruncatedError` when it ends inside a member; `LimitExceeded` beyond the limits.

    The checksum comes last: what was handed on before it may be damaged. Sinks that commit at the end are safe.

    Cancellation: waits for the piece in the thread (about a millisecond).
    """
    make = partial(Decompressor, max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing)
    return decompress_stage(make, name="gzip.decompress")
