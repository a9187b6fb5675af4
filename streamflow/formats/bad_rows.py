"""Rows and lines that are bad: raised, or skipped by the policy that the user gave.

What lives here: what a parser gives in the place of a bad row, and the stage that skips such rows by an `ErrorPolicy`,
whose dead letters may have to be waited for. What must not: what makes a row bad.

A parser that works for a policy goes on behind a bad row. It never waits; the stage around it does.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

from streamflow.engine.codecs import codec_stage
from streamflow.errors import FormatError, UsageError
from streamflow.machinery.crews.skipping import Skipping
from streamflow.machinery.policies import ErrorPolicy
from streamflow.stages import Stage

__all__ = ["Bad", "BadRow", "RowParser", "Rows", "parsing_stage"]

Bad: TypeAlias = Literal["error"] | ErrorPolicy
"""What to do with a bad row: raise its error, or skip it by a policy (`sf.skip_errors`)."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is bad: its error, the row as it came in, and its number (of its line, or which item it was)."""

    error: FormatError
    row: Any
    number: int


Rows: TypeAlias = Iterable[Any] | BadRow
"""Some good rows, or a bad one in its place among them."""


class RowParser(ABC):
    """A parser that gives bad rows in their places among the good ones: what `rows` and `last_rows` give.

    As a codec it raises for the first bad row, after the rows before it.
    """

    @abstractmethod
    def rows(self, data: Any, /) -> Iterator[Rows]:
        """Return what is complete by now, lazily."""

    @abstractmethod
    def last_rows(self) -> Iterator[Rows]:
        """Return what is left."""

    def feed(self, data: Any, /) -> Iterator[Any]:
        """Return the rows that are complete by now, lazily."""
        return itertools.chain.from_iterable(self.batches(data))

    def batches(self, data: Any, /) -> Iterator[Iterable[Any]]:
        """Return what `feed` returns in batches, lazily; an error comes between them, never out of one."""
        return map(_good, self.rows(data))

    def finish(self) -> Iterator[Any]:
        """Return the rows that are left."""
        return itertools.chain.from_iterable(map(_good, self.last_rows()))


def _good(rows: Rows) -> Iterable[Any]:
    if isinstance(rows, BadRow):
        raise rows.error
    return rows


def parsing_stage(make: Callable[[], RowParser], bad: Bad, *, name: str, holds: int) -> Stage[Any, Any]:
    """Make the stage of a parser, one that skips where `bad` is a policy; `UsageError` if it is neither."""
    make()  # so that bad options are refused here and not when the run starts
    if isinstance(bad, ErrorPolicy):
        return Stage(partial(_skipping, make, bad, name), name=name, holds=holds)
    if bad != "error":
        raise UsageError(f"bad={bad!r:.60} is neither 'error' nor an ErrorPolicy. Write bad=sf.skip_errors(to=...)")
    return codec_stage(make, name=name, holds=holds)


async def _skipping(
    make: Callable[[], RowParser], policy: ErrorPolicy, name: str, items: AsyncIterable[Any]
) -> AsyncGenerator[Any, None]:
    skipping = Skipping(policy, name)
    async with aclosing(_parsed(make(), items)) as parsed:
        async for rows in parsed:
            if isinstance(rows, BadRow):
                if not await skipping.failed(rows.error, rows.row, rows.number):
                    raise rows.error
                continue
            for row in rows:
                skipping.succeeded()
                yield row
    skipping.check_end()


async def _parsed(parser: RowParser, items: AsyncIterable[Any]) -> AsyncGenerator[Rows, None]:
    async for data in items:
        for rows in parser.rows(data):
            yield rows
    for rows in parser.last_rows():
        yield rows
