"""What a sink of bytes returns: the account of what it committed.

What lives here: `Written`, `Appended` and `Sent`. What must not: how it was written.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Appended", "Sent", "Written"]

_SIGPIPE = 13


@dataclass(frozen=True, slots=True)
class Written:
    """A result that is complete and in its place: the value of a run that ends in `files.write` or `objects.write`.

    A run that ends in `files.split` has a list of them as its value.

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


@dataclass(frozen=True, slots=True)
class Appended:
    """What was added to a file that may have held something before: the value of a run that ends in `files.append`.

    Args:
        url: the path.
        offset: where the new bytes begin, which is the size that the file had.
        bytes: how many there are.
        durable: whether they are known to survive a power cut.
    """

    url: str
    offset: int
    bytes: int
    durable: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """What went to whoever reads it: the value of a run that ends in `stdio.write`.

    Args:
        bytes: how many were handed over.
        complete: whether that was all; otherwise the reader closed the pipe before the end, as `head` does.
    """

    bytes: int
    complete: bool

    @property
    def exit_status(self) -> int:
        """What a program like `cat` exits with: 0, or 141, as shells show the signal that ends it at a closed pipe."""
        return 0 if self.complete else 128 + _SIGPIPE
