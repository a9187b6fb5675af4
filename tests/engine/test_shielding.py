"""`finish` and `until_done`: the work ends, the cancellation goes on, and nothing else is disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars

import anyio
import pytest
import uvloop

from streamflow.engine.shielding import finish, until_done
from streamflow.errors import PipelineTimeout, StageDidNotStop, UsageError

STEPS = 5


async def work(log: list[str], *, fails: bool = False) -> str:
    for step in range(STEPS):
        await asyncio.sleep(0)
        log.append(f"step {step}")
    if fails:
        raise OSError("disk full")
    return "done"


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on each of the two loops."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(coroutine):
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(coroutine)

    return runs


def test_finish_returns_the_result_when_nobody_cancels(run):
    log: list[str] = []

    assert run(finish(work(log), grace=5)) == "done"
    assert len(log) == STEPS


def test_finish_raises_the_failure_when_nobody_cancels(run):
    with pytest.raises(OSError, match="disk full"):
        run(finish(work([], fails=True)))


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("after", range(STEPS + 4))
def test_native_cancellation_at_every_step_lets_the_work_end(run, after, times, fails):
    """H20, H27: a second and third `cancel()` too; `cancelling()` counts what was asked and nothing else."""
    log: list[str] = []

    async def main():
        outcome = []

        async def caller():
            try:
                outcome.append(await finish(work(log, fails=fails)))
            except OSError:
                outcome.append("failed")
            except asyncio.CancelledError as error:
                outcome.append(error)
                raise
            finally:
                outcome.append(asyncio.current_task().cancelling())

        task = asyncio.create_task(caller())
        await turns(after)
        asked = sum([task.cancel() for _ in range(times)])
        await asyncio.wait({task})
        return task, outcome, asked

    task, outcome, asked = run(main())
    started = after > 0
    assert len(log) == (STEPS if started else 0)
    if not started or not asked:
        return
    assert task.cancelled()
    assert outcome[1] == asked
    assert isinstance(outcome[0].__cause__, OSError) is fails
    assert bool(getattr(outcome[0], "__notes__", [])) is fails


@pytest.mark.parametrize("after", range(1, STEPS + 3))
def test_an_anyio_scope_cancelled_at_every_step_lets_the_work_end(run, after):
    """H25, H26: the scope would cancel again at each await; its cancellation arrives after the work."""
    log: list[str] = []

    async def main():
        with anyio.CancelScope() as scope:
            asyncio.get_running_loop().call_soon(later, after, scope)
            result = await finish(work(log))
            log.append(result)
            await turns(2 * STEPS)
            log.append("not reached")
        return scope.cancelled_caught

    def later(left, scope):
        asyncio.get_running_loop().call_soon(later, left - 1, scope) if left else scope.cancel()

    assert run(main()) is True
    assert log[STEPS:] == ["done"]


def test_cleanup_inside_a_cancelled_anyio_scope_runs_whole(run):
    """H25."""
    log: list[str] = []

    async def main():
        with anyio.CancelScope() as scope:
            try:
                scope.cancel()
                await asyncio.sleep(1)
            finally:
                await finish(work(log))
        return scope.cancelled_caught

    assert run(main()) is True
    assert len(log) == STEPS


def test_a_native_cancellation_inside_an_anyio_scope_is_not_taken_for_the_scopes_own(run):
    """H27: both kinds at once; the scope must not swallow the native one."""
    log: list[str] = []

    async def main():
        async def caller():
            with anyio.CancelScope() as scope:
                scope.cancel()
                try:
                    await asyncio.sleep(1)
                finally:
                    await finish(work(log))

        task = asyncio.create_task(caller())
        await turns(3)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert run(main()) is True
    assert len(log) == STEPS


def test_asyncio_timeout_around_it_still_knows_its_own_cancellation(run):
    async def main():
        async with asyncio.timeout(0.001):
            await finish(asyncio.sleep(0.01))

    with pytest.raises(TimeoutError):
        run(main())


def test_a_cancelled_sibling_of_a_task_group_is_finished_first(run):
    """H26: cancellation by a failing sibling."""
    log: list[str] = []

    async def failing():
        await asyncio.sleep(0)
        raise ValueError("sibling")

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(finish(work(log)))
            group.create_task(failing())

    with pytest.raises(ExceptionGroup) as caught:
        run(main())
    assert [type(error) for error in caught.value.exceptions] == [ValueError]
    assert len(log) == STEPS


def test_past_the_deadline_the_work_is_cancelled_and_the_error_says_where_it_stood(run):
    ended = []

    async def stuck():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(PipelineTimeout, match=r"stuck was awaiting at .*:\d+") as caught:
        run(finish(stuck(), grace=0.001))
    assert ended
    assert "0.001 s" in str(caught.value)


def test_work_that_fails_when_cancelled_at_its_deadline_is_the_cause(run):
    async def stuck():
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("while stopping")

    with pytest.raises(PipelineTimeout) as caught:
        run(finish(stuck(), grace=0.001))
    assert isinstance(caught.value.__cause__, OSError)


def test_work_that_does_not_stop_when_cancelled_is_left_and_reported(run):
    async def main():
        release = asyncio.Event()

        async def deaf():
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()

        try:
            await finish(deaf(), grace=0)
        finally:
            release.set()
            await turns(3)

    with pytest.raises(StageDidNotStop, match="deaf was awaiting at"):
        run(main())


def test_a_cancellation_wins_over_a_passed_deadline(run):
    async def main():
        task = asyncio.create_task(finish(asyncio.Event().wait(), grace=0.001))
        await turns(2)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError) as caught:
        run(main())
    cause = caught.value.__cause__ or caught.value.__context__.__cause__
    assert isinstance(cause, PipelineTimeout)


def test_a_cancellation_wins_over_a_failure_whose_text_cannot_be_made(run):
    class Mute(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    async def mute():
        await turns(3)
        raise Mute

    async def main():
        task = asyncio.create_task(finish(mute()), name="main")
        await turns(2)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError) as caught:
        run(main())
    cancelled = caught.value if caught.value.__cause__ is not None else caught.value.__context__
    assert isinstance(cancelled.__cause__, Mute)
    assert any(note.endswith("failed: Mute") for note in cancelled.__notes__)


def test_the_work_sees_the_callers_context_and_cannot_change_it(run):
    word = contextvars.ContextVar("word")

    async def sees():
        seen = word.get()
        word.set("inner")
        return seen

    async def main():
        word.set("outer")
        return await finish(sees()), word.get()

    assert run(main()) == ("outer", "outer")


@pytest.mark.parametrize("grace", [-1, float("nan")])
async def test_a_grace_that_is_no_duration_is_refused(grace):
    with pytest.raises(UsageError, match="grace"):
        await finish(work([]), grace=grace)


async def test_until_done_gives_up_at_its_limit_and_leaves_the_future_alone():
    future = asyncio.get_running_loop().create_future()

    assert await until_done(future, within=0) is None
    assert not future.done()


async def test_a_raised_cancellation_keeps_nothing_alive():
    """H57: the exception and the frames it passed are not tied into a cycle."""
    import gc  # noqa: PLC0415
    import weakref  # noqa: PLC0415

    class Item:
        pass

    async def caller(item):
        await finish(turns(3))
        return item

    item = Item()
    gone = weakref.ref(item)
    task = asyncio.create_task(caller(item))
    del item
    await turns(2)
    task.cancel()
    await asyncio.wait({task})
    gc.disable()
    try:
        del task
        await turns(2)
        assert gone() is None
    finally:
        gc.enable()
