"""zstd: `compress` and `decompress`, with every way a file can be cut, damaged or hostile made visible.

What lives here: the two stages, and the codecs behind them as public names. What must not: the work, which is in
`zstd_compressor`, `zstd_member` and `compression_decompressor`; threads, which `engine.codecs` has.

It needs the extra `zstd` below Python 3.14.
"""

from __future__ import annotations

from functools import partial

from streamflow.formats.compression_decompressor import MembersDecompressor
from streamflow.formats.compression_limits import Trailing, check_memory
from streamflow.formats.compression_members import Format
from streamflow.formats.compression_stages import (
    check_flush,
    compress_stage,
    compress_stage_in_parallel,
    decompress_stage,
)
from streamflow.formats.pieces import BytesLike
from streamflow.formats.zstd_compressor import (
    DEFAULT_LEVEL,
    FRAME_MEMORY,
    Compressor,
    ParallelCompressor,
    block_of,
    check_zstd_level,
    memory_of,
    thread_above,
)
from streamflow.formats.zstd_library import zstd
from streamflow.formats.zstd_member import MAGIC, ZstdMember
from streamflow.limits import check_capacity
from streamflow.stages import Stage

__all__ = ["Compressor", "Decompressor", "compress", "decompress"]

SKIPPED = tuple(bytes((0x50 + number, 0x2A, 0x4D, 0x18)) for number in range(16))
MOST_MEMORY = 128 << 20


class Decompressor(MembersDecompressor):
    """A zstd file, of any number of frames, to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    format = Format("zstd", "frame", (MAGIC, *SKIPPED), lambda: ZstdMember(zstd("zstd.decompress"), MOST_MEMORY))

    def __init__(
        self,
        *,
        max_output_bytes: int | None = None,
        max_ratio: float | None = 200,
        trailing: Trailing = "error",
        max_memory: int = MOST_MEMORY,
    ) -> None:
        """Check the arguments and make it for one run."""
        check_memory(max_memory)
        self.format = self.format._replace(begin=partial(ZstdMember, zstd("zstd.decompress"), max_memory))
        super().__init__(max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing)


def compress(level: int = DEFAULT_LEVEL, *, threads: int = 1, flush: float | None = None) -> Stage[BytesLike, bytes]:
    """Compress a stream of bytes into a zstd file, with checksums.

    Example:
        await sf.pipeline(rows, csv.format(), zstd.compress(), objects.write("s3://bucket/orders.csv.zst"))

    The work is done in a thread of its own while the loop goes on. The bytes are the same for the same data, however it
    is chunked. No data gives a valid file of zero bytes. One thread writes one frame.

    Args:
        level: 1 (about 350 MB a second), 3 (200 MB a second; as small as gzip's 6, which does 30), 9 (35 MB a second)
            to 19 (1 MB a second, nearly as small as xz), and 20 to 22, which take up to a gigabyte and 128 MiB to read
            again. -1 to -7 are faster than 1 and larger. 0 is none.
        threads: 1, or more for as many blocks at once: `2 * threads` blocks of 1 MiB are held at most. Each block is
            then a frame of its own, which knows nothing of the others: the file is about as large if what repeats in
            it repeats within a block, and larger if not. It is the same for any number above 1.
        flush: seconds after which what has come in can be read at the other end although more may follow; 0: as soon as
            it is there. For live data, such as a log that is followed. It costs some bytes each time, and where they
            stand depends on when the data came. `None`: when 1 MiB is full. Not with `threads`.

    Raises `UsageError`, at once, for a level, a number of threads or a `flush` that cannot be; `MissingExtra` where
    zstd is not installed.

    Cancellation: waits for the call in the thread: some milliseconds, a tenth of a second from level 10 on; with
    `threads`, up to a second. The end is written only after a clean end, so a file that was cut short can never be
    mistaken for a whole one.
    """
    check_zstd_level(level)
    check_capacity("threads", threads)
    check_flush(flush, threads)
    zstd("zstd.compress")
    if threads > 1:
        make = partial(ParallelCompressor, level)
        memory = min(memory_of(level), FRAME_MEMORY)
        return compress_stage_in_parallel(make, name="zstd.compress", threads=threads, memory=memory)
    return compress_stage(
        partial(Compressor, level),
        name="zstd.compress",
        thread_above=thread_above(level),
        block=block_of(level),
        memory=memory_of(level),
        flush=flush,
    )


def decompress(
    *,
    max_output_bytes: int | None = None,
    max_ratio: float | None = 200,
    trailing: Trailing = "error",
    max_memory: int = MOST_MEMORY,
) -> Stage[BytesLike, bytes]:
    """Decompress zstd data: all frames, one after the other, in pieces of at most 256 KiB.

    Example:
        await sf.pipeline(objects.read("s3://bucket/orders.csv.zst"), zstd.decompress(), csv.parse(), sink)

    Chunks of 64 KiB and more are worked off in a thread. Frames that are to be skipped are. Frames that need a
    dictionary cannot be read.

    Args:
        max_output_bytes: the most bytes it may expand to; `None`: no limit. Memory is bounded in any case.
        max_ratio: how many times larger than its input the output may be, judged over each 16 MiB of output. Text is
            compressed 3 to 20 times, the most that is possible is about 32000. `None`: no limit.
        trailing: what to do with data behind the last frame that is no zstd data: `"error"` or `"ignore"`.
        max_memory: the most bytes a frame's window may have. The data says how many: 2 MiB if it was compressed at
            level 3, 8 MiB at 19, 128 MiB at 22, and more by options of its own. At least 1 MiB.

    Raises `FormatError` with the byte offset for data that is not zstd, is damaged (also a wrong checksum, if it has
    one) or is followed by something else; `TruncatedError` when it ends inside a frame, also when there is no data at
    all; `LimitExceeded` beyond the limits; `MissingExtra`, at once, where zstd is not installed.

    The checksum comes last: what was handed on before it may be damaged. Sinks that commit at the end are safe.

    Cancellation: waits for the piece in the thread (about a millisecond).
    """
    make = partial(
        Decompressor, max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing, max_memory=max_memory
    )
    return decompress_stage(make, name="zstd.decompress", memory=max_memory)
