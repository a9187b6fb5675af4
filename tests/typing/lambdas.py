"""What type checkers see of lambdas, and of functions that take more than the items are. Never run; see face.py.

pyright knows the items of a lambda everywhere. mypy does not inside `pipeline()`: what a lambda returns of its item is
`Any` there, so the expectation is an annotation. What is not made by the lambda is exact in both.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import assert_type

import streamflow as sf

numbers = range(3)
words = ["a"]
flow = sf.stream(words)


async def double(items: AsyncIterable[int]) -> AsyncIterator[int]:
    async for item in items:
        yield item * 2


async def is_even(number: int) -> bool:
    return number % 2 == 0


def children(number: int) -> Iterable[int]:
    return range(number)


def use(*_: object) -> None:
    """Stand for whatever uses a value."""


async def wider_functions() -> None:
    """`print` takes anything and `len` whatever has a size; the items stay what they are."""
    assert_type(await sf.pipeline(numbers, sf.tap(print), double, sf.collect()), list[int])
    assert_type(await sf.pipeline(words, sf.filter(len), sf.map(str.upper), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.take_while(len), sf.skip_while(print), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.distinct(9, key=len), sf.dedupe(key=len), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.throttle(3, cost=len), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.batched(max_weight=9, weight=len), sf.collect()), list[tuple[str, ...]])
    assert_type(await sf.pipeline(words, sf.split_when(len), sf.collect()), list[tuple[str, ...]])
    assert_type(await sf.pipeline(words, sf.group_adjacent(len), sf.collect()), list[tuple[int, tuple[str, ...]]])
    assert_type(await sf.pipeline(words, sf.tap_to(sf.for_each(print)), sf.collect()), list[str])


async def one_stage_twice() -> None:
    """What follows from the input does so each time."""
    assert_type(await sf.pipeline(numbers, sf.take(3), sf.map(str), sf.take(2), sf.collect()), list[str])
    assert_type(
        await sf.pipeline(numbers, sf.batched(9), sf.batched(9), sf.unbatch(), sf.unbatch(), sf.collect()), list[int]
    )
    assert_type(await sf.pipeline(numbers, sf.zip(words), sf.map(str), sf.zip([b""]), sf.first()), tuple[str, bytes])
    assert_type(await sf.pipeline(numbers, sf.merge(words), sf.map(str), sf.merge([b""]), sf.first()), str | bytes)
    assert_type(
        await sf.pipeline(numbers, sf.enumerate(), sf.timed(), sf.pairwise(), sf.map(str), sf.enumerate(), sf.first()),
        tuple[int, str],
    )


async def exact_in_both() -> None:
    assert_type(await sf.pipeline(words, sf.filter(lambda word: word.isupper()), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.tap(lambda word: print(word.upper())), sf.collect()), list[str])  # noqa: T201
    assert_type(await sf.pipeline(words, sf.take_while(lambda word: word.isupper()), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.skip_while(lambda word: word.isupper()), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.dedupe(key=lambda word: word.lower()), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.distinct(9, key=lambda word: word.lower()), sf.collect()), list[str])
    assert_type(await sf.pipeline(words, sf.switch_map(lambda word: [len(word)]), sf.collect()), list[int])
    assert_type(await sf.pipeline(words, sf.to_dict(len, lambda word: len(word))), dict[int, int])  # noqa: PLW0108
    assert_type(await sf.pipeline(words, sf.min(key=len)), str)
    assert_type(await sf.pipeline(numbers, sf.expand(children), sf.collect()), list[int])
    assert_type(await sf.pipeline(numbers, sf.feedback(double, children), sf.collect()), list[int])


async def any_in_mypy() -> None:
    upper: list[str] = await sf.pipeline(words, sf.map(lambda word: word.upper()), sf.collect())
    groups: list[tuple[str, tuple[str, ...]]] = await sf.pipeline(
        words, sf.group_adjacent(lambda word: word[0]), sf.collect()
    )
    ends: list[tuple[str, ...]] = await sf.pipeline(words, sf.split_after(lambda w: w.isupper()), sf.collect())
    sums: list[int] = await sf.pipeline(numbers, sf.conflate(lambda old, new: old + new), sf.collect())
    walk: list[int] = await sf.pipeline(numbers, sf.expand(lambda number: [number - 1]), sf.collect())
    stars: list[str] = await sf.pipeline([(2, "a")], sf.starmap(lambda n, word: word * n), sf.collect())
    use(upper, groups, ends, sums, walk, stars)


async def methods() -> None:
    assert_type(flow.expand(lambda word: [word[1:]] if word else None), sf.Stream[str])
    assert_type(flow.expand(str.split, concurrency=2), sf.Stream[str])
    assert_type(flow.feedback(sf.map(str.upper), lambda word: [word] if word else None), sf.Stream[str])
    assert_type(flow.map(lambda word: word.upper()).filter(lambda word: word.isupper()), sf.Stream[str])
    assert_type(flow.scan(lambda total, word: total + len(word), 0), sf.Stream[int])
    assert_type(await flow.reduce(lambda total, word: total + len(word), 0), int)
    assert_type(await flow.to_dict(lambda word: word[0]), dict[str, str])


async def wrong() -> None:
    """A function that does not take the items is reported, whatever it is given to."""
    await sf.pipeline(words, sf.filter(is_even), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(words, sf.tap(is_even), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(words, sf.take_while(is_even), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(words, sf.distinct(9, key=is_even), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(words, sf.split_when(is_even), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(words, sf.group_adjacent(is_even), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(words, sf.batched(9), double, sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(numbers, sf.flatten(), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(numbers, sf.unbatch(), sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    await sf.pipeline(numbers, sf.append("a"), double, sf.collect())  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    flow.expand(children)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    flow.feedback(double, children)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue]
