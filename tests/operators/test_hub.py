"""The hub: publishers and subscribers come and go, all get the same items in the same order, the slowest gates."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import streamflow as sf
from streamflow.operators.hub import Hub
from streamflow.testing import Outcome, TrackedSource, cancel_everywhere

FALSY: list[Any] = [0, "", None, False, 0.0, []]


class Broken(Exception):
    """What the tests raise."""


async def settled(steps: int = 100) -> None:
    """Let everything go on as far as it can."""
    for _ in range(steps):
        await asyncio.sleep(0)


async def test_every_subscriber_gets_every_item_in_order() -> None:
    async with asyncio.TaskGroup() as group, Hub[Any](maxsize=2) as hub:
        tasks = [group.create_task(sf.stream(hub.subscribe()).collect()) for _ in range(3)]
        for item in FALSY:
            await hub.put(item)

    for task in tasks:
        assert task.result() == FALSY
        assert list(map(type, task.result())) == list(map(type, FALSY))


async def test_a_subscription_begins_with_the_call_and_a_late_one_sees_only_later_items() -> None:
    """X19."""
    async with Hub[int]() as hub:
        early = hub.subscribe()
        await hub.put(1)
        late = hub.subscribe()
        await hub.put(2)

    assert [item async for item in early] == [1, 2]
    assert [item async for item in late] == [2]


async def test_the_slowest_subscriber_gates_and_the_bound_is_exact() -> None:
    """F12, P1."""
    hub = Hub[int](maxsize=3)
    slow, fast = hub.subscribe(), hub.subscribe(maxsize=100)
    run = asyncio.create_task(sf.pipeline(range(10), hub.sink()))
    await settled()

    assert hub.stats().waiting == 3
    assert fast.stats().waiting == 3  # an item goes to all at once
    assert hub.stats().published == 3
    assert await anext(aiter(slow)) == 0
    await settled()
    assert hub.stats().published >= 4
    slow.close()
    assert await run == 10
    hub.close()
    assert [item async for item in fast] == list(range(10))


async def test_a_subscriber_that_is_dropped_gates_no_more() -> None:
    hub = Hub[int](maxsize=2)
    subscription = hub.subscribe()
    run = asyncio.create_task(sf.pipeline(range(10), hub.sink()))
    await settled()
    assert not run.done()

    del subscription
    gc.collect()

    assert await run == 10
    assert hub.stats().unheard == 8
    assert hub.stats().subscribers == ()


async def test_a_subscriber_that_leaves_or_fails_gates_no_more() -> None:
    """F12."""

    def fails(item: int) -> None:
        raise Broken

    async with asyncio.TaskGroup() as group, Hub[int](maxsize=1) as hub:
        first = group.create_task(sf.stream(hub.subscribe()).first())
        failed = group.create_task(refused(sf.stream(hub.subscribe()).for_each(fails)))
        rest = group.create_task(sf.stream(hub.subscribe()).collect())
        async with hub.subscribe() as never_read:
            assert never_read.stats().state == "open"
        await sf.pipeline(range(10), hub.sink())

    assert (first.result(), failed.result(), rest.result()) == (0, True, list(range(10)))


async def refused(run: Any) -> bool:
    with pytest.raises(Broken):
        await run
    return True


async def test_an_iteration_may_be_left_and_taken_up_again() -> None:
    async with Hub[int]() as hub:
        subscription = hub.subscribe()
        for number in range(5):
            await hub.put(number)
        async for item in subscription:
            if item == 1:
                break
    assert [item async for item in subscription] == [2, 3, 4]


async def test_publishers_come_and_go() -> None:
    async with asyncio.TaskGroup() as group, Hub[int](maxsize=4) as hub:
        task = group.create_task(sf.stream(hub.subscribe()).collect())
        async with hub.publisher() as one, hub.publisher() as other:
            assert hub.stats().publishers == 2
            await asyncio.gather(one.put(1), other.put(2))  # neither can fail
        assert hub.stats().publishers == 0
        assert await sf.pipeline([3, 4], hub.sink()) == 2

    assert task.result() == [1, 2, 3, 4]


async def test_every_subscriber_gets_the_items_of_several_publishers_in_the_same_order() -> None:
    hub = Hub[int](maxsize=1)
    readers = [asyncio.create_task(sf.stream(hub.subscribe(maxsize=size)).collect()) for size in (1, 2, 7)]
    async with asyncio.TaskGroup() as group:
        for start in (0, 100, 200):
            group.create_task(sf.pipeline(range(start, start + 30), hub.sink()))
    hub.close()

    first, *others = [await reader for reader in readers]
    assert sorted(first) == [*range(30), *range(100, 130), *range(200, 230)]
    assert others == [first, first]


async def test_close_lets_subscribers_drain() -> None:
    hub = Hub[int]()
    subscription = hub.subscribe()
    await hub.put(1)
    hub.close()
    hub.close()

    assert [item async for item in subscription] == [1]
    assert [item async for item in hub.subscribe()] == []
    with pytest.raises(sf.ChannelClosed, match="hub is closed"):
        await hub.put(2)
    with pytest.raises(sf.ChannelClosed):
        async with hub.publisher():
            pass


async def test_fail_lets_subscribers_drain_and_then_raises() -> None:
    hub = Hub[int]()
    subscription = hub.subscribe()
    await hub.put(1)
    hub.fail(error := Broken())

    for reader in (subscription, hub.subscribe()):
        with pytest.raises(Broken) as caught:
            await sf.stream(reader).collect()
        assert caught.value is error
    assert hub.stats().state == "failed"
    with pytest.raises(sf.ChannelClosed) as refused:
        await hub.put(2)
    assert refused.value.__cause__ is error


async def test_a_block_that_is_left_by_an_error_is_no_clean_end_for_subscribers() -> None:
    """P5."""
    for error, wanted in ((Broken(), Broken), (asyncio.CancelledError(), sf.StageCancelled)):
        hub = Hub[int]()
        subscription = hub.subscribe()
        with pytest.raises(type(error)):
            await left_by(hub, error)
        with pytest.raises(wanted):
            await sf.stream(subscription).collect()


async def left_by(hub: Hub[int], error: BaseException) -> None:
    async with hub:
        raise error


async def test_a_put_that_waits_when_the_hub_is_closed_has_reached_nobody() -> None:
    hub = Hub[int](maxsize=1)
    slow, fast = hub.subscribe(), hub.subscribe(maxsize=9)
    await hub.put(1)
    put = asyncio.create_task(hub.put(2))
    await settled()
    hub.close()

    assert [item async for item in fast] == [1]
    assert [item async for item in slow] == [1]
    with pytest.raises(sf.ChannelClosed):
        await put


async def test_a_cancelled_put_has_reached_nobody() -> None:
    hub = Hub[int](maxsize=1)
    slow, fast = hub.subscribe(), hub.subscribe(maxsize=9)
    await hub.put(1)
    put = asyncio.create_task(hub.put(2))
    await settled()
    put.cancel()
    with pytest.raises(asyncio.CancelledError):
        await put
    hub.close()

    assert [item async for item in fast] == [item async for item in slow] == [1]


async def test_without_subscribers_items_are_dropped_and_counted() -> None:
    hub = Hub[int]()

    assert await sf.pipeline(range(5), hub.sink()) == 5
    assert (hub.stats().published, hub.stats().unheard) == (5, 5)


async def test_a_put_can_wait_for_a_subscriber() -> None:
    hub = Hub[int](wait_for_subscribers=True)
    run = asyncio.create_task(sf.pipeline(range(5), hub.sink(then="close")))
    await settled()
    assert hub.stats().published == 0

    assert await sf.stream(hub.subscribe()).collect() == list(range(5))
    assert await run == 5


async def test_a_put_that_waits_for_a_subscriber_is_refused_when_the_hub_ends() -> None:
    hub = Hub[int](wait_for_subscribers=True)
    put = asyncio.create_task(hub.put(1))
    await settled()
    hub.close()

    with pytest.raises(sf.ChannelClosed):
        await put


@pytest.mark.parametrize(("overflow", "kept"), [("drop_newest", [0, 1]), ("drop_oldest", [8, 9])])
async def test_a_subscriber_that_drops_does_not_gate_and_is_counted(overflow: Any, kept: list[int]) -> None:
    hub = Hub[int](maxsize=2, overflow=overflow)
    slow, fast = hub.subscribe(), asyncio.create_task(sf.stream(hub.subscribe(overflow="block")).collect())
    await sf.pipeline(range(10), hub.sink(then="close"))

    assert [item async for item in slow] == kept
    assert await fast == list(range(10))
    assert slow.stats().dropped == hub.stats().dropped == 8


async def test_what_a_subscriber_dropped_is_remembered_when_it_has_left() -> None:
    hub = Hub[int](maxsize=2, overflow="drop_newest")
    with_two = hub.subscribe()
    await sf.pipeline(range(5), hub.sink())
    with_two.close()

    assert hub.stats().dropped == 3


async def test_a_subscriber_that_is_too_slow_fails_alone_where_that_is_the_rule() -> None:
    hub = Hub[int](maxsize=2)
    slow, other = hub.subscribe(overflow="fail"), hub.subscribe(maxsize=99)
    await sf.pipeline(range(5), hub.sink(then="close"))

    got: list[int] = []
    with pytest.raises(sf.LimitExceeded, match="subscriber 1 of hub"):
        await sf.stream(slow).for_each(got.append)
    assert got == [0, 1]
    assert [item async for item in other] == list(range(5))


async def test_a_sink_that_closes_the_hub_fails_it_where_its_pipeline_fails() -> None:
    hub = Hub[int]()
    subscription = hub.subscribe()
    with pytest.raises(Broken):
        await sf.pipeline(TrackedSource([1, 2], error=Broken()), hub.sink(then="close"))

    with pytest.raises(Broken):
        await sf.stream(subscription).collect()


async def test_a_sink_that_leaves_the_hub_open_does_not_end_it() -> None:
    hub = Hub[int]()
    subscription = hub.subscribe()
    with pytest.raises(Broken):
        await sf.pipeline(TrackedSource([1, 2], error=Broken()), hub.sink())
    await hub.put(3)
    hub.close()

    assert await sf.stream(subscription).collect() == [1, 2, 3]


async def test_bytes_are_bounded_as_well() -> None:
    """P1."""
    hub = Hub[bytes]()
    slow = hub.subscribe()
    run = asyncio.create_task(sf.pipeline([bytes(400_000)] * 9, hub.sink(then="close")))
    await settled()

    assert slow.stats().waiting == 2
    late = asyncio.create_task(sf.stream(hub.subscribe()).count())
    assert await sf.stream(slow).count() == 9
    assert await late == 7
    await run


async def test_a_hundred_subscribers() -> None:
    hub = Hub[int](maxsize=3)
    tasks = [asyncio.create_task(sf.stream(hub.subscribe()).collect()) for _ in range(100)]
    await sf.pipeline(range(30), hub.sink(then="close"))

    assert [await task for task in tasks] == [list(range(30))] * 100


async def test_a_publisher_that_never_waits_gives_others_a_turn() -> None:
    """P8."""
    hub = Hub[int]()
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    for number in range(1000):
        await hub.put(number)
    counting.cancel()
    assert turns >= 3


async def test_a_publisher_that_was_left_is_refused() -> None:
    hub = Hub[int]()
    async with hub.publisher() as out:
        pass
    with pytest.raises(sf.UsageError, match="publisher was left"):
        await out.put(1)


async def test_hub_and_subscription_say_what_they_are() -> None:
    hub = Hub[int](name="prices")
    subscription = hub.subscribe()
    await hub.put(1)

    assert repr(hub) == "<Hub 'prices': open, 1 subscribers>"
    assert repr(subscription) == "<Subscription 'subscriber 1 of prices': open, 1 items>"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hub(0), "maxsize"),
        (lambda: Hub(overflow="drop"), "overflow must be one of"),  # type: ignore[arg-type]
        (lambda: Hub().sink(then="end"), "close"),  # type: ignore[arg-type]
        (lambda: Hub().sink(then=[]), "close"),  # type: ignore[arg-type]
        (lambda: Hub().subscribe(maxsize=0), "maxsize"),
        (lambda: Hub().subscribe(overflow="x"), "overflow must be one of"),  # type: ignore[arg-type]
        (lambda: Hub().fail("x"), "needs an exception"),  # type: ignore[arg-type]
    ],
)
def test_misuse_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(sf.UsageError, match=message):
        make()


def test_a_hub_cancelled_after_every_step_leaves_nothing_behind_and_nobody_sees_a_part() -> None:
    class Scene:
        def __init__(self) -> None:
            self.hub = Hub[int](maxsize=1)
            self.got: list[list[int]] = [[], []]

        async def __call__(self) -> None:
            subscriptions = [self.hub.subscribe(), self.hub.subscribe()]
            async with asyncio.TaskGroup() as group:
                for got, subscription in zip(self.got, subscriptions, strict=True):
                    group.create_task(sf.stream(subscription).for_each(got.append))
                async with self.hub:
                    await sf.pipeline(itertools.islice(itertools.count(), 4), self.hub.sink())

    def check(scene: Scene, outcome: Outcome) -> None:
        left, right = scene.got
        assert left == list(range(len(left)))
        assert right == list(range(len(right)))
        assert outcome.ended != "returned" or scene.got == [[0, 1, 2, 3]] * 2

    cancel_everywhere(Scene, check)


async def test_a_hub_inside_a_stage() -> None:
    """Both ends at once: a stage that publishes what it passes on."""
    hub = Hub[int](maxsize=2)

    async def publishing(items: Any) -> AsyncIterator[int]:
        async for item in items:
            await hub.put(item)
            yield item
        hub.close()

    reader = asyncio.create_task(sf.stream(hub.subscribe()).collect())
    assert await sf.pipeline(range(9), publishing, sf.count()) == 9
    assert await reader == list(range(9))


async def test_a_subscription_that_is_read_in_two_places_is_an_error() -> None:
    """P10: each would take items from the other."""
    async with sf.Hub[int](8) as hub:
        subscription = hub.subscribe()
        for number in range(4):
            await hub.put(number)
        hub.close()

        with pytest.raises(sf.UsageError, match="Subscribe once for each"):
            await sf.stream(subscription).zip(subscription).collect()


async def test_a_subscription_that_was_left_is_taken_up_again() -> None:
    async with sf.Hub[int](8) as hub:
        subscription = hub.subscribe()
        for number in range(4):
            await hub.put(number)
        hub.close()
        got = []
        for _ in range(2):
            async for number in subscription:
                got.append(number)
                if number == 1:
                    break

    assert got == [0, 1, 2, 3]
