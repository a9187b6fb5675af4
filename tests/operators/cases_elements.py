"""The operators on single items, on places and runs of items, at the edges of a stream, and with a resource."""

from __future__ import annotations

import itertools
import operator
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

from streamflow.operators.accumulating import map_state, pairwise, scan, sliding
from streamflow.operators.edges import append, cycle, default_if_empty, prepend, repeat
from streamflow.operators.elements import cast, enumerate, filter, filter_map, flatten, starmap, tap  # noqa: A004
from streamflow.operators.resources import map_with
from streamflow.operators.selecting import (
    dedupe,
    distinct,
    skip,
    skip_last,
    skip_while,
    take,
    take_last,
    take_while,
)
from tests.operators.contracts import AnyCase, Case

PAIRS = [(0, 5), (1, 4), (2, 3), (3, 2), (4, 1), (5, 0)]
NESTED = [[0, 1], [], [2], (3, 4), range(5, 7), "x"]


def later(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same as a coroutine function."""

    async def call(*arguments: Any) -> Any:
        return fn(*arguments)

    return call


def same(item: Any) -> Any:
    return item


def is_even(item: Any) -> bool:
    return isinstance(item, int) and item % 2 == 0


def below_four(item: Any) -> bool:
    return not isinstance(item, int) or item < 4


def odd_or_none(item: Any) -> Any:
    return item if not isinstance(item, int) or item % 2 else None


def together(value: Any, item: Any) -> Any:
    return (*value, item)


def half(item: Any) -> Any:
    return item // 2 if isinstance(item, int) else repr(item)


def nested() -> Iterator[Any]:
    return ([number, number] for number in itertools.count())


def pairs() -> Iterator[Any]:
    return zip(itertools.count(), itertools.count(1))


def counted(state: int, item: Any) -> tuple[int, Any]:
    return state + 1, (state, item)


def zero() -> int:
    return 0


def total(state: int) -> list[Any]:
    return [state, None]


async def total_streamed(state: int) -> AsyncIterator[Any]:
    yield state
    yield None


def with_total(items: list[Any]) -> list[Any]:
    return [*list_of_pairs(items), len(items), None]


def list_of_pairs(items: Iterable[Any]) -> list[Any]:
    return list(zip(itertools.count(), items))


def windows(n: int, step: int) -> Callable[[list[Any]], list[Any]]:
    return lambda items: [tuple(items[at : at + n]) for at in range(0, len(items) - n + 1, step)]


def lru(n: int, key: Callable[[Any], Any] = same) -> Callable[[list[Any]], list[Any]]:
    def model(items: list[Any]) -> list[Any]:
        seen: list[Any] = []
        new = []
        for item in items:
            if key(item) in seen:
                seen.remove(key(item))
            else:
                new.append(item)
            seen = [*seen, key(item)][-n:]
        return new

    return model


def runs(key: Callable[[Any], Any] = same) -> Callable[[list[Any]], list[Any]]:
    return lambda items: [next(group) for _, group in itertools.groupby(items, key)]


def opened() -> AbstractContextManager[str]:
    return nullcontext("resource")


@asynccontextmanager
async def opened_later() -> AsyncIterator[str]:
    yield "resource"


def with_resource(resource: str, item: Any) -> Any:
    return resource, item


def resourceful(items: list[Any]) -> list[Any]:
    return [("resource", item) for item in items]


def nothing(_items: list[Any]) -> list[Any]:
    return []


HASHABLE = (0, "", None, 0, "", 1)
REPEATED = [1, 1, 2, 2, 1, 3, 3, 1, 2, 1]

ELEMENTS: list[AnyCase] = [
    Case(
        "starmap",
        lambda: starmap(operator.sub),
        lambda items: [a - b for a, b in items],
        items=PAIRS,
        falsy=None,
        asynchronous=lambda: starmap(later(operator.sub)),
        endless_items=pairs,
    ),
    Case("filter", lambda: filter(is_even), lambda items: [item for item in items if is_even(item)]),
    Case("filter", lambda: filter(lambda _: True), same, asynchronous=lambda: filter(later(lambda _: True))),
    Case(
        "filter_map",
        lambda: filter_map(odd_or_none),
        lambda items: [item for item in map(odd_or_none, items) if item is not None],
        asynchronous=lambda: filter_map(later(odd_or_none)),
    ),
    Case("filter_map", lambda: filter_map(same), lambda items: [item for item in items if item is not None]),
    Case(
        "flatten",
        flatten,
        lambda items: [inner for item in items for inner in item],
        items=NESTED,
        falsy=([0, ""], (None,), [False, []]),
        endless_items=nested,
    ),
    Case("tap", lambda: tap(same), same, asynchronous=lambda: tap(later(same))),
    Case("enumerate", enumerate, list_of_pairs),
    Case("enumerate", lambda: enumerate(-1), lambda items: list(zip(itertools.count(-1), items))),
    Case("cast", lambda: cast(object), same),
    Case("cast", lambda: cast(int | float), same, falsy=(0, False, 0.0)),
]

SELECTING: list[AnyCase] = [
    Case("take", lambda: take(3), lambda items: items[:3]),
    Case("take", lambda: take(100), lambda items: items[:100]),
    Case(
        "take_while",
        lambda: take_while(below_four),
        lambda items: list(itertools.takewhile(below_four, items)),
        asynchronous=lambda: take_while(later(below_four)),
    ),
    Case(
        "take_while",
        lambda: take_while(below_four, inclusive=True),
        lambda items: [
            item for before, item in zip([0, *items], items, strict=False) if below_four(before) and item < 5
        ],
        falsy=None,
        asynchronous=lambda: take_while(later(below_four), inclusive=True),
    ),
    Case("take_last", lambda: take_last(3), lambda items: items[-3:], before_error=nothing, endless=0),
    Case("take_last", lambda: take_last(100), same, before_error=nothing, endless=0),
    Case("skip", lambda: skip(0), same),
    Case("skip", lambda: skip(3), lambda items: items[3:]),
    Case(
        "skip_while",
        lambda: skip_while(below_four),
        lambda items: list(itertools.dropwhile(below_four, items)),
        asynchronous=lambda: skip_while(later(below_four)),
    ),
    Case("skip_last", lambda: skip_last(0), same),
    Case("skip_last", lambda: skip_last(3), lambda items: items[:-3]),
    Case("distinct", lambda: distinct(2), lru(2), items=REPEATED, falsy=HASHABLE),
    Case(
        "distinct",
        lambda: distinct(2, key=half),
        lru(2, half),
        items=REPEATED,
        asynchronous=lambda: distinct(2, key=later(half)),
    ),
    Case("dedupe", dedupe, runs(), items=REPEATED),
    Case(
        "dedupe",
        lambda: dedupe(key=half),
        runs(half),
        asynchronous=lambda: dedupe(key=later(half)),
    ),
]

ACCUMULATING: list[AnyCase] = [
    Case(
        "scan",
        lambda: scan(together, ()),
        lambda items: list(itertools.accumulate(items, together, initial=()))[1:],
        asynchronous=lambda: scan(later(together), ()),
    ),
    Case(
        "map_state",
        lambda: map_state(counted, zero),
        list_of_pairs,
        asynchronous=lambda: map_state(later(counted), zero),
    ),
    Case(
        "map_state",
        lambda: map_state(counted, zero, at_end=total),
        with_total,
        before_error=list_of_pairs,
        asynchronous=lambda: map_state(later(counted), zero, at_end=total_streamed),
    ),
    Case(
        "map_state",
        lambda: map_state(counted, zero, at_end=later(total)),
        with_total,
        before_error=list_of_pairs,
        asynchronous=lambda: map_state(later(counted), zero, at_end=total),
    ),
    Case("pairwise", pairwise, lambda items: list(itertools.pairwise(items))),
    Case("sliding", lambda: sliding(3), windows(3, 1)),
    Case("sliding", lambda: sliding(1), windows(1, 1)),
    Case("sliding", lambda: sliding(2, step=3), windows(2, 3)),
    Case("sliding", lambda: sliding(4, step=2), windows(4, 2)),
]

EDGES: list[AnyCase] = [
    Case("prepend", lambda: prepend(None, "first"), lambda items: [None, "first", *items]),
    Case("append", lambda: append("last", None), lambda items: [*items, "last", None], before_error=same),
    Case(
        "default_if_empty",
        lambda: default_if_empty(None),
        lambda items: items or [None],
        before_error=same,
    ),
    Case("repeat", lambda: repeat(1), same),
    Case("repeat", lambda: repeat(3), lambda items: items * 3, before_error=same),
    Case(
        "cycle", lambda: lambda flow: flow.through(cycle()).take(25), lambda items: (items * 25)[:25], before_error=same
    ),
]

RESOURCES: list[AnyCase] = [
    Case(
        "map_with",
        lambda: map_with(opened, with_resource),
        resourceful,
        asynchronous=lambda: map_with(opened_later, later(with_resource)),
    ),
]

CASES: list[AnyCase] = [*ELEMENTS, *SELECTING, *ACCUMULATING, *EDGES, *RESOURCES]
