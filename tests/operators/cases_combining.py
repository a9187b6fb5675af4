"""The cases of the operators that combine several sources."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator, Iterable
from typing import Any

from streamflow.operators.combining import chain, interleave, merge, race
from streamflow.operators.ordering import merge_sorted
from streamflow.operators.zipping import zip as zipped
from streamflow.operators.zipping import zip_latest, zip_longest
from tests.operators.contracts import Case, SourceCase, one_by_one


async def late() -> AsyncIterator[int]:
    """Give its items long after an input that never waits has ended."""
    for number in (100, 101):
        for _ in range(500):
            await asyncio.sleep(0)
        yield number


async def silent() -> AsyncIterator[int]:
    """Give nothing and never end."""
    await asyncio.Event().wait()
    yield 0


def in_turn(items: Iterable[Any], others: Iterable[Any], n: int = 1) -> list[Any]:
    """The model of interleave."""
    rest = [iter(items), iter(others)]
    rounds: list[Any] = []
    while taken := [list(itertools.islice(source, n)) for source in rest]:
        if not any(taken):
            break
        rounds += itertools.chain.from_iterable(taken)
    return rounds


def up_to_the_last(items: list[Any], others: list[Any], **how: Any) -> list[Any]:
    """What merge_sorted emits before it needs the item after the last one of the input."""
    if not items:
        return []
    tagged = heapq.merge(
        ((item, True) for item in items), ((item, False) for item in others), key=lambda pair: pair[0], **how
    )
    merged = list(tagged)
    last = max(at for at, (_, of_input) in enumerate(merged) if of_input)
    return [item for item, _ in merged[: last + 1]]


def with_late(items: list[Any]) -> list[Any]:
    """The model of zip_latest with `late`, whose second item comes when the input has ended."""
    return [*((item, 100) for item in items), *((item, 101) for item in items[-1:])]


async def same_later(number: Any) -> Any:
    await asyncio.sleep(0)
    return number


SORTED = [0, 3, 3.5, 7, 100]

CASES = [
    Case("chain", lambda: chain([100, 101]), lambda items: [*items, 100, 101], before_error=list),
    Case(
        "chain",
        lambda: chain(one_by_one([100]), [], one_by_one([]), [101]),
        lambda items: [*items, 100, 101],
        before_error=list,
    ),
    Case("merge", lambda: merge([]), list),
    Case("merge", merge, list),
    Case("merge", lambda: merge(silent, end="any"), list),
    Case("merge", lambda: merge(late), lambda items: [*items, 100, 101], before_error=list, cancelled=False),
    Case(
        "merge",
        lambda: merge(late, weights=(1, 5)),
        lambda items: [*items, 100, 101],
        before_error=list,
        cancelled=False,
    ),
    Case(
        "merge",
        lambda: merge(late, priority=True),
        lambda items: [*items, 100, 101],
        before_error=list,
        cancelled=False,
    ),
    Case("race", lambda: race(silent), list),
    Case("race", lambda: race(late, late), list, cancelled=False),
    Case(
        "interleave",
        lambda: interleave([100, 101]),
        lambda items: in_turn(items, [100, 101]),
        before_error=lambda items: in_turn(items, [100, 101][: len(items)]),
    ),
    Case(
        "interleave",
        lambda: interleave(one_by_one(range(100, 104)), n=2),
        lambda items: in_turn(items, range(100, 104), 2),
        before_error=lambda items: in_turn(items, range(100, 100 + len(items) // 2 * 2)[:4], 2),
        items=range(8),
    ),
    Case(
        "merge_sorted",
        lambda: merge_sorted(SORTED),
        lambda items: heapq.merge(items, SORTED),
        before_error=lambda items: up_to_the_last(items, SORTED),
        falsy=(0, 0.0, False),
    ),
    Case(
        "merge_sorted",
        lambda: merge_sorted(one_by_one(SORTED[::-1]), key=lambda number: number, reverse=True),
        lambda items: heapq.merge(items, SORTED[::-1], reverse=True),
        before_error=lambda items: up_to_the_last(items, SORTED[::-1], reverse=True),
        asynchronous=lambda: merge_sorted(one_by_one(SORTED[::-1]), key=same_later, reverse=True),
        items=range(10, 0, -1),
        falsy=(0, 0.0, False),
        endless_items=lambda: itertools.count(0, -1),
    ),
    Case("zip", lambda: zipped(range(1000)), lambda items: zip(items, range(1000), strict=False)),
    Case("zip", lambda: zipped(["abc"]), lambda items: zip(items, ["abc"], strict=False), endless=1),
    Case(
        "zip",
        lambda: zipped(one_by_one(range(1000)), ["a", "b", "c"]),
        lambda items: zip(items, range(3), "abc", strict=False),
    ),
    Case(
        "zip_longest",
        lambda: zip_longest(range(3), fillvalue="-"),
        lambda items: itertools.zip_longest(items, range(3), fillvalue="-"),
        before_error=lambda items: itertools.zip_longest(items, range(3)[: len(items)], fillvalue="-"),
    ),
    Case(
        "zip_longest",
        lambda: zip_longest(one_by_one(range(12)), range(2)),
        lambda items: itertools.zip_longest(items, range(12), range(2)),
        before_error=lambda items: itertools.zip_longest(items, range(len(items)), range(2)[: len(items)]),
    ),
    Case(
        "zip_latest",
        lambda: zip_latest(late),
        with_late,
        before_error=lambda items: [(item, 100) for item in items],
        cancelled=False,
    ),
    SourceCase("chain", lambda: chain([1, 2], one_by_one([3]), [4]), [1, 2, 3, 4]),
    SourceCase("chain", chain, []),
    SourceCase("merge", lambda: merge([1, 2], [10, 20, 30]), [1, 10, 2, 20, 30]),
    SourceCase("merge", merge, []),
    SourceCase("merge", lambda: merge([1, 2, 3, 4], [10, 20], weights=(3, 1)), [1, 2, 10, 3, 4, 20]),
    SourceCase("merge", lambda: merge([1, 2], [10], priority=True), [1, 2, 10]),
    SourceCase("merge", lambda: merge([1], [10, 20, 30], end="any"), [1, 10]),
    SourceCase("race", lambda: race(silent, [1, 2], [3]), [1, 2]),
    SourceCase("race", race, []),
    SourceCase("interleave", lambda: interleave(one_by_one([1, 2, 3]), [10, 20], n=2), [1, 2, 10, 20, 3]),
    SourceCase("interleave", interleave, []),
    SourceCase("merge_sorted", lambda: merge_sorted([1, 4], one_by_one([2, 3]), [4.0]), [1, 2, 3, 4, 4.0]),
    SourceCase("merge_sorted", merge_sorted, []),
    SourceCase("zip", lambda: zipped([1, 2, 3], one_by_one("ab")), [(1, "a"), (2, "b")]),
    SourceCase("zip", zipped, []),
    SourceCase("zip", lambda: zipped([1, 2], one_by_one("ab"), strict=True), [(1, "a"), (2, "b")]),
    SourceCase("zip_longest", lambda: zip_longest([1], one_by_one("ab")), [(1, "a"), (None, "b")]),
    SourceCase("zip_longest", zip_longest, []),
    SourceCase("zip_latest", lambda: zip_latest([1, 2], [10, 20]), [(1, 10), (2, 10), (2, 20)]),
    SourceCase("zip_latest", zip_latest, []),
]
