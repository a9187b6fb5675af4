"""Bytes to a gzip file: the codecs behind `gzip.compress`.

What lives here: the header with its time. What must not: deflating, which is in `deflate_compressor`.

The header has no time in it unless asked, so that equal data gives equal files.
"""

from __future__ import annotations

from streamflow.errors import UsageError
from streamflow.formats.compression_compressor import BLOCK
from streamflow.formats.deflate_compressor import DeflateCompressor, ParallelDeflateCompressor, check_deflate_level
from streamflow.formats.deflate_wrapping import GZIP
from streamflow.formats.gzip_header import plain_header

__all__ = ["BLOCK", "Compressor", "ParallelCompressor", "check_options"]


class Compressor(DeflateCompressor):
    """Bytes to one gzip member. One object serves one run; `compress` explains the arguments.

    Example: `data = b"".join([*compressor.feed(b"rows"), *compressor.finish()])`.
    """

    def __init__(self, level: int = 6, *, mtime: int = 0) -> None:
        """Check the arguments and make it for one run."""
        check_options(level, mtime)
        super().__init__(GZIP, level, plain_header(level, mtime))


class ParallelCompressor(ParallelDeflateCompressor):
    """Bytes to calls that give one gzip member: they may be made in any threads, their results go out in order."""

    def __init__(self, level: int = 6, *, mtime: int = 0) -> None:
        """Check the arguments and make it for one run."""
        check_options(level, mtime)
        super().__init__(GZIP, level, plain_header(level, mtime))


def check_options(level: object, mtime: object) -> None:
    """Refuse a level or a time that cannot be, with `UsageError`."""
    check_deflate_level(level)
    if isinstance(mtime, bool) or not isinstance(mtime, int) or not 0 <= mtime < 1 << 32:
        raise UsageError(f"mtime must be a time in whole seconds since 1970, 0 for none; not {mtime!r}")
