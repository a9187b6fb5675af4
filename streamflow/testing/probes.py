"""Small helpers to test a stage with: a source that watches itself, a sink that waits, counted calls, noted events.

What lives here: things a test puts beside the stage it tests. They work on every event loop.
What must not: running pipelines, anything long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

from streamflow.errors import UsageError

__all__ = ["Gate", "MustCall", "SlowSink", "Trace", "TrackedSource", "must_call"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")


class TrackedSource(Generic[T]):
    """An async source that records how much was taken and how it was closed.

    Example:
        source = TrackedSource(range(10))
        await sf.pipeline(source, my_stage, sink)
        source.verify()                      # every opening was closed once, in the task that opened it
        assert source.taken == 10

    Args:
        items: what to emit; may be endless (`itertools.count()`).
        delay: seconds to wait before each item; 0 gives other tasks a turn, `None` never waits.
        error: raised after the last item.

    `taken` counts the items handed out, `opened` and `closed` the runs begun and ended, `tasks` has the name of the
    task in which each ended. A cancellation is recorded like any other end.
    """

    def __init__(self, items: Iterable[T], *, delay: float | None = None, error: BaseException | None = None) -> None:
        self._items = items
        self._delay = delay
        self._error = error
        self.taken = 0
        self.opened = 0
        self.closed = 0
        self.tasks: list[str] = []
        self._strangers: list[str] = []

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        """Begin one run through the items."""
        owner = asyncio.current_task()
        self.opened += 1
        try:
            for item in self._items:
                if self._delay is not None:
                    await asyncio.sleep(self._delay)
                self.taken += 1
                yield item
            if self._error is not None:
                raise self._error
        finally:
            self._close(owner)

    def _close(self, owner: asyncio.Task[Any] | None) -> None:
        task = asyncio.current_task()
        name = "no task" if task is None else task.get_name()
        self.closed += 1
        self.tasks.append(name)
        if task is not owner:
            self._strangers.append(name)

    def verify(self) -> None:
        """Raise `AssertionError` unless each run that began was closed exactly once, in the task that began it."""
        if self.closed != self.opened:
            raise AssertionError(f"The source was opened {self.opened} times and closed {self.closed} times.")
        if self._strangers:
            raise AssertionError(f"The source was closed by another task than its own: {', '.join(self._strangers)}.")


class Gate:
    """A place where tasks wait until the test lets them through, some or all.

    Example:
        gate = Gate()
        ... await gate.passage() ...         # in the stage or sink
        gate.let(3)                          # in the test: three may pass
        gate.open()                          # from now on everyone
    """

    def __init__(self) -> None:
        self.waiting = 0
        self._permits = 0
        self._open = False
        self._changed = asyncio.Event()

    def open(self) -> None:
        """Let everyone through from now on."""
        self._open = True
        self._changed.set()

    def let(self, count: int) -> None:
        """Let `count` more passages through. Raises `UsageError` when `count` is not positive."""
        if count < 1:
            raise UsageError(f"let({count}) lets nobody through; give a positive number, or call open() for all.")
        self._permits += count
        self._changed.set()

    async def passage(self) -> None:
        """Wait for permission to pass. Cancelling the wait uses up no permission."""
        self.waiting += 1
        try:
            while not self._open and not self._permits:
                self._changed.clear()
                await self._changed.wait()
        finally:
            self.waiting -= 1
        self._permits = max(0, self._permits - 1)


class SlowSink(Generic[T]):
    """A sink that takes an item only when its gate lets it; its value is the list of the items it took.

    Example:
        sink = SlowSink()
        run = asyncio.create_task(sf.pipeline(source, stage, sink))
        sink.gate.let(1)
    """

    def __init__(self, gate: Gate | None = None) -> None:
        self.gate = gate or Gate()
        self.items: list[T] = []

    async def __call__(self, items: AsyncIterable[T]) -> list[T]:
        """Take what the gate lets through. Cancellation leaves `items` as far as it came."""
        await self.gate.passage()
        async for item in items:
            self.items.append(item)
            await self.gate.passage()
        return self.items


class MustCall(Generic[P, R]):
    """A callable that counts its calls, and at the end of its `with` block raises unless they were as many as said."""

    def __init__(self, function: Callable[P, R], times: int) -> None:
        self._function = function
        self._times = times
        self.calls = 0

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Count, and call the function (for a coroutine function: return its coroutine)."""
        self.calls += 1
        return self._function(*args, **kwargs)

    def __enter__(self) -> Self:
        """Start: the calls are counted from the beginning of the object's life."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Raise `AssertionError` when the count is wrong and the body did not fail already."""
        if error is None and self.calls != self._times:
            name = getattr(self._function, "__qualname__", repr(self._function))
            raise AssertionError(f"{name} must be called {self._times} times and was called {self.calls} times.")


def must_call(function: Callable[P, R], times: int = 1) -> MustCall[P, R]:
    """Return a callable that must be called exactly `times` times before its `with` block ends.

    Example: `with must_call(on_close) as closing: await run(closing)`. `times=0` says never.
    """
    return MustCall(function, times)


class Trace:
    """What happened, in order: call it with a word where something happens, compare `events` at the end.

    Example: `trace("opened"); ...; assert trace.events == ["opened", "closed"]`.
    `times` has the loop's clock for each event, in seconds; virtual on a `StepLoop`.
    """

    def __init__(self) -> None:
        self.events: list[str] = []
        self.times: list[float] = []

    def __call__(self, event: str) -> None:
        """Note the event. Call it on a running loop."""
        self.times.append(asyncio.get_running_loop().time())
        self.events.append(event)

    def in_order(self, *events: str) -> bool:
        """Return whether these events happened in this order, whatever happened between them."""
        rest = iter(self.events)
        return all(event in rest for event in events)
