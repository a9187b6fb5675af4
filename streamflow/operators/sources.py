"""Sources made of a rule: numbers, nothing, an error, a state that is unfolded, pages that are fetched.

What lives here: sources that need neither a clock nor anything from outside but a function. What must not: threads
(threaded.py), clocks (polling.py), other people's queues (queues.py).

A callable may be sync or async, and which one shows in each result. A result of `unfold` and `paginate` is a tuple, and
a look at its type is all that a synchronous callable pays for that.
"""

from __future__ import annotations

import asyncio
import builtins
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from inspect import isawaitable
from typing import Any, Never, TypeVar, overload

from streamflow.callables import name_of
from streamflow.errors import UsageError
from streamflow.machinery.functions.per_item import check_callable
from streamflow.stages import Source

__all__ = ["empty", "failing", "never", "paginate", "range", "unfold"]

S = TypeVar("S")
T = TypeVar("T")


@overload
def range(stop: int, /) -> Source[int]: ...  # noqa: A001  # the standard word
@overload
def range(start: int, stop: int, step: int = 1, /) -> Source[int]: ...  # noqa: A001
def range(start: int, stop: int | None = None, step: int = 1, /) -> Source[int]:  # noqa: A001
    """Emit the whole numbers of Python's own `range`, however many there are.

    Example: `await sf.pipeline(sf.range(0, 10, 3), sf.collect())` gives `[0, 3, 6, 9]`.

    * emits when: it is asked.
    * backpressures when: the stage below does.
    * completes when: the last number is out.
    * on error: there is none.
    * on early stop: nothing to undo.

    To count without an end write `sf.stream(itertools.count())`.

    Args:
        start: the first number; alone it is the stop, and counting starts at 0.
        stop: where to end; this number is not emitted.
        step: from one number to the next; below 0 it counts down.

    Raises `UsageError` for what are no whole numbers and for a step of 0. Cancellation: nothing to undo.
    """
    arguments = (start,) if stop is None else (start, stop, step)
    try:
        numbers = builtins.range(*arguments)
    except (TypeError, ValueError) as error:
        shown = ", ".join(map(repr, arguments))
        raise UsageError(f"range({shown}): {error}. Give whole numbers, as to Python's own range.") from None
    return Source(lambda: numbers, name=repr(numbers), synchronous=True)


def empty() -> Source[Never]:
    """Emit nothing and end.

    Example: `await sf.pipeline(sf.empty(), sf.count())` gives `0`.

    * emits when: never.
    * backpressures when: never.
    * completes when: it is asked for its first item.
    * on error: there is none.
    * on early stop: nothing to undo.

    Cancellation: nothing to undo.
    """
    return Source(tuple, name="empty", synchronous=True)


def never() -> Source[Never]:
    """Emit nothing and never end, for tests and for streams that only their consumer ends.

    Example: `await sf.stream(sf.never()).timeout(total=1.0).catch(sf.PipelineTimeout, then="stop").count()` gives `0`.

    * emits when: never.
    * backpressures when: never.
    * completes when: never.
    * on error: there is none.
    * on early stop: its wait is cancelled.

    Cancellation: its wait is cancelled.
    """
    return Source(_waiting, name="never")


async def _waiting() -> AsyncGenerator[Never, None]:
    for_ever: asyncio.Future[Never] = asyncio.get_running_loop().create_future()
    yield await for_ever


def failing(error: Exception | type[Exception]) -> Source[Never]:
    """Fail when the first item is asked for, for tests and for branches that must not be taken.

    Example: `await sf.stream(sf.failing(LookupError("no table"))).catch(LookupError, then=["no table"]).collect()`
    gives `["no table"]`.

    * emits when: never.
    * backpressures when: never.
    * completes when: never.
    * on error: it raises the error given, that very object.
    * on early stop: nothing to undo.

    Args:
        error: an exception, raised again in every run; or a class of exceptions, of which each run raises a fresh one.

    Raises `UsageError` for what is no exception, and for `StopIteration` and `StopAsyncIteration`, which look like an
    end. Cancellation: nothing to undo.
    """
    kind: type[object] = error if isinstance(error, type) else type(error)
    if not issubclass(kind, Exception) or issubclass(kind, (StopIteration, StopAsyncIteration)):
        raise UsageError(f"failing(error) needs an exception to raise, such as ValueError('...'); not {error!r:.60}.")
    return Source(functools.partial(_raising, error), name=f"failing({kind.__name__})", synchronous=True)


def _raising(error: Exception | type[Exception]) -> Iterator[Never]:
    yield from ()
    raise error() if isinstance(error, type) else error.with_traceback(None)  # not those of former runs


