"""How results are shown: tables in Markdown, on the screen and in the pages of docs/.

What lives here: layout, and putting a text between two markers of a page. What must not: measuring.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

__all__ = ["machine", "put_into_page", "table"]

DOCS = Path(__file__).parent.parent / "docs"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = []
    for row in [head, rule, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def machine() -> str:
    """Return one sentence about where the numbers come from."""
    return (
        f"Python {platform.python_version()}, {platform.system()} on {platform.machine()}, {os.cpu_count()} cores. "
        f"Absolute numbers belong to that machine; the ratios travel."
    )


def put_into_page(page: str, name: str, text: str) -> None:
    """Replace what stands in docs/`page` between `<!-- name -->` and `<!-- /name -->`; `ValueError` without them."""
    path = DOCS / page
    before, begin, rest = path.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not begin or not end:
        raise ValueError(f"{path} has no markers <!-- {name} --> and <!-- /{name} -->")
    path.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
