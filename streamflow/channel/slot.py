"""Reserved room: a source fetches an item only when there is room for it.

What lives here: the reservation and the slot that stands for it. What must not: any other way to put an item.

A slot counts against the bound from `reserve` on, so its `put` never waits. A slot that is still held when the channel
is closed keeps the end back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from streamflow.channel.bound import check_weight
from streamflow.channel.turns import Lined
from streamflow.errors import UsageError

__all__ = ["Reserving", "Slot"]

T = TypeVar("T")


class Reserving(Lined[T]):
    """A queue in which room can be reserved."""

    @asynccontextmanager
    async def reserve(self, nbytes: int = 0) -> AsyncGenerator[Slot[T], None]:
        """Reserve room for one item before producing it, so that a source fetches only when there is room.

        Example:
            async with channel.reserve() as slot:
                slot.put(await connection.fetch_one())

        Args:
            nbytes: how heavy the item may become, in bytes; needed where the channel has `max_bytes`.

        Waits and raises as `put`. Leaving without `slot.put` gives the room back. Cancellation: likewise. Readers wait
        for a slot that was reserved before `close()` or `fail()`: the end comes after its item.
        """
        check_weight("nbytes", nbytes)
        await self._checkpoint()
        await self.wait_for_room(nbytes)
        self._reserved += 1
        self._reserved_bytes += nbytes
        slot = Slot(self, nbytes)
        self.wake()
        try:
            yield slot
        finally:
            slot.release()

    def put_reserved(self, item: T, nbytes: int) -> None:
        """Put an item into room that was reserved; for `Slot`."""
        if self._refusal is not None:
            raise self._refusal()
        weight = self._weigh(item)
        others = self._bytes + self._reserved_bytes - nbytes
        if weight > nbytes and others + weight > self._byte_limit and others + self.held() + self._reserved > 1:
            raise UsageError(
                f"{self.name}: an item of {weight} bytes does not fit into the {nbytes} bytes reserved. "
                f"Write channel.reserve(nbytes=...) with the largest size it may have."
            )
        self._reserved -= 1
        self._reserved_bytes -= nbytes
        self._admit(item, weight)

    def unreserve(self, nbytes: int) -> None:
        """Give reserved room back; for `Slot`."""
        self._reserved -= 1
        self._reserved_bytes -= nbytes
        self.wake()


class Slot(Generic[T]):
    """Room for one item, reserved by `Channel.reserve()`."""

    def __init__(self, channel: Reserving[T], nbytes: int) -> None:
        """Hold the room that `reserve` set aside."""
        self._channel = channel
        self._nbytes = nbytes
        self._held = True

    def put(self, item: T) -> None:
        """Put the item into the reserved room, without waiting.

        Raises `UsageError` for a second item, or for one heavier than what was reserved and is free; `ReaderGone` when
        nobody reads any more.
        """
        if not self._held:
            raise UsageError("This slot was used. Reserve once for each item: async with channel.reserve() as slot.")
        self._channel.put_reserved(item, self._nbytes)
        self._held = False

    def release(self) -> None:
        """Give the room back if it was not used."""
        if self._held:
            self._held = False
            self._channel.unreserve(self._nbytes)
