"""Whether lines of JSON say what their items are, as far as that can be told at a glance.

What lives here: `is_meant`, in C where it was compiled, else in Python. What must not: looking closer, which the
encoder does where this is not certain.

msgspec writes `null` for NaN and infinity, without a word, and a `msgspec.Raw` as it is, even with newlines in it. Each
`None` becomes one `null`, and so does each NaN; text may have the word in it too. So if there are as many as there are
`None`s, none of them stands for a NaN.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

from streamflow.compiled import compiled

__all__ = ["is_meant", "is_meant_in_python"]

# `b"null" in lines` takes a third longer.
_NULL = re.compile(rb"null")


def is_meant_in_python(lines: bytes, items: list[Any], /) -> bool:
    """Return whether it is certain that each line is an item and that each `null` in them stands for a `None`."""
    # bytes.count() of one byte takes half as long again.
    if len(lines) - len(lines.replace(b"\n", b"")) != len(items):
        return False
    if _NULL.search(lines) is None:
        return True
    if not set(map(type, items)) <= {dict}:
        return False
    values = itertools.chain.from_iterable(map(dict.values, items))
    return len([value for value in values if value is None]) == lines.count(b"null")


_in_c, _ = compiled("streamflow.formats._rows")

is_meant: Callable[[bytes, list[Any]], bool] = is_meant_in_python if _in_c is None else _in_c.is_meant
