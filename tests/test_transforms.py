"""A synchronous stage item by item: the async form that is derived from its transform."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from streamflow.errors import StageError
from streamflow.stages import Stage
from streamflow.transforms import NeedsAwait


async def collected(items: AsyncIterable[Any]) -> list[Any]:
    return [item async for item in items]


async def feed(*items: Any) -> AsyncGenerator[Any, None]:
    for item in items:
        yield item


class Pairs:
    """A transform that emits sums of pairs, an odd one at the end, and has enough after `limit` pairs."""

    def __init__(self, limit: int = 100) -> None:
        self.held: list[int] = []
        self.left = limit

    def apply(self, items: Iterator[int]) -> Iterator[int]:
        for item in items:
            self.held.append(item)
            if len(self.held) == 2:
                yield sum(self.held)
                self.held.clear()
                self.left -= 1

    def finish(self) -> Iterator[int]:
        yield from self.held

    @property
    def done(self) -> bool:
        return not self.left


async def test_the_async_form_of_a_synchronous_stage_is_derived():
    made: Stage[int, int] = Stage(transform=Pairs, name="pairs")
    assert await collected(made(feed(1, 2, 3, 4, 5))) == [3, 7, 5]
    assert await collected(made(feed(1, 2))) == [3]


async def test_a_synchronous_stage_that_has_enough_takes_no_more():
    taken: list[int] = []

    async def numbers() -> AsyncGenerator[int, None]:
        for number in range(10):
            taken.append(number)
            yield number

    made: Stage[int, int] = Stage(transform=lambda: Pairs(limit=2))
    async with aclosing(numbers()) as given:
        assert await collected(made(given)) == [1, 5]
    assert taken == [0, 1, 2, 3]


class Applying:
    """A transform that calls `fn`, and gives up its synchronous form when it returns an awaitable."""

    def __init__(self, fn: Any) -> None:
        self.fn = fn
        self.done = False

    def apply(self, items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            result = self.fn(item)
            if inspect.isawaitable(result):
                raise NeedsAwait(self, item, result, items)
            yield result

    def finish(self) -> Iterator[Any]:
        return iter(())


async def test_a_callable_that_turns_out_to_be_async_is_not_called_twice_for_its_first_item():
    calls: list[int] = []

    async def slow(item: int) -> int:
        calls.append(item)
        return item * 10

    def refit(call: Any) -> Any:
        async def body(items: AsyncIterable[Any]) -> AsyncIterator[Any]:
            async for item in items:
                yield await call(item)

        return body

    made: Stage[int, int] = Stage(transform=lambda: Applying(slow), refit=refit)
    assert await collected(made(feed(1, 2, 3))) == [10, 20, 30]
    assert calls == [1, 2, 3]


async def test_a_transform_that_has_enough_from_the_start_takes_nothing():
    async with aclosing(feed(1, 2)) as given:
        assert await collected(Stage(transform=lambda: Pairs(limit=0))(given)) == []
        assert await collected(given) == [1, 2]


async def test_an_awaitable_without_an_async_form_is_the_callers_affair():
    """The engine knows how to go on from the signal; a stage called by hand that cannot go on lets it out."""

    async def slow(item: int) -> int:
        return item

    async with aclosing(feed(1)) as given:
        with pytest.raises(NeedsAwait) as caught:
            await collected(Stage(transform=lambda: Applying(slow))(given))
    assert caught.value.item == 1
    assert await caught.value.awaitable == 1


class Mapping:
    """A transform that is nothing but `map`."""

    done = False

    def __init__(self, fn: Any) -> None:
        self.fn = fn

    def apply(self, items: Iterator[Any]) -> Iterator[Any]:
        return map(self.fn, items)

    def finish(self) -> Iterator[Any]:
        return iter(())


async def test_a_stop_iteration_out_of_a_function_does_not_drop_an_item():
    """H36: to `map` it looks like the end of the input."""

    def unlucky(item: int) -> int:
        return next(iter(())) if item == 2 else item

    taken: list[int] = []

    async def take(given: AsyncIterable[int]) -> None:
        async for item in Stage(transform=lambda: Mapping(unlucky))(given):
            taken.append(item)  # noqa: PERF401  # what came before the failure is looked at

    async with aclosing(feed(1, 2, 3)) as given:
        with pytest.raises(StageError, match="StopIteration"):
            await take(given)
    assert taken == [1]
