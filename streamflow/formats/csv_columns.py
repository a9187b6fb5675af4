"""How a row becomes the fields of a CSV line, and what can be wrong with it.

What lives here: dictionaries and lists to fields, missing and extra columns, formulas. What must not: quoting, bytes.

How it works. `fit` looks at a stretch of rows at C speed (their types, their lengths) and `fields` is
`operator.itemgetter` where nothing special is asked for. Only when a stretch does not fit does `problem` look at single
rows, to say what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from operator import itemgetter
from typing import Any

__all__ = ["Columns", "escaped", "is_mapping"]


class Columns:
    """The columns of one CSV text.

    Args:
        names: of the columns; `None` where rows are lists and there is no header.
        mappings: whether rows are dictionaries (or database rows, which have `keys()` too).
        extra, missing, escape: as `csv.format` has them (`escape_formulas`).
    """

    def __init__(
        self, names: tuple[Any, ...] | None, *, mappings: bool, extra: str, missing: object, escape: bool
    ) -> None:
        self.names = names
        self.mappings = mappings
        self.known: set[type] = set()
        self.extra_is_error = extra == "error"
        self.missing = missing
        self.escapes = escape
        self.fields = self._fields()
        if escape:
            unescaped = self.fields
            self.fields = lambda row: [escaped(field) for field in unescaped(row)]

    def _fields(self) -> Callable[[Any], Iterable[Any]]:
        names = self.names
        if not self.mappings or names is None:
            return _as_it_is
        if self.missing != "error":
            return self._filled
        if len(names) == 1:
            return lambda row: (row[names[0]],)
        return itemgetter(*names)

    def _filled(self, row: Any) -> list[Any]:
        present = row.keys()
        return [row[name] if name in present else self.missing for name in self.names or ()]

    @property
    def fillers(self) -> tuple[()] | tuple[object]:
        """What stands for a field that is missing, if anything may."""
        return () if self.missing == "error" else (self.missing,)

    def gaps(self, rows: list[Any]) -> Iterable[int]:
        """Return how many delimiters stand between the fields of each row, for rows that fit."""
        return (len(row) - 1 for row in rows) if self.names is None else repeat(len(self.names) - 1)

    def all_fields(self, rows: list[Any]) -> Iterable[Iterable[Any]]:
        """Return the fields of each row, lazily."""
        return rows if self.fields is _as_it_is else map(self.fields, rows)

    def fit(self, rows: list[Any]) -> bool:
        """Whether all are right as far as can be told at once; `False` means: look at each."""
        if not self.known.issuperset(map(type, rows)) and any(self._wrong_kind(row) for row in rows):
            return False
        if self.names is None or (not self.extra_is_error and self.mappings):
            return True
        if self.mappings and self.missing != "error":
            return all(map(set(self.names).issuperset, (row.keys() for row in rows)))
        return {len(self.names)}.issuperset(map(len, rows))

    def problem(self, row: Any) -> str | None:
        """What is wrong with a row, or `None`."""
        wrong = self._wrong_kind(row)
        if wrong or self.names is None:
            return wrong
        if not self.mappings:
            fine = len(row) == len(self.names)
            return None if fine else f"it has {len(row)} fields, but the header has {len(self.names)}"
        present = list(row.keys())
        extra = [str(name) for name in present if name not in self.names]
        missing = [str(name) for name in self.names if name not in present]
        if missing and self.missing == "error":
            return f"the columns {', '.join(missing)} are missing. To fill them write missing=''"
        if extra and self.extra_is_error:
            return (
                f"it has the columns {', '.join(extra)}, which the header lacks. To leave them out write extra='ignore'"
            )
        return None

    def _wrong_kind(self, row: Any) -> str | None:
        kind = type(row)
        if kind in self.known:
            return None
        if is_mapping(row) is not self.mappings or not _is_row(row):
            wanted = "dictionary" if self.mappings else "list or tuple"
            return f"it is a {kind.__name__}, not a {wanted} like the first row"
        self.known.add(kind)
        return None


def _as_it_is(row: Any) -> Any:
    return row


def is_mapping(row: Any) -> bool:
    """Whether a row has its fields by name."""
    # Database rows (asyncpg, sqlite3) have keys() without being registered as mappings.
    return hasattr(row, "keys") and hasattr(row, "__getitem__")


def _is_row(row: Any) -> bool:
    listlike = hasattr(row, "__len__") and hasattr(row, "__iter__")
    return listlike and not isinstance(row, str | bytes | bytearray | memoryview | set | frozenset)


def escaped(field: object) -> object:
    """Return a field that a spreadsheet would run as a formula with an apostrophe before it; numbers are left alone."""
    if not isinstance(field, str) or not field.startswith(("=", "+", "-", "@", "\t", "\r")):
        return field
    try:
        float(field)
    except ValueError:
        return "'" + field
    return field
