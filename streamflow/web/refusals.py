"""What is wrong with a request, as errors that are answers: streamflow's own, and Starlette's `HTTPException`s.

What lives here: the errors. What must not: who raises them.

A framework turns them into a response as long as none has begun. The client is told the first sentence only (`detail`);
whoever reads the log is told what to change, too.

    RequestTooLarge      413   a `LimitExceeded`
    RequestTimeout       408   a `PipelineTimeout`
    MalformedForm        400   a `FormatError`; 415 where it is no form at all
    ClientDisconnected    -    nobody is there to be answered; a `TruncatedError`, and Starlette's errors
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect

from streamflow.errors import FormatError, LimitExceeded, PipelineTimeout, TruncatedError

__all__ = ["ClientDisconnected", "MalformedForm", "Refusal", "RequestTimeout", "RequestTooLarge", "refusing"]


class Refusal(HTTPException):
    """An error that is an answer: the part that the framework sees."""

    advice = ""

    def answer(self, status: int, detail: str, advice: str = "") -> None:
        """Set what the client is told, and what only the log is told."""
        HTTPException.__init__(self, status, detail)
        self.args = (detail, advice)
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.detail} {self.advice}".rstrip()


@contextmanager
def refusing(scope: Mapping[str, Any]) -> Iterator[None]:
    """Say in the answer that the rest of the body will not be read: HTTP/1 then cannot use the connection again."""
    try:
        yield
    except Refusal as refusal:
        if str(scope.get("http_version", "")).startswith("1"):
            refusal.headers = {"Connection": "close"}
        raise


class RequestTooLarge(Refusal, LimitExceeded):
    """The request has more bytes, or more parts, than it may have; answered with 413 (Content Too Large)."""

    def __init__(self, what: str, limit: int, name: str) -> None:
        """Say what there is too much of (`what`), and which argument (`name`) allows how much."""
        self.limit = limit
        advice = f"If such requests are meant to be served, say {name}= with a larger number."
        self.answer(413, f"{what}; {limit:,} are allowed.", advice)


class RequestTimeout(Refusal, PipelineTimeout):
    """The client took too long to send the request, or sent it too slowly; answered with 408 (Request Timeout)."""

    def __init__(self, limit: str) -> None:
        """Say which limit passed, for the log; the client is told that it was too slow."""
        self.answer(408, "The body of the request did not come in time.", f"({limit}.)")


class MalformedForm(Refusal, FormatError):
    """The body is not the form that its header promises; answered with 400, or 415 where the header promises none."""

    def __init__(self, what: str, status: int = 400) -> None:
        """Say what is wrong."""
        self.answer(status, what)


class ClientDisconnected(TruncatedError, ClientDisconnect, WebSocketDisconnect):
    """The client went away before it had sent everything, or before it had got everything. Nobody can be answered.

    It is also what Starlette raises for it, for requests and for WebSockets. `code` says how a WebSocket ended; else it
    is 1006, for a connection that broke.
    """

    def __init__(
        self, what: str = "The client went away before it had sent its whole request.", code: int = 1006
    ) -> None:
        """Say what was under way."""
        WebSocketDisconnect.__init__(self, code, what)
        self.args = (what,)

    def __str__(self) -> str:
        return self.reason
