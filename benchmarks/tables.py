"""How results are shown: tables in Markdown, on the screen and in the pages of docs/.

What lives here: layout, and putting a text between two markers of a page. What must not: measuring.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Ratio

__all__ = ["DOCS", "machine", "put_into_page", "ratios_table", "table"]

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


def ratios_table(ratios: Sequence[Ratio]) -> str:
    """Return a table of the ratios, each with its goal and whether it is kept; nothing of none."""
    if not ratios:
        return ""
    rows = [[one.what, one.shown, one.spread, one.goal, one.verdict] for one in ratios]
    full = ["what / beside what", "ratio", "of the rounds", "goal", ""]
    used = [at for at in range(len(full)) if at < 2 or any(row[at] for row in rows)]
    return table([full[at] for at in used], [[row[at] for at in used] for row in rows])


def put_into_page(path: Path, name: str, text: str) -> None:
    """Replace what stands in `path` between `<!-- name -->` and `<!-- /name -->`; `ValueError` without them."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not begin or not end:
        raise ValueError(f"{path} has no markers <!-- {name} --> and <!-- /{name} -->")
    path.write_text(f"{before}{begin}{text}\n{end}{after}", encoding="utf-8")
