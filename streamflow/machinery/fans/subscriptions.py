"""Subscriptions: what a subscriber of a hub holds and reads.

What lives here: `Subscription` and its iterator. What must not: the hub (hub.py), which makes them.

Closing the iterator leaves the hub: that is what the engine does at the end of a pipeline. Dropping the iterator, as
`break` does, leaves nothing, for it may be taken up again; dropping the subscription leaves the hub.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.machinery.fans.fan import Outlet, OutletStats

__all__ = ["Subscription"]

T = TypeVar("T")


class Subscription(Generic[T]):
    """What `hub.subscribe()` gives: an async iterable of the items put since then.

    It may be left (`break`) and taken up again by the same task, as long as it is not closed; a pipeline or stream that
    reads it closes it at its end. It stops gating when it is closed or dropped.
    """

    def __init__(self, outlet: Outlet[T]) -> None:
        """Read `outlet`."""
        self._outlet = outlet
        self._reader: Reader[T] = Reader(outlet.channel)
        self._heard_by: weakref.ref[_Hearing[T]] | None = None
        self._loop = asyncio._get_running_loop()  # noqa: SLF001  # the public one raises where None will do

    def __repr__(self) -> str:
        """Show its number, where it stands, and how many items wait."""
        seen = self._outlet.stats()
        return f"<Subscription {seen.name!r}: {seen.state}, {seen.waiting} items>"

    def __aiter__(self) -> _Hearing[T]:
        """Take items until the hub ends; its error is raised after the items before it."""
        return _Hearing(self, self._reader)

    def begin(self, hearing: _Hearing[T]) -> None:
        """Note who takes items now. Raises `UsageError` while another iteration, which was not left, does so too."""
        other = self._heard_by() if self._heard_by is not None else None
        if other not in {None, hearing}:
            raise UsageError(
                f"{self!r} is read in two places, which would take items from each other. Subscribe once for each."
            )
        self._heard_by = weakref.ref(hearing)

    def close(self) -> None:
        """Leave: what waits is discarded. Never waits; twice is harmless."""
        self._outlet.channel.abandon()

    async def __aenter__(self) -> Self:
        """Return it."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave."""
        self.close()

    def stats(self) -> OutletStats:
        """Return a snapshot of its counters."""
        return self._outlet.stats()

    def __del__(self) -> None:
        """Dropped: nobody will read it. The loop lets it leave, since this may run at any moment and in any thread."""
        channel = self._outlet.channel
        if self._loop is None:
            channel.abandon()
        elif not channel.closing and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(channel.abandon)


class _Hearing(Generic[T]):
    """One iteration over a subscription; closing it leaves, dropping it does not."""

    def __init__(self, subscription: Subscription[T], reader: Reader[T]) -> None:
        self._subscription = subscription
        self._reader = reader
        self._hand: Iterator[T] = iter(())

    def __aiter__(self) -> _Hearing[T]:
        return self

    async def __anext__(self) -> T:
        for item in self._hand:
            return item
        self._subscription.begin(self)
        hand = await self._reader.next_hand()
        if hand is None:
            raise StopAsyncIteration
        self._hand = hand
        return next(self._hand)

    async def aclose(self) -> None:
        """Leave the hub."""
        self._subscription.close()
