"""The words of streamflow as types: what a source, a stage, a sink and a codec *is*.

What lives here: aliases and protocols, so that plain functions are full citizens; nothing is inherited.
What must not: behaviour.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Protocol, TypeAlias, TypeVar

__all__ = ["Codec", "MaybeAwaitable", "SinkFunction", "SourceLike", "StageFunction", "Transform"]

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
R = TypeVar("R")
A_contra = TypeVar("A_contra", contravariant=True)
B_co = TypeVar("B_co", covariant=True)

SourceLike: TypeAlias = Iterable[T] | AsyncIterable[T]
"""Anything items can be taken from: a list, a generator, an async generator, a `Channel`, a `Stream`."""

StageFunction: TypeAlias = Callable[[AsyncIterable[A]], AsyncIterator[B]]
"""An async generator function over an async iterable: `async def stage(items): async for item in items: yield ...`."""

SinkFunction: TypeAlias = Callable[[AsyncIterable[A]], Awaitable[R]]
"""A coroutine function over an async iterable; what it returns is the pipeline's value."""

MaybeAwaitable: TypeAlias = R | Awaitable[R]
"""What a callable given to an operator returns: the value, or an awaitable of it."""


class Codec(Protocol[A_contra, B_co]):
    """A format as a state machine that never waits (sans-IO). One object serves one run.

    Example: `rows = [*codec.feed(first), *codec.feed(second), *codec.finish()]`.
    """

    def feed(self, data: A_contra, /) -> Iterable[B_co]:
        """Take one item in; return what is complete by now. May be lazy: it is exhausted before the next feed."""

    def finish(self) -> Iterable[B_co]:
        """The input ended cleanly: return what is left, or raise `TruncatedError` if the input cannot end here.

        Never called after a failure, so a trailer written here cannot make a cut output look whole.
        """


class Transform(Protocol[A_contra, B_co]):
    """A synchronous operator at work, which the planner fuses into chains at C speed. One object serves one run."""

    def apply(self, items: Iterator[A_contra], /) -> Iterator[B_co]:
        """Wrap `items` (as much input as is there now) lazily. Called again for each further stretch of input."""

    def finish(self) -> Iterator[B_co]:
        """The input ended cleanly: what is left to emit."""

    @property
    def done(self) -> bool:
        """Whether it has enough (`take`): then the input is closed and `finish` follows."""
