"""The sinks that end a pipeline in a value, each with its model."""

from __future__ import annotations

import functools
from typing import Any

import streamflow as sf
from tests.operators.contracts import AnyCase, SinkCase


def add(total: Any, item: Any) -> Any:
    return [*total, item]


async def add_later(total: Any, item: Any) -> Any:
    return [*total, item]


async def sent(_item: Any) -> None:
    """Send it."""


def kept(items: list[Any]) -> dict[str, Any]:
    return {repr(item): item for item in items}


async def is_five(item: Any) -> bool:
    return bool(item == 5)


async def is_no_five(item: Any) -> bool:
    return bool(item != 5)


def into_channel() -> sf.Sink[Any, int]:
    return sf.into(sf.Channel(64), then="close")


CASES: list[AnyCase] = [
    SinkCase("collect", sf.collect, list),
    SinkCase("collect", lambda: sf.collect(limit=10), list),
    SinkCase("to_dict", lambda: sf.to_dict(repr), kept),
    SinkCase("to_dict", sf.to_dict, dict, items=[(n, -n) for n in range(6)], falsy=[(0, 0), (None, ""), ("", None)]),
    SinkCase("last", sf.last, lambda items: items[-1], empty=sf.UsageError),
    SinkCase("last", lambda: sf.last(default=None), lambda items: items[-1] if items else None),
    SinkCase("single", lambda: sf.single(default="none"), lambda _items: "none", items=[], falsy=None),
    SinkCase("min", sf.min, min, items=[3, 1, 2, 1, 5, 4], falsy=[0, 0.0, False], empty=sf.UsageError),
    SinkCase("min", lambda: sf.min(key=repr, default=7), lambda items: min(items, key=repr, default=7)),
    SinkCase("max", sf.max, max, items=[3, 1, 2, 1, 5, 5.0], falsy=[0, 0.0, False], empty=sf.UsageError),
    SinkCase("max", lambda: sf.max(key=repr, default=7), lambda items: max(items, key=repr, default=7)),
    SinkCase("sum", sf.sum, sum, falsy=[0, 0.0, False]),
    SinkCase(
        "sum",
        lambda: sf.sum([]),
        lambda items: [one for item in items for one in item],
        items=[[1], [2]] * 3,
        falsy=[[], []],
    ),
    SinkCase("any", sf.any, any, stops_early=True),
    SinkCase(
        "any",
        lambda: sf.any(lambda n: n == 5),
        lambda items: 5 in items,
        stops_early=True,
        asynchronous=lambda: sf.any(is_five),
    ),
    SinkCase("all", sf.all, all, stops_early=True),
    SinkCase(
        "all",
        lambda: sf.all(lambda n: n != 5),
        lambda items: 5 not in items,
        stops_early=True,
        asynchronous=lambda: sf.all(is_no_five),
    ),
    SinkCase("into", into_channel, len),
    SinkCase("count", sf.count, len),
    SinkCase("drain", sf.drain, lambda _items: None),
    SinkCase("first", sf.first, lambda items: items[0], empty=sf.UsageError, stops_early=True),
    SinkCase("first", lambda: sf.first(default=None), lambda items: (items or [None])[0], stops_early=True),
    SinkCase(
        "reduce",
        lambda: sf.reduce(add, ["start"]),
        lambda items: functools.reduce(add, items, ["start"]),
        asynchronous=lambda: sf.reduce(add_later, ["start"]),
    ),
    SinkCase("for_each", lambda: sf.for_each(repr), len, asynchronous=lambda: sf.for_each(sent)),
    SinkCase("for_each", lambda: sf.for_each(sent, concurrency=3), len),
]
