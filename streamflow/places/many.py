"""Many files or objects as one source: in order, or several at once.

What lives here: `many`, for every place whose content has names. What must not: what a name means, how names are found
(walk.py and the like), how one of them is read.

How it works. Each name is opened when its turn comes, as a run of its own with the stages that belong to it: one task
and one context for its source, closed there (P7), and the next is opened only when there is room for it. Several at
once are read as `flat_map(concurrency=n)` reads its inner iterables.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar, cast

from streamflow.engine.feeding import Costs, costs_of, reading
from streamflow.errors import UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.crews.flat_mapping import Lanes
from streamflow.machinery.crews.turns import NONE
from streamflow.machinery.waits.watching import Parts
from streamflow.resolving import parts_of, resolve_stage
from streamflow.stages import Source, Stage
from streamflow.types import SourceLike

__all__ = ["many"]

N = TypeVar("N")

_ITEMS = 16
_NAMES = 16  # how many names may be known ahead of the one that is opened


def many(
    names: SourceLike[N],
    read: Callable[[N], SourceLike[Any]],
    *stages: object,
    like: SourceLike[Any] | None = None,
    concurrency: int = 1,
    ordered: bool = True,
    ahead: int | None = None,
    name: str = "many",
) -> Source[Any]:
    """Read the content of many names, one after another or several at once, each through stages of its own.

    Example: `many(files.walk("logs"), files.read, text.decode(), text.lines(), concurrency=4)`.

    Args:
        names: any source of names. They are shown in errors, so they must hold no secrets.
        read: gives the source of a name; called when that is opened.
        stages: what the content of each name goes through, by itself.
        like: a source such as `read` gives, to tell from it what an open one costs.
        concurrency: how many may be open at once.
        ordered: all of the first name, then all of the second; else their items as they come.
        ahead: with concurrency: how many items of each may wait; by default 16, or 1 where they are blocks of bytes as
            they come from the place: those are large.
        name: for plans, reports and errors.

    What fails is noted with its name. With concurrency, an error comes at its turn, after the items before it.

    Raises `UsageError` for bounds that cannot mean anything, for what is no stage, and for `ordered=False` without
    concurrency. Cancellation, and a consumer that has enough: what is open is closed, each in its own task.
    """
    check_capacity("concurrency", concurrency)
    if ahead is not None:
        check_capacity("ahead", ahead)
    if concurrency == 1 and not ordered:
        raise UsageError("ordered=False has no effect without concurrency= of at least 2: one is read at a time.")
    through = tuple(map(resolve_stage, stages))
    example = None if like is None else _parts(like, through)
    waiting = ahead or (_ITEMS if example is None or example.stages else 1)

    def content(one: N) -> AsyncGenerator[Any, None]:
        return _content(one, read, through)

    def items() -> AsyncGenerator[Any, None]:
        if concurrency == 1:
            return _in_order(names, content)
        return _at_once(names, content, concurrency, waiting, ordered)

    costs = Costs() if example is None else costs_of([cast("SourceLike[Any]", example)])
    more = concurrency if concurrency > 1 else 0
    return Source(
        items,
        name=name,
        threads=concurrency * costs.threads,
        holds=concurrency * costs.bytes,
        holds_items=_NAMES + concurrency * costs.items + more * (waiting + 1),
        composite=True,
    )


def _parts(source: SourceLike[Any], stages: tuple[Stage[Any, Any], ...]) -> Parts:
    first, own = parts_of(source)
    return Parts(first, own + stages)


async def _content(
    name: N, read: Callable[[N], SourceLike[Any]], stages: tuple[Stage[Any, Any], ...]
) -> AsyncGenerator[Any, None]:
    try:
        async with reading(cast("SourceLike[Any]", _parts(read(name), stages))) as reader:
            async for item in reader:
                yield item
    except Exception as error:
        error.add_note(f"It was in the content of {str(name)!r}.")
        raise


async def _in_order(
    names: SourceLike[N], content: Callable[[N], AsyncGenerator[Any, None]]
) -> AsyncGenerator[Any, None]:
    async with reading(names, maxsize=_NAMES) as queue:
        async for name in queue:
            async with aclosing(content(name)) as items:
                async for item in items:
                    yield item


async def _at_once(
    names: SourceLike[N],
    content: Callable[[N], AsyncGenerator[Any, None]],
    concurrency: int,
    ahead: int,
    ordered: bool,  # noqa: FBT001  # one of the choices of `many`
) -> AsyncGenerator[Any, None]:
    async with reading(names, maxsize=_NAMES) as queue:
        lanes = Lanes(content, queue, concurrency, ahead, ordered=ordered)
        try:
            lanes.start()
            while await lanes.items_are_ready():
                while (item := lanes.next_item()) is not NONE:
                    yield item
        finally:
            await lanes.dismiss()
