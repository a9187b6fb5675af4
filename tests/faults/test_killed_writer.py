"""A writer killed at any moment (kill -9) leaves no partial object under the final name.

The moments are drawn over everything that a write says to the server: the proxy holds that message at a random byte,
the child is killed there, and the message goes on as far as it had been sent. What it may leave are the parts of its
upload, which `objects.leftovers` lists and `objects.clean_leftovers` removes; nothing else can clean up after it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path

import pytest

from streamflow.places import objects
from tests.faults.proxy import Stall
from tests.faults.scenes import KEY, LARGE, OBSTORE_LEAKS, PART

pytestmark = [OBSTORE_LEAKS, pytest.mark.slow]

THOROUGH = os.environ.get("STREAMFLOW_HYPOTHESIS") == "thorough"
MOMENTS = 100 if THOROUGH else 6  # for each of the two servers

ROOT = str(Path(__file__).parents[2])
CHILD = f"""
import asyncio, json, sys
sys.path.insert(0, {ROOT!r})
from streamflow.places import objects
from tests.faults.scenes import Feed, LARGE, PART
url, options = json.loads(sys.argv[1])
asyncio.run(objects.write(url, part_size=PART, concurrency=2, **options)(Feed(LARGE)))
"""

# What is held, in which direction, and how many bytes it has about.
MESSAGES = [
    (f"POST .*{KEY}.*uploads", "down", 200),
    (f"PUT .*{KEY}.*partNumber=1", "up", PART),
    (f"PUT .*{KEY}.*partNumber=2", "up", len(LARGE) - PART),
    (f"POST .*{KEY}.*uploadId=", "up", 200),
    (f"POST .*{KEY}.*uploadId=", "down", 100),
]


def moments():
    """Each message in turn, at a random byte of it; each at least once."""
    drawn = random.Random(None if THOROUGH else 7)
    return [(*MESSAGES[n % len(MESSAGES)][:2], drawn.randrange(MESSAGES[n % len(MESSAGES)][2])) for n in range(MOMENTS)]


async def killed_at(proxy, argument, message, direction, after):
    """Start a writer, kill it when it has come to this byte, and let what it had sent go on to the server."""
    held = proxy.add(Stall(after=after), message, direction=direction, times=1)
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, argument)
    async with asyncio.timeout(30):
        await held.reached.wait()
        child.kill()
        await child.wait()
    held.over.set()
    await proxy.idle()


@pytest.mark.slow
@pytest.mark.timeout(600 if THOROUGH else 60)
async def test_killed_at_a_random_moment_it_leaves_no_partial_object(bucket, proxy, options):
    """E15: and the leftovers are listed and removed."""
    plain = {name: value for name, value in options.items() if isinstance(value, str)}
    url = f"s3://{bucket.name}"
    for number, moment in enumerate(moments()):
        await killed_at(proxy, json.dumps([f"{url}/{KEY}.{number}", plain]), *moment)

    keys, uploads = bucket.left()
    assert all(bucket.get(key) == LARGE for key in keys)
    assert sorted(keys + uploads) == sorted({*keys, *uploads})  # none is both
    assert len(keys) >= MOMENTS // 6  # those killed after the commit
    assert len(uploads) >= MOMENTS // 6  # those killed amid their parts
    assert sorted([left.key async for left in objects.leftovers(url, **options)]) == sorted(uploads)
    async with asyncio.timeout(10 + MOMENTS):
        # Swift tells the second after the one in which an upload was begun, so it may have to become that first.
        while bucket.left()[1]:
            await objects.clean_leftovers(url, older_than=0, **options)
            await asyncio.sleep(0.05)
    assert bucket.left() == (keys, [])
