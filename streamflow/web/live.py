"""Items to bytes of a response without holding any back: what `ndjson`, `csv_download` and `sse` have in common.

What lives here: `live`. What must not: any one format, sending.

How it works. A formatter makes blocks of 64 KiB, which is what a file wants. Somebody who looks on wants each item as
soon as it is there. The engine hands a synchronous stage its items in stretches: as many as are there by now. So what a
formatter holds is brought out after each stretch: while items wait to be sent the blocks are large, and an item that
comes alone is sent alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from streamflow.stages import Stage

__all__ = ["ROWS", "Formatting", "live"]

HOLDS = 2 * 64 * 1024
ROWS = 128
"""Rows that a channel holds where nobody says otherwise. With 16, which suits a response's pieces of bytes, a row took
six times as long; with 1,024 a tenth less, and so many rows would be held for a slow client."""


class Formatting(Protocol):
    """A formatter: a transform that can also bring out what it holds in the middle."""

    def apply(self, items: Iterator[Any], /) -> Iterator[bytes]:
        """Take items as they come; yield full blocks."""

    def flush(self) -> Iterator[bytes]:
        """Yield what is in no block yet."""

    def finish(self) -> Iterator[bytes]:
        """The items ended: yield what is left."""


def live(make: Callable[[], Formatting], function: Callable[..., Any], *, name: str) -> Stage[Any, bytes]:
    """Return the stage of a formatter that brings its bytes out after each stretch of items.

    Example: `live(partial(Lines, default=None), LineFormatter.take, name="web.ndjson")`.

    Args:
        make: makes the formatter for one run.
        function: what of it is seen in tracebacks; by that the stage is named in errors.
        name: the stage's.
    """
    return Stage(name=name, transform=lambda: _Live(make()), callable=function, holds=HOLDS)


class _Live:
    done = False

    def __init__(self, formatter: Formatting) -> None:
        self._formatter = formatter
        self.finish = formatter.finish

    def apply(self, items: Iterator[Any], /) -> Iterator[bytes]:
        try:
            yield from self._formatter.apply(items)
        except Exception:
            yield from self._formatter.flush()  # the items before the one that failed are whole
            raise
        yield from self._formatter.flush()
