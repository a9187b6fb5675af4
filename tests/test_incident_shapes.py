"""Flow control as the incident had it: a sink that is slow, full, or stopped, behind stages that are not."""

import asyncio

import pytest

import streamflow as sf
from streamflow.testing import Gate


@pytest.mark.virtual_time
@pytest.mark.parametrize("maxsize", [1, 2, 16])
async def test_a_sink_that_was_full_receives_everything_in_order_and_then_the_end(maxsize):
    """F2"""
    gate, received, ended = Gate(), [], []

    async def slow(items):
        async for item in items:
            await gate.passage()
            received.append(item)
        ended.append(len(received))

    job = sf.Pipeline(range(50), sf.map(lambda number: number * 2), slow, maxsize=maxsize)
    running = asyncio.create_task(job.run())
    await asyncio.sleep(1)
    assert received == []
    assert job.stats().channels[0].writers_waiting == 1
    for number in range(0, 50, 5):
        gate.let(5)
        await asyncio.sleep(1)
        assert received == [2 * each for each in range(number + 5)]
    await running
    assert (received, ended) == ([2 * number for number in range(50)], [50])
