"""What type checkers see of the face.

Never run: mypy and pyright check it, and an `ignore` that is not needed is an error. So each wrong pipeline below must
be reported, on its line. Where mypy cannot see through a lambda it takes `Any`; there the expectation is an annotation
instead of `assert_type`. tests/test_typing_is_complete.py holds that no operator and no method is left out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, assert_type

import streamflow as sf

# --- what users write --------------------------------------------------------------------------------------------


async def double(items: AsyncIterable[int]) -> AsyncIterator[int]:
    async for item in items:
        yield item * 2


async def halves(items: AsyncIterable[int]) -> AsyncGenerator[float, None]:
    async for item in items:
        yield item / 2


async def fetch(number: int) -> str:
    return str(number)


async def fetch_words(number: int) -> list[str]:
    return [str(number)]


async def stream_words(number: int) -> AsyncIterator[str]:
    yield str(number)


def split_words(number: int) -> list[str]:
    return [str(number)]


async def add(total: float, item: int) -> float:
    return total + item


async def save(items: AsyncIterable[float]) -> bytes:
    async for _ in items:
        pass
    return b""


def cleaned(numbers: sf.Stream[int]) -> sf.Stream[str]:
    return numbers.filter(bool).map(str)


@sf.source
def rows(table: str) -> Iterator[dict[str, str]]:
    yield {"table": table}


@sf.stage
async def shifted(items: AsyncIterable[int], by: float) -> AsyncIterator[float]:
    async for item in items:
        yield item + by


@sf.sink
async def summed(items: AsyncIterable[float], start: float = 0) -> float:
    async for item in items:
        start += item
    return start


async def sizes(items: sf.Reader[int]) -> AsyncIterator[int]:
    async for batch in items.batches():
        yield len(batch)


def use(*_: object) -> None:
    """Stand for whatever uses a value."""


numbers = range(3)


# --- pipeline() --------------------------------------------------------------------------------------------------


async def values() -> None:
    """The sink's value, with the type that came through all the stages."""
    assert_type(await sf.pipeline(numbers, sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers, sf.map(str), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.map(fetch), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.map(fetch, concurrency=4, ordered=False), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.flat_map(fetch_words), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.flat_map(stream_words), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.flat_map(split_words), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sf.tap(fetch), sf.filter(fetch), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers, cleaned, sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, sizes, sf.collect()), list[int])
    assert_type(await sf.pipeline(sf.stream(numbers).map(str), sf.collect()), list[str])
    assert_type(await sf.pipeline(sf.Channel[bytes](4), sf.collect()), list[bytes])


async def sinks() -> None:
    """Every sink's own value."""
    assert_type(await sf.pipeline(numbers, save), bytes)
    assert_type(await sf.pipeline(numbers, sf.first()), int)
    assert_type(await sf.pipeline(numbers, sf.first(default=None)), int | None)
    assert_type(await sf.pipeline(numbers, sf.count()), int)
    assert_type(await sf.pipeline(numbers, sf.drain()), None)
    assert_type(await sf.pipeline(numbers, sf.reduce(add, 0.0)), float)
    assert_type(await sf.pipeline(numbers, sf.for_each(fetch, concurrency=2)), int)


async def following() -> None:
    """Stages that know their items only from the stage before."""
    assert_type(await sf.pipeline(numbers, double, sf.batched(2, within=0.5), sf.collect()), list[tuple[int, ...]])
    assert_type(await sf.pipeline(numbers, sf.take(2), halves, sf.buffer(4), sf.take(1), sf.collect()), list[float])


async def lambdas() -> None:
    """Lambdas know their item from the stage before."""
    added: list[float] = await sf.pipeline(numbers, sf.map(lambda n: n + 1.5), sf.collect())
    assert_type(await sf.pipeline(numbers, sf.map(lambda n: fetch(n + 1), concurrency=2), sf.collect()), list[str])
    assert_type(await sf.pipeline(numbers, double, sf.filter(lambda n: n > 2), sf.collect()), list[int])
    words: list[str] = await sf.pipeline(
        numbers, sf.flat_map(lambda n: [str(n)]), sf.map(lambda w: w.upper()), sf.collect()
    )
    assert_type(await sf.pipeline(numbers, sf.reduce(lambda sum_, n: sum_ + n, 0.0)), float)
    assert_type(
        await sf.pipeline(numbers, sf.tap(lambda n: n.bit_length()), sf.for_each(lambda n: n.bit_length())), int
    )
    use(added, words)


