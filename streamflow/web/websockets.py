"""A WebSocket as a source and as a sink.

What lives here: `messages` and `send_to`. What must not: the protocol and its limits. How large a message may be is the
server's to say, since it holds a whole message before anybody sees it: `uvicorn --ws-max-size`, hypercorn's
`websocket_max_message_size`.

* *Ends.* A client that says goodbye (codes 1000 and 1001) ends the source cleanly; for the sink it has had enough.
  Every other end is `ClientDisconnected`: the line broke, and nobody knows what was still to come. Code 1005 (no code)
  is among them, since servers give it for a lost connection, too. hypercorn says 1006 for every end.
* *Commit.* When its input has ended, `send_to` closes with 1000; when a stage failed, with 1011. So a client can tell
  what is complete from what was cut off.
* *Pace.* A server whose client does not read makes `send` wait, and so the stages above. `send_timeout` ends that.
* *Gone.* A quiet stream would find out late that its client has left, so `send_to` listens meanwhile, unless `messages`
  or the caller does.
"""

from __future__ import annotations

import asyncio
import json as jsons
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection
from typing import Any, Literal, TypeAlias, get_args, overload

from starlette.websockets import WebSocket

from streamflow.engine.clock import seconds_of, turn
from streamflow.engine.shielding import finish
from streamflow.errors import FormatError, PipelineTimeout, UsageError
from streamflow.machinery.tasks.dismissing import dismiss
from streamflow.stages import Sink, Source
from streamflow.streams import Stream
from streamflow.web.refusals import ClientDisconnected
from streamflow.web.websocket_line import Line

__all__ = ["ENDS", "Incoming", "messages", "send_to"]

ENDS = (1000, 1001)
"""The codes with which a client ends a connection on purpose: it is done, or its page was left."""

Incoming: TypeAlias = Literal["refuse", "drop", "elsewhere"]
"""What happens to messages that nobody reads."""

_COMPLETE, _FAILED = 1000, 1011


@overload
def messages(
    websocket: WebSocket, *, json: Literal[False] = False, ends: Collection[int] = ...
) -> Stream[str | bytes]: ...
@overload
def messages(websocket: WebSocket, *, json: Literal[True], ends: Collection[int] = ...) -> Stream[Any]: ...
def messages(websocket: WebSocket, *, json: bool = False, ends: Collection[int] = ENDS) -> Stream[Any]:
    """Read the messages of a WebSocket: a stream of `str` (text) and `bytes` (binary), as the client sent them.

    Example:
        @app.websocket("/orders")
        async def orders(websocket: WebSocket):
            await websocket.accept()
            await sf.pipeline(web.messages(websocket, json=True), check, web.send_to(websocket, json=True))

    The server reads on ahead of the stream by some messages of its own, then stops the client. The stream can be run
    once.

    Args:
        websocket: of Starlette or FastAPI, accepted.
        json: whether each message is JSON; then the items are what it says.
        ends: the codes with which the client ends the stream. Add 1005 for clients that close without a code, such as
            browsers with `socket.close()`; a lost connection then looks the same with some servers.

    Raises when it runs `ClientDisconnected` for any other end, with its `code`; `FormatError` for what is no JSON;
    `UsageError` where the WebSocket is not accepted, or when it is run twice. Cancellation: nothing was taken.
    """
    line = Line(websocket)
    line.known.asked_for = True

    async def source() -> AsyncGenerator[Any, None]:
        _claim(line)
        number = 0
        while (message := await _next(line, ends)) is not None:
            number += 1
            yield _of_json(message, number) if json else message

    return Stream(Source(source, name="web.messages"))


def _claim(line: Line) -> None:
    line.check()
    if line.known.read:
        raise UsageError(
            "The messages of this WebSocket are being read already, and each comes only once. Run the stream of "
            "web.messages(websocket) one time; sf.tee gives it to several."
        )
    line.known.read = True


async def _next(line: Line, ends: Collection[int]) -> str | bytes | None:
    """Return the next message; `None` where the client has ended."""
    try:
        return await line.receive()
    except ClientDisconnected as gone:
        if gone.code in ends:
            return None
        raise


def _of_json(message: str | bytes, number: int) -> Any:
    try:
        return jsons.loads(message)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"Message {number} of the WebSocket is not JSON: {error}.") from error


