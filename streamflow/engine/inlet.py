"""One of several sources, as the operator that combines them sees it.

What lives here: `Inlet` and its two kinds. What must not: waiting (inlets.py), whose turn it is (the operators).

An inlet gives what is there, without waiting, through its `hand`; when that is empty, `refill` looks for more.

* *Pulled*: a plain iterable. `next()` gives its items in the operator's own task when they are wanted, never earlier.
* *Read*: everything else, through a `Reader`: the operator's own input, whose channel the stage above fills, or a
  further source with a run of its own, which is pulled on demand (demand.py).
"""

# ruff: noqa: SLF001  # the hot loops look into the channel, as the reader does

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from operator import length_hint
from typing import Any, Generic, TypeVar

from streamflow.engine.demand import Demand
from streamflow.engine.feeding import Feeder
from streamflow.engine.reader import Reader

__all__ = ["NONE", "Inlet", "Pulled", "Read"]

T = TypeVar("T")

NONE: Any = object()
"""What stands for "no item"; `None` is data."""


class Inlet(Generic[T]):
    """One of several sources.

    `hand` gives what is there now. `ended` says that nothing will follow what is in the hand. `passed` and `span` are
    the operator's own notes.
    """

    def __init__(self, number: int, name: str) -> None:
        """Hold nothing yet."""
        self.number = number
        self.name = name
        self.hand: Iterator[T] = iter(())
        self.ended = False
        self.passed = self.span = 0

    def refill(self) -> bool:
        """Fill the empty hand with what is there; return whether there is anything. Raises the source's failure."""
        raise NotImplementedError

    def lacks(self) -> bool:
        """Return whether it has nothing now and has not ended, so that it has to be waited for."""
        return False

    def is_over(self) -> bool:
        """Return whether it has nothing and never will, or has failed, as far as can be told without pulling."""
        return self.ended

    def ask(self, waiter: asyncio.Future[None] | None, count: int) -> None:
        """Say that so many items are wanted; `waiter` is to be done when the first has come."""

    def rest(self, waiter: asyncio.Future[None] | None) -> None:
        """Say that nothing is wanted for now."""

    def abandon(self) -> None:
        """Have no more of it, from now on; nothing is waited for."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Name it in a message."""
        return f"source {self.number} ({self.name})"


class Pulled(Inlet[T]):
    """A plain iterable."""

    def __init__(self, number: int, name: str, items: Iterable[T]) -> None:
        """Pull nothing yet."""
        super().__init__(number, name)
        self._iterator = iter(items)
        self._items = self._each()
        self.hand = self._items

    def _each(self) -> Generator[T, None, None]:
        try:
            for item in self._iterator:  # noqa: UP028  # `yield from` would close a file that is its user's
                yield item
        except Exception as error:
            error.add_note(f"in {self}")
            raise
        finally:
            self.ended = True

    def refill(self) -> bool:
        """Pull one item, unless the hand begins with one that was pulled; the rest of the hand pulls as it goes."""
        for item in self.hand:
            self.hand = chain((item,), self._items)
            return True
        return False

    def drain(self) -> None:
        """Let it end after the item that was pulled."""
        if inspect.getgeneratorstate(self._items) == inspect.GEN_RUNNING:  # the iterable itself does that
            asyncio.get_running_loop().call_soon(self.drain)
            return
        self._items.close()
        self.ended = True

    def abandon(self) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close it, if it is a generator."""
        self._items.close()
        if inspect.isgenerator(self._iterator):
            self._iterator.close()


class Read(Inlet[T]):
    """What a channel brings."""

    def __init__(
        self, number: int, name: str, reader: Reader[T], feeder: Feeder[T] | None = None, demand: Demand | None = None
    ) -> None:
        """Read it; `feeder` is its own run, if it has one."""
        super().__init__(number, name)
        self.reader = reader
        self.hand = reader.channel.in_hand()
        self._channel = reader.channel
        self._half = max(1, reader.channel.maxsize // 2)
        self.feeder = feeder
        self._demand = demand

    def refill(self) -> bool:
        """Grasp what is in the channel."""
        channel = self._channel
        if channel._queue:
            self.hand = channel.grasp(self._half)
            return True
        if channel._ended and channel.over:
            self._end()
        return False

    def _end(self) -> None:
        self.ended = True
        reader, failure = self.reader, self._channel.failure
        if failure is not None and reader.raised is None and not reader.exhausted:
            reader.raised = failure
            raise failure
        reader.exhausted = True

    def lacks(self) -> bool:
        """Look into the hand and into the channel."""
        channel = self._channel
        return not (length_hint(self.hand) or channel._queue or (channel._ended and channel.over))

    def is_over(self) -> bool:
        """Look into the hand and at the channel."""
        channel = self._channel
        return channel._ended and not length_hint(self.hand) and channel.over

    def ask(self, waiter: asyncio.Future[None] | None, count: int) -> None:
        """Stand in line at the channel, and open the gate of the source."""
        channel = self._channel
        if channel._putters or channel._hand_bytes:
            channel.release()
        if waiter is not None:
            channel._getters.append(waiter)
        if self._demand is not None:
            self._demand.ask(count)

    def rest(self, waiter: asyncio.Future[None] | None) -> None:
        """Leave the line, and close the gate."""
        if waiter is not None:
            self._channel._getters.remove(waiter)
        if self._demand is not None:
            self._demand.withdraw()

    def abandon(self) -> None:
        """Leave the channel; a run of its own begins to stop, a stage above does when it next puts an item."""
        self._channel.abandon()
        if self.feeder is not None:
            self.feeder.stop()
