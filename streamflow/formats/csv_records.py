"""CSV rows that are checked one by one: made into records of a type, or skipped where they are bad.

What lives here: `RecordParser`, which `csv.parse` takes for `rows=Order` and for `bad=sf.skip_errors(...)`. What must
not: conversion (`records`), what a row is (`csv_parser`), which errors are skipped (`bad_rows`).

How it works. It is the parser, but for what it makes of a batch: a row that does not fit the header, or of which no
record can be made, stands among the others as a `BadRow` with its line.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from streamflow.errors import FormatError, UsageError
from streamflow.formats.bad_rows import BadRow, RowParser, Rows
from streamflow.formats.csv_parser import Parser
from streamflow.formats.csv_reader import Batch, Row
from streamflow.formats.pieces import BytesLike
from streamflow.formats.records import Records, RefusedRow

__all__ = ["RecordParser"]


class RecordParser(RowParser, Parser):
    r"""CSV in chunks of any size to records, or to rows with the bad ones in their places.

    Example: `orders = [*parser.feed(b"id,price\n1,9.5\n"), *parser.finish()]`.

    Args:
        dialect: as for `Parser`.
        rows: the type of the records, or `"dicts"` or `"lists"`.
        options: as for `Parser`.
    """

    def __init__(self, dialect: Any, *, rows: Any, **options: Any) -> None:
        """Check the arguments and make it for one run."""
        self._records: Records | None = None
        kind: Any = rows
        if not isinstance(rows, str):
            kind = "dicts"
            self._records = Records(rows, f"csv.parse(rows={getattr(rows, '__name__', rows)!s:.60})")
            _check(options)
        super().__init__(dialect, rows=kind, **options)

    def rows(self, data: BytesLike | str, /) -> Iterator[Rows]:
        """Return the records that are complete by now, lazily."""
        return itertools.chain.from_iterable(map(self._rows_of, self._texts(data)))

    def last_rows(self) -> Iterator[Rows]:
        """Return the records that are left; `TruncatedError` as for `Parser`."""
        for text in self._last_texts():
            yield from self._rows_of(text)
        batch = self._reader.finish()
        if batch is not None:
            yield from self._shaped(batch)

    def _rows_of(self, text: str) -> Iterator[Rows]:
        return self._batches_of(text)

    def _shaped(self, batch: Batch) -> Iterator[Any]:
        """Yield the records of a batch and its bad rows, then raise the batch's error."""
        first = self._header_in(batch) if self._awaits_header else 0
        rows: Sequence[Row] = batch.rows[first:] if first else batch.rows
        if self._names is None or {len(self._names)}.issuperset(map(len, rows)):
            yield from self._made(batch, rows, range(first, len(batch.rows)))
        else:
            yield from self._each(batch, first)
        if batch.error is not None:
            raise batch.error

    def _each(self, batch: Batch, first: int) -> Iterator[Rows]:
        """Look at rows of which some have the wrong number of fields, or none."""
        fitted: list[Row] = []
        places: list[int] = []
        for at in range(first, len(batch.rows)):
            row = batch.rows[at]
            fit = self._fit(row) if row else None
            if fit is not None:
                fitted.append(fit)
                places.append(at)
            elif row:
                yield from self._made(batch, fitted, places)
                line = batch.line_of(at)
                yield BadRow(self._misfit(row, line), row, line)
                fitted, places = [], []
        yield from self._made(batch, fitted, places)

    def _made(self, batch: Batch, rows: Iterable[Row], places: Sequence[int]) -> Iterator[Rows]:
        """Yield rows as they were asked for; `places` says which rows of the batch they are."""
        if not self._dicts:
            yield rows
        elif self._records is None:
            yield self._as_dicts(rows)
        else:
            for records in self._records.items(list(self._as_dicts(rows))):
                yield _bad(records, batch.line_of(places[records.at])) if isinstance(records, RefusedRow) else records

    def _set_names(self, names: Sequence[Any], where: str = "") -> None:
        super()._set_names(names, where)
        missing = self._records.missing(names) if self._records is not None else []
        if missing:
            fault = FormatError if where else UsageError
            raise fault(f"{where}the header has no column {', '.join(map(repr, missing))}, which the type needs")


def _bad(refused: RefusedRow, line: int) -> BadRow:
    return BadRow(FormatError(f"line {line}: {refused.reason}"), refused.row, line)


def _check(options: dict[str, Any]) -> None:
    if options.get("header") is False:
        raise UsageError("rows of a type need the names of the columns: pass header=True or header=[...]")
    if options.get("ragged") == "keep":
        raise UsageError("ragged='keep' has no effect on rows of a type, which have no place for more fields")
