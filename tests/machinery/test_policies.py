"""Policies as values, and what they do to calls: further attempts, time limits, skipped failures."""

from __future__ import annotations

import asyncio
import gc
import random
import traceback
import weakref
from itertools import islice
from typing import Any

import pytest

import streamflow as sf
from streamflow.machinery.policies import Backoff, DeadLetter, Retry, skip_errors
from streamflow.operators.concurrency import for_each
from streamflow.operators.concurrency import map as mapped
from streamflow.testing import Trace, TrackedSource

STEADY = Backoff(first=1.0, factor=2.0, most=60.0, jitter=False)
sizes = pytest.mark.parametrize("concurrency", [1, 3])


class Broken(Exception):
    """What the tests raise."""


class Flaky:
    """A function that fails for an item as often as said, then returns it."""

    def __init__(self, failures: dict[Any, int], error: type[BaseException] = ConnectionError) -> None:
        self.failures = dict(failures)
        self.calls: list[Any] = []
        self.error = error

    async def __call__(self, item: Any) -> Any:
        self.calls.append(item)
        await asyncio.sleep(0)
        if self.failures.get(item, 0):
            self.failures[item] -= 1
            raise self.error(item)
        return item


async def only_good(item: int) -> int:
    """Fail for every item that 3 divides."""
    await asyncio.sleep(0)
    if item % 3 == 0:
        raise Broken(item)
    return item


# --- Backoff -----------------------------------------------------------------------------------------------------


def test_pauses_grow_up_to_the_most() -> None:
    assert [*islice(Backoff(first=1, factor=3, most=10, jitter=False), 5)] == [1, 3, 9, 10, 10]


def test_each_iteration_starts_anew() -> None:
    backoff = Backoff(jitter=False)

    assert [*islice(backoff, 2)] == [*islice(backoff, 2)]


def test_jitter_draws_from_zero_to_the_whole_pause() -> None:
    backoff = Backoff(first=1, factor=2, most=8, random=iter([0.5, 0.25, 0.0, 0.75]).__next__)

    assert [*islice(backoff, 4)] == [0.5, 0.5, 0.0, 6.0]


def test_a_seed_makes_the_jitter_repeatable() -> None:
    first, second = ([*islice(Backoff(random=random.Random(7).random), 9)] for _ in range(2))

    assert first == second
    assert len(set(first)) == 9


def test_pauses_without_end_stay_numbers() -> None:
    assert [*islice(Backoff(first=1, factor=1e9, most=30, jitter=False), 5000)][-1] == 30


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first": 0}, r"Backoff\(first\) must be a number above 0"),
        ({"first": float("nan")}, r"Backoff\(first\) must be a number above 0"),
        ({"factor": 0.5}, "pauses do not get shorter"),
        ({"most": float("inf")}, r"Backoff\(most\) must be a number above 0"),
        ({"first": 5.0, "most": 1.0}, "less than the first pause"),
        ({"random": 7}, r"Backoff\(random\) must be a function"),
    ],
)
def test_a_backoff_that_cannot_mean_anything_is_refused(arguments: dict[str, float], message: str) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=message):
        Backoff(**arguments)  # type: ignore[arg-type]


# --- Retry -------------------------------------------------------------------------------------------------------


def test_there_is_one_pause_fewer_than_attempts() -> None:
    assert [*Retry(4, backoff=STEADY).delays()] == [1, 2, 4]
    assert [*Retry(1, backoff=STEADY).delays()] == []


