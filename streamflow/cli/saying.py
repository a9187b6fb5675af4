"""What the command line says when something ends badly: one message on standard error, and an exit code.

What lives here: the codes, and errors in words for a person. What must not: the jobs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from streamflow.cli.layout import wrap
from streamflow.cli.output import Output

__all__ = ["FAILED", "INTERRUPTED", "OK", "USAGE", "explained", "said"]

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

_ADDED = re.compile(r" \(added at .*\)$")


def said(lines: Iterable[str], code: int) -> int:
    """Write a message on standard error, in a terminal within its width, and return the code."""
    errors = Output(sys.stderr)
    first, *more = lines
    texts = [f"streamflow: {first}", *more]
    on_terminal = errors.stream.isatty()
    errors.write(line for text in texts for line in (wrap(text, errors.width, "    ") if on_terminal else [text]))
    return code


def explained(error: BaseException) -> list[str]:
    """One error as a line and its notes; a group as the errors in it. Where a stage was added is for `--debug`."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    below = [_ADDED.sub("", note) for note in getattr(error, "__notes__", ())]
    if isinstance(error, BaseExceptionGroup):
        text = error.message
        below[:0] = [line for inner in error.exceptions for line in explained(inner)]
    return [text, *(f"  {line}" for line in below)]
