"""Follow a log through its rotation, parse its lines, and hand them on in batches: by size, or by time.

    python examples/follow_log.py                # a log that is written and rotated meanwhile
    python examples/follow_log.py /var/log/app.log

A batch leaves when it is full, or a second after its first line, so a quiet log is not kept waiting.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import streamflow as sf
from streamflow import files, text

LINES = 1000


def parsed(line: str) -> dict[str, str]:
    """Take a line apart."""
    level, _, message = line.partition(" ")
    return {"level": level, "message": message}


def entries(log: Path | str, *, ended: asyncio.Event | None = None) -> sf.Stream[Sequence[dict[str, str]]]:
    """Return batches of what is written into a log from its start on, until `ended` is set."""
    until = None if ended is None else ended.is_set
    lines = sf.stream(files.follow(log, from_="start", every=0.02, until=until)).through(text.decode())
    return lines.through(text.lines()).map(parsed).batched(100, within=1.0)


async def write_and_rotate(log: Path, ended: asyncio.Event) -> None:
    """Write lines, and rotate the log in the middle, as logrotate does."""
    for number in range(LINES):
        if number == LINES // 2:
            os.rename(log, log.with_suffix(".1"))  # as quick as the writing itself: this stands for another process
        with log.open("a", encoding="utf-8") as file:
            file.write(f"INFO request {number}\n")
        if number % 100 == 0:
            await asyncio.sleep(0.05)
    ended.set()


async def demonstrate(log: Path) -> None:
    """Follow a log while it is written."""
    ended = asyncio.Event()
    writing = asyncio.create_task(write_and_rotate(log, ended))
    seen = 0
    async with entries(log, ended=ended).open() as batches:
        async for batch in batches:
            seen += len(batch)
    await writing
    print(f"{seen} of {LINES} lines, none lost in the rotation")


async def main(log: str) -> None:
    """Print what is written into a log, for ever."""
    async with entries(log).open() as batches:
        async for batch in batches:
            print(f"{len(batch)} lines, the last: {batch[-1]}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sf.run(main(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            sf.run(demonstrate(Path(folder, "app.log")))
