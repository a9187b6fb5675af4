r"""Chunks of bytes or text to the items of JSON Lines: the codec behind `json.parse_lines`.

What lives here: `LineParser`: where a line ends, and which line is bad. What must not: how a text becomes an item
(`json_decoder`), waiting.

How it works. A chunk is walked over in pieces, lazily, as the items are taken. A piece is cut at its last newline, and
the lines before it are made into items in one call. (A newline inside a string is written `\n` in JSON, so each newline
ends a line.) Only if that call fails are they looked at one by one.

A piece is of such a size that about `ITEMS` items come of it, for the reasons that `csv_parser` gives.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats.bad_rows import BadRow, RowParser, Rows
from streamflow.formats.json_decoder import Decoder, Refused
from streamflow.formats.json_faults import fault_of
from streamflow.formats.json_text import Utf8
from streamflow.formats.pieces import PIECE, BytesLike
from streamflow.limits import check_capacity

__all__ = ["LineParser"]

ITEMS = 384
"""How many items a batch should have."""

LEAST = 2 * 1024
"""The smallest piece of a chunk, in bytes."""


class LineParser(RowParser):
    r"""JSON Lines in chunks of any size to items. One object serves one run; `json.parse_lines` explains the arguments.

    Example: `items = [*parser.feed(b'{"id": 1}\n{"i'), *parser.feed(b'd": 2}\n'), *parser.finish()]`.
    """

    def __init__(
        self,
        type: Any = Any,  # noqa: A002  # the word for it, as in msgspec
        *,
        max_line_bytes: int = 1 << 20,
        encoding: str = "utf-8",
        errors: str = "strict",
    ) -> None:
        """Check the arguments and make it for one run."""
        check_capacity("max_line_bytes", max_line_bytes)
        self._decoder = Decoder(type, "json.parse_lines", blanks=True)
        self._utf8 = Utf8("json.parse_lines", encoding, errors, line=self._line_now)
        self._max = max_line_bytes
        self._held = bytearray()
        self._line = 1
        self._wanted = PIECE // 4

    def rows(self, data: BytesLike | str, /) -> Iterator[Rows]:
        """Return the items of the lines that are complete by now, lazily."""
        return itertools.chain.from_iterable(map(self._items_of, self._utf8.feed(data)))

    def last_rows(self) -> Iterator[Rows]:
        """Return the item of the last line if no newline ended it; `TruncatedError` when it ends inside a value."""
        for data in self._utf8.finish():
            yield from self._items_of(data)
        line = bytes(self._held)
        if len(line) > self._max:
            raise self._too_long(self._line)
        if line:
            yield from self._read([line], ended=False)

    def _line_now(self) -> int:
        return self._line

    def _items_of(self, data: bytes) -> Iterator[Rows]:
        # Lines by readlines(), not split(): that takes three times as long.
        reader, at = BytesIO(data), 0
        while lines := reader.readlines(self._share(len(data) - at)):
            size, at = reader.tell() - at + len(self._held), reader.tell()
            rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
            if lines:
                lines[0] = b"".join((self._held, lines[0]))
                self._held.clear()
                self._wanted = min(max(size * ITEMS // len(lines), LEAST), PIECE)
            self._held += rest
            long = _first_longer(lines, self._max) if size > self._max else None
            yield from self._read(lines[:long])
            if long is not None or len(self._held) > self._max:
                raise self._too_long(self._line)

    def _share(self, size: int) -> int:
        """Return how many of so many bytes to take now, so that none of the shares is small."""
        return size // max(1, round(size / self._wanted)) + 1

    def _read(self, lines: list[bytes], *, ended: bool = True) -> Iterator[Rows]:
        """Give the items of lines, and count them."""
        first = self._line
        for items in self._decoder.items(lines):
            if isinstance(items, Refused):
                self._line = first + items.at
                yield self._bad(items, ended=ended)
            else:
                yield items
        self._line = first + len(lines)

    def _bad(self, refused: Refused, *, ended: bool) -> BadRow:
        line = refused.text.rstrip(b"\r\n")
        fault = fault_of(refused.error, line)
        column = f", column {fault.column}" if fault.column else ""
        message = f"line {self._line}{column}: {fault.reason}"
        if fault.cut and not ended:
            raise TruncatedError(f"the data ends inside a value: {message}")
        kind = LimitExceeded if fault.deep else FormatError
        return BadRow(kind(message), line, self._line)

    def _too_long(self, number: int) -> LimitExceeded:
        return LimitExceeded(
            f"line {number} is longer than max_line_bytes={self._max}; if such lines are expected, pass a larger "
            f"max_line_bytes, and for data that is one array take json.parse_array()"
        )


def _first_longer(lines: list[bytes], most: int) -> int | None:
    return next((at for at, line in enumerate(lines) if len(line) > most + line.endswith(b"\n")), None)
