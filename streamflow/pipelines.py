"""`pipeline()`: run a source through stages into a sink, in one call.

What lives here: the call and its types. What must not: behaviour, which is `Pipeline`'s (streams.py).

The overloads let a type checker see that each stage takes what the one before it gives. They end at eight stages; more
are accepted, unchecked.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

from streamflow.streams import Pipeline, Stream
from streamflow.types import SinkFunction, SourceLike, StageFunction

__all__ = ["pipeline"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
H = TypeVar("H")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


@overload
def pipeline(
    source: SourceLike[A],
    sink: SinkFunction[A, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(
    source: SourceLike[A],
    stage1: StageFunction[A, B] | Callable[[Stream[A]], Stream[B]],
    sink: SinkFunction[B, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(
    source: SourceLike[A],
    stage1: StageFunction[A, B] | Callable[[Stream[A]], Stream[B]],
    stage2: StageFunction[B, C] | Callable[[Stream[B]], Stream[C]],
    sink: SinkFunction[C, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(
    source: SourceLike[A],
    stage1: StageFunction[A, B] | Callable[[Stream[A]], Stream[B]],
    stage2: StageFunction[B, C] | Callable[[Stream[B]], Stream[C]],
    stage3: StageFunction[C, D] | Callable[[Stream[C]], Stream[D]],
    sink: SinkFunction[D, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(
    source: SourceLike[A],
    stage1: StageFunction[A, B] | Callable[[Stream[A]], Stream[B]],
    stage2: StageFunction[B, C] | Callable[[Stream[B]], Stream[C]],
    stage3: StageFunction[C, D] | Callable[[Stream[C]], Stream[D]],
    stage4: StageFunction[D, E] | Callable[[Stream[D]], Stream[E]],
    sink: SinkFunction[E, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(
    source: SourceLike[A],
    stage1: StageFunction[A, B] | Callable[[Stream[A]], Stream[B]],
    stage2: StageFunction[B, C] | Callable[[Stream[B]], Stream[C]],
    stage3: StageFunction[C, D] | Callable[[Stream[C]], Stream[D]],
    stage4: StageFunction[D, E] | Callable[[Stream[D]], Stream[E]],
    stage5: StageFunction[E, F] | Callable[[Stream[E]], Stream[F]],
    sink: SinkFunction[F, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(
    source: SourceLike[A],
    stage1: StageFunction[A, B] | Callable[[Stream[A]], Stream[B]],
    stage2: StageFunction[B, C] | Callable[[Stream[B]], Stream[C]],
    stage3: StageFunction[C, D] | Callable[[Stream[C]], Stream[D]],
    stage4: StageFunction[D, E] | Callable[[Stream[D]], Stream[E]],
    stage5: StageFunction[E, F] | Callable[[Stream[E]], Stream[F]],
    stage6: StageFunction[F, G] | Callable[[Stream[F]], Stream[G]],
    sink: SinkFunction[G, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(
    source: SourceLike[A],
    stage1: StageFunction[A, B] | Callable[[Stream[A]], Stream[B]],
    stage2: StageFunction[B, C] | Callable[[Stream[B]], Stream[C]],
    stage3: StageFunction[C, D] | Callable[[Stream[C]], Stream[D]],
    stage4: StageFunction[D, E] | Callable[[Stream[D]], Stream[E]],
    stage5: StageFunction[E, F] | Callable[[Stream[E]], Stream[F]],
    stage6: StageFunction[F, G] | Callable[[Stream[F]], Stream[G]],
    stage7: StageFunction[G, H] | Callable[[Stream[G]], Stream[H]],
    sink: SinkFunction[H, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(
    source: SourceLike[A],
    stage1: StageFunction[A, B] | Callable[[Stream[A]], Stream[B]],
    stage2: StageFunction[B, C] | Callable[[Stream[B]], Stream[C]],
    stage3: StageFunction[C, D] | Callable[[Stream[C]], Stream[D]],
    stage4: StageFunction[D, E] | Callable[[Stream[D]], Stream[E]],
    stage5: StageFunction[E, F] | Callable[[Stream[E]], Stream[F]],
    stage6: StageFunction[F, G] | Callable[[Stream[F]], Stream[G]],
    stage7: StageFunction[G, H] | Callable[[Stream[G]], Stream[H]],
    stage8: StageFunction[H, I] | Callable[[Stream[H]], Stream[I]],
    sink: SinkFunction[I, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...

@overload
def pipeline(source: SourceLike[Any], /, *steps: Any, name: str | None = ..., maxsize: int = ..., max_bytes: int = ..., grace: float = ...) -> Coroutine[Any, Any, Any]: ...


def pipeline(
    source: SourceLike[Any],
    *steps: Any,
    name: str | None = None,
    maxsize: int = 1024,
    max_bytes: int = 1 << 20,
    grace: float = 10.0,
) -> Coroutine[Any, Any, Any]:
    """Run `source` through the stages into the sink; return the sink's value. `await` it.

    Example:
        total = await sf.pipeline(
            objects.read("s3://bucket/orders.csv"),
            csv.parse(),
            add_timestamp,
            csv.format(),
            gzip.compress(),
            objects.write("s3://bucket/orders.csv.gz"),
        )

    Args and errors are those of `Pipeline`; what is wrong with the arguments is raised by the call itself, before the
    `await`. It returns only when the last byte is flushed, the sink has committed and everything is closed; it raises if
    anything was lost. Cancellation: see `Pipeline.run`.
    """
    job: Pipeline[Any] = Pipeline(source, *steps, name=name, maxsize=maxsize, max_bytes=max_bytes, grace=grace)
    return job.run()
