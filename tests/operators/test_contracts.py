"""Every operator is run through everything: empty, one, falsy, errors, early stop, cancellation, all plans, endless."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any

import pytest

import streamflow as sf
from streamflow.stages import Combination, Sink, Source, Stage
from streamflow.testing import Outcome, TrackedSource, cancel_everywhere
from tests.operators.contracts import (
    AnyCase,
    Broken,
    Case,
    SinkCase,
    SourceCase,
    applied,
    failing,
    gathered,
    one_by_one,
)

CASES = gathered()
NAMES = [name for name in sf.__all__ if getattr(getattr(sf, name), "__module__", "").startswith("streamflow.operators")]
OPERATORS = [name for name in NAMES if inspect.isfunction(getattr(sf, name)) and name != "skip_errors"]  # a policy


def named(cases: Iterable[AnyCase]) -> list[Any]:
    """Return the cases as parameters, on virtual time where they need it; all but the first of an operator are slow."""
    counted: dict[str, itertools.count[int]] = {}
    parameters = []
    for case in cases:
        number = next(counted.setdefault(case.operator, itertools.count(1)))
        marks = [pytest.mark.virtual_time] * case.virtual + [pytest.mark.slow] * (number > 1)
        parameters.append(pytest.param(case, id=f"{case.operator}-{number}", marks=marks))
    return parameters


STAGES = [case for case in CASES if isinstance(case, Case)]
SOURCES = [case for case in CASES if isinstance(case, SourceCase)]
SINKS = [case for case in CASES if isinstance(case, SinkCase)]

stages = pytest.mark.parametrize("case", named(STAGES))
sources = pytest.mark.parametrize("case", named(SOURCES))
sinks = pytest.mark.parametrize("case", named(SINKS))


async def put_into(got: list[Any], items: AsyncIterable[Any]) -> None:
    async for item in items:
        got.append(item)  # noqa: PERF401  # keeps what came before an error


async def error_of(run: Awaitable[Any]) -> Exception | None:
    try:
        await run
    except Exception as error:  # noqa: BLE001  # whatever it is: the test compares it
        return error
    return None


def test_every_operator_has_a_case() -> None:
    assert set(OPERATORS) - {case.operator for case in CASES} == set()


def test_every_case_is_of_an_operator() -> None:
    assert {case.operator for case in CASES} - set(sf.__all__) == set()


# --- stages ------------------------------------------------------------------------------------------------------


@stages
async def test_a_stage_emits_what_its_model_says(case: Case) -> None:
    got = await applied(case.make, case.items).collect()

    assert case.same(got, case.expected(case.items)), got


@stages
async def test_a_stage_over_nothing_ends(case: Case) -> None:
    assert case.same(await applied(case.make, []).collect(), case.expected([]))


@stages
async def test_a_stage_over_one_item(case: Case) -> None:
    assert case.same(await applied(case.make, case.items[:1]).collect(), case.expected(case.items[:1]))


@pytest.mark.parametrize("case", named(case for case in STAGES if case.falsy is not None))
async def test_falsy_items_are_data(case: Case) -> None:
    assert case.falsy is not None
    got = await applied(case.make, case.falsy).collect()

    assert case.same(got, case.expected(case.falsy)), got


@stages
@pytest.mark.parametrize("where", ["start", "middle", "end"])
async def test_an_error_comes_after_the_items_before_it(case: Case, where: str) -> None:
    after = {"start": 0, "middle": len(case.items) // 2, "end": len(case.items)}[where]
    error = Broken(where)
    got: list[Any] = []
    flow = applied(case.make, failing(case.items, after=after, error=error))

    caught = await error_of(flow.to(functools.partial(put_into, got)).run())

    wanted = case.expected_before_error(case.items[:after])
    assert case.right_before_error(got, wanted), (got, wanted)
    # Who has had enough before the error has not met it.
    assert caught is error or (caught is None and case.same(case.expected(case.items), wanted))


@stages
async def test_leaving_early_closes_everything(case: Case) -> None:
    source = TrackedSource(case.items)
    expected = case.expected(case.items)

    async with applied(case.make, source).open() as items:
        async for item in items:
            assert not case.ordered or item == expected[0]
            break

    assert source.opened == source.closed


@stages
async def test_channels_of_one_item_change_nothing(case: Case) -> None:
    got = await applied(case.make, one_by_one(case.items)).to(sf.collect(), maxsize=1).run()

    assert case.same(got, case.expected(case.items)), got


@stages
async def test_fused_and_unfused_agree(case: Case) -> None:
    fused = await applied(case.make, case.items).collect()
    between = sf.stream(one_by_one(case.items)).buffer(2).through(case.make()).buffer(1)

    assert case.same(fused, case.expected(case.items))
    assert case.same(await between.collect(), case.expected(case.items))


@stages
async def test_a_stage_works_by_hand(case: Case) -> None:
    made = case.make()
    if not isinstance(made, Stage) or made.reopens:
        return
    items: Any = one_by_one(case.items)()
    async with aclosing(items), aclosing(made(items)) as outs:  # type: ignore[type-var]  # async generators, both
        got = [item async for item in outs]

    assert case.same(got, case.expected(case.items)), got


@pytest.mark.parametrize("case", named(case for case in STAGES if case.asynchronous))
@pytest.mark.parametrize("source", [list, one_by_one], ids=["fused", "own task"])
async def test_a_coroutine_function_does_the_same(case: Case, source: Callable[[Any], Any]) -> None:
    assert case.asynchronous is not None
    got = await applied(case.asynchronous, source(case.items)).collect()

    assert case.same(got, case.expected(case.items)), got


@pytest.mark.parametrize("case", named(case for case in STAGES if case.asynchronous and case.falsy is not None))
async def test_falsy_items_are_data_to_a_coroutine_function(case: Case) -> None:
    assert case.asynchronous is not None
    assert case.falsy is not None

    assert case.same(await applied(case.asynchronous, case.falsy).collect(), case.expected(case.falsy))


@pytest.mark.parametrize("case", named(case for case in STAGES if case.endless))
async def test_an_endless_source_is_no_trouble(case: Case) -> None:
    got = await applied(case.make, case.endless_items()).take(case.endless).collect()

    assert len(got) == case.endless
    if case.ordered:
        assert got == case.expected(itertools.islice(case.endless_items(), 200))[: case.endless]


@pytest.mark.slow
@pytest.mark.parametrize("case", named(case for case in STAGES if case.cancelled))
@pytest.mark.parametrize("form", ["make", "asynchronous"])
def test_cancelled_after_every_step_a_stage_leaves_nothing_behind(case: Case, form: str) -> None:
    make = getattr(case, form)
    if make is not None:
        cancelled_everywhere(lambda: applied(make, one_by_one(case.items[:4])).collect())


def cancelled_everywhere(run: Callable[[], Any]) -> None:
    async def scenario() -> Any:
        return await run()

    def check(_state: object, outcome: Outcome) -> None:
        assert outcome.ended in {"returned", "cancelled"}

    cancel_everywhere(scenario, check, kinds=("task", "anyio_scope"))


# --- sources -----------------------------------------------------------------------------------------------------


async def taken(case: SourceCase, **limits: int) -> list[Any]:
    """Return what the source emits, or as much of it as is expected of an endless one."""
    flow = sf.stream(case.make())
    flow = flow.take(len(case.expected)) if case.endless else flow
    got: list[Any] = []
    caught = await error_of(flow.to(functools.partial(put_into, got), **limits).run())
    assert type(caught) is (case.error or type(None))
    return got


@sources
async def test_a_source_emits_what_is_expected(case: SourceCase) -> None:
    assert await taken(case) == list(case.expected)


@sources
async def test_a_source_before_a_channel_of_one(case: SourceCase) -> None:
    assert await taken(case, maxsize=1) == list(case.expected)


@pytest.mark.parametrize("case", named(case for case in SOURCES if case.repeatable))
async def test_a_source_can_be_read_again(case: SourceCase) -> None:
    source = case.make()
    again = SourceCase(**{**vars(case), "make": lambda: source})

    assert await taken(again) == await taken(again) == list(case.expected)


@sources
async def test_a_source_may_be_left(case: SourceCase) -> None:
    if len(case.expected) == 0:
        return
    async with sf.stream(case.make()).open() as items:
        async for item in items:
            assert item == case.expected[0]
            break


@pytest.mark.slow
@sources
def test_cancelled_after_every_step_a_source_leaves_nothing_behind(case: SourceCase) -> None:
    cancelled_everywhere(lambda: taken(case))


# --- sinks -------------------------------------------------------------------------------------------------------


@sinks
async def test_a_sink_gives_what_its_model_says(case: SinkCase) -> None:
    assert await sf.pipeline(case.items, case.make()) == case.model(list(case.items))


@sinks
async def test_a_sink_over_nothing(case: SinkCase) -> None:
    if case.empty is None:
        assert await sf.pipeline([], case.make()) == case.model([])
    else:
        with pytest.raises(case.empty):
            await sf.pipeline([], case.make())


@sinks
async def test_a_sink_over_one_item(case: SinkCase) -> None:
    assert await sf.pipeline(case.items[:1], case.make()) == case.model(list(case.items[:1]))


@pytest.mark.parametrize("case", named(case for case in SINKS if case.falsy is not None))
async def test_falsy_items_are_data_to_a_sink(case: SinkCase) -> None:
    assert case.falsy is not None

    assert await sf.pipeline(case.falsy, case.make()) == case.model(list(case.falsy))


@sinks
@pytest.mark.parametrize("where", ["start", "middle", "end"])
async def test_a_sink_raises_the_error_of_its_source(case: SinkCase, where: str) -> None:
    after = {"start": 0, "middle": len(case.items) // 2, "end": len(case.items)}[where]
    error = Broken(where)

    caught = await error_of(sf.pipeline(failing(case.items, after=after, error=error), case.make()))

    assert caught is error or (caught is None and case.stops_early)


@sinks
async def test_a_sink_behind_channels_of_one_item(case: SinkCase) -> None:
    value = await sf.pipeline(one_by_one(case.items), sf.buffer(1), case.make(), maxsize=1)

    assert value == case.model(list(case.items))


@sinks
async def test_a_sink_works_by_hand(case: SinkCase) -> None:
    made = case.make()
    assert isinstance(made, Sink)
    items: Any = one_by_one(case.items)()
    async with aclosing(items):
        assert await made(items) == case.model(list(case.items))


@pytest.mark.parametrize("case", named(case for case in SINKS if case.asynchronous))
async def test_a_sink_with_a_coroutine_function_gives_the_same(case: SinkCase) -> None:
    assert case.asynchronous is not None

    assert await sf.pipeline(case.items, case.asynchronous()) == case.model(list(case.items))


@pytest.mark.parametrize("case", named(case for case in SINKS if case.stops_early))
async def test_a_sink_that_has_enough_ends_an_endless_source(case: SinkCase) -> None:
    async def endless() -> AsyncIterator[Any]:
        for item in itertools.chain(case.items, itertools.cycle(case.items)):
            yield item

    assert await sf.pipeline(endless, case.make()) == case.model(list(case.items))


@pytest.mark.slow
@sinks
def test_cancelled_after_every_step_a_sink_leaves_nothing_behind(case: SinkCase) -> None:
    cancelled_everywhere(lambda: sf.pipeline(one_by_one(case.items), case.make()))


async def test_the_shapes_are_the_ones_the_table_knows() -> None:
    """A case's class says what the operator returns."""
    kinds: dict[type, tuple[type, ...]] = {Case: (Stage,), SinkCase: (Sink,), SourceCase: (Source, Combination)}
    for case in CASES:
        made = case.make()
        assert not isinstance(made, (Stage, Sink, Source)) or isinstance(made, kinds[type(case)]), case.operator
