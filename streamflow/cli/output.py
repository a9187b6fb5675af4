"""Standard output as a person reads it: a terminal, a pipe, a file.

What lives here: `Output`, which knows how wide it is and what it can show. What must not: what is said.

A reader that leaves (`streamflow demo | head`) or a full disk under the redirection must not stop a job that moves
data, so such a failure makes the output silent and is remembered.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from typing import TextIO

__all__ = ["Output", "open_standard_streams"]

_PIPE_WIDTH = 100


class Output:
    """Where lines for people go.

    Example: `output = Output(); output.write(["done"])`.

    Args:
        stream: a text stream; `None` takes standard output.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        """Take the stream as it is now."""
        self.stream = stream or sys.stdout
        self.failure: OSError | None = None

    @property
    def width(self) -> int:
        """How many characters a line may have now: `COLUMNS`, or the terminal's width, or 100 in a pipe."""
        return max(20, shutil.get_terminal_size((_PIPE_WIDTH, 24)).columns)

    @property
    def live(self) -> bool:
        """Whether lines can be drawn over: a terminal that is not a dumb one."""
        return self.stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")

    def shown(self, text: str) -> str:
        """Return the text with what the encoding lacks replaced."""
        encoding = self.stream.encoding or "ascii"
        return text.encode(encoding, "replace").decode(encoding)

    def can_show(self, text: str) -> bool:
        """Whether the encoding has these characters."""
        return self.shown(text) == text

    def write(self, lines: Iterable[str]) -> None:
        """Write lines, at once. After a failure: nothing."""
        if self.failure is not None:
            return
        try:
            self.stream.write(self.shown("".join(f"{line}\n" for line in lines)))
            self.stream.flush()
        except OSError as error:
            self.fail(error)

    def fail(self, error: OSError) -> None:
        """Be silent from now on. What is still buffered goes nowhere, or Python would complain at its exit."""
        self.failure = error
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, self.stream.fileno())
        finally:
            os.close(nowhere)


def open_standard_streams() -> None:
    """Open what the process was started without (`>&-`) on the null device.

    Else the next file or socket takes the number of standard output and is written to by every `print`; uvloop ends
    the process when one of its own gets it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
