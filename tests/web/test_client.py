"""A cancellation that says that the client is gone ends where it is attended to; every other one goes on."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from streamflow.web.client import Client
from streamflow.web.inbox import Inbox
from tests.web.wire import Wire


def client_of(wire, **options):
    settings = {"send_timeout": 30, "min_rate": None, "ignore_body": False, **options}
    return Client(Inbox(wire.receive), wire.send, **settings)


async def attended(wire, work):
    async with client_of(wire):
        await work


async def test_the_block_ends_when_the_client_leaves_and_the_task_is_as_it_was():
    wire = Wire(b"")
    asyncio.get_running_loop().call_later(0.01, wire.leave)
    async with client_of(wire) as client:
        await asyncio.sleep(3600)
    assert client.reason == "left"
    assert client.gone
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_client_that_stays_is_no_reason():
    async with client_of(Wire(b"")) as client:
        await asyncio.sleep(0.001)
    assert (client.reason, client.gone) == (None, False)


async def test_an_error_in_the_block_is_raised_though_the_client_left_meanwhile():
    wire = Wire(b"")

    async def failing():
        try:
            wire.leave()
            await asyncio.sleep(3600)
        finally:
            raise LookupError("the real one")

    with pytest.raises(LookupError):
        await attended(wire, failing())
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_block_that_ends_before_the_cancellation_arrives_takes_it_back():
    wire = Wire(b"")
    async with client_of(wire) as client:
        client._leave("left")
    assert client.reason == "left"
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancellation_of_the_request_goes_on_though_the_client_left_too():
    wire = Wire(b"")

    async def request():
        async with client_of(wire) as client:
            client._leave("left")
            task.cancel()
            await asyncio.sleep(3600)

    task = asyncio.create_task(request())
    await asyncio.wait([task])
    assert task.cancelled()


async def test_within_a_timeout_each_recognises_its_own():
    wire = Wire(b"")
    async with asyncio.timeout(3600) as limit:
        async with client_of(wire) as client:
            wire.leave()
            await asyncio.sleep(3600)
        await asyncio.sleep(0.001)
    assert client.reason == "left"
    assert not limit.expired()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(attended(Wire(b""), asyncio.sleep(3600)), 0.01)


async def test_within_a_cancel_scope_each_recognises_its_own():
    wire = Wire(b"")
    with anyio.CancelScope() as scope:
        async with client_of(wire) as client:
            wire.leave()
            await asyncio.sleep(3600)
        await asyncio.sleep(0.001)
    assert client.reason == "left"
    assert not scope.cancelled_caught
    with anyio.move_on_after(0.01) as scope:
        async with client_of(Wire(b"")) as client:
            await asyncio.sleep(3600)
    assert scope.cancelled_caught
    assert client.reason is None


async def test_a_server_that_says_so_by_an_error_of_send():
    """ASGI 2.4."""
    wire = Wire(b"", spec="2.4")

    async def silent():
        await asyncio.sleep(3600)

    wire.receive = silent
    wire.leave()
    async with client_of(wire) as client:
        await client.send({"type": "http.response.start"})
    assert client.reason == "left"


async def test_what_receive_raises_is_raised_where_the_block_ends():
    async def broken():
        raise RuntimeError("not now")

    wire = Wire(b"")
    wire.receive = broken
    with pytest.raises(RuntimeError, match="not now"):
        await attended(wire, asyncio.sleep(3600))
    assert asyncio.current_task().cancelling() == 0


async def test_after_the_last_message_a_disconnect_is_no_news():
    wire = Wire(b"")
    async with client_of(wire) as client:
        client.ended = True
        wire.leave()
        await asyncio.sleep(0.01)
    assert client.reason is None


@pytest.mark.virtual_time
async def test_one_timer_serves_many_sends():
    wire, timers = Wire(b"", per_send=20), []
    loop = asyncio.get_running_loop()
    original = loop.call_at
    async with client_of(wire) as client:
        loop.call_at = lambda when, what, *rest, **more: (
            (timers.append(what) if what == client._time_is_up else None) or original(when, what, *rest, **more)
        )
        for _ in range(100):
            await client.send({"type": "http.response.body", "body": b"x"})
    assert client.reason is None
    assert client.waited == pytest.approx(2000)
    assert len(timers) < 150


def watching():
    return any(task.get_name() == "streamflow:web:client" for task in asyncio.all_tasks())


@pytest.mark.virtual_time
async def test_where_the_server_can_be_asked_a_task_waits_only_when_there_is_no_message_for_a_while():
    wire = Wire(b"", tells=True)
    async with client_of(wire, ignore_body=True) as client:
        for _ in range(100):
            await client.send({"type": "http.response.body", "body": b"a", "more_body": True})
            await asyncio.sleep(0.02)
            assert not watching()
        await asyncio.sleep(0.1)
        assert watching()
        wire.leave()
        await asyncio.sleep(3600)
    assert client.reason == "left"


@pytest.mark.virtual_time
async def test_where_the_server_can_be_asked_no_message_goes_to_who_has_left():
    wire = Wire(b"", tells=True)
    async with client_of(wire, ignore_body=True) as client:
        await client.send({"type": "http.response.body", "body": b"a", "more_body": True})
        wire.leave()
        await client.send({"type": "http.response.body", "body": b"b", "more_body": True})
    assert client.reason == "left"
    assert [message["body"] for message in wire.sent] == [b"a"]


@pytest.mark.virtual_time
async def test_a_send_timeout_below_that_while_is_kept():
    wire = Wire(b"", tells=True)
    wire.hold()
    start = asyncio.get_running_loop().time()
    async with client_of(wire, ignore_body=True, send_timeout=0.01) as client:
        await client.send({"type": "http.response.body", "body": b"a", "more_body": True})
    assert client.reason == "stalled"
    assert asyncio.get_running_loop().time() - start < 0.05
