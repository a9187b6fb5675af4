"""Rows that need no quotes, which are most, to CSV lines at the speed of `str.join`.

What lives here: `PlainLines`. What must not: quoting; the rows that need it are left to `csv.writer`, which for each
character of a row looks whether it is special, and so takes three times as long.

How it works. The fields of each row are joined. A row is plain if the delimiter then occurs as often as there are gaps
between fields, and nothing occurs that `csv.writer` would quote in any version of Python: which is asked of a whole
stretch at once, and of each line only where something does.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from itertools import compress, count, repeat
from operator import contains, methodcaller, ne, not_
from typing import Any, TypeAlias

__all__ = ["PlainLines", "Unquoted", "plain_lines"]

Unquoted: TypeAlias = tuple[list[str], list[int]]
"""A line for each row, without its end, and the indices of the rows that are not plain, whose lines are wrong."""


class PlainLines:
    """Joins the fields of rows in one dialect.

    Args:
        dialect: as `csv.writer` has it in its attribute `dialect`; `plain_lines` says for which this works.
    """

    def __init__(self, dialect: Any) -> None:
        """Note what makes a row special."""
        self._delimiter = dialect.delimiter
        self._marks = {dialect.quotechar, "\r", "\n", *dialect.lineterminator}
        self._count = methodcaller("count", dialect.delimiter)

    def of(self, fields: Iterable[Iterable[Any]], gaps: Iterable[int]) -> Unquoted:
        """Join the fields of rows, each of which has so many gaps between fields; `TypeError` if not all are text."""
        lines = list(map(self._delimiter.join, fields))
        return lines, self._special(lines, gaps)

    def _special(self, lines: list[str], gaps: Iterable[int]) -> list[int]:
        whole = "".join(lines)
        special: set[int] = set()
        for mark in self._marks:
            if mark in whole:
                special.update(compress(count(), map(contains, lines, repeat(mark))))
        special.update(compress(count(), map(ne, map(self._count, lines), gaps)))
        # A row with one empty field must be told from one without fields.
        if not all(lines):
            special.update(compress(count(), map(not_, lines)))
        return sorted(special)


def plain_lines(dialect: Any) -> PlainLines | None:
    """Return what joins rows in this dialect, or `None` if it has rules beyond those that are known here."""
    simple = dialect.quoting == csv.QUOTE_MINIMAL and dialect.escapechar is None and not dialect.skipinitialspace
    return PlainLines(dialect) if simple and dialect.quotechar else None
