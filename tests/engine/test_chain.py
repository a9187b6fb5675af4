"""Fused chains: what they emit, what they count, whom they blame; and that they agree with every other way to run.

With them their parts: which stage an error came from (blame.py), and the rest of a chain that must await (awaiting.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from contextlib import aclosing
from unittest.mock import Mock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import streamflow as sf

# --- counts ---------------------------------------------------------------------------------------------------------


async def numbers(n):
    for number in range(n):
        yield number


@pytest.fixture(params=["sync source", "channel"])
def feed(request):
    """Give a source that is fused with the stages after it, or one with a channel between."""
    return range if request.param == "sync source" else numbers


async def stats_of(source, *stages, **options):
    job = sf.Pipeline(source, *stages, sf.collect(), **options)
    await job.run()
    return job.stats()


def in_out_dropped(stats):
    return [(row.items_in, row.items_out, row.dropped) for row in stats.stages[1:-1]]


@pytest.mark.parametrize("maxsize", [1, 7, 1024])
async def test_items_are_counted_between_all_stages(feed, maxsize):
    """P2"""
    stats = await stats_of(
        feed(100),
        sf.filter(lambda x: x % 2 == 0),
        sf.map(str),
        sf.filter(lambda x: not x.endswith("8")),
        sf.flat_map(lambda x: [x] * 3),
        sf.tap(len),
        sf.filter(lambda x: x != "0"),
        maxsize=maxsize,
    )

    assert in_out_dropped(stats) == [
        (100, 50, 50),
        (50, 50, 0),
        (50, 40, 10),
        (40, 120, 0),
        (120, 120, 0),
        (120, 117, 3),
    ]
    assert stats.stages[0].items_out == 100
    assert stats.stages[-1].items_in == 117


async def test_items_are_counted_where_stages_emit_at_the_end(feed):
    stats = await stats_of(
        feed(10), sf.batched(3), sf.filter(lambda batch: len(batch) == 3), sf.map(len), sf.batched(2)
    )

    assert in_out_dropped(stats) == [(10, 4, 0), (4, 3, 1), (3, 3, 0), (3, 2, 0)]


async def test_items_are_counted_up_to_where_a_stage_had_enough():
    stats = await stats_of(range(100), sf.filter(lambda x: x % 10 == 0), sf.take(3), sf.filter(lambda x: x > 0))

    assert in_out_dropped(stats) == [(21, 3, 18), (3, 3, 0), (3, 2, 1)]


@pytest.mark.parametrize("at", range(5))
async def test_items_are_counted_when_a_callable_turns_out_to_be_asynchronous(feed, at):
    """The counts are those of the synchronous run, whichever stage has to be awaited."""
    keeps = [lambda x: x % 2 == 0, lambda x: x % 3 == 0, lambda x: True, lambda x: x != 6, lambda x: x < 80]

    def stages(awaited):
        def soon(fn):
            async def call(x):
                await asyncio.sleep(0)
                return fn(x)

            return lambda x: call(x)  # noqa: PLW0108  # hides that it is a coroutine function

        return [sf.filter(soon(keep) if awaited == at else keep) for at, keep in enumerate(keeps)]

    expected = in_out_dropped(await stats_of(feed(100), *stages(None)))
    assert expected[0] == (100, 50, 50)
    assert in_out_dropped(await stats_of(feed(100), *stages(at), maxsize=8)) == expected


async def test_an_item_that_failed_is_not_counted_as_dropped(feed):
    def fail(x):
        if x == 6:
            raise ValueError
        return x

    job = sf.Pipeline(feed(10), sf.filter(lambda x: x % 2 == 0), sf.filter(fail), sf.collect())
    with pytest.raises(ValueError):  # noqa: PT011
        await job.run()

    rows = job.stats().stages
    assert (rows[1].failed, rows[2].failed) == (0, 1)
    assert (rows[2].items_in, rows[2].items_out, rows[2].dropped) == (4, 2, 1)  # 0 is false and so dropped


async def test_every_edge_is_counted_up_to_the_failure(feed):
    def fail(x):
        if x == 6:
            raise ValueError
        return x

    for before, after in itertools.product(range(3), range(3)):
        stages = [*[sf.map(lambda x: x)] * before, sf.map(fail), *[sf.map(lambda x: x)] * after]
        job = sf.Pipeline(feed(10), *stages, sf.collect())
        with pytest.raises(ValueError):  # noqa: PT011
            await job.run()

        assert in_out_dropped(job.stats()) == [*[(7, 7, 0)] * before, (7, 6, 0), *[(6, 6, 0)] * after]


# --- whose error it is ---------------------------------------------------------------------------------------------


OPERATORS = {
    "map": lambda call: sf.map(lambda x: call(x)),  # noqa: PLW0108  # each with a function of its own
    "filter": lambda call: sf.filter(lambda x: call(x) is not None),
    "flat_map": lambda call: sf.flat_map(lambda x: [call(x)]),
    "tap": lambda call: sf.tap(lambda x: call(x)),  # noqa: PLW0108
    "awaited": lambda call: sf.map(lambda x: _soon(call, x)),
    "coroutine function": lambda call: sf.map(functools.partial(_soon, call)),
}
shapes = [
    *itertools.permutations(["map", "filter", "flat_map", "tap"], 3),
    ("map", "map", "map"),
    ("filter", "awaited", "filter"),
    ("awaited", "map", "awaited"),
    ("map", "coroutine function", "flat_map"),
]


async def _soon(call, x):
    await asyncio.sleep(0)
    return call(x)


@pytest.mark.parametrize("shape", shapes, ids="-".join)
async def test_the_note_names_the_stage_and_the_item_at_every_position(feed, shape):
    """P4: also in the first item of a stage, and behind a filter that has dropped some."""
    for guilty, number in itertools.product(range(len(shape)), (1, 2, 5)):
        seen = itertools.count(1)

        def call(x, seen=seen, number=number):
            if next(seen) == number:
                raise KeyError(x)
            return x

        stages = [OPERATORS[kind](call if at == guilty else lambda x: x) for at, kind in enumerate(shape)]
        with pytest.raises(KeyError) as caught:
            await sf.pipeline(feed(40), sf.filter(lambda x: x % 3 == 0), *stages, sf.collect(), maxsize=4)

        [note] = caught.value.__notes__
        assert f"in stage {guilty + 3} of {len(shape) + 3} of pipeline" in note
        assert f", at item {number} (added at {__file__}:" in note


async def test_builtins_and_functions_used_twice_are_told_apart(feed):
    """P4: a builtin leaves no frame, and one function in two stages leaves the same one."""

    def checked(x):
        if x == "7":
            raise ValueError(x)
        return x if isinstance(x, str) else str(x)

    cases = [
        ([sf.map(str), sf.map(int), sf.map("abc".__getitem__)], 4, 4),
        ([sf.map(str), sf.map(str.strip), sf.map(str.encode), sf.map("a".index)], 5, 1),
        ([sf.map(checked), sf.map(checked)], 3, 8),
        ([sf.filter(lambda x: x > 2), sf.map(checked), sf.map(str), sf.map(checked)], 5, 5),
        ([sf.map(str), sf.filter(checked), sf.map(ascii)], 3, 8),
    ]
    for stages, position, item in cases:
        with pytest.raises((ValueError, IndexError, TypeError)) as caught:
            await sf.pipeline(feed(10), *stages, sf.collect())
        [note] = caught.value.__notes__
        assert note.startswith(f"in stage {position} of {len(stages) + 2} of"), note
        assert f"at item {item} " in note


async def test_an_error_of_the_source_is_not_put_on_a_stage():
    def rows():
        yield "1"
        yield "2"
        raise OSError("disk")

    class Rows:
        def __init__(self):
            self.rows = rows()

        def __iter__(self):
            return self

        def __next__(self):
            return next(self.rows)

    for source in (rows, Rows()):
        with pytest.raises(OSError, match="disk") as caught:
            await sf.pipeline(source, sf.map(int), sf.map(lambda x: x), sf.batched(2), sf.collect())
        assert "in stage 1 of 5" in caught.value.__notes__[0]


async def test_an_error_of_an_inner_iterable_is_put_on_the_stage_that_reads_it(feed):
    def lines(x):
        yield x
        raise OSError("inner")

    for fn in (lines, lambda x: lines(x)):  # noqa: PLW0108  # directly, and through another function
        with pytest.raises(OSError, match="inner") as caught:
            await sf.pipeline(feed(3), sf.map(lambda x: x), sf.flat_map(fn), sf.collect())
        assert "in stage 3 of 4" in caught.value.__notes__[0]


async def test_a_transform_of_ones_own_is_blamed_for_its_errors(feed):
    class Checking:
        done = False

        def apply(self, items):
            for item in items:
                if item == 3:
                    raise ValueError(item)
                yield item

        def finish(self):
            return iter(())

    own = sf.Stage(transform=Checking, name="checking")
    with pytest.raises(ValueError, match="3") as caught:
        await sf.pipeline(feed(9), sf.map(lambda x: x), own, sf.batched(2), sf.collect())
    assert "in stage 3 of 5 of pipeline: 'checking', at item" in caught.value.__notes__[0]


def of_two(left, right):
    return left, right


@pytest.mark.parametrize("operator", [sf.map, sf.filter, sf.tap, sf.flat_map, sf.scan, sf.starmap])
async def test_a_function_that_takes_other_arguments_is_blamed_itself(feed, operator):
    """P4: it was never entered, so no frame tells of it; the source was blamed, or a builtin in another stage."""
    stage = sf.scan(lambda total: total, 0) if operator is sf.scan else operator(of_two)
    rows = sf.map(lambda x: (x,)) if operator is sf.starmap else sf.map(abs)
    with pytest.raises(TypeError, match=r"positional argument") as caught:
        await sf.pipeline(feed(9), rows, stage, sf.tap(str), sf.collect())
    assert "in stage 3 of 5 of pipeline: " in caught.value.__notes__[0]


async def test_of_lambdas_in_one_function_the_one_that_takes_no_item_is_blamed(feed):
    """P4: Python's message calls them all `<lambda>`."""
    with pytest.raises(TypeError, match=r"<lambda>\(\) takes 0 positional arguments") as caught:
        await sf.pipeline(feed(9), sf.map(lambda x: x), sf.map(lambda: 0), sf.tap(lambda x: x), sf.collect())
    assert "in stage 3 of 5 of pipeline: " in caught.value.__notes__[0]


