"""Whether the connection of a response is there, where nobody says that it is not.

What lives here: `Looking`. What must not: what is done when it is gone (client.py).

A client may have sent its next request already (pipelining). Then uvicorn with httptools (0.54) tells only that one
that the client has gone, and hypercorn (0.18) reads no more before that one's turn: nobody tells the response that is
being sent, and it would go on for ever. So the connection itself is looked at now and then, where it is in reach.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from streamflow.web.cutting import transport_of

__all__ = ["Looking"]

_LOOK = 1.0  # seconds between two looks


class Looking:
    """Looks at the connection behind `receive` or `send` once a second, until `end()`.

    Example: `looking = Looking(receive, send, gone=lambda: print("gone"))`

    Args:
        ends: `receive` and `send` of a request.
        gone: called once, when the connection is being closed.
    """

    def __init__(self, *ends: object, gone: Callable[[], None]) -> None:
        """Look for the first time in a second."""
        self._ends = ends
        self._gone = gone
        self._is_closing: Callable[[], bool] | None = None
        self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)

    def end(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._is_closing is None:  # finding it is work, which a short response is spared
            self._is_closing = getattr(transport_of(*self._ends), "is_closing", None) or _never
        if self._is_closing():
            self._gone()
        else:
            self._timer = asyncio.get_running_loop().call_later(_LOOK, self._look)


def _never() -> bool:
    return False
