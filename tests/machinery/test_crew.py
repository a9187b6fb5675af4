"""What the workers of a concurrent map spare themselves: a rest or a turn given away costs as much as an item."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

import streamflow as sf
from streamflow.engine.budget import Budget
from streamflow.machinery.crews.crew import Crew


@pytest.mark.parametrize("ordered", [True, False])
async def test_workers_that_have_items_do_not_rest_and_who_emits_gives_no_turn_away(monkeypatch, ordered):
    """Who waited for results has given the others a turn; who finds the hand empty takes what the channel has."""
    counts = Counter()
    for owner, name in ((Crew, "_rest"), (Crew, "_fetch"), (Budget, "pause")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name), counts))

    async def call(number):
        await asyncio.sleep(0)
        return number

    assert await sf.pipeline(range(3200), sf.map(call, concurrency=32, ordered=ordered), sf.count()) == 3200

    assert counts.total() < 320


def counted(method, counts):
    async def counting(self):
        counts[method.__name__] += 1
        await method(self)

    return counting
