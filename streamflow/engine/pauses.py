"""Where the input of a stage pauses: for what should be handed on then although it is not full.

What lives here: `pausing`. What must not: what is done about it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing, asynccontextmanager
from enum import Enum
from typing import Literal, TypeVar

from streamflow.engine.feeding import reading
from streamflow.engine.reader import Reader

__all__ = ["PAUSE", "Pause", "pausing"]

A = TypeVar("A")


class Pause(Enum):
    """What stands among the items: what came before it has waited long enough."""

    PAUSE = 0


PAUSE: Literal[Pause.PAUSE] = Pause.PAUSE


@asynccontextmanager
async def pausing(items: AsyncIterable[A], seconds: float | None) -> AsyncGenerator[AsyncIterable[A | Pause], None]:
    """Give the items with a `PAUSE` so many seconds after the first of those behind the last `PAUSE`.

    `None`: the items as they are. With 0, a `PAUSE` stands behind all that was there at once.

    Cancellation and leaving: as for `reading`; no item is lost but with the stage.
    """
    if seconds is None:
        yield items
        return
    async with reading(items) as reader, aclosing(_with_pauses(reader, seconds)) as arriving:
        yield arriving


async def _with_pauses(reader: Reader[A], seconds: float) -> AsyncGenerator[A | Pause, None]:
    now = asyncio.get_running_loop().time
    deadline = math.inf
    while True:
        if now() >= deadline or not await reader.wait(until=deadline):
            deadline = math.inf
            yield PAUSE
            continue
        hand = await reader.next_hand()
        if hand is None:
            return
        deadline = min(deadline, now() + seconds)
        for item in hand:
            yield item
