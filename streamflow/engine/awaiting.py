"""The rest of a fused chain as async generators, from a stage whose callable turned out to return awaitables.

What lives here: `going_on`, which lays the generators out. What must not: running or closing them (segments.py).

The stages before go on in the cut chain, at C speed; the one that needs `await` and those after it are generators, one
inside the other. Between two of them stands a marker that counts what passes where the chain would have had a tally,
and notes from which stage an error came: it is the first to see it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from streamflow.engine.chain import Chain
from streamflow.stages import NeedsAwait, resumed

__all__ = ["going_on"]

NextHand = Callable[[], Awaitable[Iterator[Any] | None]]


def going_on(chain: Chain, signal: NeedsAwait, next_hand: NextHand) -> list[AsyncIterator[Any]]:
    """Return the generators, outermost last; each is to be closed, the last one first.

    Args:
        chain: what has run so far; it is cut before the stage that sent the signal.
        signal: the item it stopped at, and the input after it.
        next_hand: gives further stretches of input, `None` at the end.
    """
    at = next(index for index, transform in enumerate(chain.transforms) if transform is signal.transform)
    rest, signal.rest = signal.rest, iter(())
    chain.cut(at)
    flow: AsyncIterator[Any] = _before(chain, rest, next_hand)
    generators = [flow]
    for index, stage in enumerate(chain.stages[at:], at):
        if index == at:
            assert stage.refit is not None
            flow = resumed(stage.refit, signal, flow)
        else:
            flow = stage.function(flow)
        generators.append(flow)
        flow = _marked(flow, chain, index)
        generators.append(flow)
    return generators


async def _before(chain: Chain, rest: Iterator[Any], next_hand: NextHand) -> AsyncGenerator[Any, None]:
    """What the stages before still give, after the rest of the stretch that the signal came from."""
    stretch: Iterator[Any] | None = rest
    try:
        while stretch is not None:
            for item in stretch:
                yield item
            chain.check_ended()
            more = None if chain.done_at() is not None else await next_hand()
            stretch = chain.over(more) if more is not None else None
        for tail in chain.tails():
            for item in tail:
                yield item
            chain.check_ended()
    except BaseException as error:
        chain.blame.mark(error, None)
        raise


async def _marked(flow: AsyncIterator[Any], chain: Chain, at: int) -> AsyncGenerator[Any, None]:
    """Pass on what stage `at` emits."""
    tally = chain.tally(at + 1)
    try:
        async for item in flow:
            if tally is not None:
                tally.note()
            yield item
    except BaseException as error:
        chain.blame.mark(error, at)
        raise
