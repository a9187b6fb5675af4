"""Compressed data of any format to bytes: the format is seen by the first bytes.

What lives here: the stage `decompress` and the codec behind it. What must not: the formats, which are modules of their
own. There is no `compress` here: which format to write is a decision, so its stage is named for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import Literal, TypeAlias

from streamflow.errors import FormatError, TruncatedError, UsageError
from streamflow.formats import bz2, gzip, xz, zlib, zstd
from streamflow.formats.compression_decompressor import MembersDecompressor
from streamflow.formats.compression_limits import Trailing
from streamflow.formats.compression_stages import decompress_stage
from streamflow.formats.pieces import BytesLike, bytes_of
from streamflow.stages import Stage

__all__ = ["Decompressor", "decompress"]

Name: TypeAlias = Literal["bz2", "gzip", "xz", "zlib", "zstd"]
Plain: TypeAlias = Literal["error", "pass"]

DECOMPRESSORS: dict[str, type[MembersDecompressor]] = {
    "gzip": gzip.Decompressor,
    "zstd": zstd.Decompressor,
    "bz2": bz2.Decompressor,
    "xz": xz.Decompressor,
    "zlib": zlib.Decompressor,
}
STRONG: tuple[Name, ...] = ("gzip", "zstd", "bz2", "xz")
"""Formats that begin with two rare bytes at least. One in a thousand pairs of bytes could begin a zlib stream."""


class Decompressor:
    """Data of any of the formats to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    def __init__(
        self,
        *,
        formats: Collection[Name] = STRONG,
        plain: Plain = "error",
        max_output_bytes: int | None = None,
        max_ratio: float | None = 200,
        trailing: Trailing = "error",
    ) -> None:
        """Check the arguments and make it for one run."""
        check_formats(formats)
        if plain not in ("error", "pass"):
            raise UsageError(f"plain={plain!r} is neither 'error' nor 'pass'")

        def made(kind: type[MembersDecompressor]) -> MembersDecompressor:
            return kind(max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing)

        made(gzip.Decompressor)
        self._made = made
        self._formats = formats
        self._passes = plain == "pass"
        self._codec: MembersDecompressor | Plainly | None = None
        # The first bytes, until they are enough to tell.
        self._head = b""

    def feed(self, data: BytesLike, /) -> Iterator[bytes]:
        """Take bytes; yield, lazily, what they are when decompressed."""
        if self._codec is None:
            data = self._head = self._head + bytes_of(data, "compression.decompress")
            self._codec = self._chosen(self._head)
        if self._codec is not None:
            yield from self._codec.feed(data)

    def finish(self) -> Iterable[bytes]:
        """Yield what was too short to tell, or raise `TruncatedError` if the data cannot end here."""
        if self._codec is not None:
            return self._codec.finish()
        if self._passes:
            return (self._head,) if self._head else ()
        raise TruncatedError(f"the data ends after {len(self._head)} bytes, before its format can be seen")

    def _chosen(self, head: bytes) -> MembersDecompressor | Plainly | None:
        """Return the codec for data that begins so; `None` if it is too short to tell."""
        begins = {name: DECOMPRESSORS[name].format.begins(head) for name in self._formats}
        for name, is_it in begins.items():
            if is_it:
                return self._made(DECOMPRESSORS[name])
        if None in begins.values():
            return None
        if self._passes:
            return Plainly()
        raise FormatError(
            f"the data is none of {', '.join(begins)}: it starts with {head[:8]!r}. If it may also come as it is, "
            f"write plain='pass'"
        )


class Plainly:
    """Data that is not compressed, as it is."""

    def feed(self, data: BytesLike, /) -> Iterable[bytes]:
        """Return it."""
        return (bytes_of(data, "compression.decompress"),)

    def finish(self) -> Iterable[bytes]:
        """Return nothing."""
        return ()


def decompress(
    *,
    formats: Collection[Name] = STRONG,
    plain: Plain = "error",
    max_output_bytes: int | None = None,
    max_ratio: float | None = 200,
    trailing: Trailing = "error",
) -> Stage[BytesLike, bytes]:
    """Decompress data whose format is not known beforehand: its first bytes say it.

    Example:
        await sf.pipeline(uploaded, compression.decompress(plain="pass"), csv.parse(), sink)

    After that it is the `decompress` of the format: all parts of that one format, one after the other. Chunks of 4 KiB
    and more are worked off in a thread.

    Args:
        formats: those that are looked for: of `"gzip"`, `"zstd"`, `"bz2"`, `"xz"`, which all begin with bytes of their
            own (`bz2` with the text BZh), and `"zlib"`, which is not asked for by default: text may begin like it
            (`x^`, or `8c`). Raw deflate cannot be told from anything.
        plain: what to do with data that is none of them: `"error"`, or `"pass"` it on as it is.
        max_output_bytes: the most bytes it may expand to; `None`: no limit. Memory is bounded in any case. Data that is
            passed on is not limited.
        max_ratio: how many times larger than its input the output may be, judged over each 16 MiB of output. `None`: no
            limit.
        trailing: what to do with data behind the last part that is no such data: `"error"` or `"ignore"`.

    Raises `UsageError`, at once, for a format that is none; `FormatError` for data that is none of the formats, and as
    the format's own stage does; `TruncatedError` for data that ends before its format can be seen, also when there is
    no data at all (with `plain="pass"` that is passed on); `MissingExtra` for zstd where it is not installed: at once
    if it was asked for by name, else when it is met.

    Cancellation: waits for the piece in the thread (a millisecond, for bz2 up to a tenth of a second).
    """
    check_formats(formats)
    if "zstd" in formats and formats is not STRONG:
        zstd.Decompressor()
    make = partial(
        Decompressor,
        formats=formats,
        plain=plain,
        max_output_bytes=max_output_bytes,
        max_ratio=max_ratio,
        trailing=trailing,
    )
    return decompress_stage(make, name="compression.decompress", thread_above=4 * 1024, memory=xz.MOST_MEMORY)


def check_formats(formats: object) -> None:
    """Refuse formats that cannot be told by their first bytes, with `UsageError`."""
    if isinstance(formats, str) or not isinstance(formats, Collection) or not formats:
        raise UsageError(f"formats={formats!r} is no list of formats: write formats=['gzip', 'zstd']")
    for name in formats:
        if name not in tuple(DECOMPRESSORS):
            raise UsageError(f"formats: {name!r} is none of {', '.join(DECOMPRESSORS)}")
