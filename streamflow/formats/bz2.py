"""bzip2: `compress` and `decompress`, with every way a file can be cut, damaged or hostile made visible.

What lives here: the two stages, and the codecs behind them as public names. What must not: the work, which is in
`compression_compressor` and `compression_decompressor`; threads, which `engine.codecs` has.

It is here for files that are there already. New ones are read twenty times faster as `zstd`, at about the same size.
"""

from __future__ import annotations

import bz2
from functools import partial

from streamflow.formats.compression_compressor import BlocksCompressor, check_level
from streamflow.formats.compression_decompressor import MembersDecompressor
from streamflow.formats.compression_limits import Trailing
from streamflow.formats.compression_members import Format, LibraryMember
from streamflow.formats.compression_stages import compress_stage, decompress_stage
from streamflow.formats.pieces import BytesLike
from streamflow.stages import Stage

__all__ = ["Compressor", "Decompressor", "compress", "decompress"]

LEVELS = range(1, 10)
BLOCK = 256 * 1024
"""Bytes of input given to the library at once: some 15 milliseconds of work."""

COMPRESS_MEMORY = 8 << 20
DECOMPRESS_MEMORY = 4 << 20


class Compressor(BlocksCompressor):
    """Bytes to one bzip2 stream. One object serves one run; `compress` explains the argument.

    Example: `data = b"".join([*compressor.feed(b"rows"), *compressor.finish()])`.
    """

    def __init__(self, level: int = 9) -> None:
        """Check the level and make it for one run."""
        check_level(level, LEVELS, "1 (blocks of 100 KB) to 9 (blocks of 900 KB)")
        super().__init__("bz2.compress", partial(bz2.BZ2Compressor, level), block=BLOCK)


class Decompressor(MembersDecompressor):
    """A bzip2 file, of any number of streams, to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    format = Format(
        "bz2",
        "stream",
        tuple(b"BZh%d" % level for level in LEVELS),
        lambda: LibraryMember(bz2.BZ2Decompressor(), OSError),
    )


def compress(level: int = 9) -> Stage[BytesLike, bytes]:
    """Compress a stream of bytes into one bzip2 stream.

    Example:
        await sf.pipeline(rows, csv.format(), bz2.compress(), files.write("orders.csv.bz2"))

    The work is done in a thread of its own while the loop goes on: about 20 MB a second, whatever the level. The bytes
    are the same for the same data, however it is chunked. No data gives a valid file of zero bytes.

    Args:
        level: the size of the blocks that are sorted for themselves, in 100 KB: 1 to 9. Larger ones are smaller when
            compressed; 9 takes 8 MiB of memory, and 4 MiB to read it again.

    Raises `UsageError`, at once, for a level that cannot be.

    Cancellation: waits for the call in the thread (up to a tenth of a second). The trailer is written only after a
    clean end, so a stream that was cut short can never be mistaken for a whole one.
    """
    Compressor(level)
    return compress_stage(
        partial(Compressor, level), name="bz2.compress", thread_above=4 * 1024, block=BLOCK, memory=COMPRESS_MEMORY
    )


def decompress(
    *, max_output_bytes: int | None = None, max_ratio: float | None = 200, trailing: Trailing = "error"
) -> Stage[BytesLike, bytes]:
    """Decompress bzip2 data: all streams, one after the other, in pieces of at most 256 KiB.

    Example:
        await sf.pipeline(files.read("dump.xml.bz2"), bz2.decompress(), text.lines(), sink)

    All chunks are worked off in a thread: a single byte may complete a block of 900 KB.

    Args:
        max_output_bytes: the most bytes it may expand to; `None`: no limit. Memory is bounded in any case.
        max_ratio: how many times larger than its input the output may be, judged over each 16 MiB of output. Text is
            compressed 5 to 30 times, the most that is possible is above a million. `None`: no limit.
        trailing: what to do with data behind the last stream that is no bzip2 data: `"error"` or `"ignore"`.

    Raises `FormatError` with the byte offset for data that is not bzip2, is damaged (also a wrong checksum) or is
    followed by something else; `TruncatedError` when it ends inside a stream, also when there is no data at all;
    `LimitExceeded` beyond the limits.

    The checksum of all comes last: what was handed on before it may be damaged. Sinks that commit at the end are safe.

    Cancellation: waits for the block in the thread (up to a tenth of a second).
    """
    make = partial(Decompressor, max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing)
    return decompress_stage(make, name="bz2.decompress", thread_above=1, memory=DECOMPRESS_MEMORY)