async def test_a_mock_may_be_a_callable(feed):
    mock = Mock(side_effect=[1, 2, ValueError("third")])
    with pytest.raises(ValueError, match="third") as caught:
        await sf.pipeline(feed(9), sf.tap(lambda x: None), sf.map(mock), sf.collect())
    assert "in stage 3 of 4 of pipeline: 'map', at item 3" in caught.value.__notes__[0]


# --- StopIteration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("total", [1, 3, 4, 5, 9])
async def test_stop_iteration_out_of_a_function_is_an_error_at_every_item(feed, kind, total):
    """H36: to `map` it looks like the end of the input, and rows would be lost silently."""
    for number, maxsize in itertools.product(range(1, total + 1), (1, 4, 64)):
        seen = itertools.count(1)

        def call(x, seen=seen, number=number):
            if next(seen) == number:
                raise StopIteration
            return x

        with pytest.raises((sf.StageError, RuntimeError)) as caught:
            await sf.pipeline(feed(total), sf.map(lambda x: x), OPERATORS[kind](call), sf.collect(), maxsize=maxsize)
        assert "StopIteration" in str(caught.value)


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_stop_iteration_behind_a_stage_that_had_enough_is_an_error(feed, number):
    """H36: the chain has ended, but not as it should."""

    def call(x):
        if x == number - 1:
            raise StopIteration
        return x

    for stages in ([sf.take(3), sf.map(call)], [sf.take(3), sf.tap(lambda x: None), sf.filter(call), sf.take(9)]):
        with pytest.raises((sf.StageError, RuntimeError), match="StopIteration"):
            await sf.pipeline(feed(10), *stages, sf.collect())


