"""The job with RxPY (reactivex): operators given to `pipe`, subscribed to.

As in https://rxpy.readthedocs.io/en/latest/get_started.html. It pushes: there is no channel and no backpressure.
`from_iterable(range(n))` is many times faster than `reactivex.range(n)`, which schedules every item.
"""

from __future__ import annotations

import reactivex
from reactivex import operators as ops

from benchmarks.rivals import add_one, is_even, times_two

__all__ = ["hops"]


def hops(n: int) -> int:
    """Through map, filter, map, and count."""
    items = reactivex.from_iterable(range(n))
    return items.pipe(ops.map(add_one), ops.filter(is_even), ops.map(times_two), ops.count()).run()
