"""Chunks of text or bytes to the pieces between delimiters: the codec behind `text.split`.

What lives here: `Splitter`. What must not: knowledge of what stands in the pieces.

How it works. Of a piece that has not ended, the last characters may be the beginning of a delimiter: one fewer than the
delimiter has. These stay in front of the next chunk and are looked at again; what stands before them is put aside and
never looked at twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from streamflow.errors import LimitExceeded, UsageError
from streamflow.formats.pieces import PIECE, and_then, cut, refuse_item
from streamflow.formats.text_held import Held
from streamflow.limits import check_capacity

__all__ = ["Splitter"]

Text = TypeVar("Text", str, bytes)


class Splitter(Generic[Text]):
    """Chunks to pieces. One object serves one run; `split` explains the arguments.

    Example: `pieces = [*splitter.feed(chunk), *splitter.finish()]`.
    """

    def __init__(self, delimiter: Text, *, max_length: int = 1 << 20) -> None:
        """Make it for one run."""
        check_capacity("max_length", max_length)
        given: Any = delimiter
        if not isinstance(given, str | bytes) or not given:
            raise UsageError(f"delimiter={delimiter!r} must be text or bytes, of one character at least")
        self._delimiter: Text = delimiter
        self._max = max_length
        self._held: Held[Text] = Held(self._delimiter[:0])
        self._tail: Text = self._delimiter[:0]
        self._number = 1

    def feed(self, data: Text, /) -> Iterable[Text]:
        """Return the pieces that are complete by now. One beyond the limit is `LimitExceeded` with its number."""
        given: Any = data
        if isinstance(given, bytearray | memoryview):
            given = bytes(given)
        wanted: Any = self._delimiter
        if not isinstance(given, type(wanted)):
            refuse_item("text.split", data, "str" if isinstance(wanted, str) else "bytes")
        return itertools.chain.from_iterable(map(self._split, cut(given, PIECE)))

    def finish(self) -> Iterable[Text]:
        """Return the last piece if no delimiter ended it."""
        last = self._held.take(self._tail)
        if len(last) > self._max:
            raise self._too_long(self._number)
        return (last,) if last else ()

    def _split(self, chunk: Text) -> Iterable[Text]:
        parts = (self._tail + chunk).split(self._delimiter)
        rest = parts.pop()
        if parts:
            parts[0] = self._held.take(parts[0])
        self._put_aside(rest)
        return self._checked(parts)

    def _put_aside(self, rest: Text) -> None:
        sure = max(0, len(rest) - len(self._delimiter) + 1)
        self._tail = rest[sure:]
        if sure:
            self._held.put(rest[:sure])

    def _checked(self, found: list[Text]) -> Iterable[Text]:
        if found and max(map(len, found)) > self._max:
            at = next(at for at, piece in enumerate(found) if len(piece) > self._max)
            return and_then(found[:at], self._too_long(self._number + at))
        self._number += len(found)
        return and_then(found, self._too_long(self._number)) if self._held.size > self._max else found

    def _too_long(self, number: int) -> LimitExceeded:
        return LimitExceeded(
            f"piece {number} is longer than max_length={self._max}; if such pieces are expected, pass a larger "
            f"max_length, else look whether the delimiter {self._delimiter!r} is right"
        )
