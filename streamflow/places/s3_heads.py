"""The head of an HTTP answer, whole or not at all.

What lives here: `Response`. What must not: connections, requests.

`http.client` takes the end of the line for the end of the head, so an answer that was cut in its head looks like one
of fewer headers and no body: a success without an ETag.
"""

from __future__ import annotations

import http.client
from io import BufferedReader
from typing import Any

__all__ = ["Response"]


class Response(http.client.HTTPResponse):
    """One whose head must end by an empty line. Raises `HTTPException` if the line ends before."""

    def begin(self) -> None:
        """Read the head."""
        body: Any = self.fp
        self.fp = _Head(body)  # type: ignore[assignment]  # lines are all that is read there
        try:
            super().begin()
        finally:
            if self.fp is not None:  # closed, as after a line that is no HTTP
                self.fp = body


class _Head:
    def __init__(self, lines: BufferedReader) -> None:
        self._lines = lines
        self._begun = False

    def readline(self, limit: int) -> bytes:
        line = self._lines.readline(limit)
        if self._begun and not line:
            raise http.client.HTTPException("the head of the answer was cut")
        self._begun = True  # a line that ends before all is told by another error, as that of a kept connection is
        return line

    def close(self) -> None:
        self._lines.close()
