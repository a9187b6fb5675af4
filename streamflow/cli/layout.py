"""Words and numbers laid out for a width: what the live view and the report are made of.

What lives here: pure functions from numbers to lines of text, none of them longer than the width they were given. What
must not: terminals, colours, output. So every width is tested without a screen.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

__all__ = ["bar", "cut", "flow", "seconds", "short", "table", "wrap"]

_ADDRESS = re.compile(r"\b((?:objects|files)\.(?:read|write))\([^()']*\)")
_GAP = "  "


def short(text: str) -> str:
    """Leave the addresses out of the names of stages: `objects.read(s3://bucket/key)` becomes `objects.read`."""
    return _ADDRESS.sub(r"\1", text)


def seconds(count: float) -> str:
    """Return seconds as people write them: `3.2 s`, `2 min 05 s`, `1 h 02 min`."""
    if count < 60:  # noqa: PLR2004  # as on a clock
        return f"{count:.1f} s"
    minutes, rest = divmod(round(count), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def cut(line: str, width: int) -> str:
    """Return the line, or its beginning with an ellipsis if it is longer than `width` characters."""
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"[:width]


def bar(share: float, width: int, filled: str = "█", empty: str = "░") -> str:
    """Draw a share from 0 to 1 as a bar of `width` characters; what is not empty shows, what is not full has room."""
    share = min(1.0, max(0.0, share))
    count = round(share * width)
    if 0 < share < 1:
        count = min(max(count, 1), width - 1)
    return filled * count + empty * (width - count)


def flow(parts: Iterable[str], width: int, indent: str = "") -> list[str]:
    """Put parts side by side, as many as fit on a line; a part is never broken unless it alone is too long."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(_GAP) + len(part) <= width:
            lines[-1] += _GAP + part
        else:
            lines.append((indent if lines else "") + part)
    return [cut(line, width) for line in lines]


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Break a text at spaces into lines of at most `width`; further lines are indented."""
    return textwrap.wrap(text, max(width, len(indent) + 7), subsequent_indent=indent, break_on_hyphens=False)


def table(rows: Sequence[Sequence[str]], width: int, *, left: frozenset[int] = frozenset({0})) -> list[str]:
    """Lay out rows in columns, the columns in `left` to the left and the others to the right.

    If it is too wide, the first column gives way, down to 8 characters; what is still too long is cut.
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    if excess > 0:
        widths[0] = max(min(8, widths[0]), widths[0] - excess)
    return [cut(_line(row, widths, left), width) for row in rows]


def _line(row: Sequence[str], widths: Sequence[int], left: frozenset[int]) -> str:
    cells = (
        cut(cell, width).ljust(width) if at in left else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return _GAP.join(cells).rstrip()
