"""`csv_download`: a stream of rows as a CSV file that the browser saves.

What lives here: that response, and which fields a typed row has. What must not: how a field is written
(`formats.csv`), the headers of a download (`headers.py`), sending (`responses.py`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from operator import methodcaller
from typing import Any, Literal, Unpack

from streamflow.formats.csv_blocks import quick_blocks
from streamflow.formats.csv_dialect import AnyDialect, resolve_dialect
from streamflow.formats.csv_writer import Formatter
from streamflow.streams import stream as stream_of
from streamflow.types import SourceLike
from streamflow.web.live import ROWS, live
from streamflow.web.options import BodyOptions
from streamflow.web.responses import StreamResponse

__all__ = ["csv_download"]


def csv_download(
    stream: SourceLike[Any],
    *,
    filename: str,
    columns: Sequence[str] | None = None,
    dialect: AnyDialect = "excel",
    delimiter: str | None = None,
    quoting: int | None = None,
    lineterminator: str | None = None,
    encoding: str = "utf-8",
    extra: Literal["error", "ignore"] = "error",
    missing: object = "error",
    escape_formulas: bool = False,
    headers: Mapping[str, str] | None = None,
    **options: Unpack[BodyOptions],
) -> StreamResponse:
    """Answer with rows as a CSV file with a header, for the browser to save under `filename`.

    Example:
        @app.get("/orders.csv")
        async def orders() -> StreamResponse:
            return web.csv_download(sf.stream(cursor), filename="Größe & Preis.csv", compress=True)

    Args:
        stream: the rows: dictionaries, rows of databases, dataclasses, named tuples, `msgspec.Struct`s, pydantic
            models; or lists and tuples, with `columns=`.
        filename: what the file is to be called; any characters.
        columns: the names of the columns and their order; the header is sent even if there are no rows. `None`: those
            of the first row; without rows the file is empty.
        dialect: as for `csv.format`, as are the following.
        delimiter: what separates fields: `";"` suits the spreadsheets of countries with a decimal comma.
        quoting: `csv.QUOTE_MINIMAL` and its kin.
        lineterminator: what ends a row.
        encoding: of the file; `"utf-8-sig"` writes a byte order mark, which some spreadsheets want.
        extra: fields that are no column are an `"error"`, or left out (`"ignore"`).
        missing: a row without one of the columns is an `"error"`; anything else is written in its place.
        escape_formulas: whether text that a spreadsheet would run as a formula gets an apostrophe before it. Write
            `True` where the rows hold what strangers typed in and people will open the file.
        headers: more of them.
        **options: those of `StreamResponse`; `maxsize` is 128 rows, where it is not given.

    Raises `UsageError`, at once, for options that mean nothing. When it is sent, what the stream raises, and
    `FormatError` that names the row: before the first row was sent that is a response of its own (500); after it the
    connection is broken off, so that a browser shows a failed download and not a short file.

    Cancellation: as for `StreamResponse`.
    """
    given = {"delimiter": delimiter, "quoting": quoting, "lineterminator": lineterminator}
    make = partial(
        Rows,
        resolve_dialect(dialect, given),
        header=True if columns is None else columns,
        encoding=encoding,
        extra=extra,
        missing=missing,
        escape_formulas=escape_formulas,
    )
    charset = make().charset
    options.setdefault("media_type", f"text/csv; charset={charset}; header=present")
    options.setdefault("maxsize", ROWS)
    table = live(make, Formatter.take, name="web.csv_download")
    return StreamResponse(stream_of(stream).through(table), filename=filename, headers=headers, **options)


class Rows(Formatter):
    """CSV of rows of any kind, whose last block can be brought out at any time."""

    def __init__(self, dialect: Any, **options: Any) -> None:
        """Make it for one run."""
        super().__init__(dialect, **options)
        self._plain_of: dict[type, Callable[[Any], Any]] = {}

    @property
    def charset(self) -> str:
        """The name of the encoding as HTTP has it."""
        return self._encoder.encoding.replace("utf-8-sig", "utf-8")

    def apply(self, items: Iterator[Any], /) -> Iterator[bytes]:
        """Take rows as they come; yield full blocks."""
        return super().apply(map(self._plain_row, items))

    def flush(self) -> Iterator[bytes]:
        """Yield the rows that are in no block yet."""
        if self._columns is None:
            return
        quick = self._quick
        if quick is None:
            block = self._encoded(len(self._lines))
            self._counted = self._size = 0
        else:
            block = quick.rest()
            self._encoder.skip(quick.size, block.count(b"\n"))
            self._quick = quick_blocks(self._dialect, self._columns, self._encoder, self._block, "")
        if block:
            yield block

    def _plain_row(self, row: Any) -> Any:
        kind = type(row)
        if kind is dict:
            return row
        plain = self._plain_of.get(kind)
        if plain is None:
            plain = self._plain_of[kind] = _plain(kind)
        return plain(row)


def _plain(kind: type) -> Callable[[Any], Any]:
    """Return what makes a dictionary of a row of a type that says which fields it has; other rows stay as they are."""
    if dataclasses.is_dataclass(kind):
        return partial(_attributes, tuple(field.name for field in dataclasses.fields(kind)))
    if hasattr(kind, "__struct_fields__"):
        return partial(_attributes, kind.__struct_fields__)
    for method in ("model_dump", "_asdict"):  # of pydantic's models; of named tuples, and rows of SQLAlchemy
        if hasattr(kind, method):
            return methodcaller(method)
    return _same


def _attributes(names: tuple[str, ...], row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _same(row: Any) -> Any:
    return row
