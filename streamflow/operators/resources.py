"""Operators with a resource of their own: a connection, a client, a model, opened for the run and closed after it.

What lives here: `map_with`. What must not: the resources.

The stage enters the context manager and leaves it in its own task, so cancel scopes and context variables inside it are
legal (P7). A run asks a stage to stop once and waits for it, whatever else is cancelled meanwhile: so what is closed
because of a cancellation is closed to the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar, overload

from streamflow.errors import UsageError
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.variables import A, B
from streamflow.stages import Stage

__all__ = ["map_with"]

C = TypeVar("C")
# On Python 3.11 and 3.12 only type checkers know the second argument, whether it swallows exceptions.
Opening: TypeAlias = AbstractAsyncContextManager[C] | AbstractContextManager[C]


@overload
def map_with(
    open: Callable[[], Opening[C] | Awaitable[Opening[C]]],
    fn: Callable[[C, A], Awaitable[B] | B],
) -> Stage[A, B]: ...
@overload
def map_with(
    open: Callable[[], Opening[C] | Awaitable[Opening[C]]],
    fn: Callable[[C, A], Awaitable[B]],
) -> Stage[A, B]: ...
def map_with(open: Callable[[], Any], fn: Callable[[Any, A], Any]) -> Stage[A, Any]:  # noqa: A002  # the word for it
    """Call `fn(resource, item)` (sync or async) for each item, with a resource that is opened once for the run.

    Example:
        import contextlib
        import sqlite3

        def connect():
            return contextlib.closing(sqlite3.connect(":memory:"))

        def half(connection, number):
            return connection.execute("SELECT ? / 2.0", [number]).fetchone()[0]

        await sf.stream([1, 2, 3]).map_with(connect, half).collect()  # gives [0.5, 1.0, 1.5]

    * emits when: `fn` has returned.
    * backpressures when: the stage below does.
    * completes when: the input ended and the resource is closed.
    * on error: of `fn`, of opening or of closing: ends the stream after the results before it.
    * on early stop: the resource is closed before the stages above are stopped.

    The resource is opened when the run starts, before the first item is asked for and even if there is none, so that a
    wrong address shows at once. It is closed once, however the run ends. What it is told is what Python tells a context
    manager around a `yield`: nothing at the end of the input, else the exception, `GeneratorExit` at an early stop. A
    transaction commits only in the first case. A context manager that swallows an exception does not make it unseen:
    items would be missing, so it is raised again.

    Args:
        open: called once per run, without arguments; returns a context manager, sync or async, or an awaitable of one.
            What `with` or `async with` gives is the resource. A sync one is entered in the event loop: keep it quick.
        fn: called with the resource and each item, in order, one call at a time.

    Raises `UsageError` when one of them is no callable, and at the start of the run when `open()` returns no context
    manager. Cancellation: an item at work is dropped with its call, then the resource is closed; a pipeline waits for
    that. A cancellation that comes while the resource is being closed at the end of the input strikes there, as in any
    `finally`.
    """
    check_callable("map_with", fn)
    _check_opening(open)

    async def mapped(items: AsyncIterable[A]) -> AsyncGenerator[Any, None]:
        cut: BaseException | None = None
        try:
            async with AsyncExitStack() as closing:
                resource = await _entered(open, closing)
                try:
                    async for item in items:
                        result = fn(resource, item)
                        yield await result if isawaitable(result) else result
                except BaseException as error:
                    cut = error
                    raise
            if cut is not None and not isinstance(cut, GeneratorExit):
                raise cut  # it was swallowed, and a stage that fails must not look like the end of its input (P5)
        finally:
            del cut  # an exception kept in the frame it passes through is a cycle

    return Stage(mapped, name="map_with", callable=fn, one_to_one=True)


def _check_opening(thing: object) -> None:
    if callable(thing):
        return
    advice = "lambda: resource" if _is_manager(thing) else "httpx.AsyncClient or lambda: connect(url)"
    raise UsageError(
        f"map_with(open, fn) needs a function that opens the resource for each run, not {type(thing).__name__}. "
        f"Write something like {advice}."
    )


def _is_manager(thing: object) -> bool:
    return hasattr(type(thing), "__aenter__") or hasattr(type(thing), "__enter__")


async def _entered(opening: Callable[[], Any], closing: AsyncExitStack) -> Any:
    """Open and enter; where both ways are there, the async one is meant."""
    manager = opening()
    if not _is_manager(manager) and isawaitable(manager):
        manager = await manager
    if hasattr(type(manager), "__aenter__"):
        return await closing.enter_async_context(manager)
    if hasattr(type(manager), "__enter__"):
        return closing.enter_context(manager)
    raise UsageError(
        f"map_with: open() returned {type(manager).__name__}, which is no context manager. For something with close() "
        f"write lambda: contextlib.closing(...), or contextlib.aclosing(...) for aclose()."
    )
