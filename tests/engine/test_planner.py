"""Which stages share a task."""

from __future__ import annotations

import pytest

import streamflow as sf
from streamflow.engine.planner import segments_of
from streamflow.stages import Plan


async def generator(items):
    async for item in items:
        yield item


async def rows():
    yield 1


def segments(source, *steps, maxsize=9):
    return [
        (segment.name, segment.capacity) for segment in segments_of(sf.Pipeline(source, *steps, maxsize=maxsize)._plan)
    ]


m, f, b = sf.map(str), sf.filter(str), sf.buffer
end = sf.collect()

CASES = [
    ((), [("list", 9), ("collect", 0)]),
    ((m,), [("list + map", 9), ("collect", 0)]),
    ((m, f, m), [("list + map + filter + map", 9), ("collect", 0)]),
    ((generator,), [("list", 9), ("generator", 9), ("collect", 0)]),
    ((m, generator, f, m), [("list + map", 9), ("generator", 9), ("filter + map", 9), ("collect", 0)]),
    ((generator, generator), [("list", 9), ("generator", 9), ("generator", 9), ("collect", 0)]),
    ((m, b(4), f), [("list + map", 4), ("filter", 9), ("collect", 0)]),
    ((b(4), m), [("list", 4), ("map", 9), ("collect", 0)]),
    ((m, b(4)), [("list + map", 4), ("collect", 0)]),
    ((b(4),), [("list", 4), ("collect", 0)]),
    ((b(4), b(5), m), [("list", 5), ("map", 9), ("collect", 0)]),
    ((m, b(4), generator, b(5)), [("list + map", 4), ("generator", 5), ("collect", 0)]),
    ((generator, b(4), m), [("list", 9), ("generator", 4), ("map", 9), ("collect", 0)]),
    ((sf.map(str, concurrency=2), m), [("list", 9), ("map(concurrency=2)", 9), ("map", 9), ("collect", 0)]),
    ((sf.batched(2), sf.take(1)), [("list + batched(2) + take(1)", 9), ("collect", 0)]),
]


@pytest.mark.parametrize(("steps", "expected"), CASES, ids=[" | ".join(dict(expected)) for _, expected in CASES])
def test_neighbours_that_never_wait_share_a_task(steps, expected):
    assert segments([1], *steps, end) == expected


def test_an_async_source_is_a_task_of_its_own():
    assert segments(rows, m, end) == [("rows", 9), ("map", 9), ("collect", 0)]


def test_a_stream_without_a_sink_ends_with_a_channel_to_the_consumer():
    flow = sf.stream([1]).map(str).through(generator)
    plan = Plan(flow._source, flow._stages, None, "stream", 9, 1, 1.0)
    assert [(segment.name, segment.capacity) for segment in segments_of(plan)] == [("list + map", 9), ("generator", 9)]

    buffered = sf.stream([1]).map(str).buffer(4)
    plan = Plan(buffered._source, buffered._stages, None, "stream", 9, 1, 1.0)
    assert [(segment.name, segment.capacity) for segment in segments_of(plan)] == [("list + map", 4)]


def test_positions_count_what_the_user_wrote():
    """P4: the source is 1; a buffer counts although it becomes no task."""
    parts = [part for segment in segments_of(sf.Pipeline([1], m, b(2), f, end)._plan) for part in segment.parts]

    assert [(part.position, part.name) for part in parts] == [(1, "list"), (2, "map"), (4, "filter"), (5, "collect")]


def test_a_plan_can_be_grouped_again_and_again():
    plan = sf.Pipeline([1], m, generator, end)._plan

    assert segments_of(plan) == segments_of(plan)
