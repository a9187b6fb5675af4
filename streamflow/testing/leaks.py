"""Prove that nothing is left behind: tasks, async generators, threads, file descriptors, and complaints nobody read.

What lives here: `LeakCheck`: when to look, in which order, and the error that lists what was found.
What must not: how each kind is watched (`watchers`), cancelling anything, pytest.

How it works. Each watcher notes what is there when the check starts, and says what is new when it ends. At the end, in
this order: pending tasks are noted at once, before they get another turn; the garbage collector runs twice, so that
what was dropped without being closed complains; a loop that is not running gets a few turns, so that closing transports
can close; then the other watchers are asked. Complaints are the calls of the loop's exception handler ("Task exception
was never retrieved"), warnings about coroutines never awaited and resources never closed, and what asyncio logs.

When checks are nested, the innermost one takes the generators and complaints, so a test can show a leak inside a check.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from streamflow.errors import UsageError
from streamflow.testing.watchers import Watcher, watchers

__all__ = ["LEAKS", "LeakCheck", "LeakError", "no_leaks"]

LEAKS = ("tasks", "generators", "threads", "files", "complaints")
"""The kinds of leaks, as `LeakCheck(ignore=...)` takes them."""

_TURNS = 4  # a closing transport needs two turns, a generator closed by the loop's hook three


class LeakError(AssertionError):
    """Something was left behind; the message lists each thing and where it comes from, `leaks` has them as strings."""

    def __init__(self, leaks: list[str]) -> None:
        super().__init__(f"{len(leaks)} left behind:\n" + "\n".join(f"- {leak}" for leak in leaks))
        self.leaks = leaks


class LeakCheck:
    """A context manager that raises `LeakError` when what runs inside leaves anything behind.

    Example:
        async def test_my_stage():
            with no_leaks():
                await sf.pipeline(source, my_stage, sink)

        with asyncio.Runner(loop_factory=StepLoop) as runner, no_leaks(runner.get_loop()):
            runner.run(main())

    Inside a running loop, that loop is watched. Around `asyncio.run()` no loop can be watched, because the runner
    cancels forgotten tasks before it returns: then only threads, files and complaints are checked.
    When the body raises, nothing is checked and the body's exception goes on.

    Args:
        loop: the loop to watch; the running one if there is one.
        ignore: kinds of leaks not to look at, out of `LEAKS`. Raises `UsageError` for another word.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, *, ignore: Iterable[str] = ()) -> None:
        self._loop = loop
        self._ignore = frozenset(ignore)
        if unknown := self._ignore - set(LEAKS):
            raise UsageError(f"ignore={sorted(unknown)} names no kind of leak. The kinds are {', '.join(LEAKS)}.")
        self._watchers: dict[str, Watcher] = {}

    def __enter__(self) -> Self:
        """Note what is there now."""
        self._loop = self._loop or asyncio._get_running_loop()  # noqa: SLF001  # the public one raises where None will do
        self._take_turns(1)
        self._watchers = {kind: one for kind, one in watchers(self._loop).items() if kind not in self._ignore}
        for watcher in self._watchers.values():
            watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raise `LeakError` for what is new, unless the body raised."""
        leaks = self._collect()
        if leaks and error is None:
            raise LeakError(leaks)

    def _collect(self) -> list[str]:
        tasks = self._watchers.pop("tasks", None)
        leaks = tasks.stop() if tasks else []
        try:
            gc.collect()
            gc.collect()
            self._take_turns(_TURNS)
        finally:
            for watcher in reversed(self._watchers.values()):
                leaks += watcher.stop()
        return leaks

    def _take_turns(self, turns: int) -> None:
        loop = self._loop
        if loop is None or loop.is_running() or loop.is_closed():
            return

        async def turn() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        loop.run_until_complete(turn())


def no_leaks(loop: asyncio.AbstractEventLoop | None = None, *, ignore: Iterable[str] = ()) -> LeakCheck:
    """Return a `LeakCheck`; it reads better in a test.

    Example: `with no_leaks(): await my_stage_under_test()`. The arguments are those of `LeakCheck`.
    """
    return LeakCheck(loop, ignore=ignore)
