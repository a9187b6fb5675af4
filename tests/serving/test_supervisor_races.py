"""The supervisor at awkward moments: stopped before the first step, twice at once, while something does not let go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterable
from typing import Any

import pytest

import streamflow as sf
from streamflow.serving.restarting import Restart
from streamflow.serving.supervisor import Supervisor

virtual = pytest.mark.virtual_time
CALM = sf.Backoff(first=1.0, factor=2.0, most=60.0, jitter=False)


class Ledger:
    """A sink that commits, and how often it did and did not."""

    def __init__(self) -> None:
        self.committed: list[list[int]] = []
        self.aborted = 0

    async def __call__(self, items: AsyncIterable[int]) -> int:
        got: list[int] = []
        try:
            got += [item async for item in items]
        except BaseException:
            self.aborted += 1
            raise
        self.committed.append(got)
        return len(got)


async def ticks() -> AsyncGenerator[int, None]:
    number = 0
    while True:
        yield number
        number += 1
        await asyncio.sleep(1)


async def stuck(number: int) -> int:
    await asyncio.sleep(10_000)
    return number


def endless(ledger: Ledger) -> sf.Pipeline[int]:
    return sf.stream(ticks).to(ledger)


def never_done(ledger: Ledger) -> sf.Pipeline[int]:
    return sf.stream(ticks).map(stuck).to(ledger)


# --- before the first step -------------------------------------------------------------------------------------------


async def test_cancelled_before_its_first_step_it_is_cancelled_not_starting_for_ever() -> None:
    made: list[int] = []
    supervisor = Supervisor({"a": lambda: made.append(1)})  # type: ignore[dict-item, return-value]  # never called
    with pytest.raises(asyncio.CancelledError):
        async with supervisor:
            raise asyncio.CancelledError
    assert supervisor.health().states == {"a": "cancelled"}
    assert made == []


async def test_stopped_before_its_first_step_it_is_drained_and_nothing_is_made() -> None:
    made: list[int] = []
    supervisor = Supervisor({"a": lambda: made.append(1)})  # type: ignore[dict-item, return-value]  # never called
    async with supervisor:
        pass
    assert supervisor.health().states == {"a": "drained"}
    assert made == []


@virtual
async def test_stopped_in_the_very_step_in_which_it_begins_to_run_it_is_drained() -> None:
    ledger = Ledger()
    supervisor: Supervisor

    def made() -> sf.Pipeline[int]:
        asyncio.get_running_loop().call_soon(supervisor.begin_stop)
        return endless(ledger)

    supervisor = Supervisor({"a": made})
    async with supervisor:
        await supervisor.wait()
        assert asyncio.get_running_loop().time() < 2
    assert supervisor.health().states == {"a": "drained"}
    assert (len(ledger.committed), ledger.aborted) == (1, 0)


async def test_a_function_that_stops_its_own_supervisor_runs_nothing() -> None:
    ledger = Ledger()
    supervisor: Supervisor

    def made() -> sf.Pipeline[int]:
        supervisor.begin_stop()
        return endless(ledger)

    supervisor = Supervisor({"a": made})
    async with supervisor:
        await supervisor.wait()
    assert supervisor.health().states == {"a": "drained"}
    assert (ledger.committed, ledger.aborted) == ([], 0)


# --- functions that make no pipeline ---------------------------------------------------------------------------------


@virtual
async def test_a_function_that_fails_is_called_again_with_backoff_and_is_not_ready_meanwhile() -> None:
    calls: list[float] = []

    async def made() -> sf.Pipeline[int]:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) < 4:
            raise OSError("the database is not there yet")
        return sf.stream([1]).to(sf.count())

    async with Supervisor({"a": made}, restart=Restart(backoff=CALM)) as supervisor:
        await asyncio.sleep(2)
        status = supervisor.stats()["a"]
        assert (status.state, status.begun, status.runs, status.failures) == ("restarting", False, 0, 2)
        assert status.run is None
        assert supervisor.health().healthy
        assert not supervisor.ready
        await supervisor.wait()
        assert supervisor.ready
    assert calls == pytest.approx([0, 1, 3, 7], abs=1e-2)


@virtual
async def test_a_function_that_is_not_done_at_the_deadline_is_cancelled() -> None:
    async def made() -> sf.Pipeline[int]:
        await asyncio.Event().wait()
        raise AssertionError

    begin = asyncio.get_running_loop().time()
    async with Supervisor({"a": made}, drain=5.0) as supervisor:
        await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() - begin == pytest.approx(6, abs=0.1)
    assert supervisor.health().states == {"a": "cancelled"}


@virtual
async def test_a_function_that_ignores_its_cancellation_starts_nothing_afterwards() -> None:
    ledger = Ledger()

    async def made() -> sf.Pipeline[int]:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            await asyncio.sleep(3)
        return endless(ledger)

    async with Supervisor({"a": made}, drain=5.0) as supervisor:
        await asyncio.sleep(1)
    assert supervisor.health().states["a"] in {"drained", "cancelled"}
    assert (ledger.committed, ledger.aborted) == ([], 0)


async def test_a_run_that_cannot_even_begin_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    job = sf.stream([1]).to(sf.count())

    async def refusing() -> int:
        raise sf.UsageError("it does not fit together")

    monkeypatch.setattr(job, "run", refusing)
    async with Supervisor({"a": job}) as supervisor:
        await supervisor.wait()
        status = supervisor.stats()["a"]
        assert (status.state, status.error, status.run) == ("failed", "UsageError: it does not fit together", None)
        assert not supervisor.health().healthy


# --- stopping --------------------------------------------------------------------------------------------------------


@virtual
async def test_two_that_stop_it_at_once_wait_for_the_same_end_and_the_shorter_deadline_counts() -> None:
    ledger = Ledger()
    loop = asyncio.get_running_loop()
    async with Supervisor({"a": lambda: never_done(ledger)}, drain=500.0) as supervisor:
        await asyncio.sleep(2)
        begin = loop.time()
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.stop())
            group.create_task(supervisor.stop(deadline=4.0))
        assert loop.time() - begin < 20
    assert (ledger.committed, ledger.aborted) == ([], 1)


@virtual
async def test_whoever_is_cancelled_while_it_drains_cancels_it_and_leaves_when_all_is_closed() -> None:
    ledger = Ledger()
    loop = asyncio.get_running_loop()

    async def block() -> None:
        async with Supervisor({"a": lambda: never_done(ledger)}, drain=500.0):
            await asyncio.sleep(2)

    task = asyncio.create_task(block())
    await asyncio.sleep(10)
    assert (ledger.committed, ledger.aborted) == ([], 0)
    begin = loop.time()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert loop.time() - begin < 20
    assert (ledger.committed, ledger.aborted) == ([], 1)


@virtual
async def test_a_pipeline_that_ignores_its_cancellation_is_left_after_its_grace_and_has_failed() -> None:
    """H21."""
    let_go = asyncio.Event()

    async def stubborn(items: AsyncIterable[int]) -> AsyncGenerator[int, None]:
        async for item in items:
            while not let_go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await let_go.wait()
            yield item

    loop = asyncio.get_running_loop()
    ledger = Ledger()
    async with Supervisor({"a": lambda: sf.stream(ticks).through(stubborn).to(ledger, grace=3.0)}, drain=5.0) as kept:
        await asyncio.sleep(2)
        begin = loop.time()
    assert loop.time() - begin < 20
    assert kept.health().states["a"] in {"failed", "cancelled"}
    assert ledger.committed == []
    let_go.set()
    await asyncio.sleep(1)


@virtual
async def test_stopped_in_the_pause_after_a_failure_at_the_moment_of_its_end_it_starts_no_run() -> None:
    starts: list[int] = []
    supervisor: Supervisor

    def failing() -> sf.Pipeline[Any]:
        starts.append(1)
        return sf.Pipeline(sf.failing(OSError("gone")), sf.drain())

    rule = Restart(backoff=sf.Backoff(first=5, jitter=False))
    async with Supervisor({"a": failing}, restart=rule) as supervisor:
        await asyncio.sleep(0.5)
        left = supervisor.stats()["a"].starts_in
        assert left is not None
        asyncio.get_running_loop().call_later(left, supervisor.begin_stop)
        await supervisor.wait()
    assert supervisor.stats()["a"].state == "drained"
    assert starts in ([1], [1, 1])


@virtual
async def test_added_while_it_pauses_and_ended_in_the_same_step_is_drained() -> None:
    ledger = Ledger()
    async with Supervisor() as supervisor:
        supervisor.add("late", lambda: endless(ledger))
    assert supervisor.health().states == {"late": "drained"}
    assert (ledger.committed, ledger.aborted) == ([], 0)
