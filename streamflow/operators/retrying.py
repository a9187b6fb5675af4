"""Running what stands above again when it fails: retry.

What lives here: the operator, and how failures in a row are counted. What must not: where a run goes on (resuming.py),
the policy as a value (policies.py), trying single calls again (`retry=` of `map`).

How long a run was good is counted until it failed, not until the consumer got to see that: else a slow consumer would
make every run a good one. When the failure is found behind items, it happened after the last look that found the run
going on; so that is what counts.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable

from streamflow.engine.nested import told_to_end
from streamflow.engine.reader import Reader
from streamflow.errors import UsageError
from streamflow.machinery.attempts import HOLDS, attempt, shortened
from streamflow.machinery.policies import Backoff, Retry
from streamflow.machinery.stage_shapes import Passing
from streamflow.machinery.variables import A
from streamflow.operators.resuming import Place, Resume
from streamflow.resolving import parts_of

__all__ = ["BACKOFF", "retry"]

BACKOFF = Backoff()
"""The pauses where nobody says otherwise."""

_TOLD = 3  # earlier errors in the notes

_log = logging.getLogger("streamflow")


def retry(
    attempts: int = 3,
    *,
    on: type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool] = (OSError, TimeoutError),
    backoff: Backoff = BACKOFF,
    reset_after: float | None = 60.0,
    resume: Resume | None = None,
) -> Passing[object]:
    """Run everything above again, after a pause, when it fails with an error that is worth it.

    Example:
        failures = [ConnectionError("reset by peer")]

        def rows():
            yield "1,10"
            if failures:
                raise failures.pop()
            yield "2,20"

        await sf.stream(rows).retry(3, resume="after").collect()  # gives ["1,10", "2,20"]

    * emits when: an item comes that is to be emitted.
    * backpressures when: the stage below does; up to 64 items are read ahead of it.
    * completes when: a run ends cleanly.
    * on error: the failed run is closed, then comes the pause, then the next run. The error of the last attempt, or one
      that is not worth another, is raised as it is, with notes on the attempts before it.
    * on early stop: the run is closed; in a pause there is none.

    Where the next run goes on has to be said, since a wrong guess would lose or repeat items silently. Only a source
    made by `sf.resumable`, directly above, says so itself: it is opened after the last item emitted. The stages above
    start anew with each run. A generator object cannot be run again: pass the function.

    Each further attempt is logged as a warning of the logger `streamflow`.

    Args:
        attempts: how many runs in a row there may be, the first one included.
        on: which errors are worth another run: a type of exception, several in a tuple, or a (sync) function of the
            error. A `UsageError` never is.
        backoff: the pauses in seconds.
        reset_after: after a good run the attempts and the pauses are counted from the start again: one that went on for
            this many seconds after the first new item it gave. `None` never does that.
        resume: `"after"` skips as many items as were emitted: each comes once, if the source gives the same items again
            in the same order (a file, a list, a query with an order). `"start"` emits what comes, from the start: for
            live sources; items may come twice.

    Raises `UsageError` for arguments that cannot mean anything, and when the run begins if nobody says where to resume;
    `StageError` if a run after which items were to be skipped ends before them. Cancellation: the run is closed; a
    pause ends at once.
    """
    policy = Retry(attempts, on, backoff=backoff, reset_after=reset_after)
    if resume not in (None, "start", "after"):
        raise UsageError(f"retry(resume) must be 'start' or 'after', not {resume!r}.")
    name = f"retry({attempts})" if resume is None else f"retry({attempts}, resume={resume!r})"

    async def retried(items: AsyncIterable[A]) -> AsyncGenerator[A, None]:
        place, row, whole = Place.of(items, resume), _Row(name, policy), parts_of(items)[0].whole

        def may_go_on(error: Exception) -> bool:
            # What a run that is to end has failed with would be lost: nobody reads again what it lost.
            return (whole or not told_to_end()) and row.may_go_on(error)

        while True:
            async with attempt(place.next_run(), may_go_on) as reader:
                async for batch in reader.batches():
                    for item in row.begins(place.new_of(batch)):
                        yield item
                    row.asks_for_more(reader)
            if reader.raised is None:
                place.check_end()
                return
            await asyncio.sleep(row.pause)

    return Passing(retried, name=name, holds_items=HOLDS, reopens=True)


class _Row:
    """The failed runs in a row."""

    def __init__(self, name: str, policy: Retry) -> None:
        self.pause = 0.0
        self._name = name
        self._policy = policy
        self._loop = asyncio.get_running_loop()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._began = self._loop.time()
        self._failed = 0
        self._delays = self._policy.delays()
        self._earlier: deque[str] = deque(maxlen=_TOLD)
        self._last: Exception | None = None
        self._begin_run()

    def _begin_run(self) -> None:
        self._good_since = math.inf
        self._seen_going_on = 0.0
        self._goes_on = True

    def begins(self, new: Iterable[A]) -> Iterable[A]:
        """Note when a run gives new items for the first time."""
        if new and self._good_since == math.inf:
            self._good_since = self._loop.time()
        return new

    def asks_for_more(self, reader: Reader[A]) -> None:
        """Note whether the run still goes on."""
        self._goes_on = not reader.channel.closing
        if self._goes_on:
            self._seen_going_on = self._loop.time()

    def may_go_on(self, error: Exception) -> bool:
        """Whether there is another run after this failure, and `pause` seconds; if not, the error is told the rest."""
        if self._was_good():
            self._begin_anew()
        self._begin_run()
        self._failed += 1
        pause = next(self._delays, None) if self._policy.applies(error) else None
        if pause is None:
            self._tell(error)
            return False
        self.pause = pause
        self._note(error)
        return True

    def _was_good(self) -> bool:
        until = self._loop.time() if self._goes_on else self._seen_going_on
        reset_after = self._policy.reset_after
        return reset_after is not None and until - self._good_since >= reset_after

    def _note(self, error: Exception) -> None:
        text = shortened(error)
        self._earlier.append(f"attempt {self._failed} failed with {text}")
        self._last = error.with_traceback(None)  # which would keep the variables of every frame alive
        _log.warning("%s: attempt %d failed with %s; the next in %.3g s", self._name, self._failed, text, self.pause)

    def _tell(self, error: Exception) -> None:
        """Say on the error that it was not the first."""
        if self._failed == 1:
            return
        seconds = round(self._loop.time() - self._began, 1)
        error.add_note(f"{self._name}: after {self._failed} attempts over {seconds:g} s")
        for text in self._earlier:
            error.add_note(text)
        if isinstance(error, UsageError) and error is not self._last:
            error.__cause__ = self._last  # it says that there is no other run; why one was wanted is the cause
