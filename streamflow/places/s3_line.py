"""The line to S3 for requests of our own, by `urllib`, with the options that obstore's client was given.

What lives here: `Line`, which sends a request and reads its answer, and `Sending`, a request that can be given up. What
must not: signing, repeating, what an answer means, the loop.

Of `client_options` these count here: the timeouts, `proxy_url`, `root_certificate`, `allow_invalid_certificates`,
`user_agent`, `default_headers` and `pool_idle_timeout`. Without `proxy_url` proxies are taken from the environment, as
obstore does. Of what obstore can and this line cannot, `obeys` tells.

How it works. `urllib` knows of proxies and closes each connection. A line that keeps its connections hands it a loan of
one instead (`s3_connections.py`), and takes the connection back when the answer has been read.
"""

from __future__ import annotations

import http.client
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

from streamflow.places.patience import Patience
from streamflow.places.s3_connections import Connections, Loan, Sending

__all__ = ["Line", "Sending"]

_PIECE = 64 * 1024
_UNSAID = {"proxy_excludes", "proxy_ca_certificate", "http2_only"}
_FINAL = 200  # what is below announces another answer


class Line:
    """A way to the server. All of it blocks: use it in a thread. Several threads may.

    Example: `sending = line.request("GET", url)`, then
    `with line.open(sending) as answer: body = line.read(answer, 1_000_000, sending)`.

    Args:
        options: obstore's `client_options`, all texts but for the certificate and the headers.
        patience: whose timeouts count.
    """

    def __init__(self, options: Mapping[str, Any], patience: Patience) -> None:
        """Open nothing yet."""
        self._options = options
        self._patience = patience
        self._connections = Connections(patience.pool_idle_timeout)
        self._opener: urllib.request.OpenerDirector | None = None

    @property
    def obeys(self) -> bool:
        """Whether this line goes the way that obstore's client would go: that one knows more kinds of proxies."""
        own, found = self._options.get("proxy_url"), urllib.request.getproxies()
        proxies = [own] if own else [found[name] for name in ("http", "https", "all") if name in found]
        strange = any("://" in proxy and not proxy.startswith("http://") for proxy in proxies)
        # obstore goes to a proxy that it was given in any case; of one in the environment it excepts networks too.
        excepted = "no" in found if own else bool(proxies) and "/" in found.get("no", "")
        return not (strange or excepted or _UNSAID & self._options.keys())

    def request(
        self, method: str, url: str, body: Sequence[memoryview], headers: Mapping[str, str], within: float = 1.0
    ) -> Sending:
        """Return a request to be opened now; it may take so many times longer than others."""
        told = {**headers, "content-length": str(sum(map(len, body)))} if body else dict(headers)
        data: Any = list(body) or None  # urllib sends what can be iterated over, again if it has to
        sending = Sending(url, data=data, headers=told, method=method)
        sending.quiet, sending.pace = self._patience.read_timeout, self._patience.timeout
        sending.allowed = self._patience.timeout * within
        sending.deadline = time.monotonic() + sending.allowed
        return sending

    def open(self, sending: Sending) -> http.client.HTTPResponse:
        """Send the request and wait for the head of its answer. Raises as `urlopen`."""
        if self._opener is None:
            self._opener = self._made()
        answer: http.client.HTTPResponse = self._opener.open(sending, timeout=sending.left())
        return answer

    def read(self, answer: http.client.HTTPResponse, most: int, sending: Sending) -> bytes:
        """Return the body, about so many bytes of it at most.

        Raises `TimeoutError` when the whole request takes too long.
        """
        pieces, size = [], 0
        while size < most and (piece := answer.read1(_PIECE)):
            pieces.append(piece)
            size += len(piece)
            sending.left()
        if not answer.length and answer.status >= _FINAL:
            self._connections.back(sending)
        return b"".join(pieces)

    def over(self, sending: Sending) -> None:
        """Let go of what a request still holds."""
        self._connections.over(sending)

    def keep(self) -> None:
        """Keep connections for further requests, until `close`."""
        self._connections.keeps = True

    def close(self) -> None:
        """Close the connections that were kept; those of later requests are not."""
        self._connections.close()

    def _made(self) -> urllib.request.OpenerDirector:
        found = urllib.request.getproxies()
        found = {name: found.get(name) or found.get("all", "") for name in ("http", "https")}
        if proxy := self._options.get("proxy_url"):
            found = {"http": proxy, "https": proxy}
        within = min(self._patience.connect_timeout, self._patience.timeout)
        # Only these: a redirection would take the signature elsewhere, and what an error is, is said in the answer.
        opener = urllib.request.OpenerDirector()
        opener.add_handler(urllib.request.ProxyHandler({name: there for name, there in found.items() if there}))
        opener.add_handler(_Plain(self._connections, within))
        opener.add_handler(_Secure(self._connections, within, self._trust))
        headers = {name: _text(value) for name, value in dict(self._options.get("default_headers") or {}).items()}
        if agent := self._options.get("user_agent"):
            headers = {"User-Agent": agent, **headers}
        opener.addheaders = list(headers.items()) or opener.addheaders
        return opener

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        # As obstore does: a certificate that is trusted needs no other above it, nor every extension of RFC 5280.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if own := self._options.get("root_certificate"):
            context.load_verify_locations(cadata=_text(own))
        if str(self._options.get("allow_invalid_certificates", "")).lower() == "true":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _ours(request: urllib.request.Request) -> Sending:
    if not isinstance(request, Sending):
        raise TypeError("not a request of this line")
    return request


class _Plain(urllib.request.HTTPHandler):
    def __init__(self, connections: Connections, within: float) -> None:
        super().__init__()
        self._connections = connections
        self._within = within

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(Loan, self._connections, _ours(req), within=self._within), req)


class _Secure(urllib.request.HTTPSHandler):
    def __init__(self, connections: Connections, within: float, trust: Callable[[], ssl.SSLContext]) -> None:
        # Not that of HTTPSHandler: it would read the system's certificates, which takes a moment, for plain HTTP too.
        urllib.request.AbstractHTTPHandler.__init__(self)
        self._connections = connections
        self._within = within
        self._trust = cache(trust)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        loan = partial(Loan, self._connections, _ours(req), within=self._within, trust=self._trust())
        return self.do_open(loan, req)
