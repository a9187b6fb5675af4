"""Owned tasks: all have ended at the end of the block, and what failed is told to whom it concerns."""

from __future__ import annotations

import asyncio

import pytest

import streamflow as sf
from streamflow.machinery.tasks.owned import Owned


class Broken(Exception):
    """What the tests raise."""


async def test_a_task_that_failed_is_told_of_at_once() -> None:
    told: asyncio.Future[BaseException] = asyncio.Future()

    async def fail() -> None:
        raise Broken

    async with Owned(told.set_result) as tasks:
        tasks.start(fail)
        assert type(await told) is Broken


async def test_a_failure_nobody_knew_of_yet_when_the_block_ended_is_no_failure_of_the_end() -> None:
    """Whether it came a turn of the loop earlier or later must not decide about success (P3)."""
    failures: list[BaseException] = []
    failing = asyncio.Event()

    async def fail() -> None:
        failing.set()
        raise Broken

    async with Owned(failures.append) as tasks:
        tasks.start(fail)
        await failing.wait()
        assert failures == []

    assert [type(error) for error in failures] == [Broken]


async def test_what_a_task_raises_while_it_is_stopped_is_raised_at_the_end() -> None:
    begun = asyncio.Event()

    async def stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise Broken

    failures: list[BaseException] = []
    tasks = Owned(failures.append)
    async with tasks:
        tasks.start(stubborn)
        await begun.wait()
        with pytest.raises(Broken):
            await tasks.__aexit__(None, None, None)

    assert failures == []


async def test_a_cancellation_nobody_asked_for_is_a_failure() -> None:
    """P4."""
    told: asyncio.Future[BaseException] = asyncio.Future()

    async def stray() -> None:
        raise asyncio.CancelledError

    async with Owned(told.set_result) as tasks:
        tasks.start(stray)
        assert type(await told) is sf.StageCancelled
