"""Bytes on their way to a place: small items gathered into large blocks.

What lives here: `Gather`, `Pieces`, and the sentence a sink of bytes says to items that are not bytes. What must not:
waiting, places. One hop into a thread or one request costs the same for 100 bytes as for 1 MiB.
"""

from __future__ import annotations

from collections import deque

from streamflow.errors import UsageError

__all__ = ["MIB", "Gather", "Pieces", "positive"]

MIB = 1024 * 1024
_WORTH = 64 * 1024


class Pieces:
    """Bytes that are sent one piece after the other as they came, which saves putting them end to end.

    Example: `Pieces([memoryview(b"ab"), memoryview(b"c")]).whole()` is `b"abc"`.

    Args:
        views: the pieces; small ones are put end to end at once, since each takes room of its own.
    """

    def __init__(self, views: list[memoryview]) -> None:
        """Keep them."""
        self._size = sum(map(len, views))
        self.views = views if self._size >= _WORTH * len(views) else [memoryview(_joined(views))]

    def __len__(self) -> int:
        """Return how many bytes they are."""
        return self._size

    def whole(self) -> bytes:
        """Return them end to end; a single piece that is a whole item is that item itself."""
        return _joined(self.views)


class Gather:
    """Bytes-like items put end to end, taken out again in blocks of any size.

    Example: `gather.add(b"abc"); gather.take(2)` gives `b"ab"`, and `len(gather)` is then 1.

    Args:
        owner: the sink's name, for the error about items that are not bytes.
    """

    def __init__(self, owner: str) -> None:
        """Make an empty one."""
        self._owner = owner
        self._views: deque[memoryview] = deque()
        self._size = 0

    def __len__(self) -> int:
        """Return how many bytes are held."""
        return self._size

    def add(self, item: object) -> None:
        """Hold one more item. What could change under us (a reused bytearray) is copied.

        Raises `UsageError` for an item that is not bytes-like.
        """
        view = memoryview(item if isinstance(item, bytes) else self._copied(item))
        if view:
            self._views.append(view)
            self._size += len(view)

    def take(self, size: int | None = None) -> bytes:
        """Return and forget the first `size` bytes, or all of them; fewer if there are fewer."""
        return _joined(self._cut(size))

    def pieces(self, size: int | None = None) -> Pieces:
        """Return and forget as many bytes as `take`, as they came."""
        return Pieces(self._cut(size))

    def _cut(self, size: int | None) -> list[memoryview]:
        wanted = self._size if size is None else min(size, self._size)
        self._size -= wanted
        pieces = []
        while wanted:
            view = self._views.popleft()
            if len(view) > wanted:
                self._views.appendleft(view[wanted:])
                view = view[:wanted]
            pieces.append(view)
            wanted -= len(view)
        return pieces

    def _copied(self, item: object) -> bytes:
        try:
            return bytes(memoryview(item))  # type: ignore[arg-type]  # whether it is a buffer is what is asked here
        except TypeError:
            raise UsageError(f"{self._owner} takes bytes, not {type(item).__name__}. {_advice(item)}") from None


def _joined(pieces: list[memoryview]) -> bytes:
    """Return the pieces end to end; a single one that is a whole item is that item itself, which saves a copy."""
    whole = pieces[0].obj if len(pieces) == 1 else None
    if isinstance(whole, bytes) and len(whole) == len(pieces[0]):
        return whole
    return b"".join(pieces)


def _advice(item: object) -> str:
    if isinstance(item, str):
        return "Put text.encode() before it, or sf.map(str.encode)."
    return "Put a format before it that makes bytes: csv.format(), or text.encode() after text."


def positive(name: str, value: object) -> int:
    """Return `value` if it is a whole number of at least 1, else raise `UsageError` naming the option."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{name} is a whole number of at least 1, not {value!r}")
    return value
