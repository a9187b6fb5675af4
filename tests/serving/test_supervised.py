"""A supervisor that is served: drained by a signal, and told of what failed for good."""

from __future__ import annotations

import asyncio
import itertools
import signal

import pytest

import streamflow as sf
from streamflow.serving.restarting import Restart
from streamflow.serving.serve import serve
from streamflow.serving.supervisor import Supervisor


@pytest.fixture(autouse=True)
def _no_signal_ends_the_tests():
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def endless():
    for number in itertools.count():
        yield number
        await asyncio.sleep(0)


async def test_the_first_signal_drains_all_its_pipelines():
    committed, sent = [], []

    async def sink(items):
        got = []
        async for item in items:
            got.append(item)
            if item == 3 and not sent:
                sent.append(signal.raise_signal(signal.SIGTERM))
        committed.append(got)

    supervisor = Supervisor({name: lambda: sf.stream(endless).to(sink) for name in ("a", "b")})
    assert await serve(supervisor) is None
    assert [got == list(range(len(got))) for got in committed] == [True, True]
    assert supervisor.health().states == {"a": "drained", "b": "drained"}


async def test_it_ends_when_all_its_pipelines_have():
    supervisor = Supervisor({"a": lambda: sf.stream([1]).to(sf.drain())}, restart=Restart(max_restarts=0))
    await serve(supervisor)
    assert supervisor.health().states == {"a": "finished"}


async def test_beside_a_pipeline_that_fails_it_is_drained():
    def failing(item):
        raise ValueError(item)

    supervisor = Supervisor({"a": lambda: sf.stream(endless).to(sf.drain())})
    with pytest.raises(ValueError, match="1"):
        await serve(sf.stream([1]).map(failing).to(sf.drain()), supervisor)
    assert supervisor.health().states == {"a": "drained"}


async def test_what_failed_for_good_is_raised():
    def failing(item):
        raise ValueError(item)

    supervisor = Supervisor(
        {"bad": lambda: sf.stream([1]).map(failing).to(sf.drain())}, restart=Restart(max_restarts=0)
    )
    with pytest.raises(sf.StageError, match="1 of 1 supervised pipelines failed for good: bad: ValueError: 1"):
        await serve(supervisor)


def test_the_second_signal_cancels():
    async def stuck(items):
        async for _ in items:
            signal.raise_signal(signal.SIGTERM)
            asyncio.get_running_loop().call_later(0.02, signal.raise_signal, signal.SIGTERM)
            await asyncio.Event().wait()

    supervisor = Supervisor({"a": lambda: sf.stream(endless).to(stuck)})
    with pytest.raises(SystemExit) as leaving:
        asyncio.run(serve(supervisor))
    assert leaving.value.code == 143
    assert supervisor.health().states == {"a": "cancelled"}


# --- the deadline ----------------------------------------------------------------------------------------------------


async def told_and_stuck(items):
    async for _ in items:
        signal.raise_signal(signal.SIGTERM)
        await asyncio.Event().wait()


def never_done(name="a", **options):
    return Supervisor({name: lambda: sf.stream(endless).to(told_and_stuck)}, **options)


def served(*things, **options):
    """Serve until a deadline cancels; return the exit code and the seconds that it took (of the loop's own clock)."""

    async def main():
        begin = asyncio.get_running_loop().time()
        try:
            await serve(*things, **options)
        except SystemExit as leaving:
            return leaving.code, asyncio.get_running_loop().time() - begin

    return main()


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("own", "options", "seconds"),
    [
        (300, {}, 300),  # what the supervisor was made with, not the 20 seconds of a pipeline
        (300, {"drain": 7}, 7),  # what is said to `serve` counts, shorter
        (3, {"drain": 70}, 70),  # or longer
    ],
)
async def test_the_deadline_is_what_serve_was_told_or_else_the_supervisors_own(own, options, seconds):
    code, took = await served(never_done(drain=own), **options)
    assert code == 143
    assert took == pytest.approx(seconds, abs=1)


@pytest.mark.virtual_time
async def test_of_several_the_longest_deadline_counts():
    idle = Supervisor({"idle": lambda: sf.stream(endless).to(sf.drain())}, drain=50)
    code, took = await served(never_done(drain=3), idle, sf.stream([1]).to(sf.count()))
    assert code == 143
    assert took == pytest.approx(50, abs=1)


async def test_its_life_is_told(caplog):
    caplog.set_level("INFO", logger="streamflow.serving")

    async def sink(items):
        async for item in items:
            if item == 3:
                signal.raise_signal(signal.SIGTERM)

    await serve(Supervisor({"orders": lambda: sf.stream(endless).to(sink)}))
    assert {record.pipeline for record in caplog.records} == {"orders"}
    assert [record.event for record in caplog.records] == ["started", "draining", "drained"]
