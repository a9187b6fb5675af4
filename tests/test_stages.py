"""Sources, stages and sinks as values, and the decorators that make them from functions."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamflow.errors import UsageError
from streamflow.makers import sink, source, stage
from streamflow.resolving import resolve_sink, resolve_source, resolve_stage
from streamflow.stages import Sink, Source, Stage

HERE = Path(__file__).name


async def collected(items: AsyncIterable[Any]) -> list[Any]:
    return [item async for item in items]


async def feed(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


# Plain functions a user may have.


def letters() -> Iterator[str]:
    yield from "abc"


def up_to(end: int) -> Iterator[int]:
    yield from range(end)


async def double(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
    async for item in items:
        yield item * 2


async def times(items: AsyncIterable[Any], factor: int, *, offset: int = 0) -> AsyncIterator[Any]:
    async for item in items:
        yield item * factor + offset


async def total(items: AsyncIterable[int]) -> int:
    return sum(await collected(items))


async def total_from(items: AsyncIterable[int], begin: int) -> int:
    return begin + await total(items)


# --- @source, @stage, @sink ------------------------------------------------------------------------------------------


async def test_arguments_are_given_when_the_stage_is_used():
    made = stage(times)(3, offset=1)
    assert await collected(made(feed(1, 2))) == [4, 7]
    assert await collected(made(feed(5))) == [16]

    def counting(begin: int, *, step: int = 1) -> Iterator[int]:
        yield from range(begin, begin + 3 * step, step)

    numbers = source(counting)(10, step=5)
    assert await collected(numbers) == await collected(numbers) == [10, 15, 20]
    assert await sink(total_from)(begin=100)(feed(1, 2)) == 103


@pytest.mark.parametrize(
    "use",
    [
        stage(times),
        lambda: stage(times)(1, 2),
        lambda: stage(double)(1),
        lambda: stage(times)(1, wrong=2),
        sink(total_from),
        lambda: sink(total)(1),
        lambda: source(letters)(1),
        lambda: source(letters)(wrong=1),
    ],
)
def test_arguments_that_do_not_fit_are_refused_where_they_are_given(use):
    """P10"""
    with pytest.raises(TypeError):
        use()


def test_a_coroutine_function_is_refused_where_it_is_decorated():
    """P10"""
    with pytest.raises(UsageError, match=r"'total' is a coroutine function"):
        stage(total)


def test_a_decorated_function_keeps_its_name_and_docstring():
    @stage
    async def stamp(items: AsyncIterable[Any], now: Any) -> AsyncIterator[Any]:
        """Add the time."""
        async for item in items:
            yield (now, item)

    assert (stamp.__name__, stamp.__doc__) == ("stamp", "Add the time.")
    assert stamp(0).name == "stamp"


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: Source(letters),
        lambda: source(up_to)(3),
        lambda: resolve_source([1]),
        lambda: Stage(double),
        lambda: stage(times)(2),
        lambda: resolve_stage(double),
        lambda: Sink(total),
        lambda: sink(total_from)(0),
        lambda: resolve_sink(total),
    ],
)
def test_a_value_knows_the_line_where_it_was_made(make):
    """P4: errors name the file and line where the stage was added."""
    number = make.__code__.co_firstlineno
    assert make().where.rpartition("/")[2] == f"{HERE}:{number}"


@pytest.mark.parametrize("value", [Source(letters), Stage(double), Sink(total)], ids=lambda value: type(value).__name__)
def test_a_value_cannot_be_changed(value):
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.name = "other"


def test_two_values_made_of_the_same_function_are_two():
    """A stage that is used twice in a pipeline is two stages in its report."""
    one, other = Stage(double), Stage(double)
    assert one != other
    assert len({one, other}) == 2


def test_a_stage_of_nothing_is_refused():
    """P10"""
    with pytest.raises(UsageError, match=r"'empty' needs a function or a transform"):
        Stage(name="empty")


def test_what_a_decorator_cannot_mean_is_refused_where_it_stands():
    """P10"""

    async def doubled(items):
        async for item in items:
            yield item * 2

    def letters(items):
        yield from items

    async def answer():
        return 42

    with pytest.raises(UsageError, match=r"'doubled' has a `yield`, so it is a stage .* write @sf.stage"):
        sink(doubled)
    with pytest.raises(UsageError, match=r"'letters' is a synchronous generator function; .* write `async def`"):
        stage(letters)
    with pytest.raises(UsageError, match=r"'answer' is a coroutine function"):
        source(answer)
