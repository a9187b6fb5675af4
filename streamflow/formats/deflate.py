"""Raw deflate: `compress` and `decompress` for data of RFC 1951 with nothing around it, as in ZIP archives.

What lives here: the two stages, and the codecs behind them as public names. What must not: the work, which is in
`deflate_compressor`, `compression_decompressor` and `deflate_member`; threads, which `engine.codecs` has.

There is no checksum: data that was changed may go unnoticed. Where there is a choice, take `gzip` or `zlib`. (HTTP's
"Content-Encoding: deflate" means `zlib`.)
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
from streamflow.formats.deflate_wrapping import RAW
from streamflow.formats.pieces import BytesLike
from streamflow.limits import check_capacity
from streamflow.stages import Stage

__all__ = ["Compressor", "Decompressor", "compress", "decompress"]


class Compressor(DeflateCompressor):
    """Bytes to one raw deflate stream. One object serves one run; `compress` explains the argument.

    Example: `data = b"".join([*compressor.feed(b"rows"), *compressor.finish()])`.
    """

    def __init__(self, level: int = 6) -> None:
        """Check the level and make it for one run."""
        super().__init__(RAW, level, b"")


class Decompressor(MembersDecompressor):
    """One raw deflate stream to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    # It may begin with any byte.
    format = Format("deflate", "stream", (b"",), partial(DeflateMember, RAW), several=False)


def compress(level: int = 6, *, threads: int = 1, flush: float | None = None) -> Stage[BytesLike, bytes]:
    """Compress a stream of bytes into one raw deflate stream.

    Example:
        await sf.pipeline(chunks, deflate.compress(), sink)

    The work is done in a thread of its own while the loop goes on. The bytes are the same for the same data, however it
    is chunked, and for any machine with the same library. No data gives a valid stream of zero bytes.

    Args:
        level: 0 (stored), 1 (fastest) to 9 (smallest), as for `gzip.compress`. With the extra `fast`, 1 to 3
            are done by isal, some ten times faster than 6 and 10 % larger, 4 to 9 by zlib-ng, nearly twice as fast.
        threads: 1, or more for as many blocks at once: `2 * threads` blocks of 1 MiB are held at most. The stream then
            is less than a tenth of a percent larger, and the same for any number above 1.
        flush: seconds after which what has come in can be read at the other end although more may follow; 0: as soon as
            it is there. For live data, such as a log that is followed. It costs some bytes each time, and where they
            stand depends on when the data came. `None`: when 1 MiB is full. Not with `threads`.

    Raises `UsageError`, at once, for a level, a number of threads or a `flush` that cannot be.

    Cancellation: waits for the block in the thread (some milliseconds). The last block is written only after a clean
    end, so a stream that was cut short can never be mistaken for a whole one.
    """
    check_deflate_level(level)
    check_capacity("threads", threads)
    check_flush(flush, threads)
    if threads > 1:
        make = partial(ParallelDeflateCompressor, RAW, level, b"")
        return compress_stage_in_parallel(make, name="deflate.compress", threads=threads)
    return compress_stage(partial(Compressor, level), name="deflate.compress", thread_above=8 * 1024, flush=flush)


def decompress(
    *, max_output_bytes: int | None = None, max_ratio: float | None = 200, trailing: Trailing = "error"
) -> Stage[BytesLike, bytes]:
    """Decompress one raw deflate stream, in pieces of at most 256 KiB.

    Example:
        await sf.pipeline(entry_of_an_archive, deflate.decompress(max_output_bytes=size), sink)

    Chunks of 64 KiB and more are worked off in a thread. There is no checksum: damage is found where it makes data that
    cannot be, and where the stream does not end.

    Args:
        max_output_bytes: the most bytes it may expand to; `None`: no limit. Memory is bounded in any case.
        max_ratio: how many times larger than its input the output may be, judged over each 16 MiB of output. Text is
            compressed 5 to 20 times, the most that is possible is about 1030. `None`: no limit.
        trailing: what to do with data behind the stream: `"error"` or `"ignore"`.

    Raises `FormatError` with the byte offset for data that cannot be or is followed by something else; `TruncatedError`
    when it ends inside the stream, also when there is no data at all; `LimitExceeded` beyond the limits.

    Cancellation: waits for the piece in the thread (about a millisecond).
    """
    make = partial(Decompressor, max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing)
    return decompress_stage(make, name="deflate.decompress")
