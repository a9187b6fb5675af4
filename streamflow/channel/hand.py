"""The engine's exclusive ends: one writer that fills, one reader that takes a handful, both at C speed.

What lives here: what `engine.reader` and `engine.writer` use beside the operations. What must not: a check whose turn
it is; whoever calls these has made sure that nobody else writes, or reads, here.

The hand is the iterator over the batch that the reader has grasped. What is left in it is still in the channel: it
counts against the bound, and goes back to its owner when the reader leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

from streamflow.channel.bound import NOTHING, default_size
from streamflow.channel.slot import Reserving
from streamflow.channel.storage import fill, take
from streamflow.errors import ChannelClosed
from streamflow.limits import check_capacity

__all__ = ["Handed"]

T = TypeVar("T")


class Handed(Reserving[T]):
    """A queue with a hand in it."""

    # --- the exclusive writer --------------------------------------------------------------------------------------

    def low_water(self, room: int) -> None:
        """Wake a writer that waits only when there is room for so many items. For the engine's one exclusive writer.

        A reader that has nothing left makes room for all, so `room` must not be above `maxsize`.
        """
        self._low_water = room

    async def all_taken(self) -> None:
        """Wait until the reader has taken everything and asks for more, or takes the last one, or has left.

        For the one exclusive writer, at its end: from then on it is woken only when there is all the room.
        Cancellation: nothing has changed but that.
        """
        if self.held() and not self._ended:
            self.low_water(self._capacity)
            with suppress(ChannelClosed):
                await self._wait_to_write(0)
            self.wake()

    def discard_oldest(self) -> bool:
        """Discard the item that has waited longest, to make room; return whether there was one. It is counted.

        What the exclusive reader has in its hand comes first. A weighed hand is light, and its bytes are free only when
        it is consumed, so where items are weighed only the queue counts.
        """
        if self._size is None:
            for _ in self._hand:
                self._taken -= 1
                self._discarded += 1
                self.wake()
                return True
        if not self._queue:
            return False
        self.note_peak()
        self._queue.popleft()
        self._discarded += 1
        if self._size is not None:
            self._bytes -= self._weights.popleft()
        self._forget_tasks(1)
        self.wake()
        return True

    def fill(self, source: Iterator[T], limit: int) -> int:
        """Move up to `limit` items from an iterator into the channel at C speed; return how many.

        For a writer whose turn it is (`wait_for_room`), with `limit` at most `room()`, where items are not weighed.
        Fewer than `limit` means that the iterator is exhausted. When it raises, the items before the error are in.
        """
        queue = self._queue
        before = len(queue)
        self._in_batch = True
        try:
            fill(queue, source, limit)
        finally:
            self._in_batch = False
            # Only this writer appends here, and nothing else runs in between: the growth is what it added.
            added = len(queue) - before
            if added:
                self._added(added)
            else:
                self.wake()  # a turn that was not used passes on
        return added

    def limit_bytes(self, max_bytes: int) -> None:
        """Start to weigh: from now on items count in bytes as well. For the engine, at the first item that has a size.

        Where items are weighed already it only changes the limit. For the one exclusive writer, while it does not wait.
        """
        check_capacity("max_bytes", max_bytes)
        self.max_bytes = max_bytes
        if self._size is None:
            self._size = default_size
            self._weights.extend(map(default_size, self._queue))
            self._bytes = sum(self._weights)
            self._bytes_put += self._bytes
        self.wake()

    def note_dropped(self) -> None:
        """Count an item that a writer had made and could not put because the reader left: as put and as discarded."""
        self._dropped += 1

    # --- the exclusive reader --------------------------------------------------------------------------------------

    def grasp(self, limit: int) -> Iterator[T]:
        """Take up to `limit` items into the hand of the one exclusive reader, at C speed; return the hand.

        For the engine's reader when it is its turn and its last hand is consumed. What is left in the hand counts
        against the bound until it is consumed; a single item goes straight on to the stage and does not.
        """
        if self._size is not None:
            return self._grasp_weighed(limit)
        queue = self._queue
        count = len(queue)
        if count > self._peak:
            self._peak = count
        batch: list[T] = take(queue, limit)
        self._taken += len(batch)
        hand = iter(batch)
        self._hand = hand if len(batch) > 1 else NOTHING
        if self._putters and self._capacity - count + 1 >= self._low_water:
            self.wake()
        return hand

    def borrow(self, limit: int) -> list[T]:
        """Take up to `limit` items, not weighed, as a list that the exclusive reader gives to its stage at once.

        They count against the bound, but for the one that a stage may have in its hand, until `lend(0)`.
        """
        queue = self._queue
        count = len(queue)
        if count > self._peak:
            self._peak = count
        batch: list[T] = take(queue, limit)
        self._taken += len(batch)
        self._lent = len(batch) - 1
        if self._putters and self._capacity - count + 1 >= self._low_water:
            self.wake()
        return batch

    def _grasp_weighed(self, limit: int) -> Iterator[T]:
        """Keep the hand light; its bytes count until the next grasp."""
        self.note_peak()
        self._bytes -= self._hand_bytes
        batch: list[T] = []
        weight = 0
        while self._queue and len(batch) < limit and weight * 16 <= self._byte_limit:
            batch.append(self._queue.popleft())
            weight += self._weights.popleft()
        self._taken += len(batch)
        hand = iter(batch)
        single = len(batch) == 1
        self._hand = NOTHING if single else hand
        self._hand_bytes = 0 if single else weight
        self._bytes -= weight if single else 0
        self.wake()
        return hand

    def in_hand(self) -> Iterator[T]:
        """Return what the exclusive reader has grasped and not consumed."""
        return self._hand

    def lend(self, count: int) -> None:
        """Count so many items, which the exclusive reader gave to its stage at once, against the bound; 0 ends that."""
        self._lent = count
        if self._putters:
            self.wake()

    def _forget_tasks(self, count: int) -> None:
        """What was discarded will never be `task_done()`: let `join()` return."""
        self._unfinished_tasks = max(0, self._unfinished_tasks - count)
        if not self._unfinished_tasks:
            self._finished.set()

    def release(self) -> None:
        """The exclusive reader has consumed its hand: let a waiting writer see the room."""
        if self._hand_bytes:
            self._bytes -= self._hand_bytes
            self._hand_bytes = 0
        if self._putters:
            self.wake()
