"""Sinks that hand the items to somebody who is there already: into a channel, a queue, a writer, an anyio stream.

What lives here: `into`, and what each kind of target needs so that nothing is lost. What must not: opening anything;
what the target does with the items.

The wait for room is the target's own: `put` of a channel or a queue, `drain` of a `StreamWriter`, `send` of anyio. So
its reader sets the pace, through to the source.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Any, Literal, NamedTuple, TypeAlias

import anyio

from streamflow.channel import Channel
from streamflow.engine.shielding import finish
from streamflow.errors import StageCancelled, UsageError
from streamflow.stages import Sink

__all__ = ["into"]

# A text, so that anyio imports these classes when somebody asks for them.
Target: TypeAlias = """(
    Channel[Any]
    | asyncio.Queue[Any]
    | asyncio.StreamWriter
    | anyio.abc.ObjectSendStream[Any]
    | anyio.abc.ByteSendStream
)"""


class _Way(NamedTuple):
    """How one kind of target is written to, ended after the last item, and broken off after a failure."""

    put: Callable[[Any], Awaitable[object]]
    end: Callable[[], Awaitable[object]]
    break_off: Callable[[BaseException], Awaitable[object]]


def into(target: Target, *, then: Literal["close", "leave"] = "leave") -> Sink[Any, int]:
    """Hand every item to a channel, a queue, a `StreamWriter` or an anyio stream; the value is how many there were.

    Example:
        channel = sf.Channel(maxsize=10)
        await sf.stream(["a", "b"]).into(channel, then="close")
        await sf.stream(channel).collect()  # gives ["a", "b"]

    * emits when: never; its value is there at the end.
    * backpressures when: the target has no room: it waits for `put`, `drain` or `send`.
    * completes when: the input ended and the target has taken the last item; with `then="close"`, when it is closed.
    * on error: passes it on; with `then="close"` a channel is failed with it, a writer's connection is aborted: whoever
      reads must not take it for the end.
    * on early stop: a target whose reader has left is an error (`ReaderGone`, `BrokenResourceError`, ...).

    Args:
        target: a `Channel`, `asyncio.Queue`, `asyncio.StreamWriter` (items are bytes), or an anyio send stream.
        then: what to do with the target after the last item: `"close"` it, so that its reader sees the end, or
            `"leave"` it open for further writers. A plain `asyncio.Queue` has no end, so it can only be left.

    Raises `UsageError` for what it cannot write to. Cancellation: the item at hand may or may not have been taken by
    the target; with `then="close"` the target is broken off as after an error.
    """
    if then not in ("close", "leave"):
        raise UsageError(f'into(then) is "close" or "leave", not {then!r}.')
    way = _way(target)
    if then == "close" and isinstance(target, asyncio.Queue) and not isinstance(target, Channel):
        raise UsageError(
            'An asyncio.Queue has no end that its reader could see; use an sf.Channel, or write then="leave" and tell '
            "the reader yourself."
        )

    async def handed(items: AsyncIterable[Any]) -> int:
        total = 0
        try:
            async for item in items:
                await way.put(item)
                total += 1
            if then == "close":
                await finish(_awaited(way.end()))
        except BaseException as error:
            if then == "close":
                await finish(_awaited(way.break_off(error)))
            raise
        return total

    return Sink(handed, name=f"into({type(target).__name__})")


def _way(target: object) -> _Way:
    if isinstance(target, Channel):
        return _of_channel(target)
    if isinstance(target, asyncio.Queue):
        return _Way(target.put, _nothing, _left_alone)
    if isinstance(target, asyncio.StreamWriter):
        return _of_writer(target)
    if isinstance(target, anyio.abc.ByteSendStream):
        return _Way(target.send, target.aclose, lambda _error: anyio.aclose_forcefully(target))
    if isinstance(target, anyio.abc.ObjectSendStream):
        return _Way(target.send, target.aclose, _left_alone)
    raise UsageError(
        f"into() cannot write to {type(target).__name__}: give it a Channel, an asyncio.Queue, an asyncio.StreamWriter "
        f"or an anyio send stream. For anything else write sf.for_each(target.method)."
    )


def _of_channel(channel: Channel[Any]) -> _Way:
    async def end() -> None:
        channel.close()

    async def break_off(error: BaseException) -> None:
        cancelled = StageCancelled(f"the pipeline that put its items into {channel.name!r} was cancelled")
        channel.fail(error if isinstance(error, Exception) else cancelled)

    return _Way(channel.put, end, break_off)


def _of_writer(writer: asyncio.StreamWriter) -> _Way:
    async def put(data: bytes) -> None:
        writer.write(data)
        await writer.drain()

    async def end() -> None:
        writer.close()
        await writer.wait_closed()

    async def break_off(_error: BaseException) -> None:
        writer.transport.abort()

    return _Way(put, end, break_off)


async def _nothing() -> None:
    """A queue has no end."""


async def _left_alone(_error: BaseException) -> None:
    """There is no way to tell the reader that it was cut; whoever owns the stream closes it."""


async def _awaited(ending: Awaitable[object]) -> None:
    await ending
