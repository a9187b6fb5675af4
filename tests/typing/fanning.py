"""What type checkers see of the operators that fan out.

Never run: mypy and pyright check it.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, assert_type

import streamflow as sf

numbers: list[int] = [1, 2, 3]


async def save(items: AsyncIterable[int]) -> bytes:
    async for _ in items:
        pass
    return b""


async def words(items: AsyncIterable[int]) -> AsyncIterator[str]:
    async for item in items:
        yield str(item)


def is_odd(number: int) -> bool:
    return bool(number % 2)


async def is_odd_later(number: int) -> bool:
    return bool(number % 2)


async def broadcasts() -> None:
    assert_type(await sf.pipeline(numbers, sf.broadcast(sf.count(), save)), tuple[int, bytes])
    assert_type(await sf.pipeline(numbers, sf.broadcast(sf.count(), save, sf.drain())), tuple[int, bytes, None])
    assert_type(await sf.pipeline(numbers, sf.broadcast(sf.collect(), save)), tuple[list[int], bytes])
    assert_type(await sf.pipeline(numbers, sf.broadcast(save, [words, sf.count()])), tuple[Any, ...])
    assert_type(await sf.pipeline(numbers, sf.broadcast([words, sf.count()], save)), tuple[Any, ...])
    assert_type(await sf.pipeline(numbers, sf.broadcast(save, save, overflow=["block", "fail"])), tuple[bytes, bytes])
    sf.broadcast(save, sf.count()).stats()[0].dropped.bit_length()


async def taps() -> None:
    assert_type(await sf.pipeline(numbers, sf.tap_to(save), sf.collect()), list[int])
    assert_type(sf.stream(numbers).tap_to(save, overflow="block"), sf.Stream[int])
    assert_type(sf.stream(numbers).tap_to([words, sf.count()], errors=print), sf.Stream[int])


async def tees() -> None:
    left, right = sf.tee(numbers)
    assert_type(await sf.pipeline(left, words, sf.collect()), list[str])
    assert_type(sf.stream(right), sf.Stream[int])
    assert_type(sf.tee(numbers), tuple[sf.Source[int], sf.Source[int]])
    assert_type(sf.tee(numbers, 4), tuple[sf.Source[int], ...])
    assert_type(sf.stream(numbers).tee(), tuple[sf.Stream[int], sf.Stream[int]])
    assert_type(sf.stream(numbers).tee(3), tuple[sf.Stream[int], sf.Stream[int], sf.Stream[int]])
    assert_type(sf.stream(numbers).tee(4), tuple[sf.Stream[int], ...])


async def parts() -> None:
    odd, even = sf.partition(numbers, is_odd)
    assert_type(sf.partition(numbers, is_odd_later), tuple[sf.Source[int], sf.Source[int]])
    assert_type(sf.partition(numbers, lambda number: number > 2), tuple[sf.Source[int], sf.Source[int]])
    assert_type(await sf.pipeline(odd, sf.collect()), list[int])
    assert_type(await sf.pipeline(even, words, sf.collect()), list[str])
    assert_type(sf.stream(numbers).partition(is_odd_later), tuple[sf.Stream[int], sf.Stream[int]])


async def routes() -> None:
    assert_type(await sf.pipeline(numbers, sf.route(is_odd, {True: save, False: sf.count()})), dict[bool | None, Any])
    assert_type(
        await sf.pipeline(numbers, sf.route(is_odd_later, {True: [words, sf.count()]}, default=save)),
        dict[bool | None, Any],
    )


async def balances() -> None:
    assert_type(await sf.pipeline(numbers, sf.balance(words, 3), sf.collect()), list[str])
    assert_type(sf.stream(numbers).balance(words, 3, ordered=True), sf.Stream[str])
    assert_type(await sf.pipeline(numbers, sf.balance_to(save, sf.count())), tuple[Any, ...])


async def hubs() -> None:
    async with sf.Hub[int](maxsize=3, overflow="drop_oldest") as hub:
        async with hub.publisher() as out:
            await out.put(1)
        assert_type(sf.stream(hub.subscribe()), sf.Stream[int])
        assert_type(await sf.pipeline(numbers, hub.sink()), int)
        assert_type(hub.stats().waiting, int)
        async for item in hub.subscribe():
            assert_type(item, int)


async def wrong() -> None:
    sf.broadcast(3)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    sf.partition(numbers, "odd")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sf.tee(numbers, overflow="drop")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    async with sf.Hub[int]() as hub:
        await hub.put("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
