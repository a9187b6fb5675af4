"""Bytes to text, text to bytes, either of them to lines or other pieces, and back.

What lives here: the stages `decode`, `encode`, `lines`, `split` and `join`, and the codecs behind them as public names.
What must not: the work, which is in `text_decoder`, `text_encoder`, `lines`, `text_splitter` and `text_joiner`.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast, overload

from streamflow.engine.codecs import codec_stage
from streamflow.formats.lines import LineSplitter
from streamflow.formats.pieces import BytesLike
from streamflow.formats.text_decoder import Decoder
from streamflow.formats.text_encoder import Encoder
from streamflow.formats.text_joiner import Inside, Joiner
from streamflow.formats.text_splitter import Splitter
from streamflow.machinery.stage_shapes import Passing
from streamflow.stages import Stage

__all__ = ["Decoder", "Encoder", "Joiner", "LineSplitter", "Splitter", "decode", "encode", "join", "lines", "split"]


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


def lines(max_length: int = 1 << 20, *, keepends: bool = False) -> Passing[str | bytes]:
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
    make: Any = partial(LineSplitter, max_length, keepends=keepends)
    make()
    # To a type checker it gives what it takes: text for text, bytes for bytes.
    return cast("Passing[str | bytes]", codec_stage(make, name="text.lines"))


@overload
def split(delimiter: str, *, max_length: int = ...) -> Stage[str, str]: ...
@overload
def split(delimiter: bytes, *, max_length: int = ...) -> Stage[BytesLike, bytes]: ...
def split(delimiter: Any, *, max_length: int = 1 << 20) -> Stage[Any, Any]:
    r"""Turn chunks of text (or of bytes) into the pieces between delimiters of any length.

    Example: `sf.pipeline(processes.read("find", ".", "-print0"), text.split(b"\0"), sink)`.

    A delimiter ends a piece, as a newline ends a line: `a;b;` and `a;b` are two pieces, `a;;b` are three. It is found
    wherever the chunks are cut, from the left, as `str.split` finds it. For lines take `lines`, which knows `\r\n` too.

    Args:
        delimiter: what ends a piece; `str` for items of text, `bytes` for items of bytes. It is not part of the piece.
        max_length: the longest piece accepted, in characters (bytes for bytes), without its delimiter.

    Raises `LimitExceeded` that names the piece's number, after the pieces before it were delivered; `UsageError` for an
    empty delimiter, or one that is not of the kind of the items.

    Cancellation: it never waits; a piece that is not complete yet is dropped.
    """
    make: Any = partial(Splitter, delimiter, max_length=max_length)
    make()
    return codec_stage(make, name="text.split")


@overload
def join(end: str = ..., *, inside: Inside = ...) -> Passing[str | bytes]: ...
@overload
def join(end: bytes, *, inside: Inside = ...) -> Stage[BytesLike, bytes]: ...
def join(end: str | bytes = "\n", *, inside: Inside = "error") -> Stage[Any, Any]:
    r"""Put a line end behind each item: the counterpart of `lines`, or of `split` for another end.

    Example: `sf.pipeline(names, text.join(), text.encode(), files.write("names.txt"))`.

    What it writes, `lines` (or `split` with the same delimiter) reads back as the same items. So an item that would be
    read back as several is an error. An empty item is an empty line.

    Args:
        end: what to put behind each item; `str` serves items of text and of bytes (as utf-8), `bytes` only bytes.
        inside: what to do with an item that has a line end inside, or would form one with `end`: `"error"`, or `"keep"`
            to write it as it is.

    Raises `FormatError` that names the item's number, after the items before it were delivered; `UsageError` for an
    empty end.

    Cancellation: it never waits, so a line is given whole or not at all.
    """
    make: Any = partial(Joiner, end, inside=inside)
    make()
    return codec_stage(make, name="text.join")
