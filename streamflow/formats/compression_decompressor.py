"""Compressed data to bytes: the one decompressor behind gzip, zlib, deflate, zstd, bz2 and xz.

What lives here: parts (gzip calls them members, zstd frames, xz streams) one after the other, what stands between and
behind them, the guards against cut, damaged and hostile data. What must not: any one format, which is a `Format`;
threads, waiting.

How it works. Between two parts it looks at the first bytes: padding, a part that begins, or something else. A part is
read by a `Member` of its format. Each call of it may give at most 256 KiB, and the rest waits: so a small chunk that
expands to gigabytes is a long run of pieces under backpressure, not one allocation. The checksum stands at the end of a
part: what was given out before is only confirmed then, so sinks must not commit earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats.compression_limits import Limits, Trailing, check_trailing
from streamflow.formats.compression_members import OUTPUT, Format, Member
from streamflow.formats.pieces import PIECE, BytesLike, bytes_of, cut

__all__ = ["MembersDecompressor"]


class MembersDecompressor:
    """Compressed data, of any number of parts, to bytes. One object serves one run. A subclass names its format.

    Example: `data = b"".join([*decompressor.feed(chunk), *decompressor.finish()])`.
    """

    format: Format

    def __init__(
        self,
        *,
        max_output_bytes: int | None = None,
        max_ratio: float | None = 200,
        trailing: Trailing = "error",
    ) -> None:
        """Check the arguments and make it for one run."""
        check_trailing(trailing)
        self._limits = Limits(self.format.name, max_output_bytes, max_ratio)
        self._ignores_trailing = trailing == "ignore"
        self._member: Member | None = None
        self._over = False
        # What is too short for a decision waits for more.
        self._held = b""
        self._read = 0
        self._padding = 0
        self._members = 0

    def feed(self, data: BytesLike, /) -> Iterator[bytes]:
        """Take bytes; yield, lazily, pieces of at most 256 KiB."""
        for piece in cut(bytes_of(data, f"{self.format.name}.decompress"), PIECE):
            rest, more = self._held + piece, False
            self._held = b""
            while rest or more:
                if self._member is None:
                    rest = self._between(rest)
                    continue
                out, rest, more = self._inside(self._member, rest)
                if out:
                    yield out

    def finish(self) -> Iterable[bytes]:
        """Return nothing, or raise `TruncatedError` if a part has not ended."""
        ignores = self._ignores_trailing and self._members > 0
        odd = bool(self.format.padding) and self._padding % self.format.padding > 0
        if self._member is not None or (not ignores and (self._held or odd)):
            raise TruncatedError(
                f"the {self.format.name} data ends inside {self._number()}, after {self._read + len(self._held)} "
                f"bytes: its end is missing, and with it perhaps data"
            )
        if not (self._members or self.format.optional):
            raise TruncatedError(f"there is no {self.format.name} data: not a single byte")
        return ()

    # --- where the bytes may stand -----------------------------------------------------------------------------------

    def _between(self, data: bytes) -> bytes:
        """Before a part: padding, the first bytes of one, or something else. Return the rest."""
        if self._over:
            return b""
        if self._members and self.format.padding:
            data = self._unpadded(data)
        begins = self._begins(data)
        if begins is None:
            self._held, data = data, b""
        elif begins:
            self._member = self.format.begin()
        else:
            self._over = self._is_over(data)
        return data

    def _begins(self, data: bytes) -> bool | None:
        if not data:
            return None
        if self._members and (not self.format.several or self._padding % (self.format.padding or 1)):
            return False
        return self.format.begins(data)

    def _unpadded(self, data: bytes) -> bytes:
        rest = data.lstrip(b"\0")
        zeros = len(data) - len(rest)
        self._read += zeros
        self._padding += zeros
        return rest

    def _inside(self, member: Member, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return output, the rest, and whether there may be more output without more input."""
        try:
            out, rest = member.read(data)
        except FormatError as error:
            raise self._placed(error, self._read - member.unread) from None
        self._read += len(data) - len(rest)
        self._limits.judge(len(out), self._read, member.unread)
        if member.ended:
            self._member = None
            self._members += 1
            return out, rest, False
        if len(rest) == len(data) and not out:
            self._held, rest = rest, b""
        return out, rest, len(out) == OUTPUT or (member.unread > 0 and len(out) > 0)

    # --- what can be wrong -------------------------------------------------------------------------------------------

    def _is_over(self, data: bytes) -> bool:
        """Return `True` if what follows may be ignored, else raise the error about it."""
        if not self._members:
            raise FormatError(f"this is not {self.format.name} data: it starts with {data[:8]!r}")
        if self._ignores_trailing:
            return True
        raise FormatError(
            f"after {self.format.part} {self._members} of the {self.format.name} data, at byte {self._read}, comes "
            f"something else: {data[:8]!r}. To ignore what follows write trailing='ignore'"
        )

    def _placed(self, error: FormatError, at: int) -> FormatError:
        data, place = f"the {self.format.name} data", f"{self._number()}, near byte {at}: {error}"
        if isinstance(error, LimitExceeded):
            return LimitExceeded(f"{data} needs too much memory in {place}")
        return FormatError(f"{data} is damaged in {place}")

    def _number(self) -> str:
        return f"{self.format.part} {self._members + 1}"
