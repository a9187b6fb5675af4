"""Items to blocks of JSON: the transforms behind `json.format_lines` and `json.format_array`.

What lives here: `LineFormatter` and `ArrayFormatter`. What must not: waiting; how an item is written (`json_encoder`).

How it works. Items are taken in stretches, and each stretch is written by one call. If that fails, the items of the
stretch are written one by one, so the error can name the item. A block ends with the first item that brings it to its
size (each text ends with a newline, and there is none inside one). So where a block ends follows from the items alone,
however they were grouped on the way.

An array is made of the same lines: the newline behind each item but the last becomes a comma and a newline. Its `]` is
written only by `finish`, which is not called after a failure.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

from streamflow.errors import FormatError, UsageError
from streamflow.formats.json_encoder import Encoder
from streamflow.formats.stretches import stretches
from streamflow.limits import check_capacity

__all__ = ["ArrayFormatter", "LineFormatter"]


class LineFormatter:
    """Items to blocks of JSON Lines. One object serves one run; `json.format_lines` explains the arguments.

    Example: `data = b"".join([*formatter.feed({"id": 1}), *formatter.finish()])`.

    It is a codec (`feed` one item) and a transform (`apply` to a stretch of items, which is faster).
    """

    done = False

    def __init__(self, *, default: Callable[[Any], Any] | None = None, block_bytes: int = 64 * 1024) -> None:
        """Check the arguments and make it for one run."""
        check_capacity("block_bytes", block_bytes)
        if default is not None and not callable(default):
            raise UsageError(f"default={default!r:.60} must be a function of an object that JSON does not know")
        self._encoder = Encoder(default)
        self._block = block_bytes
        self._lines = bytearray()
        self._number = 0

    def feed(self, item: Any, /) -> Iterator[bytes]:
        """Take one item; return the block that is full now, if any."""
        return self.take([item])

    def apply(self, items: Iterator[Any], /) -> Iterator[bytes]:
        """Take items as they come; yield full blocks."""
        return itertools.chain.from_iterable(map(self.take, stretches(items)))

    def finish(self) -> Iterator[bytes]:
        """Return the last block."""
        return self.take(None)

    def take(self, items: list[Any] | None) -> Iterator[bytes]:
        """Write items (`None`: that was all) and yield the full blocks. All errors of the stage arise in here."""
        if items is None:
            yield from self._last_block()
            return
        error = self._write(items)
        while len(self._lines) >= self._block:
            yield self._taken(self._lines.find(b"\n", self._block - 1) + 1)
        if error is not None:
            raise error

    def _write(self, items: list[Any]) -> Exception | None:
        """Write items; return the error that came after the last good one."""
        try:
            self._lines += self._encoder.many(items)
        except Exception:  # noqa: BLE001  # whatever it was happens again below, where the item is known
            return self._write_singly(items)
        self._number += len(items)
        return None

    def _write_singly(self, items: list[Any]) -> Exception | None:
        for item in items:
            self._number += 1
            try:
                self._lines += self._encoder.one(item) + b"\n"
            except (ValueError, TypeError, OverflowError, RecursionError) as error:
                if self._encoder.raised(error):
                    return error  # the user's, so it stays bare
                return self._unwritable(error)
            except Exception as error:  # noqa: BLE001
                return error
        return None

    def _unwritable(self, error: Exception) -> FormatError:
        reason = "it is nested too deeply, or contains itself" if isinstance(error, RecursionError) else str(error)
        return FormatError(f"item {self._number} cannot be written as JSON: {reason}")

    def _taken(self, size: int) -> bytes:
        """Take whole lines away and return them as a block."""
        with memoryview(self._lines) as view:
            lines = bytes(view[:size])
        del self._lines[:size]
        return lines

    def _last_block(self) -> Iterator[bytes]:
        if self._lines:
            yield self._taken(len(self._lines))


class ArrayFormatter(LineFormatter):
    """Items to blocks of one JSON array. One object serves one run; `json.format_array` explains the arguments.

    Example: `data = b"".join([*formatter.feed({"id": 1}), *formatter.finish()])`.
    """

    _begun = False

    def _taken(self, size: int) -> bytes:
        """Take whole lines away and return them as a part of the array."""
        before = b",\n" if self._begun else b"[\n"
        self._begun = True
        return before + super()._taken(size)[:-1].replace(b"\n", b",\n")

    def _last_block(self) -> Iterator[bytes]:
        if self._lines:
            yield self._taken(len(self._lines)) + b"\n]\n"
        else:
            yield b"\n]\n" if self._begun else b"[]\n"
