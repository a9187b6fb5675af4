"""Rows to Arrow batches and back: the transforms behind `arrow.from_rows` and `arrow.to_rows`.

What lives here: both directions. What must not: bytes, waiting.

How it works. Rows are collected to batches of a fixed number, so where a batch ends follows from the rows alone. The
rows of a batch are turned into columns by `zip` and `itemgetter`, and each column is converted by pyarrow in one call.
Only when that fails are the rows looked at one by one, to say which of them is wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from streamflow.errors import FormatError, UsageError
from streamflow.formats.arrow_library import RecordBatch, Schema, batches_of, check_schema, shown
from streamflow.formats.csv_columns import is_mapping
from streamflow.limits import check_capacity

__all__ = ["FromRows", "ToRows"]

STRETCH = 4096


class ToRows:
    """Batches to rows. One object serves one run; `arrow.to_rows` explains the arguments.

    Example: `rows = [*to_rows.feed(batch), *to_rows.finish()]`.
    """

    def __init__(self, pa: Any, rows: str = "dicts") -> None:
        """Check the arguments and make it for one run."""
        if rows not in ("dicts", "tuples"):
            raise UsageError(f"rows={rows!r} is neither 'dicts' nor 'tuples'")
        self._pa = pa
        self._dicts = rows == "dicts"

    def feed(self, batch: RecordBatch, /) -> Iterator[Any]:
        """Return the rows of a batch, lazily."""
        parts = batches_of(self._pa, batch, "arrow.to_rows")
        return itertools.chain.from_iterable(map(self._rows, itertools.chain.from_iterable(map(_stretches, parts))))

    def finish(self) -> Iterator[Any]:
        """Return nothing: each batch was answered at once."""
        return iter(())

    def _rows(self, batch: RecordBatch) -> Iterator[Any]:
        columns = [column.to_pylist() for column in batch.columns]
        if not self._dicts:
            return zip(*columns, strict=True) if columns else itertools.repeat((), batch.num_rows)
        names = batch.schema.names
        if len(set(names)) < len(names):
            raise FormatError(f"the columns {shown(names)} are not all different. Pass rows='tuples'")
        if not columns:
            return ({} for _ in range(batch.num_rows))
        return map(dict, map(zip, itertools.repeat(names), zip(*columns, strict=True)))


class FromRows:
    """Rows to batches. One object serves one run; `arrow.from_rows` explains the arguments.

    Example: `batches = [*from_rows.apply(iter(rows)), *from_rows.finish()]`.

    It is a codec (`feed` one row) and a transform (`apply` to a stretch of rows, which is faster).
    """

    done = False

    def __init__(self, pa: Any, *, schema: Schema = None, batch: int = 8192) -> None:
        """Check the arguments and make it for one run."""
        check_capacity("batch", batch)
        check_schema(pa, schema)
        self._pa = pa
        self._schema = schema
        self._most = batch
        self._held: list[Any] = []
        self._number = 0
        self._mappings: bool | None = None
        self._names: list[str] = []
        self._fields: Callable[[Any], Sequence[Any]] = tuple

    def feed(self, row: Any, /) -> Iterator[RecordBatch]:
        """Take one row; return the batch that is full now, if any."""
        return self.apply(iter((row,)))

    def apply(self, items: Iterator[Any], /) -> Iterator[RecordBatch]:
        """Take rows as they come; yield full batches."""
        while True:
            before = len(self._held)
            self._held.extend(itertools.islice(items, self._most - before))
            if len(self._held) < self._most:
                return
            yield from self.take()

    def finish(self) -> Iterator[RecordBatch]:
        """Yield the last batch."""
        if self._held:
            yield from self.take()

    def take(self) -> Iterator[RecordBatch]:
        """Yield the rows that are held as a batch; those before a bad row, and then its error."""
        rows, self._held = self._held, []
        if self._mappings is None:
            self._learn(rows[0])
        error: FormatError | None = None
        try:
            batch = self._batch(rows)
        except Exception as fault:  # noqa: BLE001  # whatever it was is found again below, where the row is known
            good, error = self._first_bad(rows, fault)
            batch = self._batch(rows[:good]) if good else None
        if batch is not None:
            self._number += batch.num_rows
            self._schema = batch.schema
            yield batch
        if error is not None:
            raise error

    def _learn(self, row: Any) -> None:
        """Learn from the first row what rows are."""
        self._mappings = is_mapping(row)
        if self._mappings:
            names = list(row.keys()) if self._schema is None else self._schema.names
            self._names = names
            self._fields = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        elif self._schema is None:
            raise FormatError(
                f"row 1 is a {type(row).__name__}, which has no names for the columns. "
                f"Pass schema=pyarrow.schema([('id', pyarrow.int64()), ...]), or make the rows dictionaries"
            )
        else:
            self._names = self._schema.names

    def _batch(self, rows: list[Any]) -> RecordBatch:
        kinds = set(map(type, rows))
        if not {len(self._names)}.issuperset(map(len, rows)) or not (self._mappings or kinds <= {tuple, list}):
            self._check_each(rows)
        fields: Iterable[Sequence[Any]] = map(self._fields, rows) if self._mappings else rows
        columns = list(zip(*fields, strict=True))
        schema = self._schema
        if schema is None:
            return self._pa.record_batch([self._pa.array(column) for column in columns], names=self._names)
        pairs = zip(columns, schema, strict=True)
        batch = self._pa.record_batch([self._pa.array(column, field.type) for column, field in pairs], schema=schema)
        batch.validate()
        return batch

    def _first_bad(self, rows: list[Any], fault: Exception) -> tuple[int, FormatError]:
        """Find the first row that makes it fail, by halving; return its place and the error that names it."""
        good, bad = 0, len(rows)
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                self._batch(rows[:middle])
                good = middle
            except Exception as earlier:  # noqa: BLE001  # as above
                bad, fault = middle, earlier
        text = f"no field {fault}" if isinstance(fault, KeyError) else str(fault)
        error = FormatError(f"row {self._number + bad}: {text}")
        error.__cause__ = None if isinstance(fault, FormatError) else fault
        return bad - 1, error

    def _check_each(self, rows: list[Any]) -> None:
        for row in rows:
            listlike = self._mappings or not (is_mapping(row) or isinstance(row, str | bytes))
            if len(row) != len(self._names) or not listlike:
                named = is_mapping(row)
                found = shown([str(name) for name in row.keys()]) if named else f"{len(row)} in a {type(row).__name__}"  # noqa: SIM118  # database rows iterate over values
                raise FormatError(f"the fields {shown(self._names)} expected, found {found}")


def _stretches(batch: RecordBatch) -> Iterator[RecordBatch]:
    """Cut a batch, so that not all its rows are made at once."""
    return (batch.slice(at, STRETCH) for at in range(0, batch.num_rows, STRETCH))
