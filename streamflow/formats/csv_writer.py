"""CSV rows to blocks of bytes: the transform behind `csv.format`.

What lives here: `Formatter`. What must not: waiting; how a field is quoted (`csv.writer` does that).

How it works. A block ends with the first row that brings it to its size. So a block holds whole rows, and where it ends
follows from the rows alone, however they were grouped on the way.

Rows are taken in stretches. Where there is a quick way for them (`csv_blocks`), it gives bytes. It refuses a row that
is wrong or of another kind; from there on, for good, rows go the other way, which says what is wrong.

The other way: through `operator.itemgetter` for dictionaries; those that need no quotes are joined (`csv_plain`), the
others are written by `csv.writer.writerows` in one C call, which is faster than `csv.DictWriter`. If a call fails, the
stretch is gone on with row by row, so the error can name the row. Each row is one string in a list.
"""

from __future__ import annotations

import csv
import itertools
from bisect import bisect_left
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

from streamflow.errors import FormatError, UsageError
from streamflow.formats.csv_blocks import QuickBlocks, quick_blocks
from streamflow.formats.csv_columns import Columns, is_mapping
from streamflow.formats.csv_parser import Header, check_names
from streamflow.formats.csv_plain import plain_lines
from streamflow.formats.csv_rows import Appender
from streamflow.formats.stretches import stretches
from streamflow.formats.text import Encoder
from streamflow.limits import check_capacity

__all__ = ["Formatter"]


