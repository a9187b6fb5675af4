"""How a response that cannot go on breaks its connection, so that nobody takes what came for the whole.

What lives here: `breaking`, the message that no server can send, `cut`, which aborts a connection, `transport_of` and
`reachable`, by which it is found. What must not: when that is right (exchange.py).

*Why raising is not enough.* A server breaks the connection of an app that raises in mid-response. Starlette's
`BaseHTTPMiddleware` does not: the app's exception is kept, the body that it passes on simply ends, and the client gets
a clean end of half a body. So before we raise we send a body that is a message that has itself as its body. Such a
middleware hands a message it finds there to the next `send`, unread, through any number of layers; the server at last
asks it for its bytes, and at that moment it raises the failure, in the outermost app. There it belongs.

*Why closing is not enough.* A server closes a connection by sending first what it has buffered. To a client that does
not read, that takes for ever, and the descriptor and the buffers stay. Only the transport can abort, and ASGI has no
word for that. So we look for it behind `receive` and `send`, as far as they are Python's; where there is none in reach
(granian), closing is left to the server.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

__all__ = ["breaking", "cut", "is_closing", "reachable", "transport_of"]

_LINKS = ("__self__", "__wrapped__", "func", "send", "_send", "receive", "_receive", "transport", "writer")
_MOST = 200  # objects to look at


def breaking(failure: BaseException) -> dict[str, Any]:
    """Return a message for `send` that makes whoever wants to put it on the wire raise `failure`.

    Example: `await send(breaking(error))` raises `error`, there or further out.
    """
    message = _Breaking(type="http.response.body", more_body=True)
    message["body"] = message
    message.failure = failure
    return message


class _Breaking(dict[str, Any]):
    """A body that cannot be sent."""

    failure: BaseException

    def _refuse(self, *_: object) -> NoReturn:
        raise self.failure

    def __bool__(self) -> bool:
        return True

    __len__ = __iter__ = __bytes__ = __buffer__ = _refuse


def cut(scope: Mapping[str, Any], *ends: object) -> bool:
    """Abort the connection behind `receive` or `send`; return whether it was found.

    Not over HTTP/2, where other responses use the same connection.
    """
    if not str(scope.get("http_version", "")).startswith("1"):
        return False
    transport = transport_of(*ends)
    if transport is None:
        return False
    _reset(transport.get_extra_info("socket"))
    transport.abort()
    return True


def is_closing(*ends: object) -> bool:
    """Whether the connection behind `receive` or `send` is seen to be closed, or about to be."""
    asked = getattr(transport_of(*ends), "is_closing", None)
    return asked is not None and bool(asked())


def transport_of(*ends: object) -> Any:
    """Return the connection behind `receive` or `send`, `None` where it is out of reach."""
    return next(filter(_is_transport, reachable(*ends)), None)


def _reset(connection: Any) -> None:
    """Have the kernel drop what it still holds, too, and tell the client so: it would keep that for minutes."""
    with contextlib.suppress(AttributeError, OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _is_transport(thing: Any) -> bool:
    return callable(getattr(thing, "abort", None)) and callable(getattr(thing, "get_extra_info", None))


def reachable(*ends: object) -> Iterator[Any]:
    """Walk from functions and methods to what they are bound to and close over, nearest first."""
    waiting, seen = list(ends), set(map(id, ends))
    for thing in waiting:
        yield thing
        for next_one in _links(thing):
            if id(next_one) not in seen and len(seen) < _MOST:
                seen.add(id(next_one))
                waiting.append(next_one)


def _links(thing: object) -> Iterator[object]:
    """What stands directly behind it; plain data has nothing behind it."""
    if isinstance(thing, (str, bytes, int, float, dict, list, tuple, type, type(None))):
        return
    for cell in getattr(thing, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is empty
            continue
    for name in _LINKS:
        found = getattr(thing, name, None)
        if found is not None:
            yield found
