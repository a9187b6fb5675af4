"""The cases of `operators/concurrency.py` for the tests that every operator is run through."""

from __future__ import annotations

import asyncio
from typing import Any

from streamflow.machinery.adaptive import Adaptive
from streamflow.machinery.policies import Backoff, Retry, skip_errors
from streamflow.operators.concurrency import flat_map, for_each, map  # noqa: A004  # the standard word
from tests.operators.contracts import Case, SinkCase


def boxed(item: Any) -> Any:
    return (item,)


async def boxed_later(item: Any) -> Any:
    await asyncio.sleep(0)
    return (item,)


def all_boxed(items: list[Any]) -> list[Any]:
    return [(item,) for item in items]


def boxed_but_three(item: Any) -> Any:
    if item == 3:
        raise ValueError(item)
    return (item,)


async def boxed_but_three_later(item: Any) -> Any:
    await asyncio.sleep(0)
    return boxed_but_three(item)


def twice(item: Any) -> list[Any]:
    return [item, item]


async def twice_later(item: Any) -> list[Any]:
    await asyncio.sleep(0)
    return [item, item]


def all_twice(items: list[Any]) -> list[Any]:
    return [out for item in items for out in (item, item)]


def all_but_three(items: list[Any]) -> list[Any]:
    return [(item,) for item in items if item != 3]


RETRY = Retry(2, on=KeyError, backoff=Backoff(jitter=False))

CASES = [
    Case("map", lambda: map(boxed), all_boxed, asynchronous=lambda: map(boxed_later)),
    Case(
        "map",
        lambda: map(boxed, concurrency=3),
        all_boxed,
        asynchronous=lambda: map(boxed_later, concurrency=3, max_waiting=0),
    ),
    Case(
        "map",
        lambda: map(boxed, concurrency=3, ordered=False),
        all_boxed,
        asynchronous=lambda: map(boxed_later, concurrency=3, ordered=False, max_waiting=5),
        ordered=False,
    ),
    Case(
        "map",
        lambda: map(boxed, concurrency=3, key=repr),
        all_boxed,
        asynchronous=lambda: map(boxed_later, concurrency=3, key=lambda item: 0, retry=RETRY),
    ),
    Case(
        "map",
        lambda: map(boxed, concurrency=Adaptive(2, 5)),
        all_boxed,
        asynchronous=lambda: map(boxed_later, concurrency="auto", timeout=9.0),
    ),
    Case(
        "map",
        lambda: map(boxed_but_three, errors=skip_errors(ValueError)),
        all_but_three,
        asynchronous=lambda: map(boxed_but_three_later, errors=skip_errors(ValueError)),
    ),
    Case(
        "map",
        lambda: map(boxed_but_three, concurrency=2, errors=skip_errors(ValueError)),
        all_but_three,
        asynchronous=lambda: map(boxed_but_three_later, concurrency=2, errors=skip_errors()),
    ),
    Case("map", lambda: map(boxed, threads=2), all_boxed, cancelled=False),
    Case(
        "flat_map",
        lambda: flat_map(twice, concurrency=3),
        all_twice,
        asynchronous=lambda: flat_map(twice_later, concurrency=2, ahead=1),
    ),
    Case(
        "flat_map",
        lambda: flat_map(twice, concurrency=3, ordered=False),
        all_twice,
        asynchronous=lambda: flat_map(twice_later, concurrency=2, ordered=False),
        ordered=False,
    ),
    SinkCase("for_each", lambda: for_each(boxed), len, asynchronous=lambda: for_each(boxed_later)),
    SinkCase(
        "for_each",
        lambda: for_each(boxed, concurrency=3),
        len,
        asynchronous=lambda: for_each(boxed_later, concurrency=3, key=id, retry=RETRY, timeout=9.0),
    ),
    SinkCase(
        "for_each",
        lambda: for_each(boxed_but_three, errors=skip_errors(ValueError)),
        lambda items: len(all_but_three(items)),
        asynchronous=lambda: for_each(boxed_but_three_later, concurrency=2, errors=skip_errors(ValueError)),
    ),
]
