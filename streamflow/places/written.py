"""What a sink of bytes returns: the account of what it committed.

What lives here: `Written`. What must not: how it was written.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """A result that is complete and in its place: the value of a run that ends in `files.write` or `objects.write`.

    Args:
        url: where it is: the path, or the URL without credentials.
        bytes: its size.
        durable: whether it is known to survive a power cut (synced to disk, or accepted by an object store).
        etag: the version the object store gave it, if it says one.
    """

    url: str
    bytes: int
    durable: bool
    etag: str | None = None
