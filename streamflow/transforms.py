"""A synchronous stage item by item: the async form that is derived from its `Transform`.

What lives here: `run_transform`, and how it goes on when a callable that looked synchronous returns an awaitable. What
must not: the fused form, which runs at C speed (engine/chain.py).

So an operator is implemented once: as a `Transform` that the planner fuses, with this around it where there is no
planner (a stage called by hand) or no fusing (its neighbour had to become async).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, TypeVar, cast

from streamflow.errors import StageError
from streamflow.types import StageFunction, Transform

__all__ = ["NeedsAwait", "resumed", "run_transform"]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


class NeedsAwait(Exception):
    """A callable that looked synchronous returned an awaitable for its first item: run the stage in its async form.

    A signal to the engine, never seen by users.
    """

    def __init__(self, transform: object, item: object, awaitable: Awaitable[Any], rest: Iterator[Any]) -> None:
        """Carry what `resumed` needs to go on: the item, what its call returned, and the input after it."""
        super().__init__()
        self.transform = transform
        self.item = item
        self.awaitable = awaitable
        self.rest = rest


async def run_transform(
    make: Callable[[], Transform[A, B]],
    refit: Callable[[Callable[..., Any]], StageFunction[A, B]] | None,
    items: AsyncIterable[A],
) -> AsyncGenerator[B, None]:
    """Run a transform item by item: the async form of a synchronous stage."""
    transform = make()
    if not _has_enough(transform):
        iterator = aiter(items)
        needed: NeedsAwait | None = None
        try:
            async for item in iterator:
                for out in _applied(transform, item):
                    yield out
                if _has_enough(transform):
                    break
        except NeedsAwait as signal:
            if signal.transform is not transform or refit is None:
                raise
            needed = signal  # and go on outside, or it would show as the context of every later error
        if needed is not None and refit is not None:
            async with aclosing(resumed(refit, needed, iterator)) as outs:
                async for out in outs:
                    yield out
            return
    for out in transform.finish():
        yield out


def _has_enough(transform: Transform[A, B]) -> bool:
    return transform.done


def _applied(transform: Transform[A, B], item: A) -> Iterator[B]:
    """Give the transform one item and emit what it makes of it."""
    feed = _once(item)
    yield from transform.apply(feed)
    if feed.gi_frame is not None and not transform.done:
        # A StopIteration out of a user's function looks to `map` like the end of its input (H36).
        raise StageError(
            "a function raised StopIteration, which would have dropped an item silently; "
            "write next(iterator, default) in it, or catch StopIteration"
        )


def _once(item: T) -> Any:
    yield item


async def resumed(
    refit: Callable[[Callable[..., Any]], StageFunction[Any, Any]], signal: NeedsAwait, items: AsyncIterable[Any]
) -> AsyncGenerator[Any, None]:
    """Go on in the async form from the item whose call returned an awaitable; that call is not made twice."""
    transform = cast("Any", signal.transform)
    first: list[Awaitable[Any]] = [signal.awaitable]

    def call(item: Any) -> Any:
        return first.pop() if first else transform.fn(item)

    feed = _fed_again(signal, items)
    outs = refit(call)(feed)
    try:
        async for out in outs:
            yield out
    finally:
        for generator in (outs, feed):
            if isinstance(generator, AsyncGenerator):
                await generator.aclose()


async def _fed_again(signal: NeedsAwait, items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
    """Give the input from the item on that the signal carries."""
    yield signal.item
    for item in signal.rest:
        yield item
    async for item in items:
        yield item