@pytest.mark.parametrize(
    ("retry", "error", "applies"),
    [
        (Retry(), OSError(), True),
        (Retry(), TimeoutError(), True),
        (Retry(), ValueError(), False),
        (Retry(on=ValueError), ValueError(), True),
        (Retry(on=(KeyError, ValueError)), KeyError(), True),
        (Retry(on=lambda error: "busy" in str(error)), Broken("busy"), True),
        (Retry(on=lambda error: "busy" in str(error)), Broken("gone"), False),
        (Retry(on=Exception), asyncio.CancelledError(), False),
        (Retry(on=lambda _: True), KeyboardInterrupt(), False),
        (Retry(on=Exception), sf.UsageError(), False),
    ],
)
def test_types_or_a_function_say_what_is_worth_another_attempt(
    retry: Retry, error: BaseException, applies: bool
) -> None:
    assert retry.applies(error) is applies


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attempts": 0}, r"Retry\(attempts\) must be a whole number"),
        ({"attempts": True}, r"Retry\(attempts\) must be a whole number"),
        ({"reset_after": -1}, r"Retry\(reset_after\) must be a number above 0"),
        ({"on": 5}, r"Retry\(on\) must be types of exceptions or a synchronous function"),
        ({"on": only_good}, r"Retry\(on\) must be types of exceptions or a synchronous function"),
        ({"on": int}, r"Retry\(on\) takes types of exceptions"),
        ({"on": asyncio.CancelledError}, r"Retry\(on\) takes types of exceptions"),
        ({"on": (ValueError, "no")}, r"Retry\(on\) takes types of exceptions"),
        ({"backoff": 0.5}, r"Retry\(backoff\) must be a Backoff"),
    ],
)
def test_a_retry_that_cannot_mean_anything_is_refused(arguments: dict[str, Any], message: str) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=message):
        Retry(**arguments)


@pytest.mark.virtual_time
@sizes
async def test_a_failed_call_is_made_again_after_each_pause(concurrency: int) -> None:
    call = Flaky({2: 2})
    stage = mapped(call, concurrency=concurrency, retry=Retry(3, backoff=STEADY))

    assert await sf.pipeline([1, 2, 3], stage, sf.collect()) == [1, 2, 3]
    assert sorted(call.calls) == [1, 2, 2, 2, 3]
    assert asyncio.get_running_loop().time() == 3.0


@pytest.mark.virtual_time
@sizes
async def test_the_last_error_is_raised_as_it_is_and_says_how_often(concurrency: int) -> None:
    stage = mapped(Flaky({2: 9}), concurrency=concurrency, retry=Retry(3, backoff=STEADY))

    with pytest.raises(ConnectionError) as caught:
        await sf.pipeline([1, 2, 3], stage, sf.collect())

    assert caught.value.__notes__[0] == "after 3 attempts"


async def test_an_error_that_is_not_worth_it_is_raised_at_once() -> None:
    call = Flaky({2: 1}, error=ValueError)

    with pytest.raises(ValueError, match="2") as caught:
        await sf.pipeline([1, 2, 3], mapped(call, retry=Retry(3, on=OSError)), sf.collect())

    assert call.calls == [1, 2]
    assert not any("attempts" in note for note in caught.value.__notes__)


async def test_a_cancelled_error_out_of_a_call_is_not_tried_again() -> None:
    call = Flaky({2: 1}, error=asyncio.CancelledError)

    with pytest.raises(sf.StageCancelled):
        await sf.pipeline([1, 2], mapped(call, concurrency=2, retry=Retry(3, on=Exception)), sf.collect())

    assert call.calls == [1, 2]


@pytest.mark.virtual_time
@sizes
async def test_a_cancellation_in_the_pause_ends_it(concurrency: int) -> None:
    """X20."""
    call = Flaky({2: 9})
    stage = mapped(call, concurrency=concurrency, retry=Retry(9, backoff=STEADY))
    run = asyncio.create_task(sf.pipeline([2], stage, sf.collect()))
    await asyncio.sleep(0.5)
    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert call.calls == [2]
    assert asyncio.get_running_loop().time() == 0.5


async def test_a_plain_function_is_tried_again_too() -> None:
    failures = [OSError(), OSError()]

    def call(item: int) -> int:
        if failures:
            raise failures.pop()
        return item

    stage = mapped(call, retry=Retry(3, backoff=Backoff(first=1e-9, most=1e-9)))
    assert await sf.pipeline([5], stage, sf.collect()) == [5]


async def test_what_a_predicate_raises_ends_the_run() -> None:
    """E13."""

    def predicate(error: Exception) -> bool:
        raise Broken

    with pytest.raises(Broken):
        await sf.pipeline([2], mapped(Flaky({2: 1}), retry=Retry(3, on=predicate)), sf.collect())


# --- timeout -----------------------------------------------------------------------------------------------------


