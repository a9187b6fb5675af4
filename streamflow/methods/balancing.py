"""The methods of `operators/balancing.py`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from typing import TYPE_CHECKING, TypeVar

from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import balancing

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Balancing"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Balancing(Methods[T_co]):
    """Methods that give each item to whoever has room."""

    __slots__ = ()

    @spelled(balancing.balance)
    def balance(
        self,
        stage: Callable[[AsyncIterable[T_co]], AsyncIterable[U]],
        workers: int,
        *,
        maxsize: int = 1,
        ordered: bool = False,
    ) -> Stream[U]:
        """Run several copies of a stage side by side, each item in one that has room; see `sf.balance`."""
        return self.through(balancing.balance(stage, workers, maxsize=maxsize, ordered=ordered))
