"""Chunks as they come to UTF-8, in which JSON is read.

What lives here: `Utf8`. What must not: JSON.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator

from streamflow.formats.pieces import PIECE, BytesLike, bytes_of, cut, refuse_item
from streamflow.formats.text import Decoder

__all__ = ["Utf8"]

MARK = codecs.BOM_UTF8


class Utf8:
    """Bytes in some encoding, or text, to bytes in UTF-8 without a byte order mark at the start.

    Bytes in UTF-8 are passed on as they are, not copied: whoever reads them sees whether they are UTF-8.

    Args:
        who: the stage, for errors.
        encoding: of chunks of bytes.
        errors: what to do with undecodable bytes.
        line: tells the line the reader is in, for errors.
    """

    def __init__(self, who: str, encoding: str, errors: str, *, line: Callable[[], int]) -> None:
        """Make it for one run; `UsageError` for an encoding or an error handler that does not exist."""
        self._who = who
        self._decoder = Decoder(encoding, errors, line=line)
        self._is_utf8 = self._decoder.encoding in ("utf-8", "utf-8-sig") and errors == "strict"
        self._kind: type[str | bytes] | None = None
        self._head: bytes | None = b""

    def feed(self, data: BytesLike | str, /) -> Iterable[bytes]:
        """Return the chunk in UTF-8, lazily."""
        chunk = data if isinstance(data, str) else bytes_of(data, self._who)
        if not chunk:
            return ()
        kind = type(chunk) if self._kind is None else self._kind
        if not isinstance(chunk, kind):
            return refuse_item(self._who, data, "one kind, bytes or str throughout")
        self._kind = str if isinstance(chunk, str) else bytes
        if isinstance(chunk, str):
            return self._without_mark(map(_encoded, cut(chunk, PIECE)))
        if self._is_utf8:
            return self._without_mark((chunk,))
        return map(_encoded, self._decoded(chunk))

    def finish(self) -> Iterable[bytes]:
        """Return what is left; `TruncatedError` when the data ends inside a character."""
        if self._is_utf8 or self._kind is str:
            head, self._head = self._head, None
            return (head,) if head else ()
        return map(_encoded, self._decoder.finish())

    def _decoded(self, chunk: bytes) -> Iterator[str]:
        for piece in cut(chunk, PIECE):
            yield from self._decoder.feed(piece)

    def _without_mark(self, chunks: Iterable[bytes]) -> Iterable[bytes]:
        return chunks if self._head is None else self._after_mark(chunks)

    def _after_mark(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            if self._head is not None:
                chunk = self._head + chunk  # noqa: PLW2901  # the mark may be cut in pieces
                self._head = chunk if len(chunk) < len(MARK) and MARK.startswith(chunk) else None
                if self._head is not None:
                    continue
                chunk = chunk.removeprefix(MARK)  # noqa: PLW2901
            if chunk:
                yield chunk


def _encoded(text: str) -> bytes:
    # What is no text (half of a surrogate pair) becomes bytes that are no UTF-8, and so an error with its line.
    return text.encode("utf-8", "surrogatepass")
