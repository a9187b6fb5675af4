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
"""What `dialect=` takes: a registered name (`"excel"`, `"excel-tab"`, `"unix"`), a `csv.Dialect` or a subclass."""


def resolve_dialect(dialect: AnyDialect, options: dict[str, Any]) -> Any:
    """Return the read-only dialect: what `dialect` says, except where an option is given (is not `None`).

    Raises `UsageError` for an unknown name and for options that cannot go together.
    """
    given = {name: value for name, value in options.items() if value is not None}
    # The csv module would take any object for a dialect and read the attributes it happens to have.
    kind = dialect if isinstance(dialect, type) else type(dialect)
    if not issubclass(kind, str | csv.Dialect):
        raise UsageError(f"dialect={dialect!r} is neither the name of a dialect nor a csv.Dialect")
    try:
        return csv.reader((), dialect, **given).dialect
    except (csv.Error, TypeError, ValueError) as error:
        known = f"; registered dialects are {', '.join(csv.list_dialects())}" if isinstance(error, csv.Error) else ""
        written = ", ".join(f"{name}={value!r}" for name, value in {"dialect": dialect, **given}.items())
        raise UsageError(f"These CSV options do not work ({error}): {written}{known}") from None
