"""Functions that make pipelines: what is called without arguments, sync or async.

What lives here: the call, and the error for a function that needs arguments. What must not: what may be made
(serve.py, kept.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from streamflow.callables import name_of
from streamflow.errors import UsageError

__all__ = ["check_bare", "made_by"]


def check_bare(function: Callable[..., Any]) -> None:
    """Raise `UsageError` for a function that cannot be called without arguments."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return  # something in C that does not tell
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [each.name for each in parameters if each.default is each.empty and each.kind not in kinds]
    if needed:
        name = name_of(function)
        raise UsageError(
            f"{name!r} is called without arguments to make the pipeline, and it needs {' and '.join(needed)}. "
            f"Write a function that gives them: def job(): return {name}(...)"
        )


async def made_by(function: Callable[[], Any]) -> Any:
    """Return what the function gives, awaited if need be."""
    check_bare(function)
    answer = function()
    return await answer if inspect.isawaitable(answer) else answer
