r"""CSV bytes cut at any place to blocks of whole rows, for a parser that wants whole rows.

What lives here: `RowBlocks`, and where a row of CSV ends. What must not: fields, types, Arrow.

How it works. Inside a row newlines may stand in quotes. One regular expression goes, in C, over all that is sound: up
to the end of the data, or up to the field in quotes that is not: it is open still, or it is closed too early (`"a"b`),
which is a fault, since nobody can say what was meant. A quote inside a field without quotes (`5" pipe`) is a character
like any other. If there is no quote between the last newline and that place, the newline ends a row. Else the same
question tells: is all before the newline sound up to its end? If not, it stands in quotes, and the newline before these
is next. (A group in the expression could say where the last quotes were; but the `re` of Python 3.11 loses groups
inside possessive loops.)

Where a block ends follows from the data alone, not from how it was chunked: it is the last end of a row within the
first `size` bytes.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats.pieces import cut

__all__ = ["BadQuoteError", "Block", "Grammar", "RowBlocks", "newlines"]

BOM = b"\xef\xbb\xbf"

# A possessive loop over a group keeps no way back, and so no memory for it. Before Python 3.11.5 such loops matched
# wrongly (https://github.com/python/cpython/issues/106052). Greedy ones end at the same place: no quote is an edge.
LOOP = rb"*+" if sys.version_info >= (3, 11, 5) else rb"*"

TRIES = 8
"""How often the expression is tried before the rows are gone through one by one."""


class Block(NamedTuple):
    """Whole rows, and the number of the line that the first of them starts on."""

    data: bytes
    line: int


class BadQuoteError(Exception):
    """A quote that closes a field too early, at `args[0]`; the row starts at `args[1]`."""


class Grammar:
    r"""Where rows end.

    Args:
        delimiter: between fields, one byte.
        quote: around fields, one byte; empty where there are none.
    """

    def __init__(self, delimiter: bytes, quote: bytes) -> None:
        self.quote = quote
        self._edges = {b"", delimiter, b"\n", b"\r"}
        if not quote:
            return
        edge, q = rb"[" + re.escape(delimiter) + rb"\n\r]", re.escape(quote)
        inside = rb"[^" + q + rb"]*+(?:" + q + q + rb"[^" + q + rb"]*+)" + LOOP
        begin = rb"(?:(?<=" + edge + rb")|\A)" + q
        closed = begin + inside + q + rb"(?=" + edge + rb"|\Z)"
        literal = rb"(?<=[^" + edge[1:] + rb")" + q
        outside = rb"[^" + q + rb"]*+"
        self._sound = re.compile(outside + rb"(?:(?:" + closed + rb"|" + literal + rb")" + outside + rb")" + LOOP)
        self._opening = re.compile(begin)
        self._inside = re.compile(inside)

    def last_end(self, data: bytes) -> int:
        """Return where the last row that ends in `data` ends; 0 if none does. `data` begins where a row begins."""
        if not self.quote:
            return _last_newline(data, len(data))
        end = self._sound_end(data, len(data))
        if end == len(data) or not self._bad(data, end):
            for _ in range(TRIES):
                found = _last_newline(data, end)
                if not found or self.quote not in data[found:end]:
                    return found
                end = self._sound_end(data, found)
                if end == found:
                    return found
        return max((stop for _, stop in self.rows(data)), default=0)

    def _sound_end(self, data: bytes, end: int) -> int:
        """Return how far all is sound: `end`, or where a field in quotes begins that has no end or a bad one."""
        sound = self._sound.match(data, 0, end)
        assert sound is not None  # it matches nothing at all, too
        return sound.end()

    def _bad(self, data: bytes, at: int) -> bool:
        """Whether the field in quotes that begins there is closed too early."""
        inside = self._inside.match(data, at + 1)
        return inside is not None and inside.end() < len(data)

    def rows(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where each row that ends in `data` starts and ends, exactly. `BadQuoteError` for a bad quote."""
        start = at = 0
        for begin, end in self.quoted(data):
            for stop in line_ends(data, at, begin):
                yield start, stop
                start = stop
            at = end
            if end == begin + 1 or data[end - 1 : end] != self.quote:
                return  # the quotes are still open
            if end < len(data) and data[end : end + 1] not in self._edges:
                raise BadQuoteError(end, start)
        for stop in line_ends(data, at, len(data)):
            yield start, stop
            start = stop

    def quoted(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield where each field in quotes begins and ends, with its quotes; the last may lack the closing one."""
        at = 0
        while self.quote and (opening := self._opening.search(data, at)):
            inside = self._inside.match(data, opening.end())
            at = min(len(data), inside.end() + 1) if inside else len(data)
            yield opening.start(), at

    def open_at(self, data: bytes) -> int | None:
        """Return where the quotes open that are still open at the end of `data`, or `None`."""
        if not self.quote or self._sound_end(data, len(data)) == len(data):
            return None
        last = max(self.quoted(data), default=None)
        if last is None or last[1] < len(data):
            return None
        begin, end = last
        inside = data[begin + 1 : end]
        closed = (len(inside) - len(inside.rstrip(self.quote))) % 2
        return None if closed else begin


class RowBlocks:
    r"""Chunks of any size to blocks of whole rows of at most `size` bytes, as many as fit.

    Example: `blocks = [*cutter.feed(b"1,2\n3"), *cutter.finish()]`.
    """

    def __init__(self, grammar: Grammar, size: int) -> None:
        """Make it for one run."""
        self._grammar = grammar
        self._size = size
        self._held: list[bytes] = []
        self._length = 0
        self._line = 1
        self._first = True

    def feed(self, data: bytes) -> Iterator[Block]:
        """Take bytes; yield the blocks that are full. An error comes behind the good rows before it."""
        for piece in cut(data, self._size):
            self._held.append(piece)
            self._length += len(piece)
            while self._length > self._size + len(BOM):
                held = self._joined()
                yield from self._taken(held[: self._size], held)

    def finish(self) -> Iterator[Block]:
        """Yield the last block; `TruncatedError` behind it when the data ends inside quotes."""
        held = self._joined()
        while len(held) > self._size:
            yield from self._taken(held[: self._size], held)
            held = self._joined()
        if not held:
            return
        opened = self._grammar.open_at(held)
        end, error = self._end_in(held)
        if error is None and opened is None:
            end = len(held)
        if end:
            yield Block(held[:end], self._line)
        if error is not None:
            raise error
        if opened is not None:
            line = self._line + newlines(held[:opened])
            raise TruncatedError(f"the data ends inside quotes; the quote opened on line {line} is never closed")

    def _joined(self) -> bytes:
        held = b"".join(self._held)
        if self._first and len(held) >= len(BOM):
            held = held.removeprefix(BOM)
        self._first = self._first and len(held) < len(BOM)
        self._hold(held)
        return held

    def _hold(self, rest: bytes) -> None:
        self._held, self._length = [rest], len(rest)

    def _taken(self, head: bytes, held: bytes) -> Iterator[Block]:
        """Yield the rows that end in `head`, which is the most that a block may be; hold the rest."""
        end, error = self._end_in(head)
        if end:
            yield Block(head[:end], self._line)
            self._line += newlines(head[:end])
            self._hold(held[end:])
        if error is not None:
            raise error
        if not end:
            raise self._too_long(head)

    def _end_in(self, head: bytes) -> tuple[int, FormatError | None]:
        """Return where the last good row ends, and the error that comes behind it."""
        try:
            return self._grammar.last_end(head), None
        except BadQuoteError as bad:
            at, start = bad.args
            line = self._line + newlines(head[:at])
            quote = self._grammar.quote.decode()
            return start, FormatError(
                f"line {line}: a field in quotes goes on behind the closing {quote}. "
                f"Inside quotes write {2 * quote} for {quote}"
            )

    def _too_long(self, head: bytes) -> LimitExceeded:
        opened = self._grammar.open_at(head)
        why = "" if opened is None else f", and the quote opened on line {self._line + newlines(head[:opened])} is open"
        return LimitExceeded(
            f"the row that starts on line {self._line} is longer than block_bytes={self._size}{why}. "
            f"Correct the file, or pass a larger block_bytes"
        )


def line_ends(data: bytes, at: int, end: int) -> Iterable[int]:
    r"""Return where the lines end that end in `data[at:end]`. A `\r` at the very end of data is not known to be one."""
    part = data[at:end]
    if b"\r" not in part:
        return (at + match.end() for match in re.finditer(rb"\n", part))
    last = len(data)
    found = (at + match.end() for match in re.finditer(rb"\r?\n|\r", part))
    return (stop for stop in found if stop < last or data[stop - 1 : stop] == b"\n")


def _last_newline(data: bytes, stop: int) -> int:
    r"""Return where the last line ends that ends in `data[:stop]`; 0 if none does. As to `\r`: see `line_ends`."""
    return 1 + max(data.rfind(b"\n", 0, stop), data.rfind(b"\r", 0, min(stop, len(data) - 1)) if data else -1)


def newlines(data: bytes) -> int:
    r"""Return how many lines end in whole rows: at `\n`, `\r\n` or a lone `\r`."""
    returns = data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else 0
    return data.count(b"\n") + returns
