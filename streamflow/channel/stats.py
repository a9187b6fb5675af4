"""What a channel has seen: the snapshot that `Channel.stats()` returns.

What lives here: the numbers, frozen. What must not: the counting, which each operation does as it goes.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ChannelStats"]


@dataclass(frozen=True, slots=True)
class ChannelStats:
    """What a channel has seen so far: a snapshot; `put == got + discarded + items`, or an item was lost.

    `put` is counted where items go in, `got` and `discarded` where they go out. An item that was made for the channel
    and could not be put, because its reader had left, is in `put` and in `discarded`. While the engine is in the middle
    of a batch, `put` follows from the other three.

    `items`, `peak`, `put`, `got` and `discarded` count items; `bytes`, `peak_bytes` and `bytes_put` count bytes (0
    where items are not weighed); `drains` counts how often a writer had to wait for room; the two waits are seconds.
    """

    name: str
    state: str
    maxsize: int
    max_bytes: int | None
    items: int
    bytes: int
    put: int
    got: int
    discarded: int
    bytes_put: int
    peak: int
    peak_bytes: int
    drains: int
    waited_for_room: float
    waited_for_items: float
    writers_waiting: int
    readers_waiting: int
