"""Branches: runs of their own that a fan feeds, several of them as one: all begin, end and fail together.

What lives here: `Branch`, one run, and `Branches`, what becomes of several. What must not: which item goes where
(fan.py and the operators).

How it works
------------
*A branch is a run* like any other, with its own tasks, errors and closing. Its source emits nothing: it stands there
until it is told the end. The items come from outside, straight into the run's first channel. So at most `maxsize` items
wait for a branch, and no task moves them a second time.

*Ends.* A clean end is passed on when every branch has taken all its items, and to one branch after the other, in order,
each when the one before has committed. So when one fails in its last step, those after it have not committed. An error
of the input goes to all at once, after the items before it (E14, E15). When a branch itself fails, the others are
cancelled: none of them sees a clean end (P6).

*Nobody waits in vain.* When a branch fails, or the last one has ended, the input is left on the spot, even while it is
being waited for: its channel is abandoned, which looks like an end to whoever deals the items out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Never, TypeAlias

from streamflow.channel import Channel
from streamflow.engine.conductor import Run
from streamflow.engine.nested import Numbers
from streamflow.engine.reader import Reader
from streamflow.engine.shielding import until_done
from streamflow.errors import UsageError
from streamflow.machinery.fans.fan import Outlet, OutletStats, Overflow
from streamflow.resolving import resolve_sink, resolve_stage
from streamflow.stages import GRACE, MAX_BYTES, Plan, Sink, Source, Stage

__all__ = ["Branch", "Branches", "Parts", "Pull"]

Pull: TypeAlias = Callable[[Channel[Any]], Awaitable[None]]
"""Fills a branch's channel until there is nothing more; for branches that fetch their items themselves."""


class Parts:
    """The stages and the sink of a branch, as a user gave them: a sink, or a list of stages that ends in one."""

    def __init__(self, operator: str, thing: object) -> None:
        """Check them. Raises `UsageError` for what cannot be a branch."""
        things = thing if isinstance(thing, (list, tuple)) else [thing]
        if not things:
            raise UsageError(f"{operator}: an empty branch. A branch is a sink, or a list [*stages, sink].")
        self.stages = tuple(resolve_stage(stage) for stage in things[:-1])
        self.sink: Sink[Any, Any] = resolve_sink(things[-1])
        self.name = " > ".join([*(stage.name for stage in self.stages), self.sink.name])
        for stage in self.stages:
            if stage.reopens:
                raise UsageError(
                    f"{operator}: {stage.name!r} may need its source again, and a branch cannot give its items twice. "
                    f"Put it before {operator}, or around the whole pipeline."
                )


