from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streamflow.places.stores import Fetched, Stored

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Stored(1, '"a"', EARLY), Stored(1, '"a"', LATE), True),  # an exact ETag is enough
        (Stored(1, '"a"'), Stored(1, '"b"'), False),
        (Stored(1, '"a"'), Stored(2, '"a"'), False),
        (Stored(1, 'W/"a"', EARLY), Stored(1, 'W/"a"', EARLY), True),
        (Stored(1, 'W/"a"', EARLY), Stored(1, 'W/"a"', LATE), False),
        (Stored(1, None, EARLY), Stored(1, None, EARLY), True),
        (Stored(1, None, EARLY), Stored(1, None, LATE), False),
        (Stored(1, None), Stored(1, None), True),
        (Stored(1, None), Stored(2, None), False),
        (Stored(1, '"a"', metadata={"x": "1"}), Stored(1, '"a"'), True),
    ],
)
def test_what_one_version_is(one, other, same):
    """H68"""
    assert one.same_version(other) is same


async def test_what_was_fetched_is_given_in_pieces_whatever_it_is():
    closed = []

    async def arriving():
        try:
            yield b"a"
            yield b"b"
        finally:
            closed.append(True)

    for data in (b"ab", memoryview(b"ab"), arriving()):
        assert b"".join([piece async for piece in Fetched(data, Stored(2, None)).pieces()]) == b"ab"
    assert closed == [True]
