"""The four types of the hot path in C, each against the Python that does the same, and against who comes back in."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import itertools
import pickle
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamflow.channel import Channel
from streamflow.channel.storage import speedups, why_pure
from streamflow.engine.reader import Reader

if speedups is None:
    pytest.skip(f"no hot path in C: {why_pure}", allow_module_level=True)

Ring, Gate, Items, Pump = speedups.Ring, speedups.Gate, speedups.Items, speedups.Pump

ODD = {
    "None": None,
    "False": False,
    "an empty tuple": (),
    "a tuple": (1, 2),
    "a tuple of an error": (ValueError("inside"),),
    "an error": ValueError("an item"),
    "the class of an error": ValueError,
    "StopIteration": StopIteration,
    "a StopIteration": StopIteration("value"),
    "a StopAsyncIteration": StopAsyncIteration("value"),
    "a GeneratorExit": GeneratorExit(),
    "a cancellation": asyncio.CancelledError(),
    "a group": ExceptionGroup("g", [ValueError()]),
    "a list": [1],
    "an iterator": iter([1]),
}
odd = pytest.mark.parametrize("item", ODD.values(), ids=ODD.keys())


class Boom(Exception):
    pass


class Thing:
    """Something to which weak references can be made."""


def drop(items: Iterator[Any]) -> None:
    for _ in items:
        pass


def raising(*items: Any, error: BaseException) -> Iterator[Any]:
    yield from items
    raise error


# --- Ring -----------------------------------------------------------------------------------------------------------


class RingIsADeque(RuleBasedStateMachine):
    """Whatever is done to a ring and to a deque, they hold the same."""

    def __init__(self) -> None:
        super().__init__()
        self.ring, self.deque = Ring(), deque()
        self.numbers = itertools.count()

    def some(self, number: int) -> list[int]:
        return list(itertools.islice(self.numbers, number))

    @rule()
    def append(self):
        (item,) = self.some(1)
        self.ring.append(item)
        self.deque.append(item)

    @rule(number=st.integers(0, 20))
    def extend(self, number):
        items = self.some(number)
        self.ring.extend(items)
        self.deque.extend(items)

    @rule(number=st.integers(0, 20), limit=st.integers(0, 20), fails=st.booleans())
    def fill(self, number, limit, fails):
        items = self.some(number)
        source = raising(*items, error=Boom()) if fails else iter(items)
        if fails and limit > number:
            with pytest.raises(Boom):
                self.ring.fill(source, limit)
        else:
            assert self.ring.fill(source, limit) == min(limit, number)
        self.deque.extend(items[:limit])

    @precondition(lambda self: self.deque)
    @rule()
    def popleft(self):
        assert self.ring.popleft() == self.deque.popleft()

    @precondition(lambda self: self.deque)
    @rule()
    def pop(self):
        assert self.ring.pop() == self.deque.pop()

    @rule(limit=st.integers(-1, 30))
    def take(self, limit):
        count = max(0, min(limit, len(self.deque)))
        assert self.ring.take(limit) == [self.deque.popleft() for _ in range(count)]

    @rule()
    def clear(self):
        self.ring.clear()
        self.deque.clear()

    @invariant()
    def they_hold_the_same(self):
        assert list(self.ring) == list(self.deque)
        assert len(self.ring) == len(self.deque)
        assert bool(self.ring) == bool(self.deque)
        for index in (0, -1, len(self.deque), -len(self.deque) - 1):
            assert _at(self.ring, index) == _at(self.deque, index)


def _at(items: Any, index: int) -> Any:
    try:
        return items[index]
    except IndexError:
        return IndexError


TestRingIsADeque = RingIsADeque.TestCase


def test_an_empty_ring_has_nothing_to_pop():
    for pop in (Ring().pop, Ring().popleft):
        with pytest.raises(IndexError, match="empty"):
            pop()
    assert Ring().take(5) == []


def test_a_ring_goes_round_many_times_without_growing():
    ring = Ring()
    ring.extend(range(5))
    size = sys.getsizeof(ring)
    for number in range(5, 1000):
        assert ring.popleft() == number - 5
        ring.append(number)
    assert sys.getsizeof(ring) == size


def test_a_ring_that_grows_while_it_wraps_around_keeps_its_order():
    for before in range(9):
        ring = Ring()
        ring.extend(range(8))
        for _ in range(before):
            ring.popleft()
        ring.extend(range(8, 40))
        assert ring.take(100) == list(range(before, 40))


def test_a_ring_extended_by_itself_ends():
    ring = Ring()
    ring.extend("ab")
    ring.extend(ring)
    assert list(ring) == list("abab")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda ring: ring.fill([1], 1), "needs an iterator, not list"),
        (lambda ring: ring.fill(iter([1])), "an iterator and a limit"),
        (lambda ring: ring.fill(iter([1]), "1"), "integer"),
        (lambda ring: ring.take("1"), "integer"),
        (lambda ring: ring.extend(1), "not iterable"),
        (pickle.dumps, "cannot pickle"),
    ],
)
def test_a_ring_refuses_what_it_cannot_use(call, error):
    with pytest.raises(TypeError, match=error):
        call(Ring())


@odd
def test_a_ring_gives_back_the_very_item(item):
    ring = Ring()
    ring.append(item)
    ring.fill(iter([item, item]), 2)
    assert ring.popleft() is item
    assert ring.pop() is item
    assert ring.take(1)[0] is item


def test_what_a_source_does_to_the_ring_it_fills_is_seen():
    ring = Ring()

    def source():
        yield 1
        ring.clear()
        yield 2
        ring.extend("abcdefghij")
        yield 3
        ring.take(11)
        yield 4

    assert ring.fill(source(), 10) == 4
    assert list(ring) == [3, 4]


def test_items_that_change_the_ring_when_they_are_released():
    ring = Ring()

    class Adder:
        def __del__(self):
            ring.append("late")

    ring.extend([Adder(), Adder(), Adder()])
    ring.clear()
    assert list(ring) == ["late"] * 3


def test_a_collection_in_the_middle_of_a_take_may_empty_the_ring():
    """On 3.11 the collector runs when the list is made; later it waits, and the take has it all."""
    ring = Ring()
    ring.extend(range(4))

    class Cycle:
        def __init__(self):
            self.me = self

        def __del__(self):
            ring.take(3)

    threshold = gc.get_threshold()
    gc.disable()
    try:
        Cycle()
        spare: list[Any] = [[] for _ in range(200)]  # so that the next list is not one that was kept for later
        gc.set_threshold(1)
        gc.enable()
        batch = ring.take(4)
    finally:
        gc.set_threshold(*threshold)
        gc.enable()
    assert len(spare) == 200
    assert batch == [0, 1, 2, 3][-len(batch) :]
    assert len(batch) in (1, 4)


def test_a_ring_that_holds_its_own_holder_is_collected():
    holder = Thing()
    holder.ring = Ring()
    holder.ring.append(holder)
    gone = weakref.ref(holder), weakref.ref(holder.ring)
    del holder
    gc.collect()
    assert [there() for there in gone] == [None, None]


# --- Gate -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(), max_size=20), st.lists(st.integers(0, 8), max_size=8))
def test_a_gate_cuts_as_islice_does(items, cuts):
    source, same = iter(items), iter(items)
    gate = Gate().over(source)
    for cut in cuts:
        assert list(gate.let(cut)) == list(itertools.islice(same, cut))
    assert list(source) == list(same)


@given(st.lists(st.lists(st.integers(), max_size=6), max_size=6), st.integers(0, 20))
def test_a_gate_counts_over_all_it_was_put_over(lists, notes):
    gate = Gate()
    for items in lists:
        assert list(gate.over(iter(items))) == items
    for _ in range(notes):
        gate.note()
    assert gate.count == sum(map(len, lists)) + notes


def test_a_gate_is_dry_when_it_was_asked_for_more_than_it_may_give_and_ended_when_there_is_no_more():
    gate = Gate().over(iter("abc"))
    seen = [(gate.dry, gate.ended, gate.left) for _ in gate.let(2)]
    seen.append((gate.dry, gate.ended, gate.left))
    gate.let(2)
    seen.append((gate.dry, gate.ended, gate.left))
    list(gate)
    seen.append((gate.dry, gate.ended, gate.left))
    assert seen == [
        (False, False, 1),
        (False, False, 0),
        (True, False, 0),
        (False, False, 2),
        (True, True, 1),
    ]
    assert not gate.over(iter("d")).ended


def test_a_gate_passes_an_error_on_and_has_not_ended():
    gate = Gate().over(raising(1, error=Boom()))
    assert next(gate) == 1
    with pytest.raises(Boom):
        next(gate)
    assert not gate.dry
    assert not gate.ended


def test_a_gate_over_nothing_is_empty():
    assert list(Gate()) == []
    assert list(Gate().let(3)) == []


def test_a_gate_that_is_put_over_something_else_while_it_asks():
    gate = Gate()

    def moving():
        yield 1
        gate.over(iter([2, 3]))

    seen = list(gate.over(moving()))
    assert seen == [1]  # the one that moved it had ended
    assert not gate.ended
    assert list(gate) == [2, 3]


def test_a_gate_lets_go_of_what_it_was_over_only_after_it_was_asked():
    gate = Gate()

    class Vanishing:
        def __iter__(self):
            return self

        def __next__(self):
            gate.over(iter([2]))
            return self.__class__.__name__

    gate.over(Vanishing())  # nobody else holds it
    assert list(gate) == ["Vanishing", 2]


@pytest.mark.parametrize("call", [lambda gate: gate.over([1]), lambda gate: gate.let("1")])
def test_a_gate_refuses_what_it_cannot_use(call):
    with pytest.raises(TypeError):
        call(Gate())


# --- Items ----------------------------------------------------------------------------------------------------------


def hands(*batches: Any) -> Callable[[], Any]:
    """Return a `refill` that gives these; an exception is raised, a coroutine function is waited for."""
    left = iter(batches)

    async def end() -> None:
        return None

    def refill() -> Any:
        batch = next(left, end)
        if isinstance(batch, BaseException):
            raise batch
        return batch() if callable(batch) else iter(batch)

    return refill


def make_items(*batches: Any, half: int = 2, halfway: Callable[[], None] = lambda: None) -> Any:
    return Items(hands(*batches), halfway, half)


async def every(items: Any) -> list[Any]:
    return [item async for item in items]


async def test_items_gives_every_hand_in_order_and_ends():
    async def later():
        await asyncio.sleep(0)
        return iter([4, 5])

    items = make_items([1, 2], [], [3], later, [6])
    assert await every(items) == [1, 2, 3, 4, 5, 6]
    assert await every(items) == []


@odd
async def test_items_gives_the_very_item(item):
    async def later():
        await asyncio.sleep(0)
        return iter([item, item])

    seen = await every(make_items([item], later))
    assert len(seen) == 3
    assert all(one is item for one in seen)
    assert await anext(make_items([item])) is item


@odd
@pytest.mark.parametrize("drive", ["next", "send"])
def test_items_driven_by_hand_stops_with_the_item(item, drive):
    awaitable = make_items([item]).__anext__()
    with pytest.raises(StopIteration) as stopped:
        next(awaitable) if drive == "next" else awaitable.send(None)
    assert stopped.value.value is item


def am_send(kind: type[Any]) -> int | None:
    """The address of the slot that gives a value to an `await` without a StopIteration; `None` where it is empty."""
    get_slot = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_int)(("PyType_GetSlot", ctypes.pythonapi))
    number: int | None = get_slot(kind, 81)  # Py_am_send
    return number


async def test_the_readers_iterator_gives_items_without_building_a_stop_iteration():
    kind = type(aiter(Reader(Channel[int](4))))
    assert issubclass(kind, Items)
    assert am_send(kind) == am_send(Items) is not None


async def test_halfway_is_called_once_for_each_hand_before_the_item_after_the_half():
    seen = []
    items = make_items("abcd", "e", "fg", "hij", halfway=lambda: seen.append("|"))
    async for item in items:
        seen.append(item)  # noqa: PERF401  # halfway writes there too
    assert "".join(seen) == "ab|cdefg|hi|j"


async def test_items_goes_on_after_an_error_of_the_hand_the_refill_or_halfway():
    calls = []

    def halfway():
        calls.append(1)
        raise Boom("halfway")

    items = Items(hands(raising(1, error=Boom("hand")), Boom("refill"), [2, 3]), halfway, 1)
    seen = []
    for _ in range(8):
        try:
            seen.append(await anext(items))
        except Boom as error:
            seen.append(str(error))
        except StopAsyncIteration:
            seen.append("end")
    assert seen == [1, "halfway", "hand", "refill", 2, "halfway", 3, "end"]


@pytest.mark.parametrize("batch", [None, 5, "async None", "async 5"])
async def test_a_refill_that_gives_no_hand_is_an_error(batch):
    async def later():
        return 5

    refill = {"async 5": later, "async None": hands()}.get(batch, lambda: batch)
    error = StopAsyncIteration if batch == "async None" else TypeError
    with pytest.raises(error):
        await anext(Items(refill, lambda: None, 1))


async def test_a_cancelled_wait_is_given_up_and_the_next_one_goes_on():
    seen = []

    async def never():
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("given up")

    items = make_items(never, [1])
    waiting = asyncio.ensure_future(anext(items))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert items.cr_await is not None
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert seen == ["given up"]
    assert items.cr_await is None
    assert await every(items) == [1]


async def test_a_wait_that_has_a_hand_in_spite_of_its_cancellation_gives_it():
    async def stubborn():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return iter([(1, 2)])

    items = make_items(stubborn)
    waiting = asyncio.ensure_future(anext(items))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting == (1, 2)


def suspended(items: Any) -> Any:
    """Begin to await it; it waits for something."""
    awaitable = items.__anext__().__await__()
    awaitable.send(None)
    return awaitable


class Pending:
    """An awaitable that passes `None` up, as often as it is told to."""

    def __init__(self, times: int = 1) -> None:
        self.times = times

    def __await__(self):
        for _ in range(self.times):
            yield


def test_a_wait_is_closed_with_whoever_awaits_it():
    seen = []

    async def wait():
        try:
            await Pending()
        except GeneratorExit:
            seen.append("closed")
            raise

    async def caller(items):
        async for _ in items:
            pass

    items = make_items(wait)
    outer = caller(items)
    outer.send(None)
    outer.close()
    assert seen == ["closed"]
    assert items.cr_await is None


def test_a_wait_that_ignores_its_close_is_an_error():
    async def stubborn():
        for _ in range(2):
            with contextlib.suppress(GeneratorExit):
                await Pending()

    items = make_items(stubborn)
    waiting = suspended(items)
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        waiting.close()
    waiting.close()  # it was given up


def test_close_does_nothing_where_nothing_is_awaited():
    items = make_items([1, 2])
    items.close()
    with pytest.raises(StopIteration) as stopped:
        next(items)
    assert stopped.value.value == 1


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize(
    ("args", "error", "text"),
    [
        ((Boom("x"),), Boom, "x"),
        ((Boom,), Boom, ""),
        ((Boom, "x"), Boom, "x"),
        ((Boom, ("x", "y")), Boom, "('x', 'y')"),
        ((Boom, Boom("x")), Boom, "x"),
        ((Boom, None), Boom, ""),
        ((Boom("x"), None, None), Boom, "x"),
        ((GeneratorExit,), GeneratorExit, ""),
        ((5,), TypeError, "int"),
        ((int,), TypeError, "type"),
        ((Boom("x"), "y"), TypeError, ""),
        ((Boom, None, 5), TypeError, "traceback"),
        ((), TypeError, ""),
    ],
)
@pytest.mark.filterwarnings("ignore:the .type, exc, tb. signature:DeprecationWarning")
def test_throw_takes_what_a_generator_takes(waits, args, error, text):
    async def wait():
        await Pending()

    items = make_items(wait, [1])
    if waits:
        suspended(items)
    with pytest.raises(error) as caught:
        items.throw(*args)
    assert text in str(caught.value)
    items.close()


@pytest.mark.filterwarnings("ignore:the .type, exc, tb. signature:DeprecationWarning")
def test_throw_keeps_the_traceback_it_is_given():
    with pytest.raises(Boom) as raised:
        drop(raising(error=Boom()))
    traceback = raised.value.__traceback__
    assert traceback is not None
    for args in ((Boom, Boom(), traceback), (Boom().with_traceback(traceback),)):
        with pytest.raises(Boom) as caught:
            make_items([1]).throw(*args)
        places = []
        at = caught.value.__traceback__
        while at is not None:
            places.append(at)
            at = at.tb_next
        assert traceback in places or places[-1].tb_lineno == traceback.tb_lineno


def test_what_is_yielded_to_a_throw_is_passed_up():
    async def wait():
        try:
            await Pending()
        except Boom:
            await Pending()
        return iter([7])

    waiting = suspended(make_items(wait))
    assert waiting.throw(Boom()) is None
    with pytest.raises(StopIteration) as stopped:
        waiting.send(None)
    assert stopped.value.value == 7


async def test_after_finish_there_is_nothing():
    items = make_items([1, 2, 3])
    assert await anext(items) == 1
    items.finish()
    items.finish()
    assert await every(items) == []
    with pytest.raises(StopAsyncIteration):
        next(items)


def reentrant(use: Callable[[Any], Any], where: str) -> tuple[Any, list[str]]:
    """Items that is used from within itself: by the hand, the refill, halfway or the wait."""
    refused: list[str] = []

    def within() -> None:
        try:
            use(items)
        except RuntimeError as error:
            refused.append(str(error))

    def hand():
        if where == "hand":
            within()
        yield from (1, 2, 3)

    async def wait():
        if where == "wait":
            await Pending()
            within()
        return hand()

    def refill():
        if where == "refill":
            within()
        return None if refused and where == "never" else batches.pop()()

    async def end():
        return None

    batches = [end, hand, wait]
    items = Items(refill, within if where == "halfway" else lambda: None, 2)
    return items, refused


@pytest.mark.parametrize("where", ["hand", "refill", "halfway", "wait"])
@pytest.mark.parametrize(
    "use",
    [
        lambda items: items.send(None),
        next,
        lambda items: items.throw(Boom()),
        lambda items: items.close(),
        lambda items: items.finish(),
        lambda items: items.__await__(),
    ],
    ids=["send", "next", "throw", "close", "finish", "await"],
)
async def test_items_refuses_to_be_used_from_within_itself_and_loses_nothing(where, use):
    items, refused = reentrant(use, where)
    assert await every(items) == [1, 2, 3, 1, 2, 3]
    assert refused
    assert all("already running" in text for text in refused)


async def test_items_refuses_a_second_task_while_the_first_one_waits():
    event = asyncio.Event()

    async def wait():
        await event.wait()
        return iter([1, 2])

    items = make_items(wait)
    first = asyncio.ensure_future(every(items))
    await asyncio.sleep(0)
    for attempt in (lambda: anext(items), lambda: every(items)):
        with pytest.raises(RuntimeError, match="already running"):
            await attempt()
    with pytest.raises(RuntimeError, match="already running"):
        items.finish()
    event.set()
    assert await first == [1, 2]


async def test_items_can_be_a_task_itself():
    """`create_task(anext(generator))` works, and so does this."""

    async def wait():
        await asyncio.sleep(0)
        return iter([2])

    items = make_items([1], wait)
    assert await asyncio.create_task(anext(items)) == 1
    task = asyncio.create_task(anext(items))
    assert "Items" in repr(task)
    assert await task == 2
    dropped = asyncio.create_task(anext(items))
    dropped.cancel()  # before its first step
    with pytest.raises(asyncio.CancelledError):
        await dropped
    assert await every(items) == []


async def test_items_under_a_trace_function_gives_the_same():
    """With one, `async for` takes another way through the interpreter."""

    async def later():
        await asyncio.sleep(0)
        return iter([(), StopIteration(3), None])

    before = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        seen = await every(make_items([(1, 2), None], later))
    finally:
        sys.settrace(before)
    assert seen[:2] == [(1, 2), None]
    assert isinstance(seen[3], StopIteration)
    assert seen[2::2] == [(), None]


def test_items_and_the_reader_that_holds_it_are_collected():
    class Holder:
        def __init__(self):
            self.items = Items(self.refill, self.halfway, 1)

        def refill(self):
            return self.wait()

        def halfway(self):
            pass

        async def wait(self):
            await Pending()

    holder = Holder()
    suspended(holder.items)
    gone = weakref.ref(holder)
    del holder
    gc.collect()
    assert gone() is None


# --- Pump -----------------------------------------------------------------------------------------------------------


class Pumping:
    """A pump with what belongs to it."""

    def __init__(self, generator: Any, *known: type) -> None:
        self.ring = Ring()
        self.getters: deque[Any] = deque()
        self.woken = 0
        self.known = set(known)
        self.generator = generator
        self.pump = Pump(generator, self.ring, self.getters, self.wake, self.known)

    def wake(self) -> None:
        self.woken += 1

    async def all(self, room: int = 1 << 30) -> list[Any]:
        """Pump to the end; every type is fine, and there is room for so many at a time."""
        decisions = []
        while await self.pump:
            decisions.append(self.pump.item)
            self.known.add(type(self.pump.item))
            if self.pump.left <= 0:
                self.pump.left = room
        self.decisions = decisions
        return list(self.ring)


async def numbers(limit: int = 10, pause: int = 0) -> Any:
    for number in range(limit):
        if pause and number % pause == 0:
            await asyncio.sleep(0)
        yield number


@pytest.mark.parametrize("pause", [0, 1, 3])
@pytest.mark.parametrize("room", [1, 2, 5, 100])
async def test_a_pump_puts_every_item_in_order_within_the_room(room, pause):
    pumping = Pumping(numbers(10, pause), int)
    assert await pumping.all(room) == list(range(10))
    assert pumping.pump.left == -(-10 // room) * room - 10
    assert len(pumping.decisions) == -(-10 // room)
    assert not await pumping.pump


@odd
async def test_a_pump_puts_the_very_item(item):
    async def generator():
        yield item
        await asyncio.sleep(0)
        yield item

    seen = await Pumping(generator()).all()
    assert len(seen) == 2
    assert all(one is item for one in seen)


async def test_a_pump_asks_for_every_type_it_does_not_know():
    async def generator():
        for item in (1, 2, "a", 3, "b", 4.0, True):
            yield item

    pumping = Pumping(generator(), int)
    assert await pumping.all() == [1, 2, "a", 3, "b", 4.0, True]
    assert pumping.decisions == [1, "a", 4.0, True]


async def test_what_a_pump_holds_can_be_taken_out_of_its_hand():
    pumping = Pumping(numbers(3))
    with pytest.raises(RuntimeError, match="holds no item"):
        pumping.pump.give()
    assert await pumping.pump
    assert pumping.pump.item == 0
    assert pumping.pump.give() == 0
    assert pumping.pump.item is None
    assert await pumping.all() == [1, 2]


async def test_a_pump_wakes_once_until_it_has_waited():
    pumping = Pumping(numbers(6, 3), int)
    pumping.getters.append("somebody")
    pumping.pump.left = 100
    assert not await pumping.pump
    assert pumping.woken == 2


async def test_an_error_of_the_generator_comes_after_its_items():
    async def generator():
        yield 1
        raise Boom

    pumping = Pumping(generator(), int)
    pumping.pump.left = 5
    with pytest.raises(Boom):
        await pumping.pump
    assert list(pumping.ring) == [1]
    assert not await pumping.pump  # the generator is over


@pytest.mark.parametrize("error", [StopIteration, StopAsyncIteration])
async def test_a_generator_that_raises_an_end_is_an_error(error):
    async def generator():
        yield 1
        raise error

    pumping = Pumping(generator(), int)
    with pytest.raises(RuntimeError, match="raised Stop"):
        await pumping.all()


async def test_an_error_of_the_wake_goes_up():
    pumping = Pumping(numbers(3), int)
    pumping.pump.left = 5
    pumping.getters.append(1)
    broken = Pump(pumping.generator, pumping.ring, pumping.getters, lambda: 1 / 0, {int})
    broken.left = 5
    with pytest.raises(ZeroDivisionError):
        await broken
    assert list(pumping.ring) == [0]
    await pumping.generator.aclose()


async def test_a_cancelled_step_goes_into_the_generator():
    seen = []

    async def generator():
        try:
            yield 1
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    pumping = Pumping(generator(), int)
    task = asyncio.ensure_future(pumping.all())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]
    assert list(pumping.ring) == [1]


async def test_a_generator_that_takes_a_cancellation_for_an_item_goes_on():
    async def generator():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield "cancelled"
        yield "after"

    pumping = Pumping(generator(), str)
    task = asyncio.ensure_future(pumping.all())
    await asyncio.sleep(0)
    task.cancel()
    assert await task == ["cancelled", "after"]


async def test_a_pump_refuses_to_be_used_from_within_its_generator():
    refused = []

    async def generator():
        for number in range(3):
            for use in (
                lambda: pumping.pump.send(None),
                lambda: next(pumping.pump),
                lambda: pumping.pump.throw(Boom()),
                pumping.pump.close,
                pumping.pump.give,
                pumping.pump.__await__,
            ):
                with pytest.raises(RuntimeError, match="already running"):
                    use()
                refused.append(1)
            yield number

    pumping = Pumping(generator(), int)
    assert await pumping.all() == [0, 1, 2]
    assert len(refused) == 18


async def test_a_metaclass_that_uses_the_pump_when_asked_for_a_hash():
    class Meddling(type):
        def __hash__(cls):
            if running:
                with pytest.raises(RuntimeError, match="already running"):
                    pumping.pump.give()
            return 1

        def __eq__(cls, other):
            pumping.known.clear()
            return False

    def make():
        return Meddling("Made", (), {})()  # a class of its own, which only its item holds

    async def generator():
        yield make()
        yield make()

    running = []
    pumping = Pumping(generator(), int)
    pumping.known.add(make().__class__)
    for _ in range(2):
        running.append(1)
        assert await pumping.pump
        running.clear()
        assert type(pumping.pump.give()).__name__ == "Made"
    assert not await pumping.pump


async def test_a_metaclass_that_cannot_be_hashed_is_an_error_and_the_item_stays_in_hand():
    class Unhashable(type):
        __hash__ = None

    class Item(metaclass=Unhashable):
        pass

    async def generator():
        yield Item()

    pumping = Pumping(generator(), int)
    with pytest.raises(TypeError, match="unhashable"):
        await pumping.pump
    assert isinstance(pumping.pump.give(), Item)
    await pumping.generator.aclose()


async def test_a_generator_may_empty_the_ring_that_is_being_filled():
    async def generator():
        for number in range(20):
            if number == 10:
                pumping.ring.clear()
            yield number

    pumping = Pumping(generator(), int)
    assert await pumping.all() == list(range(10, 20))


@pytest.mark.parametrize(
    "args",
    [
        (iter([]), Ring(), deque(), print, set()),
        (None, deque(), deque(), print, set()),
        (None, Ring(), deque(), print, []),
        (),
    ],
)
async def test_a_pump_refuses_what_it_cannot_use(args):
    generator = numbers(0)
    given_args = tuple(generator if arg is None else arg for arg in args)
    with pytest.raises(TypeError):
        Pump(*given_args)
    await generator.aclose()


@pytest.mark.may_leak(
    "generators", "complaints", reason="it is dropped in the middle of a step, as a test of just that"
)
async def test_a_pump_and_its_generator_are_collected_in_the_middle_of_a_step():
    async def generator():
        yield 1
        await asyncio.sleep(0)
        yield 2

    pumping = Pumping(generator(), int)
    pumping.me = pumping
    pumping.pump.left = 5
    pumping.pump.send(None)
    gone = weakref.ref(pumping)
    del pumping
    gc.collect()
    assert gone() is None
