"""Chunks of bytes or text of one JSON array to its items: the codec behind `json.parse_array`.

What lives here: `ArrayParser`: what stands before, between and behind the items, and which of them is bad. What must
not: how a text becomes an item (`json_decoder`), brackets inside an item (`json_scanner`), waiting.

How it works. A chunk is walked over in pieces, lazily, as the items are taken. The scanner finds the commas between the
items; the texts between them are made into items in one call. What stands behind the last comma is held until the next
piece comes. So only the item that is not complete is in memory, whatever the size of the array.

Looking at every bracket takes three times as long as making the items. So where items are objects that begin alike, as
those of one writer do, the last place where one seems to end and the next to begin (`},{"id":`) is guessed, and all
before it is read in one call. If that is an array, the guess was right: JSON is read from left to right, so what
follows cannot change what came before. If not (the same text stood deeper, or in a string), nothing has happened.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Generator, Iterator
from typing import Any

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats.bad_rows import BadRow, RowParser, Rows
from streamflow.formats.json_decoder import Decoder, Refused
from streamflow.formats.json_faults import fault_of
from streamflow.formats.json_scanner import ItemScanner
from streamflow.formats.json_text import Utf8
from streamflow.formats.pieces import BytesLike, cut
from streamflow.limits import check_capacity

__all__ = ["ArrayParser"]

PIECE = 32 * 1024
"""How much of a chunk is looked at in one step, in bytes."""

_BLANK = b" \t\r\n"

_START = re.compile(rb'[ \t\r\n]*\{[ \t\r\n]*"[^"\\]*"[ \t\r\n]*:')
_GUESSES = 3  # so many wrong ones and there are no more


class ArrayParser(RowParser):
    """A JSON array in chunks of any size to its items. One object serves one run; see `json.parse_array`.

    Example: `items = [*parser.feed(b'[{"id": 1}, {"i'), *parser.feed(b'd": 2}]'), *parser.finish()]`.
    """

    def __init__(
        self,
        type: Any = Any,  # noqa: A002  # the word for it, as in msgspec
        *,
        max_item_bytes: int = 1 << 20,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> None:
        """Check the arguments and make it for one run."""
        check_capacity("max_item_bytes", max_item_bytes)
        self._decoder = Decoder(type, "json.parse_array")
        self._utf8 = Utf8("json.parse_array", encoding, errors, line=self._line_now)
        self._max = max_item_bytes
        self._scanner: ItemScanner | None = None
        self._ended = False
        self._mark = b""
        self._guesses = _GUESSES if self._decoder.array is not None else 0
        self._held = bytearray()
        self._line = 1  # in which what is held begins
        self._number = 1  # of the item that is held

    def rows(self, data: BytesLike | str, /) -> Iterator[Rows]:
        """Return the items that are complete by now, lazily."""
        return itertools.chain.from_iterable(map(self._items_of, self._utf8.feed(data)))

    def last_rows(self) -> Iterator[Rows]:
        """Return nothing; `TruncatedError` when the data ends before the array does."""
        for data in self._utf8.finish():
            yield from self._items_of(data)
        if self._scanner is None:
            raise TruncatedError("the data ends before a JSON array has begun; an array without items is written []")
        if not self._ended:
            raise TruncatedError(
                f"the data ends inside the JSON array, in item {self._number} (line {self._line}): its ] is missing"
            )

    def _line_now(self) -> int:
        return self._line + self._held.count(b"\n")

    def _items_of(self, data: bytes) -> Iterator[Rows]:
        for piece in cut(data, PIECE):
            yield from self._piece(piece)

    def _piece(self, piece: bytes) -> Iterator[Rows]:
        if self._scanner is None:
            piece = self._begin(piece)
        if self._ended:
            self._check_behind(piece)
        elif self._scanner is not None and piece:
            piece = yield from self._guessed(piece)
            yield from self._inside(piece, self._scanner)

    def _guessed(self, piece: bytes) -> Generator[Rows, None, bytes]:
        """Give the items up to a place that is guessed; return what is left of the piece."""
        array = self._decoder.array
        size = len(self._held) + len(piece)
        if not self._mark or not self._guesses or size > self._max or array is None:
            return piece
        text = b"".join((self._held, piece))
        comma = text.rfind(self._mark) + 1
        if not comma:
            return piece
        try:
            items = array(b"[%b]" % text[:comma])
        except Exception:  # noqa: BLE001  # whatever it was happens again where the item is known
            self._guesses -= 1
            return piece
        yield items
        self._number += len(items)
        self._line += text.count(b"\n", 0, comma)
        self._held.clear()
        self._scanner = ItemScanner()
        return text[comma + 1 :]

    def _learn(self, texts: list[bytes]) -> None:
        """Note how an item ends and the next begins."""
        if self._guesses and len(texts) > 1 and texts[-2].endswith(b"}") and (start := _START.match(texts[-1])):
            self._mark = b"}," + start[0]

    def _begin(self, piece: bytes) -> bytes:
        """Look for the `[`; return what stands behind it."""
        rest = self._stripped(piece)
        if rest and not rest.startswith(b"["):
            raise FormatError(
                f"line {self._line}: a JSON array begins with [, and not with {rest[:1].decode('latin-1')!r}. "
                f"For data with one value on each line take json.parse_lines()"
            )
        self._scanner = ItemScanner() if rest else None
        return rest[1:]

    def _check_behind(self, piece: bytes) -> None:
        if rest := self._stripped(piece):
            raise FormatError(
                f"line {self._line}: {rest[:1].decode('latin-1')!r} stands behind the end of the JSON array"
            )

    def _stripped(self, piece: bytes) -> bytes:
        """Return a piece without the whitespace it begins with, whose lines are counted."""
        rest = piece.lstrip(_BLANK)
        self._line += piece.count(b"\n", 0, len(piece) - len(rest))
        return rest

    def _inside(self, piece: bytes, scanner: ItemScanner) -> Iterator[Rows]:
        commas, end = scanner.scan(piece)
        ends = [*commas, end] if end >= 0 else commas
        size = len(self._held) + len(piece)
        texts = [piece[start:stop] for start, stop in zip([0, *(at + 1 for at in commas)], ends, strict=False)]
        if texts:
            texts[0] = b"".join((self._held, texts[0]))
            self._held.clear()
        if end >= 0 and self._number == 1 and len(texts) == 1 and not texts[0].strip(_BLANK):
            texts = []  # an empty array
        long = self._first_long(texts) if size > self._max else None
        yield from self._read(texts[:long])
        self._learn(texts)
        if long is not None:
            raise self._too_long(texts[long])
        self._after(piece, commas, end)

    def _first_long(self, texts: list[bytes]) -> int | None:
        return next((at for at, text in enumerate(texts) if len(text.lstrip(_BLANK)) > self._max), None)

    def _after(self, piece: bytes, commas: list[int], end: int) -> None:
        """Look at what stands behind the last item that is complete."""
        if end < 0:
            rest = piece[commas[-1] + 1 :] if commas else piece
            self._held += rest if self._held else self._stripped(rest)
            if len(self._held) > self._max:
                raise self._too_long(self._held)
            return
        self._ended = True
        if piece[end : end + 1] != b"]":
            raise FormatError(f"line {self._line}: the JSON array is closed by }} and not by ]")
        self._check_behind(piece[end + 1 :])

    def _read(self, texts: list[bytes]) -> Iterator[Rows]:
        first, counted = self._number, 0
        for items in self._decoder.items(texts):
            if isinstance(items, Refused):
                self._line += sum(text.count(b"\n") for text in texts[counted : items.at])
                counted = items.at
                self._number = first + counted
                yield self._bad(items)
            else:
                yield items
        self._line += sum(text.count(b"\n") for text in texts[counted:])
        self._number = first + len(texts)

    def _bad(self, refused: Refused) -> BadRow:
        """Return the item that is bad, with the line in which the fault is (or in which the item begins)."""
        text = refused.text.strip(_BLANK)
        fault = fault_of(refused.error, text)
        line = self._line + _lines_before(refused.text) + max(fault.line - 1, 0)
        reason = fault.reason if text else "an item is missing here, between two commas or before the ]"
        kind = LimitExceeded if fault.deep else FormatError
        return BadRow(kind(f"item {self._number} (line {line}): {reason}"), text, self._number)

    def _too_long(self, text: bytes | bytearray) -> LimitExceeded:
        line = self._line + _lines_before(text)
        return LimitExceeded(
            f"item {self._number} (line {line}) is longer than max_item_bytes={self._max}; if such items are "
            f"expected, pass a larger max_item_bytes"
        )


def _lines_before(text: bytes | bytearray) -> int:
    """Return how many lines end in the whitespace before an item."""
    return text.count(b"\n", 0, len(text) - len(text.lstrip(_BLANK)))
