"""Blocks of CSV bytes, the quick way.

What lives here: `QuickBlocks`. What must not: rows that the quick way refuses; `csv_writer` goes on with them.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from streamflow.formats.csv_columns import Columns
from streamflow.formats.csv_rows import QuickWriter, quick_writer
from streamflow.formats.text import Encoder

__all__ = ["QuickBlocks", "quick_blocks"]


class QuickBlocks:
    """Rows to blocks of UTF-8.

    Args:
        write: the quick way of a dialect.
        encoder: it encodes what comes after this; it is told of what was encoded here, so that its errors are right.
        block: the characters from which a block is handed on.
        header: text that comes first.
    """

    def __init__(self, write: QuickWriter, encoder: Encoder, block: int, header: str) -> None:
        self._write = write
        self._encoder = encoder
        self._block = block
        # What is in no block yet.
        self._parts = [header.encode()]
        self.size = len(header)

    def take(self, rows: list[Any]) -> Generator[bytes, None, int]:
        """Write rows and yield the full blocks; return how many rows that were. If not all, the next one is refused."""
        at = 0
        while True:
            if self.size >= self._block:
                yield self._full()
            if at == len(rows):
                return at
            data, characters, at = self._write(rows, at, self._block - self.size)
            self._parts.append(data)
            self.size += characters
            if self.size < self._block and at < len(rows):
                return at

    def rest(self) -> bytes:
        """Return what is in no block yet, `size` characters."""
        return b"".join(self._parts)

    def _full(self) -> bytes:
        block = self.rest()
        self._encoder.skip(self.size, block.count(b"\n"))
        self._parts.clear()
        self.size = 0
        return block


def quick_blocks(dialect: Any, columns: Columns, encoder: Encoder, block: int, header: str) -> QuickBlocks | None:
    """Return what writes rows quickly, or `None` if nothing does in this dialect and encoding."""
    half_a_pair = any("\ud800" <= character <= "\udfff" for character in header)
    write = None if half_a_pair or encoder.encoding != "utf-8" else quick_writer(dialect, columns)
    return QuickBlocks(write, encoder, block, header) if write is not None else None
