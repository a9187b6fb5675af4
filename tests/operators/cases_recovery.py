"""How the operators of retrying.py, resuming.py and recovery.py are used, for the checks that every operator passes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from streamflow.machinery.policies import Backoff
from streamflow.operators.recovery import catch, fallback
from streamflow.operators.resuming import resumable
from streamflow.operators.retrying import retry
from tests.operators.contracts import Case, SourceCase

AT_ONCE = Backoff(first=1e-9, factor=1.0, jitter=False)


def same(items: list[Any]) -> list[Any]:
    return items


def after(place: int | None) -> Iterator[int]:
    yield from range(0 if place is None else place + 1, 6)


async def after_later(place: int) -> AsyncIterator[int]:
    for number in range(place + 1, 6):
        yield number


async def opened_later(place: int | None) -> list[int]:
    return list(after(place))


def itself(item: int) -> int:
    return item


CASES = [
    Case(operator="retry", make=lambda: retry(resume="after"), model=same),
    Case(operator="retry", make=lambda: retry(resume="start", backoff=AT_ONCE), model=same),
    Case(operator="catch", make=lambda: catch(LookupError, then="stop"), model=same),
    Case(operator="catch", make=lambda: catch(LookupError, OSError, then=[0]), model=same),
    Case(operator="fallback", make=lambda: fallback([1, 2], on=OSError), model=same),
    SourceCase(operator="resumable", make=lambda: resumable(after, itself), expected=range(6)),
    SourceCase(operator="resumable", make=lambda: resumable(after_later, itself, start=-1), expected=range(6)),
    SourceCase(operator="resumable", make=lambda: resumable(opened_later, itself), expected=range(6)),
]
