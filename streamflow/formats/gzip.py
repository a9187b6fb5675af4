"""gzip: `compress` and `decompress`, with every way a file can be cut, damaged or hostile made visible.

What lives here: two codecs over zlib (or isal, where the extra `fast` is installed) and their stages. What must not: waiting, threads
(`engine.codecs` has them), files.

How it works. Compression cuts its input into blocks of a fixed size, so the bytes that come out depend on the bytes that went in
and not on how they were chunked; the header has no time in it unless asked. The trailer, which makes a file whole, is
written by `finish` alone, and `finish` is only called at a clean end.

Decompression reads one member after the other. Each call of zlib may give at most 256 KiB, and the rest waits in the input, so a
small chunk that expands to gigabytes is a long run of pieces under backpressure, not one allocation. The checksum stands at the
end of a member: what was given out before is only confirmed then, so sinks must not commit earlier (they do not).
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from streamflow.engine.codecs import codec_stage
from streamflow.errors import FormatError, LimitExceeded, TruncatedError, UsageError
from streamflow.formats.pieces import PIECE, BytesLike, bytes_of, cut
from streamflow.limits import check_capacity
from streamflow.stages import Stage

__all__ = ["Compressor", "Decompressor", "compress", "decompress"]

BLOCK = 128 * 1024
"""Bytes of input given to the compressor at once."""

OUTPUT = 256 * 1024
"""The most bytes one call of the decompressor may give."""

RATIO_WINDOW = 16 << 20
"""Bytes of output over which the ratio is judged."""

MAGIC = b"\x1f\x8b"

# The extra `fast`: the same interface, and the same format, some times faster.
_isal: Any = importlib.import_module("isal.isal_zlib") if importlib.util.find_spec("isal") else None


class Compressor:
    """Bytes to one gzip member. One object serves one run; `compress` explains the arguments.

    Example: `data = b"".join([*compressor.feed(b"rows"), *compressor.finish()])`.
    """

    def __init__(self, level: int = 6, *, mtime: int = 0) -> None:
        """Check the arguments and make it for one run."""
        if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 9:
            raise UsageError(f"level must be a whole number from 0 (stored) to 9 (smallest), not {level!r}")
        if isinstance(mtime, bool) or not isinstance(mtime, int) or not 0 <= mtime < 1 << 32:
            raise UsageError(f"mtime must be a time in whole seconds since 1970, 0 for none; not {mtime!r}")
        library = _isal if _isal is not None and 1 <= level <= 3 else zlib
        self._deflate = library.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc32 = library.crc32
        self._crc = 0
        self._length = 0
        self._held: list[bytes] = []
        self._size = 0
        strength = {1: 4, 9: 2}.get(level, 0)
        self._head = struct.pack("<2sBBLBB", MAGIC, zlib.DEFLATED, 0, mtime, strength, 255)

    def feed(self, data: BytesLike, /) -> Iterator[bytes]:
        """Take bytes; return, lazily, what is compressed by now."""
        return itertools.chain.from_iterable(map(self._add, cut(bytes_of(data, "gzip.compress"), BLOCK)))

    def finish(self) -> Iterator[bytes]:
        """Return the rest and the trailer. Without any data this is a valid member of zero bytes."""
        last = self._deflated(b"".join(self._held)) + self._deflate.flush()
        yield self._head + last + struct.pack("<LL", self._crc, self._length & 0xFFFFFFFF)

    def _add(self, piece: bytes) -> Iterable[bytes]:
        self._held.append(piece)
        self._size += len(piece)
        if self._size < BLOCK:
            return ()
        data = b"".join(self._held)
        self._held, self._size = [data[BLOCK:]], len(data) - BLOCK
        out = self._deflated(data[:BLOCK])
        if not out:
            return ()
        out, self._head = self._head + out, b""
        return (out,)

    def _deflated(self, block: bytes) -> bytes:
        self._crc = self._crc32(block, self._crc)
        self._length += len(block)
        deflated: bytes = self._deflate.compress(block)
        return deflated


class Decompressor:
    """A gzip file, of any number of members, to bytes. One object serves one run; `decompress` explains the arguments.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    def __init__(
        self,
        *,
        max_output_bytes: int | None = None,
        max_ratio: float | None = 200,
        trailing: Literal["error", "ignore"] = "error",
    ) -> None:
        """Check the arguments and make it for one run."""
        if max_output_bytes is not None:
            check_capacity("max_output_bytes", max_output_bytes)
        if max_ratio is not None:
            check_capacity("max_ratio", max_ratio, whole=False)
        if trailing not in ("error", "ignore"):
            raise UsageError(f"trailing={trailing!r} is neither 'error' nor 'ignore'")
        self._max_output = max_output_bytes
        self._max_ratio = max_ratio
        self._ignores_trailing = trailing == "ignore"
        self._library = _isal or zlib
        self._member: Any = None
        self._members = 0
        self._ended = False
        self._held = b""
        # Bytes read and given out, and where both stood when the ratio was last judged.
        self._read = 0
        self._given = 0
        self._judged = (0, 0)

    def feed(self, data: BytesLike, /) -> Iterator[bytes]:
        """Take bytes; yield, lazily, pieces of at most 256 KiB."""
        for piece in cut(bytes_of(data, "gzip.decompress"), PIECE):
            rest = self._held + piece
            self._held = b""
            while rest and not self._ended:
                if self._member is None:
                    rest = self._next_member(rest)
                else:
                    out, rest = self._step(rest)
                    yield from out

    def finish(self) -> Iterator[bytes]:
        """Return nothing, or raise `TruncatedError` if a member has not ended."""
        while self._member is not None:
            # zlib may have read everything and still hold output that there was no room for.
            out, _ = self._step(b"")
            if not out:
                break
            yield from out
        if self._member is not None or self._held:
            raise TruncatedError(
                f"the gzip data ends inside member {self._members + bool(self._held)}, after {self._read + len(self._held)} bytes: "
                f"its trailer is missing, so the end of the data is missing"
            )

    def _step(self, data: bytes) -> tuple[tuple[bytes, ...], bytes]:
        """Decompress once; return the output, if any, and the input that is left."""
        member = self._member
        try:
            out = member.decompress(data, OUTPUT)
        except self._library.error as error:
            raise FormatError(
                f"the gzip data is damaged in member {self._members}, near byte {self._read}: {error}"
            ) from None
        rest = member.unused_data if member.eof else member.unconsumed_tail
        if member.eof:
            self._member = None
        self._read += len(data) - len(rest)
        self._given += len(out)
        self._guard()
        return ((out,) if out else ()), rest

    def _next_member(self, data: bytes) -> bytes:
        """Start the next member, past the zeros that may pad a file; return what is left of the input."""
        if self._members:
            rest = data.lstrip(b"\0")
            self._read += len(data) - len(rest)
            data = rest
        if data == MAGIC[:1]:
            self._held = data
            return b""
        if data and self._members and not data.startswith(MAGIC):
            return self._trailing(data)
        if data:
            self._members += 1
            self._member = self._library.decompressobj(zlib.MAX_WBITS + 16)
        return data

    def _trailing(self, data: bytes) -> bytes:
        if not self._ignores_trailing:
            raise FormatError(
                f"after member {self._members} of the gzip data, at byte {self._read}, comes something else: {data[:8]!r}. "
                f"To ignore what follows write trailing='ignore'"
            )
        self._ended = True
        return b""

    def _guard(self) -> None:
        if self._max_output is not None and self._given > self._max_output:
            raise LimitExceeded(
                f"the gzip data expands to more than max_output_bytes={self._max_output}; "
                f"it stood at byte {self._read} of the input"
            )
        read, given = self._judged
        if self._given - given < RATIO_WINDOW:
            return
        ratio = (self._given - given) / max(1, self._read - read)
        if self._max_ratio is not None and ratio > self._max_ratio:
            raise LimitExceeded(
                f"the gzip data expands {ratio:.0f} times near byte {self._read}, more than max_ratio={self._max_ratio:g}: "
                f"this may be a decompression bomb. If it is not, pass a larger max_ratio, or None"
            )
        self._judged = (self._read, self._given)


