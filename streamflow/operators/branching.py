"""Operators that give each item to the one it belongs to: partition into two streams, route to sinks by a key.

What lives here: the operators, and who gets which item. What must not: how items get there (fan.py), what becomes of
branches that are runs (branches.py) or streams (splitting.py); operators that give every item to all (fanning.py), or
each to whoever has room (balancing.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Hashable, Mapping, Sequence
from inspect import isawaitable
from typing import Any, TypeVar, cast

from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.fans.branches import Branch, Branches, Parts
from streamflow.machinery.fans.fan import Fan
from streamflow.machinery.fans.fan_shapes import FanSink
from streamflow.machinery.fans.splitting import Split
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.variables import A
from streamflow.stages import MAXSIZE, Source
from streamflow.types import MaybeAwaitable, SourceLike

__all__ = ["partition", "route"]

K = TypeVar("K", bound=Hashable)


def partition(
    source: SourceLike[A], fn: Callable[[A], MaybeAwaitable[object]], *, maxsize: int = MAXSIZE
) -> tuple[Source[A], Source[A]]:
    """Make two sources of one: the items for which `fn` is true, and the others.

    Example:
        odd, even = sf.partition(range(6), lambda number: number % 2)
        await sf.stream(odd).zip(even).collect()  # gives [(1, 0), (3, 2), (5, 4)]

    * emits when: an item comes and its branch has room for it.
    * backpressures when: `maxsize` items wait for the branch that the next item belongs to.
    * completes when: the source ended and is closed.
    * on error: of the source or of `fn`: both branches get it, each after its items before it.
    * on early stop: a branch that leaves, fails, or is dropped without having been read takes no more items: those that
      belong to it are dropped. When the last one leaves, the source is closed before that one has ended.

    The source is started by the first branch that is read; what comes then is kept for the other, so read both side by
    side: whoever reads one to its end before the other waits for ever once more than `maxsize` items belong to that. A
    branch can be read again, which reads the source again, once both have been begun.

    Args:
        source: what is read once.
        fn: called with each item, sync or async, one call at a time.
        maxsize: how many items may wait for each branch.

    Raises `UsageError` for what is no source, no callable, and for bounds that cannot mean anything. Cancellation: of
    the task that reads a branch: that branch leaves.
    """
    check_callable("partition", fn)
    check_capacity("partition(maxsize)", maxsize)

    async def deal(fan: Fan[A], reader: Reader[A]) -> None:
        true, false = fan.outlets
        async for item in reader:
            result = fn(item)
            if isawaitable(result):
                result = await result
            await fan.to_one(item, true if result else false)
            if true.left and false.left:
                return

    split: Split[A] = Split("partition", source, 2, deal, maxsize=maxsize)
    true, false = split.sources()
    return true, false


def route(
    key: Callable[[A], MaybeAwaitable[K]],
    branches: Mapping[K, Callable[[AsyncIterable[A]], Awaitable[Any]] | Sequence[Any]],
    *,
    default: Callable[[AsyncIterable[A]], Awaitable[Any]] | Sequence[Any] | None = None,
    maxsize: int = MAXSIZE,
) -> FanSink[A, dict[K | None, Any]]:
    """Give each item to the branch of its key; the value is a dict of the branches' values.

    Example:
        await sf.pipeline(
            ["a.csv", "b.txt", "c.csv"],
            sf.route(lambda name: name[-3:], {"csv": sf.collect(), "txt": sf.count()}),
        )  # gives {"csv": ["a.csv", "c.csv"], "txt": 1}

    * emits when: never; its value is there when every branch has committed.
    * backpressures when: `maxsize` items wait for the branch that the next item belongs to.
    * completes when: the input ended and every branch has committed, or every branch has ended early.
    * on error: of the input: every branch gets it, after its items before it. Of a branch, of `key`, or a key that has
      no branch: the branches are aborted and the source is closed; several independent errors come as a group.
    * on early stop: a branch that has enough (`first()`) leaves; the items that belong to it are dropped from then on,
      and counted.

    Every branch runs from the beginning, whether an item comes for it or not; what holds of commits is said at
    `broadcast`. `sink.stats()` tells what each branch was given.

    Args:
        key: called with each item, sync or async, one call at a time.
        branches: for each key a sink, or a list `[*stages, sink]`.
        default: the branch of all other keys; its value stands under `None`. Without it such a key is a `LookupError`.
        maxsize: how many items may wait for each branch.

    Raises `UsageError` for no branches, for what is no branch, and for bounds that cannot mean anything.
    Cancellation: every branch is cancelled and closed; one that had committed stays so.
    """
    check_callable("route", key)
    check_capacity("route(maxsize)", maxsize)
    if not isinstance(cast("object", branches), Mapping) or not branches:
        raise UsageError("route() needs at least one branch: sf.route(key, {value: sink, ...}).")
    if default is not None and None in branches:
        raise UsageError(
            "route(): None is a key of its own here, and the value of `default` stands under None. Drop one."
        )
    given: dict[Any, Any] = {**branches} if default is None else {**branches, None: default}
    parts = {value: Parts("route", branch) for value, branch in given.items()}

    async def routed(items: AsyncIterable[A]) -> dict[Any, Any]:
        async with reading(items) as reader:
            made = {
                value: Branch(f"branch {value!r} of route", part.stages, part.sink, maxsize=maxsize)
                for value, part in parts.items()
            }
            runs[:] = [served := Branches("route", list(made.values()), reader)]
            otherwise = None if default is None else made[None]
            await served.serve(lambda: _route(reader, key, made, otherwise))
            return {value: branch.value for value, branch in made.items()}

    runs: list[Branches] = []
    return FanSink(routed, name=f"route({', '.join(map(repr, given))})", runs=runs)


async def _route(
    reader: Reader[A], key: Callable[[A], Any], branches: Mapping[Any, Branch], otherwise: Branch | None
) -> None:
    fan: Fan[A] = Fan(branch.outlet for branch in branches.values())
    number = 0
    async for item in reader:
        number += 1
        value = key(item)
        if isawaitable(value):
            value = await value
        branch = branches.get(value, otherwise)
        if branch is None:
            known = ", ".join(map(repr, branches))
            raise LookupError(
                f"route(): item {number} has the key {value!r:.80}, for which there is no branch (there are: {known}). "
                f"Write default=sink for the keys that have none; default=sf.drain() drops their items."
            )
        await fan.to_one(item, branch.outlet)
