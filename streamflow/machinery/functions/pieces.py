"""Bytes that come in pieces of any size and leave in pieces of one size.

What lives here: `Rechunked`, the transform behind `rechunk`. What must not: what bytes mean (formats/).

Nothing is copied twice: small pieces wait in a list and are joined once; a large one is cut through a view.
"""

from __future__ import annotations

from collections.abc import Iterator

from streamflow.errors import UsageError

__all__ = ["Rechunked"]


class Rechunked:
    """The work of one run."""

    done = False

    def __init__(self, size: int) -> None:
        """Hold nothing."""
        self._size = size
        self._parts: list[bytes] = []
        self._held = 0

    def apply(self, items: Iterator[bytes | bytearray | memoryview], /) -> Iterator[bytes]:
        """Cut as much input as is there now."""
        for data in items:
            if type(data) is bytes and self._held + len(data) < self._size:
                self._hold(data)
            elif type(data) is bytes and not self._held and len(data) == self._size:
                yield data
            else:
                yield from self._cut(_view_of(data))

    def _hold(self, data: bytes) -> None:
        if data:
            self._parts.append(data)
            self._held += len(data)

    def _cut(self, view: memoryview) -> Iterator[bytes]:
        size, at = self._size, 0
        if self._held:
            at = min(size - self._held, len(view))
            self._hold(bytes(view[:at]))
            if self._held == size:
                yield self._joined()
        for begin in range(at, len(view) - size + 1, size):
            yield bytes(view[begin : begin + size])
        at += (len(view) - at) // size * size
        self._hold(bytes(view[at:]))

    def _joined(self) -> bytes:
        whole = b"".join(self._parts)
        self._parts.clear()
        self._held = 0
        return whole

    def finish(self) -> Iterator[bytes]:
        """The last piece."""
        if self._held:
            yield self._joined()


def _view_of(data: object) -> memoryview:
    try:
        return memoryview(data).cast("B")  # type: ignore[arg-type]  # whether it can be one is the question
    except TypeError:
        raise UsageError(
            f"rechunk() cuts bytes, and this item is {type(data).__name__}. Put what encodes it before, "
            f"such as sf.map(str.encode)."
        ) from None
