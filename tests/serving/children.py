"""Python processes that say words, a line each, and are sent signals when they have said some."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Child:
    """A process; `said` is what it has written on standard output so far."""

    def __init__(self, command: list[str], **options: object) -> None:
        env = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=env, **pipes, **options)
        self.said: list[str] = []

    def until(self, word: str) -> Child:
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.strip() == word:
                return self
        raise AssertionError(f"it ended without saying {word!r}: {self.said} {self.process.stderr.read()}")

    def signal(self, number: signal.Signals, *, group: bool = False) -> Child:
        if group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        return self

    def until_logged(self, words: str) -> Child:
        for line in self.process.stderr:
            if words in line:
                return self
        raise AssertionError(f"it ended without logging {words!r}")

    def ends(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what else stands on standard error."""
        self.said += self.process.stdout.read().splitlines()
        err = self.process.stderr.read()
        return self.process.wait(timeout=30), err


@contextlib.contextmanager
def child(*command: object, **options: object) -> Iterator[Child]:
    """Start a command, `python` followed by these arguments, that does not outlive the block."""
    one = Child([sys.executable, *map(str, command)], **options)
    try:
        with one.process:
            try:
                yield one
            finally:
                one.process.kill()
    finally:
        pass


def script(path: Path, *parts: str) -> Path:
    """Write a program of these parts, each indented as it likes."""
    path.write_text("\n".join(textwrap.dedent(part) for part in parts), encoding="utf-8")
    return path
