"""One run that may fail, and after which somebody may go on: what retry and fallback are made of.

What lives here: `attempt`, `Emitted`, which skips what came before, and how an error is told in a line. What must not:
whether to go on, and with what (retrying.py, recovery.py).

An error counts only if it came down from above: what an operator or its consumer raises is no reason to run anything
again. The failed run is closed entirely before anybody goes on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
from streamflow.engine.telling import described
from streamflow.errors import StageError
from streamflow.types import SourceLike

__all__ = ["AHEAD", "HOLDS", "Emitted", "attempt", "shortened"]

T = TypeVar("T")

AHEAD = 64
"""How many items are read ahead of the operators that make runs of their own."""

HOLDS = 2 * AHEAD + 1
"""How many items such a run may hold: its channel, what its reader has in hand, and the item in the task's hand."""

_LONG = 200  # characters of an error that is told


@asynccontextmanager
async def attempt(source: SourceLike[T], may_go_on: Callable[[Exception], bool]) -> AsyncGenerator[Reader[T], None]:
    """Read a run of `source`, and end quietly if it fails with an error after which one may go on; see `raised`."""
    reader: Reader[T] | None = None
    try:
        async with reading(source, maxsize=AHEAD) as reader:
            yield reader
    except Exception as error:
        if reader is None or error is not reader.raised or not may_go_on(error):
            raise


class Emitted:
    """How many items were emitted, and how many of those a run has given again."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.count = 0
        self._seen = 0

    def begin(self) -> None:
        """Another run begins."""
        self._seen = 0

    def new_of(self, batch: Sequence[T]) -> Sequence[T]:
        """Return the items of the run's next batch that were not emitted before, which then happens."""
        again = max(0, self.count - self._seen)
        self._seen += len(batch)
        self.count = max(self.count, self._seen)
        return batch[again:] if again else batch

    def check_end(self, name: str) -> None:
        """Refuse a clean end among what was to be skipped: nobody knows what is missing (P5)."""
        if self._seen < self.count:
            raise StageError(
                f"{name!r} ended after {self._seen} items, but {self.count} had been emitted before a failure: it does "
                f"not give the same items again. Write resume='start'."
            )


def shortened(error: BaseException) -> str:
    """Return an error in one line of bounded length."""
    text = " ".join(described(error).split())
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."
