"""An object written through a faulty line is there whole, or there is nothing: neither an object nor an open upload.

Where the store itself could not be reached for the clean-up, the error says so, and what is left is no more than that.
"""

from __future__ import annotations

import asyncio

import pytest

from streamflow.errors import CommitUnknown
from streamflow.places import objects
from streamflow.places.blocks import MIB, Gather
from streamflow.places.cloud_connect import connect
from streamflow.places.stores import Terms
from streamflow.places.uploads import Uploading
from streamflow.places.urls import Location
from tests.faults.conftest import SECRET, Bucket
from tests.faults.proxy import Answer, Corrupt, Cut, Reset, Stall
from tests.faults.scenes import (
    EXPIRED,
    INTERNAL,
    KEY,
    LARGE,
    OBSTORE_LEAKS,
    PART,
    RANDOM,
    SLOW_DOWN,
    Feed,
    ending,
    is_named,
)

pytestmark = [OBSTORE_LEAKS, pytest.mark.slow]

PART_2 = f"PUT .*{KEY}.*partNumber=2"
ANY_PART = f"PUT .*{KEY}.*partNumber="
COMPLETE = f"POST .*{KEY}.*uploadId="
SMALL = b"a small object, stored by one request"


@pytest.fixture(params=[{}, {"overwrite": False}, {"equal_parts": True}], ids=["plain", "create", "equal"])
def terms(request):
    """The three ways up: by S3's own requests, by these with a condition, and by obstore's writer."""
    return request.param


async def written(bucket, options, data=LARGE, **more):
    sink = objects.write(f"s3://{bucket.name}/{KEY}", part_size=PART, concurrency=2, **options, **more)
    return await ending(sink(Feed(data)))


def is_whole(bucket, data=LARGE):
    return bucket.left() == ([KEY], []) and bucket.get(KEY) == data


def nothing_is_left(bucket):
    return bucket.left() == ([], [])


@pytest.mark.parametrize(
    "fault", [Answer(503, SLOW_DOWN, {"retry-after": "0"}), Answer(500, INTERNAL)], ids=["503", "500"]
)
async def test_a_part_that_is_refused_twice_is_sent_again(bucket, proxy, options, terms, fault):
    failing = proxy.add(Answer(fault.status, fault.body, fault.headers), PART_2, times=2)
    result = await written(bucket, options, **terms)
    assert failing.happened == 2
    assert result.bytes == len(LARGE)
    assert is_whole(bucket)


@pytest.mark.parametrize("fault", [Cut, Reset])
async def test_a_part_whose_line_breaks_twice_is_sent_again(bucket, proxy, options, terms, fault):
    """H66: the part is a block of bytes, so it can be."""
    broken = proxy.add(fault(after=MIB), PART_2, direction="up", times=2)
    result = await written(bucket, options, **terms)
    assert broken.happened == 2
    assert result.bytes == len(LARGE)
    assert is_whole(bucket)


async def test_a_part_that_stalls_is_sent_again(bucket, proxy, options):
    stall = proxy.add(Stall(after=MIB), PART_2, direction="up", times=1)
    result = await written(bucket, options)
    assert stall.happened == 1
    assert result.bytes == len(LARGE)
    assert is_whole(bucket)


async def test_a_part_that_is_always_refused_leaves_nothing(bucket, proxy, options, terms):
    failing = proxy.add(Answer(503, SLOW_DOWN, {"retry-after": "0"}), PART_2)
    error = await written(bucket, options, **terms)
    assert failing.happened >= 4
    assert is_named(error, OSError, secret=SECRET)
    assert nothing_is_left(bucket)


async def test_a_completion_that_says_an_error_with_200_once_is_asked_again(bucket, proxy, options, terms):
    """H65."""
    answer = proxy.add(Answer(200, INTERNAL, {"content-type": "application/xml"}), COMPLETE, times=1)
    result = await written(bucket, options, **terms)
    assert answer.happened == 1
    if isinstance(result, Exception):
        assert is_named(result, OSError, secret=SECRET)
        assert nothing_is_left(bucket)
    else:
        assert is_whole(bucket)


