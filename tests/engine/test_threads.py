"""`Worker`: one thread, calls in order, and no call outlives its caller's knowledge of it."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import anyio
import pytest
import uvloop

from streamflow.engine.threads import Worker
from streamflow.errors import UsageError

PREFIX = "test-worker"


def threads_left():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(PREFIX)]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert threads_left() == []


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(coroutine):
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(coroutine)

    return runs


async def until(condition):
    while not condition():  # noqa: ASYNC110  # a thread sets it, which an asyncio.Event cannot be told by
        await asyncio.sleep(0)


class Gate:
    """A blocking call that a test can see beginning and lets end."""

    def __init__(self, result=None):
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.left = False
        self.result = result

    def __call__(self):
        self.entered.set()
        assert self.opened.wait(10)
        self.left = True
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


def test_calls_run_in_order_in_one_thread_of_that_name(run):
    async def main():
        seen = []
        async with Worker(PREFIX) as worker:
            calls = [worker.call(lambda n=n: seen.append((n, threading.current_thread().name))) for n in range(20)]
            await asyncio.wait([asyncio.ensure_future(call) for call in calls])
        return seen

    seen = run(main())
    assert [number for number, _ in seen] == list(range(20))
    assert len({name for _, name in seen}) == 1
    assert seen[0][1].startswith(PREFIX)


async def test_no_thread_is_started_before_the_first_call():
    worker = Worker(PREFIX)

    assert threads_left() == []
    assert "idle" in repr(worker)
    await worker.close()
    assert "closed" in repr(worker)


async def test_results_and_errors_come_through():
    async with Worker(PREFIX) as worker:
        assert await worker.call(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await worker.call(divmod, 7, 0)


def test_stop_iteration_becomes_a_runtime_error_and_does_not_hang(run):
    """H36."""

    async def main():
        async with Worker(PREFIX) as worker:
            await worker.call(next, iter(()))

    with pytest.raises(RuntimeError, match="next raised StopIteration") as caught:
        run(main())
    assert isinstance(caught.value.__cause__, StopIteration)


async def test_a_call_sees_the_callers_context():
    word = contextvars.ContextVar("word")
    word.set("here")
    async with Worker(PREFIX) as worker:
        assert await worker.call(word.get) == "here"


@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_call_waits_for_the_thread_and_then_raises(run, times):
    """H40: never is the caller gone while its function still runs."""

    async def main():
        gate = Gate()
        async with Worker(PREFIX) as worker:
            call = asyncio.create_task(worker.call(gate))
            await until(gate.entered.is_set)
            for _ in range(times):
                call.cancel()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            assert not call.done()
            gate.opened.set()
            await asyncio.wait({call})
            return gate.left, call.cancelled(), call.cancelling()

    assert run(main()) == (True, True, times)


def test_an_anyio_cancellation_waits_for_the_thread_and_loses_no_result(run):
    """H26."""

    async def main():
        gate, got = Gate("result"), []
        async with Worker(PREFIX) as worker:
            with anyio.CancelScope() as scope:
                loop = asyncio.get_running_loop()
                loop.call_soon(scope.cancel)
                loop.call_later(0.005, gate.opened.set)
                got.append(await worker.call(gate))
                await asyncio.sleep(1)
                got.append("not reached")
        return got, scope.cancelled_caught

    assert run(main()) == (["result"], True)


def test_a_result_that_the_cancelled_caller_will_never_see_is_adopted_in_the_thread(run):
    """H41: the handle opened by a cancelled open is closed."""

    async def main():
        gate, adopted = Gate("handle"), []
        async with Worker(PREFIX) as worker:
            call = asyncio.create_task(
                worker.call(gate, adopt=lambda handle: adopted.append((handle, threading.current_thread().name)))
            )
            await until(gate.entered.is_set)
            call.cancel()
            await asyncio.sleep(0)
            call.cancel()
            gate.opened.set()
            await asyncio.wait({call})
        return adopted, call.cancelled()

    adopted, cancelled = run(main())
    assert cancelled
    assert [handle for handle, _ in adopted] == ["handle"]
    assert adopted[0][1].startswith(PREFIX)


async def test_a_result_that_is_returned_is_not_adopted():
    adopted = []
    async with Worker(PREFIX) as worker:
        assert await worker.call(int, adopt=adopted.append) == 0
    assert adopted == []


def test_the_failure_of_a_cancelled_call_is_the_cause_of_its_cancellation(run):
    async def main():
        gate = Gate(OSError("disk full"))
        async with Worker(PREFIX) as worker:
            call = asyncio.create_task(worker.call(gate))
            await until(gate.entered.is_set)
            call.cancel()
            await asyncio.sleep(0)
            gate.opened.set()
            try:
                await call
            except asyncio.CancelledError as error:
                while error.__cause__ is None:
                    error = error.__context__
                return error.__cause__

    assert str(run(main())) == "disk full"


@pytest.mark.parametrize("turns", range(8))
def test_cancelled_at_every_turn_a_call_is_whole_or_never_begun(run, turns):
    async def main():
        opened, closed = [], []
        async with Worker(PREFIX) as worker:
            call = asyncio.create_task(worker.call(lambda: opened.append(1) or "handle", adopt=closed.append))
            for _ in range(turns):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.wait({call})
            received = 0 if call.cancelled() else 1
        return len(opened), len(closed) + received

    opened, owned = run(main())
    assert opened == owned


def test_close_waits_for_running_calls_through_cancellations(run):
    async def main():
        gate = Gate()
        worker = Worker(PREFIX)
        call = asyncio.create_task(worker.call(gate))
        await until(gate.entered.is_set)
        close = asyncio.create_task(worker.close())
        await asyncio.sleep(0)
        close.cancel()
        await asyncio.sleep(0)
        close.cancel()
        await asyncio.sleep(0)
        assert not close.done()
        gate.opened.set()
        await asyncio.wait({call, close})
        return close.cancelled(), gate.left, threads_left()

    assert run(main()) == (True, True, [])


async def test_closing_twice_and_at_the_same_time_is_allowed():
    worker = Worker(PREFIX)
    await worker.call(int)
    await asyncio.wait([asyncio.ensure_future(worker.close()) for _ in range(3)])
    await worker.close()
    assert threads_left() == []


async def test_a_call_after_close_is_refused():
    worker = Worker(PREFIX)
    await worker.close()
    with pytest.raises(UsageError, match="closed"):
        await worker.call(int)
