"""JSON in streams: `parse_lines` and `format_lines` for JSON Lines, `parse_array` and `format_array` for one array.

What lives here: the four stages with their options, and the codecs behind them as public names. What must not: the
work, which is in `json_lines_parser` and `json_array_parser` (where an item ends), `json_decoder` (texts to items),
`json_formatter` and `json_encoder` (items to texts) and `json_library` (which library does it).

JSON Lines (also called NDJSON) are values with a newline behind each. Items are read by msgspec where the extra `json`
is installed, else by the standard library: the same values, the same errors.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict, TypeVar, Unpack, overload

from streamflow.formats.bad_rows import Bad, parsing_stage
from streamflow.formats.json_array_parser import ArrayParser
from streamflow.formats.json_formatter import ArrayFormatter, LineFormatter
from streamflow.formats.json_lines_parser import LineParser
from streamflow.formats.pieces import BytesLike
from streamflow.stages import Stage

__all__ = [
    "ArrayFormatter",
    "ArrayParser",
    "LineFormatter",
    "LineParser",
    "format_array",
    "format_lines",
    "parse_array",
    "parse_lines",
]

T = TypeVar("T")


class LineOptions(TypedDict, total=False):
    """The options of `parse_lines` that do not change what kind of items it gives."""

    max_line_bytes: int
    encoding: str
    errors: str
    bad: Bad


class ArrayOptions(TypedDict, total=False):
    """The options of `parse_array` that do not change what kind of items it gives."""

    max_item_bytes: int
    encoding: str
    errors: str
    bad: Bad


@overload
def parse_lines(**options: Unpack[LineOptions]) -> Stage[BytesLike | str, Any]: ...
@overload
def parse_lines(*, type: type[T], **options: Unpack[LineOptions]) -> Stage[BytesLike | str, T]: ...
@overload
def parse_lines(*, type: Any, **options: Unpack[LineOptions]) -> Stage[BytesLike | str, Any]: ...
def parse_lines(
    *,
    type: Any = Any,  # noqa: A002  # the word for it, as in msgspec
    max_line_bytes: int = 1 << 20,
    encoding: str = "utf-8",
    errors: str = "strict",
    bad: Bad = "error",
) -> Stage[Any, Any]:
    r"""Turn chunks of JSON Lines into items, wherever the chunks are cut.

    Example:
        await sf.pipeline(files.read("orders.jsonl"), json.parse_lines(type=Order), sf.for_each(save))

    The items are those that `json.loads` gives for each line, or objects of a type that the values are checked against.
    Blank lines are skipped. The last line counts even if no newline ends it. Of a key that is twice in an object the
    last one counts. `NaN` and `Infinity`, which are no JSON, are errors, as are numbers that no float can hold and half
    a surrogate pair (`\ud800`).

    Args:
        type: what each line is: a dataclass, a `TypedDict`, a `msgspec.Struct`, `list[int]`, a `NamedTuple` (which
            is an array in JSON), all with the extra `json`; or a pydantic model, which reads JSON by its own rules.
            Keys that the type does not have are ignored unless the type says otherwise. By default anything.
        max_line_bytes: the longest line accepted, in bytes of UTF-8, without its newline.
        encoding: of chunks of bytes. A byte order mark is skipped.
        errors: what to do with undecodable bytes, as for `bytes.decode`.
        bad: what to do with a line that is no JSON or not of the type: `"error"`, or a policy that skips it, such as
            `sf.skip_errors(to=letters)`. The `DeadLetter` has the line in bytes and its number.

    Raises `FormatError` that names the line, and the column or the path in it (`$.price`), after all items before it
    were delivered. `TruncatedError` when the data ends inside the value of the last line. `LimitExceeded` for a line
    that is too long, and for brackets nested deeper than Python's recursion limit. `UsageError` and `MissingExtra`, at
    once, for options that mean nothing and types that need a library that is not installed. A policy does not skip
    what cannot be gone on behind: the end of the data in a value, a line that is too long, bytes that are not in
    an `encoding` other than UTF-8.

    Cancellation: it never waits (with a policy: but for the dead letters), so it is never caught in the middle; a line
    that is not complete yet is dropped.
    """
    make = partial(LineParser, type, max_line_bytes=max_line_bytes, encoding=encoding, errors=errors)
    return parsing_stage(make, bad, name="json.parse_lines", holds=2 * max_line_bytes)


@overload
def parse_array(**options: Unpack[ArrayOptions]) -> Stage[BytesLike | str, Any]: ...
@overload
def parse_array(*, type: type[T], **options: Unpack[ArrayOptions]) -> Stage[BytesLike | str, T]: ...
@overload
def parse_array(*, type: Any, **options: Unpack[ArrayOptions]) -> Stage[BytesLike | str, Any]: ...
def parse_array(
    *,
    type: Any = Any,  # noqa: A002
    max_item_bytes: int = 1 << 20,
    encoding: str = "utf-8",
    errors: str = "strict",
    bad: Bad = "error",
) -> Stage[Any, Any]:
    """Turn chunks of one JSON array (`[{...}, {...}]`) into its items, wherever the chunks are cut.

    Example:
        await sf.pipeline(files.read("orders.json"), json.parse_array(type=Order), sf.for_each(save))

    The data is the array and nothing else but whitespace; an item may be any value. Items come as soon as they are
    complete, so only one that is not is held, whatever the size of the array.

    Args:
        type: what each item is, as for `parse_lines`.
        max_item_bytes: the longest item accepted, in bytes of UTF-8.
        encoding: of chunks of bytes. A byte order mark is skipped.
        errors: what to do with undecodable bytes, as for `bytes.decode`.
        bad: what to do with an item that is no JSON or not of the type: `"error"`, or a policy that skips it, such as
            `sf.skip_errors(to=letters)`. The `DeadLetter` has the item in bytes and its number.

    Raises `FormatError` that names the item (the first is 1), the line and the path in the item (`$.price`), after all
    items before it were delivered; also for data that is no array, and for anything behind it. `TruncatedError` when
    the data ends before the array does. `LimitExceeded` for an item that is too long, and for brackets nested deeper
    than Python's recursion limit. `UsageError` and `MissingExtra` as for `parse_lines`.

    Cancellation: it never waits (with a policy: but for the dead letters), so it is never caught in the middle; an item
    that is not complete yet is dropped.
    """
    make = partial(ArrayParser, type, max_item_bytes=max_item_bytes, encoding=encoding, errors=errors)
    return parsing_stage(make, bad, name="json.parse_array", holds=2 * max_item_bytes)


def format_lines(*, default: Callable[[Any], Any] | None = None, block_bytes: int = 64 * 1024) -> Stage[Any, bytes]:
    """Turn items into blocks of JSON Lines: a value and a newline for each item.

    Example:
        await sf.pipeline(rows, json.format_lines(), gzip.compress(), files.write("orders.jsonl.gz"))

    An item is what JSON knows: a dictionary, a list, text, numbers, booleans, `None`. With the extra `json` also a
    dataclass, a `msgspec.Struct`, dates and times (ISO 8601), `UUID`, `Decimal` (as text), enums, sets, bytes (base64).
    Pydantic models and rows of databases are written as objects. The bytes are UTF-8 without spaces. A block is a
    number of whole lines; where it ends follows from the items alone.

    Args:
        default: a function that makes something known of an object that is not, as for `json.dumps`.
        block_bytes: the size from which a block is handed on, in bytes.

    Raises `FormatError` that names the item (the first is 1) for what JSON does not know, also NaN and infinity; full
    blocks before it were delivered. `MissingExtra` for a dataclass or a date without the extra. What `default` raises,
    as it is. `UsageError`, at once, for options that mean nothing.

    Cancellation: it never waits; items that are in no full block yet are dropped, and the last block is made only at a
    clean end.
    """
    make = partial(LineFormatter, default=default, block_bytes=block_bytes)
    make()
    return Stage(name="json.format_lines", transform=make, callable=LineFormatter.take, holds=2 * block_bytes)


def format_array(*, default: Callable[[Any], Any] | None = None, block_bytes: int = 64 * 1024) -> Stage[Any, bytes]:
    """Turn items into blocks of one JSON array, with each item on a line of its own.

    Example:
        await sf.pipeline(rows, json.format_array(), files.write("orders.json"))

    The array is ended only by a clean end of the items: one that was cut short is no JSON. No items give `[]`.

    Args:
        default: as for `format_lines`, where also stands what an item may be.
        block_bytes: the size from which a block is handed on, in bytes.

    Raises what `format_lines` raises.

    Cancellation: it never waits; items that are in no full block yet are dropped, and the `]` is not written.
    """
    make = partial(ArrayFormatter, default=default, block_bytes=block_bytes)
    make()
    return Stage(name="json.format_array", transform=make, callable=LineFormatter.take, holds=2 * block_bytes)
