"""The variant without the counting: the same results, nothing counted."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.processes import ROOT
from benchmarks.stripping import removed, stripped

RUN = """
import asyncio
from benchmarks import uncounted
import streamflow as sf

async def main():
    flow = sf.stream(range(100)).map(lambda n: n + 1).filter(lambda n: n % 2).buffer(4).to(sf.collect())
    assert await flow.run() == list(range(1, 101, 2))
    print(sum(channel.peak for channel in flow.stats().channels))

asyncio.run(main())
"""


def test_a_run_without_counting_gives_the_same_items_and_counts_none() -> None:
    ended = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, check=True, capture_output=True, text=True)

    assert ended.stdout == "0\n"


def test_only_the_counting_goes() -> None:
    source = """
def take(self, n):
    try:
        if n > self._peak:
            self._peak = n
        self._waited_for_items += self.budget.renew(n)
        self._entered += n
        return self.left - n
    finally:
        self._in_batch = False
"""
    code, lines = stripped(source, "source.py")

    assert lines == [5, 6, 7, 10]
    assert {"renew", "left"} <= set(code.co_consts[0].co_names)
    assert not {"_peak", "_entered", "_in_batch", "_waited_for_items"} & set(code.co_consts[0].co_names)


def test_what_is_removed_is_named_line_by_line() -> None:
    assert any(line.startswith("channel/hand.py:") and "self._peak = " in line for line in removed())
    assert any("_tallies[edge] =" in line for line in removed())
