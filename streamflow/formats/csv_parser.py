"""Chunks of bytes or text to CSV rows as dictionaries or lists: the codec behind `csv.parse`.

What lives here: decoding, the header, and rows that do not fit it. What must not: where a row ends (`csv_reader`),
waiting.

How it works. A chunk is walked over in pieces, lazily, as the rows are taken; the rows of a piece are a batch. They are
made into dictionaries by `map`, at C speed; only when one of them has a wrong number of fields are they looked at one
by one.

A piece is of such a size that about `ROWS` rows come of it. While fewer than 700 containers are alive that were not
there before, Python's cycle collector does not look at them, and a row is still in the processor's cache when it is
used: with pieces of a fixed 64 KiB reading took one and a half times as long.
"""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar

from streamflow.errors import FormatError, UsageError
from streamflow.formats.csv_reader import MOST_COLUMNS, Batch, Row, RowReader
from streamflow.formats.csv_rows import as_dicts, full_dicts
from streamflow.formats.csv_sniffer import Sniffer, SniffingReader
from streamflow.formats.pieces import PIECE, BytesLike, bytes_of, refuse_item
from streamflow.formats.text import Decoder
from streamflow.limits import check_capacity

__all__ = ["Header", "Parser", "Ragged", "check_names"]

Header: TypeAlias = bool | Sequence[str]
"""`True`: the first row has the names. `False`: there are none. Or the names themselves."""

Ragged: TypeAlias = Literal["error", "pad", "keep"]
"""What to do with a row that has too few or too many fields for the header."""

Text = TypeVar("Text", str, bytes)

MOST_NAMES = 12
"""How many names of columns an error shows."""

ROWS = 384
"""How many rows a batch should have."""

LEAST = 2 * 1024
"""The smallest piece of a chunk, in bytes or characters."""


