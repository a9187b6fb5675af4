"""A server that begins to stop is seen early: here by what its parent process says; signals are in test_lifespan.py."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from pathlib import Path

import pytest

from streamflow.web.shutdown import Shutdown
from tests.web.servers import listener
from tests.web.test_lifespan import Process, once, results, wait_for, when_it_serves


def test_a_process_that_was_started_with_an_event_for_its_end_looks_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    event = multiprocessing.Event()
    monkeypatch.setattr(multiprocessing.current_process(), "_kwargs", {"shutdown_event": event}, raising=False)
    assert not Shutdown().begun()

    event.set()
    assert Shutdown().begun()
    assert not Shutdown().hurried()


def test_without_one_nothing_has_begun() -> None:
    assert not Shutdown().begun()


def test_a_signal_to_a_process_that_is_ending_already_does_not_kill_it(monkeypatch: pytest.MonkeyPatch) -> None:
    event = multiprocessing.Event()
    monkeypatch.setattr(multiprocessing.current_process(), "_kwargs", {"shutdown_event": event}, raising=False)
    event.set()
    shutdown = Shutdown()

    with shutdown.noting():
        signal.raise_signal(signal.SIGTERM)

    assert not shutdown.hurried()


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "options"), [("1", {}), ("3", {"NOTE": "yes"})])
@once
async def test_a_worker_process_of_hypercorn_is_drained_and_its_live_responses_end(
    workers: str, options: dict[str, str], tmp_path: Path
) -> None:
    """H83: no signal reaches it, and it would break them off after its limit; the first that ends has others killed."""
    with listener() as free:
        port = free.getsockname()[1]
    command = ("-W", "ignore", "-m", "hypercorn", "--workers", workers, "--bind", f"127.0.0.1:{port}", "program:app")
    process = Process(tmp_path, *command, drain=10, pace=0.001, **options)
    try:
        live = asyncio.create_task(when_it_serves(f"http://127.0.0.1:{port}/live"))
        await asyncio.to_thread(wait_for, tmp_path / ".rows.txt*")
        await asyncio.sleep(1)
        process.signal()
        answer = await live
    finally:
        _, err = await asyncio.to_thread(process.ended)

    assert answer.body.count(b"data: ") > 5
    assert answer.complete, err
    assert (tmp_path / "source.closed").exists()
    if workers == "1":  # several write the same file
        assert results(tmp_path) == ["rows.txt"], err