async def long() -> None:
    """Eight stages are checked; more are accepted."""
    assert_type(
        await sf.pipeline(
            numbers, double, double, double, double, double, double, double, sf.map(str), sf.collect(), maxsize=4
        ),
        list[str],
    )
    assert_type(
        await sf.pipeline(
            numbers,
            double,
            double,
            double,
            double,
            double,
            double,
            double,
            double,
            sf.map(str),
            sf.collect(),
            name="long",
        ),
        Any,
    )


async def wrong_neighbours() -> None:
    """A stage that does not take what the one before it gives is reported where it stands."""
    await sf.pipeline(numbers, sf.map(str), double, sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(numbers, sf.map(fetch), save)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(["a"], sf.take(1), double, sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(["a"], sf.map(fetch), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(numbers, fetch, sf.collect())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(numbers, double)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(numbers, cleaned, shifted(1), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(3, sf.collect())  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(numbers, sf.take("3"), sf.collect())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- @source, @stage, @sink --------------------------------------------------------------------------------------


async def makers() -> None:
    """Arguments are checked where they are given."""
    assert_type(rows("orders"), sf.Source[dict[str, str]])
    assert_type(shifted(1.5), sf.Stage[int, float])
    assert_type(summed(start=2), sf.Sink[float, float])
    assert_type(await sf.pipeline(numbers, shifted(by=1), summed()), float)
    assert_type(await sf.pipeline(rows("orders"), sf.first()), dict[str, str])
    shifted("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    rows()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


# --- Stream and Pipeline -----------------------------------------------------------------------------------------


async def streams() -> None:
    """Methods keep the type of the items."""
    flow = sf.stream(numbers)
    assert_type(flow, sf.Stream[int])
    assert_type(flow.map(str).filter(str.isdigit).tap(print).take(2).buffer(3), sf.Stream[str])
    assert_type(flow.map(fetch, concurrency=3), sf.Stream[str])
    assert_type(flow.map(lambda n: n / 2), sf.Stream[float])
    assert_type(flow.flat_map(fetch_words), sf.Stream[str])
    assert_type(flow.flat_map(lambda n: [n, n]), sf.Stream[int])
    assert_type(flow.batched(2), sf.Stream[tuple[int, ...]])
    assert_type(flow.through(halves), sf.Stream[float])
    assert_type(flow.through(sf.take(1)), sf.Stream[int])
    assert_type(flow.through(cleaned), sf.Stream[str])
    flow.map(str).through(double)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    flow.map(str).map(fetch)  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]


async def iterating() -> None:
    """`open()` and `async for` give items."""
    opened: AbstractAsyncContextManager[AsyncIterator[str]] = sf.stream(numbers).map(str).open(maxsize=3)
    async with opened as items:
        async for item in items:
            assert_type(item, str)
    async for number in sf.stream(numbers):
        assert_type(number, int)


async def terminals() -> None:
    """Terminals give values."""
    flow = sf.stream(numbers)
    assert_type(await flow.collect(), list[int])
    assert_type(await flow.first(), int)
    assert_type(await flow.first(default=None), int | None)
    assert_type(await flow.count(), int)
    assert_type(await flow.reduce(add, 0.0), float)
    assert_type(await flow.for_each(fetch), int)
    assert_type(await flow.run(), None)


async def pipelines() -> None:
    """A `Pipeline` knows the value of its run."""
    flow = sf.stream(numbers)
    assert_type(flow.to(sf.collect()), sf.Pipeline[list[int]])
    assert_type(flow.map(str).to(sf.first(default=0)), sf.Pipeline[str | int])
    assert_type(await flow.to(save, name="job").run(), bytes)
    assert_type(sf.Pipeline(numbers, double, save), sf.Pipeline[bytes])
    job = flow.to(sf.count())
    assert_type(job.stats(), sf.RunStats)
    assert_type(job.report, sf.Report)
    assert_type(job.explain(), str)
    flow.map(str).to(save)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.Pipeline(numbers, double, 3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


# --- stages and sinks by hand ------------------------------------------------------------------------------------


async def by_hand(items: AsyncIterable[int]) -> None:
    """A stage is a function on any async iterable, a sink a coroutine function on one."""
    async for word in sf.map(fetch)(items):
        assert_type(word, str)
    assert_type(await sf.collect()(items), list[int])
    stages: list[sf.Stage[int, int]] = [sf.take(1), sf.buffer(2), sf.filter(bool)]
    use(stages)
