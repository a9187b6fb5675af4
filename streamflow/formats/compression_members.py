"""What a compression format is to the decompressor: how a part of it begins, and who reads one.

What lives here: `Format`, the protocol `Member`, and the member for libraries that have the standard library's way.
What must not: several parts, limits, which are the decompressor's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from streamflow.errors import FormatError, LimitExceeded

__all__ = ["NEEDS_DICTIONARY", "OUTPUT", "Format", "LibraryMember", "Member"]

OUTPUT = 256 * 1024
"""The most bytes one call of a library may give."""

NEEDS_DICTIONARY = "it was compressed with a dictionary of its own, without which nobody can read it"


class Member(Protocol):
    """One part of the data: a gzip member, a zstd frame, an xz stream. Its `FormatError`s name no place."""

    @property
    def ended(self) -> bool:
        """Whether it is complete and was found good."""

    @property
    def unread(self) -> int:
        """How many of the bytes that it took it has perhaps not used yet."""

    def read(self, data: bytes, /) -> tuple[bytes, bytes]:
        """Take bytes; return at most `OUTPUT` bytes, and what it has not taken.

        What follows its end it leaves. What is too short for a decision it leaves too, and gets it again with more.
        """


class Format(NamedTuple):
    """What the decompressor has to know of a format."""

    name: str
    part: str
    """What its parts are called."""
    magics: tuple[bytes, ...]
    """How a part may begin: one of these."""
    begin: Callable[[], Member]
    """Makes what reads the next part."""
    several: bool = True
    """Whether there may be more than one part."""
    padding: int = 0
    """Zeros may follow a part, in multiples of this; 0: none."""
    optional: bool = False
    """Whether no data at all is good."""

    def begins(self, data: bytes) -> bool | None:
        """Return whether `data` is the beginning of a part; `None` if it is too short to say."""
        if data.startswith(self.magics):
            return True
        return None if any(magic.startswith(data) for magic in self.magics) else False


class LibraryMember:
    """A part that a library reads from its first byte to its last, by the way the standard library's modules have.

    They swallow all input at once and give the output by and by; `needs_input` says when they have used it up.
    """

    def __init__(self, library: Any, errors: type[Exception], *, max_memory: int | None = None) -> None:
        """Take the library's decompressor for one part, the error by which it says what is wrong, and its limit."""
        self._library = library
        self._errors = errors
        self._max_memory = max_memory
        self.unread = 0

    @property
    def ended(self) -> bool:
        """Whether it is complete and was found good."""
        return bool(self._library.eof)

    def read(self, data: bytes, /) -> tuple[bytes, bytes]:
        """Take bytes; return output, and what follows the end."""
        try:
            out: bytes = self._library.decompress(data, OUTPUT)
        except self._errors as error:
            raise self._named(error) from None
        if self._library.eof:
            self.unread = 0
            return out, self._library.unused_data
        self.unread = 0 if self._library.needs_input else len(data) or self.unread
        return out, b""

    def too_large(self) -> LimitExceeded:
        """Return the error for a part that takes more memory than it may."""
        return LimitExceeded(f"to read it takes more than max_memory={self._max_memory}; pass a larger one")

    def _named(self, error: Exception) -> FormatError:
        if self._max_memory is not None and "memory" in str(error).lower():
            return self.too_large()
        if "dictionary" in str(error).lower():
            return FormatError(NEEDS_DICTIONARY)
        return FormatError(str(error))
