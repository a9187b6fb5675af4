"""Bytes to text: the codec behind `text.decode`.

What lives here: `Decoder`. What must not: waiting, and knowledge of what stands in the text.

How it works. The incremental decoders of the standard library keep the bytes of a character that is not complete yet.
On top of them: a byte order mark is skipped, a bad byte is an error that says where (the text before it is delivered
first), and data that ends inside a character is `TruncatedError` instead of a silent loss.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator

from streamflow.errors import FormatError, TruncatedError
from streamflow.formats.pieces import BytesLike, bytes_of
from streamflow.formats.text_encodings import check_errors, find_encoding

__all__ = ["Decoder"]


class Decoder:
    """Bytes in chunks of any size to text: the codec behind `decode`.

    Example: `text = "".join([*decoder.feed(chunk), *decoder.finish()])`.
    """

    def __init__(
        self, encoding: str = "utf-8", errors: str = "strict", *, line: Callable[[], int] | None = None
    ) -> None:
        """Make it for one run; see `decode` for the arguments. `line` tells the line for errors, or it is counted."""
        self.encoding = find_encoding(encoding)
        self.errors = check_errors(errors)
        self._line_now = line or self._count
        self._counts = line is None
        # A mark at the start is skipped for plain utf-8 too: as data it would stick to the first name of a header.
        self._decoder = codecs.getincrementaldecoder("utf-8-sig" if self.encoding == "utf-8" else self.encoding)(errors)
        self._fed = 0
        self._line = 1

    def feed(self, data: BytesLike, /) -> Iterable[str]:
        """Return the text that is complete by now. A bad byte is `FormatError` with its offset and line."""
        data = bytes_of(data, "text.decode")
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(data)
        except UnicodeError as error:
            return self._until(error, state, data)
        self._fed += len(data)
        if self._counts:
            self._line += text.count("\n")
        return (text,) if text else ()

    def finish(self) -> Iterable[str]:
        """Return what is left; `TruncatedError` when the data ends inside a character."""
        pending = self._decoder.getstate()[0]
        try:
            text = self._decoder.decode(b"", final=True)
            if not text and pending:
                # The standard library's utf-8-sig forgets one or two bytes that could have begun a mark.
                text = pending.decode(self.encoding, self.errors)
        except UnicodeError:
            raise TruncatedError(
                f"the data ends inside a character: the last {len(pending)} byte(s), from offset "
                f"{self._fed - len(pending)} (line {self._line_now()}), are not complete in {self.encoding}"
            ) from None
        return (text,) if text else ()

    def _count(self) -> int:
        return self._line

    def _until(self, error: UnicodeError, state: tuple[bytes, int], data: bytes) -> Iterator[str]:
        """Give the text before the bad byte, then raise."""
        good = _good(error, state, data)
        if good > 0:
            self._decoder.setstate(state)
            try:
                text = self._decoder.decode(data[:good])
            except UnicodeError as earlier:
                # utf-16 and utf-32 miss their mark only after they have decoded what follows.
                error, text, good = earlier, "", _good(earlier, state, data[:good])
            self._line += text.count("\n")
            yield from (text,) if text else ()
        raise FormatError(
            f"{_reason(error)} at byte offset {self._fed + good} (line {self._line_now()}): the data is not "
            f"{self.encoding}. Pass the encoding it has, or errors='replace' to go on with U+FFFD"
        ) from None


def _good(error: UnicodeError, state: tuple[bytes, int], data: bytes) -> int:
    """Return how much of a chunk is good; less than nothing where the fault is in what was pending before it."""
    if isinstance(error, UnicodeDecodeError):
        # What the codec complains about is its pending bytes and the chunk, so count from the end.
        return len(data) - (len(error.object) - error.start)
    return -len(state[0])


def _reason(error: UnicodeError) -> str:
    if "BOM" in str(error):  # UnicodeError up to Python 3.12, then UnicodeDecodeError, in words that differ
        return "undecodable bytes (UTF-16 and UTF-32 start with a byte order mark, BOM, and there is none)"
    if isinstance(error, UnicodeDecodeError):
        return f"byte 0x{error.object[error.start]:02x} ({error.reason})"
    return f"undecodable bytes ({error})"
