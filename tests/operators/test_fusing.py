"""What `fuse` takes, refuses and shows. Its endings: tests/engine/test_generators.py."""

from __future__ import annotations

import asyncio
import contextvars
import re

import pytest

import streamflow as sf


async def doubled(items):
    async for item in items:
        yield item * 2


async def more(items):
    async for item in items:
        yield item + 1


@sf.stage
async def added(items, number):
    async for item in items:
        yield item + number


def test_it_is_one_stage_named_after_its_stages():
    stage = sf.fuse(doubled, added(3), sf.filter(bool))

    assert stage.name == "doubled + added + filter"
    assert stage.where.rpartition(":")[0] == __file__


def test_of_one_stage_it_makes_that_stage():
    stage = added(3)

    assert sf.fuse(stage) is stage
    assert sf.fuse(doubled).function is doubled


async def test_a_fuse_in_a_fuse_is_one():
    stage = sf.fuse(sf.fuse(doubled, more), added(10))

    assert [inner.name for inner in stage.nested] == ["doubled", "more", "added"]
    assert await sf.stream([1, 2]).through(stage).collect() == [13, 15]


async def test_it_can_be_used_again():
    stage = sf.fuse(doubled, sf.take(2))

    assert await sf.stream(range(9)).through(stage).collect() == [0, 2]
    assert await sf.stream(range(9)).through(stage).through(stage).collect() == [0, 4]


async def test_the_plan_and_the_report_show_one_row():
    job = sf.Pipeline(range(4), sf.fuse(doubled, more), sf.collect())

    assert "task 2  doubled + more  (nested, no channel between)" in job.explain()
    assert await job.run() == [1, 3, 5, 7]
    rows = job.stats().stages
    assert [(row.name, row.items_in, row.items_out) for row in rows] == [
        ("range", 4, 4),
        ("doubled + more", 4, 4),
        ("collect", 4, 0),
    ]


async def test_synchronous_stages_alone_are_fused_as_they_are():
    job = sf.Pipeline(range(4), sf.fuse(sf.map(str), sf.filter(str.isdigit)), sf.collect())

    assert "task 1  range + map + filter  (fused)" in job.explain()
    assert await job.run() == ["0", "1", "2", "3"]
    assert [row.name for row in job.stats().stages] == ["range", "map", "filter", "collect"]


@pytest.mark.parametrize("inner", [sf.map(str), sf.map(str, concurrency=2), sf.cast(int)])
async def test_what_is_dropped_is_counted_where_it_is_known(inner):
    """P2"""
    job = sf.Pipeline(range(10), sf.fuse(sf.filter(lambda n: n % 5 == 0), inner, sf.map(added_later)), sf.collect())

    await job.run()

    assert [row.dropped for row in job.stats().stages] == [0, 8, 0]


async def added_later(item):
    await asyncio.sleep(0)
    return item


async def test_an_error_is_caught_by_the_next_stage():
    """P3"""

    async def failing(items):
        async for item in items:
            if item == 2:
                raise ValueError(item)
            yield item

    async def careful(items):
        try:
            async for item in items:
                yield item
        except ValueError as error:
            yield f"caught {error}"

    assert await sf.stream(range(9)).fuse(failing, careful, doubled).collect() == [0, 2, "caught 2caught 2"]


async def test_an_error_says_which_of_them_raised_it_and_at_which_item():
    """P4"""

    async def failing(items):
        async for item in items:
            if item == 4:
                raise ValueError(item)
            yield item

    with pytest.raises(ValueError, match="4") as caught:
        await sf.pipeline(range(9), sf.fuse(doubled, failing, more), sf.collect())

    assert caught.value.__notes__[0] == "raised by stage 2 of the 3 that are nested here: 'failing'"
    assert "'doubled + failing + more', at item 3 (added at" in caught.value.__notes__[1]


async def test_an_error_of_the_source_is_not_put_on_them():
    def source():
        yield 1
        raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011  # it says nothing
        await sf.pipeline(source, sf.fuse(doubled, more), sf.collect())

    assert [note for note in caught.value.__notes__ if "raised by" in note] == []


async def test_by_hand_an_error_of_the_source_is_not_put_on_them():
    async def source():
        yield 1
        raise ValueError

    with pytest.raises(ValueError) as caught:  # noqa: PT011  # it says nothing
        [_ async for _ in sf.fuse(doubled, more)(source())]

    assert not hasattr(caught.value, "__notes__")


async def test_the_same_function_twice_is_told_apart():
    async def picky(items):
        async for item in items:
            if item > 3:
                raise ValueError(item)
            yield item

    async def after(limit):
        with pytest.raises(ValueError, match=str(limit)) as caught:
            await sf.pipeline([limit], sf.fuse(picky, doubled, picky), sf.collect())
        return caught.value.__notes__[0]

    assert "stage 1 of the 3" in await after(4)
    with pytest.raises(ValueError, match="6") as caught:
        await sf.pipeline([3], sf.fuse(picky, doubled, picky), sf.collect())
    assert "stage 3 of the 3" in caught.value.__notes__[0]


async def test_they_share_one_task_and_one_context():
    """P7"""
    seen = contextvars.ContextVar("seen", default="nothing")
    tasks = set()

    async def first(items):
        seen.set("first")
        async for item in items:
            tasks.add(asyncio.current_task())
            yield item

    async def second(items):
        async for _ in items:
            tasks.add(asyncio.current_task())
            yield seen.get()

    assert await sf.stream(range(3)).fuse(first, second).collect() == ["first"] * 3
    assert len(tasks) == 1


async def test_nothing_is_taken_ahead_between_them():
    order = []

    def logged(name):
        async def passing(items):
            async for item in items:
                order.append((name, item))
                yield item

        return passing

    await sf.stream(range(2)).fuse(logged("a"), logged("b")).collect()

    assert order == [("a", 0), ("b", 0), ("a", 1), ("b", 1)]


async def test_a_callable_that_turns_out_to_be_async_is_awaited():
    def later(item):
        return added_later(item)

    assert await sf.stream(range(3)).fuse(more, sf.map(later), doubled).collect() == [2, 4, 6]


async def test_a_function_that_raises_stop_iteration_is_no_silent_end():
    """H36"""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await sf.stream(range(3)).fuse(more, sf.map(lambda item: next(iter([])))).collect()


def plain(item):
    return item


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "fuse needs stages: sf.fuse(parse, enrich)."),
        ([doubled, sf.buffer(5)], "buffer(5) has no effect inside sf.fuse"),
        ([doubled, sf.retry()], "runs what is above it again"),
        ([plain, doubled], "write sf.map(plain); a function from Stream to Stream cannot be nested"),
        ([doubled, sf.collect()], "It is a sink"),
        ([[1, 2], doubled], "is not a stage"),
    ],
)
def test_what_cannot_be_nested_is_refused(stages, message):
    """P10"""
    with pytest.raises(sf.UsageError, match=re.escape(message)):
        sf.fuse(*stages)


def test_a_refusal_names_the_place():
    with pytest.raises(sf.UsageError) as caught:
        sf.fuse(doubled, 3)

    assert caught.value.__notes__ == ["stage 2 of sf.fuse"]
