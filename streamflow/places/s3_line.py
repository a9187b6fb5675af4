"""The line to S3 for small requests, by `urllib`, with the options that obstore's client was given.

What lives here: `Line`, which opens a request. What must not: signing, repeating, what an answer means, the loop.

Of `client_options` these count here: the timeouts, `proxy_url`, `root_certificate`, `allow_invalid_certificates`,
`user_agent` and `default_headers`. Without `proxy_url` proxies are taken from the environment, as obstore does.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from streamflow.places.patience import Patience

__all__ = ["Line"]

_PIECE = 64 * 1024


class Line:
    """A way to the server. All of it blocks: use it in a thread.

    Example: `began = time.monotonic()`, then
    `with line.open(request) as answer: body = line.read(answer, 1_000_000, began)`.

    Args:
        options: obstore's `client_options`, all texts but for the certificate and the headers.
        patience: whose timeouts count.
    """

    def __init__(self, options: Mapping[str, Any], patience: Patience) -> None:
        """Open nothing yet."""
        self._options = options
        self._patience = patience
        self._opener: urllib.request.OpenerDirector | None = None

    def open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        """Send the request and wait for the head of its answer. Raises as `urlopen`."""
        if self._opener is None:
            self._opener = self._made()
        longest = min(self._patience.timeout, self._patience.read_timeout)
        answer: http.client.HTTPResponse = self._opener.open(request, timeout=longest)
        return answer

    def read(self, answer: http.client.HTTPResponse, most: int, began: float) -> bytes:
        """Return the body, about so many bytes of it at most.

        Raises `TimeoutError` when the whole request, begun at that time of the monotonic clock, takes too long.
        """
        pieces, size = [], 0
        while size < most and (piece := answer.read1(_PIECE)):
            pieces.append(piece)
            size += len(piece)
            if time.monotonic() > began + self._patience.timeout:
                raise TimeoutError(f"the answer took longer than {self._patience.timeout:g} s")
        return b"".join(pieces)

    def _made(self) -> urllib.request.OpenerDirector:
        proxy = self._options.get("proxy_url")
        within = min(self._patience.connect_timeout, self._patience.timeout)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None),
            _Plain(within),
            _Secure(within, self._trust),
        )
        headers = {name: _text(value) for name, value in dict(self._options.get("default_headers") or {}).items()}
        if agent := self._options.get("user_agent"):
            headers = {"User-Agent": agent, **headers}
        opener.addheaders = list(headers.items()) or opener.addheaders
        return opener

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        if own := self._options.get("root_certificate"):
            context.load_verify_locations(cadata=_text(own))
        if str(self._options.get("allow_invalid_certificates", "")).lower() == "true":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


class _Connection(http.client.HTTPConnection):
    """A connection that has less time to come about than to answer."""

    def __init__(self, *arguments: Any, within: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._within = within

    def connect(self) -> None:
        answering, self.timeout = self.timeout, self._within
        super().connect()
        self.timeout = answering
        self.sock.settimeout(answering)


class _SecureConnection(_Connection, http.client.HTTPSConnection):
    pass


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, within: float) -> None:
        super().__init__()
        self._within = within

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Connection, within=self._within), req)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, within: float, trust: Callable[[], ssl.SSLContext]) -> None:
        # Not that of HTTPSHandler: it would read the system's certificates, which takes a moment, for plain HTTP too.
        urllib.request.AbstractHTTPHandler.__init__(self)
        self._within = within
        self._trust = cache(trust)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_SecureConnection, within=self._within, context=self._trust()), req)
