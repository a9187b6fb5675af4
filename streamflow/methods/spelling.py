"""How a method of `Stream` is tied to the function it spells, and what every family of methods stands on.

What lives here: `spelled` and `Methods`. What must not: methods.

The methods return a `Stream`, which stands on a higher stair and is made of them. So its name is imported for type
checkers only, and what a method needs of it is `through`, `to` and `_stream_of`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streamflow.stages import Source

if TYPE_CHECKING:
    from streamflow.streams import Pipeline, SinkLike, StageLike, Stream

__all__ = ["Methods", "spelled"]

M = TypeVar("M", bound=Callable[..., Any])
R = TypeVar("R")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


def spelled(function: Callable[..., Any]) -> Callable[[M], M]:
    """Say of which function a method is the other spelling; the method gets its docstring.

    In the source a method has the first sentence only, for editors that read sources; the tests hold it equal.
    """

    def tie(method: M) -> M:
        method.__streamflow_function__ = function  # type: ignore[attr-defined]  # what the tests compare it with
        method.__doc__ = function.__doc__
        return method

    return tie


class Methods(Generic[T_co]):
    """What a family of methods may use."""

    __slots__ = ()

    def through(self, stage: StageLike[T_co, U], /) -> Stream[U]:
        """Put a stage after this stream."""
        raise NotImplementedError

    def to(self, sink: SinkLike[T_co, R], /) -> Pipeline[R]:
        """End the stream with a sink."""
        raise NotImplementedError

    def _stream_of(self, source: Source[U], /) -> Stream[U]:
        """Begin a stream of a source that was made of this one."""
        raise NotImplementedError
