"""The operators for which the latest counts, those that wait for a sign, and intersperse, each with its model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import streamflow as sf
from streamflow.operators.interspersing import intersperse
from streamflow.operators.latest import switch_map, with_latest_from
from streamflow.operators.until import skip_until, take_until
from tests.operators.contracts import AnyCase, Case

CHANNEL_OF_ONE = sf.stream(["only"]).buffer(1)


async def searched(item: Any) -> AsyncIterator[Any]:
    """Take a second for each result."""
    for number in range(2):
        await asyncio.sleep(1)
        yield item, number


async def found(item: Any) -> list[Any]:
    """Take a second for all results."""
    await asyncio.sleep(1)
    return [(item, 0), (item, 1)]


def of_the_last(items: list[Any]) -> list[Any]:
    """Where all items come at once: what the function gives for the last one."""
    return [(item, number) for item in items[-1:] for number in range(2)]


def nothing(_: list[Any]) -> list[Any]:
    """Model of what emits nothing, or not yet."""
    return []


def unset() -> asyncio.Event:
    """Return an event that nobody sets."""
    return asyncio.Event()


def already_set() -> asyncio.Event:
    """Return an event that is set."""
    event = asyncio.Event()
    event.set()
    return event


async def silent() -> AsyncIterator[int]:
    """Give nothing, and do not end for a long time."""
    await asyncio.sleep(1e6)
    yield 1


def separated(items: list[Any]) -> list[Any]:
    """Put a zero between the items."""
    return [each for item in items for each in (0, item)][1:]


CASES: list[AnyCase] = [
    Case(
        "switch_map",
        lambda: switch_map(searched),
        of_the_last,
        before_error=nothing,
        asynchronous=lambda: switch_map(found),
        endless=0,
        virtual=True,
    ),
    Case(
        "switch_map",
        lambda: switch_map(lambda item: found(item)),  # noqa: PLW0108  # what gives a coroutine and does not look so
        of_the_last,
        before_error=nothing,
        endless=0,
        virtual=True,
    ),
    Case("with_latest_from", lambda: with_latest_from(["a", "b"]), lambda items: [(item, "b") for item in items]),
    Case("with_latest_from", lambda: with_latest_from([None], [0]), lambda items: [(item, None, 0) for item in items]),
    Case("with_latest_from", lambda: with_latest_from([1], []), nothing, endless=0),
    Case(
        "with_latest_from", lambda: with_latest_from(CHANNEL_OF_ONE), lambda items: [(item, "only") for item in items]
    ),
    Case("take_until", lambda: take_until([]), list),
    Case("take_until", lambda: take_until([0]), nothing, endless=0),
    Case("take_until", lambda: take_until(unset()), list),
    Case("take_until", lambda: take_until(already_set()), nothing, endless=0),
    Case("take_until", lambda: take_until(silent), list, virtual=True),
    Case("skip_until", lambda: skip_until([0]), list),
    Case("skip_until", lambda: skip_until([]), nothing, endless=0),
    Case("skip_until", lambda: skip_until(already_set()), list),
    Case("skip_until", lambda: skip_until(unset()), nothing, endless=0),
    Case("skip_until", lambda: skip_until(silent), nothing, endless=0, virtual=True),
    Case("intersperse", lambda: intersperse(0), separated),
    Case(
        "intersperse",
        lambda: intersperse(0, start=None, end=""),
        lambda items: [None, *separated(items), ""],
        before_error=lambda items: [None, *separated(items)] if items else [],
    ),
    Case("intersperse", lambda: intersperse(0, end=1), lambda items: [*separated(items), 1], before_error=separated),
]
