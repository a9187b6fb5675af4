"""An object read through a faulty line comes byte for byte, or not: then by a named error, after nothing but its start.

What each server and the library behind `objects.read` do about a fault is in the assertions; `verify=True` is what
notices a byte that was changed on the way.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from streamflow.errors import FormatError, ObjectChanged, TruncatedError
from streamflow.places import objects
from streamflow.places.blocks import MIB
from tests.faults.conftest import SECRET, Bucket
from tests.faults.proxy import Answer, Corrupt, Cut, Latency, Reset, Slices, Stall
from tests.faults.scenes import (
    EXPIRED,
    INTERNAL,
    KEY,
    OBJECT,
    OBSTORE_LEAKS,
    SLOW_DOWN,
    collected,
    ending,
    is_named,
)

pytestmark = [OBSTORE_LEAKS, pytest.mark.slow]

GET = f"GET .*{KEY}"
KIB64 = 64 * 1024


@pytest.fixture
def url(bucket):
    bucket.put(KEY, OBJECT)
    return f"s3://{bucket.name}/{KEY}"


def is_a_start(got):
    return OBJECT.startswith(got)


@pytest.mark.parametrize("fault", [Cut, Reset])
async def test_ended_after_any_64_kib_it_is_read_whole(url, proxy, options, fault):
    """H68: one end at each place, 80 of them in 5 MiB, each continued from where it was."""
    places = range(0, len(OBJECT), KIB64 if fault is Cut else 8 * KIB64)
    for after in places:
        ended = proxy.add(fault(after=after), GET, times=1)
        assert await collected(objects.read(url, block=8 * MIB, **options)) == OBJECT
        assert ended.happened == 1, after
    assert len(proxy.requests) >= 2 * len(places)


async def test_ended_again_and_again_it_is_an_error_after_its_start(url, proxy, options):
    """Each answer is cut after 64 KiB: more often than it is tried again."""
    cut = proxy.add(Cut(after=KIB64), GET)
    got = bytearray()

    async def read():
        async with aclosing(objects.read(url, block=MIB, **options).open()) as blocks:
            async for block in blocks:
                got.extend(block)

    result = await ending(read())
    assert cut.happened >= 4
    assert is_a_start(bytes(got))
    assert bytes(got) == OBJECT if result is None else is_named(result, OSError, TruncatedError, secret=SECRET)


async def test_a_stall_is_left_for_another_connection(url, proxy, options):
    stall = proxy.add(Stall(after=3 * KIB64), GET, times=1)
    options["client_options"] = {"timeout": "400ms"}
    assert await collected(objects.read(url, block=8 * MIB, **options)) == OBJECT
    assert stall.happened == 1


async def test_a_line_that_always_stalls_is_an_error(url, proxy, options):
    stall = proxy.add(Stall(after=KIB64), GET)
    options["client_options"] = {"timeout": "200ms"}
    error = await ending(collected(objects.read(url, block=8 * MIB, **options)))
    assert stall.happened >= 2
    assert is_named(error, OSError, secret=SECRET)


@pytest.mark.parametrize(("status", "body"), [(503, SLOW_DOWN), (500, INTERNAL)])
async def test_a_server_that_is_busy_twice_is_asked_again(url, proxy, options, status, body):
    busy = proxy.add(Answer(status, body, {"retry-after": "0"}), GET, times=2)
    assert await collected(objects.read(url, **options)) == OBJECT
    assert busy.happened == 2


@pytest.mark.parametrize(("status", "body"), [(503, SLOW_DOWN), (500, INTERNAL)])
async def test_a_server_that_stays_busy_is_an_error(url, proxy, options, status, body):
    busy = proxy.add(Answer(status, body, {"retry-after": "0"}), GET)
    error = await ending(collected(objects.read(url, **options)))
    assert busy.happened == 4  # once, and three times again
    assert is_named(error, OSError, secret=SECRET)
    assert str(status) in str(error)


async def test_overwritten_between_two_ranges_it_is_an_error(url, bucket, proxy, options):
    """H68: never a splice of two versions, although both have the same size."""
    got = bytearray()

    async def read():
        async with aclosing(objects.read(url, block=KIB64, **options).open()) as blocks:
            async for block in blocks:
                if not got:
                    bucket.put(KEY, bytes(len(OBJECT)))
                got.extend(block)

    error = await ending(read())
    assert is_named(error, ObjectChanged, secret=SECRET)
    assert is_a_start(bytes(got))
    assert len(got) < len(OBJECT)


async def test_overwritten_while_an_answer_is_cut_it_is_an_error(url, bucket, proxy, options):
    """H68: the library continues the cut answer by itself, and asks for the version it had begun; refused that, it says
    only that the body broke off, so the store is asked for the version it has.
    """
    held = proxy.add(Stall(after=KIB64), GET, times=1)
    cut = proxy.add(Cut(after=KIB64), GET, times=1)

    async def overwrite():
        await held.reached.wait()
        bucket.put(KEY, bytes(len(OBJECT)))
        held.over.set()

    overwriting = asyncio.ensure_future(overwrite())
    result = await ending(collected(objects.read(url, block=8 * MIB, **options)))
    await overwriting
    assert (held.happened, cut.happened) == (1, 1)
    assert is_named(result, ObjectChanged, secret=SECRET)


@pytest.mark.parametrize("status", [400, 403])
async def test_credentials_that_expire_between_two_ranges_are_an_error(url, proxy, options, status):
    expired = proxy.add(Answer(status, EXPIRED, {"content-type": "application/xml"}), GET, skip=1)
    got = bytearray()

    async def read():
        async with aclosing(objects.read(url, block=KIB64, session_token="c4n4ry-session", **options).open()) as blocks:
            async for block in blocks:
                got.extend(block)

    error = await ending(read())
    assert expired.happened >= 1
    assert is_named(error, PermissionError if status == 403 else OSError, secret="c4n4ry")
    assert "ExpiredToken" in str(error)
    assert bytes(got) == OBJECT[:KIB64]


async def test_a_changed_byte_is_noticed_by_verify(url, proxy, options):
    """No layer below notices it: TCP's checksum was right at the proxy. With `verify=True` it is a `FormatError`."""
    corrupt = proxy.add(Corrupt(after=MIB + 5), GET, times=1)
    error = await ending(collected(objects.read(url, block=8 * MIB, verify=True, **options)))
    assert corrupt.happened == 1
    assert is_named(error, FormatError, secret=SECRET)


