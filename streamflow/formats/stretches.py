"""Items as they come to lists of some hundred: what a formatter writes by one call.

What lives here: `stretches`. What must not: what the items are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

__all__ = ["STRETCH", "stretches"]

STRETCH = 256


def stretches(items: Iterator[Any], size: int = STRETCH) -> Iterator[list[Any]]:
    """Yield the items in lists of `size`, the last one shorter.

    When the input fails, the items taken before are yielded first: what was good before a fault is delivered (P3).
    """
    while True:
        taken: list[Any] = []
        try:
            taken.extend(itertools.islice(items, size))
        except BaseException:
            if taken:
                yield taken
            raise
        if taken:
            yield taken
        if len(taken) < size:
            return
