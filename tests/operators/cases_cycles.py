"""The operators that feed results back, each with its model."""

from __future__ import annotations

from collections import deque
from typing import Any

import streamflow as sf
from tests.operators.contracts import AnyCase, Case


def halves(number: Any) -> list[Any]:
    return [number // 2] if number and isinstance(number, int) and number > 1 else []


async def halves_later(number: Any) -> list[Any]:
    return halves(number)


def set_of_walk(items: list[Any]) -> list[Any]:
    """Every item with all that comes of it: where the order depends on what is inside at a moment, a multiset."""
    walked, waiting = [], deque(items)
    while waiting:
        walked.append(waiting.popleft())
        waiting.extend(halves(walked[-1]))
    return walked


def counted_down(items: list[Any]) -> list[Any]:
    waiting, out = deque(items), []
    while waiting:
        out.append(("round", waiting.popleft()))
        waiting.extend(lower(out[-1]) or ())
    return out


def lower(pair: tuple[str, Any]) -> list[Any] | None:
    number = pair[1]
    return [number - 3] if number and isinstance(number, int) and number > 3 else None


async def lower_later(pair: tuple[str, Any]) -> list[Any] | None:
    return lower(pair)


def rounds(number: Any) -> tuple[str, Any]:
    return ("round", number)


CASES: list[AnyCase] = [
    Case(
        "expand",
        lambda: sf.expand(halves),
        set_of_walk,
        ordered=False,
        part_before_error=True,  # what goes round when the source fails is dropped
        asynchronous=lambda: sf.expand(halves_later),
    ),
    Case(
        "expand",
        lambda: sf.expand(halves_later, concurrency=3, ordered=False),
        set_of_walk,
        ordered=False,
        part_before_error=True,
    ),
    Case(
        "feedback",
        lambda: sf.feedback(sf.map(rounds), lower),
        counted_down,
        ordered=False,
        part_before_error=True,
        asynchronous=lambda: sf.feedback(sf.map(rounds), lower_later),
    ),
    Case(
        "feedback",
        lambda: sf.feedback([sf.filter(bool), sf.map(rounds)], lower),
        lambda items: counted_down([item for item in items if item]),
        ordered=False,
        part_before_error=True,
    ),
]
