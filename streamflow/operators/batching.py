"""Operators that cut a stream into batches, and bytes into pieces: batched, batch_waiting, unbatch, rechunk.

What lives here: the operators by count, weight and time. What must not: grouping by what items are (grouping.py), bytes
of a format (formats/).

With a clock the batch is filled from the reader's hand, and the clock only ever cuts a *wait* for more, never a take:
so no item is lost to it, and the pending wait is nobody's generator (H37).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from operator import length_hint
from typing import Any, overload

from streamflow.engine.feeding import reading
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.batches import Counted, Weighed, by_count_and_time, by_weight_and_time, bytes_of
from streamflow.machinery.functions.packing import MOST, packed
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.functions.pieces import Rechunked
from streamflow.machinery.stage_shapes import Batches, Unbatched
from streamflow.machinery.variables import A
from streamflow.stages import Stage
from streamflow.types import MaybeAwaitable

__all__ = ["batch_waiting", "batched", "rechunk", "unbatch"]


@overload
def batched(
    n: int | None = ..., *, within: float | None = ..., max_weight: float | None = ..., weight: None = ...
) -> Batches[object]: ...
@overload
def batched(
    n: int | None = ...,
    *,
    within: float | None = ...,
    max_weight: float | None = ...,
    weight: Callable[[A], MaybeAwaitable[float]] | None,
) -> Batches[A]: ...
def batched(
    n: int | None = None,
    *,
    within: float | None = None,
    max_weight: float | None = None,
    weight: Callable[[A], MaybeAwaitable[float]] | None = None,
) -> Batches[A]:
    """Group items into tuples, limited by count, by weight or bytes, and by time together.

    Example: `await sf.stream(range(7)).batched(3, within=0.25).collect()` gives `[(0, 1, 2), (3, 4, 5), (6,)]`.

    * emits when: `n` items are there; or the next item would make the batch heavier than `max_weight`; or `within`
      seconds after the first item of the batch came; or at the end. Never an empty batch.
    * backpressures when: the stage below does.
    * completes when: the input ends; the last partial batch is emitted first.
    * on error: a partial batch is dropped and the error passed on.
    * on early stop: a partial batch is dropped.

    An item heavier than `max_weight` passes alone, after the batch before it.

    Args:
        n: how many items, at least 1; `None` where `max_weight` alone limits the batch, to 100,000 items at most.
        within: seconds; `None` waits for a full batch however long that takes. The clock starts anew for each batch,
            when its first item is taken.
        max_weight: the most a batch may weigh: bytes, or whatever `weight` gives.
        weight: returns the weight of an item, 0 or more, sync or async; `None` is the size in bytes of bytes-like items
            and of anything with `nbytes`.

    Raises `UsageError` for bounds that cannot mean anything, for a batch with neither `n` nor `max_weight`, and for a
    `weight` without `max_weight`, which has no effect. Cancellation: a partial batch is dropped.
    """
    _check_limits(n, within, max_weight, weight)
    name = _name_of(n, within, max_weight)
    most = MOST if n is None else n
    if max_weight is None:
        if within is None:
            return Batches(name=name, transform=lambda: Counted(most), holds_items=most, groups=most)
        return Batches(by_count_and_time(most, within), name=name, holds_items=most, groups=most)
    weigh = bytes_of if weight is None else weight
    make = functools.partial(Weighed, most, max_weight)
    if within is None:
        return packed(name, make, weigh, kind=Batches, most=most, asked=weight is not None)
    return Batches(by_weight_and_time(make, weigh, within), name=name, callable=weight, holds_items=most, groups=most)


def _check_limits(n: object, within: object, max_weight: object, weight: object) -> None:
    if n is None and max_weight is None:
        raise UsageError(
            "batched() needs a limit: batched(500) by count, or batched(max_weight=1 << 20) by bytes. "
            "A time alone is none: what comes within it has no bound."
        )
    if n is not None:
        check_capacity("batched(n)", n)
    if within is not None:
        check_capacity("batched(within)", within, whole=False)
    if max_weight is not None:
        check_capacity("batched(max_weight)", max_weight, whole=False)
    if weight is not None:
        check_callable("batched(weight)", weight)
        if max_weight is None:
            raise UsageError("batched(weight) has no effect without max_weight=: say how much a batch may weigh.")


def _name_of(n: int | None, within: float | None, max_weight: float | None) -> str:
    words = [] if n is None else [str(n)]
    words += [] if within is None else [f"within={within:g}"]
    words += [] if max_weight is None else [f"max_weight={max_weight}"]
    return f"batched({', '.join(words)})"


def batch_waiting(n: int) -> Batches[object]:
    """Group whatever is waiting into tuples of up to `n`, without waiting for more.

    Example:
        async def save(rows):
            await asyncio.sleep(1.0)
            return len(rows)

        await sf.stream(range(10)).spaced(0.3).batch_waiting(500).map(save).collect()  # gives [1, 1, 1, 1, 3, 3]

    * emits when: there is an item and the stage below is ready: one item when that is faster than the source, up to `n`
      when it is slower.
    * backpressures when: the stage below does.
    * completes when: the input ends, and what waited has been emitted.
    * on error: passes it on after the items before it.
    * on early stop: what waits is discarded, and counted.

    What waits are the items in the channel above: with a `maxsize` below `n` a batch is hardly larger than that. The
    channels below hold one batch each, so that a busy consumer is noticed; two small batches may be on their way to it.

    Args:
        n: how many items at most, at least 1.

    Raises `UsageError` for anything but a whole number of at least 1. Cancellation: what waits is discarded.
    """
    check_capacity("batch_waiting(n)", n)

    async def waiting(items: AsyncIterable[A]) -> AsyncGenerator[tuple[A, ...], None]:
        async with reading(items, maxsize=n) as reader:
            channel = reader.channel
            batch: list[A] = []
            while (hand := await reader.next_hand()) is not None:
                batch += itertools.islice(hand, n - len(batch))
                if len(batch) == n or not (length_hint(hand) or channel.qsize()):
                    yield tuple(batch)
                    batch.clear()

    return Batches(waiting, name=f"batch_waiting({n})", holds_items=n, groups=n, output_capacity=1)


def unbatch() -> Unbatched:
    """Emit every item of every batch: the inverse of `batched`.

    Example: `await sf.stream([(1, 2), (), (3,)]).unbatch().collect()` gives `[1, 2, 3]`.

    * emits when: a batch has an item.
    * backpressures when: the stage below does.
    * completes when: the input ends.
    * on error: passes it on after the items before it.
    * on early stop: the rest of a batch is dropped.

    A batch is any iterable; empty ones give nothing. Cancellation: the rest of a batch is dropped.
    """
    return Unbatched(name="unbatch", transform=_Unbatching)


class _Unbatching:
    done = False

    def apply(self, items: Iterator[Iterable[Any]], /) -> Iterator[Any]:
        return itertools.chain.from_iterable(items)

    def finish(self) -> Iterator[Any]:
        return iter(())


def rechunk(size: int) -> Stage[bytes | bytearray | memoryview, bytes]:
    """Cut bytes into pieces of exactly `size` bytes, however they were cut before; the last one may be shorter.

    Example: `await sf.pipeline([b"ab", b"cdefg"], sf.rechunk(3), sf.collect())` gives
    `[b"abc", b"def", b"g"]`: pieces of one size, as the parts of an upload are.

    * emits when: `size` bytes are there, or at the end what is left; never an empty piece.
    * backpressures when: the stage below does.
    * completes when: the input ends; the last piece is emitted first.
    * on error: what does not fill a piece is dropped and the error passed on.
    * on early stop: what does not fill a piece is dropped.

    The pieces joined are the input joined. A piece that has the right size already is passed on as it is.

    Args:
        size: how many bytes, at least 1.

    Raises `UsageError` for anything but a whole number of at least 1, and for an item that is no bytes.
    Cancellation: what does not fill a piece is dropped.
    """
    check_capacity("rechunk(size)", size)
    return Stage(name=f"rechunk({size})", transform=lambda: Rechunked(size), holds=size)
