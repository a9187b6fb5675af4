"""Operators that give each item to whoever has room for it: balance over copies of a stage, balance_to over sinks.

What lives here: the operators, and how a branch fetches its items. What must not: what becomes of branches
(branches.py).

How it works. Nobody deals items out: each branch reserves room, then takes the next item from the common input, first
come, first served. So an item waits in the channel above until somebody has room for it, and an idle branch is never
passed over. The copies of a stage put what they emit into one channel, from which the stage below reads; with
`ordered=True` each waits for its turn there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from streamflow.channel import Channel
from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
from streamflow.errors import ChannelClosed, StageError, UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.fans.branches import Branch, Branches, Parts
from streamflow.machinery.fans.fan_shapes import FanSink, FanStage
from streamflow.machinery.variables import A, B
from streamflow.resolving import resolve_stage
from streamflow.stages import Sink, Stage

__all__ = ["balance", "balance_to"]

T = TypeVar("T")


def balance(
    stage: Callable[[AsyncIterable[A]], AsyncIterable[B]], workers: int, *, maxsize: int = 1, ordered: bool = False
) -> FanStage[A, B]:
    """Run several copies of a stage side by side, each item in one that has room; emit what comes as it comes.

    Example:
        async def worker(pages):
            async for page in pages:
                await asyncio.sleep(0.1)
                yield page.upper()

        await sf.stream(["a", "b", "c"]).balance(worker, 2, ordered=True).collect()  # gives ["A", "B", "C"]

    * emits when: one of the copies does; with `ordered=True` when it is its turn.
    * backpressures when: `maxsize` items wait for each of the copies.
    * completes when: the input ended and every copy has ended.
    * on error: of the input: every copy gets it, after its items before it. Of a copy: ends the stream after what was
      emitted before it; the other copies are cancelled and closed.
    * on early stop: the copies are cancelled and closed. A copy that ends early takes no more items and drops what
      waits for it; when all have, the stream ends.

    It is for a stage that has something for its whole life: a connection, a model. For a function that is called for
    each item `sf.map(fn, concurrency=workers)` does the same for less. `stage.stats()` tells what each copy was given.

    Args:
        stage: an async generator function or any stage; it is applied once for each copy.
        workers: how many copies, at least 1.
        maxsize: how many items may wait for each copy, and how many of its results.
        ordered: emit in the order of the input. The stage must then emit exactly one item for each that it takes.

    Raises `UsageError` for what is no stage and for bounds that cannot mean anything; `StageError` when with
    `ordered=True` a copy emits more or fewer items than it took. Cancellation: the copies are cancelled and closed.
    """
    check_capacity("balance(workers)", workers)
    check_capacity("balance(maxsize)", maxsize)
    copied = resolve_stage(stage)
    if copied.reopens:
        raise UsageError(f"balance: {copied.name!r} may need its source again, and each copy gets its items once.")

    async def balanced(items: AsyncIterable[A]) -> AsyncGenerator[B, None]:
        async with reading(items) as reader:
            out: Channel[B] = Channel(maxsize, name="balance")
            copies = _Copies([*_made(copied, workers, maxsize, reader, out, ordered=ordered)], reader, out)
            runs[:] = [copies]
            copies.start()
            try:
                async for result in out:
                    yield result
                await copies.end()
            except BaseException as error:
                await copies.end_after(error)
                raise
            copies.raise_errors()

    runs: list[Branches] = []
    return FanStage(
        balanced,
        name=f"balance({copied.name}, {workers}{', ordered=True' if ordered else ''})",
        one_to_one=copied.one_to_one,
        drops=copied.drops,
        groups=copied.groups,
        concurrency=workers * copied.concurrency,
        threads=workers * copied.threads,
        holds=workers * copied.holds,
        holds_items=workers * (2 * maxsize + copied.holds_items + 1) + maxsize,
        runs=runs,
    )


class _Copies(Branches):
    """The copies of a stage, whose results meet in one channel."""

    def __init__(self, branches: Sequence[Branch], reader: Reader[Any], out: Channel[Any]) -> None:
        """Let each copy end as soon as it has nothing more to fetch: none of them commits anything."""
        super().__init__("balance", branches, reader)
        self._out = out
        for branch in branches:
            branch.end()

    def leave(self) -> None:
        """One has failed, or all have ended: so do the results, after those that are there."""
        self._out.close()


def _made(
    stage: Stage[Any, Any], workers: int, maxsize: int, reader: Reader[Any], out: Channel[Any], *, ordered: bool
) -> list[Branch]:
    turns = _Turns(stage.name) if ordered else None
    return [
        Branch(
            f"copy {number} of {stage.name}",
            (stage,),
            Sink(partial(_put, out, turns, number), name="results"),
            maxsize=maxsize,
            pull=partial(_pull, reader, turns, number),
        )
        for number in range(1, workers + 1)
    ]


def balance_to(
    *branches: Callable[[AsyncIterable[A]], Awaitable[Any]] | Sequence[Any], maxsize: int = 1
) -> FanSink[A, tuple[Any, ...]]:
    """Give each item to one of several sinks that has room; the value is the tuple of their values.

    Example: `sum(await sf.pipeline(range(9), sf.balance_to(sf.count(), sf.count(), sf.count())))` gives
    `9`: each item is counted once.

    * emits when: never; its value is there when every branch has committed.
    * backpressures when: `maxsize` items wait for each branch.
    * completes when: the input ended and every branch has committed, or every branch has ended early.
    * on error: of the input: every branch gets it, after its items before it. Of a branch: the other branches are
      aborted and the source is closed; several independent errors come as a group.
    * on early stop: a branch that has enough (`first()`) leaves; what waits for it is dropped, and counted.

    What holds of commits is said at `broadcast`. `sink.stats()` tells what each branch was given.

    Args:
        branches: sinks, or lists `[*stages, sink]`.
        maxsize: how many items may wait for each branch.

    Raises `UsageError` for no branches, for what is no branch, and for bounds that cannot mean anything.
    Cancellation: every branch is cancelled and closed; one that had committed stays so.
    """
    check_capacity("balance_to(maxsize)", maxsize)
    parts = [Parts("balance_to", branch) for branch in branches]
    if not parts:
        raise UsageError("balance_to() needs at least one sink.")

    async def balanced(items: AsyncIterable[A]) -> tuple[Any, ...]:
        async with reading(items) as reader:
            pull = partial(_pull, reader, None, 0)
            made = [
                Branch(f"branch {at} of balance_to", part.stages, part.sink, maxsize=maxsize, pull=pull)
                for at, part in enumerate(parts, 1)
            ]
            runs[:] = [served := Branches("balance_to", made, reader)]
            await served.serve(served.all_fed)
            return tuple(branch.value for branch in made)

    runs: list[Branches] = []
    return FanSink(balanced, name=f"balance_to({', '.join(part.name for part in parts)})", runs=runs)


async def _pull(reader: Reader[Any], turns: _Turns | None, number: int, inlet: Channel[Any]) -> None:
    """Fetch items into `inlet` as long as there is room and anybody reads; pass an error of the input on."""
    try:
        while True:
            async with inlet.reserve() as slot:
                slot.put(await reader.get())
            if turns is not None:
                turns.give(number)
    except Exception as error:
        if error is reader.raised:
            inlet.fail(error)
        elif not isinstance(error, ChannelClosed):
            raise


async def _put(out: Channel[Any], turns: _Turns | None, number: int, items: AsyncIterable[Any]) -> None:
    """Put what a copy emits into the common channel, each when it is its turn."""
    async for item in items:
        if turns is not None:
            await turns.come(number)
        await out.put(item)
        if turns is not None:
            turns.passed()
    if turns is not None:
        turns.check_none_left(number)


class _Turns:
    """In which order the copies took items, for as long as the results are not out."""

    def __init__(self, stage: str) -> None:
        """Begin with none."""
        self._stage = stage
        self._order: deque[int] = deque()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._error: StageError | None = None

    def give(self, number: int) -> None:
        """Copy `number` has taken an item."""
        self._order.append(number)

    async def come(self, number: int) -> None:
        """Wait until it is the turn of copy `number`."""
        if number not in self._order:
            raise self._wrong("more")
        while self._order[0] != number:
            self._waiting[number] = asyncio.get_running_loop().create_future()
            await self._waiting[number]

    def passed(self) -> None:
        """The result whose turn it was is out."""
        self._order.popleft()
        waiting = self._waiting.pop(self._order[0], None) if self._order else None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def check_none_left(self, number: int) -> None:
        """Copy `number` has ended: raise `StageError` if it owes a result."""
        if number in self._order:
            raise self._wrong("fewer")

    def _wrong(self, how_many: str) -> StageError:
        """Return the error; the same for every copy, since the fault is one."""
        self._error = self._error or StageError(
            f"balance(ordered=True): a copy of {self._stage!r} emitted {how_many} items than it took. The order can be "
            f"kept only where each item gives exactly one; write ordered=False."
        )
        return self._error