# The second form tells mypy what the first tells pyright, as for `flat_map`.
@overload
def unfold(fn: Callable[[S], tuple[T, S] | None], seed: S) -> Source[T]: ...
@overload
def unfold(fn: Callable[[S], Awaitable[tuple[T, S] | None]], seed: S) -> Source[T]: ...
def unfold(fn: Callable[[Any], Any], seed: Any) -> Source[Any]:
    """Emit what `fn` (sync or async) makes of a state, again and again, until it returns `None`.

    Example: `await sf.pipeline(sf.unfold(lambda n: (n, n * 2) if n < 100 else None, 1), sf.collect())` gives
    `[1, 2, 4, 8, 16, 32, 64]`.

    * emits when: `fn` has returned an item and the next state.
    * backpressures when: the stage below does; `fn` is called only when its item is wanted.
    * completes when: `fn` returns `None`.
    * on error: `fn`'s exception ends the stream after the items before it.
    * on early stop: an async call at work is cancelled.

    Args:
        fn: called with the state; returns `(item, next_state)`, or `None` to end.
        seed: the first state, the same object for every run: do not change it in place.

    Raises `UsageError` when `fn` is no callable, and, when it runs, if `fn` returns anything else. Cancellation: an
    async call at work is cancelled.
    """
    check_callable("unfold(fn)", fn)
    return Source(functools.partial(_unfolded, fn, seed), name=f"unfold({name_of(fn)})")


async def _unfolded(fn: Callable[[Any], Any], state: Any) -> AsyncGenerator[Any, None]:
    while (step := await _pair("unfold", "item, next_state", fn, state, ends=True)) is not None:
        item, state = step
        yield item


@overload
def paginate(fetch: Callable[[S | None], tuple[Iterable[T], S | None]], *, start: None = None) -> Source[T]: ...
@overload
def paginate(fetch: Callable[[S], tuple[Iterable[T], S | None]], *, start: S) -> Source[T]: ...
@overload
def paginate(
    fetch: Callable[[S | None], Awaitable[tuple[Iterable[T], S | None]]], *, start: None = None
) -> Source[T]: ...
@overload
def paginate(fetch: Callable[[S], Awaitable[tuple[Iterable[T], S | None]]], *, start: S) -> Source[T]: ...
def paginate(fetch: Callable[[Any], Any], *, start: Any = None) -> Source[Any]:
    """Emit the items of page after page, each fetched by `fetch` (sync or async) from where the one before it said.

    Example:
        pages = {None: (["a", "b"], "page 2"), "page 2": (["c"], None)}

        async def fetch(cursor):
            await asyncio.sleep(0.1)
            return pages[cursor]

        await sf.pipeline(sf.paginate(fetch), sf.collect())  # gives ["a", "b", "c"]

    * emits when: a page has come, item by item.
    * backpressures when: the stage below does; the next page is fetched when the items of this one have been taken.
    * completes when: a page says that its next cursor is `None`.
    * on error: `fetch`'s exception ends the stream after the items before it.
    * on early stop: an async fetch at work is cancelled, the rest of the page dropped.

    A cursor that comes again would never end, so it is an error. For a service that keeps one token for all its pages
    write `sf.unfold`. A `fetch` that blocks holds up the event loop; give a blocking paginator to `sf.threaded`.

    Args:
        fetch: called with a cursor; returns `(items, next_cursor)`. Any next cursor but `None` goes on, also `""`.
        start: the first cursor.

    Raises `UsageError` when `fetch` is no callable, and, when it runs, if it returns anything else or a cursor that it
    has returned before. Cancellation: an async fetch at work is cancelled.
    """
    check_callable("paginate(fetch)", fetch)
    return Source(functools.partial(_paginated, fetch, start), name=f"paginate({name_of(fetch)})")


async def _paginated(fetch: Callable[[Any], Any], cursor: Any) -> AsyncGenerator[Any, None]:
    guard = _Circle(cursor)
    while True:
        items, following = await _pair("paginate", "items, next_cursor", fetch, cursor)
        if isinstance(items, (str, bytes)) or not isinstance(items, Iterable):
            raise UsageError(f"paginate: the items of a page must be an iterable, such as a list, not {items!r:.60}.")
        for item in items:
            yield item
        if following is None:
            return
        guard.check(cursor, following)
        cursor = following


async def _pair(operator: str, wanted: str, fn: Callable[[Any], Any], state: Any, *, ends: bool = False) -> Any:
    """Call `fn` and return its pair, or `None` where that is an end."""
    result = fn(state)
    if type(result) is not tuple and isawaitable(result):
        result = await result
    if (isinstance(result, tuple) and len(result) == 2) or (ends and result is None):  # noqa: PLR2004  # a pair
        return result
    end = ", or None to end" if ends else ""
    raise UsageError(f"{operator}: {name_of(fn)} must return ({wanted}){end}, not {result!r:.60}.")


class _Circle:
    """Finds a sequence that runs in a circle, by one remembered cursor that is renewed ever more rarely (Brent)."""

    def __init__(self, first: Any) -> None:
        self._seen = first
        self._left = self._power = 1

    def check(self, cursor: Any, following: Any) -> None:
        if following in (cursor, self._seen):
            raise UsageError(
                f"paginate: the cursor {following!r:.60} came again, so the pages would never end. Return None as the "
                f"next cursor of the last page; for a service that keeps one token for all its pages use sf.unfold."
            )
        self._left -= 1
        if not self._left:
            self._power *= 2
            self._left, self._seen = self._power, following
