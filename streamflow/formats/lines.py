r"""Chunks of text or bytes to lines: the codec behind `text.lines`.

What lives here: `LineSplitter`. What must not: knowledge of what stands in the lines.

Lines end at `\n` or `\r\n` only: `str.splitlines` would also split at U+2028, form feeds and others, which are data.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from streamflow.errors import LimitExceeded
from streamflow.formats.pieces import PIECE, and_then, bytes_of, cut, refuse_item
from streamflow.formats.text_held import Held
from streamflow.limits import check_capacity

__all__ = ["LineSplitter"]

Text = TypeVar("Text", str, bytes)


class LineSplitter(Generic[Text]):
    """Chunks of text or of bytes to lines: the codec behind `lines`."""

    def __init__(self, max_length: int = 1 << 20, *, keepends: bool = False) -> None:
        """Make it for one run; see `lines` for the arguments."""
        check_capacity("max_length", max_length)
        self._max = max_length
        self._keepends = keepends
        self._held: Held[Any] = Held("")
        self._ends_in_return = False
        self._number = 1
        self._newline: Any = None
        self._return: Any = None

    def feed(self, data: Text, /) -> Iterable[Text]:
        """Return the lines that are complete by now. A line beyond the limit is `LimitExceeded` with its number."""
        given: Any = data
        chunk: Any = given if isinstance(given, str) else bytes_of(given, "text.lines")
        if self._newline is None:
            self._newline, self._return = ("\n", "\r") if isinstance(chunk, str) else (b"\n", b"\r")
            self._held = Held(self._newline[:0])
        if isinstance(chunk, str) is not isinstance(self._newline, str):
            refuse_item("text.lines", data, "one kind, str or bytes throughout")
        return itertools.chain.from_iterable(map(self._split, cut(chunk, PIECE)))

    def finish(self) -> Iterable[Text]:
        """Return the last line if no newline ended it."""
        if self._held.size > self._max:
            raise self._too_long(self._number)
        return (self._held.take(self._newline[:0]),) if self._held.size else ()

    def _split(self, piece: Text) -> Iterable[Text]:
        parts = piece.split(self._newline)
        rest = parts.pop()
        found: list[Text] = []
        bodies: list[Text] = []
        if parts:
            parts[0] = self._held.take(parts[0])
            bodies = [part[:-1] if part.endswith(self._return) else part for part in parts]
            found = [part + self._newline for part in parts] if self._keepends else bodies
        if rest:
            self._held.put(rest)
            self._ends_in_return = rest.endswith(self._return)
        return self._checked(found, bodies)

    def _checked(self, found: list[Text], bodies: list[Text]) -> Iterable[Text]:
        at = next((at for at, body in enumerate(bodies) if len(body) > self._max), None) if self._long(bodies) else None
        if at is not None:
            return and_then(found[:at], self._too_long(self._number + at))
        self._number += len(found)
        # A carriage return at the very end may belong to the line's end.
        if self._held.size > self._max and self._held.size - self._ends_in_return > self._max:
            return and_then(found, self._too_long(self._number))
        return found

    def _long(self, bodies: list[Text]) -> bool:
        return bool(bodies) and max(map(len, bodies)) > self._max

    def _too_long(self, number: int) -> LimitExceeded:
        return LimitExceeded(
            f"line {number} is longer than max_length={self._max}; if such lines are expected, pass a larger max_length"
        )
