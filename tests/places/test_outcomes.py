"""What a store says about a commit whose answer was lost."""

from __future__ import annotations

import pytest

from streamflow.places.memory import MemoryStore
from streamflow.places.outcomes import MARK, Outcome, marked, outcome
from streamflow.places.stores import Stored, Terms


class Saying(MemoryStore):
    """Says what it has, or raises it."""

    def __init__(self, says):
        super().__init__()
        self.says = says

    async def info(self, key):
        if isinstance(self.says, BaseException):
            raise self.says
        return self.says


OURS = marked(Terms(metadata={"a": "b"}))


@pytest.mark.parametrize(
    ("says", "found"),
    [
        (FileNotFoundError(), Outcome.ABSENT),
        (OSError(), Outcome.UNKNOWN),
        (Stored(2, None, metadata=OURS.metadata), Outcome.ABSENT),
        (Stored(3, None, metadata=marked(Terms()).metadata), Outcome.ABSENT),
        (Stored(3, None, metadata={}), Outcome.UNKNOWN),
        (Stored(3, None), Outcome.UNKNOWN),
        (Stored(2, None), Outcome.ABSENT),
    ],
)
async def test_what_is_not_surely_ours_is_not_taken_for_it(says, found):
    """H65"""
    assert await outcome(Saying(says), "k", 3, OURS) is found


async def test_an_object_with_our_mark_is_ours():
    store = MemoryStore()
    stored = await store.put("k", b"abc", OURS)

    assert await outcome(store, "k", 3, OURS) == stored


def test_every_write_has_a_mark_of_its_own_beside_what_the_user_keeps():
    assert OURS.metadata["a"] == "b"
    assert marked(Terms()).metadata[MARK] != marked(Terms()).metadata[MARK]
    assert MARK.isidentifier()
    assert MARK.isalnum()
