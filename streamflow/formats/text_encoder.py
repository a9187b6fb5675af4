"""Text to bytes: the codec behind `text.encode`.

What lives here: `Encoder`. What must not: waiting, and knowledge of what stands in the text.

A character that the encoding lacks is an error that says where; the text before it is delivered first.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from typing import Any

from streamflow.errors import FormatError
from streamflow.formats.pieces import refuse_item
from streamflow.formats.text_encodings import check_errors, find_encoding

__all__ = ["Encoder"]


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
