"""Chunks cut into pieces, and the error that waits behind good items."""

from __future__ import annotations

import pytest

from streamflow.errors import UsageError
from streamflow.formats.pieces import and_then, bytes_of, cut


@pytest.mark.parametrize("data", [b"", b"a", b"abcdef", b"abcdefg", "", "abcdefg"])
def test_pieces_joined_are_the_data(data: str | bytes) -> None:
    pieces = list(cut(data, 3))

    assert data[:0].join(pieces) == data  # type: ignore[arg-type]  # one kind or the other
    assert all(0 < len(piece) <= 3 for piece in pieces)


def test_a_buffer_that_may_change_is_copied() -> None:
    """H56."""
    buffer = bytearray(b"first")
    data = bytes_of(buffer, "stage")
    buffer[:] = b"later"

    assert data == b"first"
    assert bytes_of(memoryview(b"view"), "stage") == b"view"


def test_other_items_are_refused() -> None:
    with pytest.raises(UsageError, match=r"gzip.compress takes items of bytes, not str. Put text.encode\(\) before it"):
        bytes_of("text", "gzip.compress")
    with pytest.raises(UsageError, match=r"takes items of bytes, not NoneType\.$"):
        bytes_of(None, "gzip.compress")


def test_the_error_comes_after_the_items() -> None:
    items = and_then([1, 2], KeyError("mine"))

    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="mine"):
        next(items)
    assert list(and_then([1], None)) == [1]
