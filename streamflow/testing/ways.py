"""The ways to be cancelled, each as a small coroutine around the scenario.

What lives here: how each kind asks for the cancellation, and what must come out at the top of it.
What must not: counting steps, judging, loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

import anyio

__all__ = ["KINDS", "WAYS", "Kind", "Way"]

Kind: TypeAlias = Literal["task", "twice", "timeout", "anyio_scope", "anyio_group", "taskgroup_sibling"]
"""A way to be cancelled."""

_SECOND = 3  # steps from the first cancel to the second: it lands in the cleanup


class Observed(Protocol):
    """What a way needs of a run."""

    async def observe(self) -> None:
        """Run the scenario in the current task; raise what it raises."""

    def arm(self, cancel: Callable[[], object]) -> None:
        """Call `cancel` at the moment of this run, counted from now."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to be cancelled.

    Args:
        around: the coroutine function that runs the scenario inside what will cancel it.
        leaves: the exception that must come out at the top when the scenario was cancelled.
        native: after how many steps more `cancel()` is called on the task itself.
        may_finish: whether a scenario that was cancelled may still return: a level-triggered cancellation that arrives
            when nothing is awaited any more has nothing to cancel.
    """

    around: Callable[[Observed], Coroutine[Any, Any, None]]
    leaves: type[BaseException] | None
    native: tuple[int, ...] = ()
    may_finish: bool = False


class SiblingFailed(Exception):  # the name says what happened
    """The sibling's failure that cancels the scenario."""


async def _alone(run: Observed) -> None:
    await run.observe()


async def _in_timeout(run: Observed) -> None:
    async with asyncio.timeout(None) as limit:
        run.arm(lambda: limit.reschedule(asyncio.get_running_loop().time()))
        await run.observe()


async def _in_scope(run: Observed) -> None:
    with anyio.CancelScope() as scope:
        run.arm(scope.cancel)
        await run.observe()


async def _in_group(run: Observed) -> None:
    async with anyio.create_task_group() as group:
        run.arm(group.cancel_scope.cancel)
        group.start_soon(run.observe)


async def _beside_sibling(run: Observed) -> None:
    fails = asyncio.Event()

    async def sibling() -> None:
        await fails.wait()
        raise SiblingFailed

    async with asyncio.TaskGroup() as group:
        other = group.create_task(sibling())
        run.arm(fails.set)
        group.create_task(run.observe(), name="scenario").add_done_callback(lambda _: other.cancel())


WAYS: dict[Kind, Way] = {
    "task": Way(_alone, asyncio.CancelledError, native=(0,)),
    "twice": Way(_alone, asyncio.CancelledError, native=(0, _SECOND)),
    "timeout": Way(_in_timeout, TimeoutError),
    "anyio_scope": Way(_in_scope, None, may_finish=True),
    "anyio_group": Way(_in_group, None, may_finish=True),
    "taskgroup_sibling": Way(_beside_sibling, BaseExceptionGroup),
}

KINDS: tuple[Kind, ...] = tuple(WAYS)
"""Every way to be cancelled."""
