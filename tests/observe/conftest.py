"""Numbers of runs in virtual time: the engine's clock shows what the test's loop shows."""

from __future__ import annotations

import asyncio
import sys

import pytest


@pytest.fixture
def loop_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything in streamflow that measures seconds read the clock of the running loop."""

    def now() -> float:
        return asyncio.get_running_loop().time() + 1.0  # a run that begins at 0 would look as if it had not begun

    for name, module in list(sys.modules.items()):
        if name.startswith("streamflow.") and hasattr(module, "perf_counter"):
            monkeypatch.setattr(module, "perf_counter", now)