class Parser:
    r"""CSV in chunks of any size to rows. One object serves one run; `streamflow.csv.parse` explains the arguments.

    Example: `rows = [*parser.feed(b"id,name\n1,"), *parser.feed(b"Ann\n"), *parser.finish()]`.
    """

    def __init__(
        self,
        dialect: Any,
        *,
        header: Header = True,
        rows: Literal["dicts", "lists"] = "dicts",
        encoding: str = "utf-8",
        errors: str = "strict",
        max_row_bytes: int = 1 << 20,
        max_field: int | None = None,
        max_columns: int = MOST_COLUMNS,
        ragged: Ragged = "error",
    ) -> None:
        """Check the arguments and make it for one run."""
        _check_choice("rows", rows, ("dicts", "lists"))
        _check_choice("ragged", ragged, ("error", "pad", "keep"))
        if header is False and rows == "dicts":
            raise UsageError("rows='dicts' needs names: pass header=True or header=[...], or take rows='lists'")
        if header is False and ragged != "error":
            raise UsageError(f"ragged={ragged!r} has no effect without a header: rows are given as they are")
        check_capacity("max_row_bytes", max_row_bytes)
        check_capacity("max_columns", max_columns)
        read = partial(
            RowReader, max_row_bytes=max_row_bytes, max_field=_checked_field_limit(max_field), max_columns=max_columns
        )
        self._reader = SniffingReader(dialect, read) if isinstance(dialect, Sniffer) else read(dialect)
        self._decoder = Decoder(encoding, errors, line=self._reader.line)
        self._dicts = rows == "dicts"
        self._ragged = ragged
        self._names: tuple[Any, ...] | None = None
        self._awaits_header = header is True
        self._kind: type[str | bytes] | None = None
        self._piece = PIECE // 4
        if not isinstance(header, bool):
            self._set_names(header)

    def feed(self, data: BytesLike | str, /) -> Iterator[Any]:
        """Return the rows that are complete by now, lazily."""
        return itertools.chain.from_iterable(self.batches(data))

    def batches(self, data: BytesLike | str, /) -> Iterator[Iterable[Any]]:
        """Return what `feed` returns in batches, lazily; an error comes between them, never out of one."""
        return itertools.chain.from_iterable(map(self._batches_of, self._texts(data)))

    def finish(self) -> Iterator[Any]:
        """Return the rows that are left; `TruncatedError` when the data ends inside quotes or inside a character."""
        for text in self._last_texts():
            yield from itertools.chain.from_iterable(self._batches_of(text))
        batch = self._reader.finish()
        if batch is not None:
            yield from itertools.chain.from_iterable(self._shaped(batch))

    def _texts(self, data: BytesLike | str) -> Iterable[str]:
        chunk = data if isinstance(data, str) else bytes_of(data, "csv.parse")
        if not chunk:
            return ()
        if isinstance(chunk, bytes) and self._kind in (None, bytes):
            self._kind = bytes
            return self._until_fault(itertools.chain.from_iterable(map(self._decoder.feed, self._pieces(chunk))))
        if isinstance(chunk, str) and self._kind in (None, str):
            chunk = chunk if self._kind else chunk.removeprefix("\ufeff")
            self._kind = str
            return self._pieces(chunk)
        return refuse_item("csv.parse", data, "one kind, bytes or str throughout")

    def _last_texts(self) -> Iterable[str]:
        return self._until_fault(_late(self._decoder))

    def _until_fault(self, texts: Iterable[str]) -> Iterator[str]:
        """Pass texts on that come of bytes. Where these are bad, the reader first gives what it held back."""
        try:
            yield from texts
        except FormatError:
            self._reader.expect_fault()
            yield ""
            raise

    def _pieces(self, chunk: Text) -> Iterator[Text]:
        at = 0
        while at < len(chunk):
            piece = chunk[at : at + self._piece]
            at += len(piece)
            yield piece

    def _batches_of(self, text: str) -> Iterator[Iterable[Any]]:
        batch = self._reader.feed(text)
        rows = 0 if batch is None else len(batch.rows)
        wanted = len(text) * ROWS // rows if rows else 2 * len(text)
        self._piece = min(max(wanted, LEAST), PIECE)
        return iter(()) if batch is None else self._shaped(batch)

    def _shaped(self, batch: Batch) -> Iterator[Iterable[Any]]:
        """Yield the rows of a batch as they were asked for, then raise the batch's error."""
        first = self._header_in(batch) if self._awaits_header else 0
        rows: Sequence[Row] = batch.rows[first:] if first else batch.rows
        error = batch.error
        if self._names is not None and not {len(self._names)}.issuperset(map(len, rows)):
            rows, error = self._fitted(batch, first)
        yield self._as_dicts(rows) if self._dicts else rows
        if error is not None:
            raise error

    def _header_in(self, batch: Batch) -> int:
        """Take the names from the first row that is not blank; return how many rows that uses up."""
        for at, row in enumerate(batch.rows):
            if row:
                self._awaits_header = False
                self._set_names(row, f"line {batch.line_of(at)}: ")
                return at + 1
        return len(batch.rows)

    def _as_dicts(self, rows: Iterable[Row]) -> Iterator[dict[Any, Any]]:
        names = self._names or ()
        return as_dicts((*names, None), rows) if self._ragged == "keep" else full_dicts(names, rows)

    def _fitted(self, batch: Batch, first: int) -> tuple[list[Row], Exception | None]:
        """Look at rows of which some have the wrong number of fields; the first that may not be so ends them."""
        fitted: list[Row] = []
        for at in range(first, len(batch.rows)):
            row = batch.rows[at]
            fit = self._fit(row) if row else None
            if fit is not None:
                fitted.append(fit)
            elif row:
                return fitted, self._misfit(row, batch.line_of(at))
        return fitted, batch.error

    def _fit(self, row: Row) -> Row | None:
        names = self._names or ()
        missing = len(names) - len(row)
        if not missing:
            return row
        if self._ragged == "error" or (missing < 0 and self._ragged == "pad"):
            return None
        if missing > 0:
            return row + [None] * missing
        return [*row[: len(names)], row[len(names) :]] if self._dicts else row

    def _misfit(self, row: Row, line: int) -> FormatError:
        names = [str(name) for name in self._names or ()]
        shown = ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
        missing = f"; {', '.join(names[len(row) :][:MOST_NAMES])} missing" if len(row) < len(names) else ""
        advice = "'pad' or ragged='keep'" if len(row) < len(names) else "'keep'"
        return FormatError(
            f"line {line}: {len(names)} fields expected ({shown}), {len(row)} found{missing}. "
            f"To accept such rows write ragged={advice}"
        )

    def _set_names(self, names: Sequence[Any], where: str = "") -> None:
        self._names = check_names(names, where, unique=self._dicts)


def _late(decoder: Decoder) -> Iterator[str]:
    # It raises when it is called, which must be where its errors are waited for.
    yield from decoder.finish()


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"{name}={value!r} is none of {', '.join(map(repr, choices))}")


def check_names(names: Sequence[Any], where: str = "", *, unique: bool = True) -> tuple[Any, ...]:
    """Return the names of the columns as a tuple; refuse an empty list, and (if `unique`) names that occur twice.

    `where` is the place in the data they come from. Without one they are an argument, and the error is a `UsageError`.
    """
    fault = FormatError if where else UsageError
    if isinstance(names, str | bytes) or not names:
        raise fault(f"{where}header={names!r}: the names of the columns must be a list of at least one name")
    twice = sorted(str(name) for name, times in Counter(names).items() if times > 1) if unique else []
    if twice:
        advice = (
            "Pass rows='lists', or header=False and skip the first row"
            if where
            else "Give each column a name of its own"
        )
        raise fault(f"{where}the header has {', '.join(map(repr, twice))} more than once. {advice}")
    return tuple(names)


def _checked_field_limit(max_field: int | None) -> int:
    limit = csv.field_size_limit()
    if max_field is None:
        return limit
    check_capacity("max_field", max_field)
    if max_field > limit:
        raise UsageError(
            f"max_field={max_field} is more than the csv module takes now ({limit} characters). That limit is one for "
            f"the whole process: call csv.field_size_limit({max_field}) of the standard library at its start"
        )
    return max_field
