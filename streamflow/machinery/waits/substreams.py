"""Groups that run side by side: the work behind `group_by`.

What lives here: `Substreams`. What must not: the operator and its words (grouping.py).

Each open key has a channel and a run of its own stages over it. One task deals the input out; one for each key carries
its results into the one channel that the stage's generator reads. Nobody waits for a key but for room in its channel,
and a key waits only for its own stages and for the consumer, so the groups cannot stop each other for ever (H48).

A key that is closed is forgotten when its run has ended: until then it counts as open, and an item of the same key
waits, so the order within a key is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable, Iterator
from inspect import isawaitable
from typing import Any, NamedTuple, cast

from streamflow.channel import Channel
from streamflow.engine.feeding import Feeder
from streamflow.engine.nested import Beside, Numbers, here
from streamflow.engine.reader import Reader
from streamflow.errors import ChannelClosed, LimitExceeded, ReaderGone
from streamflow.machinery.tasks.owned import Owned
from streamflow.stages import Source, Stage
from streamflow.types import SourceLike

__all__ = ["Limits", "Substreams"]

_LABEL = "groups of group_by"
_UNWANTED = Numbers(items_in=1, put=1, discarded=1)


class _Group:
    """One key: what its run reads, and whether that is over."""

    def __init__(self, key: Hashable, stages: tuple[Stage[Any, Any], ...], maxsize: int) -> None:
        self.key = key
        self.used = 0.0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ledger = here.get()
        self.channel: Channel[Any] = Channel(maxsize, name=f"group {key!r:.40}")
        self.reader = Reader(self.channel)
        self.__streamflow_parts__ = self._parts(stages)

    def _parts(self, stages: tuple[Stage[Any, Any], ...]) -> tuple[Source[Any], tuple[Stage[Any, Any], ...]]:
        """What runs: the first stage over the channel itself, where it has no say about the channels beside it."""
        first = stages[0] if stages else None
        if first is None or first.capacity is not None or first.output_capacity is not None:
            return Source(lambda: self.reader, name=self.channel.name), stages
        name = f"{first.name} of {self.channel.name}"
        return Source(lambda: first.function(self.reader), name=name, where=first.where), stages[1:]

    async def put(self, item: Any) -> None:
        try:
            await self.channel.put(item)
        except ReaderGone:  # its stages have enough: what comes is discarded until it is forgotten
            if self._ledger is not None:
                self._ledger.add(_LABEL, _UNWANTED)


class Limits(NamedTuple):
    """What `group_by` was given beside its callables."""

    max_open: int
    maxsize: int
    idle: float | None
    fails: bool


class Substreams:
    """The groups of one stage in one run.

    Args:
        key: the user's function from an item to its key.
        stages: makes the stages of a key.
        limits: how many keys may be open, and what happens then.
    """

    def __init__(
        self, key: Callable[[Any], Any], stages: Callable[[Any], tuple[Stage[Any, Any], ...]], limits: Limits
    ) -> None:
        """Open nothing."""
        self._key = key
        self._stages = stages
        self._limits = limits
        self._open: OrderedDict[Hashable, _Group] = OrderedDict()  # the one used longest ago first
        self._closing: dict[Hashable, _Group] = {}
        self._out: Channel[Any] = Channel(limits.maxsize, name="groups")
        self._tasks = Owned(self._broken)
        self._failed = False
        self._failure_above: BaseException | None = None
        self._now = asyncio.get_running_loop().time

    @contextlib.asynccontextmanager
    async def over(self, items: Reader[Any]) -> AsyncGenerator[Reader[Any], None]:
        """Deal out the items for a block; give a reader of what the groups emit."""
        outs = Reader(self._out)
        with Beside(_LABEL, self._out):
            async with self._tasks:
                self._tasks.start(lambda: self._deal(items))
                try:
                    yield outs
                finally:
                    await outs.close()

    # --- dealing ---------------------------------------------------------------------------------------------------

    async def _deal(self, items: Reader[Any]) -> None:
        try:
            while not self._failed and (hand := await self._next_hand(items)) is not None:
                await self._deal_out(hand)
        except Exception as error:
            await self._fail(error)
            raise
        if not self._failed:
            await self._finish(Channel.close)
            self._out.close()

    async def _deal_out(self, hand: Iterator[Any]) -> None:
        for item in hand:
            if self._failed:
                return
            key = self._key(item)
            group = await self._group_of(await key if isawaitable(key) else key)
            await group.put(item)
            group.used = self._now()

    async def _next_hand(self, items: Reader[Any]) -> Iterator[Any] | None:
        """Wait for input; close meanwhile what has been idle for too long."""
        while self._limits.idle is not None and self._open:
            oldest = next(iter(self._open.values()))
            due = oldest.used + self._limits.idle
            if self._now() < due and await items.wait(until=due):
                break
            self._close(oldest)
        return await items.next_hand()

    async def _group_of(self, key: Hashable) -> _Group:
        if key in self._open:
            self._open.move_to_end(key)
            return self._open[key]
        await self._make_place(key)
        group = self._open[key] = _Group(key, self._stages(key), self._limits.maxsize)
        self._tasks.start(lambda: self._serve(group))
        return group

    async def _make_place(self, key: Hashable) -> None:
        while key in self._closing:
            await asyncio.wait([self._closing[key].over])
        while len(self._open) + len(self._closing) >= self._limits.max_open:
            if not self._closing:
                if self._limits.fails:
                    raise LimitExceeded(
                        f"group_by: {self._limits.max_open:,} keys are open and another came, {key!r:.80}. Raise "
                        f"max_open=, or let the key used longest ago be closed then: overflow='close'."
                    )
                self._close(next(iter(self._open.values())))
            if self._closing:
                ends = [group.over for group in self._closing.values()]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)

    def _close(self, group: _Group) -> None:
        del self._open[group.key]
        group.channel.close()
        if not group.over.done():
            self._closing[group.key] = group

    # --- the ends --------------------------------------------------------------------------------------------------

    def _broken(self, error: BaseException) -> None:
        """A task failed: the consumer is told after what was emitted before, and nothing more is taken."""
        self._failed = True
        self._out.fail(error)

    async def _finish(self, end: Callable[[Channel[Any]], None]) -> None:
        """End the input of every group, and wait until all have emitted their last."""
        for group in self._open.values():
            end(group.channel)
        running = [group.over for group in [*self._open.values(), *self._closing.values()] if not group.over.done()]
        if running:
            await asyncio.wait(running)

    async def _fail(self, error: BaseException) -> None:
        """The input failed: each group meets the error after its items. Told of by all of them, it is one error."""
        self._failure_above = error
        notes, traceback = list(getattr(error, "__notes__", ())), error.__traceback__
        await self._finish(lambda channel: channel.fail(error))
        error.__notes__, error.__traceback__ = notes, traceback

    async def _serve(self, group: _Group) -> None:
        try:
            async with self._run_of(group) as run:
                await self._carry(run.reader)
        except Exception as error:
            if error is not self._failure_above:
                self._broken(error)  # before anybody learns that the group is over
                raise
        finally:
            await group.reader.close()  # whoever deals must not wait for room here any more
            self._closing.pop(group.key, None)
            group.over.set_result(None)

    def _run_of(self, group: _Group) -> Feeder[Any]:
        """The run of its stages; thousands of them are counted under one name."""
        run: Feeder[Any] = Feeder(cast("SourceLike[Any]", group), maxsize=self._limits.maxsize)
        run.label, run.inlet = _LABEL, group.channel
        return run

    async def _carry(self, outs: Reader[Any]) -> None:
        async for out in outs:
            try:
                await self._out.put(out)
            except ChannelClosed:  # the consumer has left, or another group has failed
                self._out.note_dropped()
                return
