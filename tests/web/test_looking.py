"""The connection behind a request is looked at now and then, where it is in reach."""

from __future__ import annotations

import asyncio

import pytest

from streamflow.web.looking import Looking

pytestmark = pytest.mark.virtual_time


class Transport:
    closing = False
    asked = 0

    def abort(self):
        pass

    def get_extra_info(self, name):
        return None

    def is_closing(self):
        self.asked += 1
        return self.closing


class Cycle:
    """As a server binds `receive` to what has the transport."""

    def __init__(self):
        self.transport = Transport()

    async def receive(self):
        pass


async def test_that_it_is_gone_is_told_once_and_within_a_second():
    cycle, told = Cycle(), []
    Looking(cycle.receive, gone=lambda: told.append(1))
    await asyncio.sleep(10)
    assert told == []
    cycle.transport.closing = True
    await asyncio.sleep(1)
    assert told == [1]
    await asyncio.sleep(10)
    assert told == [1]


async def test_it_looks_once_a_second_and_no_more_after_the_end():
    cycle = Cycle()
    looking = Looking(cycle.receive, gone=lambda: pytest.fail("it is there"))
    await asyncio.sleep(5.5)
    assert cycle.transport.asked == 5
    looking.end()
    await asyncio.sleep(5)
    assert cycle.transport.asked == 5


async def test_what_is_out_of_reach_is_no_reason():
    looking = Looking(asyncio.sleep, gone=lambda: pytest.fail("nobody knows"))
    await asyncio.sleep(5)
    looking.end()
