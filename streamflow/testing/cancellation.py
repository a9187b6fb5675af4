"""Systematic cancellation: run a scenario again and again, each time cancelled one step later, in every way there is.

What lives here: `cancel_everywhere` and the rules that hold after every run.
What must not: the loop itself, the kinds of cancellation (`ways`), pytest.

How it works. For each kind the scenario first runs undisturbed on a `StepLoop`, which counts its steps. Then it runs
once for every step `k`, with fresh state, and is cancelled between step `k` and the next. After each run:

* a run that was cancelled natively must end in the cancellation, not return as if nothing had happened (H2, X7);
* the cancellation must reach whoever asked for it, and leave `task.cancelling()` as it was (H13, H15);
* an error must be one of the expected `errors`;
* nothing may be left behind (`LeakCheck`);
* the scenario's own `check(state, outcome)` must hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from streamflow.errors import UsageError
from streamflow.testing.leaks import LeakCheck
from streamflow.testing.loop import StepLoop
from streamflow.testing.stacks import describe
from streamflow.testing.ways import KINDS, WAYS, Kind

__all__ = ["KINDS", "CancellationFailure", "Kind", "Outcome", "cancel_everywhere"]

Ending: TypeAlias = Literal["returned", "cancelled", "failed"]
Check: TypeAlias = Callable[[Any, "Outcome"], Awaitable[object] | object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run of a scenario ended.

    Args:
        kind: how it was cancelled.
        step: after which step; `None` for the undisturbed run.
        ended: "returned", "cancelled" or "failed".
        value: what the scenario returned.
        error: the exception with which it failed.
    """

    kind: Kind
    step: int | None
    ended: Ending
    value: Any = None
    error: BaseException | None = None


class CancellationFailure(AssertionError):
    """A run broke a rule; the message says which, in which run, and how to replay that run alone.

    `kind` and `step` name the run; `__cause__` is what went wrong in it.
    """

    def __init__(self, kind: Kind, step: int | None, seed: int | None, error: Exception, stood: str) -> None:
        self.kind = kind
        self.step = step
        when = "in the undisturbed run" if step is None else f"cancelled after step {step}"
        seeded = "" if seed is None else f", seed={seed}"
        super().__init__(
            f"{kind!r}, {when}: {type(error).__name__}: {error}\n{stood}"
            f"Replay just this one: cancel_everywhere(scenario, check, kinds=({kind!r},), only={step or 0}{seeded})"
        )


def cancel_everywhere(
    scenario: Callable[[], Any],
    check: Check,
    *,
    kinds: Iterable[Kind] = KINDS,
    stride: int = 1,
    only: int | None = None,
    seed: int | None = None,
    errors: tuple[type[BaseException], ...] = (),
) -> int:
    """Run `scenario` cancelled after every step, in every way; return the number of runs.

    Example:
        class Handover:                                # a fresh one for each run
            def __init__(self):
                self.channel = Channel(1)
            async def __call__(self): ...

        def check(state, outcome):
            assert state.sent == state.received + state.channel.qsize()

        cancel_everywhere(Handover, check)

    Call it from a synchronous test; it makes its own loops. Time is virtual.

    Args:
        scenario: an async function without arguments (then `state` is `None`), or a class or factory whose objects are
            called as one (then the object is `state`). It is called inside the loop, once for each run.
        check: called as `check(state, outcome)` after every run, with the loop still open; may be async.
        kinds: the ways of cancelling; all of `KINDS`.
        stride: cancel after every `stride`-th step only.
        only: cancel after this step only: the replay of one run.
        seed: order of the loop's steps, as for `StepLoop`.
        errors: exceptions the scenario may end with; any other fails the run.

    Raises `CancellationFailure` for the first run that breaks a rule, `UsageError` for an unknown kind.
    """
    runs = 0
    with _cheap_collections():
        for kind in kinds:
            if kind not in WAYS:
                raise UsageError(f"{kind!r} is no kind of cancellation. The kinds are {', '.join(KINDS)}.")
            go = functools.partial(_go, scenario, check, kind=kind, seed=seed, errors=errors)
            total = go(None)
            steps = range(0, total, stride) if only is None else (only,)
            for step in steps:
                go(step)
            runs += 1 + len(steps)
    return runs


@contextlib.contextmanager
def _cheap_collections() -> Iterator[None]:
    """Set aside what exists now, so that the garbage collector looks only at what the runs leave."""
    ours = not gc.get_freeze_count()
    if ours:
        gc.collect()
        gc.freeze()
    try:
        yield
    finally:
        if ours:
            gc.unfreeze()


