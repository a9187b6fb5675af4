"""Shared streams: one upstream, many clients, each at its pace; slow ones gate, lose, skip or go, and are counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

import streamflow as sf
from streamflow.testing import Outcome, cancel_everywhere
from streamflow.web.shared import Shared, Slow

virtual = pytest.mark.virtual_time


class Broken(Exception):
    """What the upstreams of the tests fail with."""


class Feed:
    """An upstream that counts how often it was opened and closed, and what it gave."""

    def __init__(self, every: float = 1.0, end: int | None = None, error: Exception | None = None) -> None:
        self.every, self.end, self.error = every, end, error
        self.opened = self.closed = self.given = 0

    def source(self) -> sf.Source[int]:
        return sf.Source(self._open, name="feed", output_capacity=1)

    async def _open(self) -> AsyncGenerator[int, None]:
        self.opened += 1
        try:
            number = 0
            while self.end is None or number < self.end:
                yield number
                self.given = number = number + 1
                await asyncio.sleep(self.every)
            if self.error is not None:
                raise self.error
        finally:
            await asyncio.sleep(0)
            self.closed += 1


async def taken(items: sf.Stream[int], count: int, pause: float = 0.0) -> list[int]:
    """What a client gets that takes so many items, with a pause after each."""
    got = []
    async with items.open(maxsize=1) as opened:
        async for item in opened:
            got.append(item)
            if len(got) == count:
                break
            await asyncio.sleep(pause)
    return got


# --- when the upstream runs ----------------------------------------------------------------------------------------


@virtual
async def test_the_upstream_starts_with_the_first_client_and_is_closed_when_the_last_has_left() -> None:
    feed = Feed()
    async with Shared(feed.source()) as shared:
        await asyncio.sleep(10)
        assert (feed.opened, shared.stats().state) == (0, "idle")

        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(taken(shared.stream(), count)) for count in (3, 5)]
        await asyncio.sleep(1)

        assert [client.result() for client in clients] == [[0, 1, 2], [0, 1, 2, 3, 4]]
        assert (feed.opened, feed.closed) == (1, 1)
        stats = shared.stats()
        assert (stats.state, stats.sessions, stats.left, stats.clients) == ("idle", 1, 2, ())

        assert await taken(shared.stream(), 2) == [0, 1]
    assert (feed.opened, feed.closed) == (2, 2)


@virtual
async def test_it_lingers_for_a_client_that_comes_back() -> None:
    feed = Feed()
    async with Shared(feed.source(), linger=5.0) as shared:
        assert await taken(shared.stream(), 2) == [0, 1]
        await asyncio.sleep(3)
        assert (await taken(shared.stream(), 1))[0] >= 4
        assert (feed.opened, feed.closed) == (1, 0)
        await asyncio.sleep(6)
        assert (feed.opened, feed.closed) == (1, 1)


@virtual
async def test_it_can_run_as_long_as_the_application() -> None:
    feed = Feed()
    async with Shared(feed.source(), start="app") as shared:
        await asyncio.sleep(10.5)
        assert feed.given == 11
        assert await taken(shared.stream(), 2) == [11, 12]
        await asyncio.sleep(5)
        assert (feed.opened, feed.closed) == (1, 0)
        assert shared.stats().items > 15
    assert (feed.opened, feed.closed) == (1, 1)


@virtual
async def test_a_client_that_comes_while_the_last_upstream_is_being_closed_joins_the_next() -> None:
    feed = Feed()
    async with Shared(feed.source()) as shared:
        for _ in range(5):
            assert await taken(shared.stream(), 1) == [0]
        await asyncio.sleep(1)
        assert feed.opened == feed.closed


@virtual
async def test_when_the_upstream_ends_its_clients_end_and_the_next_one_starts_it_anew() -> None:
    feed = Feed(end=3)
    async with Shared(feed.source(), start="app") as shared:
        assert await shared.stream().collect() == [0, 1, 2]
        await asyncio.sleep(10)
        assert feed.opened == 1
        assert await shared.stream().collect() == [0, 1, 2]
        assert feed.opened == 2


@virtual
async def test_when_the_upstream_fails_its_clients_get_the_error_after_the_items_before_it() -> None:
    feed = Feed(end=2, error=Broken("the feed is gone"))
    async with Shared(feed.source()) as shared:
        got: list[int] = []
        with pytest.raises(Broken, match="the feed is gone"):
            await shared.stream().tap(got.append).run()
        await asyncio.sleep(1)

        assert got == [0, 1]
        assert shared.stats().state == "failed"
        assert shared.stats().error == "Broken: the feed is gone"
        feed.error = None
        assert await shared.stream().collect() == [0, 1]
        await asyncio.sleep(1)
        assert (shared.stats().state, shared.stats().items) == ("idle", 4)


@virtual
async def test_at_the_end_of_the_block_the_upstream_is_closed_and_the_streams_of_clients_end() -> None:
    feed = Feed()
    async with asyncio.TaskGroup() as group:
        async with Shared(feed.source()) as shared:
            clients = [group.create_task(shared.stream().collect()) for _ in range(3)]
            await asyncio.sleep(4.5)
        assert feed.closed == 1

    assert [client.result() for client in clients] == [[0, 1, 2, 3, 4]] * 3
    assert await shared.stream().collect() == []
    assert shared.stats().state == "closed"


async def test_it_is_read_inside_its_block_only() -> None:
    shared = Shared([1, 2])
    with pytest.raises(sf.UsageError, match=r"lifespan\(shared="):
        await shared.stream().collect()
    async with shared:
        with pytest.raises(sf.UsageError, match="open already"):
            await shared.__aenter__()


# --- clients that are too slow -------------------------------------------------------------------------------------


@virtual
async def test_a_slow_client_gates_the_others_where_that_is_the_rule() -> None:
    feed = Feed(every=0.01)
    async with Shared(feed.source(), maxsize=4, slow="gate") as shared, asyncio.TaskGroup() as group:
        fast = group.create_task(taken(shared.stream(), 30))
        slow = group.create_task(taken(shared.stream(), 20, pause=1.0))
        await asyncio.sleep(10.5)
        assert feed.given < 25
        assert await slow == list(range(20))
        assert await fast == list(range(30))
        assert shared.stats().dropped == 0


@pytest.mark.parametrize("rule", ["drop_oldest", "drop_newest", "latest"])
@virtual
async def test_a_slow_client_loses_items_and_nobody_else_does(rule: Slow) -> None:
    feed = Feed(every=0.1)
    async with Shared(feed.source(), maxsize=4, slow="gate") as shared, asyncio.TaskGroup() as group:
        fast = group.create_task(taken(shared.stream(), 100))
        slow = group.create_task(taken(shared.stream(slow=rule, name="phone"), 10, pause=1.0))
        await asyncio.sleep(5)
        (client,) = [client for client in shared.stats().clients if client.name.startswith("phone")]
        assert client.dropped > 20
        got = await slow
        dropped = shared.stats().dropped
        assert await fast == list(range(100))
        assert shared.stats().left == 2

    assert got == sorted(set(got))
    assert dropped >= 60
    # Two items are on their way to it, each a second old when it takes the next one; and those that wait.
    behind = {"latest": 21, "drop_oldest": 25, "drop_newest": 60}[rule]
    assert 90 - got[-1] <= behind


@virtual
async def test_the_latest_item_is_what_a_client_gets_that_comes_back_to_its_socket() -> None:
    feed = Feed(every=0.01)
    async with (
        Shared(feed.source(), slow="latest", maxsize=1000) as shared,
        shared.stream().open() as items,
    ):
        await anext(items)
        await asyncio.sleep(60)
        got = [await anext(items) for _ in range(5)]
    assert got[-1] > 5900
    assert sum(number < 5900 for number in got) <= 3  # those that were on their way to it


@virtual
async def test_a_slow_client_is_sent_away_where_that_is_the_rule() -> None:
    feed = Feed(every=0.1)
    async with Shared(feed.source(), maxsize=4, slow="end") as shared, asyncio.TaskGroup() as group:
        fast = group.create_task(taken(shared.stream(), 60))
        with pytest.raises(sf.LimitExceeded, match="too slow"):
            await taken(shared.stream(), 10, pause=1.0)
        assert shared.stats().ended == 1
        assert shared.stats().dropped == 1
        assert await fast == list(range(60))
        assert shared.stats().ended == 1


@virtual
async def test_a_client_that_leaves_is_forgotten_and_gates_no_more() -> None:
    feed = Feed(every=0.1)
    async with Shared(feed.source(), maxsize=2) as shared:
        task = asyncio.create_task(taken(shared.stream(), 100, pause=1000.0))
        other = asyncio.create_task(taken(shared.stream(), 50))
        await asyncio.sleep(20)
        assert len(shared.stats().clients) == 2
        assert not other.done()

        task.cancel()
        await asyncio.wait([task])
        assert len(shared.stats().clients) == 1
        assert await other == list(range(50))


@virtual
async def test_one_that_is_never_read_is_no_client() -> None:
    feed = Feed()
    async with Shared(feed.source()) as shared:
        unread = shared.stream()
        async with shared.stream().open():
            await asyncio.sleep(5)
        assert (feed.opened, shared.stats().clients) == (0, ())
        assert await unread.first() == 0


@virtual
async def test_a_newcomer_can_be_greeted_with_what_is_known_already() -> None:
    feed = Feed()
    async with Shared(feed.source(), start="app") as shared:
        await asyncio.sleep(4.5)
        assert await taken(shared.stream().prepend(-1), 3) == [-1, 5, 6]


@virtual
async def test_the_upstream_is_no_part_of_the_run_of_the_client_that_started_it() -> None:
    """A client is counted by itself: what others get is not in its account."""
    feed = Feed()
    async with Shared(feed.source()) as shared:
        job = shared.stream().take(2).to(sf.collect())
        assert await job.run() == [0, 1]
        assert all("feed" not in nested.name for nested in job.stats().nested)


def test_cancelled_at_any_moment_it_leaves_nothing() -> None:
    """H76."""

    class Scenario:
        def __init__(self) -> None:
            self.feed = Feed()

        async def __call__(self) -> None:
            async with Shared(self.feed.source()) as shared:
                assert await taken(shared.stream(), 2) == [0, 1]

    def check(scenario: Scenario, outcome: Outcome) -> None:
        assert scenario.feed.opened == scenario.feed.closed
        assert outcome.ended == "cancelled" or scenario.feed.opened == 1

    assert cancel_everywhere(Scenario, check, stride=2) > 20


@pytest.mark.parametrize(
    "options", [{"maxsize": 0}, {"slow": "block"}, {"start": "now"}, {"linger": -1}, {"source": 3}], ids=str
)
def test_what_cannot_mean_anything_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(sf.UsageError):
        Shared(**{"source": [1], **options})


@pytest.mark.parametrize("options", [{"maxsize": 0}, {"slow": "block"}], ids=str)
def test_a_rule_of_a_client_that_cannot_mean_anything_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(sf.UsageError):
        Shared([1]).stream(**options)
