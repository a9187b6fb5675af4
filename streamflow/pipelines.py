"""`pipeline()`: run a source through stages into a sink, in one call.

What lives here: the call and its types. What must not: behaviour, which is `Pipeline`'s (streams.py).

The overloads let a type checker see that each stage takes what the one before it gives. They end at eight stages; more
are accepted, unchecked.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, overload

from streamflow.stages import GRACE, MAX_BYTES, MAXSIZE
from streamflow.streams import Pipeline, SinkLike, StageLike
from streamflow.types import SourceLike

__all__ = ["pipeline"]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
F = TypeVar("F")
G = TypeVar("G")
H = TypeVar("H")
I = TypeVar("I")  # noqa: E741  # the ninth of nine
R = TypeVar("R")


@overload
def pipeline(
    source: SourceLike[A],
    sink: SinkLike[A, R],
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
    stage1: StageLike[A, B],
    sink: SinkLike[B, R],
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
    stage1: StageLike[A, B],
    stage2: StageLike[B, C],
    sink: SinkLike[C, R],
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
    stage1: StageLike[A, B],
    stage2: StageLike[B, C],
    stage3: StageLike[C, D],
    sink: SinkLike[D, R],
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
    stage1: StageLike[A, B],
    stage2: StageLike[B, C],
    stage3: StageLike[C, D],
    stage4: StageLike[D, E],
    sink: SinkLike[E, R],
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
    stage1: StageLike[A, B],
    stage2: StageLike[B, C],
    stage3: StageLike[C, D],
    stage4: StageLike[D, E],
    stage5: StageLike[E, F],
    sink: SinkLike[F, R],
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
    stage1: StageLike[A, B],
    stage2: StageLike[B, C],
    stage3: StageLike[C, D],
    stage4: StageLike[D, E],
    stage5: StageLike[E, F],
    stage6: StageLike[F, G],
    sink: SinkLike[G, R],
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
    stage1: StageLike[A, B],
    stage2: StageLike[B, C],
    stage3: StageLike[C, D],
    stage4: StageLike[D, E],
    stage5: StageLike[E, F],
    stage6: StageLike[F, G],
    stage7: StageLike[G, H],
    sink: SinkLike[H, R],
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
    stage1: StageLike[A, B],
    stage2: StageLike[B, C],
    stage3: StageLike[C, D],
    stage4: StageLike[D, E],
    stage5: StageLike[E, F],
    stage6: StageLike[F, G],
    stage7: StageLike[G, H],
    stage8: StageLike[H, I],
    sink: SinkLike[I, R],
    /,
    *,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, R]: ...


@overload
def pipeline(
    source: SourceLike[Any],
    stage1: Any,
    stage2: Any,
    stage3: Any,
    stage4: Any,
    stage5: Any,
    stage6: Any,
    stage7: Any,
    stage8: Any,
    stage9: Any,
    /,
    *stages_and_sink: Any,
    name: str | None = ...,
    maxsize: int = ...,
    max_bytes: int = ...,
    grace: float = ...,
) -> Coroutine[Any, Any, Any]: ...


def pipeline(
    source: SourceLike[Any],
    *steps: Any,
    name: str | None = None,
    maxsize: int = MAXSIZE,
    max_bytes: int = MAX_BYTES,
    grace: float = GRACE,
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

    Args:
        source: an iterable, async iterable, `Channel`, `Stream` or `Source`.
        steps: stages, then the sink as the last one.
        name: shown in errors, plans and reports.
        maxsize: capacity of each channel in items, at least 1.
        max_bytes: capacity of each channel in bytes, for items that have a size in bytes.
        grace: how many seconds stages may take to stop when they are asked to.

    Raises `UsageError` in the call itself, before the `await`, for anything that cannot be what its place says. When
    awaited it returns only when the last byte is flushed, the sink has committed and everything is closed; it raises if
    anything was lost: the first real failure bare, several independent ones as an `ExceptionGroup`.

    Cancellation: stops every stage, sink first, waits until all are closed, then goes on; see `Pipeline.run`.
    """
    job: Pipeline[Any] = Pipeline(source, *steps, name=name, maxsize=maxsize, max_bytes=max_bytes, grace=grace)
    return job.run()