@pytest.mark.virtual_time
@sizes
async def test_a_call_that_takes_too_long_is_cancelled_awaited_and_an_error(concurrency: int) -> None:
    trace = Trace()

    async def call(seconds: float) -> float:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            trace("cleaned up")
            raise
        return seconds

    with pytest.raises(sf.PipelineTimeout, match="the call for item 2 took longer than 5 s") as caught:
        await sf.pipeline([4.0, 99.0], mapped(call, concurrency=concurrency, timeout=5.0), sf.collect())

    assert isinstance(caught.value, TimeoutError)
    assert trace.times == [6.0 if concurrency > 1 else 10.0]


@pytest.mark.virtual_time
async def test_each_attempt_has_its_own_limit() -> None:
    seconds = [99.0, 99.0, 1.0]

    async def call(item: str) -> str:
        await asyncio.sleep(seconds.pop(0))
        return item

    stage = mapped(call, timeout=5.0, retry=Retry(3, backoff=STEADY))

    assert await sf.pipeline(["a"], stage, sf.collect()) == ["a"]
    assert asyncio.get_running_loop().time() == 5 + 1 + 5 + 2 + 1


async def test_a_timeout_of_the_call_itself_stays_its_own() -> None:
    mine = TimeoutError("mine")

    async def call(item: int) -> int:
        raise mine

    with pytest.raises(TimeoutError) as caught:
        await sf.pipeline([1], mapped(call, timeout=5.0), sf.collect())

    assert caught.value is mine


async def test_a_limit_on_a_plain_function_has_no_effect_and_is_an_error_even_where_errors_are_skipped() -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match="timeout= has no effect on 'bool', which is synchronous"):
        await sf.pipeline([1], mapped(bool, timeout=5.0, errors=skip_errors(), retry=Retry(on=Exception)), sf.collect())


# --- errors ------------------------------------------------------------------------------------------------------


@sizes
async def test_only_what_failed_is_skipped_and_it_is_counted(concurrency: int) -> None:
    """E11."""
    job = sf.Pipeline(range(10), mapped(only_good, concurrency=concurrency, errors=skip_errors(Broken)), sf.collect())

    assert await job.run() == [1, 2, 4, 5, 7, 8]
    row = job.stats().stages[1]
    assert (row.items_in, row.items_out, row.dropped) == (10, 6, 4)
    assert job.stats().balanced


async def test_a_plain_function_skips_too() -> None:
    assert await sf.pipeline(["1", "x", "3"], mapped(int, errors=skip_errors(ValueError)), sf.collect()) == [1, 3]


async def test_unordered_calls_skip_too() -> None:
    stage = mapped(only_good, concurrency=3, ordered=False, errors=skip_errors())

    assert sorted(await sf.pipeline(range(10), stage, sf.collect())) == [1, 2, 4, 5, 7, 8]


async def test_all_may_be_skipped() -> None:
    async def fail(item: int) -> None:
        raise Broken

    assert await sf.pipeline(range(5000), mapped(fail, concurrency=3, errors=skip_errors()), sf.collect()) == []


async def test_falsy_results_are_not_skipped() -> None:
    """E7."""
    falsy = [0, "", None, False, [], 0.0]

    assert await sf.pipeline(falsy, mapped(lambda item: item, errors=skip_errors()), sf.collect()) == falsy


@sizes
async def test_other_errors_are_raised(concurrency: int) -> None:
    stage = mapped(only_good, concurrency=concurrency, errors=skip_errors(ValueError, KeyError))

    with pytest.raises(Broken):
        await sf.pipeline([1, 2, 3], stage, sf.collect())


@sizes
async def test_one_failure_more_than_the_budget_is_raised_at_its_turn(concurrency: int) -> None:
    got: list[int] = []

    with pytest.raises(Broken) as caught:
        await sf.pipeline(
            range(1, 99), mapped(only_good, concurrency=concurrency, errors=skip_errors(budget=2)), for_each(got.append)
        )

    assert got == [1, 2, 4, 5, 7, 8]
    assert caught.value.args == (9,)
    assert caught.value.__notes__[0] == "3 of 9 items failed, more than skip_errors(budget=2) allows"


async def test_a_budget_of_none_is_no_budget() -> None:
    with pytest.raises(Broken):
        await sf.pipeline([3], mapped(only_good, errors=skip_errors(budget=0)), sf.collect())


