"""A fan: one input, several channels, and how an item gets into one of them, or into all.

What lives here: `Outlet`, a channel with a rule for when it is full, and `Fan`, which deals items out to several. What
must not: what runs at the other end of an outlet (branches.py, splitting.py, hub.py), words for users.

How it works
------------
*To all at once.* An item that goes to several outlets waits until each of those that block has room, and then goes into
all of them in one step. So a put that is cancelled has put nothing anywhere, every reader gets the same items in the
same order, and the fastest is never more than `maxsize` items ahead of the slowest. Where there is room in all of them,
whole stretches go in at C speed.

*Leaving.* A reader that leaves abandons its channel. That wakes whoever waits for room in it, and from then on the
outlet is passed over (F12). Nobody has to be told, so leaving works from anywhere: a task, a callback, `__del__`.

*One writer.* Only the fan puts into its outlets, one item at a time: room that was found is still there a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Literal, TypeAlias, TypeVar, get_args

from streamflow.channel import Channel
from streamflow.engine.nested import Numbers, sums
from streamflow.engine.reader import Reader
from streamflow.errors import ChannelClosed, LimitExceeded, UsageError
from streamflow.limits import byte_size
from streamflow.stages import MAX_BYTES

__all__ = ["Deal", "Fan", "Outlet", "OutletStats", "Overflow"]

T = TypeVar("T")

Overflow: TypeAlias = Literal["block", "drop_newest", "drop_oldest", "fail"]
"""What happens to an item for which a branch has no room."""


@dataclass(frozen=True, slots=True)
class OutletStats:
    """What one branch or subscriber has seen so far: a snapshot.

    `given` counts the items that went in, `taken` those its reader took, `waiting` those that are there now, `dropped`
    those it lost because it was full, or because its reader had left when it was its turn. `state` is its channel's.
    """

    name: str
    state: str
    given: int
    taken: int
    waiting: int
    dropped: int


class Outlet(Generic[T]):
    """One way out of a fan: a channel, and what happens to an item for which it has no room."""

    def __init__(self, channel: Channel[T], overflow: Overflow = "block") -> None:
        """Describe it."""
        self.channel = channel
        self.overflow = overflow
        self.dropped = 0
        self.displaced = 0
        """Those of the dropped that had been put."""
        self.fail: Callable[[BaseException], None] = channel.fail
        """What is done with the error of `overflow="fail"`: its reader gets it, where nobody says otherwise."""

    @staticmethod
    def check_overflow(overflow: object) -> None:
        """Refuse a rule that does not exist."""
        if overflow not in get_args(Overflow):
            raise UsageError(f"overflow must be one of {', '.join(map(repr, get_args(Overflow)))}; not {overflow!r}.")

    @property
    def left(self) -> bool:
        """Whether nothing can be put any more: its reader has left, or it has ended."""
        return self.channel.closing

    def room(self) -> int:
        """Return how many items may be put without a look at anything else; 0 where they are weighed."""
        return 0 if self.channel.weighs else self.channel.room()

    async def wait(self, weight: int) -> None:
        """Wait until an item of this weight can be put, dropped, or forgotten because nobody reads."""
        if self.overflow != "block":
            await asyncio.sleep(0)  # so that only who is too slow loses items, not who had no turn to take them
        elif not self.left:
            with contextlib.suppress(ChannelClosed):
                await self.channel.wait_for_room(weight)
            self.channel.wake()  # if it ended meanwhile, nothing will be put: let its reader see the end

    async def drained(self) -> None:
        """Wait until its reader has taken everything and asks for more, or takes the last one, or has left."""
        await self.channel.all_taken()

    def put(self, item: T) -> None:
        """Put an item, or do what the rule says where there is no room. Never waits; see `wait`."""
        if self.left:
            self.dropped += 1
            return
        try:
            self.channel.put_nowait(item)
        except asyncio.QueueFull:
            self._overflowed(item)

    def _overflowed(self, item: T) -> None:
        self.dropped += 1
        if self.overflow == "drop_oldest":
            self._put_instead(item)
        elif self.overflow != "drop_newest":
            channel = self.channel
            error = LimitExceeded(
                f"{channel.name}: {channel.held()} items wait there and its reader is too slow for one more "
                f"(overflow={self.overflow!r})"
            )
            self.fail(error)

    def _put_instead(self, item: T) -> None:
        """Drop those that wait longest until there is room; where none can be dropped, drop the new one."""
        while self.channel.discard_oldest():
            self.displaced += 1
            try:
                self.channel.put_nowait(item)
            except asyncio.QueueFull:
                self.dropped += 1
            else:
                return

    def stats(self) -> OutletStats:
        """Return a snapshot of the counters."""
        seen = self.channel.stats()
        return OutletStats(seen.name, seen.state, seen.put, seen.got, seen.items, self.dropped)

    @property
    def label(self) -> str:
        """The name under which a run counts it that it stands beside."""
        return self.channel.name

    def account(self) -> Numbers:
        """Return what a run counts of it that it stands beside."""
        seen = self.channel.account()
        return self.corrected(Numbers(0, 0, 0, seen[0], seen[1], 0, *sums([seen])))

    def corrected(self, numbers: Numbers) -> Numbers:
        """Put what was dropped here into numbers that take it for discarded, or know nothing of it."""
        return numbers._replace(dropped=numbers.dropped + self.dropped, discarded=numbers.discarded - self.displaced)


class Fan(Generic[T]):
    """Several outlets and the way items get into them."""

    def __init__(self, outlets: Iterable[Outlet[T]] = ()) -> None:
        """Begin with these; `add` takes more."""
        self.outlets = list(outlets)
        self.lost = 0
        """What outlets had dropped that are forgotten."""
        self._weightless: set[type[Any]] = set()
        self._weighs = False

    def add(self, outlet: Outlet[T]) -> None:
        """Take one more: it gets the items that are put from now on."""
        self.outlets.append(outlet)
        if self._weighs:
            outlet.channel.limit_bytes(MAX_BYTES)

    def anybody(self) -> bool:
        """Forget the outlets at which nobody reads any more; return whether there are others."""
        if any(outlet.channel.closing for outlet in self.outlets):
            self.lost += sum(outlet.dropped for outlet in self.outlets if outlet.left)
            self.outlets = [outlet for outlet in self.outlets if not outlet.left]
        return bool(self.outlets)

    async def to_all(self, item: T) -> None:
        """Put an item into every outlet, in one step, when all that block have room.

        Cancellation: it was put into none.
        """
        await self.wait(item)
        self.put(item)

    async def wait(self, item: T) -> None:
        """Wait until an item may be put into every outlet; `put` it in the same step."""
        weight = self._weigh(item)
        for outlet in tuple(self.outlets):  # what has room keeps it: only this fan puts there
            if outlet.room() <= 0:
                await outlet.wait(weight)

    def put(self, item: T) -> None:
        """Put an item into every outlet, or do there what the rule says. Never waits."""
        if self.anybody():
            for outlet in tuple(self.outlets):
                outlet.put(item)

    async def to_one(self, item: T, outlet: Outlet[T]) -> None:
        """Put an item into this outlet only. Cancellation: it was not put."""
        weight = self._weigh(item)
        if outlet.room() <= 0:
            await outlet.wait(weight)
        outlet.put(item)

    async def deal(self, reader: Reader[T]) -> None:
        """Put everything that `reader` gives into every outlet, until it ends or nobody is left."""
        while self.anybody() and (hand := await reader.next_hand()) is not None:
            for item in hand:  # one by the rules, then as many as there is room for
                await self.to_all(item)
                if not self.outlets:
                    return
                await self._stretch_to_all(hand)

    async def _stretch_to_all(self, hand: Iterator[T]) -> None:
        room = min((outlet.room() for outlet in self.outlets), default=0)
        if room <= 0:
            return
        stretch = list(islice(hand, room))
        if not self._weightless.issuperset(map(type, stretch)):
            for item in stretch:
                await self.to_all(item)  # types not seen before: they may have a size in bytes
            return
        for outlet in self.outlets:
            outlet.channel.fill(iter(stretch), len(stretch))

    def _weigh(self, item: T) -> int:
        """Return the bytes of an item; the first that has any makes every outlet count in bytes as well."""
        kind = type(item)
        if kind in self._weightless:
            return 0
        size = byte_size(item)
        if size is None:
            self._weightless.add(kind)
            return 0
        if not self._weighs:
            self._weighs = True
            for outlet in self.outlets:
                outlet.channel.limit_bytes(MAX_BYTES)
        return size


Deal: TypeAlias = Callable[[Fan[Any], Reader[Any]], Awaitable[None]]
"""Takes everything from a reader and puts each item where it belongs."""