class Formatter:
    """CSV rows to blocks of bytes. One object serves one run; `streamflow.csv.format` explains the arguments.

    Example: `data = b"".join([*formatter.feed({"id": 1}), *formatter.finish()])`.

    It is a codec (`feed` one row) and a transform (`apply` to a stretch of rows, which is faster).
    """

    done = False

    def __init__(
        self,
        dialect: Any,
        *,
        header: Header = True,
        encoding: str = "utf-8",
        errors: str = "strict",
        block_bytes: int = 64 * 1024,
        extra: Literal["error", "ignore"] = "error",
        missing: object = "error",
        escape_formulas: bool = False,
    ) -> None:
        """Check the arguments and make it for one run."""
        check_capacity("block_bytes", block_bytes)
        if extra not in ("error", "ignore"):
            raise UsageError(f"extra={extra!r} is neither 'error' nor 'ignore'")
        self._names = None if isinstance(header, bool) else check_names(header)
        self._header = header is not False
        self._encoder = Encoder(encoding, errors)
        self._block = block_bytes
        self._columns_for = partial(Columns, extra=extra, missing=missing, escape=escape_formulas)
        self._columns: Columns | None = None
        self._quick: QuickBlocks | None = None
        # One string for each row that is in no block yet; the first `_counted` of them have `_size` characters. Joined
        # lines have no end of their own; `_end` stands for it, and is empty when rows are not joined any more.
        self._lines: list[str] = []
        self._counted = 0
        self._size = 0
        self._number = 0
        self._dialect = dialect
        self._plain = plain_lines(dialect)
        self._end: str = dialect.lineterminator if self._plain is not None else ""
        self._written: list[str] = []
        self._writer = csv.writer(Appender(self._written.append), dialect)

    def feed(self, row: Any, /) -> Iterator[bytes]:
        """Take one row; return the block that is full now, if any."""
        return self.take([row])

    def apply(self, items: Iterator[Any], /) -> Iterator[bytes]:
        """Take rows as they come; yield full blocks."""
        return itertools.chain.from_iterable(map(self.take, stretches(items)))

    def finish(self) -> Iterator[bytes]:
        """Return the last block. Without a row: the header, if its names were given, else nothing."""
        return self.take(None)

    def take(self, rows: list[Any] | None) -> Iterator[bytes]:
        """Write rows (`None`: that was all) and yield the full blocks. All errors of the stage arise in here."""
        if rows is None:
            yield from self._last_block()
            return
        columns = self._columns or self._begin(rows[0])
        if self._quick is not None:
            done = yield from self._quick.take(rows)
            self._number += done
            if done == len(rows):
                return
            rows = rows[done:]
            self._end_quickly(self._quick)
        error = self._write(rows, columns)
        yield from self._full_blocks()
        if error is not None:
            raise error

    def _end_quickly(self, quick: QuickBlocks) -> None:
        """Go on the other way, where what is in no block yet passes for the line of one row."""
        text = quick.rest().decode()
        self._lines = [text.removesuffix(self._end)] if text else []
        self._counted, self._size = len(self._lines), quick.size
        self._quick = None

    # --- rows to lines -------------------------------------------------------------------------------------------

    def _write(self, rows: list[Any], columns: Columns) -> Exception | None:
        """Write rows; return the error that came after the last good one."""
        try:
            if columns.fit(rows):
                self._write_at_once(rows, columns)
                self._number += len(rows)
                return None
        except Exception:  # noqa: BLE001, S110  # whatever it was happens again below, where the row is known
            pass
        written = self._keep()
        self._number += written
        return self._write_singly(rows[written:], columns)

    def _write_at_once(self, rows: list[Any], columns: Columns) -> None:
        if self._plain is not None:
            try:
                lines, special = self._plain.of(columns.all_fields(rows), columns.gaps(rows))
            except TypeError:
                self._stop_joining()  # some fields are numbers; they will be in the next stretch too
            else:
                self._lines += self._replaced(lines, special, rows, columns)
                if 2 * len(special) > len(rows):
                    self._stop_joining()  # it costs more than it saves
                return
        self._writer.writerows(columns.all_fields(rows))
        self._keep()

    def _replaced(self, lines: list[str], special: list[int], rows: list[Any], columns: Columns) -> list[str]:
        """Return the lines with those of the special rows as `csv.writer` makes them."""
        try:
            self._writer.writerows(columns.all_fields([rows[at] for at in special]))
            for at, line in zip(special, self._written, strict=True):
                lines[at] = line.removesuffix(self._end)
        finally:
            self._written.clear()
        return lines

    def _stop_joining(self) -> None:
        self._plain = None
        self._lines = [line + self._end for line in self._lines]
        self._end = ""

    def _keep(self) -> int:
        """Take over the lines that `csv.writer` has made; return how many they were."""
        count = len(self._written)
        self._lines += [line.removesuffix(self._end) for line in self._written] if self._end else self._written
        self._written.clear()
        return count

    def _begin(self, row: Any) -> Columns:
        """Learn from the first row what rows are; write the header."""
        if is_mapping(row):
            self._names = self._names or check_names(tuple(row.keys()), "row 1: ")
        elif self._header and self._names is None:
            raise FormatError(
                f"row 1 is a {type(row).__name__}, which has no names for the header. "
                f"Write header=[...] with the names, header=False, or make the rows dictionaries"
            )
        columns = self._columns_for(self._names, mappings=is_mapping(row))
        self._write_header()
        header = "".join(line + self._end for line in self._lines)
        self._quick = quick_blocks(self._dialect, columns, self._encoder, self._block, header)
        if self._quick is not None:
            self._lines.clear()
        self._columns = columns
        return columns

    def _write_header(self) -> None:
        if self._header and self._names is not None:
            escape = self._columns_for(self._names, mappings=False).fields
            try:
                self._writer.writerow(escape(self._names))
            except csv.Error as error:
                raise FormatError(f"the header: {error}") from None
            self._keep()

    def _write_singly(self, rows: list[Any], columns: Columns) -> Exception | None:
        for row in rows:
            problem = columns.problem(row)
            try:
                if problem is None:
                    self._writer.writerow(columns.fields(row))
                    self._keep()
            except csv.Error as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001  # raised by a field's own __str__: the user's, so it stays bare
                return error
            if problem is not None:
                return FormatError(f"row {self._number + 1}: {problem}")
            self._number += 1
        return None

    # --- lines to blocks -----------------------------------------------------------------------------------------

    def _full_blocks(self) -> Iterator[bytes]:
        while True:
            new = self._lines[self._counted :]
            size = self._size + sum(map(len, new)) + len(new) * len(self._end)
            if size < self._block:
                self._counted, self._size = len(self._lines), size
                return
            end = len(self._end)
            ends = list(itertools.accumulate((len(line) + end for line in new), initial=self._size))
            yield self._encoded(self._counted + bisect_left(ends, self._block))
            self._counted = self._size = 0

    def _last_block(self) -> Iterator[bytes]:
        if self._columns is None:
            self._write_header()
        block = self._quick.rest() if self._quick is not None else self._encoded(len(self._lines))
        block += b"".join(self._encoder.finish())
        if block:
            yield block

    def _encoded(self, count: int) -> bytes:
        """Take the first `count` lines away and return them as one block."""
        lines = self._lines[:count]
        del self._lines[:count]
        try:
            text = self._end.join(lines) + self._end if lines else ""
            return b"".join(self._encoder.feed(text))
        except FormatError as error:
            raise self._unwritable(lines, error) from None

    def _unwritable(self, lines: list[str], error: FormatError) -> FormatError:
        bad = next(at for at, line in enumerate(lines) if not self._encodable(line + self._end))
        number = self._number - len(self._lines) - len(lines) + bad + 1
        return FormatError(f"row {number}: {error}" if number > 0 else f"the header: {error}")

    def _encodable(self, line: str) -> bool:
        try:
            line.encode(self._encoder.encoding, self._encoder.errors)
        except UnicodeEncodeError:
            return False
        return True
