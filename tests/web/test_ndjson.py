"""A stream as lines of JSON."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from contextlib import asynccontextmanager
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

import streamflow as sf
from streamflow.web.ndjson import Lines, ndjson
from tests.web.servers import IN_PYTHON, connect, fetch, hang_up, read_head, serving


def app_of(make):
    async def app(scope, receive, send):
        await make()(scope, receive, send)

    return app


@asynccontextmanager
async def reading(url, headers=None):
    """Give the head of an answer, and a function that reads the next chunk of its body."""
    reader, writer = await connect(url, headers=headers)

    async def chunk():
        size = int(await reader.readuntil(b"\r\n"), 16)
        return (await reader.readexactly(size + 2))[:-2]

    try:
        async with asyncio.timeout(10):
            yield await read_head(reader), chunk
    finally:
        await hang_up(writer)


@dataclasses.dataclass
class Order:
    number: int
    day: date


async def test_sends_a_value_on_each_line():
    items = [{"id": 1, "name": "Größe"}, [1, 2.5, None], "text\nwith a newline", Order(7, date(2026, 1, 2)), 0, None]

    async with serving(app_of(lambda: ndjson(items))) as url:
        answer = await fetch(url)

    assert answer.complete
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-ndjson"
    expected = [*items[:3], {"number": 7, "day": "2026-01-02"}, 0, None]
    assert [json.loads(line) for line in answer.body.decode().splitlines()] == expected
    assert answer.body.endswith(b"null\n")


async def test_no_items_are_no_lines():
    async with serving(app_of(lambda: ndjson([]))) as url:
        answer = await fetch(url)

    assert (answer.status, answer.body, answer.complete) == (200, b"", True)


@pytest.mark.parametrize("server", IN_PYTHON)
async def test_an_item_is_with_the_client_before_the_next_is_made(server):
    go_on = asyncio.Event()

    async def items():
        yield {"number": 1}
        await go_on.wait()
        yield {"number": 2}

    async with serving(app_of(lambda: ndjson(items())), server) as url, reading(url) as (_, chunk):
        assert await chunk() == b'{"number":1}\n'
        go_on.set()
        assert await chunk() == b'{"number":2}\n'


async def test_a_function_writes_what_json_does_not_know():
    async with serving(app_of(lambda: ndjson([{"z": 1j}], default=str))) as url:
        answer = await fetch(url)

    assert answer.body == b'{"z":"1j"}\n'


async def test_options_are_those_of_a_response():
    response = ndjson([1], filename="rows.ndjson", status_code=202, headers={"x-rows": "1"})

    assert response.status_code == 202
    assert response.headers["x-rows"] == "1"
    assert response.headers["content-disposition"] == 'attachment; filename="rows.ndjson"'
    assert ndjson([1], media_type="application/jsonl").headers["content-type"] == "application/jsonl"


def test_a_default_that_is_no_function_is_refused_at_once():
    with pytest.raises(sf.UsageError, match="must be a function"):
        ndjson([1], default="str")


async def test_an_item_that_cannot_be_written_at_the_beginning_is_a_500():
    """H78"""
    async with serving(app_of(lambda: ndjson([{"z": 1j}]))) as url:
        answer = await fetch(url)

    assert (answer.status, answer.complete) == (500, True)


async def test_an_item_that_cannot_be_written_later_breaks_the_connection_behind_whole_lines():
    """H79"""
    items = [*({"number": number} for number in range(5_000)), {"z": 1j}]

    async with serving(app_of(lambda: ndjson(items))) as url:
        answer = await fetch(url)

    assert (answer.status, answer.complete) == (200, False)
    numbers = [json.loads(line)["number"] for line in answer.body.split(b"\n")[:-1]]
    assert numbers == list(range(len(numbers)))


async def test_the_error_names_the_item():
    lines = sf.stream([{"a": 1}, {"b": 1j}]).through(sf.stage(_lines))

    with pytest.raises(sf.FormatError, match="item 2 cannot be written as JSON"):
        await lines.collect()


async def _lines(items):
    formatter = Lines()
    async for item in items:
        for out in (*formatter.feed(item), *formatter.flush()):
            yield out


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(st.tuples(values, st.booleans()), max_size=12))
def test_the_bytes_are_the_same_wherever_they_are_brought_out(items):
    apart, together = Lines(), Lines()
    got = b""
    for value, flushed in items:
        got += b"".join([*apart.feed(value), *(apart.flush() if flushed else ())])
    got += b"".join(apart.finish())

    assert got == b"".join([*together.apply(iter([value for value, _ in items])), *together.finish()])
    assert [json.loads(line) for line in got.split(b"\n")[:-1]] == [value for value, _ in items]
