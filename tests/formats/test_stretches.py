"""Items in lists: all of them, in order, and those before a fault."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from streamflow.formats.stretches import STRETCH, stretches


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9])
def test_all_items_are_given_in_lists_of_the_size(count: int) -> None:
    found = list(stretches(iter(range(count)), 4))

    assert list(itertools.chain.from_iterable(found)) == list(range(count))
    assert [len(items) for items in found] == [4] * (count // 4) + [count % 4] * (count % 4 > 0)


@pytest.mark.parametrize("count", [0, 3, 4, 6])
def test_what_came_before_a_fault_is_given_first(count: int) -> None:
    """P3."""

    def items() -> Iterator[int]:
        yield from range(count)
        raise OSError("mine")

    taken: list[int] = []
    with pytest.raises(OSError, match="mine"):
        taken.extend(itertools.chain.from_iterable(stretches(items(), 4)))
    assert taken == list(range(count))


def test_no_more_is_taken_than_a_list_holds() -> None:
    """P1."""
    numbers = itertools.count()

    assert next(stretches(numbers)) == list(range(STRETCH))
    assert next(numbers) == STRETCH
