"""The operators that fan out, each with its model."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

import streamflow as sf
from streamflow.operators.balancing import balance, balance_to
from streamflow.operators.branching import partition, route
from streamflow.operators.fanning import broadcast, tap_to, tee
from streamflow.stages import Sink
from tests.operators.contracts import AnyCase, Case, SinkCase


async def each(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item


async def is_true(item: Any) -> bool:
    return bool(item)


async def truth_name(item: Any) -> str:
    return "true" if item else "false"


def one_of_tee(n: int, *, maxsize: int = 64) -> Callable[[Any], Any]:
    """Read one branch; the others are dropped, so they do not gate."""
    return lambda flow: sf.stream(tee(flow, n, maxsize=maxsize)[n - 1])


def first_of_partition(fn: Callable[[Any], Any]) -> Callable[[], Callable[[Any], Any]]:
    return lambda: lambda flow: sf.stream(partition(flow, fn, maxsize=2)[0])


def second_of_partition(flow: Any) -> Any:
    return sf.stream(partition(flow, bool)[1])


def counted(items: list[Any]) -> tuple[int, int]:
    return len(items), len(items)


def by_truth(items: list[Any]) -> dict[str, list[Any]]:
    return {"true": [item for item in items if item], "false": [item for item in items if not item]}


async def shared_out(items: AsyncIterable[Any]) -> Any:
    """Put together what two branches got, in whichever way they shared."""
    left, right = await balance_to(sf.collect(), sf.collect())(items)
    return Counter(map(repr, [*left, *right]))


CASES: list[AnyCase] = [
    SinkCase("broadcast", lambda: broadcast(sf.collect(), sf.collect()), lambda items: (items, items)),
    SinkCase("broadcast", lambda: broadcast(sf.collect(), sf.count(), maxsize=1), lambda items: (items, len(items))),
    SinkCase("broadcast", lambda: broadcast([sf.map(repr), sf.collect()]), lambda items: ([*map(repr, items)],)),
    SinkCase(
        "broadcast",
        lambda: broadcast(sf.first(None), [sf.take(2), sf.collect()]),
        lambda items: (items[0] if items else None, items[:2]),
        stops_early=True,
    ),
    Case("tap_to", lambda: tap_to(sf.count()), list),
    Case("tap_to", lambda: tap_to([sf.map(repr), sf.collect()], maxsize=1, overflow="block"), list),
    Case("tap_to", lambda: tap_to(sf.first(None), maxsize=1, overflow="drop_oldest"), list),
    Case("tee", lambda: one_of_tee(1), list),
    Case("tee", lambda: one_of_tee(2, maxsize=1), list),
    Case(
        "partition",
        first_of_partition(bool),
        lambda items: [item for item in items if item],
        asynchronous=first_of_partition(is_true),
    ),
    Case("partition", lambda: second_of_partition, lambda items: [item for item in items if not item], endless=0),
    SinkCase(
        "route",
        lambda: route(lambda item: "true" if item else "false", {"true": sf.collect(), "false": [each, sf.collect()]}),
        by_truth,
        asynchronous=lambda: route(truth_name, {"true": sf.collect(), "false": [each, sf.collect()]}),
    ),
    SinkCase(
        "route",
        lambda: route(repr, {"5": sf.count()}, default=sf.count(), maxsize=1),
        lambda items: {"5": items.count(5), None: len(items) - items.count(5)},
    ),
    Case("balance", lambda: balance(each, 3), list, ordered=False),
    Case("balance", lambda: balance(sf.map(repr), 2, ordered=True), lambda items: [*map(repr, items)]),
    Case("balance", lambda: balance(each, 3, ordered=True, maxsize=2), list),
    SinkCase("balance_to", lambda: Sink(shared_out), lambda items: Counter(map(repr, items))),
]