def send_to(
    websocket: WebSocket,
    *,
    json: bool = False,
    send_timeout: float | None = 30.0,
    close: bool = True,
    incoming: Incoming = "refuse",
    ends: Collection[int] = ENDS,
) -> Sink[Any, int]:
    """Send each item as a message: `str` as text, `bytes` as binary. The value is how many were sent.

    Example:
        @app.websocket("/prices")
        async def prices(websocket: WebSocket):
            await websocket.accept()
            await sf.pipeline(hub.subscribe(), web.send_to(websocket, json=True))

    A client that reads slowly slows down the stages above, once the buffers between are full.

    Args:
        websocket: of Starlette or FastAPI, accepted.
        json: send what the item is in JSON, as text.
        send_timeout: seconds that one message may wait for the client; `None` for no limit.
        close: close the connection at the end: with code 1000 when the input has ended, 1011 when it failed.
        incoming: what happens to messages that the client sends and no `web.messages(websocket)` reads. `"refuse"`: an
            error, so that none is lost unseen; `"drop"`: they are thrown away; `"elsewhere"`: you read them yourself,
            and this sink does not listen. Has no effect where `messages` reads them.
        ends: the codes with which a client may leave before the end: it has had enough, which ends the stages above as
            `take` does, and is no error. Say `()` where it has to get everything.

    Raises `ClientDisconnected` for any other end, as soon as the client has gone, also while there is nothing to send;
    `PipelineTimeout` for a client that does not read; `UsageError` for items that are neither text nor bytes, for a
    message that nobody reads, and where the WebSocket is not accepted. Cancellation: what was sent is sent; the client
    is told (1011).
    """
    limit = None if send_timeout is None else seconds_of("send_timeout", send_timeout)
    if incoming not in get_args(Incoming):
        raise UsageError(f"incoming= is 'refuse', 'drop' or 'elsewhere', not {incoming!r}.")
    sending = _Sending(Line(websocket), _as_json if json else _as_it_is, limit, incoming, ends)

    async def sink(items: AsyncIterable[Any]) -> int:
        sending.line.check()
        return await (sending.closing(items) if close else sending.all(items))

    return Sink(sink, name="web.send_to")


def _as_json(item: Any) -> dict[str, Any]:
    return {"type": "websocket.send", "text": jsons.dumps(item, ensure_ascii=False, separators=(",", ":"))}


def _as_it_is(item: Any) -> dict[str, Any]:
    if isinstance(item, str):
        return {"type": "websocket.send", "text": item}
    if isinstance(item, (bytes, bytearray, memoryview)):
        return {"type": "websocket.send", "bytes": bytes(item)}
    raise UsageError(
        f"A message is text or bytes, not {type(item).__name__}. Write web.send_to(websocket, json=True), or make text "
        f"of each item with sf.map before."
    )


class _Sending:
    """The sink at work, by the arguments of `send_to`."""

    def __init__(
        self,
        line: Line,
        packed: Callable[[Any], dict[str, Any]],
        limit: float | None,
        incoming: Incoming,
        ends: Collection[int],
    ) -> None:
        self.line = line
        self._packed = packed
        self._limit = limit
        self._incoming = incoming
        self._ends = ends
        self._sent = 0

    async def closing(self, items: AsyncIterable[Any]) -> int:
        """Send all, and tell the client how it ended."""
        try:
            sent = await self.all(items)
        except (ClientDisconnected, PipelineTimeout):
            raise  # nobody is there who could be told
        except BaseException:
            await finish(self.line.close(_FAILED))
            raise
        await finish(self.line.close(_COMPLETE))
        return sent

    async def all(self, items: AsyncIterable[Any]) -> int:
        """Send all, or as much as the client wants; return how many that were."""
        self._sent = 0
        if self.line.known.asked_for or self._incoming == "elsewhere":
            await self._send(items)
        else:
            await self._send_and_listen(items)
        return self._sent

    async def _send(self, items: AsyncIterable[Any]) -> None:
        async for item in items:
            message = self._packed(item)
            try:
                await self.line.send(message, self._limit)
            except ClientDisconnected as gone:
                if gone.code in self._ends:
                    return
                raise
            self._sent += 1
            await turn()  # a server may never make us wait, and its news of the client's leaving needs a turn

    async def _send_and_listen(self, items: AsyncIterable[Any]) -> None:
        """Both in tasks of their own: what ends first ends the other."""
        tasks = [asyncio.create_task(self._send(items)), asyncio.create_task(self._listen())]
        running = set(tasks)
        for task in tasks:
            task.add_done_callback(running.discard)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            first = next(task for task in tasks if task.done())
        finally:
            await dismiss(running, [])
            _retrieve(tasks)
        first.result()

    async def _listen(self) -> None:
        """Return when the client has had enough. Raises when it has gone, or has sent what nobody reads."""
        while await _next(self.line, self._ends) is not None:
            if self._incoming == "refuse":
                raise UsageError(
                    "The client sent a message that nobody reads. Read the messages with web.messages(websocket), or "
                    "write web.send_to(websocket, incoming='drop') where they do not matter."
                )


def _retrieve(tasks: list[asyncio.Task[None]]) -> None:
    """So that the loop does not report what another task's end has made unimportant."""
    for task in tasks:
        if not task.cancelled():
            task.exception()
