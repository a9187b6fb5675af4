"""catch and fallback: what comes instead of the rest, and what does not."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

import streamflow as sf
from streamflow.errors import StageError, UsageError
from streamflow.methods.recovery import Recovery
from streamflow.operators.recovery import catch, fallback
from streamflow.operators.retrying import retry
from streamflow.testing import Outcome, TrackedSource, cancel_everywhere
from tests.operators.flaky import (
    Broken,
    Flaky,
    collected,
    failing_rows,
    failure_of,
    got_before_failing,
    notes_of,
)

# --- catch ---------------------------------------------------------------------------------------------------------


async def test_stop_ends_the_stream_after_the_items_before_the_error() -> None:
    assert await collected(Flaky(range(5), 3), catch(Broken, then="stop")) == [0, 1, 2]


@pytest.mark.parametrize("then", [[None, 0], (None, 0), sf.stream([None, 0]), TrackedSource([None, 0])])
async def test_items_may_come_instead_of_the_rest(then: Any) -> None:
    assert await collected(Flaky(range(5), 2), catch(Broken, then=then)) == [0, 1, None, 0]


async def replaced(error: Exception) -> list[str]:
    return [str(error)]


async def replaced_one_by_one(error: Exception) -> AsyncIterator[str]:
    yield str(error)


HANDLERS: list[Any] = [lambda error: [str(error)], replaced, replaced_one_by_one, lambda error: sf.stream([str(error)])]


@pytest.mark.parametrize("then", HANDLERS)
async def test_a_function_says_what_comes_instead(then: Any) -> None:
    assert await collected(Flaky(range(5), 1), catch(Broken, then=then)) == [0, "in run 1"]


async def test_a_function_that_only_looks_lets_the_error_pass() -> None:
    seen: list[Exception] = []

    got, error = await got_before_failing(Flaky(range(5), 1), catch(Broken, then=seen.append))

    assert got == [0]
    assert [error] == seen
    assert type(error) is Broken


async def test_an_empty_list_is_nothing_and_no_none() -> None:
    assert await collected(Flaky(range(5), 1), catch(Broken, then=lambda _error: [])) == [0]


async def test_other_errors_are_passed_on() -> None:
    got, error = await got_before_failing(Flaky(range(5), 2), catch(LookupError, OSError, then="stop"))

    assert got == [0, 1]
    assert isinstance(error, Broken)


async def test_an_error_of_the_function_is_raised_with_the_caught_one_as_context() -> None:
    def mistaken(_error: Exception) -> list[int]:
        raise ZeroDivisionError

    error = await failure_of(Flaky(range(5), 2), catch(Broken, then=mistaken))

    assert isinstance(error, ZeroDivisionError)
    assert isinstance(error.__context__, Broken)


async def test_an_error_of_what_comes_instead_is_raised() -> None:
    got, error = await got_before_failing(Flaky(range(5), 2), catch(Broken, then=Flaky("ab", 1)))

    assert got == [0, 1, "a"]
    assert isinstance(error, Broken)


async def test_leaving_closes_what_came_instead() -> None:
    instead = TrackedSource(itertools.count())

    assert await collected(Flaky(range(5), 2), catch(Broken, then=instead), sf.take(4)) == [0, 1, 0, 1]
    instead.verify()


async def test_errors_of_stages_are_caught_too() -> None:
    assert await collected(["1", "x", "3"], sf.map(int), catch(ValueError, then="stop")) == [1]


async def test_errors_below_are_not_caught() -> None:
    error = await failure_of(["x"], catch(ValueError, then="stop"), sf.map(int))

    assert isinstance(error, ValueError)


async def test_misuse_is_caught_only_by_its_own_name() -> None:
    """P10."""
    used_up = failing_rows()
    await used_up.aclose()

    assert isinstance(await failure_of(used_up, catch(Exception, then="stop")), UsageError)
    assert await collected(used_up, catch(UsageError, then="stop")) == []


async def test_a_caught_error_is_logged_and_counted_where_it_was_raised(caplog: pytest.LogCaptureFixture) -> None:
    run = sf.Pipeline(Flaky(range(5), 2), catch(Broken, then="stop"), sf.collect())
    with caplog.at_level(logging.WARNING, logger="streamflow"):
        await run.run()

    assert caplog.messages == ["catch(Broken): caught Broken: in run 1"]
    assert run.report.outcome == "succeeded"
    assert [stage.failed for stage in run.report.stats.stages] == [1, 0, 0]


def test_to_go_on_after_a_bad_item_there_is_another_way() -> None:
    with pytest.raises(UsageError, match=r"errors=sf\.skip_errors\(\.\.\.\)"):
        catch(ValueError, then="continue")


@pytest.mark.parametrize(
    ("types", "then", "message"),
    [
        ((), "stop", "needs types"),
        ((3,), "stop", "needs types"),
        ((asyncio.CancelledError,), "stop", "subclasses of Exception"),
        (((OSError, ValueError),), "stop", "needs types"),
        ((OSError,), "raise", "'stop', items"),
        ((OSError,), 0, r"then=\[item\]"),
        ((OSError,), None, r"then=\[item\]"),
        ((OSError,), sf.collect(), r"then=\[item\]"),
    ],
)
def test_misuse_of_catch_is_told(types: Any, then: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        catch(*types, then=then)


# --- fallback ------------------------------------------------------------------------------------------------------


async def test_the_next_source_is_opened_when_the_first_cannot_be() -> None:
    replica = TrackedSource([7, 8])

    assert await collected(Flaky(range(3), 0), fallback(replica)) == [7, 8]
    replica.verify()


async def test_it_is_not_opened_when_it_is_not_needed() -> None:
    replica = TrackedSource([7, 8])

    assert await collected(range(3), fallback(replica)) == [0, 1, 2]
    assert replica.opened == 0


async def test_once_items_were_emitted_nobody_guesses_where_to_go_on() -> None:
    replica = TrackedSource(range(5))

    got, error = await got_before_failing(Flaky(range(5), 2), fallback(replica))

    assert got == [0, 1]
    assert isinstance(error, Broken)
    assert "2 items had been emitted: write resume='after'" in notes_of(error)
    assert replica.opened == 0


async def test_after_the_emitted_items_each_comes_once() -> None:
    got = await collected(
        Flaky(range(6), 2), fallback(Flaky(range(6), 1), Flaky(range(6), 4), range(6), resume="after")
    )

    assert got == [0, 1, 2, 3, 4, 5]


async def test_from_its_start_the_next_source_comes_whole() -> None:
    got = await collected(Flaky(range(6), 2), fallback(Flaky("abc", 1), [None, 0], resume="start"))

    assert got == [0, 1, "a", None, 0]


async def test_a_source_with_less_than_was_emitted_is_an_error_and_no_end() -> None:
    """P5."""
    got, error = await got_before_failing(Flaky(range(6), 4), fallback(range(2), resume="after"))

    assert got == [0, 1, 2, 3]
    assert isinstance(error, StageError)
    assert "'range' ended after 2 items, but 4 had been emitted" in str(error)


async def test_when_all_fail_the_last_error_tells_of_the_others() -> None:
    got, error = await got_before_failing(
        Flaky(range(3), 0), fallback(Flaky(range(3), 0, error=LookupError), Flaky(range(3), 0, error=OSError))
    )

    assert got == []
    assert type(error) is OSError
    assert error.__context__ is None
    assert "before it, the first source failed with Broken: in run 1" in notes_of(error)
    assert "before it, Flaky failed with LookupError: in run 1" in notes_of(error)


async def test_an_error_that_is_not_meant_is_raised() -> None:
    replica = TrackedSource(range(5))

    assert isinstance(await failure_of(Flaky(range(3), 0), fallback(replica, on=(OSError, LookupError))), Broken)
    assert replica.opened == 0


async def test_misuse_is_not_fallen_back_from() -> None:
    used_up = failing_rows()
    await used_up.aclose()

    assert isinstance(await failure_of(used_up, fallback([1])), UsageError)


async def test_leaving_closes_the_source_that_is_open() -> None:
    replica = TrackedSource(itertools.count())

    assert await collected(Flaky(range(3), 1), fallback(replica, resume="start"), sf.take(3)) == [0, 0, 1]
    replica.verify()


async def test_the_items_of_the_first_source_pass_while_nothing_fails_however_small_the_channels() -> None:
    assert await sf.Pipeline(Flaky(range(30)), fallback([1]), sf.collect(), maxsize=1).run() == [*range(30)]


async def test_a_stream_may_be_a_fallback_and_fail_over_twice(caplog: pytest.LogCaptureFixture) -> None:
    second = sf.stream(Flaky(range(3), 0)).map(str)
    with caplog.at_level(logging.WARNING, logger="streamflow"):
        assert await collected(Flaky(range(3), 0), fallback(second, sf.stream([7]).map(str))) == ["7"]

    assert caplog.messages == [
        "fallback: the first source failed with Broken: in run 1; going on with Flaky",
        "fallback: Flaky failed with Broken: in run 1; going on with list",
    ]


def test_misuse_of_fallback_is_told() -> None:
    with pytest.raises(UsageError, match="another source"):
        fallback()
    with pytest.raises(UsageError, match="iterable"):
        fallback(3)
    with pytest.raises(UsageError, match="types of exceptions"):
        fallback([1], on=())
    with pytest.raises(UsageError, match="'start', 'after' or None"):
        fallback([1], resume="end")
    with pytest.raises(UsageError, match="'start', 'after' or None"):
        fallback([1], resume=["start"])


class FallenBack:
    """A run in which two sources fail and a third is caught."""

    def __init__(self) -> None:
        self.sources = [Flaky(range(5), 2), Flaky(range(5), 3), Flaky(range(5), 4)]
        self.got: list[int] = []

    async def __call__(self) -> None:
        first, *others = self.sources
        flow = sf.stream(first).through(fallback(*others, resume="after"))
        flow = flow.through(catch(Broken, then=lambda _error: sf.stream([4])))
        await flow.to(sf.for_each(self.got.append)).run()


def test_cancelled_after_every_step_a_fallback_leaves_nothing_behind() -> None:
    def check(state: FallenBack, outcome: Outcome) -> None:
        for source in state.sources:
            assert len(source.trace.events) in {0, 2}
        assert state.got == [*range(len(state.got))]
        assert outcome.ended != "returned" or len(state.got) == 5

    assert cancel_everywhere(FallenBack, check) > 50


# --- the methods ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [catch, fallback, retry])
def test_the_method_has_the_parameters_of_the_function(function: Callable[..., Any]) -> None:
    method = [
        p.replace(annotation=None) for p in inspect.signature(getattr(Recovery, function.__name__)).parameters.values()
    ]

    assert method[1:] == [p.replace(annotation=None) for p in inspect.signature(function).parameters.values()]
