"""The lines of a CSV text, and the quote that is still open at its end.

What lives here: two questions that `csv.reader` does not answer. What must not: rows.
"""

from __future__ import annotations

import csv
import io
from typing import Any

__all__ = ["open_quote", "split_lines"]


def split_lines(text: str) -> list[str]:
    r"""Return the lines with their ends (`\n`, `\r\n` or `\r`), as a file opened with `newline=""` has them."""
    lines = text.splitlines(keepends=True)
    # str.splitlines ends lines at more than that (form feed, U+2028, ...). If there are as many lines as newlines, it
    # found nothing else.
    if len(lines) == text.count("\n"):
        return lines
    return list(io.StringIO(text, newline=""))


def open_quote(text: str, dialect: Any) -> int | None:
    """Return on which line (0 is the first) of an unfinished row the quote opened that is still open, or `None`.

    How: the row is read to its end once as it is and once with a quote in a line behind it. If the reader takes that
    line and it makes no difference, then it closed something.
    """
    if dialect.quoting == csv.QUOTE_NONE or not dialect.quotechar:
        return None
    text = text if text.endswith(("\n", "\r")) else text + "\n"
    lines = split_lines(text)
    reader = _lenient(lines, dialect)
    closer = _lenient([*lines, dialect.quotechar], dialect)
    try:
        row, closed = next(reader), next(closer)
    except csv.Error:
        # A field beyond the process's limit: look at the lines before it grew so long.
        return open_quote("".join(lines[: reader.line_num - 1]), dialect) if reader.line_num > 1 else None
    if closer.line_num == len(lines) or row != closed:
        return None
    return _line_ends(text) - _line_ends(row[-1])


def _lenient(lines: list[str], dialect: Any) -> Any:
    return csv.reader(lines, dialect, strict=False, quoting=csv.QUOTE_MINIMAL)


def _line_ends(text: str) -> int:
    return sum(line.endswith(("\n", "\r")) for line in split_lines(text))
