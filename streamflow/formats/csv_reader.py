"""Text cut at any place to CSV rows, exactly as `csv.reader` reads the whole text.

What lives here: `RowReader`. What must not: headers, dictionaries, bytes, waiting.

How it works. Only `csv.reader` decides where a row ends; nothing here interprets quotes for truth. The reader is given
the lines that are complete. When it asks for one more in the middle of a row, that row is not complete: its text is
kept, and read again when there is more. Since every block starts where a row starts, what comes out is what the whole
text gives.

Two ways lead through a block. The quick one takes all rows in one C call; it needs a strict dialect, which says so
itself when the block ends inside a row. Everything else (an incomplete row, a fault, a lenient dialect, a limit to
check) goes the exact way, row by row, which also knows the line of each. The quick way has two forms: `csv_rows` knows
where it stopped, so the exact way begins there; `csv.reader` does all of a block or nothing.

Reading a long unfinished row again at every new line would be quadratic. So while a row is known to be open inside
quotes, the number of quotes that arrived says whether it can have been closed (even: hardly); it is tried again then,
or when its text has doubled. After too many vain tries only the doubling counts.

Limits: a row may have `max_row_bytes`. A field may have `csv.field_size_limit()` characters; that limit belongs to the
whole process, so it is respected and never set here. A row may have `max_columns`; they are counted when it has been
read, since its length bounds them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats.csv_lines import open_quote, split_lines
from streamflow.formats.csv_rows import quick_reader

__all__ = ["MOST_COLUMNS", "Batch", "Row", "RowReader"]

Row: TypeAlias = list[Any]

MOST_COLUMNS = 16_384
"""How many columns a row may have unless told otherwise: as many as a sheet of the common spreadsheets."""

VAIN_TRIES = 64

DOUBT = 8
"""How many blocks are looked at with doubt after one that ended inside quotes. Counting costs a tenth of reading."""


@dataclass(slots=True)
class Batch:
    """Rows, the error that comes after them (if any), and the number of the line at which the n-th of them starts."""

    rows: list[Row]
    error: Exception | None
    line_of: Callable[[int], int]


class _NeedMore(Exception):  # a signal: the reader asked for a line that is not there yet
    pass


class RowReader:
    """A `csv.reader` that is fed: `feed(text)` returns the rows that are complete, `finish()` the last one.

    Args:
        dialect: as `csv.reader` has it in its attribute `dialect`.
        max_row_bytes: the longest row accepted, in bytes of UTF-8, line end included.
        max_field: the longest field accepted, in characters; at most `csv.field_size_limit()`.
        max_columns: the most fields accepted in a row.
    """

    def __init__(self, dialect: Any, max_row_bytes: int, max_field: int, max_columns: int = MOST_COLUMNS) -> None:
        """Make it for one run."""
        self._dialect = dialect
        self._max_row = max_row_bytes
        self._max_field = max_field
        self._max_columns = max_columns
        self._quick = quick_reader(dialect)
        self._quote = None if dialect.quoting == csv.QUOTE_NONE else dialect.quotechar
        # The text since the start of the first row that is not complete, and the number of the line it starts at.
        self._held: list[str] = []
        self._size = 0
        self._bytes_bound = 0
        self._line = 1
        # A carriage return at the end of a chunk: the newline that belongs to it may come.
        self._return = ""
        # For how many blocks the quotes are counted before the quick way is tried.
        self._doubt = 0
        # What is known of a row that was tried and is open.
        self._open = False
        self._tried = 0
        self._quotes = 0
        self._vain = 0
        self._fault_expected = False

    def feed(self, text: str) -> Batch | None:
        """Take text in; return the rows that are complete now, or `None`. Errors are in the batch, behind the rows."""
        text = self._return + text
        self._return = "\r" if text.endswith("\r") else ""
        text = text.removesuffix("\r")
        self._hold(text)
        too_long = self._is_too_long()
        if too_long or self._worth_trying(text):
            held = "".join(self._held)
            end = 1 + held.rfind("\n")
            end = max(end, 1 + held.rfind("\r", end))  # looked for in the tail only: most texts have none
            if end:
                return self._read(held[:end], held[end:])
        if too_long:
            return Batch([], self._row_too_long("".join(self._held), self._line), int)
        return None

    def line(self) -> int:
        """Return the number of the line that the text taken in so far ends on."""
        return self._line + sum(text.count("\n") for text in self._held)

    def expect_fault(self) -> None:
        """Take it that what comes behind is bad: the next `feed` returns all rows that are complete before it."""
        self._fault_expected = True

    def finish(self) -> Batch | None:
        """Return the last row. A row that is not complete is `TruncatedError` (in the batch)."""
        text = "".join(self._held) + self._return
        if not text:
            return None
        batch, rest = self._read_exactly(text)
        if batch.error is None and rest:
            start = batch.line_of(len(batch.rows))
            try:
                batch.rows.append(self._last_row(rest, start))
            except FormatError as error:
                batch.error = error
        self._held = []
        return self._checked(batch, text)

    def _checked(self, batch: Batch, text: str) -> Batch:
        """Let a batch end before the first row that has too many columns."""
        # A row of so many columns is at least as long; most pieces are not, and cost nothing.
        if len(text) >= self._max_columns and max(map(len, batch.rows), default=0) > self._max_columns:
            at = next(at for at, row in enumerate(batch.rows) if len(row) > self._max_columns)
            batch.error = LimitExceeded(
                f"line {batch.line_of(at)}: the row has {len(batch.rows[at])} fields, more than "
                f"max_columns={self._max_columns}. Pass a larger max_columns if that is as it should be"
            )
            del batch.rows[at:]
        return batch

    def _hold(self, text: str) -> None:
        self._held.append(text)
        self._size += len(text)
        self._bytes_bound += len(text) if text.isascii() else 4 * len(text)
        if self._open and self._quote:
            self._quotes += text.count(self._quote)

    def _is_too_long(self) -> bool:
        """Whether what is held is more than a row may have. Measured exactly only where the bound does not tell."""
        if self._bytes_bound > self._max_row:
            self._bytes_bound = sum(map(_byte_length, self._held))
        return self._bytes_bound > self._max_row

    def _worth_trying(self, text: str) -> bool:
        if self._fault_expected:
            return True
        if "\n" not in text and "\r" not in text:
            return False
        if not self._open or self._size >= 2 * self._tried:
            return True
        maybe_closed = self._quotes % 2 == 1 or self._dialect.escapechar is not None
        return maybe_closed and self._vain < VAIN_TRIES

    def _read(self, block: str, tail: str) -> Batch:
        """Read the rows of a block of whole lines; hold what is left of it, and the tail."""
        start = self._line
        rows, lines, end = self._read_quickly(block)
        self._line += lines
        if end == len(block):
            batch, rest = Batch(rows, None, partial(self._find_line, block, start)), ""
        else:
            batch, rest = self._read_exactly(block[end:])
            if rows:
                batch = Batch(rows + batch.rows, batch.error, partial(self._find_line, block, start))
        self._open = False
        self._held, self._size, self._bytes_bound = [], 0, 0
        self._hold(rest + tail)
        if rest:
            self._note_open(rest, tail, vain=len(rest) == len(block))
        if batch.error is None and self._is_too_long():
            batch.error = self._row_too_long(rest + tail, self._line)
        return self._checked(batch, block)

    def _note_open(self, rest: str, tail: str, *, vain: bool) -> None:
        """Note that the row which `rest` begins is open, and what could close it has not been seen before `tail`."""
        self._open = True
        self._tried = len(rest)
        self._quotes = tail.count(self._quote) if self._quote else 0
        self._vain = self._vain + 1 if vain else 0

    # --- the quick way -------------------------------------------------------------------------------------------

    def _read_quickly(self, block: str) -> tuple[list[Row], int, int]:
        """Return rows from the start of a block, as many as are plainly right; how many lines and characters that is.

        The others must be read exactly: there is a fault, or the block ends inside of a row.
        """
        limit = min(self._max_field, csv.field_size_limit())
        if not self._dialect.strict or len(block) > limit or 4 * len(block) > self._max_row:
            return [], 0, 0
        return self._quick(block) if self._quick is not None else self._read_all(block)

    def _read_all(self, block: str) -> tuple[list[Row], int, int]:
        if self._doubt and self._quote:
            self._doubt -= 1
            if block.count(self._quote) % 2:
                return [], 0, 0  # probably it ends inside quotes
        rows: list[Row] = []
        reader = csv.reader(split_lines(block), self._dialect)
        try:
            rows.extend(reader)
        except (csv.Error, ValueError):
            self._doubt = DOUBT
            return [], 0, 0
        return rows, reader.line_num, len(block)

    def _find_line(self, block: str, start: int, index: int) -> int:
        reader = csv.reader(split_lines(block), self._dialect)
        for _ in range(index):
            next(reader)
        return start + reader.line_num

    # --- the exact way -------------------------------------------------------------------------------------------

    def _read_exactly(self, block: str) -> tuple[Batch, str]:
        """Return the rows of a block, and the text of the unfinished row at its end."""
        lines = split_lines(block)
        reader = csv.reader(_until_more(lines), self._dialect)
        rows: list[Row] = []
        ends = [0]
        error: Exception | None = None
        may_be_too_long = len(block) > self._max_field or 4 * len(block) > self._max_row
        try:
            for row in reader:
                if may_be_too_long:
                    error = self._fault_of(row, lines[ends[-1] : reader.line_num], self._line + ends[-1])
                    if error is not None:
                        break
                rows.append(row)
                ends.append(reader.line_num)
        except _NeedMore:
            pass
        except (csv.Error, ValueError) as fault:
            error = self._explain(fault, lines[ends[-1] : reader.line_num], self._line + ends[-1])
        start = self._line
        self._line += ends[-1]
        return Batch(rows, error, lambda index: start + ends[index]), "".join(lines[ends[-1] :])

    def _fault_of(self, row: Row, lines: list[str], start: int) -> LimitExceeded | None:
        """Return what is wrong with a row that could be read: its size, or that of a field."""
        text = "".join(lines)
        if 4 * len(text) > self._max_row and _byte_length(text) > self._max_row:
            return self._row_too_long(text, start)
        if len(text) > self._max_field and any(
            isinstance(field, str) and len(field) > self._max_field for field in row
        ):
            return LimitExceeded(f"line {start}: a field is longer than max_field={self._max_field} characters")
        return None

    def _explain(self, fault: Exception, lines: list[str], start: int) -> FormatError:
        """Turn what the reader said into an error with the line; `lines` are those of the row so far."""
        if _byte_length("".join(lines)) > self._max_row:
            return self._row_too_long("".join(lines), start)
        line = start + len(lines) - 1
        if not str(fault).startswith("field larger than field limit"):
            row = f" (in the row that starts on line {start})" if line > start else ""
            return FormatError(f"line {line}: {fault}{row}")
        opened = open_quote("".join(lines[:-1]), self._dialect)
        place = (
            f"line {line}: a field" if opened is None else f"line {start + opened}: the field in quotes that opens here"
        )
        return LimitExceeded(
            f"{place} is longer than {csv.field_size_limit()} characters. If a quote is missing, correct the file; if "
            f"such fields are expected, call csv.field_size_limit(n) of the standard library when the program starts"
        )

    def _row_too_long(self, text: str, start: int) -> LimitExceeded:
        # Only what any cut of the data has shown by now, so that the words are the same for every cut.
        shown = text.encode("utf-8", "surrogatepass")[: self._max_row].decode("utf-8", "ignore")
        opened = open_quote(shown, self._dialect)
        why = "" if opened is None else f", and the quote opened on line {start + opened} is not closed yet"
        return LimitExceeded(
            f"the row that starts on line {start} is longer than max_row_bytes={self._max_row}{why}. "
            f"Correct the file, or pass a larger max_row_bytes"
        )

    def _last_row(self, text: str, start: int) -> Row:
        """Read the unfinished row at the very end, or say why that cannot be."""
        opened = open_quote(text, self._dialect)
        if opened is not None:
            raise TruncatedError(
                f"the data ends inside quotes; the quote opened on line {start + opened} is never closed"
            )
        try:
            return next(csv.reader(split_lines(text), self._dialect))
        except csv.Error as error:
            raise TruncatedError(f"the data ends inside the row that starts on line {start}: {error}") from None
        except ValueError as error:
            raise self._explain(error, split_lines(text), start) from None


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _until_more(lines: Iterable[str]) -> Iterator[str]:
    yield from lines
    raise _NeedMore
