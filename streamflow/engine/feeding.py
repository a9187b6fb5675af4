"""A reader over any async iterable, for operators that need more of their input than `async for` gives.

What lives here: `reading`. What must not: operators.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import asynccontextmanager
from typing import TypeVar

from streamflow.engine.conductor import Run
from streamflow.engine.reader import Reader
from streamflow.stages import Plan, Source

__all__ = ["reading"]

T = TypeVar("T")


@asynccontextmanager
async def reading(
    items: AsyncIterable[T], *, maxsize: int = 16, max_bytes: int = 1 << 20
) -> AsyncGenerator[Reader[T], None]:
    """Give a `Reader` over `items`: inside a pipeline that is what a stage gets anyway; elsewhere a task feeds one.

    Example:
        async def stage(items):
            async with reading(items) as reader:
                item = await reader.get()

    Cancellation and leaving: the feeding task, if there is one, is stopped and `items` closed in it.
    """
    if isinstance(items, Reader):
        yield items
        return
    run = Run(Plan(Source(lambda: items, name="items"), (), None, "reading", maxsize, max_bytes, 10.0))
    assert run.output is not None
    run.start()
    try:
        yield run.output
    except BaseException as error:
        await run.close_after(error)
        raise
    await run.close()
