"""The hot path in C counts its references right: after everything that may happen, all is as it was.

`make sanitize` runs these under AddressSanitizer; here the counts of the interpreter are the proof.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from streamflow.channel.storage import speedups, why_pure

if speedups is None:
    pytest.skip(f"no hot path in C: {why_pure}", allow_module_level=True)

Ring, Gate, Items, Pump = speedups.Ring, speedups.Gate, speedups.Items, speedups.Pump


class Boom(Exception):
    pass


class World:
    """What a scenario may use, and whose references are counted."""

    def __init__(self) -> None:
        self.item = object()
        self.pair = (self.item, self.item)
        self.error = Boom()
        self.stop = StopIteration(self.item)
        self.type = type("Type", (), {})
        self.hand: Any = None

    def refill(self) -> Any:
        hand, self.hand = self.hand, None
        return hand if hand is not None else self.wait()

    async def wait(self) -> Any:
        await Pending()

    def halfway(self) -> None:
        pass

    def failing(self) -> None:
        raise self.error

    def of(self, hand: Any, half: int = 1, halfway: Callable[[], None] | None = None) -> Any:
        """Items over a hand."""
        self.hand = hand
        return Items(self.refill, halfway or self.halfway, half)

    def counted(self) -> list[int]:
        gc.collect()
        things = [self, self.item, self.pair, self.error, self.stop, self.type, World.refill, World.failing]
        return [sys.getrefcount(thing) for thing in things]


class Pending:
    def __await__(self):
        yield


def drain(awaitable: Any) -> Any:
    """Drive it by hand until it ends; return the value of its end."""
    try:
        while True:
            awaitable.send(None)
    except StopIteration as stopped:
        return stopped.value


def ring_through(world: World) -> None:
    ring = Ring()
    for _ in range(30):
        ring.append(world.item)
        ring.extend([world.pair] * 3)
        ring.fill(iter([world.error] * 5), 3)
        ring.popleft()
        ring.pop()
        ring.take(3)
        assert ring[0] is not None
        list(ring)
    ring.clear()


def ring_dropped(world: World) -> None:
    ring = Ring()
    ring.extend([world.item] * 100)


def ring_in_a_cycle(world: World) -> None:
    ring = Ring()
    ring.extend([ring, world.item, [ring]])


def ring_with_a_failing_source(world: World) -> None:
    def source():
        yield world.item
        raise Boom

    ring = Ring()
    for fill in (lambda: ring.fill(source(), 5), lambda: ring.extend(source())):
        with contextlib.suppress(Boom):
            fill()
    for wrong in (lambda: ring.fill([world.item], 1), lambda: ring.take(world.item), lambda: ring[100]):
        with contextlib.suppress(TypeError, IndexError):
            wrong()


def gate_through(world: World) -> None:
    gate = Gate()
    for _ in range(5):
        list(gate.over(iter([world.item] * 3)).let(2))
        gate.note()
    gate.over(iter([world.item] * 3))
    next(gate)


def gate_in_a_cycle(world: World) -> None:
    cycle: list[Any] = [world.item]
    cycle.append(Gate().over(iter(cycle)))


def gate_over_failures(world: World) -> None:
    def source():
        yield world.item
        raise Boom

    gate = Gate().over(source())
    for use in (lambda: list(gate), lambda: gate.over(world), lambda: gate.let("x")):
        with contextlib.suppress(Boom, TypeError):
            use()


def items_through(world: World) -> None:
    items = world.of(iter([world.item, world.pair, world.error, world.stop, None]))
    assert [drain(items.__anext__()) for _ in range(5)] == [world.item, world.pair, world.error, world.stop, None]
    with contextlib.suppress(StopAsyncIteration):
        drain(items)


def items_dropped(world: World) -> None:
    items = world.of(iter([world.item] * 5))
    drain(items)
    items = world.of(None)
    items.send(None)  # dropped while it waits


def items_in_a_cycle(world: World) -> None:
    items = world.of(None)
    items.send(None)
    cycle: list[Any] = [world.item]
    cycle.append(Items(lambda: cycle, items.send, 1))


def items_finished(world: World) -> None:
    items = world.of(iter([world.item] * 5))
    drain(items)
    items.finish()
    for _ in range(2):
        with contextlib.suppress(StopAsyncIteration):
            drain(items)


def items_failing(world: World) -> None:
    def failing():
        yield world.item
        raise Boom

    for hand, halfway in ((failing(), None), (world, None), (iter([world.item] * 3), world.failing)):
        items = world.of(hand, 1, halfway)
        for _ in range(3):
            try:
                drain(items)
            except (Boom, TypeError, StopAsyncIteration):
                world.error.__traceback__ = None


def items_thrown(world: World) -> None:
    for args in ((Boom,), (Boom(),), (Boom, "x"), (Boom, world.pair), (5,), (Boom(), 5), (Boom, None, 5)):
        for waits in (True, False):
            items = world.of(None)
            if waits:
                items.send(None)
            with contextlib.suppress(Boom, TypeError):
                items.throw(*args)


def items_that_outlive_a_throw(world: World) -> None:
    async def stubborn():
        try:
            await Pending()
        except Boom:
            return iter([world.item])

    items = Items(stubborn, world.halfway, 1)
    items.send(None)
    item = None
    try:
        items.throw(Boom())
    except StopIteration as stopped:
        item = stopped.value
    assert item is world.item


def items_closed(world: World) -> None:
    items = world.of(iter([world.item] * 3))
    items.close()
    items = world.of(None)
    items.send(None)
    items.close()


def items_reentered(world: World) -> None:
    def hand():
        for use in (items.send, items.throw, lambda _: items.close(), lambda _: items.finish(), lambda _: next(items)):
            with contextlib.suppress(RuntimeError):
                use(Boom())
        yield world.item

    items = world.of(hand())
    drain(items)
    with contextlib.suppress(TypeError):
        Items(world.item)


def pump_of(world: World, generator: Any, *known: type, wake: Any = None) -> Any:
    ring = Ring()
    pump = Pump(generator, ring, deque([1]), wake or world.halfway, set(known))
    pump.left = 10
    return pump


async def give(world: World, *items: Any, pause: bool = False, error: BaseException | None = None) -> Any:
    for item in items:
        if pause:
            await Pending()
        yield item
    if error is not None:
        raise error


def pump_through(world: World) -> None:
    items = [world.item, world.pair, world.error, world.stop, None, world.type()]
    for pause in (True, False):
        pump = pump_of(world, give(world, *items, pause=pause), *map(type, items))
        assert drain(pump) is False
        assert pump.left == 4


def pump_dropped(world: World) -> None:
    pump = pump_of(world, give(world, world.item, world.type()), object)
    assert drain(pump) is True  # holds the second item
    pump = pump_of(world, give(world, world.item, pause=True), object)
    pump.send(None)  # in the middle of a step
    pump.close()


def pump_given(world: World) -> None:
    pump = pump_of(world, give(world, world.type(), world.item))
    drain(pump)
    assert pump.item is pump.give()
    drain(pump)


def pump_failing(world: World) -> None:
    for wake, error in ((world.failing, None), (None, Boom())):
        pump = pump_of(world, give(world, world.item, error=error), object, wake=wake)
        try:
            drain(pump)
        except Boom:
            world.error.__traceback__ = None


def pump_thrown(world: World) -> None:
    for waits in (True, False):
        pump = pump_of(world, give(world, world.item, pause=True), object)
        if waits:
            pump.send(None)
        with contextlib.suppress(Boom):
            pump.throw(Boom())
        pump.close()


def pump_in_a_cycle(world: World) -> None:
    cycle: list[Any] = [world.item]
    cycle.append(pump_of(world, give(world, cycle, world.item), list, wake=lambda: cycle))
    drain(cycle[1])


SCENARIOS = [
    value for name, value in sorted(globals().items()) if name.split("_")[0] in {"ring", "gate", "items", "pump"}
]
SCENARIOS.remove(pump_of)
scenarios = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
pytestmark = [
    pytest.mark.filterwarnings("ignore:the .type, exc, tb. signature:DeprecationWarning"),
    pytest.mark.may_leak(
        "generators", "complaints", reason="generators are dropped in the middle of a step: that is what is counted"
    ),
]


@scenarios
def test_every_reference_is_given_back(scenario):
    world = World()
    before = world.counted()
    for _ in range(5):
        scenario(world)
    after = world.counted()  # not within the assert, which holds on to what is in it
    assert after == before


@scenarios
def test_no_memory_is_kept(scenario):
    """What leaked would show in each lot; what the interpreter keeps for later does not."""
    world = World()
    assert any(_growth(scenario, world, 150) < 50 for _ in range(6))


def _growth(scenario: Callable[[World], None], world: World, times: int) -> int:
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(times):
        scenario(world)
    gc.collect()
    return sys.getallocatedblocks() - before


def test_a_large_ring_gives_its_memory_back():
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            ring = Ring()
            ring.fill(iter(range(100_000)), 100_000)
            ring.take(50_000)
            del ring
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


def test_an_end_costs_no_reference_to_none():
    async def end():
        return None

    before = sys.getrefcount(None)  # it lives for ever, from Python 3.12 on uncounted
    for _ in range(2000):
        with contextlib.suppress(StopAsyncIteration):
            drain(Items(end, print, 1))
    assert abs(sys.getrefcount(None) - before) < 1000


async def test_refcounts_under_a_loop_that_cancels():
    world = World()
    before = world.counted()
    event = asyncio.Event()

    async def wait():
        await event.wait()
        return iter([world.item])

    for turns in range(6):
        items = Items(wait, world.halfway, 1)
        task = asyncio.ensure_future(anext(items))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        del task, items
    await asyncio.sleep(0)
    after = world.counted()  # not within the assert, which holds on to what is in it
    assert after == before


def test_the_types_themselves_are_not_counted_up_or_down():
    before = [sys.getrefcount(kind) for kind in (Ring, Gate, Items, Pump)]
    world = World()
    for scenario in SCENARIOS:
        scenario(world)
    gc.collect()
    assert [sys.getrefcount(kind) for kind in (Ring, Gate, Items, Pump)] == before


def test_a_subclass_of_items_gives_its_class_back():
    class More(Items):
        pass

    before = sys.getrefcount(More)
    for _ in range(10):
        more = More(lambda: None, lambda: None, 1)
        more.cycle = more
    del more
    gc.collect()
    assert sys.getrefcount(More) == before
