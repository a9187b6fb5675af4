"""The type variables of the operators, and the two that have a default.

What lives here: `A` and `B`. What must not: code that runs.

A checker that cannot see through a lambda (mypy, for `pipeline(rows, sf.map(lambda row: row["id"]), ...)`) falls back
to the default instead of finding an error where there is none: the item of the input becomes `Any`. A result must not
fall back that way, or a coroutine function would give `Any` where its result is known; so its default is `Never`,
which is what a checker without defaults has there. Defaults exist at run time only from Python 3.13 on, and nothing
needs them there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["A", "B"]

if TYPE_CHECKING:
    from typing import Any, Never

    from typing_extensions import TypeVar

    A = TypeVar("A", default=Any)
    B = TypeVar("B", default=Never)
else:
    from typing import TypeVar

    A = TypeVar("A")
    B = TypeVar("B")