class Branch(Run):
    """A run whose items come from outside, into `outlet`."""

    def __init__(
        self,
        name: str,
        stages: tuple[Stage[Any, Any], ...],
        sink: Sink[Any, Any],
        *,
        maxsize: int,
        overflow: Overflow = "block",
        pull: Pull | None = None,
    ) -> None:
        """Wire it; nothing runs yet. With `pull` it fetches its items itself."""
        loop = asyncio.get_running_loop()
        self.fed: asyncio.Future[None] = loop.create_future()
        """Done when there is nothing more to pull."""
        self._end: asyncio.Future[None] = loop.create_future()
        self._pull = pull
        source: Source[Any] = Source(self._nothing_until_the_end, name="input")
        super().__init__(Plan(source, stages, sink, name, maxsize, MAX_BYTES, GRACE))
        self.attend()  # whatever fails in it is raised by `Branches`
        inlet = self.channels[0]
        inlet.name = name
        inlet.low_water(1)  # branches may depend on each other: who has room gets the next item at once
        self.outlet: Outlet[Any] = Outlet(inlet, overflow)

    async def _nothing_until_the_end(self) -> AsyncGenerator[Any, None]:
        if self._pull is not None:
            await self._pull(self.outlet.channel)
        self.fed.set_result(None)
        await self._end
        for _ in ():
            yield

    def end(self) -> None:
        """Pass on that the input has ended cleanly. Harmless when the branch has ended."""
        if not self._end.done():
            self._end.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Pass on that the input has failed, after the items that wait."""
        self.outlet.channel.fail(error)
        self.end()

    def account(self) -> Numbers:
        """Return what it comes to as a part of another run, what its outlet dropped included."""
        return self.outlet.corrected(super().account())

    @property
    def ending(self) -> bool:
        """Whether a part of it has ended, so that it will soon be over, and tell whether it failed."""
        return any(segment.ended_at for segment in self.segments)

    @property
    def value(self) -> Any:
        """What its sink returned."""
        return self.segments[-1].value


class Branches:
    """Several branches as one.

    Example:
        branches = Branches("broadcast", [...], reader)
        await branches.serve(lambda: fan.deal(reader))      # begins them, and returns when all have ended
    """

    def __init__(self, name: str, branches: Sequence[Branch], reader: Reader[Any]) -> None:
        """Take the branches, which have not started, and their common input."""
        self.name = name
        self.branches = branches
        self.failed = False
        self._reader = reader
        self._errors: list[BaseException] = []
        for branch in branches:
            branch.outlet.fail = self.fail
            branch.over.add_done_callback(partial(self._one_over, branch))

    def start(self) -> None:
        """Start every branch."""
        for branch in self.branches:
            branch.start()

    def _one_over(self, branch: Branch, _over: asyncio.Future[None]) -> None:
        if not self.failed and any(cause is not self._reader.raised for cause in branch.outcome.causes()):
            self.abort()
        if self.failed or all(branch.over.done() for branch in self.branches):
            self.leave()

    def leave(self) -> None:
        """One has failed, or all have ended: leave the input, even while it is being waited for."""
        self._reader.channel.abandon()

    def fail(self, error: BaseException) -> None:
        """Fail as a whole, if it has not yet: every branch is aborted, the input left, `error` raised in the end."""
        if self.failed:
            return
        self._errors.append(error)
        self.abort()
        self.leave()

    def abort(self) -> None:
        """Cancel every branch that has not ended: none commits any more."""
        self.failed = True
        for branch in self.branches:
            branch.cancel()

    def pass_on(self, error: BaseException) -> None:
        """Give every branch the error of the input, after the items before it."""
        for branch in self.branches:
            branch.fail(error)

    async def serve(self, deal: Callable[[], Awaitable[None]]) -> None:
        """Begin the branches, deal the items out to them, pass the end on, and wait until all is closed.

        Raises what failed: one error bare, several as a group. Cancellation: every branch is cancelled and closed.
        """
        self.start()
        try:
            try:
                await deal()
            except Exception as error:
                if error is not self._reader.raised:
                    raise
                self.pass_on(error)
            await self.end()
        except BaseException as error:
            await self.end_after(error)
            raise
        self.raise_errors()

    async def all_fed(self) -> None:
        """Wait until every branch that fetches its items itself has nothing more to fetch, or has ended."""
        for branch in self.branches:
            await asyncio.wait((branch.fed, branch.over), return_when=asyncio.FIRST_COMPLETED)

    async def end(self) -> None:
        """Pass the clean end on to one branch after the other; return when all have ended, whatever of."""
        for branch in self.branches:
            await branch.outlet.drained()
        for branch in self.branches:
            for other in self.branches:
                if other.ending:
                    await _wait(other.over)
            if not self.failed:
                branch.end()
            await _wait(branch.over)

    async def end_after(self, error: BaseException) -> None:
        """Abort every branch because of `error`, which is about to be raised; return when all is closed.

        What else failed is raised in a group with `error`, or told on it where it is a cancellation.
        """
        self.abort()
        cancelled: asyncio.CancelledError | None = None
        for branch in self.branches:
            cancelled = await until_done(branch.over) or cancelled
        try:
            if isinstance(error, asyncio.CancelledError):
                for branch in self.branches:
                    branch.outcome.note_on(error)
                return
            if cancelled is not None:
                raise cancelled from error
            self._errors += [] if isinstance(error, GeneratorExit) else [error]
            self.raise_errors()
        finally:
            del cancelled, error

    def raise_errors(self) -> None:
        """Raise what failed in all of them: one error bare, several as a group; return if there is none."""
        self._raise([*self._errors, *self._causes()])

    def raise_own(self) -> None:
        """Raise what failed in the branches themselves, as `raise_errors` does."""
        self._raise([error for error in [*self._errors, *self._causes()] if error is not self._reader.raised])

    def raise_input_error(self) -> None:
        """Raise the error of the input again, if it had one."""
        self._raise([] if self._reader.raised is None else [self._reader.raised])

    def _causes(self) -> list[BaseException]:
        return [cause for branch in self.branches for cause in branch.outcome.causes()]

    def _raise(self, found: list[BaseException]) -> None:
        errors = list({id(error): error for error in found}.values())
        found.clear()
        try:
            if len(errors) == 1:
                raise errors[0]
            if errors:
                _raise_group(f"{self.name}: {len(errors)} branches failed independently", errors)
        finally:
            errors.clear()  # the traceback holds this frame: do not let the frame hold the errors

    def stats(self) -> tuple[OutletStats, ...]:
        """Return a snapshot for each branch."""
        return tuple(branch.outlet.stats() for branch in self.branches)


async def _wait(future: asyncio.Future[None]) -> None:
    if not future.done():
        await asyncio.wait([future])


def _raise_group(message: str, errors: list[BaseException]) -> Never:
    exceptions = [error for error in errors if isinstance(error, Exception)]
    if len(exceptions) == len(errors):
        raise ExceptionGroup(message, exceptions)
    raise BaseExceptionGroup(message, errors)
