"""The methods of `operators/recovery.py` and `operators/retrying.py`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from streamflow.machinery.policies import Backoff
from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import recovery, retrying
from streamflow.operators.resuming import Resume
from streamflow.types import SourceLike

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Recovery"]

E = TypeVar("E", bound=Exception)
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Recovery(Methods[T_co]):
    """Methods that answer an error of what stands above."""

    __slots__ = ()

    @spelled(retrying.retry)
    def retry(
        self,
        attempts: int = 3,
        *,
        on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool] = (OSError, TimeoutError),
        backoff: Backoff = retrying.BACKOFF,
        reset_after: float | None = 60.0,
        resume: Resume | None = None,
    ) -> Stream[T_co]:
        """Run everything above again, after a pause, when it fails; see `sf.retry`."""
        return self.through(retrying.retry(attempts, on=on, backoff=backoff, reset_after=reset_after, resume=resume))

    @overload
    def catch(self, *types: type[E], then: Literal["stop"]) -> Stream[T_co]: ...
    @overload
    def catch(
        self,
        *types: type[E],
        then: Iterable[U] | AsyncIterable[U] | Callable[[E], SourceLike[U] | Awaitable[SourceLike[U] | None] | None],
    ) -> Stream[T_co | U]: ...
    @spelled(recovery.catch)
    def catch(self, *types: type[E], then: Any) -> Stream[Any]:
        """End the stream cleanly, or with other items, when the stages above fail with these types; see `sf.catch`."""
        return self.through(recovery.catch(*types, then=then))

    @spelled(recovery.fallback)
    def fallback(
        self,
        *sources: SourceLike[U],
        on: type[Exception] | tuple[type[Exception], ...] = Exception,
        resume: Resume | None = None,
    ) -> Stream[T_co | U]:
        """Go on with another source when what stands above fails; see `sf.fallback`."""
        return self.through(recovery.fallback(*sources, on=on, resume=resume))
