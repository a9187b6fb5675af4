"""One zstd frame to bytes: what the decompressor begins a part with.

What lives here: looking at the window that a frame asks for. What must not: reading the frame, which the library does.

Why it is looked at here too. The library does without a window where it is given a whole small frame at once, so
whether a frame with too large a one can be read would depend on where the data is cut.
"""

from __future__ import annotations

from typing import Any

from streamflow.formats.compression_members import LibraryMember

__all__ = ["MAGIC", "ZstdMember", "window_of"]

MAGIC = b"\x28\xb5\x2f\xfd"

DESCRIPTOR, WINDOW = 4, 5
SINGLE_SEGMENT = 0x20
SMALLEST = 10
"""The logarithm of the smallest window."""


class ZstdMember(LibraryMember):
    """A frame, or one to be skipped, whose window must not be larger than `max_memory`."""

    def __init__(self, library: Any, max_memory: int) -> None:
        """Make it for one frame."""
        largest = library.DecompressionParameter.window_log_max
        log = min(max_memory.bit_length() - 1, largest.bounds()[1])
        super().__init__(library.ZstdDecompressor(options={largest: log}), library.ZstdError, max_memory=max_memory)
        self._largest = 1 << log
        self._judged = False

    def read(self, data: bytes, /) -> tuple[bytes, bytes]:
        """Take bytes; return output, and what it has not taken: all, while its header is too short to judge."""
        if not self._judged:
            if len(data) <= WINDOW:
                return b"", data
            if window_of(data) > self._largest:
                raise self.too_large()
            self._judged = True
        return super().read(data)


def window_of(head: bytes) -> int:
    """Return how many bytes of window the frame that begins so asks for; 0 where its whole content is the window."""
    if not head.startswith(MAGIC) or head[DESCRIPTOR] & SINGLE_SEGMENT:
        return 0
    whole, eighths = divmod(head[WINDOW], 8)
    base = 1 << (SMALLEST + whole)
    return base + base // 8 * eighths