async def test_a_fraction_counts_from_enough_items_on() -> None:
    """A third fails; a tenth is allowed, and looked at from the 20th item on."""
    got: list[int] = []

    with pytest.raises(Broken) as caught:
        await sf.pipeline(
            range(1, 99), mapped(only_good, errors=skip_errors(fraction=0.1, min_items=20)), for_each(got.append)
        )

    assert caught.value.args == (21,)
    assert len(got) == 14
    assert "7 of 21 items failed, more than skip_errors(fraction=0.1) allows" in caught.value.__notes__[0]


async def test_a_fraction_that_is_kept_to_skips_on() -> None:
    stage = mapped(only_good, errors=skip_errors(fraction=0.5, min_items=3))

    assert len(await sf.pipeline(range(1, 100), stage, sf.collect())) == 66


@sizes
async def test_a_short_run_is_held_to_the_fraction_at_its_end(concurrency: int) -> None:
    stage = mapped(only_good, concurrency=concurrency, errors=skip_errors(fraction=0.1, budget=50))

    with pytest.raises(Broken) as caught:
        await sf.pipeline(range(1, 10), stage, sf.collect())

    assert caught.value.args == (9,)
    assert "3 of 9 items failed, more than skip_errors(budget=50, fraction=0.1) allows" in caught.value.__notes__[0]


@pytest.mark.virtual_time
async def test_what_is_skipped_failed_in_every_attempt() -> None:
    call = Flaky({1: 1, 2: 9})
    stage = mapped(call, retry=Retry(2, backoff=STEADY), errors=skip_errors(OSError))

    assert await sf.pipeline([1, 2, 3], stage, sf.collect()) == [1, 3]
    assert call.calls == [1, 1, 2, 2, 3]


async def test_a_cancelled_error_is_never_skipped() -> None:
    with pytest.raises(sf.StageCancelled):
        await sf.pipeline(
            [1, 2],
            mapped(Flaky({2: 1}, error=asyncio.CancelledError), concurrency=2, errors=skip_errors()),
            sf.collect(),
        )


async def test_for_each_counts_the_calls_that_returned() -> None:
    assert await sf.pipeline(range(10), for_each(only_good, errors=skip_errors()), name="x") == 6
    assert await sf.pipeline(range(10), for_each(only_good, concurrency=3, errors=skip_errors())) == 6


# --- dead letters ------------------------------------------------------------------------------------------------


@sizes
async def test_dead_letters_say_what_failed_where_and_why(concurrency: int) -> None:
    letters: list[DeadLetter[int]] = []
    stage = mapped(only_good, concurrency=concurrency, errors=skip_errors(to=letters.append))

    await sf.pipeline([1, 3, 5], stage, sf.collect())

    (letter,) = letters
    assert (letter.item, letter.number, letter.stage) == (3, 2, stage.name)
    assert type(letter.error) is Broken
    file, _, line = letter.where.rpartition(":")
    assert file == __file__
    assert int(line) > only_good.__code__.co_firstlineno


async def test_dead_letters_go_to_an_async_function_before_the_item_counts_as_done() -> None:
    letters = []

    async def keep(letter: DeadLetter[int]) -> None:
        await asyncio.sleep(0)
        letters.append(letter.number)

    await sf.pipeline(range(1, 10), mapped(only_good, concurrency=4, errors=skip_errors(to=keep)), sf.collect())

    assert sorted(letters) == [3, 6, 9]


@pytest.mark.virtual_time
async def test_a_full_channel_of_dead_letters_is_waited_for() -> None:
    """P1."""
    channel: sf.Channel[DeadLetter[int]] = sf.Channel(1)
    source = TrackedSource(range(1, 1000))
    stage = mapped(only_good, errors=skip_errors(to=channel))
    run = asyncio.create_task(sf.pipeline(source, stage, sf.collect(), maxsize=1))
    await asyncio.sleep(1)

    assert source.taken < 12
    run.cancel()
    await asyncio.wait([run])
    assert (await channel.get()).item == 3


async def test_a_channel_of_dead_letters_is_read_by_another_pipeline() -> None:
    channel: sf.Channel[DeadLetter[int]] = sf.Channel(1)

    async with asyncio.TaskGroup() as group:
        dead = group.create_task(sf.pipeline(channel, sf.map(lambda letter: letter.item), sf.collect()))
        await sf.pipeline(range(1, 10), mapped(only_good, errors=skip_errors(to=channel)), sf.collect())
        channel.close()

    assert dead.result() == [3, 6, 9]


