"""How the call for an item is dressed: in a thread or a process, with a time limit, tried again, its failure skipped.

What lives here: `Calls`, which says how, and the layers. What must not: which item is called when (crew.py,
concurrency.py), what a policy is (policies.py).

Each layer is a coroutine around the next, put there only when it is asked for. From the inside out:

* the call itself, or the call in a thread or a process;
* the limit in seconds, for each attempt;
* the stop watch of an adaptive concurrency, so pauses between attempts do not count as slowness;
* further attempts;
* skipping, so that what is skipped failed in every attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias

from streamflow.callables import is_coroutine_function, name_of
from streamflow.errors import PipelineTimeout, UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.adaptive import Limiter
from streamflow.machinery.crews.skipping import SKIPPED, Skipping
from streamflow.machinery.crews.workers import Threads
from streamflow.machinery.policies import ErrorPolicy, Retry

if TYPE_CHECKING:
    from streamflow.machinery.crews.processes import Processes

__all__ = ["Call", "Calls"]

Call: TypeAlias = Callable[[Any, int], Awaitable[Any]]
"""Gets an item and its number (from 1)."""


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Calls:
    """How calls are made, for any number of runs. Raises `UsageError` for what cannot mean anything."""

    fn: Callable[[Any], Any]
    threads: int | None = None
    processes: int | None = None
    timeout: float | None = None
    retry: Retry | None = None
    errors: ErrorPolicy | None = None
    pickled: bytes = field(default=b"", init=False)

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.workers is not None:
            self._check_workers(*self.workers)
        if self.timeout is not None:
            check_capacity("timeout", self.timeout, whole=False)
        if self.retry is not None:
            _check_retry(self.retry)
        if self.errors is not None and not isinstance(self.errors, ErrorPolicy):
            raise UsageError(
                f"errors must be an ErrorPolicy, not {self.errors!r:.60}. Write errors=sf.skip_errors(ValueError)."
            )

    def _check_workers(self, word: str, workers: int) -> None:
        if self.threads is not None and self.processes is not None:
            raise UsageError("threads= and processes= exclude each other: a call runs in one or the other.")
        check_capacity(word, workers)
        if is_coroutine_function(self.fn):
            raise UsageError(
                f"{name_of(self.fn)!r} is a coroutine function, which belongs on the event loop: write "
                f"concurrency={workers} instead of {word}={workers}."
            )
        if self.timeout is not None:
            raise UsageError(
                f"timeout= cannot stop a call in {word}; give the limit to what the function calls, or make it a "
                f"coroutine function."
            )
        if self.processes is not None:
            from streamflow.machinery.crews.processes import pickled  # noqa: PLC0415  # for those who want them

            self.pickled = pickled(self.fn, workers)

    @property
    def workers(self) -> tuple[str, int] | None:
        """Where calls run if not on the event loop, and in how many of them."""
        if self.threads is not None:
            return "threads", self.threads
        return None if self.processes is None else ("processes", self.processes)

    @property
    def undressed(self) -> bool:
        """Whether there is nothing but the function."""
        return self.workers is None and self.timeout is None and self.retry is None and self.errors is None

    @property
    def skips_only(self) -> ErrorPolicy | None:
        """What skips failures, if there is nothing else beside the function."""
        return self.errors if self.workers is None and self.timeout is None and self.retry is None else None

    @asynccontextmanager
    async def opened(
        self, stage: str, at_once: int, limiter: Limiter | None = None
    ) -> AsyncGenerator[tuple[Call, Skipping | None], None]:
        """Give the dressed call for one run, and what counts its skipped failures; at the end its workers are gone.

        Args:
            stage: the name of the stage, for threads and messages.
            at_once: how many calls may be on their way.
            limiter: what watches them.
        """
        skipping = None if self.errors is None else Skipping(self.errors, stage)
        if self.threads is not None:
            threads = Threads(stage, self.threads)
            try:
                yield self._dressed(_in_thread(self.fn, threads), limiter, skipping), skipping
            finally:
                threads.close()
        elif self.processes is not None:
            from streamflow.machinery.crews.processes import Processes  # noqa: PLC0415  # it is there by now

            processes = Processes(stage, self.processes, at_once, self.pickled)
            try:
                yield self._dressed(_in_process(processes), limiter, skipping), skipping
            finally:
                await processes.close()
        else:
            yield self._dressed(_here(self.fn, timed=self.timeout is not None), limiter, skipping), skipping

    def _dressed(self, call: Call, limiter: Limiter | None, skipping: Skipping | None) -> Call:
        if self.timeout is not None:
            call = _timed(call, self.timeout)
        if limiter is not None:
            call = _watched(call, limiter)
        if self.retry is not None:
            call = _retried(call, self.retry, limiter)
        return call if skipping is None else _skipped(call, skipping)


def _check_retry(retry: object) -> None:
    """Refuse what is no `Retry`, or one that is meant for sources."""
    if not isinstance(retry, Retry):
        raise UsageError(f"retry must be a Retry, not {retry!r:.60}. Write retry=sf.Retry(attempts=3).")
    if retry.reset_after is not None:
        raise UsageError("Retry(reset_after) has no effect on single calls; it is for sources.")


def _here(fn: Callable[[Any], Any], *, timed: bool) -> Call:
    async def call(item: Any, _number: int) -> Any:
        result = fn(item)
        if isawaitable(result):
            return await result
        if timed:
            raise UsageError(
                f"timeout= has no effect on {name_of(fn)!r}, which is synchronous: nothing else runs until it returns. "
                f"Make it a coroutine function, or give the limit to what it calls."
            )
        return result

    return call


def _in_thread(fn: Callable[[Any], Any], threads: Threads) -> Call:
    async def call(item: Any, _number: int) -> Any:
        result = await threads.call(fn, item)
        if not isawaitable(result):
            return result
        close = getattr(result, "close", None)
        if close is not None:
            close()
        raise UsageError(
            f"{name_of(fn)!r} returned an awaitable in a thread, which belongs on the event loop: write concurrency= "
            f"instead of threads=."
        )

    return call


def _in_process(processes: Processes) -> Call:
    async def call(item: Any, _number: int) -> Any:
        return await processes.call(item)

    return call


def _timed(call: Call, seconds: float) -> Call:
    async def timed(item: Any, number: int) -> Any:
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await call(item, number)
        except TimeoutError as error:
            if not limit.expired():
                raise  # the call's own
            raise PipelineTimeout(f"the call for item {number} took longer than {seconds:g} s") from error

    return timed


def _watched(call: Call, limiter: Limiter) -> Call:
    async def watched(item: Any, number: int) -> Any:
        now = asyncio.get_running_loop().time
        age, since, seconds = limiter.began(), now(), None
        try:
            result = await call(item, number)
            seconds = now() - since
            return result
        finally:
            limiter.ended(age, seconds)

    return watched


def _retried(call: Call, retry: Retry, limiter: Limiter | None) -> Call:
    async def retried(item: Any, number: int) -> Any:
        delays = retry.delays()
        attempts = 0
        while True:
            attempts += 1
            age = 0 if limiter is None else limiter.age
            try:
                return await call(item, number)
            except Exception as error:
                delay = next(delays, None) if retry.applies(error) else None
                if delay is None:
                    retry.note(error, attempts)
                    raise
            if limiter is not None:
                limiter.struggled(age)
            await asyncio.sleep(delay)

    return retried


def _skipped(call: Call, skipping: Skipping) -> Call:
    async def skipped(item: Any, number: int) -> Any:
        try:
            result = await call(item, number)
        except Exception as error:
            if not await skipping.failed(error, item, number):
                raise
            return SKIPPED
        skipping.succeeded()
        return result

    return skipped
