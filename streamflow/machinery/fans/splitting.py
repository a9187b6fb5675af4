"""Splitting: several sources over one shared run of one source, behind `tee` and `partition`.

What lives here: `Split`, what the user made once; `_Round`, one run of it; `_Way`, one of its sources; `_Items`, who
reads there. What must not: which item goes where (`Deal`, given by the operator).

How it works
------------
*One run* of the source, with the fan as its sink, owned by nobody's task: it starts when the first branch is iterated,
the conductor ends it, and whoever leaves last waits until it is closed. How it ended is passed on to the branches when
everything in it has settled: an error that comes while the source is closed reaches them too (E15).

*Gone.* A branch that was not begun gates like a slow one, since it may still begin: what it would read is kept for it.
It stops when it leaves, or when nobody has it any more: `_Way` and `_Items` are dropped, and the last one stops the
run.

*Rounds.* Streams can be read again. A branch that is read a second time begins a new round, with a new run; but only
once every other branch has begun the old one, or rounds would pile up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from streamflow.channel import Channel
from streamflow.engine.conductor import Run
from streamflow.engine.nested import Ledger, here
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.machinery.fans.fan import Deal, Fan, Outlet, Overflow
from streamflow.resolving import parts_of
from streamflow.stages import GRACE, MAX_BYTES, Plan, Sink, Source
from streamflow.types import SourceLike

__all__ = ["Split"]

T = TypeVar("T")


class Split(Generic[T]):
    """One source that `count` sources share."""

    def __init__(
        self, name: str, source: SourceLike[T], count: int, deal: Deal, *, maxsize: int, overflow: Overflow = "block"
    ) -> None:
        """Describe it; nothing is read."""
        self.name = name
        self.parts = parts_of(source)
        self.count = count
        self.deal = deal
        self.maxsize = maxsize
        self.overflow: Overflow = overflow
        self.gone: set[int] = set()
        self._round: _Round[T] | None = None

    def sources(self) -> tuple[Source[T], ...]:
        """Return the sources; call it once."""
        return tuple(
            Source(_Way(self, at), name=f"{self.name}[{at}]", holds_items=self.maxsize) for at in range(self.count)
        )

    def enter(self, at: int) -> _Items[T]:
        """Begin to read branch `at`."""
        if self._round is None or at in self._round.entered:
            self._begin_round(at)
        assert self._round is not None
        self._round.entered.add(at)
        return _Items(self._round, at)

    def _begin_round(self, at: int) -> None:
        if self._round is not None:
            missing = set(range(self.count)) - self._round.entered - self.gone
            if missing:
                raise UsageError(
                    f"{self.name}[{at}] is or was read already, and {self.name}[{min(missing)}] has not been yet: "
                    f"what it is to read is still kept for it. Read that first, or ask {self.name} for more branches."
                )
        self._round = _Round(self)

    def drop(self, at: int) -> None:
        """Nobody has branch `at` any more. Called from `__del__`, so from any thread and at any moment."""
        self.gone.add(at)
        if self._round is not None and at not in self._round.entered:
            self._round.drop(at)


class _Round(Generic[T]):
    """One run of the shared source."""

    def __init__(self, split: Split[T]) -> None:
        """Make a channel for each branch; the run starts with the first one that is iterated."""
        self.loop = asyncio.get_running_loop()
        self.entered: set[int] = set()
        self.outlets = [_outlet(split, at) for at in range(split.count)]
        self._deal = split.deal
        self._fan: Fan[T] = Fan(self.outlets)
        source, stages = split.parts
        sink: Sink[Any, None] = Sink(self._dealt, name=split.name)
        self._plan = Plan(source, stages, sink, f"{split.name} of {source.name}", split.maxsize, MAX_BYTES, GRACE)
        self._run: Run | None = None
        self._ledger: Ledger | None = None
        for at in split.gone:
            self.outlets[at].channel.abandon()

    async def _dealt(self, items: Any) -> None:
        await self._deal(self._fan, items)

    def start(self) -> None:
        """Start the shared run, if nobody has."""
        if self._run is None:
            self._run = run = Run(self._plan)
            run.over.add_done_callback(self._over)
            run.start()
            self._count_in(here.get())

    def _count_in(self, ledger: Ledger | None) -> None:
        """Let the run that began to read first count the branches, too, each until it is left."""
        self._ledger = ledger
        if ledger is not None:
            for outlet in self.outlets:
                ledger.enter(outlet)

    def _abandon(self, at: int) -> None:
        self.outlets[at].channel.abandon()
        if self._ledger is not None:
            self._ledger.leave(self.outlets[at])

    def _over(self, _over: asyncio.Future[None]) -> None:
        """Everything has settled: pass on how it ended."""
        assert self._run is not None
        try:
            self._run.outcome.raise_causes()
        except BaseException as error:  # noqa: BLE001  # whatever it is, every branch is given it
            for outlet in self.outlets:
                outlet.channel.fail(error)
        else:
            for outlet in self.outlets:
                outlet.channel.close()

    @property
    def _abandoned(self) -> bool:
        return all(outlet.left for outlet in self.outlets)

    async def leave(self, at: int) -> None:
        """Leave branch `at`; the last one waits until the source is closed, and raises what fails in that."""
        self._abandon(at)
        if self._run is not None and self._abandoned and not self._run.over.done():
            await self._run.close()

    def drop(self, at: int) -> None:
        """Leave branch `at` without waiting; from any thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._drop, at)

    def _drop(self, at: int) -> None:
        self._abandon(at)
        if self._run is not None and self._abandoned:
            self._run.cancel()


def _outlet(split: Split[T], at: int) -> Outlet[T]:
    return Outlet(Channel[T](split.maxsize, name=f"{split.name}[{at}]"), split.overflow)


class _Way(Generic[T]):
    """What opens one of the sources; when it is dropped, nobody can."""

    def __init__(self, split: Split[T], at: int) -> None:
        self._split = split
        self._at = at

    def __call__(self) -> _Entrance[T]:
        return _Entrance(self._split, self._at)

    def __del__(self) -> None:
        self._split.drop(self._at)


class _Entrance(Generic[T]):
    """One of the sources, opened; another object than its iterator, so the engine knows it has that to close."""

    def __init__(self, split: Split[T], at: int) -> None:
        self._split = split
        self._at = at

    def __aiter__(self) -> _Items[T]:
        return self._split.enter(self._at)


class _Items(Generic[T]):
    """The items of one branch in one round."""

    def __init__(self, shared: _Round[T], at: int) -> None:
        self._round = shared
        self._at = at
        self._reader: Reader[T] = Reader(shared.outlets[at].channel)
        self._hand: Iterator[T] = iter(())
        self._closed = False

    def __aiter__(self) -> _Items[T]:
        return self

    async def __anext__(self) -> T:
        for item in self._hand:
            return item
        if self._closed:
            raise StopAsyncIteration
        self._round.start()
        try:
            hand = await self._reader.next_hand()
        except asyncio.CancelledError:
            raise
        except BaseException:
            await self.aclose()
            raise
        if hand is None:
            await self.aclose()
            raise StopAsyncIteration
        self._hand = hand
        return next(hand)

    async def aclose(self) -> None:
        """Leave. The last one of the branches waits until the source is closed."""
        if not self._closed:
            self._closed = True
            await self._round.leave(self._at)

    def __del__(self) -> None:
        if not self._closed:
            self._round.drop(self._at)
