"""What an operator over a callable makes of the results: one `Form` for each operator.

What lives here: `Form`, and those of `map`, `filter`, `flat_map` and `tap`, which have no state. What must not: calling
the callable the first time, finding out whether it is asynchronous, stages (all per_item.py).

A form is written once, for results that are there: `over(fn, items)` calls `fn` and gives what comes of it, lazily and
at C speed where the standard library has the means. For results that must be awaited per_item.py gives it one item at
a time, with a `fn` that returns what has been awaited; the four here have a faster `awaiting` of their own.
"""

from __future__ import annotations

import builtins
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from inspect import isawaitable
from types import CoroutineType
from typing import Any, Generic, TypeVar

from streamflow.errors import UsageError
from streamflow.types import StageFunction

__all__ = ["FILTER", "FLAT_MAP", "MAP", "TAP", "Form", "Spread"]

R = TypeVar("R")


class Form:
    """One operator over a callable in one run; the state of the run, if there is one, is in its attributes."""

    done = False
    """Whether it has enough: then the input is closed."""

    passing = False
    """Whether it passes what still comes as it is, without calling `fn`."""

    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        """Return what it emits over a stretch of input. Called again for each further stretch."""
        raise NotImplementedError

    def given(self, item: Any) -> Any:
        """Return what the callable is called with for this item."""
        return item

    def asks(self, result: Any) -> bool:
        """Whether such a result needs the async form."""
        return isawaitable(result)

    def ending(self) -> Any:
        """Return what it still emits at the clean end: an iterable, or what has to be awaited for one."""
        return ()


class Spread(Generic[R]):
    """A callable of several arguments as one of a tuple, which is what the engine calls and wraps."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[..., R]) -> None:
        """Keep the callable."""
        self.fn = fn

    def __call__(self, arguments: Any) -> R:
        """Call it."""
        return self.fn(*arguments)

    @staticmethod
    def plain(fn: Callable[..., R]) -> Callable[..., R]:
        """Return the callable of several arguments again, also where another one of a tuple has taken its place."""
        return fn.fn if isinstance(fn, Spread) else lambda *arguments: fn(arguments)


class _Map(Form):
    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        return builtins.map(fn, items)

    @staticmethod
    def awaiting(fn: Callable[[Any], Any]) -> StageFunction[Any, Any]:
        async def mapped(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
            async for item in items:
                result = fn(item)
                yield await result if isawaitable(result) else result

        return mapped


class _Filter(Form):
    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        return builtins.filter(fn, items)

    @staticmethod
    def awaiting(fn: Callable[[Any], Any]) -> StageFunction[Any, Any]:
        async def filtered(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
            async for item in items:
                kept = fn(item)
                if isawaitable(kept):
                    kept = await kept
                if kept:
                    yield item

        return filtered


class _FlatMap(Form):
    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        return itertools.chain.from_iterable(builtins.map(fn, items))

    def asks(self, result: Any) -> bool:
        return isawaitable(result) or isinstance(result, AsyncIterable)

    @staticmethod
    def awaiting(fn: Callable[[Any], Any]) -> StageFunction[Any, Any]:
        async def flattened(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
            async for item in items:
                inner = fn(item)
                if isawaitable(inner):
                    inner = await inner
                if not isinstance(inner, AsyncIterable):
                    for out in inner:
                        yield out
                    continue
                iterator = aiter(inner)
                try:
                    async for out in iterator:
                        yield out
                finally:
                    close = getattr(iterator, "aclose", None)
                    if close is not None:
                        await close()

        return flattened


class _Tap(Form):
    def over(self, fn: Any, items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            # Nobody below sees the result, so nobody else would notice a coroutine that is never awaited.
            if (result := fn(item)).__class__ is CoroutineType:
                result.close()
                raise UsageError(
                    "tap: the function returned a value for its first item and a coroutine for a later one, which "
                    "nobody would await. Make it a coroutine function, or let it return an awaitable each time."
                )
            yield item

    @staticmethod
    def awaiting(fn: Callable[[Any], Any]) -> StageFunction[Any, Any]:
        async def tapped(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
            async for item in items:
                result = fn(item)
                if isawaitable(result):
                    await result
                yield item

        return tapped


MAP, FILTER, FLAT_MAP, TAP = _Map(), _Filter(), _FlatMap(), _Tap()
