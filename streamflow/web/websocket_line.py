"""One WebSocket underneath: a message in, a message out, and how the client left.

What lives here: `Line`, which source and sink share. What must not: what an end means to them (websockets.py).

Who sends learns by an error that the client has gone, and who receives learns how. So the code is noted where both see
it; a sender whose client has gone gives the listener a few turns to hear it.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from streamflow.engine.clock import turn
from streamflow.errors import PipelineTimeout, UsageError
from streamflow.web.refusals import ClientDisconnected

__all__ = ["Line"]

_KEY = "streamflow.websocket"  # in the scope
_NO_CODE = 1005  # what servers say where the client has given no code
_BROKEN = 1006
_CLOSING = 2.0  # seconds for telling the client how it ended
_TURNS = 4


@dataclass(slots=True)
class _Known:
    """What is known of one WebSocket: who reads its messages, and with which code its client left."""

    asked_for: bool = False
    read: bool = False
    code: int | None = None


class Line:
    """One WebSocket.

    Example: `text = await Line(websocket).receive()`

    Attributes:
        known: what all lines to the same WebSocket know.
    """

    def __init__(self, websocket: WebSocket) -> None:
        """Take it as it is."""
        self._websocket = websocket
        self.known: _Known = websocket.scope.setdefault(_KEY, _Known())

    def check(self) -> None:
        """Refuse one that has not been accepted."""
        if self._websocket.application_state is WebSocketState.CONNECTING:
            raise UsageError(
                "The WebSocket has not been accepted. Write `await websocket.accept()` before the pipeline."
            )

    @property
    def _is_over(self) -> bool:
        return self._websocket.client_state is WebSocketState.DISCONNECTED

    async def receive(self) -> str | bytes:
        """Return the next message. Raises `ClientDisconnected` with the code of the end, also when asked again.

        Cancellation: nothing was taken.
        """
        if self._is_over:
            raise self._left("it had ended before")
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            self.known.code = message.get("code") or _NO_CODE  # a server that names none has got none
            raise self._left("more may have been to come", message.get("reason"))
        return _content(message)

    def _left(self, but: str, reason: str | None = None) -> ClientDisconnected:
        code = self.known.code or _BROKEN
        why = f", saying {reason[:200]!r}" if reason else ""
        hint = " A client that closes without a code does that, too." if code == _NO_CODE else ""
        return ClientDisconnected(f"The WebSocket ended with code {code}{why}; {but}.{hint}", code)

    async def send(self, message: dict[str, Any], limit: float | None) -> None:
        """Send a message, in `limit` seconds. Raises `ClientDisconnected`, `PipelineTimeout`.

        Cancellation: it may have been sent.
        """
        patience = asyncio.timeout(limit)
        try:
            async with patience:
                await self._websocket.send(message)
        except TimeoutError:
            if not patience.expired():
                raise
            told = f"web.send_to(send_timeout={limit:g}): the client took nothing for so many seconds."
            raise PipelineTimeout(told) from None
        except WebSocketDisconnect as error:
            raise await self._gone() from error
        except RuntimeError as error:  # from Starlette or the server, where the end is known by now
            if not self._is_over:
                raise
            raise await self._gone() from error

    async def _gone(self) -> ClientDisconnected:
        for _ in range(_TURNS):
            if self.known.code is None:
                await turn()
        return self._left("not all of what was for it has been sent")

    async def close(self, code: int) -> None:
        """Tell the client how it ended, if it is there and listens."""
        if self._is_over:
            return
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError, TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self._websocket.close(code)


def _content(message: Message) -> str | bytes:
    text: str | None = message.get("text")
    data: bytes | None = message.get("bytes")
    return text if text is not None else data or b""
