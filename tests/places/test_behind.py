"""Write-behind: in order, bounded in bytes, and whatever fails or is cancelled is told once."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest

from streamflow.places.behind import HOLDS, WriteBehind, until_failure


class Queue:
    """Takes blocks; a test says when each is written."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self.futures: list[asyncio.Future[None]] = []

    def submit(self, block: bytes) -> asyncio.Future[None]:
        self.blocks.append(block)
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


async def turns():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_blocks_are_submitted_while_earlier_ones_are_under_way_until_the_bound():
    queue = Queue()
    behind = WriteBehind(queue.submit)
    for _ in range(2):
        await behind.write(bytes(HOLDS // 2))
    waits = asyncio.ensure_future(behind.write(b"x"))
    await turns()
    assert len(queue.blocks) == 2

    queue.futures[0].set_result(None)
    await waits
    assert queue.blocks[2:] == [b"x"]
    behind.stop()


async def test_a_block_larger_than_the_bound_goes_alone():
    queue = Queue()
    behind = WriteBehind(queue.submit)
    await behind.write(b"small")
    waits = asyncio.ensure_future(behind.write(bytes(HOLDS + 1)))
    await turns()
    assert queue.blocks == [b"small"]

    queue.futures[0].set_result(None)
    await waits
    assert len(queue.blocks[1]) == HOLDS + 1
    behind.stop()


async def test_drain_waits_for_every_block():
    queue = Queue()
    behind = WriteBehind(queue.submit)
    await behind.write(b"a")
    await behind.write(b"b")
    drained = asyncio.ensure_future(behind.drain())
    queue.futures[0].set_result(None)
    await turns()
    assert not drained.done()

    queue.futures[1].set_result(None)
    await drained


async def test_a_failure_is_raised_by_the_next_call_that_waits():
    queue = Queue()
    behind = WriteBehind(queue.submit)
    await behind.write(b"a")
    queue.futures[0].set_exception(OSError("disk"))

    with pytest.raises(OSError, match="disk"):
        await behind.drain()


async def test_a_wait_that_is_cancelled_leaves_the_write_to_run():
    """H40."""
    queue = Queue()
    behind = WriteBehind(queue.submit)
    await behind.write(b"a")
    drained = asyncio.ensure_future(behind.drain())
    await turns()
    drained.cancel()
    await asyncio.wait({drained})

    assert drained.cancelled()
    assert not queue.futures[0].cancelled()
    behind.stop()


async def test_stop_cancels_what_waits_and_looks_at_what_failed():
    queue = Queue()
    behind = WriteBehind(queue.submit)
    for _ in range(3):
        await behind.write(b"a")
    queue.futures[0].set_result(None)
    queue.futures[1].set_exception(OSError("nobody reports this one"))  # else the loop's handler would: a leak
    behind.stop()

    assert queue.futures[2].cancelled()
    await behind.drain()  # nothing is under way any more


async def test_stop_leaves_no_gap_in_what_a_thread_writes():
    """P2: a block is never begun when one before it was cancelled, wherever the thread comes in between."""
    written, free = [], threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as executor:

        def write(block):
            assert free.wait(10)
            written.append(block)

        def submit(block):
            future = asyncio.get_running_loop().run_in_executor(executor, write, block)
            if block == b"2":
                future.add_done_callback(thread_goes_on)
            return future

        def thread_goes_on(_):
            free.set()
            executor.submit(int).result()  # when the thread has come to this, it has done all that it will

        behind = WriteBehind(submit)
        for block in (b"1", b"2", b"3", b"4"):
            await behind.write(block)
        behind.stop()
        await turns()

    assert written == [b"1"]


def test_after_a_failure_nothing_more_is_done():
    done = []

    def work(number):
        if number == 2:
            raise OSError("disk")
        done.append(number)

    worked = until_failure(work)
    worked(1)
    with pytest.raises(OSError, match="disk"):
        worked(2)
    worked(3)

    assert done == [1]
