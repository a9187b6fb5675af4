"""Bytes to text, text to bytes, and either of them to lines.

What lives here: the codecs for characters, and the stages `decode`, `encode` and `lines`.
What must not: waiting, and knowledge of what stands in the lines.

How it works. The incremental codecs of the standard library keep the bytes of a character that is not complete yet. On
top of them: a byte order mark is skipped, a bad byte is an error that says where (the text before it is delivered
first), and data that ends inside a character is `TruncatedError` instead of a silent loss.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from streamflow.engine.codecs import codec_stage
from streamflow.errors import FormatError, TruncatedError, UsageError
from streamflow.formats.lines import LineSplitter
from streamflow.formats.pieces import BytesLike, bytes_of, refuse_item
from streamflow.stages import Stage

__all__ = ["Decoder", "Encoder", "LineSplitter", "decode", "encode", "lines"]

Text = TypeVar("Text", str, bytes)


def find_encoding(name: str) -> str:
    """Return Python's own name of a text encoding, or raise `UsageError`."""
    try:
        info = codecs.lookup(name)
    except (LookupError, TypeError):
        raise UsageError(
            f"encoding={name!r} is not known to Python; write the name of a codec, such as 'utf-8'"
        ) from None
    if not getattr(info, "_is_text_encoding", True):
        raise UsageError(f"encoding={name!r} is not a text encoding; write one such as 'utf-8'")
    return info.name


def check_errors(name: str) -> str:
    """Return the name of an error handler (`strict`, `replace`, ...) that exists, or raise `UsageError`."""
    try:
        codecs.lookup_error(name)
    except (LookupError, TypeError):
        raise UsageError(f"errors={name!r} is not known to Python; write 'strict' or 'replace'") from None
    return name


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
        # What the codec complains about is its pending bytes and the chunk, so count from the end.
        bad = len(error.object) - error.start if isinstance(error, UnicodeDecodeError) else len(data)
        if (good := len(data) - bad) > 0:
            self._decoder.setstate(state)
            text = self._decoder.decode(data[:good])
            self._line += text.count("\n")
            yield text
        raise FormatError(
            f"{_reason(error)} at byte offset {self._fed + good} (line {self._line_now()}): the data is not "
            f"{self.encoding}. Pass the encoding it has, or errors='replace' to go on with U+FFFD"
        ) from None


def _reason(error: UnicodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte 0x{error.object[error.start]:02x} ({error.reason})"
    return f"undecodable bytes ({error})"


class Encoder:
    """Text in chunks of any size to bytes: the codec behind `encode`."""

    def __init__(self, encoding: str = "utf-8", errors: str = "strict") -> None:
        """Make it for one run; see `encode` for the arguments."""
        self.encoding = find_encoding(encoding)
        self.errors = check_errors(errors)
        self._encoder = codecs.getincrementalencoder(self.encoding)(errors)
        self._fed = 0
        self._line = 1

    def feed(self, data: str, /) -> Iterable[bytes]:
        """Return the bytes of one chunk. A character that the encoding lacks is `FormatError` with its place."""
        if not isinstance(data, str):
            refuse_item("text.encode", data, "str")
        state = self._encoder.getstate()
        try:
            encoded = self._encoder.encode(data)
        except UnicodeEncodeError as error:
            return self._until(error, state, data)
        self._fed += len(data)
        self._line += data.count("\n")
        return (encoded,) if encoded else ()

    def finish(self) -> Iterable[bytes]:
        """Return what closes the text in encodings that switch states, or nothing."""
        encoded = self._encoder.encode("", final=True)
        return (encoded,) if encoded else ()

    def skip(self, characters: int, newlines: int, /) -> None:
        """Count text that somebody else has encoded, so that errors name the right place."""
        self._fed += characters
        self._line += newlines

    def _until(self, error: UnicodeEncodeError, state: Any, data: str) -> Iterator[bytes]:
        good = data[: error.start]
        self._encoder.setstate(state)
        if encoded := self._encoder.encode(good):
            yield encoded
        raise FormatError(
            f"character U+{ord(error.object[error.start]):04X} at character {self._fed + error.start} "
            f"(line {self._line + good.count(chr(10))}) cannot be written in {self.encoding}: {error.reason}. "
            f"Choose encoding='utf-8', or errors='replace'"
        ) from None


def decode(encoding: str = "utf-8", errors: str = "strict") -> Stage[BytesLike, str]:
    """Turn chunks of bytes into chunks of text, wherever the chunks are cut.

    Example: `sf.pipeline(files.read("words.txt"), text.decode(), text.lines(), sf.collect())`.

    Args:
        encoding: a Python text encoding. With utf-8 (and utf-16, utf-32) a byte order mark at the start is skipped.
        errors: what to do with undecodable bytes: `strict` (an error), `replace`, `ignore`, `surrogateescape`, ...

    Raises `FormatError` with byte offset and line for bytes that are not in the encoding, after the text before them
    was delivered; `TruncatedError` when the data ends inside a character; `UsageError` for an unknown encoding.

    Cancellation: it never waits, so it is never caught in the middle; bytes of an incomplete character are dropped.
    """
    Decoder(encoding, errors)
    return codec_stage(lambda: Decoder(encoding, errors), name="text.decode")


def encode(encoding: str = "utf-8", errors: str = "strict") -> Stage[str, bytes]:
    """Turn chunks of text into chunks of bytes.

    Example: `sf.pipeline(words, text.encode("latin-1"), files.write("words.txt"))`.

    Args:
        encoding: a Python text encoding. `utf-8-sig` and `utf-16` write one byte order mark, at the start.
        errors: what to do with characters that the encoding lacks: `strict` (an error), `replace`, `xmlcharrefreplace`,
            ...

    Raises `FormatError` with the character and its line; `UsageError` for an unknown encoding.

    Cancellation: it never waits, so it is never caught in the middle.
    """
    Encoder(encoding, errors)
    return codec_stage(lambda: Encoder(encoding, errors), name="text.encode")


def lines(max_length: int = 1 << 20, *, keepends: bool = False) -> Stage[Text, Text]:
    r"""Turn chunks of text (or of bytes) into lines; they end at `\n` or `\r\n` and at nothing else.

    Example: `sf.pipeline(files.read("app.log"), text.decode(), text.lines(), sf.filter(is_error), sink)`.

    The last line is emitted even if no newline ends it. A lone `\r` is data.

    Args:
        max_length: the longest line accepted, in characters (bytes for bytes), without its line end.
        keepends: whether the lines keep their line ends.

    Raises `LimitExceeded` that names the line's number, after the lines before it were delivered; nothing is skipped
    silently.

    Cancellation: it never waits; a line that is not complete yet is dropped.
    """
    LineSplitter[Text](max_length, keepends=keepends)
    return codec_stage(lambda: LineSplitter[Text](max_length, keepends=keepends), name="text.lines")
