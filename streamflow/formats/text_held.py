"""What has come of a line or a piece that has not ended yet.

What lives here: `Held`. What must not: knowledge of where lines end.

Why: a text of two bytes takes 51. A long line that comes in tiny chunks would take thirty times its size, if each chunk
were kept as an object. So they are joined by the thousand; each character is copied once more, and no more than that.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Held"]

Text = TypeVar("Text", str, bytes)

_MANY = 1024


class Held(Generic[Text]):
    """Parts in order, to be taken as one; `size` says how much there is."""

    def __init__(self, empty: Text) -> None:
        """Begin with nothing; `empty` says of which kind."""
        self.size = 0
        self._empty: Text = empty
        self._blocks: list[Text] = []
        self._parts: list[Text] = []

    def put(self, part: Text) -> None:
        """Put a part behind the others."""
        self._parts.append(part)
        self.size += len(part)
        if len(self._parts) >= _MANY:
            self._blocks.append(self._empty.join(self._parts))
            self._parts = []

    def take(self, end: Text) -> Text:
        """Return all of it with `end` behind, and begin anew."""
        if not self.size:
            return end
        whole: Text = self._empty.join(self._blocks + self._parts + [end])  # mypy loses the kind in a display
        self._blocks, self._parts, self.size = [], [], 0
        return whole
