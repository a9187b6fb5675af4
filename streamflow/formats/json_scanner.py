"""Where the items of a JSON array end, however the bytes are cut.

What lives here: `ItemScanner`, which knows brackets, commas and strings. What must not: whether it is JSON; that is
seen when an item is read.

How it works. One regular expression runs over what stands between two characters that matter, whole strings included:
inside an item only brackets matter, between items also commas. A string that is not complete is gone on with in the
next piece.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["ItemScanner", "Scan"]

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_INSIDE = re.compile(rb'[^"\[\]{}]*(?:' + _STRING + rb'[^"\[\]{}]*)*', re.DOTALL)
_BETWEEN = re.compile(rb'[^"\[\]{},]*(?:' + _STRING + rb'[^"\[\]{},]*)*', re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)

_QUOTE, _COMMA = b'",'
_OPEN = b"[{"


class Scan(NamedTuple):
    """Where in a piece the commas between items are, and the bracket that ends the array (-1: not in this piece)."""

    commas: list[int]
    end: int


class ItemScanner:
    """Walks over what stands behind the `[` of an array, piece by piece."""

    def __init__(self) -> None:
        """Begin between the brackets."""
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def scan(self, data: bytes) -> Scan:
        """Return where items end in the next piece."""
        commas: list[int] = []
        at = self._string_end(data, 0) if self._in_string else 0
        depth, size = self._depth, len(data)
        while at < size:
            at = (_INSIDE if depth else _BETWEEN).match(data, at).end()  # type: ignore[union-attr]  # it matches nothing
            if at == size:
                break
            mark = data[at]
            if mark == _QUOTE:
                self._in_string = True
                at = self._string_end(data, at + 1)
                continue
            if mark == _COMMA:
                commas.append(at)
            elif mark in _OPEN:
                depth += 1
            elif depth == 0:
                return Scan(commas, at)
            else:
                depth -= 1
            at += 1
        self._depth = depth
        return Scan(commas, -1)

    def _string_end(self, data: bytes, at: int) -> int:
        """Return what stands behind the string that is open at `at`."""
        at += self._escaped
        self._escaped = False
        found = _IN_STRING.match(data, at)
        end = len(data) if found is None else found.end()
        if end < len(data):
            self._escaped = data[end] != _QUOTE  # a backslash that is the last byte
            self._in_string = self._escaped
        return end + 1
