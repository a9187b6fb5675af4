"""The example app as `make app` starts it, in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPLAINTS = re.compile(r"Exception in ASGI|ResourceWarning|never |exceeded")


class App:
    """A running app: its `address`, with a slash at its end, and the key that ends it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._pressed = False
        self.address = self._started()

    def _started(self) -> str:
        said = ""
        for line in self._process.stdout or ():
            said += line
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                return found[0]
        raise AssertionError(f"The app did not start:\n{said}")

    def press_ctrl_c(self) -> None:
        """Press it once, however often this is called: twice means at once."""
        if not self._pressed:
            self._pressed = True
            self._process.send_signal(signal.SIGINT)

    def check_end(self) -> None:
        said, _ = self._process.communicate(timeout=20)
        assert self._process.returncode == 0, said
        assert not COMPLAINTS.search(said), said


@contextmanager
def running() -> Iterator[App]:
    """Serve the app until the end of the block, or until Ctrl-C; it must end well, and without complaints."""
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    command = [
        sys.executable,
        "-W",
        "default::ResourceWarning",
        "-m",
        "examples.fastapi_app",
        "--port",
        "0",
        "--no-browser",
    ]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            app = App(process)
            yield app
            app.press_ctrl_c()
            app.check_end()
        finally:
            process.kill()


@pytest.fixture
def app() -> Iterator[App]:
    """An app of the test's own, which it may end."""
    with running() as app:
        yield app


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Where the app is that all tests of a module share."""
    with running() as app:
        yield app.address
