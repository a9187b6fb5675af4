"""One run of one contender in this process: `python -m benchmarks.contend MODULE:FUNCTION ITEMS EXPECTED [ARG ...]`.

What lives here: the Python side of the protocol of `processes.py`. The job is called as `job(items, *args)`; it may be
sync or async. It runs twice, first with a fifth of the items so that all is imported, compiled and allocated. The
second run is timed, and its seconds are printed as JSON: `{"wall": 0.51, "processor": 0.5}`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from inspect import iscoroutinefunction

import uvloop

__all__ = ["main", "timed"]

_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def timed(job: Callable[..., object], loop: str, items: int, expected: int, arguments: list[int]) -> dict[str, float]:
    """Warm up, run, and return the seconds; `AssertionError` if the job does not return what is expected.

    The start of the event loop is not counted.
    """

    async def run_async(n: int) -> dict[str, float]:
        start = _clocks()
        return _since(start, n, await job(n, *arguments))  # type: ignore[misc]  # it is a coroutine function here

    def run(n: int) -> dict[str, float]:
        gc.collect()
        if iscoroutinefunction(job):
            with asyncio.Runner(loop_factory=_LOOPS[loop]) as runner:
                return runner.run(run_async(n))
        start = _clocks()
        return _since(start, n, job(n, *arguments))

    def _since(start: tuple[float, float], n: int, result: object) -> dict[str, float]:
        wall, processor = (now - then for now, then in zip(_clocks(), start, strict=True))
        if n == items and result != expected:
            raise AssertionError(f"the job returned {result}, not {expected}: a run that lost items is no run")
        return {"wall": wall, "processor": processor}

    run(max(1, items // 5))
    return run(items)


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def main() -> int:
    """Run what the arguments name and print its seconds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contend", description="Run one contender once.")
    parser.add_argument("job", metavar="MODULE:FUNCTION")
    parser.add_argument("items", type=int)
    parser.add_argument("expected", type=int)
    parser.add_argument("arguments", type=int, nargs="*", metavar="ARG")
    parser.add_argument("--loop", choices=_LOOPS, default="asyncio")
    options = parser.parse_args()
    module, _, function = options.job.partition(":")
    job = getattr(import_module(module), function)
    print(json.dumps(timed(job, options.loop, options.items, options.expected, options.arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
