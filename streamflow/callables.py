"""What a callable is: its name, its kind, and the line of the user's code that we were called from.

What lives here: questions about functions that several stairs ask. What must not: calling them.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types

__all__ = ["caller", "is_coroutine_function", "name_of", "unwrapped"]

_PACKAGE = __name__.partition(".")[0]


def caller() -> str:
    """Return `file:line` of the nearest frame outside streamflow: where the user added the stage."""
    frame: types.FrameType | None = sys._getframe(1)  # noqa: SLF001  # inspect.stack() reads source files
    while frame is not None:
        root = frame.f_globals.get("__name__", "").partition(".")[0]
        # A dataclass's own __init__ has no file, and `Pipeline[int](...)` comes through typing.
        if root not in {_PACKAGE, "typing"} and not frame.f_code.co_filename.startswith("<string"):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "?"


def name_of(function: object) -> str:
    """Return the name a person would call this callable by."""
    while isinstance(function, functools.partial):
        function = function.func
    name: str = getattr(function, "__qualname__", type(function).__name__)
    return name.rpartition("<locals>.")[2]


def unwrapped(function: object) -> object:
    """Return the plain function under partials and callable objects, to ask what kind it is."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and callable(function):
        return getattr(type(function), "__call__", function)  # noqa: B004  # the method itself is wanted
    return function


def is_coroutine_function(function: object) -> bool:
    """Return whether calling it gives a coroutine: an `async def` without `yield`, also under partials and objects."""
    return inspect.iscoroutinefunction(unwrapped(function))
