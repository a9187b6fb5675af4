"""Chunks of bytes to length-prefixed frames: the codec behind `frames.parse`.

What lives here: `Parser`. What must not: waiting, knowledge of what stands in the frames.

A length is judged as soon as it has been read. So nobody makes us take memory by announcing much: what is held is what
has come, and that is at most `max_frame` bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from streamflow.errors import FormatError, LimitExceeded, TruncatedError
from streamflow.formats.frames_prefix import PrefixName, prefix_of
from streamflow.formats.pieces import BytesLike, and_then, bytes_of, cut
from streamflow.limits import check_capacity

__all__ = ["Parser"]


class Parser:
    """Bytes in chunks of any size to frames. One object serves one run; `parse` explains the arguments.

    Example: `frames = [*parser.feed(chunk), *parser.finish()]`.
    """

    def __init__(self, prefix: PrefixName = "u32be", *, max_frame: int = 1 << 20) -> None:
        """Make it for one run."""
        check_capacity("max_frame", max_frame)
        self._prefix = prefix_of(prefix)
        self._name = prefix
        self._max = max_frame
        self._number = 1
        self._start = 0
        self._head = b""
        self._size: int | None = None
        self._before = 0
        self._body = bytearray()

    def feed(self, data: BytesLike, /) -> Iterable[bytes]:
        """Return the frames that are complete by now. A length beyond the limit is `LimitExceeded`."""
        return itertools.chain.from_iterable(map(self._parse, cut(bytes_of(data, "frames.parse"))))

    def finish(self) -> Iterable[bytes]:
        """Return nothing; `TruncatedError` when the data ends inside a frame."""
        if self._size is not None:
            raise TruncatedError(
                f"the data ends inside frame {self._number}, which begins at byte offset {self._start}: "
                f"{len(self._body)} of its {self._size} bytes are there"
            )
        if self._head:
            raise TruncatedError(
                f"the data ends inside the {self._name} prefix of frame {self._number}, "
                f"which begins at byte offset {self._start}"
            )
        return ()

    def _parse(self, piece: bytes) -> Iterable[bytes]:
        if self._size is None:
            piece, self._head = self._head + piece, b""
        found: list[bytes] = []
        at = begin = self._go_on(piece, found)
        read, count = self._prefix.read, len(found)
        try:
            while (length := read(piece, at)) is not None:
                size, body = length
                if size > self._max or body + size > len(piece):
                    break
                at = body + size
                found.append(piece[body:at])
        except ValueError as error:
            self._count(len(found) - count, at - begin)
            return and_then(found, self._no_length(error))
        self._count(len(found) - count, at - begin)
        if length is None:
            self._head = piece[at:]
        elif length[0] > self._max:
            return and_then(found, self._too_long(length[0]))
        else:
            self._size, self._before, self._body = length[0], length[1] - at, bytearray(piece[length[1] :])
        return found

    def _go_on(self, piece: bytes, found: list[bytes]) -> int:
        """Go on with a frame that an earlier piece began; return where the next one begins."""
        if self._size is None:
            return 0
        missing = self._size - len(self._body)
        self._body += piece[:missing]
        if missing <= len(piece):
            found.append(bytes(self._body))
            self._count(1, self._before + self._size)
            self._size, self._body = None, bytearray()
        return min(missing, len(piece))

    def _count(self, frames: int, size: int) -> None:
        self._number += frames
        self._start += size

    def _too_long(self, size: int) -> LimitExceeded:
        return LimitExceeded(
            f"frame {self._number} at byte offset {self._start} is said to have {size} bytes, more than "
            f"max_frame={self._max}; if such frames are expected, pass a larger max_frame, else look whether "
            f"prefix={self._name!r} is right"
        )

    def _no_length(self, error: ValueError) -> FormatError:
        return FormatError(f"frame {self._number} at byte offset {self._start} begins with {error}, which is no length")
