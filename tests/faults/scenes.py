"""What the scenarios share: data, an error as it must be, and what may be left at the server."""

from __future__ import annotations

import random
import re
import traceback
from contextlib import aclosing

import pytest

from streamflow.errors import StreamflowError
from streamflow.places.blocks import MIB

PART = 5 * MIB
RANDOM = random.Random(5)
OBJECT = RANDOM.randbytes(5 * MIB)
LARGE = RANDOM.randbytes(PART + 2 * MIB + 345)  # two parts
KEY = "dir/orders.csv"

# S3's own words for what the scenarios need, as AWS documents them.
EXPIRED = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
INTERNAL = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>Please try again.</Message></Error>'

OBSTORE_LEAKS = pytest.mark.may_leak(
    "threads", "files", reason="obstore keeps its connections and tokio's own descriptors"
)


class Feed:
    """Gives the data in pieces as a source would; nothing has to close it."""

    def __init__(self, data, size=MIB):
        self._pieces = iter([data[at : at + size] for at in range(0, len(data), size)])

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return next(self._pieces)
        except StopIteration:
            raise StopAsyncIteration from None


async def collected(source):
    """Return all that it gave."""
    async with aclosing(source.open()) as blocks:
        return b"".join([block async for block in blocks])


async def ending(work):
    """Return what it returned or what it raised."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001  # it is what the test is about
        return error


def is_named(error, *kinds, secret, key=KEY):
    """An error that a user can act on: of a named kind, naming the object's URL, without credentials anywhere."""
    assert isinstance(error, kinds or (StreamflowError, OSError)), f"{type(error).__name__}: {str(error)[:500]}"
    assert re.search(rf"s3://[\w-]+/{re.escape(key)}", str(error)), str(error)
    told = "".join(traceback.format_exception(error))
    assert secret not in told
    assert "Signature=" not in told.replace("Signature=***", "")
    return True
