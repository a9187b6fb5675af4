"""The cases of batching.py, grouping.py and buffers.py."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable
from typing import Any

import streamflow as sf
from streamflow.operators.batching import batch_waiting, batched, rechunk, unbatch
from streamflow.operators.buffers import buffer, conflate
from streamflow.operators.grouping import group_adjacent, group_by, split_after, split_when
from tests.operators.contracts import Case

# --- what comes out, in plain Python -----------------------------------------------------------------------------


def in_threes(items: list[Any]) -> list[tuple[Any, ...]]:
    return [tuple(items[at : at + 3]) for at in range(0, len(items), 3)]


def full_threes(items: list[Any]) -> list[tuple[Any, ...]]:
    return [batch for batch in in_threes(items) if len(batch) == 3]


def weighing(item: object) -> int:
    return len(str(item))


async def weighing_later(item: object) -> int:
    return weighing(item)


def by_weight(items: Iterable[Any], *, n: int, limit: int, whole: bool = False) -> list[tuple[Any, ...]]:
    """Group by count and weight; `whole` leaves the last batch out unless it is full."""
    batches: list[list[Any]] = []
    full = True
    for item in items:
        weight = sum(map(weighing, batches[-1])) if batches else 0
        if full or weight + weighing(item) > limit:
            batches.append([])
        batches[-1].append(item)
        full = sum(map(weighing, batches[-1])) >= limit or len(batches[-1]) == n
    return [tuple(batch) for batch in batches[: -1 if whole and not full else None]]


def cut(items: Iterable[bytes], *, size: int = 4, whole: bool = False) -> list[bytes]:
    data = b"".join(items)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return [piece for piece in pieces if not whole or len(piece) == size]


def kind(item: object) -> str:
    return type(item).__name__ if not isinstance(item, int) or isinstance(item, bool) else str(item // 4)


async def kind_later(item: object) -> str:
    return kind(item)


def runs(items: Iterable[Any]) -> list[Any]:
    return [(key, tuple(group)) for key, group in itertools.groupby(items, kind)]


def begins(item: object) -> bool:
    return isinstance(item, int) and item % 3 == 0


async def begins_later(item: object) -> bool:
    return begins(item)


def split(items: Iterable[Any]) -> list[tuple[Any, ...]]:
    groups: list[list[Any]] = []
    for item in items:
        if begins(item) or not groups:
            groups.append([])
        groups[-1].append(item)
    return [tuple(group) for group in groups]


def ended(items: Iterable[Any]) -> list[tuple[Any, ...]]:
    groups: list[list[Any]] = [[]]
    for item in items:
        groups[-1].append(item)
        if begins(item):
            groups.append([])
    return [tuple(group) for group in groups if group]


def full(model_items: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [group for group in ended(model_items) if begins(group[-1])]


def but_last(model: Callable[[list[Any]], list[Any]]) -> Callable[[list[Any]], list[Any]]:
    return lambda items: model(items)[:-1]


def pairs_by_kind(items: list[Any]) -> list[Any]:
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(kind(item), []).append(item)
    return [tuple(group[at : at + 2]) for group in groups.values() for at in range(0, len(group), 2)]


def joined(together: list[Any], item: Any) -> list[Any]:
    return [*together, item]


async def joined_later(together: list[Any], item: Any) -> list[Any]:
    return joined(together, item)


async def alone_later(item: Any) -> list[Any]:
    return [item]


words = [b"ab", b"", b"cdefghijkl", b"m", b"nopq", b"rs", b"t" * 9]


def numbered_bytes() -> Iterable[bytes]:
    return (b"%d" % number for number in itertools.count())


CASES = [
    Case("batched", lambda: batched(3), in_threes, before_error=full_threes),
    Case("batched", lambda: batched(3, within=60), in_threes, before_error=full_threes),
    Case(
        "batched",
        lambda: batched(max_weight=5, weight=weighing),
        lambda items: by_weight(items, n=99, limit=5),
        items=[1, 22, 3, 4444444, 55, 666, 7, 8, 9, 1, 2, 3],
        before_error=lambda items: by_weight(items, n=99, limit=5, whole=True),
        asynchronous=lambda: batched(max_weight=5, weight=weighing_later),
    ),
    Case(
        "batched",
        lambda: batched(3, within=60, max_weight=5, weight=weighing),
        lambda items: by_weight(items, n=3, limit=5),
        items=[1, 22, 3, 4444444, 55, 666, 7, 8, 9, 1, 2, 3],
        before_error=lambda items: by_weight(items, n=3, limit=5, whole=True),
        asynchronous=lambda: batched(3, within=60, max_weight=5, weight=weighing_later),
    ),
    # How many wait depends on the speeds; that nothing is lost, doubled or moved does not.
    Case("batch_waiting", lambda: lambda stream: stream.through(batch_waiting(3)).through(unbatch()), list),
    Case(
        "unbatch",
        unbatch,
        lambda items: list(itertools.chain(*items)),
        items=[(1, 2), [], range(3), "ab", {5: 6}, (None,)],
        falsy=[(0, ""), [], "", (None, False)],
        endless_items=lambda: ((number, number) for number in itertools.count()),
    ),
    Case(
        "rechunk",
        lambda: rechunk(4),
        cut,
        items=words,
        falsy=[b"", b""],
        before_error=lambda items: cut(items, whole=True),
        endless_items=lambda: iter(numbered_bytes()),
    ),
    Case(
        "group_adjacent",
        lambda: group_adjacent(kind),
        runs,
        before_error=but_last(runs),
        asynchronous=lambda: group_adjacent(kind_later),
    ),
    Case(
        "split_after",
        lambda: split_after(begins),
        ended,
        before_error=full,
        asynchronous=lambda: split_after(begins_later),
    ),
    Case(
        "split_when",
        lambda: split_when(begins),
        split,
        before_error=but_last(split),
        asynchronous=lambda: split_when(begins_later),
    ),
    Case(
        "group_by",
        lambda: group_by(kind, lambda _: sf.batched(2)),
        pairs_by_kind,
        before_error=lambda items: [batch for batch in pairs_by_kind(items) if len(batch) == 2],
        asynchronous=lambda: group_by(kind_later, lambda _: sf.batched(2)),
        ordered=False,
    ),
    Case("group_by", lambda: group_by(kind, lambda _: (), max_open=1, maxsize=1), list),
    Case("group_by", lambda: group_by(kind, lambda _: sf.map(lambda item: item), idle=60), list, ordered=False),
    Case("buffer", lambda: buffer(2), list),
    # As many may wait as there are: nothing is dropped. What is, test_buffers.py says.
    Case("buffer", lambda: buffer(10, overflow="drop_newest"), list),
    Case("buffer", lambda: buffer(10, overflow="drop_oldest"), list, endless=2),
    Case("buffer", lambda: buffer(10, overflow="fail"), list, endless=2),
    Case(
        "conflate",
        lambda: lambda stream: stream.through(conflate(joined, seed=lambda item: [item])).through(unbatch()),
        list,
        asynchronous=lambda: lambda stream: stream.through(conflate(joined_later, seed=alone_later)).through(unbatch()),
        endless=1,
    ),
    Case(
        "conflate",
        lambda: lambda stream: stream.through(conflate(operator.add)).through(unbatch()),
        lambda items: list(itertools.chain(*items)),
        items=[(number,) for number in range(10)],
        falsy=[(), ()],
        endless=1,
        endless_items=lambda: ((number,) for number in itertools.count()),
    ),
]
