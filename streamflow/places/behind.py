"""Write-behind: the next block is gathered while those before it are written.

What lives here: `WriteBehind`, and `until_failure` for the work in its queue. What must not: what a write is, files.

Why two. With one block under way the thread would sleep from its end until the loop has noticed and sent the next one,
and waking a thread costs a good part of what writing a block does. With a second one in its queue it goes straight on.

However it ends, what has been written is a beginning of what was submitted: nothing is written after a gap.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sized
from typing import Generic, TypeVar, TypeVarTuple

from streamflow.places.blocks import MIB

__all__ = ["HOLDS", "WriteBehind", "until_failure"]

B_contra = TypeVar("B_contra", bound=Sized, contravariant=True)
Ts = TypeVarTuple("Ts")

HOLDS = 5 * MIB // 2
"""Bytes under way at most: two blocks of about 1 MiB, or one that is larger."""


class WriteBehind(Generic[B_contra]):
    """Successive writes to a queue that is worked off in order, such as that of a thread.

    Example: `await behind.write(block)` for each block, then `await behind.drain()`; on any failure `behind.stop()`.

    Args:
        submit: puts a block into the queue; its future is done when the block is written. The length of a block is its
            size in bytes.
    """

    def __init__(self, submit: Callable[[B_contra], asyncio.Future[None]]) -> None:
        """Make it; nothing is under way."""
        self._submit = submit
        self._under_way: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._size = 0

    async def write(self, block: B_contra) -> None:
        """Submit a block, once there is room for it.

        Raises what an earlier write failed with. Cancellation: allowed; then `stop`.
        """
        while self._under_way and self._size + len(block) > HOLDS:
            await self._oldest()
        self._under_way.append((len(block), self._submit(block)))
        self._size += len(block)

    async def drain(self) -> None:
        """Wait until all is written. Raises and is cancelled as `write`."""
        while self._under_way:
            await self._oldest()

    def stop(self) -> None:
        """Forget what was not begun. What is being written is the queue's: close the file there, behind it."""
        # The last one first: were it cancelled after those before it, it might be begun just between.
        for _, future in reversed(self._under_way):
            if future.done() and not future.cancelled():
                future.exception()  # looked at, so that the loop does not report it: another error is told already
            future.cancel()
        self._under_way.clear()

    async def _oldest(self) -> None:
        size, future = self._under_way[0]
        if not future.done():
            await asyncio.wait((future,))  # unlike `await future`: a cancelled wait must not cancel the write
        del self._under_way[0]
        self._size -= size
        try:
            future.result()
        finally:
            del future  # a failure's traceback holds this frame: no cycle


def until_failure(work: Callable[[*Ts], None]) -> Callable[[*Ts], None]:
    """Return the same work, of which nothing is done any more once it has failed: it stands in a queue already.

    Example: `loop.run_in_executor(executor, self._write, block)` with `self._write = until_failure(self._write_block)`.
    """
    failed = False

    def called(*args: *Ts) -> None:
        nonlocal failed
        if failed:
            return
        try:
            work(*args)
        except BaseException:
            failed = True
            raise

    return called