async def test_a_completion_that_always_says_an_error_with_200_leaves_nothing(bucket, proxy, options, terms):
    """H65: 200 is not success."""
    answer = proxy.add(Answer(200, INTERNAL, {"content-type": "application/xml"}), COMPLETE)
    error = await written(bucket, options, **terms)
    assert answer.happened >= 1
    assert is_named(error, OSError, secret=SECRET)
    assert nothing_is_left(bucket)


@pytest.mark.parametrize("answer", [(200, 1000), (500, 1)], ids=["200-always", "500-once"])
async def test_a_completion_that_happened_and_says_an_error_is_known(bucket, proxy, options, terms, answer):
    """H65: the object is there, and the writer finds out, whatever it was told."""
    status, times = answer
    answer = proxy.add(
        Answer(status, INTERNAL, {"content-type": "application/xml"}, forward=True), COMPLETE, times=times
    )
    result = await written(bucket, options, **terms)
    assert answer.happened >= 1
    assert is_whole(bucket)
    if isinstance(result, Exception):
        assert is_named(result, CommitUnknown, secret=SECRET)
    else:
        assert result.bytes == len(LARGE)


async def test_a_completion_whose_answer_is_lost_is_known(bucket, proxy, options, terms):
    lost = proxy.add(Cut(), COMPLETE, times=1)
    result = await written(bucket, options, **terms)
    assert lost.happened == 1
    assert is_whole(bucket)
    assert not isinstance(result, Exception)


@pytest.mark.parametrize("status", [400, 403])
async def test_credentials_that_expire_between_two_parts_leave_nothing(bucket, proxy, options, terms, status):
    expired = proxy.add(Answer(status, EXPIRED, {"content-type": "application/xml"}), PART_2)
    error = await written(bucket, options, **terms)
    assert expired.happened >= 1
    assert is_named(error, PermissionError if status == 403 else OSError, secret=SECRET)
    assert nothing_is_left(bucket)


async def test_credentials_that_expire_for_good_leave_what_the_error_says(bucket, proxy, options, terms):
    """The clean-up is refused too, so the parts stay; the note says so, and `leftovers` finds them."""
    proxy.add(Answer(403, EXPIRED, {"content-type": "application/xml"}), PART_2)
    refused = proxy.add(Answer(403, EXPIRED, {"content-type": "application/xml"}), f"DELETE .*{KEY}")
    error = await written(bucket, options, **terms)
    assert refused.happened >= 1
    found = [left.key async for left in objects.leftovers(f"s3://{bucket.name}", **options)]
    assert (bucket.left(), found) == (([], [KEY]), [KEY])
    assert is_named(error, PermissionError, secret=SECRET)
    assert any("could not be aborted" in note for note in getattr(error, "__notes__", []))


async def test_a_byte_that_changes_on_its_way_up_is_refused(bucket, proxy, options):
    """Parts carry their SHA-256. The part is damaged once; it is sent again, or the write fails."""
    if bucket.kind == "moto":
        pytest.skip("moto does not compare the checksums of parts, so it takes the damaged one")
    corrupt = proxy.add(Corrupt(after=12_345), PART_2, direction="up", times=1)
    result = await written(bucket, options)
    assert corrupt.happened == 1
    if isinstance(result, Exception):
        assert is_named(result, OSError, secret=SECRET)
        assert nothing_is_left(bucket)
    else:
        assert is_whole(bucket)


