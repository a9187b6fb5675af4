"""Items to length-prefixed frames: the codec behind `frames.format`.

What lives here: `Formatter`. What must not: waiting, knowledge of what stands in the frames.
"""

from __future__ import annotations

from collections.abc import Iterable

from streamflow.errors import LimitExceeded
from streamflow.formats.frames_prefix import PrefixName, prefix_of
from streamflow.formats.pieces import PIECE, BytesLike, bytes_of
from streamflow.limits import check_capacity

__all__ = ["Formatter"]


class Formatter:
    """Each item to a frame. One object serves one run; `format` explains the arguments.

    Example: `data = b"".join([*formatter.feed(b"hello"), *formatter.finish()])`.
    """

    def __init__(self, prefix: PrefixName = "u32be", *, max_frame: int = 1 << 20) -> None:
        """Make it for one run."""
        check_capacity("max_frame", max_frame)
        self._prefix = prefix_of(prefix)
        self._name = prefix
        self._max = max_frame
        self._number = 0

    def feed(self, data: BytesLike, /) -> Iterable[bytes]:
        """Return the frame of one item. One beyond the limit is `LimitExceeded` with its number."""
        body = bytes_of(data, "frames.format")
        self._number += 1
        if len(body) > min(self._max, self._prefix.most):
            raise self._too_long(len(body))
        prefix = self._prefix.write(len(body))
        return (prefix + body,) if len(body) < PIECE else (prefix, body)

    def finish(self) -> Iterable[bytes]:
        """Return nothing: a frame is complete in itself."""
        return ()

    def _too_long(self, size: int) -> LimitExceeded:
        if size > self._prefix.most:
            return LimitExceeded(
                f"item {self._number} has {size} bytes, and prefix={self._name!r} can say {self._prefix.most} at most; "
                f"choose a wider one"
            )
        return LimitExceeded(
            f"item {self._number} has {size} bytes, more than max_frame={self._max}; if such frames are expected, "
            f"pass a larger max_frame here and where they are read"
        )
