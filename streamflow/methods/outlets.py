"""The method of `operators/outlets.py`."""

from __future__ import annotations

from typing import Literal, TypeVar

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import outlets

__all__ = ["Outlets"]

T_co = TypeVar("T_co", covariant=True)


class Outlets(Methods[T_co]):
    """Methods that run the stream and hand the items to somebody."""

    __slots__ = ()

    @spelled(outlets.into)
    async def into(self, target: outlets.Target, *, then: Literal["close", "leave"] = "leave") -> int:
        """Hand every item to a channel, a queue, a `StreamWriter` or an anyio stream; see `sf.into`."""
        return await self.to(outlets.into(target, then=then)).run()
