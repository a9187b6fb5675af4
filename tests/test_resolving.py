"""What may stand for a source, a stage and a sink, and what is refused with advice."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any

import pytest

from streamflow.channel import Channel
from streamflow.errors import UsageError
from streamflow.makers import sink, source, stage
from streamflow.resolving import resolve_sink, resolve_source, resolve_stage
from streamflow.stages import Sink, Source, Stage


async def collected(items: AsyncIterable[Any]) -> list[Any]:
    return [item async for item in items]


async def feed(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


# Plain functions a user may have.


def letters() -> Iterator[str]:
    yield from "abc"


async def async_letters() -> AsyncIterator[str]:
    for letter in "abc":
        yield letter


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


def one_by_one(item: Any) -> Any:
    return item


def lazily(items: Iterable[Any]) -> Iterator[Any]:
    yield from items


class Doubler:
    """A callable object with the body of a stage."""

    async def __call__(self, items: AsyncIterable[Any]) -> AsyncIterator[Any]:
        async for item in items:
            yield item * 2

    async def method(self, items: AsyncIterable[Any]) -> AsyncIterator[Any]:
        async for item in items:
            yield item * 2


class Adder:
    """A callable object with the body of a sink."""

    async def __call__(self, items: AsyncIterable[int]) -> int:
        return await total(items)


# --- sources ---------------------------------------------------------------------------------------------------------


class Lines:
    """An iterable that is no collection."""

    def __iter__(self) -> Iterator[str]:
        return iter("abc")


@pytest.mark.parametrize(
    "make",
    [
        lambda: ["a", "b", "c"],
        lambda: ("a", "b", "c"),
        lambda: iter("abc"),
        Lines,
        lambda: letters,
        letters,
        lambda: async_letters,
        async_letters,
        lambda: functools.partial(letters),
        lambda: Source(letters),
        source(letters),
    ],
)
async def test_anything_with_items_is_a_source(make):
    assert await collected(resolve_source(make())) == ["a", "b", "c"]


async def test_a_channel_is_a_source():
    channel: Channel[str] = Channel(4)
    await channel.put_many("abc")
    channel.close()
    assert await collected(resolve_source(channel)) == ["a", "b", "c"]


async def test_a_source_made_of_a_function_or_a_list_can_be_used_again():
    for thing in (letters, async_letters, ["a", "b", "c"]):
        made = resolve_source(thing)
        assert await collected(made) == await collected(made) == ["a", "b", "c"]


@pytest.mark.parametrize("make", [letters, async_letters])
async def test_a_generator_that_was_used_up_is_refused(make):
    """P2: it would silently give no items; so is a second run over a generator that was given."""
    generator = make()
    made = resolve_source(generator)
    assert await collected(made) == ["a", "b", "c"]
    for used in (made, resolve_source(generator)):
        with pytest.raises(
            UsageError, match=rf"'{make.__name__}' is a generator that has already been used up"
        ) as caught:
            await collected(used)
        assert "Pass the generator function itself, or a list" in str(caught.value)


async def test_a_generator_that_is_being_read_is_refused():
    """P10: Python's own words for it come late, from the closing: "asynchronous generator is already running"."""

    async def waiting():
        yield await asyncio.get_running_loop().create_future()

    generator = waiting()
    reading = asyncio.ensure_future(anext(generator))
    await asyncio.sleep(0)
    with pytest.raises(UsageError, match=r"'waiting' is a generator that somebody else is reading just now.*sf\.tee"):
        resolve_source(generator).open()
    reading.cancel()
    await asyncio.wait([reading])


def test_a_plain_generator_that_reads_itself_is_refused():
    """P10."""

    def itself():
        yield list(resolve_source(generator).open())

    generator = itself()
    with pytest.raises(UsageError, match="somebody else is reading just now"):
        next(generator)


def test_looking_at_a_source_takes_nothing_from_it():
    """E9: what was given is left untouched until the run."""
    generator = letters()
    resolve_source(generator)
    assert list(generator) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("thing", "says", "advice"),
    [
        (
            "orders.csv",
            "The source is a str",
            r"\['orders.csv'\] for one item, or objects.read\(url\) / files.read\(path\)",
        ),
        (b"raw", "The source is a bytes", "one character at a time"),
        (bytearray(b"raw"), "The source is a bytearray", "one character at a time"),
        (7, "must be an iterable or an async iterable, not int", r"sf.pipeline\(source, \*stages, sink\)"),
        (None, "not NoneType", r"sf.pipeline\(source, \*stages, sink\)"),
        (Stage(double), "not Stage", "It is a stage; the source comes first"),
        (total, "not function", "the source comes first"),
        (times, "still needs arguments", r"Call it: sf.pipeline\(times\(\.\.\.\), \.\.\.\)"),
        (lazily, "still needs arguments", "If it is a stage, the source is missing before it"),
    ],
    ids=lambda value: f"{value!r:.20}",
)
def test_what_cannot_be_a_source_is_refused_with_advice(thing, says, advice):
    """E9, P10"""
    with pytest.raises(UsageError, match=says) as caught:
        resolve_source(thing)
    with pytest.raises(UsageError, match=advice):
        raise caught.value