def compress(level: int = 6, *, mtime: int = 0) -> Stage[BytesLike, bytes]:
    """Compress a stream of bytes into one gzip member.

    Example:
        await sf.pipeline(rows, csv.format(), gzip.compress(), objects.write("s3://bucket/orders.csv.gz"))

    The work is done in a thread of its own while the loop goes on. The bytes are the same for the same data, however it is
    chunked, and for any time and machine with the same library. No data gives a valid file of zero bytes.

    Args:
        level: 0 (stored), 1 (fastest) to 9 (smallest). With the extra `fast`, 1 to 3 are done by isal: about ten times faster
            than 6, and some 10 % larger.
        mtime: the time to put into the header, in seconds since 1970; 0 for none, so that equal data gives equal files.

    Raises `UsageError`, at once, for a level or a time that cannot be.

    Cancellation: waits for the block in the thread (some milliseconds). The trailer is written only after a clean end, so a stream
    that was cut short can never be mistaken for a whole one.
    """
    Compressor(level, mtime=mtime)
    return codec_stage(
        lambda: Compressor(level, mtime=mtime), name="gzip.compress", thread_above=8 * 1024, gather=256 * 1024, holds=BLOCK
    )


def decompress(
    *,
    max_output_bytes: int | None = None,
    max_ratio: float | None = 200,
    trailing: Literal["error", "ignore"] = "error",
) -> Stage[BytesLike, bytes]:
    """Decompress gzip data: all members, one after the other, in pieces of at most 256 KiB.

    Example:
        await sf.pipeline(objects.read("s3://bucket/orders.csv.gz"), gzip.decompress(), csv.parse(), sink)

    Chunks of 64 KiB and more are worked off in a thread. Zeros between and after the members are skipped. No data at all gives
    no data, as the standard library has it.

    Args:
        max_output_bytes: the most bytes it may expand to; `None`: no limit. Memory is bounded in any case.
        max_ratio: how many times larger than its input the output may be, judged over each 16 MiB of output. Text is compressed 5
            to 20 times, the most that is possible is about 1030. `None`: no limit.
        trailing: what to do with data behind the last member that is no gzip data: `"error"` or `"ignore"`.

    Raises `FormatError` with the byte offset for data that is not gzip, is damaged (also a wrong checksum) or is followed by
    something else; `TruncatedError` when it ends inside a member; `LimitExceeded` beyond the limits.

    The checksum comes last: what was handed on before it may be damaged. Sinks that commit at the end are safe.

    Cancellation: waits for the piece in the thread (about a millisecond).
    """

    def make() -> Decompressor:
        return Decompressor(max_output_bytes=max_output_bytes, max_ratio=max_ratio, trailing=trailing)

    make()
    return codec_stage(make, name="gzip.decompress", thread_above=64 * 1024, holds=OUTPUT + PIECE)
