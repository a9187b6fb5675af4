"""Stages whose output follows from their input: `take(3)` gives what it takes, whatever that is.

What lives here: subclasses of `Stage` with a more exact signature, so a type checker knows the items of a pipeline
behind a stage that was made before anybody knew its input. What must not: behaviour.

`Stage[A, B]` fixes both types when it is made. A generic `__call__` leaves the question open until the stage before it
answers. Two things are in the way of that:

* `filter(len)` gives what it takes, strings say, though `len` takes anything that has a size. A type variable cannot
  have another one as its bound; `Given` says the same: items that are `X`, each of which is an `A`.
* mypy takes the type variable of a method for one and the same wherever the method is used in one call, so the second
  `take` of a pipeline would have to have the type of the first. It makes new ones for what a function returns. So for
  mypy alone `__call__` is what a descriptor returns. mypy takes `MYPY` for true; nobody else does.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from streamflow.stages import Stage

__all__ = ["MYPY", "Adding", "Batches", "Flattened", "Given", "Groups", "Labelled", "Pairs", "Passing", "Unbatched"]

MYPY = False

A = TypeVar("A")
B = TypeVar("B")
K = TypeVar("K")
X = TypeVar("X")
A_co = TypeVar("A_co", covariant=True)
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)
K_co = TypeVar("K_co", covariant=True)
X_co = TypeVar("X_co", covariant=True)


class _GivenIterator(Protocol[X_co, A_co]):
    def __anext__(self) -> Awaitable[X_co]: ...

    def __aiter__(self) -> AsyncIterator[A_co]: ...


class Given(Protocol[X_co, A_co]):
    """An async iterable whose items are of the type `X`, and each of them an `A`. Every async iterable is one."""

    def __aiter__(self) -> _GivenIterator[X_co, A_co]:
        """Iterate."""


class Passing(Stage[A_contra, Any]):
    """A stage that gives its items on as they are, all or some of them, and looks at them as `A`: `take`, `filter`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Passing[A], owner: object = None, /
            ) -> Callable[[Given[X, A]], AsyncIterator[X]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see above

    else:

        def __call__(self, items: Given[X, A_contra]) -> AsyncIterator[X]:
            """Apply it by hand, with no channel."""
            return self.function(items)


class Batches(Stage[A_contra, Any]):
    """A stage that gives tuples of items: `batched`, `sliding`, `split_when`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Batches[A], owner: object = None, /
            ) -> Callable[[Given[X, A]], AsyncIterator[tuple[X, ...]]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see above

    else:

        def __call__(self, items: Given[X, A_contra]) -> AsyncIterator[tuple[X, ...]]:
            """Apply it by hand, with no channel."""
            return self.function(items)


class Groups(Stage[A_contra, tuple[K_co, Any]]):
    """A stage that gives keys and tuples of items: `group_adjacent`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Groups[A, K], owner: object = None, /
            ) -> Callable[[Given[X, A]], AsyncIterator[tuple[K, tuple[X, ...]]]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see above

    else:

        def __call__(self, items: Given[X, A_contra]) -> AsyncIterator[tuple[K_co, tuple[X, ...]]]:
            """Apply it by hand, with no channel."""
            return self.function(items)


class Pairs(Stage[Any, Any]):
    """A stage that gives pairs of items: `pairwise`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Pairs, owner: object = None, /
            ) -> Callable[[AsyncIterable[X]], AsyncIterator[tuple[X, X]]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see above

    else:

        def __call__(self, items: AsyncIterable[X]) -> AsyncIterator[tuple[X, X]]:
            """Apply it by hand, with no channel."""
            return self.function(items)


class Labelled(Stage[Any, tuple[K_co, Any]]):
    """A stage that gives each item with something of the type `K` before it: `enumerate`, `timed`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Labelled[K], owner: object = None, /
            ) -> Callable[[AsyncIterable[X]], AsyncIterator[tuple[K, X]]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see above

    else:

        def __call__(self, items: AsyncIterable[X]) -> AsyncIterator[tuple[K_co, X]]:
            """Apply it by hand, with no channel."""
            return self.function(items)


class Adding(Stage[Any, B_co]):
    """A stage that gives its items, and others of the type `B`: `append`, `heartbeat`, `fallback`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Adding[B], owner: object = None, /
            ) -> Callable[[AsyncIterable[X]], AsyncIterator[X | B]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see above

    else:

        def __call__(self, items: AsyncIterable[X]) -> AsyncIterator[X | B_co]:
            """Apply it by hand, with no channel."""
            return self.function(items)


class Flattened(Stage[Any, Any]):
    """A stage that gives what is in its items: `flatten`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Flattened, owner: object = None, /
            ) -> Callable[[AsyncIterable[Iterable[X] | AsyncIterable[X]]], AsyncIterator[X]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see above

    else:

        def __call__(self, items: AsyncIterable[Iterable[X] | AsyncIterable[X]]) -> AsyncIterator[X]:
            """Apply it by hand, with no channel."""
            return self.function(items)


class Unbatched(Stage[Any, Any]):
    """A stage that gives what is in its items, which are batches: `unbatch`."""

    __slots__ = ()

    if MYPY:

        class _Call:
            def __get__(
                self, stage: Unbatched, owner: object = None, /
            ) -> Callable[[AsyncIterable[Iterable[X]]], AsyncIterator[X]]: ...

        __call__ = _Call()  # type: ignore[assignment]  # see above

    else:

        def __call__(self, items: AsyncIterable[Iterable[X]]) -> AsyncIterator[X]:
            """Apply it by hand, with no channel."""
            return self.function(items)
