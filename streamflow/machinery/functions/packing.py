"""Stages that pack items into groups, by what a callable says of each item.

What lives here: `packed`, which makes such a stage of a `Pack`, in the form its callable asks for: synchronous and
fused, or awaiting. What must not: when a group is full or over (batches.py, grouping.py).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from inspect import isawaitable
from typing import Any, Protocol, TypeVar

from streamflow.callables import is_coroutine_function
from streamflow.stages import Stage
from streamflow.transforms import NeedsAwait
from streamflow.types import StageFunction

__all__ = ["MOST", "Pack", "packed"]

INTERNAL = ("packed",)

S = TypeVar("S", bound=Stage[Any, Any])

MOST = 100_000
"""Items in one group, where nobody says otherwise: there is no unbounded mode (promise P1)."""


class Pack(Protocol):
    """A group that fills, in one run."""

    def add(self, item: Any, verdict: Any, /) -> Iterable[Any]:
        """Take an item and what the callable said of it; return the groups that are complete now."""

    def finish(self) -> Iterable[Any]:
        """The input ended cleanly: return the last group, unless it is empty."""


def packed(
    name: str, make: Callable[[], Pack], fn: Callable[[Any], Any], *, kind: type[S], most: int, asked: bool = True
) -> S:
    """Build the stage: `make` gives a fresh pack for each run, `fn` is called for each item, sync or async.

    Args:
        name: shown in plans.
        make: makes the pack.
        fn: called with each item, in order, one call at a time.
        kind: the subclass of `Stage` to make, which tells the type of the groups.
        most: how many items a group may hold.
        asked: whether `fn` is the user's.
    """
    refit = _awaiting(make)
    callable_ = fn if asked else None
    if is_coroutine_function(fn):
        return kind(refit(fn), name=name, callable=callable_, holds_items=most, groups=most)
    return kind(
        name=name,
        transform=lambda: _Packed(make(), fn),
        refit=refit,
        callable=callable_,
        holds_items=most,
        groups=most,
    )


class _Packed:
    """The transform; the first result tells whether the callable is synchronous after all."""

    done = False

    def __init__(self, pack: Pack, fn: Callable[[Any], Any]) -> None:
        self.fn = fn
        self._pack = pack
        self._probed = False

    def apply(self, items: Iterator[Any], /) -> Iterator[Any]:
        fn, add = self.fn, self._pack.add
        for item in items:
            verdict = fn(item)
            if not self._probed and isawaitable(verdict):
                raise NeedsAwait(self, item, verdict, items)
            self._probed = True
            yield from add(item, verdict)

    def finish(self) -> Iterator[Any]:
        yield from self._pack.finish()


def _awaiting(make: Callable[[], Pack]) -> Callable[[Callable[[Any], Any]], StageFunction[Any, Any]]:
    def refit(fn: Callable[[Any], Any]) -> StageFunction[Any, Any]:
        async def packed_later(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
            pack = make()
            async for item in items:
                verdict = fn(item)
                if isawaitable(verdict):
                    verdict = await verdict
                for out in pack.add(item, verdict):
                    yield out
            for out in pack.finish():
                yield out

        return packed_later

    return refit
