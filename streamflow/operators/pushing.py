"""A source that others push into: callbacks, other tasks, other threads.

What lives here: `push` and `Push`: a `Channel` with a policy for the case that it is full, and a way in for threads.
What must not: a bound, a queue or an end of its own (`Channel` has them).

How it works. Everything happens in one event loop: the first one in which the object is made or used. A thread hands a
coroutine to that loop and waits for what comes of it, so its `put_threadsafe` is a `put` like any other, with the same
place in the line and the same refusals (calling_in.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeAlias, TypeVar, get_args

from streamflow.channel import Channel, ChannelStats
from streamflow.engine.nested import heeding
from streamflow.errors import LimitExceeded, PipelineTimeout, StageCancelled, UsageError
from streamflow.limits import check_capacity
from streamflow.machinery.crossings.calling_in import Home, called_in
from streamflow.machinery.variables import A
from streamflow.stages import Source

__all__ = ["Overflow", "Push", "push"]

T = TypeVar("T")

Overflow: TypeAlias = Literal["block", "drop_newest", "drop_oldest", "fail"]


def push(
    maxsize: int = 1024,
    *,
    max_bytes: int | None = None,
    size: Callable[[A], int] | None = None,
    overflow: Overflow = "block",
    name: str = "push",
) -> Push[A]:
    """Make a source that others put items into: callbacks of a library, other tasks, other threads.

    Example:
        events = sf.push(100, overflow="drop_oldest")
        asyncio.get_running_loop().call_later(1.0, events.put_nowait, "connected")  # what a library does
        asyncio.get_running_loop().call_later(2.0, events.close)
        await sf.pipeline(events, sf.collect())  # gives ["connected"]

    * emits when: an item was put.
    * backpressures when: the stage below does; then it fills up, and `overflow` says what happens to the next item.
    * completes when: `close()` was called and what had been put is out.
    * on error: `fail(error)` ends it with that error after the items before it.
    * on early stop: what waits is discarded, and counted; who puts later gets `ReaderGone`.

    It is read once. Where items are dropped, the channels below it hold one item each: what waits, waits here.

    Args:
        maxsize: how many items may wait.
        max_bytes: how many bytes may wait, as for `Channel`; `None` counts items only.
        size: gives the bytes of an item, as for `Channel`.
        overflow: what to do with an item for which there is no room. `"block"`: `put` and `put_threadsafe` wait,
            `put_nowait` raises `asyncio.QueueFull`. `"drop_newest"`: drop it. `"drop_oldest"`: drop those that wait
            longest. `"fail"`: end the stream with `LimitExceeded`. `dropped` counts what was dropped.
        name: shown in statistics and errors.

    Raises `UsageError` for bounds that cannot mean anything and for another policy. Cancellation: of a `put`: nothing
    was put; of the reader: as an early stop.
    """
    return Push(maxsize, max_bytes=max_bytes, size=size, overflow=overflow, name=name)


class Push(Generic[T]):
    """A source that others put items into; made by `sf.push`, which explains the arguments.

    Example:
        with events:                      # closes it at the end; an exception in the block ends the stream with it
            await events.put(item)

    All but the methods for threads are called in the event loop that reads it.
    """

    def __init__(
        self,
        maxsize: int = 1024,
        *,
        max_bytes: int | None = None,
        size: Callable[[T], int] | None = None,
        overflow: Overflow = "block",
        name: str = "push",
    ) -> None:
        """Make it; the event loop that runs now, if any, is the one it belongs to."""
        if overflow not in get_args(Overflow):
            raise UsageError(f"overflow must be one of {', '.join(map(repr, get_args(Overflow)))}; not {overflow!r}.")
        self._channel = Channel[T](maxsize, max_bytes=max_bytes, size=size, name=name)
        self._overflow = overflow
        self._home = Home()
        self._read = False
        self._dropped = 0
        self._ousted = 0

    def __repr__(self) -> str:
        """Show the name, where it stands, and how many items wait."""
        channel = self._channel
        return f"<Push {channel.name!r}: {channel.state}, {channel.held()} of {channel.maxsize} items>"

    # --- in the event loop -----------------------------------------------------------------------------------------

    async def put(self, item: T) -> None:
        """Put one item; with `overflow="block"` wait for room and for those who came before.

        Raises `ChannelClosed` after `close()` or `fail()`, `ReaderGone` when nobody reads any more, and
        `LimitExceeded` with `overflow="fail"`. Cancellation: the item was not put.
        """
        if self._overflow != "block":
            self.put_nowait(item)
            return
        self._home.enter()
        await self._channel.put(item)

    def put_nowait(self, item: T) -> None:
        """Put one item now, from a callback that runs in the event loop.

        Raises as `put`; with `overflow="block"` `asyncio.QueueFull` when there is no room.
        """
        self._home.enter()
        try:
            self._channel.put_nowait(item)
        except asyncio.QueueFull:
            self._overflowed(item)

    def _overflowed(self, item: T) -> None:
        if self._overflow == "drop_newest":
            self._dropped += 1
        elif self._overflow == "drop_oldest":
            self._oust(item)
        elif self._overflow == "fail":
            error = LimitExceeded(
                f"{self._channel.name} is full and another item came: the stage below is too slow. Raise maxsize, or "
                f"choose what to lose by overflow='drop_newest' or 'drop_oldest', or let writers wait by 'block'."
            )
            self._channel.fail(error)
            raise error from None
        else:
            raise asyncio.QueueFull(f"{self._channel.name} is full; `await push.put(item)` waits for room") from None

    def _oust(self, item: T) -> None:
        """Drop those that wait longest until there is room."""
        # Not `get_nowait`: that keeps an item for a reader who was woken and has not come yet; it takes the next.
        while self._channel.discard_oldest():
            self._ousted += 1
            try:
                self._channel.put_nowait(item)
            except asyncio.QueueFull:
                continue
            return
        self._dropped += 1

    def close(self) -> None:
        """End the stream after what was put. Never waits; twice is harmless."""
        self._home.enter()
        self._channel.close()

    def fail(self, error: BaseException) -> None:
        """End the stream with an error after what was put. Never waits; after another end it does nothing."""
        self._home.enter()
        self._channel.fail(error)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the stream: cleanly, or with the exception of the block, so that it never looks whole when it is not."""
        if error is None:
            self.close()
        elif isinstance(error, Exception):
            self.fail(error)
        else:
            self.fail(StageCancelled(f"{self._channel.name}: the block that puts was left by {type(error).__name__}"))

    # --- from other threads ----------------------------------------------------------------------------------------

    def put_threadsafe(self, item: T, timeout: float | None = None) -> None:
        """Put one item from a thread that is not the event loop's, which waits for room meanwhile.

        Args:
            item: what to put.
            timeout: how many seconds to wait for room at most; `None` waits as long as it takes.

        Raises as `put`; `PipelineTimeout`, a `TimeoutError`, when there was no room in time: the item was not put;
        `ReaderGone` when the event loop has ended; `UsageError` in the event loop's own thread, which would wait for
        itself, and before there is a loop.
        """
        if timeout is not None:
            check_capacity("timeout", timeout, whole=False)
        called_in(self._home.known(), self._put_within(item, timeout))

    async def _put_within(self, item: T, timeout: float | None) -> None:  # noqa: ASYNC109  # the caller is a thread
        try:
            async with asyncio.timeout(timeout):
                await self.put(item)
        except TimeoutError:
            raise PipelineTimeout(f"{self._channel.name}: no room for the item within {timeout:g} s") from None

    def close_threadsafe(self) -> None:
        """Close it from another thread, after what that thread has put. Does not wait; twice is harmless."""
        self._tell(self.close)

    def fail_threadsafe(self, error: BaseException) -> None:
        """End it with an error from another thread, after what that thread has put. Does not wait."""
        self._tell(self.fail, error)

    def _tell(self, end: Callable[..., None], *args: Any) -> None:
        loop = self._home.known()
        if not loop.is_closed():  # else nobody reads, and there is nothing to end
            loop.call_soon_threadsafe(end, *args)

    # --- reading and watching --------------------------------------------------------------------------------------

    def __streamflow_maker__(self) -> Source[T]:
        """Stand for a source that says what it holds, for `explain()`."""
        channel = self._channel
        return Source(
            lambda: self,
            name=channel.name,
            holds=channel.max_bytes or 0,
            holds_items=channel.maxsize,
            output_capacity=None if self._overflow == "block" else 1,
            composite=True,
        )

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        """Take the items; who leaves turns those away who put. Raises `UsageError` when it is read a second time."""
        if self._read:
            raise UsageError("This push is or was read already; what it gave is gone. Make a new one for each run.")
        self._read = True
        self._home.enter()
        try:
            with heeding(self._channel.close):  # drained, it still gives what was put
                async for item in self._channel:
                    yield item
        finally:
            self._channel.abandon()

    @property
    def dropped(self) -> int:
        """How many items were dropped because there was no room for them."""
        return self._dropped + self._ousted

    def stats(self) -> ChannelStats:
        """Return a snapshot of the counters; what was dropped is in `put` and in `discarded`."""
        seen = self._channel.stats()
        return replace(seen, put=seen.put + self._dropped, discarded=seen.discarded + self._dropped)
