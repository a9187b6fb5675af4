"""Connections to S3 that may serve more than one request, lent to `urllib`, which would close each after one.

What lives here: `Sending`, a request with its deadline; `Connections`, those that are kept; `Loan`, what `urllib` is
given. What must not: addresses, proxies, trust, what is sent.

How it works. `urllib` closes the socket of the connection that it was given; a loan has none, and hands everything to
the connection behind it. That one is given back when the answer has been read, and used for a later request to the same
place. The server may have closed it by then: a request that fails on it unanswered is sent once more over a new one.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from typing import Any

from streamflow.places.blocks import MIB
from streamflow.places.s3_heads import Response

__all__ = ["Connections", "Loan", "Sending"]

# What it is called when the other side has closed the connection.
_GONE = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)


class Sending(urllib.request.Request):
    """A request that has so much time, and that another thread may give up.

    Attributes:
        allowed: seconds for the whole of it, for the error.
        deadline: when it must be over, by the monotonic clock.
        quiet: seconds without a byte of the answer.
        pace: seconds for each MiB of the body: a large part has hours, but not for standing still.
        connection: what it is sent over.
        dropped: whether it was given up.
    """

    allowed = float("inf")
    deadline = float("inf")
    quiet = float("inf")
    pace = float("inf")
    connection: _Connection | None = None
    dropped = False

    def left(self) -> float:
        """Return the seconds left. Raises `TimeoutError` if there are none, or an error if it was given up."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"timed out: the answer took longer than {self.allowed:g} s")
        if self.dropped:
            raise ConnectionAbortedError("given up")
        return left

    def drop(self) -> None:
        """Make it fail at once, from any thread."""
        self.dropped = True
        connection = self.connection  # its thread may put it away meanwhile
        if connection is not None and (line := connection.sock or connection.line) is not None:
            try:
                socket.socket.shutdown(line, socket.SHUT_RDWR)  # not TLS's own, which would talk to the other side
            except OSError:
                return  # it has ended by itself


class _Connection(http.client.HTTPConnection):
    """One that has less time to come about than to answer, and that sends in pieces, so that it can be stopped."""

    response_class = Response

    def __init__(self, host: str, *, within: float, **options: Any) -> None:
        super().__init__(host, timeout=within, **options)
        self.sending = Sending("http://none")
        self.line: socket.socket | None = None  # `sock` is forgotten when the answer will be the last one
        self.used = 0.0

    def connect(self) -> None:
        super().connect()
        self.line = self.sock
        self.sending.left()

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        view = memoryview(data)
        for at in range(0, len(view), MIB):
            self.sock.settimeout(min(self.sending.left(), self.sending.pace))
            self.sock.sendall(view[at : at + MIB])

    def answer(self) -> http.client.HTTPResponse:
        if self.sock is not None:
            self.sock.settimeout(min(self.sending.left(), self.sending.quiet))
        return self.getresponse()


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class Connections:
    """Those that are not in use, if `keeps` says that they are kept at all.

    Args:
        good_for: how many seconds after its last request one is used again; what lies between may have forgotten it.
    """

    def __init__(self, good_for: float) -> None:
        """Make none yet."""
        self.keeps = False
        self._good_for = good_for
        self._idle: dict[object, list[_Connection]] = {}
        self._places: dict[_Connection, object] = {}
        self._lock = threading.Lock()

    def taken(self, place: object) -> _Connection | None:
        """Return the one to this place that was used last, if there is one that is still good."""
        with self._lock:
            idle = self._idle.get(place) or []
            if idle and time.monotonic() - idle[-1].used < self._good_for:
                return idle.pop()
            old, idle[:] = idle[:], []
            for connection in old:
                self._places.pop(connection, None)
        for connection in old:
            connection.close()
        return None

    def lend(self, connection: _Connection, place: object) -> None:
        """Remember where a new one leads."""
        with self._lock:
            self._places[connection] = place

    def back(self, sending: Sending) -> None:
        """Take back the connection of a request whose answer has been read."""
        connection = sending.connection
        with self._lock:
            if not self.keeps or connection is None or connection.sock is None or sending.dropped:
                return
            connection.used = time.monotonic()
            self._idle.setdefault(self._places[connection], []).append(connection)
            sending.connection = None

    def over(self, sending: Sending) -> None:
        """Close the connection of a request if it was not taken back."""
        connection, sending.connection = sending.connection, None
        if connection is not None:
            with self._lock:
                self._places.pop(connection, None)
            connection.close()

    def close(self) -> None:
        """Close those that are kept, and keep none from now on."""
        with self._lock:
            self.keeps = False
            idle = [connection for kept in self._idle.values() for connection in kept]
            self._idle.clear()
            self._places.clear()
        for connection in idle:
            connection.close()


class Loan(http.client.HTTPConnection):
    """What `urllib` takes for a connection of its own."""

    def __init__(
        self,
        connections: Connections,
        sending: Sending,
        host: str,
        *,
        timeout: float,
        within: float,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Open nothing yet."""
        super().__init__(host, timeout=timeout)
        self._connections = connections
        self._sending = sending
        self._host = host
        self._within = within
        self._trust = trust
        self._through: tuple[str, Mapping[str, str]] | None = None
        self._used = False
        self._broken: OSError | None = None

    def set_tunnel(self, host: str, port: int | None = None, headers: Mapping[str, str] | None = None) -> None:  # noqa: ARG002  # urllib gives it with the host
        """Go through a proxy."""
        self._through = (host, dict(headers or {}))

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **_: Any) -> None:
        """Send it over a connection that was kept, or over a new one."""
        told = {name: value for name, value in headers.items() if name != "Connection" or not self._connections.keeps}
        self._asked = (method, url, body, told)
        self._inner = self._connections.taken(self._place())
        self._used = self._inner is not None
        self._send()

    def getresponse(self) -> http.client.HTTPResponse:
        """Return the answer; if a kept connection gives none, that of a new one."""
        try:
            return self._answer()
        except _GONE:
            if not self._used or self._sending.dropped:
                raise
        self._connections.over(self._sending)
        self._inner, self._used, self._broken = None, False, None
        self._send()
        return self._answer()

    def close(self) -> None:
        """Nothing: who sends the request sees to it."""

    def _place(self) -> object:
        return self._trust is not None, self._host, self._through and self._through[0]

    def _send(self) -> None:
        connection = self._inner or self._made()
        self._inner = self._sending.connection = connection
        connection.sending = self._sending
        try:
            connection.request(*self._asked)
        except _GONE as error:
            self._broken = error  # the server may have answered before it had heard all

    def _made(self) -> _Connection:
        secure = {"context": self._trust} if self._trust is not None else {}
        made = (_SecureConnection if secure else _Connection)(self._host, within=self._within, **secure)
        if self._through is not None:
            made.set_tunnel(self._through[0], headers=dict(self._through[1]))
        self._connections.lend(made, self._place())
        return made

    def _answer(self) -> http.client.HTTPResponse:
        connection, broken = self._inner, self._broken
        if connection is None:
            raise http.client.NotConnected
        try:
            return connection.answer()
        except (OSError, http.client.HTTPException):
            if broken is not None:
                raise broken from None
            raise
