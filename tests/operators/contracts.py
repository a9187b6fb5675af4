"""What every operator is run through: the cases as values, and the table of all of them.

What lives here: `Case`, `SourceCase`, `SinkCase`, and what gathers them from the files `cases_*.py` beside this one.
What must not: checks (test_contracts.py).

A case says how an operator is used and, in plain Python over lists, what comes out. So an operator is held to its
model, not to examples.
"""

from __future__ import annotations

import importlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamflow as sf

FALSY: tuple[Any, ...] = (0, "", None, False, 0.0, [])


class Broken(Exception):
    """What a source fails with."""


@dataclass(frozen=True)
class Case:
    """One use of an operator that is a stage.

    Args:
        operator: its name on the face.
        make: returns the stage, or a function from `Stream` to `Stream`.
        model: what a run over a list of items emits.
        items: the input, of at least 6 items.
        falsy: an input of falsy items; `None` where the operator cannot take them.
        before_error: what is emitted before the error when the source fails after these items; default: as `model`.
        asynchronous: the same with a coroutine function.
        endless: how many outputs to take from an endless source; 0 where nothing comes before the end.
        endless_items: makes the endless input; default 0, 1, 2, ...
        ordered: whether the order of the output is fixed.
        virtual: whether it needs virtual time.
        cancelled: whether to cancel it after every loop step.
        part_before_error: whether only some of `before_error` need have been emitted before the error.
    """

    operator: str
    make: Callable[[], Any]
    model: Callable[[list[Any]], Iterable[Any]]
    items: Sequence[Any] = range(10)
    falsy: Sequence[Any] | None = FALSY
    before_error: Callable[[list[Any]], Iterable[Any]] | None = None
    asynchronous: Callable[[], Any] | None = None
    endless: int = 3
    endless_items: Callable[[], Iterator[Any]] = itertools.count
    ordered: bool = True
    virtual: bool = False
    cancelled: bool = True
    part_before_error: bool = False

    def expected(self, items: Iterable[Any]) -> list[Any]:
        """Return what the model emits for these items."""
        return list(self.model(list(items)))

    def expected_before_error(self, items: Iterable[Any]) -> list[Any]:
        """Return what the model emits before the error of a source that fails after these items."""
        return list((self.before_error or self.model)(list(items)))

    def right_before_error(self, got: list[Any], wanted: list[Any]) -> bool:
        """Whether that may have been emitted before the error."""
        if self.part_before_error:
            return not Counter(map(repr, got)) - Counter(map(repr, wanted))
        return self.same(got, wanted)

    def same(self, got: list[Any], wanted: list[Any]) -> bool:
        """Whether the output is the one expected; where the order is free, as a multiset."""
        if self.ordered:
            return got == wanted and [type(item) for item in got] == [type(item) for item in wanted]
        return Counter(map(repr, got)) == Counter(map(repr, wanted))


@dataclass(frozen=True)
class SourceCase:
    """One use of an operator that is a source.

    Args:
        operator: its name on the face.
        make: returns the source.
        expected: what it emits; the first of it where it is endless.
        endless: whether it goes on after `expected`.
        virtual: whether it needs virtual time.
        repeatable: whether the same source can be read twice.
        error: what it fails with after `expected`.
    """

    operator: str
    make: Callable[[], Any]
    expected: Sequence[Any]
    endless: bool = False
    virtual: bool = False
    repeatable: bool = True
    error: type[BaseException] | None = None


@dataclass(frozen=True)
class SinkCase:
    """One use of an operator that is a sink.

    Args:
        operator: its name on the face.
        make: returns the sink.
        model: its value for a list of items.
        items: the input, of at least 6 items.
        falsy: an input of falsy items; `None` where the operator cannot take them.
        empty: the class of the error for an empty input; `None` where `model([])` is its value.
        stops_early: whether its value is there before an endless source ends.
        asynchronous: the same with a coroutine function.
        virtual: whether it needs virtual time.
    """

    operator: str
    make: Callable[[], Any]
    model: Callable[[list[Any]], Any]
    items: Sequence[Any] = range(10)
    falsy: Sequence[Any] | None = FALSY
    empty: type[BaseException] | None = None
    stops_early: bool = False
    asynchronous: Callable[[], Any] | None = None
    virtual: bool = False


AnyCase = Case | SourceCase | SinkCase


def gathered() -> list[AnyCase]:
    """Return the cases of every family."""
    files = sorted(Path(__file__).parent.glob("cases_*.py"))
    modules = [importlib.import_module(f"tests.operators.{file.stem}") for file in files]
    return [case for module in modules for case in module.CASES]


def failing(items: Iterable[Any], *, after: int, error: Exception) -> Callable[[], Iterator[Any]]:
    """Return a generator function that gives the first items and then fails: a source that is fused."""

    def source() -> Iterator[Any]:
        yield from itertools.islice(items, after)
        raise error

    return source


def one_by_one(items: Iterable[Any]) -> Callable[[], AsyncIterator[Any]]:
    """Return an async generator function over these items: a source in a task of its own."""

    async def source() -> AsyncIterator[Any]:
        for item in items:
            yield item

    return source


def applied(make: Callable[[], Any], source: Any) -> sf.Stream[Any]:
    """Return a stream of the source with what the case makes after it."""
    return sf.stream(source).through(make())
