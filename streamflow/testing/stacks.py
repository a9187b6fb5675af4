"""Where a task stands: the chain of awaits from its outermost coroutine down to what it really waits for.

What lives here: reading suspended coroutines and generators, for the messages of the kit.
What must not: the event loop, judgements about what is wrong.

`Task.get_stack()` shows only the outermost frame of a suspended task, and an `async for` hides the generator behind an
object without attributes; so the chain is followed link by link, and through the hiding objects by asking the garbage
collector what they refer to.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import types
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["describe", "describe_all", "frames", "spot"]

_LINKS = ("cr_await", "ag_await", "gi_yieldfrom")
_FRAMES = ("cr_frame", "ag_frame", "gi_frame")
_OPAQUE = frozenset({"async_generator_asend", "async_generator_athrow", "coroutine_wrapper", "anext_awaitable"})


def frames(task: asyncio.Task[Any]) -> Iterator[types.FrameType]:
    """Yield the frames a suspended task stands in, outermost first; nothing for a task that has ended.

    Example: `[frame.f_code.co_name for frame in frames(task)]` gives `["main", "reader", "get"]`.
    """
    link: object = task.get_coro()
    while link is not None:
        frame = _first(link, _FRAMES)
        if frame is not None:
            yield frame
        link = _next(link)


def _next(link: object) -> object:
    if not _hides(link):
        return _first(link, _LINKS)
    return next((held for held in gc.get_referents(link) if _hides(held) or _first(held, _FRAMES) is not None), None)


def _hides(link: object) -> bool:
    return type(link).__name__ in _OPAQUE


def _first(thing: object, names: Iterable[str]) -> Any:
    return next((value for name in names if (value := getattr(thing, name, None)) is not None), None)


def spot(frame: types.FrameType) -> str:
    """Return `file:line in function` for a frame."""
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"


def describe(task: asyncio.Task[Any]) -> str:
    """Return a few lines that say which task it is and where it waits, the innermost await first.

    Example: `Task 'reader' waits at queues.py:158 in Queue.get`, then one line for each caller.
    """
    coroutine = task.get_coro()
    if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
        return f"Task {task.get_name()!r} has not started: {coroutine.__qualname__}"
    innermost, *callers = [spot(frame) for frame in frames(task)][::-1] or ["an unknown place"]
    return "\n      called from ".join([f"Task {task.get_name()!r} waits at {innermost}", *callers])


def describe_all(tasks: Iterable[asyncio.Task[Any]]) -> str:
    """Return `describe` of each task, sorted by name, indented to stand below a headline."""
    return "\n".join(f"  {describe(task)}" for task in sorted(tasks, key=lambda task: task.get_name()))
