"""CSV: `parse` makes rows of bytes, `format` makes bytes of rows.

What lives here: the two stages with their options, and the codecs behind them as public names. What must not: the work,
which is in `csv_parser` (bytes to rows, headers), `csv_records` (rows of a type, bad rows), `csv_reader` (where a row
ends), `csv_writer` (rows to bytes), `csv_dialect` and `csv_sniffer`.

The results are those of the standard library's `csv` module on the whole text, however the bytes arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from streamflow.engine.codecs import codec_stage
from streamflow.formats.bad_rows import Bad, parsing_stage
from streamflow.formats.csv_dialect import AnyDialect, resolve_dialect
from streamflow.formats.csv_parser import Header, Parser, Ragged
from streamflow.formats.csv_reader import MOST_COLUMNS
from streamflow.formats.csv_records import RecordParser
from streamflow.formats.csv_sniffer import SAMPLE, SNIFF, Sniffer
from streamflow.formats.csv_writer import Formatter
from streamflow.formats.pieces import BytesLike
from streamflow.stages import Stage

__all__ = ["Formatter", "Parser", "RecordParser", "format", "parse"]

T = TypeVar("T")


class ParseOptions(TypedDict, total=False):
    """The options of `parse` that do not change what kind of rows it gives."""

    dialect: AnyDialect
    delimiter: str | None
    quotechar: str | None
    doublequote: bool | None
    escapechar: str | None
    skipinitialspace: bool | None
    quoting: int | None
    strict: bool
    encoding: str
    errors: str
    max_row_bytes: int
    max_field: int | None
    max_columns: int
    ragged: Ragged
    bad: Bad


@overload
def parse(
    *,
    header: Literal[True] | Sequence[str] = True,
    rows: Literal["dicts"] | None = None,
    **options: Unpack[ParseOptions],
) -> Stage[BytesLike | str, dict[str, Any]]: ...
@overload
def parse(
    *, header: Literal[False], rows: Literal["lists"] | None = None, **options: Unpack[ParseOptions]
) -> Stage[BytesLike | str, list[Any]]: ...
@overload
def parse(
    *, header: Header = True, rows: Literal["lists"], **options: Unpack[ParseOptions]
) -> Stage[BytesLike | str, list[Any]]: ...
@overload
def parse(
    *, header: Literal[True] | Sequence[str] = True, rows: type[T], **options: Unpack[ParseOptions]
) -> Stage[BytesLike | str, T]: ...
def parse(
    *,
    header: Header = True,
    rows: Any = None,
    dialect: AnyDialect = "excel",
    delimiter: str | None = None,
    quotechar: str | None = None,
    doublequote: bool | None = None,
    escapechar: str | None = None,
    skipinitialspace: bool | None = None,
    quoting: int | None = None,
    strict: bool = True,
    encoding: str = "utf-8",
    errors: str = "strict",
    max_row_bytes: int = 1 << 20,
    max_field: int | None = None,
    max_columns: int = MOST_COLUMNS,
    ragged: Ragged = "error",
    bad: Bad = "error",
) -> Stage[Any, Any]:
    r"""Turn chunks of bytes (or text) into rows, wherever the chunks are cut.

    Example:
        await sf.pipeline(objects.read("s3://bucket/orders.csv"), csv.parse(), sf.for_each(save))

    The rows are those that `csv.reader` gives for the whole text: newlines in quotes, doubled quotes, `\r\n`, a
    character cut in two by a chunk's edge. With a header, blank lines are skipped, as `csv.DictReader` does; without
    one they are `[]`.

    Args:
        header: `True`: the first row that is not blank has the names. A list: these are the names. `False`: rows are
            lists.
        rows: `"dicts"` (the default where there is a header), `"lists"`, or a type whose columns are checked and
            converted: a dataclass, a `TypedDict`, a `NamedTuple`, a `msgspec.Struct` (with the extra `json`), or a
            pydantic model. An empty field is `None` where the column may be `None` and no text. Other columns than
            those of the type are left out.
        dialect: a name registered with the `csv` module, a `csv.Dialect`, or a subclass of it. `"sniff"`: `csv.Sniffer`
            guesses delimiter, quotes and spaces from the lines within the first 4,096 characters (and 256 quotes); the
            rows come when these are there. A delimiter is `,` `;` `|` or a tab. What is given below is not guessed.
        delimiter: what separates fields; replaces what the dialect says, as do the next five, which mean what they mean
            in the `csv` module.
        quotechar: what stands around fields.
        doublequote: whether two of them in a field stand for one.
        escapechar: what takes the special meaning from the character behind it.
        skipinitialspace: whether spaces after a delimiter are left out.
        quoting: `csv.QUOTE_MINIMAL` and its kin.
        strict: whether bad quoting (`"a"b`) is an error. `False` guesses as the `csv` module does by default. Data that
            ends inside quotes is an error in any case.
        encoding: of chunks of bytes. A byte order mark is skipped.
        errors: what to do with undecodable bytes, as for `bytes.decode`.
        max_row_bytes: the longest row accepted, in bytes of UTF-8. It keeps a stray quote from swallowing the rest of
            the data.
        max_field: the longest field accepted, in characters; at most `csv.field_size_limit()`, which is also the
            default.
        max_columns: the most fields accepted in a row; as many as a spreadsheet has, unless you say otherwise.
        ragged: what to do with a row that has another number of fields than the header. `"error"`; `"pad"`: short rows
            get `None`, long ones are an error; `"keep"`: also long ones are kept, in a dictionary with the rest under
            the key `None`.
        bad: what to do with a row that does not fit the header or the type: `"error"`, or a policy that skips it, such
            as `sf.skip_errors(to=letters)`. The `DeadLetter` has the row and the number of its line.

    Raises `FormatError` that names the line, after all rows before it were delivered: a row that does not fit the
    header or the type (it names the column), a header without a column that the type needs, bad quoting, undecodable
    bytes, a name that is twice in the header, a dialect that cannot be guessed. `TruncatedError` when the data
    ends inside quotes (it names the line of the quote) or inside a character. `LimitExceeded` for rows and fields that
    are too long, and for rows of too many fields. `UsageError` and `MissingExtra`, at once, for options that mean
    nothing and types that need a library that is not installed.

    Cancellation: it never waits (with a policy: but for the dead letters), so it is never caught in the middle; a row
    that is not complete yet is dropped.
    """
    given = {
        "delimiter": delimiter,
        "quotechar": quotechar,
        "doublequote": doublequote,
        "escapechar": escapechar,
        "skipinitialspace": skipinitialspace,
        "quoting": quoting,
        "strict": strict,
    }
    sniffs = dialect == SNIFF
    resolved = Sniffer(given) if sniffs else resolve_dialect(dialect, given)
    holds = max(2 * max_row_bytes, 4 * SAMPLE if sniffs else 0)
    options: dict[str, Any] = {
        "header": header,
        "rows": rows or ("lists" if header is False else "dicts"),
        "encoding": encoding,
        "errors": errors,
        "max_row_bytes": max_row_bytes,
        "max_field": max_field,
        "max_columns": max_columns,
        "ragged": ragged,
    }
    if bad != "error" or not (rows is None or isinstance(rows, str)):
        return parsing_stage(partial(RecordParser, resolved, **options), bad, name="csv.parse", holds=holds)
    make = partial(Parser, resolved, **options)
    make()  # so that bad options are refused here and not when the run starts
    return codec_stage(make, name="csv.parse", holds=holds)


def format(  # noqa: A001  # used as csv.format, the counterpart of csv.parse
    *,
    header: Header = True,
    dialect: AnyDialect = "excel",
    delimiter: str | None = None,
    quotechar: str | None = None,
    doublequote: bool | None = None,
    escapechar: str | None = None,
    quoting: int | None = None,
    lineterminator: str | None = None,
    encoding: str = "utf-8",
    errors: str = "strict",
    block_bytes: int = 64 * 1024,
    extra: Literal["error", "ignore"] = "error",
    missing: object = "error",
    escape_formulas: bool = False,
) -> Stage[Any, bytes]:
    r"""Turn rows into blocks of CSV bytes.

    Example:
        await sf.pipeline(rows, csv.format(), gzip.compress(), objects.write("s3://bucket/orders.csv.gz"))

    The bytes are those that `csv.DictWriter` or `csv.writer` gives. A block is a number of whole rows; where it ends
    follows from the rows alone.

    Args:
        header: `True`: the names are those of the first row, which must be a dictionary. A list: these are the names
            and their order; it is written even if there are no rows. `False`: none is written.
        dialect: a name registered with the `csv` module, a `csv.Dialect`, or a subclass of it.
        delimiter: what separates fields; replaces what the dialect says, as do the next five, which mean what they mean
            in the `csv` module.
        quotechar: what stands around fields that need it.
        doublequote: whether such a character in a field is written twice.
        escapechar: what is written before special characters that are not quoted.
        quoting: `csv.QUOTE_MINIMAL` and its kin.
        lineterminator: what ends a row; `"\r\n"` unless the dialect says otherwise.
        encoding: of the bytes. `utf-8-sig` writes a byte order mark, which some spreadsheets want.
        errors: what to do with characters that the encoding lacks, as for `str.encode`.
        block_bytes: the size from which a block is handed on, in characters (bytes, where the text is ASCII).
        extra: a dictionary with keys that are not in the header is an `"error"`, or the keys are ignored (`"ignore"`).
        missing: a dictionary without one of the columns is an `"error"`; anything else is written in its place
            (`missing=""`).
        escape_formulas: whether text that a spreadsheet would run as a formula (it begins with `=`, `+`, `-`, `@`, tab)
            gets an apostrophe before it. Numbers are left alone.

    Raises `FormatError` that names the row (the first is 1, the header not counted) and the columns that are missing or
    too many; full blocks before it were delivered. `UsageError`, at once, for options that mean nothing.

    Cancellation: it never waits; rows that are in no full block yet are dropped, and the last block is made only at a
    clean end.
    """
    resolved = resolve_dialect(
        dialect,
        {
            "delimiter": delimiter,
            "quotechar": quotechar,
            "doublequote": doublequote,
            "escapechar": escapechar,
            "quoting": quoting,
            "lineterminator": lineterminator,
        },
    )

    def make() -> Formatter:
        return Formatter(
            resolved,
            header=header,
            encoding=encoding,
            errors=errors,
            block_bytes=block_bytes,
            extra=extra,
            missing=missing,
            escape_formulas=escape_formulas,
        )

    make()
    return Stage(name="csv.format", transform=make, callable=Formatter.take, holds=2 * block_bytes)