async def test_what_the_receiver_of_dead_letters_raises_ends_the_run() -> None:
    """E13."""

    def receive(letter: DeadLetter[int]) -> None:
        raise KeyError("full")

    with pytest.raises(KeyError, match="full"):
        await sf.pipeline(range(9), mapped(only_good, errors=skip_errors(to=receive)), sf.collect())


async def test_a_closed_channel_of_dead_letters_ends_the_run() -> None:
    channel: sf.Channel[DeadLetter[int]] = sf.Channel(1)
    channel.close()

    with pytest.raises(sf.ChannelClosed):
        await sf.pipeline(range(9), mapped(only_good, errors=skip_errors(to=channel)), sf.collect())


async def test_a_dead_letter_keeps_nothing_but_its_item() -> None:
    """H57: neither the variables of the call's frames, nor those of what caused the error."""

    class Big:
        pass

    alive: list[weakref.ref[Big]] = []
    letters: list[DeadLetter[int]] = []

    def inner() -> None:
        big = Big()
        alive.append(weakref.ref(big))
        raise OSError

    async def call(item: int) -> None:
        big = Big()
        alive.append(weakref.ref(big))
        try:
            inner()
        except OSError as error:
            raise Broken from error

    await sf.pipeline(range(3), mapped(call, errors=skip_errors(to=letters.append)), sf.collect())
    gc.collect()

    assert [letter.item for letter in letters] == [0, 1, 2]
    assert [ref() for ref in alive] == [None] * 6
    assert "Broken" in "".join(traceback.format_exception(letters[0].error))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": -1}, r"skip_errors\(budget\) must be a whole number"),
        ({"budget": False}, r"skip_errors\(budget\) must be a whole number"),
        ({"fraction": 0}, r"skip_errors\(fraction\) must be a number above 0"),
        ({"fraction": 1.0}, r"skip_errors\(fraction\) must be below 1"),
        ({"min_items": 5}, r"skip_errors\(min_items\) has no effect without fraction="),
        ({"fraction": 0.1, "min_items": 0}, r"skip_errors\(min_items\) must be a whole number"),
        ({"to": [1]}, r"skip_errors\(to\) must be a Channel or a function"),
    ],
)
def test_a_policy_that_cannot_mean_anything_is_refused(arguments: dict[str, Any], message: str) -> None:
    """F14."""
    with pytest.raises(sf.UsageError, match=message):
        skip_errors(**arguments)


def test_what_is_no_type_of_exception_is_refused() -> None:
    with pytest.raises(sf.UsageError, match=r"skip_errors takes types of exceptions"):
        skip_errors(ValueError, "KeyError")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout": 0}, "timeout must be a number above 0"),
        ({"retry": 3}, r"Write retry=sf\.Retry\(attempts=3\)"),
        ({"retry": Retry(reset_after=5)}, "reset_after.* has no effect on single calls"),
        ({"errors": skip_errors}, r"Write errors=sf\.skip_errors\(ValueError\)"),
    ],
)
def test_policies_that_an_operator_cannot_use_are_refused(arguments: dict[str, Any], message: str) -> None:
    """P10."""
    for operator in (mapped, for_each):
        with pytest.raises(sf.UsageError, match=message):
            operator(only_good, **arguments)  # type: ignore[operator]


async def test_a_function_may_return_values_generators_and_awaitables_in_turns() -> None:
    """What it returned last says nothing of what it returns next."""

    async def later(n: int) -> int:
        await asyncio.sleep(0)
        if n == 7:
            raise ValueError("seven")
        return n

    def mixed(n: int) -> Any:
        if n % 3 == 0:
            return n
        return later(n) if n % 3 == 1 else iter(range(n))

    results = await sf.pipeline(range(10), mapped(mixed, errors=skip_errors(ValueError)), sf.collect())

    assert [one for one in results if isinstance(one, int)] == [0, 1, 3, 4, 6, 9]
    assert [[*one] for one in results if not isinstance(one, int)] == [[*range(n)] for n in (2, 5, 8)]
