"""The dialect of a CSV text, as the standard library understands it.

What lives here: turning the options of `csv.parse` and `csv.format` into a dialect, once, with errors that say which
option. What must not: reading or writing.
"""

from __future__ import annotations

import csv
from typing import Any, TypeAlias

from streamflow.errors import UsageError

__all__ = ["AnyDialect", "resolve_dialect"]

AnyDialect: TypeAlias = str | csv.Dialect | type[csv.Dialect]
"""What `dialect=` takes: a registered name (`"excel"`, `"excel-tab"`, `"unix"`), a `csv.Dialect` or a subclass of it."""


def resolve_dialect(dialect: AnyDialect, options: dict[str, Any]) -> Any:
    """Return the read-only dialect: what `dialect` says, except where an option is given (is not `None`).

    Raises `UsageError` for an unknown name and for options that cannot go together.
    """
    given = {name: value for name, value in options.items() if value is not None}
    try:
        # The csv module takes any object for a dialect and reads the attributes it happens to have.
        if not (
            isinstance(dialect, str | csv.Dialect) or (isinstance(dialect, type) and issubclass(dialect, csv.Dialect))
        ):
            raise TypeError("a dialect is a registered name or a csv.Dialect")
        return csv.reader((), dialect, **given).dialect
    except (csv.Error, TypeError, ValueError) as error:
        known = f"; registered dialects are {', '.join(csv.list_dialects())}" if isinstance(error, csv.Error) else ""
        written = ", ".join(f"{name}={value!r}" for name, value in {"dialect": dialect, **given}.items())
        raise UsageError(f"These CSV options do not work ({error}): {written}{known}") from None
