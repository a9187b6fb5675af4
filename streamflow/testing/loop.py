"""An event loop for tests: time is virtual, the order can be shuffled by a seed, every step is counted.

What lives here: `StepLoop` and the two errors with which it refuses to hang.
What must not: cancelling strategies, leak checks, pytest.

How it works. It is asyncio's own selector loop with another `_run_once`:

* One *step* is one callback that ran. `steps` counts them; `call_after_step` acts between two steps.
* When nothing is ready, the clock jumps to the next timer. A ten-minute timeout costs nothing.
* What happens outside the loop cannot be jumped over. While a worker thread is busy the loop really waits for it, up to
  `patience` real seconds; while sockets or pipes are open, up to `io_patience`. Only then does the clock jump.
* When nothing is ready, no timer is set and nothing comes from outside, no task can ever run again: `DeadlockError`.
* When more than `max_steps` steps run at one moment of virtual time with nothing from outside: `BusyLoopError`.
* With a seed, task steps that are ready together run in a random but repeatable order. Other callbacks keep their
  place, and no task overtakes one, because asyncio promises that order and correct programs rely on it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import random
import selectors
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

from streamflow.testing.stacks import describe_all, frames

__all__ = ["BusyLoopError", "DeadlockError", "StepLoop"]

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_STARTS_AT = datetime(2025, 1, 1, tzinfo=UTC)
_SELF_PIPE = 1  # the loop's own wake-up pipe is always registered
_ANYIO_THREAD_CALL = "run_sync_in_worker_thread"  # the coroutine that waits for one of anyio's worker threads


class DeadlockError(AssertionError):
    """Every task waits and nothing can wake any of them; the message names each task and the line where it waits."""


class BusyLoopError(AssertionError):
    """The loop ran step after step and neither time nor anything outside moved; the message names the tasks."""


class StepLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop with virtual time, counted steps and a repeatable order, for tests.

    Example:
        with asyncio.Runner(loop_factory=StepLoop) as runner:
            runner.run(main())                     # asyncio.sleep(600) takes no real time
        asyncio.Runner(loop_factory=functools.partial(StepLoop, seed=7))

    `loop.time()` starts at 0.0 seconds and moves only by jumps; `loop.wall_clock()` goes with it. `time.monotonic()`,
    `time.time()` and `datetime.now()` stay real.
    Raises `DeadlockError` or `BusyLoopError` out of `run_until_complete()`, where asyncio's loops would hang.

    Args:
        seed: order of task steps that are ready together; `None` is asyncio's own order, first come first served.
        max_steps: steps at one moment of virtual time, with nothing from outside, that count as a busy loop.
        patience: real seconds to wait for a worker thread before going on without it.
        io_patience: real seconds to wait for sockets and pipes before the clock jumps.
        starts_at: what the wall clock shows at first, with a timezone.
    """

    if TYPE_CHECKING:  # what the base class has and typeshed does not say
        _ready: deque[asyncio.Handle]
        _scheduled: list[asyncio.TimerHandle]
        _selector: selectors.BaseSelector
        _stopping: bool
        _timer_cancelled_count: int
        _clock_resolution: float

        def _process_events(self, events: list[tuple[selectors.SelectorKey, int]]) -> None: ...

    def __init__(
        self,
        *,
        seed: int | None = None,
        max_steps: int = 200_000,
        patience: float = 5.0,
        io_patience: float = 0.5,
        starts_at: datetime = _STARTS_AT,
    ) -> None:
        self.steps = 0
        self._now = 0.0
        self._random = None if seed is None else random.Random(seed)  # noqa: S311  # an order, not a secret
        self._max_steps = max_steps
        self._patience = patience
        self._io_patience = io_patience
        self._still = 0
        self._jobs: set[asyncio.Future[Any]] = set()
        self._hooks: dict[int, list[Callable[[], object]]] = {}
        self._counter = itertools.count()
        self._order: dict[int, int] = {}
        self._foreign_threads = threading.active_count()
        self.set_wall_clock(starts_at)
        super().__init__()

    def time(self) -> float:
        """Return the virtual time in seconds since the loop was made."""
        return self._now

    def wall_clock(self) -> datetime:
        """Return the virtual date and time in UTC: what a source such as `sf.cron` goes by on this loop."""
        return self._epoch + timedelta(seconds=self._now)

    def set_wall_clock(self, moment: datetime) -> None:
        """Set the virtual date and time; from here on it moves with `time()`.

        Example: `loop.set_wall_clock(datetime(2025, 3, 30, 1, 59, tzinfo=ZoneInfo("Europe/Berlin")))`. Raises
        `ValueError` for a moment without a timezone.
        """
        if moment.tzinfo is None:
            raise ValueError(f"{moment!r} has no timezone, so it is no moment. Write datetime(..., tzinfo=UTC).")
        self._epoch = moment.astimezone(UTC) - timedelta(seconds=self._now)

    def call_after_step(self, step: int, callback: Callable[[], object]) -> None:
        """Call `callback()` between two steps, as soon as `loop.steps` is `step`; outside any task.

        Example: `loop.call_after_step(loop.steps + 3, task.cancel)`. Raises `ValueError` for a step that has passed.
        """
        if step < self.steps:
            raise ValueError(f"Step {step} has passed; the loop is at step {self.steps}. Write loop.steps + {step}.")
        self._hooks.setdefault(step, []).append(callback)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Like `loop.call_at`; timers for the same moment, common in virtual time, fire in the order they were set."""
        handle = super().call_at(when, callback, *args, context=context)
        self._order[id(handle)] = next(self._counter)
        return handle

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[_Ts]], _T], *args: *_Ts
    ) -> asyncio.Future[_T]:
        """Like `loop.run_in_executor`; the clock does not jump while the job runs."""
        job = super().run_in_executor(executor, func, *args)
        self._jobs.add(job)
        return job

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109  # the base's signature
        """Wait for the executor's threads. They are outside work, so a timeout in virtual time would mean nothing."""
        going = self.create_future()
        self._jobs.add(going)
        try:
            await super().shutdown_default_executor()
        finally:
            going.cancel()

    def _run_once(self) -> None:
        self._call_hooks()
        self._poll()
        self._move_due_timers()
        for _ in range(len(self._ready)):
            handle = self._pick()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001  # this is the loop: nobody else may run it
                self._count_step()

    def _call_hooks(self) -> None:
        for callback in self._hooks.pop(self.steps, ()):
            callback()

    def _count_step(self) -> None:
        self.steps += 1
        self._still += 1
        self._call_hooks()
        if self._still > self._max_steps:
            self._still = 0  # the tasks still have to be cancelled and awaited
            raise BusyLoopError(
                f"{self._max_steps} steps ran while neither time nor anything outside the loop moved. A task spins; "
                f"it is one of these:\n{describe_all(asyncio.all_tasks(self))}"
            )

    def _poll(self) -> None:
        self._forget_cancelled_timers()
        idle = not self._ready and not self._stopping
        events = self._selector.select(self._real_wait() if idle else 0)
        self._process_events(events)
        if events:
            self._still = 0
        elif idle and not self._ready:
            self._jump()

    def _jump(self) -> None:
        if self._scheduled:
            self._now = max(self._now, self._scheduled[0].when())
            self._still = 0
            return
        raise DeadlockError(self._deadlock())

    def _deadlock(self) -> str:
        busy = f"a worker thread was busy for {self._patience} real seconds and has not answered"
        threads = busy if self._busy_threads() else "no worker thread is busy"
        tasks = describe_all(asyncio.all_tasks(self))
        return f"Nothing can happen any more: no callback is ready, no timer is set, {threads}.\n{tasks}"

    def _real_wait(self) -> float:
        """Return for how many real seconds something from outside the loop may still come."""
        if self._busy_threads():
            return self._patience
        sockets = len(self._selector.get_map()) > _SELF_PIPE
        if self._scheduled:
            return self._io_patience if sockets else 0.0
        return self._patience if sockets or threading.active_count() > self._foreign_threads else 0.0

    def _busy_threads(self) -> bool:
        self._jobs = {job for job in self._jobs if not job.done()}
        return bool(self._jobs) or (threading.active_count() > 1 and any(map(_awaits_thread, asyncio.all_tasks(self))))

    def _forget_cancelled_timers(self) -> None:
        while self._scheduled and self._scheduled[0].cancelled():
            self._timer_cancelled_count -= 1
            self._pop_timer()

    def _move_due_timers(self) -> None:
        # After some months the clock's resolution is less than what a float can tell apart.
        end = max(self._now + self._clock_resolution, math.nextafter(self._now, math.inf))
        due: list[tuple[float, int, asyncio.TimerHandle]] = []
        while self._scheduled and self._scheduled[0].when() < end:
            due.append(self._pop_timer())
        self._ready.extend(handle for _, _, handle in sorted(due))

    def _pop_timer(self) -> tuple[float, int, asyncio.TimerHandle]:
        handle = heapq.heappop(self._scheduled)
        handle._scheduled = False  # type: ignore[attr-defined]  # noqa: SLF001  # the flag asyncio's loop keeps there
        return handle.when(), self._order.pop(id(handle)), handle

    def _pick(self) -> asyncio.Handle:
        index = 0
        if self._random is not None:
            together = self._tasks_in_front()
            index = self._random.randrange(together) if together > 1 else 0
        handle = self._ready[index]
        del self._ready[index]  # not rotate(): another thread may append meanwhile
        return handle

    def _tasks_in_front(self) -> int:
        count = 0
        for handle in self._ready.copy():
            if not _is_task_step(handle):
                break
            count += 1
        return count


def _is_task_step(handle: asyncio.Handle) -> bool:
    callback = getattr(handle, "_callback", None)  # there is no public way to ask
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


def _awaits_thread(task: asyncio.Task[Any]) -> bool:
    *_, innermost = ["", *(frame.f_code.co_name for frame in frames(task))]
    return innermost == _ANYIO_THREAD_CALL
