"""Operators that group items by what they are: group_adjacent, split_when, group_by.

What lives here: the operators. What must not: batches by count, weight and time (batching.py); how the groups of
`group_by` run (substreams.py).

`group_by` takes the stages that each group runs through, and hands out no iterators: read one after another, they would
stop each other for ever (H48).
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Hashable, Sequence
from typing import Any, Literal, TypeVar, overload

from streamflow.engine.feeding import reading
from streamflow.errors import LimitExceeded, UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.functions.packing import MOST, packed
from streamflow.machinery.functions.per_item import check_callable
from streamflow.machinery.stage_shapes import Batches, Groups
from streamflow.machinery.variables import A, B
from streamflow.machinery.waits.substreams import Limits, Substreams
from streamflow.resolving import resolve_stage
from streamflow.stages import Stage
from streamflow.types import MaybeAwaitable, StageFunction

__all__ = ["group_adjacent", "group_by", "split_after", "split_when"]

H = TypeVar("H", bound=Hashable)


@overload
def group_adjacent(key: Callable[[A], Awaitable[B] | B], *, max_items: int = ...) -> Groups[A, B]: ...
@overload
def group_adjacent(key: Callable[[A], Awaitable[B]], *, max_items: int = ...) -> Groups[A, B]: ...
def group_adjacent(key: Callable[[Any], Any], *, max_items: int = MOST) -> Groups[Any, Any]:
    """Group neighbours with equal keys: emits `(key, (item, ...))` for each run of them.

    Example: `await sf.stream(["apple", "avocado", "banana"]).group_adjacent(lambda word: word[0]).collect()` gives
    `[("a", ("apple", "avocado")), ("b", ("banana",))]`.

    * emits when: an item with another key comes, or at the end. Never an empty group.
    * backpressures when: the stage below does.
    * completes when: the input ends; the last group is emitted first.
    * on error: of the input or of `key`: the group that has begun is dropped and the error passed on.
    * on early stop: the group that has begun is dropped.

    A group is held in memory until it is whole, so it has a limit: one that grows beyond is an error, never two groups.

    Args:
        key: called with each item, in order; its results are compared by `==`. Sync or async.
        max_items: how many items a group may have; more raise `LimitExceeded`, which names the key.

    Raises `UsageError` when `key` is no callable, and for a limit that cannot mean anything. Cancellation: the group
    that has begun is dropped.
    """
    check_callable("group_adjacent", key)
    check_capacity("group_adjacent(max_items)", max_items)
    return packed("group_adjacent", lambda: _Adjacent(max_items), key, kind=Groups, most=max_items)


class _Adjacent:
    def __init__(self, most: int) -> None:
        self._most = most
        self._key: Any = None
        self._items: list[Any] = []

    def add(self, item: Any, key: Any, /) -> tuple[Any, ...]:
        items = self._items
        if not items or key is self._key or key == self._key:
            if not items:
                self._key = key
            elif len(items) == self._most:
                raise _too_many("group_adjacent", self._most, f"have the key {self._key!r:.80}")
            items.append(item)
            return ()
        group = self.finish()
        self._key = key
        self._items = [item]
        return group

    def finish(self) -> tuple[Any, ...]:
        items, self._items = self._items, []
        return ((self._key, tuple(items)),) if items else ()


def _too_many(operator: str, most: int, what: str) -> LimitExceeded:
    return LimitExceeded(
        f"{operator}: more than {most:,} items in a row {what}, and a group is held in memory. "
        f"Raise max_items=, or cut the stream by sf.batched(n) where the groups need not be whole."
    )


def split_when(fn: Callable[[A], MaybeAwaitable[object]], *, max_items: int = MOST) -> Batches[A]:
    """Begin a new group at each item for which `fn` returns something true; emits the groups as tuples.

    Example:
        lines = ["ERROR in f", "  line 1", "  line 2", "INFO ready"]
        await sf.stream(lines).split_when(lambda line: not line.startswith(" ")).collect()
        # gives [("ERROR in f", "  line 1", "  line 2"), ("INFO ready",)]

    * emits when: an item comes that begins a new group, or at the end. Never an empty group.
    * backpressures when: the stage below does.
    * completes when: the input ends; the last group is emitted first.
    * on error: of the input or of `fn`: the group that has begun is dropped and the error passed on.
    * on early stop: the group that has begun is dropped.

    The item stands first in the group that it begins. The first item of all begins a group whatever `fn` says.

    Args:
        fn: called with each item, in order. Sync or async.
        max_items: how many items a group may have; more raise `LimitExceeded`.

    Raises `UsageError` when `fn` is no callable, and for a limit that cannot mean anything. Cancellation: the group
    that has begun is dropped.
    """
    check_callable("split_when", fn)
    check_capacity("split_when(max_items)", max_items)
    return packed("split_when", lambda: _Split(max_items), fn, kind=Batches, most=max_items)


def split_after(fn: Callable[[A], MaybeAwaitable[object]], *, max_items: int = MOST) -> Batches[A]:
    """End the group after each item for which `fn` returns something true; emits the groups as tuples.

    Example:
        words = ["SELECT", "1;", "COMMIT;", "BEGIN"]
        await sf.stream(words).split_after(lambda word: word.endswith(";")).map(" ".join).collect()
        # gives ["SELECT 1;", "COMMIT;", "BEGIN"]

    * emits when: an item comes that ends the group, without waiting for the next one; or at the end. Never an empty
      group.
    * backpressures when: the stage below does.
    * completes when: the input ends; the last group is emitted first.
    * on error: of the input or of `fn`: the group that has begun is dropped and the error passed on.
    * on early stop: the group that has begun is dropped.

    The item stands last in the group that it ends: a terminator. For an item that stands first see `split_when`.

    Args:
        fn: called with each item, in order. Sync or async.
        max_items: how many items a group may have; more raise `LimitExceeded`.

    Raises `UsageError` when `fn` is no callable, and for a limit that cannot mean anything. Cancellation: the group
    that has begun is dropped.
    """
    check_callable("split_after", fn)
    check_capacity("split_after(max_items)", max_items)
    return packed("split_after", lambda: _SplitAfter(max_items), fn, kind=Batches, most=max_items)


class _Split:
    def __init__(self, most: int) -> None:
        self._most = most
        self._items: list[Any] = []

    def add(self, item: Any, begins: Any, /) -> tuple[Any, ...]:
        if begins:
            group = self.finish()
            self._items.append(item)
            return group
        if len(self._items) == self._most:
            raise _too_many("split_when", self._most, "begin no new group")
        self._items.append(item)
        return ()

    def finish(self) -> tuple[Any, ...]:
        items, self._items = self._items, []
        return (tuple(items),) if items else ()


class _SplitAfter(_Split):
    def add(self, item: Any, ends: Any, /) -> tuple[Any, ...]:
        if len(self._items) == self._most:
            raise _too_many("split_after", self._most, "end no group")
        self._items.append(item)
        return self.finish() if ends else ()


@overload
def group_by(
    key: Callable[[A], Awaitable[H]],
    stages: Callable[[H], StageFunction[A, B]],
    *,
    max_open: int = ...,
    overflow: Literal["close", "fail"] = ...,
    idle: float | None = ...,
    maxsize: int = ...,
) -> Stage[A, B]: ...
@overload
def group_by(
    key: Callable[[A], H],
    stages: Callable[[H], StageFunction[A, B]],
    *,
    max_open: int = ...,
    overflow: Literal["close", "fail"] = ...,
    idle: float | None = ...,
    maxsize: int = ...,
) -> Stage[A, B]: ...
@overload
def group_by(
    key: Callable[[A], Any],
    stages: Callable[[Any], Sequence[StageFunction[Any, Any]]],
    *,
    max_open: int = ...,
    overflow: Literal["close", "fail"] = ...,
    idle: float | None = ...,
    maxsize: int = ...,
) -> Stage[A, Any]: ...
def group_by(
    key: Callable[[Any], Any],
    stages: Callable[[Any], Any],
    *,
    max_open: int = 1_000,
    overflow: Literal["close", "fail"] = "close",
    idle: float | None = None,
    maxsize: int = 16,
) -> Stage[Any, Any]:
    """Send the items of each key through stages of their own, side by side, and emit what these emit as it comes.

    Example:
        readings = [("kitchen", 20), ("attic", 9), ("kitchen", 22)]
        await sf.stream(readings).group_by(lambda reading: reading[0], lambda room: sf.pairwise()).collect()
        # gives [(("kitchen", 20), ("kitchen", 22))]

    * emits when: the stages of any key emit. The order within a key is kept, that between keys is not.
    * backpressures when: the stage below does, or the stages of one key do: a slow key holds the others back once
      `maxsize` of its items wait.
    * completes when: the input ends and the stages of every open key have ended.
    * on error: of the input: each open key meets it after its items, then it is passed on. Of `key`: the same. Of the
      stages of a key: passed on after what was emitted before; the stages of the other keys are stopped.
    * on early stop: the stages of all open keys are stopped.

    A key opens with its first item. It is closed, and its stages see the end of their input, at the end of the input,
    after `idle` seconds, or where too many keys are open; then it is forgotten, and a later item opens it again with
    new stages. Stages that have had enough (`sf.take`) get no more: further items of their key are dropped until it is
    forgotten.

    Args:
        key: called with each item, in order; returns what it is grouped by, which must be hashable. Sync or async.
        stages: called with each key that opens; returns a stage, or a tuple of stages.
        max_open: how many keys may be open at once. Each has two tasks or more.
        overflow: what to do when a further key comes: `"close"` closes the one used longest ago and waits for it;
            `"fail"` raises `LimitExceeded`.
        idle: seconds after which a key is closed for which no item came; `None` keeps it open.
        maxsize: capacity of the channels of each key, in items.

    Raises `UsageError` when `key` or `stages` is no callable or `stages` returns no stage, and for bounds that cannot
    mean anything. Cancellation: the stages of all open keys are stopped, and have ended when it is raised.
    """
    check_callable("group_by", key)
    _check_factory(stages)
    check_capacity("group_by(max_open)", max_open)
    check_capacity("group_by(maxsize)", maxsize)
    if idle is not None:
        check_capacity("group_by(idle)", idle, whole=False)
    if overflow not in ("close", "fail"):
        raise UsageError(f"overflow must be 'close' or 'fail', not {overflow!r}.")
    limits = Limits(max_open, maxsize, idle, fails=overflow == "fail")

    async def grouped(items: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        groups = Substreams(key, lambda value: _stages_of(stages, value), limits)
        async with reading(items) as reader, groups.over(reader) as outs:
            async for out in outs:
                yield out

    return Stage(
        grouped, name="group_by", callable=key, concurrency=max_open, holds_items=(_PER_KEY * max_open + 2) * maxsize
    )


# Three channels at most for a key with one stage, each with as much in its reader's hand.
_PER_KEY = 6


def _check_factory(stages: object) -> None:
    if isinstance(stages, Stage) or inspect.isasyncgenfunction(stages):
        raise UsageError("group_by needs a function that makes the stages of a key: write lambda key: ... before it.")
    check_callable("group_by(stages)", stages)


def _stages_of(stages: Callable[[Any], Any], key: Any) -> tuple[Stage[Any, Any], ...]:
    made = stages(key)
    try:
        resolved = tuple(resolve_stage(each) for each in (made if isinstance(made, (tuple, list)) else (made,)))
    except UsageError as error:
        error.add_note(f"group_by: stages({key!r:.80}) must return a stage or a tuple of stages")
        raise
    for stage in resolved:
        if stage.reopens:
            raise UsageError(f"{stage.name} cannot stand in group_by: what it would read again has gone by.")
    return resolved