async def test_a_changed_byte_is_not_noticed_without_verify(url, proxy, options):
    """What is not promised: it is told here so that nobody believes it."""
    corrupt = proxy.add(Corrupt(after=MIB + 5), GET, times=1)
    got = await collected(objects.read(url, block=8 * MIB, **options))
    assert corrupt.happened == 1
    assert got == OBJECT[: MIB + 5] + bytes([OBJECT[MIB + 5] ^ 0xFF]) + OBJECT[MIB + 6 :]


async def test_a_slow_line_changes_nothing(url, proxy, options):
    slices, latency = proxy.add(Slices(4096), GET), proxy.add(Latency(0.02), GET)
    options["client_options"] = {"timeout": "30s"}
    assert await collected(objects.read(url, **options)) == OBJECT
    assert slices.happened > 1000
    assert latency.happened >= 2


async def test_a_server_killed_and_restarted_is_found_again_if_it_kept_the_object(mortal, proxy, options):
    bucket = Bucket(mortal)
    bucket.put(KEY, OBJECT)
    held = proxy.add(Stall(after=KIB64), GET, times=1)
    options["client_options"] = {"timeout": "20s"}

    async def restart():
        await held.reached.wait()
        mortal.kill()
        mortal.start()
        proxy.upstream = mortal.url
        held.over.set()

    restarting = asyncio.ensure_future(restart())
    result = await ending(collected(objects.read(f"s3://{bucket.name}/{KEY}", block=MIB, **options)))
    await restarting
    assert held.happened == 1
    if mortal.kind == "swift":
        assert result == OBJECT
    else:  # moto keeps nothing
        assert is_named(result, OSError, secret=SECRET)
