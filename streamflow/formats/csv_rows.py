"""The quick ways through CSV rows, and which dialects they know: in C where it was compiled, else there is none.

What lives here: the choice. What must not: how `csv.reader` and `csv.writer` are used for what no quick way knows
(`csv_reader`, `csv_writer`).

A quick way does what it is sure of and says where it stopped, so nothing depends on it but speed. `_rows.c` has the
theory.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import repeat
from typing import Any, TypeAlias

from streamflow.compiled import compiled
from streamflow.formats.csv_columns import Columns

__all__ = [
    "Appender",
    "QuickReader",
    "QuickWriter",
    "as_dicts",
    "full_dicts",
    "quick_reader",
    "quick_writer",
    "rows_in_c",
    "why_pure",
]

rows_in_c, why_pure = compiled("streamflow.formats._rows")
"""The module in C, or `None`; and why it is not in use, in words."""

QuickReader: TypeAlias = Callable[[str], tuple[list[list[Any]], int, int]]
"""Text to the rows at its start that are whole and right, how many lines these are, and how many characters."""

QuickWriter: TypeAlias = Callable[[list[Any], int, int], tuple[bytes, int, int]]
"""Rows, from which on, and for how many characters there is room: to UTF-8, its characters, and the next row."""


def quick_reader(dialect: Any) -> QuickReader | None:
    """Return the quick way to read this dialect, or `None`."""
    known = dialect.strict and dialect.quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL) and _is_plain(dialect)
    signs = {dialect.delimiter, dialect.quotechar}
    if rows_in_c is None or not known or len(signs) == 1 or signs & {"\r", "\n"}:
        return None
    return partial(rows_in_c.read, dialect.delimiter, dialect.quotechar)


def as_dicts(names: tuple[Any, ...], rows: Iterable[list[Any]]) -> Iterator[dict[Any, Any]]:
    """Yield rows, none of them longer than the names, as dictionaries; a shorter one lacks the last names."""
    return map(dict, map(zip, repeat(names), rows))


def full_dicts(names: tuple[Any, ...], rows: Iterable[list[Any]]) -> Iterator[dict[Any, Any]]:
    """Yield rows that are as long as the names as dictionaries."""
    if rows_in_c is None:
        return as_dicts(names, rows)
    return map(partial(rows_in_c.read_dict, dict.fromkeys(names), names), rows)


def quick_writer(dialect: Any, columns: Columns) -> QuickWriter | None:
    """Return the quick way to write rows with these columns in this dialect, or `None`."""
    known = dialect.quoting == csv.QUOTE_MINIMAL and _is_plain(dialect) and not columns.escapes
    signs = dialect.delimiter + (dialect.quotechar or "") + dialect.lineterminator
    if rows_in_c is None or not known or not signs.isascii():
        return None
    packed = _packed(dialect.delimiter, dialect.quotechar, dialect.lineterminator)
    if columns.mappings:
        return partial(rows_in_c.write_dicts, packed, columns.names, columns.fillers, columns.extra_is_error)
    return partial(rows_in_c.write_lists, packed, -1 if columns.names is None else len(columns.names))


def _is_plain(dialect: Any) -> bool:
    return bool(dialect.quotechar and dialect.doublequote) and not (dialect.escapechar or dialect.skipinitialspace)


@lru_cache(maxsize=16)
def _packed(delimiter: str, quotechar: str, lineterminator: str) -> bytes:
    """Return a dialect as `_rows.c` takes it. Which characters need quotes is asked of this Python's `csv.writer`."""
    lines: list[str] = []
    writer = csv.writer(Appender(lines.append), delimiter=delimiter, quotechar=quotechar, lineterminator=lineterminator)
    writer.writerows([chr(code), "x"] for code in range(128))
    table = bytes(line.startswith(quotechar) for line in lines)
    return table + (delimiter + quotechar + lineterminator).encode("ascii")


class Appender:
    """The file that `csv.writer` writes to: it makes one `write` of each row."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self.write = write
