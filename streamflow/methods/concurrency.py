"""The methods of `operators/concurrency.py`."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Hashable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from streamflow.machinery.crews.arranging import Concurrency as Limit
from streamflow.machinery.policies import ErrorPolicy, Retry
from streamflow.methods.spelling import Methods, spelled
from streamflow.operators import concurrency as operators  # inside the class, `concurrency` is an argument
from streamflow.types import MaybeAwaitable

if TYPE_CHECKING:
    from streamflow.streams import Stream

__all__ = ["Concurrency"]

T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class Concurrency(Methods[T_co]):
    """Methods that run several calls at once."""

    __slots__ = ()

    @overload
    def map(
        self,
        fn: Callable[[T_co], Awaitable[U]],
        *,
        concurrency: Limit = ...,
        ordered: bool = ...,
        max_waiting: int | None = ...,
        key: Callable[[T_co], Hashable] | None = ...,
        threads: int | None = ...,
        processes: int | None = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        errors: ErrorPolicy | None = ...,
    ) -> Stream[U]: ...
    @overload
    def map(
        self,
        fn: Callable[[T_co], U],
        *,
        concurrency: Limit = ...,
        ordered: bool = ...,
        max_waiting: int | None = ...,
        key: Callable[[T_co], Hashable] | None = ...,
        threads: int | None = ...,
        processes: int | None = ...,
        timeout: float | None = ...,
        retry: Retry | None = ...,
        errors: ErrorPolicy | None = ...,
    ) -> Stream[U]: ...
    @spelled(operators.map)
    def map(
        self,
        fn: Callable[[T_co], Any],
        *,
        concurrency: Limit = 1,
        ordered: bool = True,
        max_waiting: int | None = None,
        key: Callable[[T_co], Hashable] | None = None,
        threads: int | None = None,
        processes: int | None = None,
        timeout: float | None = None,
        retry: Retry | None = None,
        errors: ErrorPolicy | None = None,
    ) -> Stream[Any]:
        """Call `fn` for each item and emit what it returns; see `sf.map`."""
        return self.through(
            operators.map(
                fn,
                concurrency=concurrency,
                ordered=ordered,
                max_waiting=max_waiting,
                key=key,
                threads=threads,
                processes=processes,
                timeout=timeout,
                retry=retry,
                errors=errors,
            )
        )

    @overload
    def flat_map(
        self,
        fn: Callable[[T_co], Awaitable[Iterable[U] | AsyncIterable[U]]],
        *,
        concurrency: int = ...,
        ordered: bool = ...,
        ahead: int | None = ...,
    ) -> Stream[U]: ...
    @overload
    def flat_map(
        self,
        fn: Callable[[T_co], Iterable[U] | AsyncIterable[U]],
        *,
        concurrency: int = ...,
        ordered: bool = ...,
        ahead: int | None = ...,
    ) -> Stream[U]: ...
    @spelled(operators.flat_map)
    def flat_map(
        self, fn: Callable[[T_co], Any], *, concurrency: int = 1, ordered: bool = True, ahead: int | None = None
    ) -> Stream[Any]:
        """Emit every item of the iterables that `fn` returns; see `sf.flat_map`."""
        return self.through(operators.flat_map(fn, concurrency=concurrency, ordered=ordered, ahead=ahead))

    @spelled(operators.for_each)
    async def for_each(
        self,
        fn: Callable[[T_co], MaybeAwaitable[object]],
        *,
        concurrency: Limit = 1,
        key: Callable[[T_co], Hashable] | None = None,
        threads: int | None = None,
        processes: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # of each call, not of this one
        retry: Retry | None = None,
        errors: ErrorPolicy | None = None,
    ) -> int:
        """Run it, calling `fn` for each item; return for how many it returned; see `sf.for_each`.

        Cancellation: ends this run.
        """
        sink = operators.for_each(
            fn,
            concurrency=concurrency,
            key=key,
            threads=threads,
            processes=processes,
            timeout=timeout,
            retry=retry,
            errors=errors,
        )
        return await self.to(sink).run()