async def test_stop_iteration_on_what_comes_at_the_end_is_an_error(feed):
    """H36"""

    def call(batch):
        if len(batch) == 1:
            raise StopIteration
        return batch

    with pytest.raises((sf.StageError, RuntimeError), match="StopIteration"):
        await sf.pipeline(feed(10), sf.batched(3), sf.map(call), sf.collect())


@pytest.mark.parametrize("total", [1, 2, 5, 9])
async def test_stop_iteration_before_a_stage_that_is_awaited_is_an_error(feed, total):
    """H36: also in the stretches after the one in which it was found out, and in what comes at the end."""
    for number, batch in itertools.product(range(1, total + 1), (1, 2, 4)):
        seen = itertools.count(1)

        def call(x, seen=seen, number=number, batch=batch):
            if next(seen) == -(-number // batch):
                raise StopIteration
            return x

        stages = [sf.map(lambda x: x), sf.batched(batch), sf.map(call), sf.map(lambda x: _soon(len, x))]
        for maxsize in (1, 64):
            with pytest.raises((sf.StageError, RuntimeError), match="StopIteration"):
                await sf.pipeline(feed(total), *stages, sf.collect(), maxsize=maxsize)
            seen = itertools.count(1)
            stages[2] = sf.map(lambda x, seen=seen, number=number, batch=batch: call(x, seen, number, batch))


class Marking:
    """A transform that looks one item ahead, to say which is the last of a stretch."""

    done = False

    def apply(self, items):
        ahead = list(itertools.islice(items, 1))
        for item in items:
            yield ahead.pop(), False
            ahead.append(item)
        for item in ahead:
            yield item, True

    def finish(self):
        return iter(())


async def test_stop_iteration_behind_a_transform_that_looks_ahead_is_an_error(feed):
    """H36: when the last item leaves it, the input has ended already."""

    def call(pair):
        if pair[1]:
            raise StopIteration
        return pair

    marking = sf.Stage(transform=Marking, name="marking")
    for stages in ([marking, sf.map(lambda x: x), sf.map(call)], [sf.take(9), marking, sf.filter(call), sf.take(9)]):
        with pytest.raises((sf.StageError, RuntimeError), match="StopIteration"):
            await sf.pipeline(feed(5), *stages, sf.collect())
    assert len(await sf.pipeline(feed(5), marking, sf.map(lambda x: x), sf.collect())) == 5


# --- callables that turn out to be asynchronous --------------------------------------------------------------------


def _steps(kinds, awaited):
    """A plan of operators, with the callable at `awaited` returning coroutines from a plain lambda."""

    def soon(fn):
        return lambda x: _soon(fn, x)

    functions = {
        "map": (sf.map, lambda x: x if isinstance(x, tuple) else x + 1),
        "filter": (sf.filter, lambda x: isinstance(x, tuple) or x % 3 != 0),
        "flat_map": (sf.flat_map, lambda x: [x, x]),
        "tap": (sf.tap, lambda x: None),
    }
    stages = []
    for at, kind in enumerate(kinds):
        if kind in functions:
            operator, fn = functions[kind]
            stages.append(operator(soon(fn) if at == awaited else fn))
        else:
            stages.append(sf.batched(3) if kind == "batched" else sf.take(7))
    return stages


@pytest.mark.parametrize(
    "kinds",
    [
        ("map", "filter", "flat_map", "tap"),
        ("filter", "batched", "map"),
        ("batched", "map", "take"),
        ("batched", "flat_map", "batched"),
        ("take", "map", "batched"),
        ("batched", "take", "map", "tap", "filter"),
        ("flat_map", "batched", "batched", "tap"),
    ],
    ids="-".join,
)
@pytest.mark.parametrize("total", [0, 1, 2, 3, 5, 20])
async def test_awaiting_may_begin_at_every_position(feed, kinds, total):
    """The result is the same; every call is made once; what waits at the end is emitted once."""
    expected = await sf.pipeline(feed(total), *_steps(kinds, None), sf.collect())
    for awaited, maxsize in itertools.product(range(len(kinds)), (1, 5)):
        if kinds[awaited] in {"batched", "take"}:
            continue
        assert await sf.pipeline(feed(total), *_steps(kinds, awaited), sf.collect(), maxsize=maxsize) == expected


async def test_an_error_before_the_stage_that_is_awaited_is_not_put_on_it(feed):
    """P4: also in the rest of the stretch in which it was found out."""
    for failing in range(901, 940):

        def late(x, failing=failing):
            if x == failing:
                raise KeyError(x)
            return x >= 900

        with pytest.raises(KeyError) as caught:
            await sf.pipeline(feed(2_000), sf.filter(late), sf.map(lambda x: _soon(str, x)), sf.collect())
        assert f"in stage 2 of 4 of pipeline: 'filter', at item {failing + 1} " in caught.value.__notes__[0]


async def test_two_callables_may_turn_out_to_be_asynchronous(feed):
    stages = [sf.map(lambda x: _soon(lambda y: y + 1, x)), sf.batched(2), sf.map(lambda b: _soon(sum, b))]

    assert await sf.pipeline(feed(5), *stages, sf.collect()) == [3, 7, 5]


async def test_the_call_that_showed_it_is_not_made_twice(feed):
    calls = []

    def fetch(x):
        calls.append(x)
        return _soon(str, x)

    assert await sf.pipeline(feed(4), sf.filter(lambda x: x > 0), sf.map(fetch), sf.collect()) == ["1", "2", "3"]
    assert calls == [1, 2, 3]


async def test_an_early_end_closes_a_chain_that_awaits():
    closed = []

    def source():
        try:
            yield from itertools.count()
        finally:
            closed.append("source")

    stages = [sf.tap(lambda x: None), sf.map(lambda x: _soon(str, x)), sf.filter(lambda x: True)]
    assert await sf.pipeline(source, *stages, sf.take(2), sf.collect(), maxsize=1) == ["0", "1"]
    assert closed == ["source"]


# --- laws ----------------------------------------------------------------------------------------------------------


class Bang(Exception):
    """What a random stage raises."""


def bang_at(number, result=lambda x: x):
    """A function that raises at its `number`-th call in a run; made anew for each run."""
    seen = itertools.count()

    def call(x):
        if next(seen) == number:
            raise Bang(number)
        return result(x)

    return call


def _flat(x):
    return (x, x) if hash(x) % 3 else ()


STEPS = st.one_of(
    st.just(("map", lambda: sf.map(lambda x: (x, 1)))),
    st.just(("filter", lambda: sf.filter(lambda x: hash(x) % 4))),
    st.just(("flat_map", lambda: sf.flat_map(_flat))),
    st.just(("tap", lambda: sf.tap(hash))),
    st.integers(1, 5).map(lambda n: (f"batched {n}", lambda: sf.batched(n))),
    st.integers(0, 12).map(lambda n: (f"take {n}", lambda: sf.take(n))),
    st.just(("awaited map", lambda: sf.map(lambda x: _soon(str, x)))),
    st.just(("awaited filter", lambda: sf.filter(lambda x: _soon(lambda y: hash(y) % 3, x)))),
    st.just(("concurrent", lambda: sf.map(_pair, concurrency=3))),
    st.integers(0, 9).map(lambda n: (f"failing map {n}", lambda: sf.map(bang_at(n)))),
    st.integers(0, 9).map(lambda n: (f"failing filter {n}", lambda: sf.filter(bang_at(n, lambda x: True)))),
    st.integers(0, 9).map(lambda n: (f"failing flat_map {n}", lambda: sf.flat_map(bang_at(n, lambda x: [x])))),
    st.integers(0, 9).map(lambda n: (f"failing awaited {n}", lambda: _failing_awaited(n))),
)


def _failing_awaited(n):
    call = bang_at(n)
    return sf.map(lambda x: _soon(call, x))


async def _pair(x):
    await asyncio.sleep(0)
    return (x, x)


async def outcome(run):
    """What came out, and the error if there was one."""
    got, error = [], None
    try:
        async with aclosing(run) as items:
            async for item in items:
                got.append(item)  # noqa: PERF401  # keeps what came before an error
    except Bang as bang:
        error = bang.args
    except ExceptionGroup as group:
        error = group.exceptions[0].args
    return got, error


async def nested(source, makers):
    """The plan as nested generators, by hand, with no engine at all."""
    made = [source]
    for make in makers:
        made.append(make().function(made[-1]))
    try:
        async for item in made[-1]:
            yield item
    finally:
        for generator in reversed(made):
            if hasattr(generator, "aclose"):
                await generator.aclose()


async def streamed(source, makers, *, buffers=False, maxsize=64):
    flow = sf.stream(source)
    for make in makers:
        flow = flow.through(make())
        if buffers:
            flow = flow.buffer(maxsize)
    async with flow.open(maxsize=maxsize) as items:
        async for item in items:
            yield item


@given(total=st.integers(0, 30), plan=st.lists(STEPS, max_size=6), maxsize=st.sampled_from([1, 2, 3, 64]))
@example(total=5, plan=[("b", lambda: sf.batched(2)), ("f", lambda: sf.map(bang_at(2)))], maxsize=1)
def test_however_a_plan_is_run_the_items_and_the_error_are_the_same(total, plan, maxsize):
    """L2, L3: fused, unfused, with channels of one item, and as nested generators."""
    makers = [make for _, make in plan]

    async def compare():
        expected = await outcome(nested(numbers(total), makers))
        assert await outcome(streamed(range(total), makers)) == expected
        assert await outcome(streamed(numbers(total), makers)) == expected
        assert await outcome(streamed(range(total), makers, maxsize=maxsize)) == expected
        assert await outcome(streamed(numbers(total), makers, maxsize=maxsize)) == expected
        assert await outcome(streamed(range(total), makers, buffers=True, maxsize=maxsize)) == expected

    asyncio.run(compare())


@given(total=st.integers(0, 60), plan=st.lists(STEPS, max_size=6), maxsize=st.sampled_from([1, 2, 8]))
def test_the_account_of_every_plan_agrees_with_what_really_passed(total, plan, maxsize):
    """L4, P2: counted by hand at the source, in a tap between all stages, and in the sink."""
    makers = [make for _, make in plan]
    passed = [0] * (len(makers) + 1)

    def counting(at):
        def count(_):
            passed[at] += 1

        return sf.tap(count)

    async def sink(items):
        async for _ in items:
            pass

    async def account():
        steps = [step for at, make in enumerate(makers) for step in (make(), counting(at + 1))]
        job = sf.Pipeline(range(total), counting(0), *steps, sf.drain(), maxsize=maxsize)
        with contextlib.suppress(Bang, ExceptionGroup):
            await job.run()
            assert [row.items_in for row in job.stats().stages[1:-1:2]] == passed
        return job.stats()

    stats = asyncio.run(account())
    assert stats.balanced
    for above, below in itertools.pairwise(stats.stages):
        if above.task == below.task and above.kind != "source":
            assert below.items_in == above.items_out
        assert below.items_in <= above.items_out
