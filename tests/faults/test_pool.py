"""More streams are open than there are connections: none waits for one that another holds."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest

from streamflow.places import objects
from streamflow.places.blocks import MIB
from tests.faults.proxy import FaultProxy
from tests.faults.scenes import KEY, OBJECT, OBSTORE_LEAKS, PART, Feed

pytestmark = [OBSTORE_LEAKS, pytest.mark.slow]


@pytest.fixture
async def proxy(server):
    """Lets two requests through at once; a third waits until one of them is over."""
    async with FaultProxy(server.url, at_once=2) as proxy:
        yield proxy


async def test_eight_streams_over_two_connections_never_wait_for_each_other(bucket, proxy, options):
    """Each is begun and left open; then the last is read to its end before the first: nobody may hold a connection."""
    bucket.put(KEY, OBJECT)
    options["client_options"] = {"timeout": "30s", "pool_max_idle_per_host": "2"}
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        streams = []
        for _ in range(8):
            source = objects.read(f"s3://{bucket.name}/{KEY}", block=MIB, **options)
            blocks = aiter(await stack.enter_async_context(aclosing(source.open())))
            streams.append((blocks, [await anext(blocks)]))
        for blocks, got in reversed(streams):
            got.extend([block async for block in blocks])
            assert b"".join(got) == OBJECT
    assert proxy.most == 2


async def test_what_is_read_can_be_written_over_one_connection(bucket, server, options):
    """A copy needs both ways at once."""
    bucket.put(KEY, OBJECT + OBJECT + b"end")
    async with FaultProxy(server.url, at_once=1) as single, asyncio.timeout(30):
        options |= {"endpoint": single.url, "client_options": {"timeout": "30s", "pool_max_idle_per_host": "1"}}
        async with aclosing(objects.read(f"s3://{bucket.name}/{KEY}", **options).open()) as blocks:
            copy = objects.write(f"s3://{bucket.name}/copy", part_size=PART, **options)
            result = await copy(blocks)
    assert result.bytes == 2 * len(OBJECT) + 3
    assert bucket.get("copy") == OBJECT + OBJECT + b"end"
    assert single.most == 1


async def test_writers_share_two_connections(bucket, proxy, options):
    options["client_options"] = {"timeout": "30s", "pool_max_idle_per_host": "2"}
    async with asyncio.timeout(50), asyncio.TaskGroup() as group:
        for number in range(3):
            sink = objects.write(f"s3://{bucket.name}/{number}", part_size=PART, **options)
            group.create_task(sink(Feed(OBJECT + b"end")))
    assert bucket.left() == (["0", "1", "2"], [])
    assert proxy.most == 2
