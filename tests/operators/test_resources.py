"""A resource of the run: opened once, closed once, however the run ends."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

import anyio
import pytest

import streamflow as sf
from streamflow.operators.resources import map_with
from streamflow.testing import Outcome, TrackedSource, cancel_everywhere


class Broken(Exception):
    """What the tests raise."""


class Door:
    """Counts how often it was opened and closed, and how it was told to close."""

    def __init__(self) -> None:
        self.opened = self.closing = self.closed = 0
        self.told: list[type[BaseException] | None] = []
        self.tasks: set[object] = set()

    async def __aenter__(self) -> Self:
        self.tasks.add(asyncio.current_task())
        self.opened += 1
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.tasks.add(asyncio.current_task())
        self.told.append(kind)
        self.closing += 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.closed += 1

    def verify(self) -> None:
        assert self.opened == self.closing == self.closed == 1
        assert len(self.tasks) == 1


def through(_: object, item: int) -> int:
    return item


async def through_later(_: object, item: int) -> int:
    await asyncio.sleep(0)
    return item


@contextlib.contextmanager
def plain() -> Iterator[int]:
    yield 10


@contextlib.asynccontextmanager
async def later() -> AsyncIterator[int]:
    await asyncio.sleep(0)
    yield 10


async def awaited() -> contextlib.AbstractAsyncContextManager[int]:
    return later()


def add(first: int, second: int) -> int:
    return first + second


async def add_later(first: int, second: int) -> int:
    await asyncio.sleep(0)
    return first + second


@pytest.mark.parametrize("open_", [plain, later, awaited], ids=lambda function: function.__name__)
@pytest.mark.parametrize("fn", [add, add_later], ids=["sync", "async"])
async def test_every_kind_of_context_manager_and_of_function(
    open_: Callable[[], Any], fn: Callable[[int, int], Any]
) -> None:
    assert await sf.stream([1, 2]).through(map_with(open_, fn)).collect() == [11, 12]


async def test_it_is_opened_at_the_start_even_for_no_item() -> None:
    door = Door()

    assert await sf.stream([]).through(map_with(lambda: door, through)).collect() == []
    door.verify()


async def test_it_is_opened_before_the_first_item_is_asked_for() -> None:
    order: list[str] = []

    def source() -> Iterator[int]:
        order.append("source")
        yield 1

    def open_() -> contextlib.AbstractContextManager[None]:
        order.append("open")
        return contextlib.nullcontext()

    await sf.stream(source).buffer(1).through(map_with(open_, through)).run()

    assert order == ["open", "source"]


async def test_each_run_opens_one_of_its_own() -> None:
    doors: list[Door] = []

    def open_() -> Door:
        doors.append(Door())
        return doors[-1]

    flow = sf.stream([1, 2]).through(map_with(open_, through))
    await flow.run()
    await flow.run()

    assert len(doors) == 2
    for door in doors:
        door.verify()


@pytest.mark.parametrize("fn", [through, through_later], ids=["sync", "async"])
async def test_it_is_closed_at_the_end_and_told_of_no_exception(fn: Callable[..., Any]) -> None:
    door = Door()

    assert await sf.stream(range(3)).through(map_with(lambda: door, fn)).collect() == [0, 1, 2]
    door.verify()
    assert door.told == [None]


@pytest.mark.parametrize("later_", [False, True], ids=["sync", "async"])
async def test_it_is_told_of_the_functions_error_which_comes_after_the_results_before_it(later_: bool) -> None:
    """P3, P4."""
    door = Door()
    got: list[int] = []

    def fail(_: object, item: int) -> int:
        if item == 2:
            raise Broken
        return item

    async def fail_later(door: object, item: int) -> int:
        return fail(door, item)

    with pytest.raises(Broken) as caught:
        await sf.pipeline(range(5), map_with(lambda: door, fail_later if later_ else fail), sf.for_each(got.append))

    assert got == [0, 1]
    assert door.told == [Broken]
    door.verify()
    assert "in stage 2 of 3 of pipeline: 'map_with', at item 3 " in "\n".join(caught.value.__notes__)


async def test_it_is_told_of_an_error_above() -> None:
    """So a transaction is not committed over a cut input."""
    door = Door()

    with pytest.raises(Broken):
        await sf.stream(TrackedSource([1], error=Broken())).through(map_with(lambda: door, through)).run()

    door.verify()
    assert door.told == [Broken]


async def test_an_early_stop_closes_it_before_the_source() -> None:
    """C3, P7."""
    door, source = Door(), TrackedSource(itertools.count(), delay=0)

    assert await sf.stream(source).through(map_with(lambda: door, through_later)).take(2).collect() == [0, 1]

    door.verify()
    source.verify()
    assert door.told != [None]


async def test_a_failing_sink_closes_it_without_a_clean_end() -> None:
    door = Door()

    def fail(_: int) -> None:
        raise Broken

    with pytest.raises(Broken):
        await sf.stream(itertools.count()).through(map_with(lambda: door, through)).for_each(fail)

    door.verify()
    assert door.told != [None]


@pytest.mark.parametrize("when", ["opening", "entering", "leaving"])
async def test_an_error_around_the_resource_is_raised_as_it_is(when: str) -> None:
    got: list[int] = []

    def raise_if(now: str) -> None:
        if now == when:
            raise Broken(now)

    @contextlib.asynccontextmanager
    async def inside() -> AsyncIterator[None]:
        raise_if("entering")
        yield
        raise_if("leaving")

    def open_() -> contextlib.AbstractAsyncContextManager[None]:
        raise_if("opening")
        return inside()

    with pytest.raises(Broken, match=when):
        await sf.stream([1, 2]).through(map_with(open_, through)).for_each(got.append)

    assert got == ([1, 2] if when == "leaving" else [])


class Swallowing:
    """A context manager that says of every exception that it is none."""

    def __enter__(self) -> None:
        """Enter."""

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None) -> bool:
        return True


async def test_what_a_context_manager_swallows_is_raised_all_the_same() -> None:
    """P5: the items after it would be missing, and nobody would know."""

    def fail(_: object, item: int) -> int:
        if item == 1:
            raise Broken
        return item

    with pytest.raises(Broken):
        await sf.stream(range(3)).through(map_with(Swallowing, fail)).run()
    assert await sf.stream(itertools.count()).through(map_with(Swallowing, through)).take(2).collect() == [0, 1]


async def test_cancel_scopes_and_context_variables_of_the_resource_are_legal() -> None:
    """P7: one task and one context for its whole life."""
    place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="outside")

    @contextlib.asynccontextmanager
    async def scope() -> AsyncIterator[None]:
        token = place.set("inside")
        async with anyio.create_task_group():
            yield
        place.reset(token)

    seen = await sf.stream(range(2)).through(map_with(scope, lambda _, __: place.get())).collect()

    assert seen == ["inside", "inside"]


async def test_what_the_resources_scope_cancels_is_no_silent_end() -> None:
    """P4, P5."""

    def hang_up(scope: anyio.CancelScope, item: int) -> Any:
        scope.cancel()
        return through_later(scope, item)

    with pytest.raises(sf.StageCancelled):
        await sf.stream(range(3)).through(map_with(anyio.CancelScope, hang_up)).run()


class _Run:
    def __init__(self) -> None:
        self.door = Door()
        self.source = TrackedSource(range(3), delay=0)

    async def __call__(self) -> list[int]:
        return await sf.stream(self.source).through(map_with(lambda: self.door, through_later)).collect()


def test_cancelled_after_every_step_it_is_closed_once_and_to_the_end() -> None:
    """X1, P7: in every way there is, twice included."""

    def check(run: _Run, outcome: Outcome) -> None:
        run.source.verify()
        # A cancellation that strikes while it is being opened leaves nothing to close, and one that strikes while it is
        # being closed at the end of the input strikes just there, as it would in any `finally`.
        assert run.door.closing <= run.door.opened <= 1
        assert run.door.closed == run.door.closing or run.door.told == [None]
        assert outcome.ended == "cancelled" or outcome.value == [0, 1, 2]

    assert cancel_everywhere(_Run, check, stride=2) > 30


@pytest.mark.parametrize("thing", [None, 3, "postgres://", [len]])
def test_what_cannot_be_called_is_refused(thing: Any) -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=r"^map_with needs a function to call for each item"):
        map_with(plain, thing)
    with pytest.raises(sf.UsageError, match="needs a function that opens the resource for each run, not"):
        map_with(thing, through)


def test_a_resource_instead_of_what_opens_it_is_refused() -> None:
    """P10: the second run would find it closed."""
    resource: Any = Door()
    with pytest.raises(sf.UsageError, match="Write something like lambda: resource"):
        map_with(resource, through)


async def test_what_is_no_context_manager_is_refused_with_a_hint() -> None:
    """P10."""
    with pytest.raises(sf.UsageError, match=r"open\(\) returned list, which is no context manager.*closing"):
        await sf.stream([1]).through(map_with(list, through)).run()
