"""The jobs with SPDL: a `PipelineBuilder`, whose stages run in an event loop of a background thread.

As in https://facebookresearch.github.io/spdl/main/getting_started/intro.html: functions are run in `num_threads`
threads, coroutine functions in the loop; each stage has a queue; a stage that returns None drops the item. It is made
for loading data, with few and large items; here it shows what a hop to a thread costs.
"""

from __future__ import annotations

from spdl.pipeline import PipelineBuilder

from benchmarks.rivals import add_one, call, times_two

__all__ = ["calls", "hops"]


def _even_or_none(n: int) -> int | None:
    return n if n % 2 == 0 else None


def hops(n: int) -> int:
    """Through three functions, with a thread for each."""
    builder = PipelineBuilder().add_source(range(n)).pipe(add_one).pipe(_even_or_none).pipe(times_two)
    return _count(builder, threads=3)


def calls(n: int, at_once: int) -> int:
    """N calls of a coroutine function, in order, so many at once."""
    return _count(PipelineBuilder().add_source(range(n)).pipe(call, concurrency=at_once, output_order="input"), 1)


def _count(builder: PipelineBuilder, threads: int) -> int:
    total = 0
    pipeline = builder.add_sink().build(num_threads=threads)
    with pipeline.auto_stop():
        for _ in pipeline:
            total += 1
    return total
