"""Rows of one item of each source: when the next ones are there, and how many.

What lives here: `Rows`. What must not: what becomes of a row (zipping.py).

A row waits for all sources at once. Nothing is taken for a row that cannot be completed, as far as that can be known:
who has ended is looked at first; then the plain iterables are pulled, which takes no time; only then are the others
asked. Where all channels have several items, that many rows are made at C speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from operator import length_hint
from typing import Any

from streamflow.engine.inlet import Inlet, Pulled
from streamflow.engine.inlets import Inlets
from streamflow.errors import TruncatedError

__all__ = ["Rows"]

_MANY = 1 << 20  # rows made of plain iterables only, before anybody looks round again


class Rows:
    """The rows of one operator in one run."""

    def __init__(self, inlets: Inlets[Any]) -> None:
        """Look at nothing yet."""
        self._inlets = inlets
        self._all = tuple(inlets.all)
        self._pulled = [inlet for inlet in self._all if isinstance(inlet, Pulled)]
        self._read = [inlet for inlet in self._all if not isinstance(inlet, Pulled)]

    async def are_whole(self) -> bool:
        """Wait until each source has an item; `False` when one has ended. Raises the failure of one."""
        if not self._all or _some_ended(self._all) or not all(inlet.refill() for inlet in self._pulled):
            return False
        while lacking := [inlet for inlet in self._read if inlet.lacks()]:
            await self._inlets.wait(lacking)
            if _some_ended(self._read):
                return False
        self._refill()
        return True

    async def are_begun(self) -> bool:
        """Wait until each source has an item or has ended; `False` when all have ended. Raises the failure of one."""
        _some_ended(self._read)
        while lacking := [inlet for inlet in self._read if inlet.lacks()]:
            await self._inlets.wait(lacking)
            _some_ended(self._read)
        self._refill()
        return not all(inlet.ended for inlet in self._all)

    def _refill(self) -> None:
        for inlet in self._read:
            if not length_hint(inlet.hand):
                inlet.refill()

    def columns(self) -> list[Iterator[Any]]:
        """Return as many items of each source as all of them have, to be taken one of each at a time."""
        rows = min((length_hint(inlet.hand) for inlet in self._read if not inlet.ended), default=_MANY)
        return [islice(inlet.hand, rows) for inlet in self._all]

    async def check_all_ended(self, rows: int) -> None:
        """Raise `TruncatedError` unless every source ends here, after so many rows."""
        for inlet in self._all:
            if not inlet.ended and (length_hint(inlet.hand) or await self._inlets.wait_for(inlet)):
                raise self._uneven(rows, longer=inlet)

    def broken_off(self, error: ValueError, rows: int) -> TruncatedError | None:
        """Return what is meant when it was `zip` itself that raised `error`: a source ended in the middle of a row."""
        a_source_raised = error.__traceback__ is not None and error.__traceback__.tb_next is not None
        if a_source_raised or not any(inlet.ended for inlet in self._pulled):
            return None
        # `zip` takes from the left: who stands before the one that ended had an item, or else somebody after it.
        return self._uneven(rows, longer=next(inlet for inlet in self._all if not inlet.ended))

    def _uneven(self, rows: int, longer: Inlet[Any]) -> TruncatedError:
        ended = next(inlet for inlet in self._all if inlet.ended)
        return TruncatedError(
            f"zip(strict=True): {ended} has ended after {rows} items, and {longer} has more. "
            f"Write strict=False to end with the shortest, or zip_longest to fill up."
        )


def _some_ended(inlets: Sequence[Inlet[Any]]) -> bool:
    """Return whether one has ended. Raises the failure of one that failed."""
    over = [inlet for inlet in inlets if inlet.is_over()]
    for inlet in over:
        inlet.refill()
    return bool(over)
