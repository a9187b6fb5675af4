"""A model of the channel: random writers, readers, cancellations and endings, in every interleaving hypothesis finds.

Every operation runs in a task of its own on a loop that is moved one iteration at a time. After each iteration the
books must balance, the order must hold and the bounds must not be passed; whenever nothing is left to run, nobody may
wait who could go on. `STREAMFLOW_HYPOTHESIS=thorough` runs 10,000 examples.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamflow.channel import Channel, Slot
from streamflow.errors import ChannelClosed, EndOfChannel, ReaderGone, UsageError

FAST, THOROUGH = 120, 10_000
THOROUGHLY = hypothesis.settings.default is not None and hypothesis.settings.default.max_examples > 1_000

weights = st.integers(0, 7)
steps = st.integers(0, 3)
some_weights = st.lists(weights, max_size=3)


class Item(NamedTuple):
    number: int
    weight: int


class Boom(Exception):
    """The failure the channel is failed with."""


@dataclass(eq=False)
class Operation:
    """One call in a task of its own."""

    kind: str
    ticket: int | None = None
    items: list[Item] = field(default_factory=list)
    result: Any = None
    returned: bool = False
    ended_before: bool = False
    slot: Slot[Item] | None = None
    nbytes: int = 0
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] = field(init=False)


class ChannelMachine(RuleBasedStateMachine):
    """Several writers, and several readers (or the engine's one exclusive reader with its hand)."""

    # --- the loop ----------------------------------------------------------------------------------------------------

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.tickets = itertools.count()
        self.numbers = itertools.count()
        self.operations: list[Operation] = []
        self.writers_turns: list[int] = []
        self.readers_turns: list[int] = []
        self.admitted: list[Item] = []
        self.delivered: list[Item] = []
        self.discarded: list[Item] = []
        self.batch: list[Item] = []
        self.hand: Iterator[Item] = iter(())
        self.hand_bytes = 0
        self.released = True
        self.ended = self.refusing = self.gone = False
        self.failure: Boom | None = None

    @initialize(
        maxsize=st.integers(1, 4),
        max_bytes=st.one_of(st.none(), st.integers(1, 8)),
        exclusive=st.booleans(),
        low_water=st.integers(1, 4),
    )
    def make(self, maxsize: int, max_bytes: int | None, exclusive: bool, low_water: int) -> None:
        size: Callable[[Item], int] | None = (lambda item: item.weight) if max_bytes is not None else None
        self.channel: Channel[Item] = Channel(maxsize, max_bytes=max_bytes, size=size)
        self.max_bytes = max_bytes
        self.exclusive = exclusive
        self.low_water = min(low_water, maxsize) if exclusive else 1
        self.channel.low_water(self.low_water)

    def iterate(self) -> None:
        """Run the loop once: whatever is ready now."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        self.look()

    def step(self, iterations: int) -> None:
        for _ in range(iterations):
            self.iterate()

    @rule()
    def settle(self) -> None:
        """Let everything run that can, and see that nobody waits who could go on."""
        self.run_out()
        while not (self.released or self.in_hand()):
            self.release()
            self.run_out()
        if self.released:
            self.look_for_sleeping_writers()
        self.look_for_sleeping_readers()

    def run_out(self) -> None:
        self.step(4 * len(self.operations) + 4)

    # --- starting and cancelling -------------------------------------------------------------------------------------

    def begin(
        self, then: int, operation: Operation, body: Callable[[Operation], Coroutine[Any, Any, None]]
    ) -> Operation:
        """Start it in a task of its own, and let the loop run `then` times."""
        self.operations.append(operation)
        operation.task = self.loop.create_task(self.run(operation, body))
        self.step(then)
        return operation

    async def run(self, operation: Operation, body: Callable[[Operation], Coroutine[Any, Any, None]]) -> None:
        operation.ticket = next(self.tickets)
        operation.ended_before = self.ended
        try:
            await body(operation)
        except EndOfChannel:
            assert self.ended
            assert not self.channel._queue
            assert self.gone or self.failure is None
            assert self.refusing or not (self.channel._putters or self.slots())
        except ChannelClosed as error:
            self.look_at_refusal(error)
            # A writer that waited before the end is served; a long one may meet the end between two stretches.
            assert self.refusing or operation.ended_before or operation.kind == "put_many"
        except Boom as error:
            self.look_at_failure(error)
        else:
            operation.returned = True

    def pending(self) -> list[Operation]:
        return [operation for operation in self.operations if not operation.task.done()]

    def slots(self) -> list[Operation]:
        return [operation for operation in self.operations if operation.slot is not None]

    def new_items(self, sizes: Iterable[int]) -> list[Item]:
        return [Item(next(self.numbers), weight) for weight in sizes]

    @precondition(lambda self: self.pending())
    @rule(which=st.integers(0, 1_000), then=steps)
    def cancel(self, which: int, then: int) -> None:
        pending = self.pending()
        pending[which % len(pending)].task.cancel()
        self.step(then)

    # --- writing -----------------------------------------------------------------------------------------------------

    @rule(weight=weights, then=steps)
    def put(self, weight: int, then: int) -> None:
        async def body(operation: Operation) -> None:
            await self.channel.put(operation.items[0])
            self.writers_turns.append(operation.ticket)

        self.begin(then, Operation("put", items=self.new_items([weight])), body)

    @rule(sizes=some_weights, as_list=st.booleans(), then=steps)
    def put_many(self, sizes: list[int], as_list: bool, then: int) -> None:
        def pulled(operation: Operation) -> Iterator[Item]:
            self.writers_turns.append(operation.ticket)
            yield from operation.items

        async def body(operation: Operation) -> None:
            operation.result = await self.channel.put_many(operation.items if as_list else pulled(operation))

        self.begin(then, Operation("put_many", items=self.new_items(sizes)), body)

    @precondition(lambda self: self.max_bytes is None)
    @rule(sizes=some_weights, limit=st.integers(1, 3), then=steps)
    def fill(self, sizes: list[int], limit: int, then: int) -> None:
        async def body(operation: Operation) -> None:
            await self.channel.wait_for_room()
            self.writers_turns.append(operation.ticket)
            operation.items = operation.items[: min(limit, self.channel.room())]
            operation.result = self.channel.fill(iter(operation.items), limit)

        self.begin(then, Operation("fill", items=self.new_items(sizes)), body)

    @rule(weight=weights)
    def put_nowait(self, weight: int) -> None:
        (item,) = self.new_items([weight])
        could = not self.channel._putters and self.fits(weight)
        try:
            self.channel.put_nowait(item)
        except asyncio.QueueFull:
            assert not could
        except ChannelClosed as error:
            assert self.ended
            self.look_at_refusal(error)
        else:
            assert could
            assert not self.ended
            self.writers_turns.append(next(self.tickets))
            assert self.channel._queue[-1] is item

    @rule(nbytes=weights, then=steps)
    def reserve(self, nbytes: int, then: int) -> None:
        async def body(operation: Operation) -> None:
            async with self.channel.reserve(nbytes) as slot:
                self.writers_turns.append(operation.ticket)
                operation.slot = slot
                try:
                    await operation.leave.wait()
                finally:
                    operation.slot = None

        self.begin(then, Operation("reserve", nbytes=nbytes), body)

    @precondition(lambda self: self.slots())
    @rule(which=st.integers(0, 1_000), weight=weights)
    def put_into_slot(self, which: int, weight: int) -> None:
        slots = self.slots()
        operation = slots[which % len(slots)]
        (item,) = self.new_items([weight])
        may = self.max_bytes is None or weight <= operation.nbytes or self.fits(weight, instead_of=operation)
        try:
            operation.slot.put(item)
        except UsageError:
            assert not may
        except ChannelClosed as error:
            assert self.refusing
            self.look_at_refusal(error)
        else:
            assert may
            assert not self.refusing
            operation.slot = None
            operation.items = [item]

    @precondition(lambda self: self.slots())
    @rule(which=st.integers(0, 1_000))
    def leave_slot(self, which: int) -> None:
        slots = self.slots()
        slots[which % len(slots)].leave.set()

    # --- reading -----------------------------------------------------------------------------------------------------

    def took(self, operation: Operation, items: list[Item]) -> None:
        assert items
        self.readers_turns.append(operation.ticket)
        self.delivered += items
        operation.result = items

    @precondition(lambda self: not self.exclusive)
    @rule(iterating=st.booleans(), then=steps)
    def get(self, iterating: bool, then: int) -> None:
        async def body(operation: Operation) -> None:
            if iterating:
                async for item in self.channel:
                    self.took(operation, [item])
                    break
                else:
                    assert self.ended
                    assert self.gone or self.failure is None
            else:
                self.took(operation, [await self.channel.get()])

        self.begin(then, Operation("get"), body)

    @precondition(lambda self: not self.exclusive)
    @rule(limit=st.one_of(st.none(), st.integers(1, 3)), then=steps)
    def get_many(self, limit: int | None, then: int) -> None:
        async def body(operation: Operation) -> None:
            items = await self.channel.get_many(limit)
            assert len(items) <= (limit or 100)
            self.took(operation, items)

        self.begin(then, Operation("get_many"), body)

    @precondition(lambda self: not self.exclusive)
    @rule()
    def get_nowait(self) -> None:
        queued, owed = len(self.channel._queue), len(self.channel._getters)
        try:
            item = self.channel.get_nowait()
        except asyncio.QueueEmpty:
            assert queued <= owed
        except EndOfChannel:
            assert self.ended
            assert not queued
        except Boom as error:
            self.look_at_failure(error)
        else:
            assert queued > owed
            self.delivered.append(item)

    @precondition(lambda self: self.exclusive and not self.in_hand())
    @rule(limit=st.integers(1, 4), then=steps)
    def grasp(self, limit: int, then: int) -> None:
        if any(operation.kind == "grasp" for operation in self.pending()):
            return  # there is one exclusive reader

        async def body(operation: Operation) -> None:
            await self.channel.wait_for_items()
            queued = list(self.channel._queue)
            if not queued:
                assert self.ended
                return
            self.hand = self.channel.grasp(limit)
            self.released = False
            self.batch = queued[: len(queued) - len(self.channel._queue)]
            assert 1 <= len(self.batch) <= limit
            heavy = self.max_bytes is not None and len(self.batch) > 1
            self.hand_bytes = sum(item.weight for item in self.batch) if heavy else 0
            self.consume_one()

        self.begin(then, Operation("grasp"), body)

    def consume_one(self) -> None:
        item = next(self.hand)
        assert item is self.batch.pop(0)
        self.delivered.append(item)

    def in_hand(self) -> list[Item]:
        return self.batch

    @precondition(lambda self: self.in_hand())
    @rule()
    def consume(self) -> None:
        self.consume_one()

    @precondition(lambda self: self.exclusive and not self.in_hand())
    @rule()
    def release(self) -> None:
        self.channel.release()
        self.hand_bytes = 0
        self.released = True

    # --- ending ------------------------------------------------------------------------------------------------------

    @rule(
        how=st.sampled_from(["close", "fail", "abandon", "shutdown", "shutdown at once"]),
        really=st.integers(0, 2),
        then=steps,
    )
    def end(self, how: str, really: int, then: int) -> None:
        """End it, but in one of three cases only: an open channel has more to show."""
        if really:
            return
        if how == "close":
            self.channel.close()
        elif how == "fail":
            self.fail()
        elif how == "abandon":
            self.abandon()
        else:
            self.shutdown(immediate=how == "shutdown at once")
        self.ended = True
        self.step(then)

    def fail(self) -> None:
        failure = Boom()
        self.channel.fail(failure)
        if not self.ended:
            self.failure = failure

    def abandon(self) -> None:
        expected = [*self.in_hand(), *self.channel._queue]
        assert self.channel.abandon() == expected
        self.discarded += expected
        self.batch = []
        self.hand_bytes = 0
        self.released = True
        self.refusing = self.gone = True

    def shutdown(self, *, immediate: bool) -> None:
        left = list(self.channel._queue) if immediate else []
        self.channel.shutdown(immediate)
        self.discarded += left
        self.refusing = True

    # --- what must hold always ---------------------------------------------------------------------------------------

    def seen(self) -> list[Item]:
        """Return every item that was ever admitted, in order."""
        return [*self.delivered, *self.in_hand(), *self.channel._queue, *self.discarded]

    def used_bytes(self) -> int:
        return self.channel.stats().bytes + sum(operation.nbytes for operation in self.slots())

    def fits(self, weight: int, *, instead_of: Operation | None = None) -> bool:
        others = [operation for operation in self.slots() if operation is not instead_of]
        held = len(self.channel._queue) + len(self.in_hand()) + len(others)
        used = self.channel.stats().bytes + sum(operation.nbytes for operation in others)
        if held >= self.channel.maxsize:
            return False
        if self.max_bytes is None:
            return True
        return used + weight <= self.max_bytes or (weight > 0 and not (used or held))

    @invariant()
    def look(self) -> None:
        for operation in self.operations:
            if operation.task.done() and not operation.task.cancelled():
                operation.task.result()
        self.look_at_the_order()
        self.look_at_the_operations()
        self.look_at_the_books()
        self.look_at_the_bounds()

    def look_at_the_order(self) -> None:
        seen = self.seen()
        assert seen[: len(self.admitted)] == self.admitted, "an item was lost, doubled or moved"
        assert len(set(seen)) == len(seen)
        self.admitted = seen
        assert self.writers_turns == sorted(self.writers_turns), "a writer overtook another"
        assert self.readers_turns == sorted(self.readers_turns), "a reader overtook another"

    def look_at_the_operations(self) -> None:
        for operation in self.operations:
            if not operation.task.done():
                continue
            there = [item for item in self.admitted if item in operation.items]
            assert there == operation.items[: len(there)]
            if operation.kind == "put":
                assert len(there) == operation.returned
            elif operation.returned and operation.kind in {"put_many", "fill"}:
                assert there == operation.items
                assert operation.result == len(there)
        self.operations = [operation for operation in self.operations if not self.is_settled(operation)]

    def is_settled(self, operation: Operation) -> bool:
        return operation.task.done() and operation.kind not in {"put", "put_many", "fill"}

    def look_at_the_books(self) -> None:
        stats = self.channel.stats()
        dropped = stats.discarded - len(self.discarded)
        unfinished = [
            each for each in self.operations if each.kind == "put_many" and each.task.done() and not each.returned
        ]
        assert 0 <= dropped <= (0 if self.max_bytes is None else len(unfinished))
        assert stats.got == len(self.delivered)
        assert stats.items == len(self.channel._queue) + len(self.in_hand())
        assert stats.put == len(self.admitted) + dropped
        assert stats.writers_waiting == len(self.channel._putters)
        assert set(self.channel._wanted) <= {*self.channel._putters}

    def look_at_the_bounds(self) -> None:
        held = len(self.channel._queue) + len(self.in_hand()) + len(self.slots())
        assert held <= self.channel.maxsize
        assert self.channel.room() == self.channel.maxsize - held
        if self.max_bytes is not None:
            queued = sum(item.weight for item in self.channel._queue)
            assert self.channel.stats().bytes == queued + self.hand_bytes
            assert self.used_bytes() <= self.max_bytes or held == 1
        assert self.channel.stats().peak <= self.channel.maxsize

    def look_at_refusal(self, error: ChannelClosed) -> None:
        assert type(error) is (ReaderGone if self.gone else ChannelClosed)

    def look_at_failure(self, error: Boom) -> None:
        assert error is self.failure
        assert not self.channel._queue

    # --- what must hold when nothing is left to run ------------------------------------------------------------------

    def look_for_sleeping_writers(self) -> None:
        waiting = [
            operation
            for operation in self.pending()
            if operation.kind in {"put", "put_many", "fill", "reserve"}
            and operation.slot is None
            and not operation.leave.is_set()
        ]
        used_slots = [operation for operation in waiting if operation.kind == "reserve" and operation.items]
        assert len(waiting) - len(used_slots) == len(self.channel._putters)
        assert not (self.refusing and self.channel._putters)
        if self.channel._putters and self.channel.room() >= self.low_water:
            assert not self.fits(self.channel._wanted.get(self.channel._putters[0], 0)), "a writer sleeps beside room"

    def look_for_sleeping_readers(self) -> None:
        waiting = [operation for operation in self.pending() if operation.kind in {"get", "get_many", "grasp"}]
        assert len(waiting) == len(self.channel._getters)
        if waiting:
            assert not self.channel._queue, "a reader sleeps beside an item"
            over = self.ended and (self.refusing or not (self.channel._putters or self.slots()))
            assert not over, "a reader sleeps after the end"

    def teardown(self) -> None:
        self.settle()
        for operation in self.pending():
            operation.task.cancel()
        for _ in range(4):
            self.iterate()
        assert not self.pending()
        assert not any((self.channel._putters, self.channel._getters, self.channel._wanted, self.slots()))
        self.loop.close()


TestChannel = ChannelMachine.TestCase
TestChannel.settings = hypothesis.settings(
    max_examples=THOROUGH if THOROUGHLY else FAST, stateful_step_count=40, deadline=None
)
