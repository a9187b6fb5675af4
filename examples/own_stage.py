"""A source, a stage and a sink of your own, with arguments and with cleanup.

    python examples/own_stage.py

They are plain generators and coroutines. `try/finally` around a `yield` runs whenever the pipeline ends, for whatever
reason, in the stage's own task; an error leaves `pipeline()` with a note that names the stage.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterator

import streamflow as sf


@sf.source
def readings(count: int) -> Iterator[float]:
    """A source may be a plain generator."""
    for number in range(count):
        yield 20 + number % 7


@sf.stage
async def smoothed(values: AsyncIterable[float], window: int) -> AsyncIterator[float]:
    """Emit the mean of the last `window` values: a stage with an argument and with state."""
    last: list[float] = []
    try:
        async for value in values:
            last = [*last[1 - window :], value] if window > 1 else [value]
            yield sum(last) / len(last)
    finally:
        print(f"smoothed: closed, with {len(last)} values in hand")


@sf.sink
async def highest(values: AsyncIterable[float], above: float) -> float | None:
    """Return the highest value above a limit: the value of the pipeline."""
    found: float | None = None
    async for value in values:
        if value > above:
            found = value if found is None else max(found, value)
    return found


async def main() -> None:
    """Run them once to the end, and once with an early stop."""
    job: sf.Pipeline[float | None] = sf.Pipeline(readings(10_000), smoothed(4), highest(above=22.0), name="heat")
    print(job.explain())
    print("highest:", await job.run())
    print("first five:", await sf.stream(readings(10_000)).through(smoothed(4)).take(5).collect())


if __name__ == "__main__":
    sf.run(main())
