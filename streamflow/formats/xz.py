"""xz: `compress` and `decompress`, with every way a file can be cut, damaged or hostile made visible.

What lives here: the two stages, and the codecs behind them as public names. What must not: the work, which is in
`compression_compressor` and `compression_decompressor`; threads, which `engine.codecs` has.

It is the smallest and by far the slowest. `zstd` at level 19 comes near its size and is read ten times faster.
"""

from __future__ import annotations

import lzma
from functools import partial

from streamflow.formats.compression_compressor import BlocksCompressor, check_level
from streamflow.formats.compression_decompressor import MembersDecompressor
from streamflow.formats.compression_limits import Trailing, check_memory
from streamflow.formats.compression_members import Format, LibraryMember
from streamflow.formats.compression_stages import compress_stage, decompress_stage
from streamflow.formats.pieces import BytesLike
from streamflow.stages import Stage

__all__ = ["Compressor", "Decompressor", "compress", "decompress"]

BLOCK = 128 * 1024
"""Bytes of input given to the library at once: a tenth of a second of work at the higher levels."""

MEMORY = (3, 9, 17, 32, 48, 94, 94, 186, 370, 674)
"""MiB that each level takes, as the manual of xz says."""

MOST_MEMORY = 128 << 20


class Compressor(BlocksCompressor):
    """Bytes to one xz stream. One object serves one run; `compress` explains the argument.

    Example: `data = b"".join([*compressor.feed(b"rows"), *compressor.finish()])`.
    """

    def __init__(self, level: int = 6) -> None:
        """Check the level and make it for one run."""
        check_level(level, range(10), "0 (fastest) to 9 (smallest)")
        super().__init__("xz.compress", partial(lzma.LZMACompressor, preset=level), block=BLOCK)


class Decompressor(MembersDecompressor):
    """An xz file, of any number of streams, to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    format = Format("xz", "stream", (b"\xfd7zXZ\0",), lambda: member(MOST_MEMORY), padding=4)

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
        self.format = self.format._replace(begin=partial(member, max_memory))
        super().__init__(max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing)


def member(max_memory: int) -> LibraryMember:
    """Return what reads one xz stream."""
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=max_memory)
    return LibraryMember(decompressor, lzma.LZMAError, max_memory=max_memory)


def compress(level: int = 6) -> Stage[BytesLike, bytes]:
    """Compress a stream of bytes into one xz stream, with a CRC64 as its checksum.

    Example:
        await sf.pipeline(rows, csv.format(), xz.compress(3), files.write("orders.csv.xz"))

    The work is done in a thread of its own while the loop goes on. The bytes are the same for the same data, however it
    is chunked. No data gives a valid file of zero bytes.

    Args:
        level: 0 (about 20 MB a second, 3 MiB of memory), 3 (2 MB a second, 32 MiB), 6 (1 MB a second, 94 MiB) to 9
            (674 MiB). Above 6 only the dictionary grows, from 8 to 64 MiB: nothing is gained for less data than that.

    Raises `UsageError`, at once, for a level that cannot be.

    Cancellation: waits for the call in the thread (about a tenth of a second). The end of the stream is written only
    after a clean end, so a stream that was cut short can never be mistaken for a whole one.
    """
    make = partial(Compressor, level)
    make()
    # Even a byte goes to the thread: at high levels the library first clears hundreds of megabytes.
    return compress_stage(make, name="xz.compress", thread_above=0, block=BLOCK, memory=MEMORY[level] << 20)


def decompress(
    *,
    max_output_bytes: int | None = None,
    max_ratio: float | None = 200,
    trailing: Trailing = "error",
    max_memory: int = MOST_MEMORY,
) -> Stage[BytesLike, bytes]:
    """Decompress xz data: all streams, one after the other, in pieces of at most 256 KiB.

    Example:
        await sf.pipeline(files.read("dump.csv.xz"), xz.decompress(), csv.parse(), sink)

    Chunks of 4 KiB and more are worked off in a thread. Zeros between and after the streams are skipped, if they are
    a multiple of four as the format has it. The older `.lzma` files are not read.

    Args:
        max_output_bytes: the most bytes it may expand to; `None`: no limit. Memory is bounded in any case.
        max_ratio: how many times larger than its input the output may be, judged over each 16 MiB of output. Text is
            compressed 5 to 30 times, the most that is possible is about 7000. `None`: no limit.
        trailing: what to do with data behind the last stream that is no xz data: `"error"` or `"ignore"`.
        max_memory: the most bytes the library may take. The data says how many: 9 MiB if it was compressed at level 6,
            65 MiB at level 9, up to 4 GiB at options of its own. At least 1 MiB.

    Raises `FormatError` with the byte offset for data that is not xz, is damaged (also a wrong checksum) or is followed
    by something else; `TruncatedError` when it ends inside a stream, also when there is no data at all; `LimitExceeded`
    beyond the limits.

    The checksum comes last: what was handed on before it may be damaged. Sinks that commit at the end are safe.

    Cancellation: waits for the piece in the thread (some milliseconds).
    """
    make = partial(
        Decompressor, max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing, max_memory=max_memory
    )
    return decompress_stage(make, name="xz.decompress", thread_above=4 * 1024, memory=max_memory)