def _go(
    scenario: Callable[[], Any],
    check: Check,
    step: int | None,
    *,
    kind: Kind,
    seed: int | None,
    errors: tuple[type[BaseException], ...],
) -> int:
    """Make one run, judge it, and report what went wrong in it; return how many steps it took."""
    run = _Run(kind, step)
    try:
        with LeakCheck(), asyncio.Runner(loop_factory=functools.partial(StepLoop, seed=seed)) as runner:
            _run_and_judge(run, runner, scenario, check, errors)
    except Exception as error:
        raise CancellationFailure(kind, step, seed, error, run.stood) from error
    return run.steps


def _run_and_judge(
    run: _Run,
    runner: asyncio.Runner,
    scenario: Callable[[], Any],
    check: Check,
    errors: tuple[type[BaseException], ...],
) -> None:
    loop = cast("StepLoop", runner.get_loop())
    with LeakCheck(loop, ignore=("threads", "files")):  # these are looked at when the loop, too, has gone
        state, body = runner.run(_prepare(scenario))
        left = run.on(loop, body)
    _judge(run, left, errors)
    verdict = check(state, run.outcome())
    if inspect.iscoroutine(verdict):
        runner.run(verdict)


async def _prepare(scenario: Callable[[], Any]) -> tuple[Any, Coroutine[Any, Any, Any]]:
    made = scenario()
    return (None, made) if inspect.iscoroutine(made) else (made, made())


class _Run:
    """One run: the scenario under observation, and the moment of its cancellation."""

    def __init__(self, kind: Kind, step: int | None) -> None:
        self.kind = kind
        self.way = WAYS[kind]
        self.step = step
        self.steps = 0
        self.ended: Ending | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self.asked = False
        self.delivered = False
        self.marked = False
        self.stood = ""

    def on(self, loop: StepLoop, body: Coroutine[Any, Any, Any]) -> BaseException | None:
        """Run the scenario inside its kind of cancellation; return the exception that came out at the top."""
        self.loop, self.body = loop, body
        begin = loop.steps
        self.task = top = loop.create_task(self.way.around(self), name="scenario")
        for later in self.way.native:
            self.arm(top.cancel, later)
        left = _run_to_its_end(loop, top)
        body.close()  # it never started when the cancellation came first
        self.steps = loop.steps - begin
        self.marked = self.task is top and top.cancelling() > 0
        return left

    def arm(self, cancel: Callable[[], object], later: int = 0) -> None:
        """Call `cancel` after the step of this run, counted from now."""
        if self.step is None:
            return
        if self.step + later == 0:
            self._fire(cancel)
        else:
            self.loop.call_after_step(self.loop.steps + self.step + later, functools.partial(self._fire, cancel))

    def _fire(self, cancel: Callable[[], object]) -> None:
        if self.ended is None:
            self.stood = self.stood or f"When it was cancelled: {describe(self.task)}\n"
            self.asked = True
            cancel()

    async def observe(self) -> None:
        """Run the scenario itself and note how it ended."""
        self.task = cast("asyncio.Task[Any]", asyncio.current_task())
        try:
            self.value = await self.body
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        except BaseException as error:
            self.ended, self.error = "failed", error
            raise
        self.ended = "returned"
        self.delivered = self.asked and (bool(self.way.native) or self.task.cancelling() > 0)

    def outcome(self) -> Outcome:
        """Return how it ended; a scenario that never started was cancelled."""
        return Outcome(self.kind, self.step, self.ended or "cancelled", self.value, self.error)


def _run_to_its_end(loop: StepLoop, task: asyncio.Task[Any]) -> BaseException | None:
    try:
        loop.run_until_complete(task)
    except BaseException as error:
        if not task.done():  # the loop itself gave up: a deadlock, Ctrl-C
            raise
        return error
    return None


def _judge(run: _Run, left: BaseException | None, errors: tuple[type[BaseException], ...]) -> None:
    """Raise `AssertionError` where the run broke one of the rules that hold for every scenario."""
    way, ending = run.way, run.outcome().ended
    if ending == "failed":
        if not isinstance(run.error, errors):
            raise AssertionError(f"the scenario failed with {run.error!r}") from run.error
        return
    if ending == "returned" and run.delivered and not way.may_finish:
        raise AssertionError(f"the cancellation was swallowed: the scenario returned {run.value!r}")
    if ending == "cancelled" and not run.asked:
        raise AssertionError("the scenario ended in a CancelledError that nobody had asked for")
    if ending == "cancelled" and not isinstance(left, way.leaves or type(None)):
        wanted = "nothing" if way.leaves is None else way.leaves.__name__
        raise AssertionError(f"the cancellation did not reach who asked for it: {left!r} came out instead of {wanted}")
    if run.marked and not (way.native and run.asked):
        raise AssertionError("the task is still marked as cancelled (cancelling() > 0): call uncancel() where it ends")