def test_a_long_text_is_not_shown_whole():
    with pytest.raises(UsageError) as caught:
        resolve_source("secret" * 10_000)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("make", "name", "synchronous"),
    [
        (lambda: [1], "list", True),
        (letters, "letters", True),
        (async_letters, "async_letters", False),
        (lambda: letters, "letters", True),
        (lambda: async_letters, "async_letters", False),
        (source(letters), "letters", True),
        (source(async_letters), "async_letters", False),
        (lambda: functools.partial(letters), "letters", True),
        (lambda: Channel(1), "Channel", False),
    ],
)
def test_a_source_knows_its_name_and_whether_it_may_be_fused(make, name, synchronous):
    made = resolve_source(make())
    assert (made.name, made.synchronous) == (name, synchronous)


# --- stages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "thing",
    [
        double,
        Stage(double),
        stage(double),
        stage(double)(),
        functools.partial(times, factor=2),
        stage(times)(2),
        Doubler(),
        Doubler().method,
    ],
)
async def test_an_async_generator_function_over_items_is_a_stage(thing):
    made = resolve_stage(thing)
    assert await collected(made(feed(1, 2, 3))) == [2, 4, 6]


def test_a_stage_stays_itself():
    made = Stage(double)
    assert resolve_stage(made) is made


@pytest.mark.parametrize(
    ("make", "says", "advice"),
    [
        (lambda: total, "'total' is a coroutine function", r"sf.map\(total\).*put it last, as the sink"),
        (lambda: functools.partial(total_from, begin=1), "'total_from' is a coroutine function", "Write `yield` in it"),
        (Adder, "is a coroutine function", "so it emits no items"),
        (lambda: stage(times), "'times' needs arguments", r"Write times\(\.\.\.\)"),
        (lambda: double(feed()), "async_generator", "give the function itself, without calling it"),
        (letters, "generator", "give the function itself, without calling it"),
        (lambda: Sink(total), "is not a stage", "It is a sink: a pipeline has one, and it comes last"),
        (lambda: lazily, "'lazily' is not a stage", "write `async def` and `async for`"),
        (lambda: one_by_one, "'one_by_one' is not a stage", r"To call it for each item write sf.map\(one_by_one\)"),
        (lambda: str.upper, "is not a stage", "sf.map"),
        (lambda: 7, "int 7 is not a stage", "A stage is an async generator function"),
        (lambda: None, "NoneType None is not a stage", "async def stage"),
        (lambda: [double], "list .* is not a stage", "async def stage"),
    ],
)
def test_what_cannot_be_a_stage_is_refused_with_advice(make, says, advice):
    """E9, P10"""
    thing = make()
    with pytest.raises(UsageError, match=says) as caught:
        resolve_stage(thing)
    with pytest.raises(UsageError, match=advice):
        raise caught.value


def test_a_large_value_in_the_place_of_a_stage_is_not_shown_whole():
    with pytest.raises(UsageError) as caught:
        resolve_stage(list(range(10_000)))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        (double, "double"),
        (functools.partial(functools.partial(times, factor=1), offset=2), "times"),
        (Doubler(), "Doubler"),
        (Doubler().method, "Doubler.method"),
    ],
)
def test_a_stage_has_the_name_of_what_it_was_made_of(thing, name):
    assert resolve_stage(thing).name == name


# --- sinks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "thing",
    [
        total,
        Sink(total),
        sink(total),
        sink(total)(),
        functools.partial(total_from, begin=0),
        sink(total_from)(0),
        Adder(),
    ],
)
async def test_a_coroutine_function_over_items_is_a_sink(thing):
    made = resolve_sink(thing)
    assert await made(feed(1, 2, 3)) == 6


@pytest.mark.parametrize(
    ("make", "says", "advice"),
    [
        (lambda: double, "'double', is a stage: its items would go nowhere", r"such as sf.collect\(\)"),
        (lambda: Stage(double, name="twice"), "'twice', is a stage", "End the pipeline with a sink"),
        (lambda: stage(double), "'double', is a stage", "End the pipeline with a sink"),
        (lambda: stage(times)(2), "'times', is a stage", "End the pipeline with a sink"),
        (lambda: sink(total_from), "'total_from' needs arguments", r"Write total_from\(\.\.\.\)"),
        (lambda: one_by_one, "'one_by_one' is not a sink", "A sink is a coroutine function over an async iterable"),
        (lambda: print, "'print' is not a sink", "async def sink"),
        (list, r"list \[\] is not a sink", "async def sink"),
        (lambda: None, "NoneType None is not a sink", "async def sink"),
    ],
)
def test_what_cannot_be_a_sink_is_refused_with_advice(make, says, advice):
    """E9, P10"""
    thing = make()
    with pytest.raises(UsageError, match=says) as caught:
        resolve_sink(thing)
    with pytest.raises(UsageError, match=advice):
        raise caught.value


async def test_what_a_decorator_made_may_stand_without_its_call_where_it_needs_no_arguments():
    @source
    def letters():
        yield from "abc"

    @source
    def some(n):
        yield n

    @sink
    async def total(items):
        return [item async for item in items]

    assert [item async for item in resolve_source(letters)] == ["a", "b", "c"]
    with pytest.raises(UsageError, match=r"'some' needs arguments .* Write some\(\.\.\.\)"):
        resolve_source(some)
    with pytest.raises(UsageError, match=r"'total' is not a stage. It is a sink: .* it comes last"):
        resolve_stage(total)
    with pytest.raises(UsageError, match=r"'letters' is not a stage. It is a source: .* it comes first"):
        resolve_stage(letters)
