"""Items of a sink put together and written as they come: what a reader waits for is not held back.

What lives here: `pour`. What must not: what a write is. A sink whose bytes nobody can see before its end gathers whole
blocks instead (files.write).
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable

import anyio

from streamflow.engine.feeding import reading
from streamflow.places.blocks import MIB, Gather

__all__ = ["pour"]


async def pour(items: AsyncIterable[bytes], owner: str, write: Callable[[bytes], Awaitable[None]]) -> None:
    """Write all items: what is there at once as one block of up to about 1 MiB, and before each wait for more.

    Args:
        items: the sink's input.
        owner: the sink's name, for the error about items that are not bytes.
        write: is given block after block, each when the one before has returned.

    Raises what the stages above and `write` raise. Cancellation: as `write` does; an anyio scope's is seen after each.
    """
    gather = Gather(owner)
    async with reading(items) as reader:
        while (hand := await reader.next_hand()) is not None:
            for item in hand:
                gather.add(item)
                if len(gather) >= MIB:
                    await write(gather.take())
            if len(gather):
                await write(gather.take())
            await anyio.lowlevel.checkpoint_if_cancelled()
