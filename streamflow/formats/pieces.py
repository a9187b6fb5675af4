"""Chunks of any size cut into pieces of a bearable one, and the error that waits behind good items.

What lives here: what every format does with its input before it looks at it. What must not: what the bytes mean.

Why: a chunk of 1 MiB must not become ten thousand rows, or a hundred megabytes, in one call. So a codec walks over it
piece by piece, lazily, as its output is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NoReturn, TypeVar

from streamflow.errors import UsageError

__all__ = ["PIECE", "BytesLike", "and_then", "bytes_of", "cut", "refuse_item"]

T = TypeVar("T")
Text = TypeVar("Text", str, bytes)
BytesLike = bytes | bytearray | memoryview

PIECE = 64 * 1024
"""How much of a chunk a codec looks at in one step, in bytes or characters."""


def cut(data: Text, size: int = PIECE) -> Iterable[Text]:
    """Return `data` in slices of `size`, lazily; nothing for empty data."""
    if len(data) <= size:
        return (data,) if data else ()
    return (data[at : at + size] for at in range(0, len(data), size))


def bytes_of(data: object, who: str) -> bytes:
    """Return a bytes-like item as bytes, copied if it could change under our hands; refuse anything else."""
    if not isinstance(data, BytesLike):
        refuse_item(who, data, "bytes")
    return data if isinstance(data, bytes) else bytes(data)


def refuse_item(who: str, item: object, wanted: str) -> NoReturn:
    """Raise the `UsageError` that says which kind of items the stage takes."""
    hint = " Put text.encode() before it." if isinstance(item, str) and wanted == "bytes" else ""
    hint = " Put text.decode() before it." if isinstance(item, BytesLike) and wanted == "str" else hint
    raise UsageError(f"{who} takes items of {wanted}, not {type(item).__name__}.{hint}")


def and_then(items: Iterable[T], error: BaseException | None) -> Iterator[T]:
    """Return `items` and, after the last of them, raise `error`: what was good before a fault is delivered (P3)."""
    yield from items
    if error is not None:
        raise error
