"""The supervisor: pipelines start, are restarted with backoff, tell their health, and are drained at the end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Any

import pytest

import streamflow as sf
from streamflow.serving.restarting import Restart, Restarts
from streamflow.serving.supervisor import Supervisor
from streamflow.testing import Outcome, cancel_everywhere

virtual = pytest.mark.virtual_time
CALM = sf.Backoff(first=1.0, factor=2.0, most=60.0, jitter=False)


class Broken(Exception):
    """What the pipelines of the tests fail with."""


class Ledger:
    """A sink that commits: what it got counts only when it ended cleanly."""

    def __init__(self) -> None:
        self.committed: list[list[Any]] = []
        self.aborted = 0
        self.closed = 0

    def sink(self) -> sf.Sink[Any, int]:
        async def kept(items: AsyncIterable[Any]) -> int:
            got: list[Any] = []
            try:
                got += [item async for item in items]
            except BaseException:
                self.aborted += 1
                raise
            else:
                self.committed.append(got)
            finally:
                self.closed += 1
            return len(got)

        return sf.Sink(kept, name="ledger")


def ticks(seconds: float = 1.0) -> Callable[[], AsyncGenerator[int, None]]:
    """A source without an end."""

    async def ticking() -> AsyncGenerator[int, None]:
        number = 0
        while True:
            yield number
            number += 1
            await asyncio.sleep(seconds)

    return ticking


def endless(ledger: Ledger) -> sf.Pipeline[int]:
    return sf.Pipeline(sf.Source(ticks(), name="ticks"), ledger.sink())


class Failing:
    """Makes pipelines that fail at once, so often, and notes when."""

    def __init__(self, times: int, after: float = 0.0) -> None:
        self.times = times
        self.after = after
        self.starts: list[float] = []

    def __call__(self) -> sf.Pipeline[Any]:
        self.starts.append(asyncio.get_running_loop().time())
        return sf.Pipeline(sf.Source(self.open, name="flaky"), sf.drain())

    async def open(self) -> AsyncGenerator[int, None]:
        if self.after:
            await asyncio.sleep(self.after)
        if len(self.starts) <= self.times:
            raise Broken("no route to the queue")
        yield 1
        await asyncio.Event().wait()


# --- starting and restarting ---------------------------------------------------------------------------------------


@virtual
async def test_a_pipeline_that_fails_is_started_again_after_growing_pauses() -> None:
    flaky = Failing(3)
    async with Supervisor({"flaky": flaky}, restart=Restart(backoff=CALM)) as supervisor:
        await asyncio.sleep(20)

        assert flaky.starts == pytest.approx([0.0, 1.0, 3.0, 7.0], abs=1e-3)
        status = supervisor.stats()["flaky"]
        assert (status.state, status.runs, status.failures) == ("running", 4, 3)
        assert status.error == "Broken: no route to the queue"
        assert supervisor.health().healthy


@virtual
async def test_too_many_failures_in_the_window_are_a_failure_for_good(caplog: pytest.LogCaptureFixture) -> None:
    flaky = Failing(99)
    supervisor = Supervisor({"flaky": flaky}, restart=Restart(max_restarts=2, within=60.0, backoff=CALM))
    async with supervisor:
        await supervisor.wait()

        assert len(flaky.starts) == 3
        assert not supervisor.health().healthy
        assert not supervisor.ready
        assert supervisor.health().states == {"flaky": "failed"}
    records = [record for record in caplog.records if record.name == "streamflow.serving"]
    assert [record.levelno for record in records] == [logging.WARNING, logging.WARNING, logging.ERROR]
    assert [(record.pipeline, record.event) for record in records] == [  # type: ignore[attr-defined]  # by extra=
        ("flaky", "restarting"),
        ("flaky", "restarting"),
        ("flaky", "failed"),
    ]
    assert "restart 2 of 2 within 60 s" in records[1].getMessage()


@virtual
async def test_failures_that_lie_far_apart_never_add_up_and_the_pause_is_short_again() -> None:
    flaky = Failing(6, after=100.0)
    rule = Restart(max_restarts=1, within=50.0, backoff=CALM)
    async with Supervisor({"flaky": flaky}, restart=rule) as supervisor:
        await asyncio.sleep(1000)

        assert flaky.starts == pytest.approx([101.0 * n for n in range(7)], abs=1e-2)
        assert supervisor.health().healthy


@pytest.mark.parametrize("most", [0, None])
@virtual
async def test_restarts_can_be_ruled_out_and_without_limit(most: int | None) -> None:
    flaky = Failing(50)
    rule = Restart(max_restarts=most, backoff=sf.Backoff(first=1, factor=1, jitter=False))
    async with Supervisor({"flaky": flaky}, restart=rule) as supervisor:
        await asyncio.sleep(100)

        assert len(flaky.starts) == (1 if most == 0 else 51)
        assert supervisor.health().healthy is (most is None)


@virtual
async def test_a_mistake_that_no_restart_mends_fails_at_once() -> None:
    starts = []

    def mistaken() -> Any:
        starts.append(1)
        return sf.Pipeline([1], sf.count(), maxsize=0)

    async with Supervisor({"mistaken": mistaken, "no pipeline": lambda: 3}) as supervisor:  # type: ignore[dict-item, return-value]  # the mistake
        await supervisor.wait()

        stats = supervisor.stats()
        assert starts == [1]
        assert [status.state for status in stats.values()] == ["failed", "failed"]
        assert "returned int, not a Pipeline" in str(stats["no pipeline"].error)


@virtual
async def test_a_pipeline_that_ends_by_itself_is_finished_or_goes_on_forever() -> None:
    def short() -> sf.Pipeline[int]:
        return sf.Pipeline(range(5), sf.count())

    supervisor = Supervisor({"once": short})
    supervisor.add("again", short, restart=Restart(forever=True, backoff=CALM))
    async with supervisor:
        await asyncio.sleep(10.5)

        once, again = supervisor.stats()["once"], supervisor.stats()["again"]
        assert (once.state, once.runs) == ("finished", 1)
        assert (again.runs, again.failures) == (11, 0)
        assert again.state == "restarting"
        assert again.starts_in == pytest.approx(0.5, abs=0.01)
        assert supervisor.ready
        assert supervisor.health().healthy


@virtual
async def test_one_that_fails_for_good_disturbs_no_other() -> None:
    ledger = Ledger()
    recipes = {"bad": Failing(99), "good": lambda: endless(ledger)}
    async with Supervisor(recipes, restart=Restart(max_restarts=0)) as supervisor:
        await asyncio.sleep(9.5)
        assert supervisor.health().states == {"bad": "failed", "good": "running"}

    assert ledger.committed == [list(range(10))]


@virtual
async def test_the_function_may_be_async_and_a_pipeline_object_is_run_again() -> None:
    async def made() -> sf.Pipeline[int]:
        await asyncio.sleep(1)
        return sf.Pipeline(range(3), sf.count())

    supervisor = Supervisor({"made": made, "object": sf.Pipeline(range(4), sf.count())})
    for _ in range(2):
        async with supervisor:
            assert supervisor.stats()["made"].run is None
            await supervisor.wait()
            runs = [status.run for status in supervisor.stats().values()]
            assert [run.stages[-1].items_in for run in runs if run is not None] == [3, 4]


@virtual
async def test_a_cancellation_that_nobody_asked_for_is_a_failure_not_an_end() -> None:
    async def made() -> sf.Pipeline[int]:
        raise asyncio.CancelledError

    async with Supervisor({"made": made}, restart=Restart(max_restarts=0)) as supervisor:
        await supervisor.wait()
        assert supervisor.stats()["made"].state == "failed"
        assert "nobody cancelled it" in str(supervisor.stats()["made"].error)


@virtual
async def test_a_pipeline_can_be_added_while_the_others_run() -> None:
    ledger = Ledger()
    async with Supervisor() as supervisor:
        await asyncio.sleep(5)
        supervisor.add("late", lambda: endless(ledger))
        await asyncio.sleep(2.5)
        assert supervisor.stats()["late"].state == "running"
        with pytest.raises(sf.UsageError, match="already"):
            supervisor.add("late", lambda: endless(ledger))

    assert ledger.committed == [[0, 1, 2]]
    async with supervisor:
        await supervisor.stop()
        with pytest.raises(sf.UsageError, match="is stopping"):
            supervisor.add("later", lambda: endless(ledger))


# --- readiness -----------------------------------------------------------------------------------------------------


@virtual
async def test_it_is_ready_when_each_has_got_going_by_an_item_or_by_running_for_a_while() -> None:
    async def quiet() -> AsyncGenerator[int, None]:
        await asyncio.Event().wait()
        yield 1

    recipes = {"busy": lambda: endless(Ledger()), "quiet": lambda: sf.Pipeline(sf.Source(quiet), sf.drain())}
    supervisor = Supervisor(recipes, steady=5.0)
    assert not supervisor.ready
    async with supervisor:
        assert not supervisor.ready
        await asyncio.sleep(1)
        begun = {name: status.begun for name, status in supervisor.stats().items()}
        assert begun == {"busy": True, "quiet": False}
        assert not supervisor.ready
        await asyncio.sleep(5)
        assert supervisor.ready
        supervisor.stopping.set()
        assert not supervisor.ready
    assert not supervisor.ready


@virtual
async def test_one_that_fails_before_it_got_going_is_not_ready_and_one_that_had_got_going_stays_so() -> None:
    flaky, later = Failing(3), Failing(1, after=2.0)
    rule = Restart(backoff=CALM)
    async with Supervisor({"flaky": flaky, "later": later}, restart=rule, steady=1.5) as supervisor:
        await asyncio.sleep(2.5)
        stats = supervisor.stats()
        assert (stats["flaky"].state, stats["flaky"].begun) == ("restarting", False)
        assert (stats["later"].state, stats["later"].begun) == ("restarting", True)
        assert not supervisor.ready
        await asyncio.sleep(7.5)
        assert supervisor.ready


# --- stopping ------------------------------------------------------------------------------------------------------


@virtual
async def test_the_end_of_the_block_drains_what_was_read_is_committed() -> None:
    """H83."""
    ledger = Ledger()

    async def slow(number: int) -> int:
        await asyncio.sleep(3)
        return number

    def pipeline() -> sf.Pipeline[int]:
        return sf.Pipeline(sf.Source(ticks(), name="ticks"), sf.map(slow, concurrency=2), ledger.sink())

    async with Supervisor({"slow": pipeline}, drain=60.0) as supervisor:
        await asyncio.sleep(6.5)

    assert supervisor.health().states == {"slow": "drained"}
    assert ledger.committed == [list(range(7))]
    assert ledger.aborted == 0


@virtual
async def test_what_is_not_drained_at_the_deadline_is_cancelled_and_nothing_is_committed() -> None:
    """H83."""
    ledger, other = Ledger(), Ledger()

    async def stuck(number: int) -> int:
        await asyncio.sleep(10_000)
        return number

    def pipeline() -> sf.Pipeline[int]:
        return sf.Pipeline(sf.Source(ticks()), sf.map(stuck), ledger.sink())

    loop = asyncio.get_running_loop()
    async with Supervisor({"stuck": pipeline, "good": lambda: endless(other)}, drain=30.0) as supervisor:
        await asyncio.sleep(3.5)
        begin = loop.time()

    assert 30.0 <= loop.time() - begin < 45.0
    assert supervisor.health().states == {"stuck": "cancelled", "good": "drained"}
    assert (ledger.committed, ledger.aborted, ledger.closed) == ([], 1, 1)
    assert other.committed == [[0, 1, 2, 3]]


@virtual
async def test_a_pause_ends_with_the_supervisor_and_nothing_starts_any_more() -> None:
    flaky = Failing(99)
    loop = asyncio.get_running_loop()
    rule = Restart(backoff=sf.Backoff(first=1000, most=1000, jitter=False))
    async with Supervisor({"flaky": flaky}, restart=rule) as supervisor:
        await asyncio.sleep(5)
        assert supervisor.stats()["flaky"].state == "restarting"

    assert loop.time() < 6
    assert len(flaky.starts) == 1
    assert supervisor.stats()["flaky"].state == "drained"


@virtual
async def test_a_failure_while_it_is_drained_is_told_and_not_answered_by_a_restart() -> None:
    async def failing_at_the_end(items: AsyncIterable[int]) -> None:
        async for _ in items:
            pass
        raise Broken("the commit was refused")

    starts = []

    def pipeline() -> sf.Pipeline[None]:
        starts.append(1)
        return sf.Pipeline(sf.Source(ticks()), failing_at_the_end)

    async with Supervisor({"bad": pipeline}) as supervisor:
        await asyncio.sleep(2.5)

    assert starts == [1]
    assert supervisor.stats()["bad"].state == "failed"
    assert supervisor.stats()["bad"].error == "Broken: the commit was refused"


@virtual
async def test_a_function_that_is_still_making_its_pipeline_when_the_end_comes_runs_nothing() -> None:
    ledger = Ledger()

    async def made() -> sf.Pipeline[int]:
        await asyncio.sleep(5)
        return endless(ledger)

    async with Supervisor({"made": made}) as supervisor:
        await asyncio.sleep(1)

    assert supervisor.stats()["made"].state == "drained"
    assert ledger.closed == 0


@virtual
async def test_what_waits_for_the_end_may_be_made_before_the_beginning() -> None:
    supervisor = Supervisor({"ticks": lambda: endless(Ledger())})
    live = sf.stream(sf.interval(1.0)).take_until(supervisor.stopping)
    async with asyncio.TaskGroup() as group:
        async with supervisor:
            count = group.create_task(live.count())
            await asyncio.sleep(3.5)
        assert await count == 4


@virtual
async def test_stopping_twice_and_after_everything_has_ended_is_harmless() -> None:
    async with Supervisor({"once": sf.Pipeline(range(3), sf.count())}) as supervisor:
        await supervisor.wait()
        await supervisor.stop()
        await supervisor.stop()

    assert supervisor.health().states == {"once": "finished"}


@virtual
async def test_whoever_is_cancelled_is_in_a_hurry_nothing_is_drained() -> None:
    ledger = Ledger()
    loop = asyncio.get_running_loop()

    async def serve() -> None:
        async with Supervisor({"ticks": lambda: endless(ledger)}):
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await asyncio.sleep(2.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert loop.time() < 4
    assert (ledger.committed, ledger.aborted, ledger.closed) == ([], 1, 1)


def test_cancelled_at_any_moment_it_leaves_nothing_running_and_nothing_half_committed() -> None:
    """H83."""

    class Scenario:
        def __init__(self) -> None:
            self.ledger = Ledger()

        async def __call__(self) -> None:
            async with Supervisor({"ticks": lambda: endless(self.ledger)}, drain=5.0):
                await asyncio.sleep(1.5)

    def check(scenario: Scenario, outcome: Outcome) -> None:
        ledger = scenario.ledger
        assert ledger.closed == len(ledger.committed) + ledger.aborted
        if outcome.ended == "returned":
            assert ledger.committed == [[0, 1]]

    assert cancel_everywhere(Scenario, check, stride=2) > 20


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{"drain": 0}, {"drain": float("inf")}, {"steady": -1}, {"pipelines": {"x": 3}}],
    ids=str,
)
def test_what_cannot_mean_anything_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(sf.UsageError):
        Supervisor(**options)


def test_a_function_that_needs_arguments_is_refused_before_the_start() -> None:
    def orders(day: int) -> sf.Pipeline[int]:
        return sf.Pipeline([day], sf.count())

    with pytest.raises(sf.UsageError, match=r"'orders' is called without arguments .* it needs day\."):
        Supervisor({"orders": orders})  # type: ignore[dict-item]  # the mistake


@pytest.mark.parametrize(
    "options", [{"max_restarts": -1}, {"max_restarts": True}, {"within": 0}, {"backoff": 3}], ids=str
)
def test_rules_that_cannot_mean_anything_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(sf.UsageError):
        Restart(**options)


async def test_a_supervisor_runs_in_one_block_at_a_time() -> None:
    async with Supervisor() as supervisor:
        with pytest.raises(sf.UsageError, match="runs already"):
            await supervisor.__aenter__()


def test_failures_are_forgotten_when_the_window_has_passed() -> None:
    restarts = Restarts(Restart(max_restarts=2, within=10.0, backoff=CALM))

    pauses = [restarts.after_failure(Broken(), now) for now in (0.0, 1.0, 9.9, 10.0, 30.0)]

    assert pauses == [1.0, 2.0, None, None, 1.0]
