"""`Hub`: a place where publishers and subscribers meet and part while it runs.

What lives here: the hub and its publishers. What must not: its subscriptions (subscriptions.py), how an item gets to
several (fan.py), fans whose branches are known from the start (fanning.py).

How it works. Each subscription is an outlet of one fan. Puts are served one after the other, in the order in which they
came, and each goes to all subscribers in one step: so everybody gets the same items in the same order, and a put that
is cancelled has reached nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Literal, Self, TypeVar

from streamflow.channel import Channel
from streamflow.errors import ChannelClosed, StageCancelled, UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.fans.fan import Fan, Outlet, OutletStats, Overflow
from streamflow.machinery.fans.subscriptions import Subscription
from streamflow.stages import MAXSIZE, Sink

__all__ = ["Hub", "HubStats", "Publisher"]

T = TypeVar("T")

_TURN = 256  # after so many puts that did not have to wait, the next one gives other tasks a turn


@dataclass(frozen=True, slots=True)
class HubStats:
    """What a hub has seen so far: a snapshot.

    `published` counts the items that were put, `unheard` those of them for which there was no subscriber, `dropped`
    what subscribers lost because they were full, those that have left included; `waiting` is how many items wait for
    the subscriber that is furthest behind. `publishers` counts the open `publisher()` blocks, `subscribers` has the
    numbers of each subscription.
    """

    name: str
    state: str
    published: int
    unheard: int
    dropped: int
    waiting: int
    publishers: int
    subscribers: tuple[OutletStats, ...]


class Hub(Generic[T]):
    """Publishers put items in, and every subscriber gets those that are put while it is subscribed.

    Example:
        async with sf.Hub[Event](maxsize=100) as hub:
            events = hub.subscribe()                    # from here on, even if it is read later
            task = asyncio.create_task(sf.pipeline(events, sf.map(handle), sf.drain()))
            await sf.pipeline(source, hub.sink())       # or: await hub.put(event)
        await task                                      # the end of the block is the end of the subscriptions

    Args:
        maxsize: how many items may wait for a subscriber, where it does not say otherwise.
        overflow: what to do with an item for which a subscriber has no room, where it does not say otherwise.
            `"block"`: the put waits, so the slowest sets the pace. `"drop_newest"` drops that item, `"drop_oldest"` the
            one that waits longest, both for this subscriber only, and counted. `"fail"` ends this subscription with
            `LimitExceeded`, after the items that wait for it.
        wait_for_subscribers: whether a put waits while there is no subscriber; else the item is dropped, and counted as
            unheard.
        name: shown in statistics and errors.

    Items are shared, not copied: every subscriber gets the same object. Raises `UsageError` for bounds that cannot mean
    anything. Its methods are called in one event loop.
    """

    def __init__(
        self,
        maxsize: int = MAXSIZE,
        overflow: Overflow = "block",
        *,
        wait_for_subscribers: bool = False,
        name: str = "hub",
    ) -> None:
        """Make an open hub that nobody uses yet."""
        check_capacity("Hub(maxsize)", maxsize)
        Outlet.check_overflow(overflow)
        self.name = name
        self._maxsize = maxsize
        self._overflow: Overflow = overflow
        self._waits = wait_for_subscribers
        self._fan: Fan[T] = Fan()
        self._one_by_one = asyncio.Lock()
        self._heard = asyncio.Event()
        self._ended = False
        self._failure: BaseException | None = None
        self._published = self._unheard = self._publishers = self._numbered = 0
        self._turn = _TURN

    def __repr__(self) -> str:
        """Show the name, where it stands, and how many are subscribed."""
        return f"<Hub {self.name!r}: {self._state()}, {len(self._fan.outlets)} subscribers>"

    def _state(self) -> str:
        if not self._ended:
            return "open"
        return "closed" if self._failure is None else "failed"

    # --- publishing ------------------------------------------------------------------------------------------------

    async def put(self, item: T) -> None:
        """Give an item to every subscriber, waiting for those that block and for the puts that came before.

        Raises `ChannelClosed` after `close()` or `fail()`. Cancellation: nobody has got the item.
        """
        self._turn -= 1
        if self._turn <= 0:
            self._turn = _TURN
            await asyncio.sleep(0)
        async with self._one_by_one:
            self._refuse_if_ended()
            while self._waits and not self._fan.anybody():
                self._heard.clear()
                await self._heard.wait()
                self._refuse_if_ended()
            await self._fan.wait(item)
            self._refuse_if_ended()
            self._published += 1
            self._unheard += not self._fan.anybody()
            self._fan.put(item)

    def _refuse_if_ended(self) -> None:
        if self._ended:
            raise ChannelClosed(f"{self.name} is {self._state()}: nothing can be put after the end") from self._failure

    @asynccontextmanager
    async def publisher(self) -> AsyncGenerator[Publisher[T], None]:
        """Publish for a block: `async with hub.publisher() as out: await out.put(item)`; counted while it is open.

        Leaving the block does not end the hub: others may publish. Raises `ChannelClosed` when the hub has ended.
        """
        self._refuse_if_ended()
        self._publishers += 1
        publisher = Publisher(self)
        try:
            yield publisher
        finally:
            publisher.closed = True
            self._publishers -= 1

    def sink(self, *, then: Literal["close", "leave"] = "leave") -> Sink[T, int]:
        """Return a sink that puts every item of a pipeline here; the pipeline's value is how many there were.

        Args:
            then: what to do with the hub after the last item: `"close"` it (or fail it, if the pipeline fails), or
                `"leave"` it open for other publishers.

        Raises `UsageError` for another word; the pipeline raises `ChannelClosed` when the hub has ended before it.
        """
        if then not in ("close", "leave"):
            raise UsageError(f'hub.sink(then) is "close" or "leave", not {then!r}.')

        async def published(items: AsyncIterable[T]) -> int:
            total = 0
            try:
                async with self.publisher() as out:
                    async for item in items:
                        await out.put(item)
                        total += 1
            except BaseException as error:
                if then == "close":
                    self._break_off(error)
                raise
            if then == "close":
                self.close()
            return total

        return Sink(published, name=f"{self.name}.sink")

    # --- subscribing -----------------------------------------------------------------------------------------------

    def subscribe(self, *, maxsize: int | None = None, overflow: Overflow | None = None) -> Subscription[T]:
        """Subscribe now: get every item that is put from this call on, whenever it is read (X19).

        Example: `async with hub.subscribe() as events: async for event in events: ...`

        It is a source as well: `sf.stream(hub.subscribe())`. A subscription that nobody reads gates like a slow one,
        until it is closed or dropped.

        Args:
            maxsize: how many items may wait for it; `None` for the hub's own.
            overflow: what to do with an item for which it has no room; `None` for the hub's own rule.

        Raises `UsageError` for bounds that cannot mean anything. On a hub that has ended it ends at once, as that did.
        """
        self._numbered += 1
        if overflow is not None:
            Outlet.check_overflow(overflow)
        size = self._maxsize if maxsize is None else maxsize
        outlet: Outlet[T] = Outlet(
            Channel(size, name=f"subscriber {self._numbered} of {self.name}"), overflow or self._overflow
        )
        if self._ended:
            self._end(outlet)
        else:
            self._fan.add(outlet)
            self._heard.set()
        return Subscription(outlet)

    # --- ending ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End it cleanly: subscribers take what waits for them, then they end. Never waits; twice is harmless.

        A put that waits for room raises `ChannelClosed`: nobody gets its item.
        """
        self._ended = True
        self._heard.set()
        for outlet in self._fan.outlets:
            self._end(outlet)

    def fail(self, error: BaseException) -> None:
        """End it with an error, which subscribers get after what waits for them. After another end it does nothing."""
        if not isinstance(error, BaseException):
            raise UsageError(f"fail() needs an exception object, not {error!r}. To end without an error write close().")
        if not self._ended:
            self._failure = error
            self.close()

    def _end(self, outlet: Outlet[T]) -> None:
        if self._failure is None:
            outlet.channel.close()
        else:
            outlet.channel.fail(self._failure)

    def _break_off(self, error: BaseException) -> None:
        """Fail with what ended a publisher; a cancellation of that is none of the subscribers."""
        stopped = StageCancelled(f"{self.name} was left by {type(error).__name__} before it was closed")
        self.fail(error if isinstance(error, Exception) else stopped)

    async def __aenter__(self) -> Self:
        """Return it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it, or fail it with the exception of the block, so that it never looks whole when it is not."""
        if error is None:
            self.close()
        else:
            self._break_off(error)

    def stats(self) -> HubStats:
        """Return a snapshot of the counters."""
        if not self._ended:
            self._fan.anybody()
        subscribers = tuple(outlet.stats() for outlet in self._fan.outlets)
        return HubStats(
            name=self.name,
            state=self._state(),
            published=self._published,
            unheard=self._unheard,
            dropped=self._fan.lost + sum(each.dropped for each in subscribers),
            waiting=max((each.waiting for each in subscribers), default=0),
            publishers=self._publishers,
            subscribers=subscribers,
        )


class Publisher(Generic[T]):
    """What `hub.publisher()` gives: `put`, for as long as the block is open."""

    def __init__(self, hub: Hub[T]) -> None:
        """Publish into `hub`."""
        self._hub = hub
        self.closed = False

    async def put(self, item: T) -> None:
        """Put an item as `Hub.put` does. Raises `UsageError` after the block."""
        if self.closed:
            raise UsageError("This publisher was left. Put inside its block: async with hub.publisher() as out: ...")
        await self._hub.put(item)