@pytest.mark.parametrize("fault", [Answer(503, SLOW_DOWN), Cut(after=5), Reset(after=5)], ids=["503", "cut", "reset"])
async def test_a_small_object_is_there_or_not(bucket, proxy, options, terms, fault):
    up = not isinstance(fault, Answer)
    order = proxy.add(
        type(fault)(**{name: value for name, value in vars(fault).items() if name != "happened"}),
        f"PUT .*{KEY}",
        direction="up" if up else "down",
        times=2,
    )
    result = await written(bucket, options, SMALL, **terms)
    assert order.happened >= 1
    if isinstance(result, Exception):
        assert is_named(result, OSError, secret=SECRET)
        assert nothing_is_left(bucket)
    else:
        assert is_whole(bucket, SMALL)


async def test_a_small_object_whose_answer_is_lost_is_known(bucket, proxy, options, terms):
    lost = proxy.add(Answer(500, INTERNAL, forward=True), f"PUT .*{KEY}", times=1)
    result = await written(bucket, options, SMALL, **terms)
    assert lost.happened == 1
    assert is_whole(bucket, SMALL)
    assert not isinstance(result, Exception)


@pytest.mark.parametrize("overwrite", [True, False])
async def test_parts_grow_as_the_server_sees_them(bucket, proxy, options, overwrite):
    """H69: here they double after each, and go over connections that are kept."""
    data = RANDOM.randbytes(3 * PART) + bytes(MIB)
    store = connect(Location("s3", bucket.name, KEY), options | {"client_options": {"timeout": "20s"}}, PART)
    up = Uploading(store, KEY, f"s3://{bucket.name}/{KEY}", PART, 2, Terms(overwrite=overwrite), grows_every=1)
    gather = Gather("test")
    for at in range(0, len(data), MIB):
        gather.add(data[at : at + MIB])
        if len(gather) == up.wanted:
            await up.send(gather.pieces(up.wanted))
    await up.drain(gather.take())
    assert bucket.parts(KEY) == [PART, 2 * PART, MIB]
    await up.complete()
    assert is_whole(bucket, data)
    assert proxy.connections < len([request for request in proxy.requests if KEY in request])


async def test_a_part_that_was_refused_before_it_was_heard_is_an_error_by_name(bucket, proxy, options, terms):
    """The answer may come amid the body, and the line be closed."""
    refused = proxy.add(Answer(403, EXPIRED, {"content-type": "application/xml", "connection": "close"}), ANY_PART)
    error = await written(bucket, options, **terms)
    assert refused.happened >= 1
    assert is_named(error, PermissionError, secret=SECRET)
    assert nothing_is_left(bucket)


async def killed(mortal, proxy, held, *, again):
    await held.reached.wait()
    mortal.kill()
    if again:
        mortal.start()
        proxy.upstream = mortal.url
    held.over.set()


async def test_a_server_killed_amid_a_part_and_restarted(mortal, proxy, options, terms):
    """Swift kept the parts it had acknowledged, so the write goes on; moto forgot all, so it fails by name."""
    bucket = Bucket(mortal)
    held = proxy.add(Stall(after=MIB), PART_2, direction="up", times=1)
    options["client_options"] = {"timeout": "20s"}
    killing = asyncio.ensure_future(killed(mortal, proxy, held, again=True))
    result = await written(bucket, options, **terms)
    await killing
    assert held.happened == 1
    if mortal.kind == "swift":
        assert not isinstance(result, Exception), repr(result)
        assert is_whole(bucket)
    else:
        assert is_named(result, OSError, secret=SECRET)


async def test_a_server_killed_amid_a_part_for_good(mortal, proxy, options, terms):
    """Nobody is there to abort the upload: the error says that parts may be left, and no object is there."""
    bucket = Bucket(mortal)
    held = proxy.add(Stall(after=MIB), PART_2, direction="up", times=1)
    killing = asyncio.ensure_future(killed(mortal, proxy, held, again=False))
    error = await written(bucket, options, **terms)
    await killing
    assert held.happened == 1
    assert is_named(error, OSError, secret=SECRET)
    mortal.start()
    if mortal.kind == "swift":
        assert bucket.left() == ([], [KEY])
    assert any("could not be aborted" in note for note in getattr(error, "__notes__", []))
