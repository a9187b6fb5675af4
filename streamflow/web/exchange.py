"""A response on its way to one client, and what becomes of it.

What lives here: `Exchange`. What must not: how bytes travel (sending.py), who is at the other end (client.py).

A response is a pipeline: a stream, and a sink that sends. The request's task waits for it and attends to the client.

    everything sent              "complete"     the connection goes on
    the client gone              "disconnect"   nothing is raised: nobody is there to be told
    the client too slow          "disconnect"   the connection is aborted
    cancelled by the server      "disconnect"   the cancellation goes on
    failed before the first byte "error"        raised: the framework answers; where there is none, we do
    failed later                 "error"        the connection breaks, and the error is raised

What is to be done at the end is done in a task of its own, which neither kind of cancellation reaches, and which has
`grace` seconds. By then everything that was open is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse

from streamflow.engine.lone import Lone
from streamflow.engine.shielding import finish
from streamflow.engine.telling import described
from streamflow.errors import PipelineTimeout, StageDidNotStop
from streamflow.observe.statistics import RunStats, snapshot
from streamflow.stages import Plan, Source
from streamflow.streams import Pipeline, Stream
from streamflow.web.client import Client, Reason, Send
from streamflow.web.compressing import encoder
from streamflow.web.cutting import breaking, cut
from streamflow.web.direct import Direct
from streamflow.web.endings import Outcome, Sent, settle
from streamflow.web.inbox import Inbox, Receive
from streamflow.web.negotiation import negotiated
from streamflow.web.refusals import ClientDisconnected
from streamflow.web.sending import Delivery, Head
from streamflow.web.settings import MAXSIZE, Settings

__all__ = ["Exchange"]

_CHUNKS = 256  # that of the last one, whose items are bytes
_GONE = 499  # a status that nobody gets to see: some middlewares insist on one
_BREAKING = 1.0  # seconds that a server may take for the message that it cannot send
_SERVER_ERROR = 500
_SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}  # a body of such a request has no meaning

_log = logging.getLogger("streamflow.web")


def _only_source(stream: Stream[Any]) -> Source[Any] | None:
    """Return the source of a stream that is one async source and nothing else: it can send for itself."""
    source, stages = stream.__streamflow_parts__
    return None if stages or source.synchronous else source


def _with_room(stream: Stream[Any], maxsize: int) -> Stream[Any]:
    """Let more small chunks wait before the sink: they are bounded by their bytes, and each wait costs.

    Not where somebody has said how many may wait, or wants to know whether the client is busy.
    """
    source, stages = stream.__streamflow_parts__
    said = source.output_capacity is not None or any(stage.output_capacity is not None for stage in stages)
    if maxsize != MAXSIZE or said or (stages and stages[-1].capacity is not None):
        return stream
    return stream.buffer(_CHUNKS)


def _on_one_line(path: str) -> str:
    """Return a path that cannot write lines of its own into a log: clients may send it any character."""
    return path if path.isprintable() else repr(path)


class Exchange:
    """One response to one client; `run` sends it. The arguments are the response's and the server's."""

    def __init__(
        self,
        stream: Stream[Any],
        options: Settings,
        head: Head,
        *,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> None:
        """Plan it; nothing is read or sent yet."""
        self.outcome: Outcome | None = None
        self._options = options
        self._head = head
        self._scope = scope
        self._receive = receive
        self._send = send
        self._name = options.name or f"response to {scope['method']} {_on_one_line(scope['path'])}"
        self._client = self._client_of(Inbox.watching(scope, receive))
        self._delivery = self._delivery_to(self._client)
        self._job = self._job_of(stream)
        self._troubles: list[str] = []
        self._began = time.perf_counter()

    def _client_of(self, inbox: Inbox) -> Client:
        return Client(
            inbox,
            self._send,
            send_timeout=self._options.send_timeout,
            min_rate=self._options.min_rate,
            ignore_body=self._options.ignore_body or self._scope["method"] in _SAFE,
        )

    def _job_of(self, stream: Stream[Any]) -> Pipeline[None] | Lone:
        options, source = self._options, _only_source(stream)
        limits = (options.maxsize, options.max_bytes, options.grace)
        if source is not None:
            direct = Direct(self._delivery, self._client.fail, min_chunk=options.min_chunk, within=options.within)
            return Lone(Plan(source, (), None, self._name, *limits), lambda: direct.sending(source.open()))
        maxsize, max_bytes, grace = limits
        flow = _with_room(stream, maxsize)
        return flow.to(self._delivery.deliver, name=self._name, maxsize=maxsize, max_bytes=max_bytes, grace=grace)

    def _delivery_to(self, client: Client) -> Delivery:
        head, options = self._head, self._options
        coding = negotiated(Headers(scope=self._scope), head.headers, head.status, options.compress)
        codec = encoder(coding) if coding is not None else None
        return Delivery(client, head, codec, min_chunk=options.min_chunk, within=options.within)

    # --- sending -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send it, and see it to its end. Raises what the stream raises; not that the client is gone.

        Cancellation: stops the stream, waits until everything is closed and told, then goes on.
        """
        try:
            if self._scope["method"] == "HEAD":
                await self._send_head()
            else:
                await self._send_stream()
        finally:
            Inbox.forget(self._scope)

    async def _send_head(self) -> None:
        await self._send(self._head.message())
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_stream(self) -> None:
        client = self._client
        try:
            async with client:
                await self._run()
        except asyncio.CancelledError:
            # It may come when there is nothing left to do.
            ended = self._delivery.ended
            await self._at_the_end(self._tell("complete", self._sent()) if ended else self._given_up("cancelled"))
            raise
        except BaseException as error:
            if isinstance(error, ClientDisconnected) and client.gone:
                await self._at_the_end(self._given_up("left"))
                return
            await self._at_the_end(self._failed(error))
            if self._is_answered(error):
                return
            raise
        if self._delivery.ended:
            await self._complete()
        else:
            await self._at_the_end(self._given_up(client.reason or "cancelled"))

    async def _run(self) -> None:
        try:
            await self._job.run()
        except asyncio.CancelledError as error:
            # Somebody may take the cancellation back, and with it what failed while everything was closed.
            self._troubles += getattr(error, "__notes__", ())
            raise

    # --- the end -------------------------------------------------------------------------------------------------

    async def _at_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what is left to do for a response that failed; that this takes too long must not hide why it did."""
        try:
            await finish(work, grace=self._options.grace)
        except (PipelineTimeout, StageDidNotStop):
            _log.exception("%s: what was to be done at its end", self._name)

    async def _complete(self) -> None:
        self._settle("complete")
        if self._options.calls.complete is not None:
            await finish(self._completed(), grace=self._options.grace)

    async def _completed(self) -> None:
        await self._options.calls.tell("complete", self._sent())

    def _sent(self) -> Sent:
        seconds = time.perf_counter() - self._began
        return Sent(self._head.status, self._delivery.bytes, seconds, self._client.waited, self._stats())

    def _stats(self) -> RunStats:
        return snapshot(self._job) if isinstance(self._job, Lone) else self._job.stats()

    async def _given_up(self, reason: Reason) -> None:
        _log.info("%s: given up after %d bytes: the client %s", self._name, self._delivery.bytes, _TOLD[reason])
        for trouble in self._troubles:
            _log.error("%s: %s", self._name, trouble)
        if reason in {"stalled", "slow"} or (reason == "cancelled" and self._is_unframed):
            await self._cut(reason)
        elif reason == "left" and not self._delivery.started:
            await self._pretend()
        await self._tell("disconnect", reason)

    async def _failed(self, error: BaseException) -> None:
        refused = isinstance(error, HTTPException) and error.status_code < _SERVER_ERROR
        if refused and not self._delivery.started:
            _log.info("%s: refused: %s", self._name, described(error))
        else:
            _log.error("%s failed after %d bytes", self._name, self._delivery.bytes, exc_info=error)
        if self._delivery.started:
            await self._break(error)
        elif self._is_bare:
            await self._answer(error)
        await self._tell("error", error)

    def _settle(self, ended: Outcome) -> None:
        self.outcome = ended
        settle(self._scope, ended)

    async def _tell(self, ended: Outcome, what: object) -> None:
        """Say how it ended; a failure of who is told must not hide what it is told about."""
        self._settle(ended)
        try:
            await self._options.calls.tell(ended, what)
        except Exception:  # noqa: BLE001  # logged, whatever it is
            _log.exception("%s: on_%s failed", self._name, ended)

    async def _break(self, error: BaseException) -> None:
        """Let the server find out by a message that it cannot send; where it waits for the client, do not."""
        if self._is_unframed:
            cut(self._scope, self._receive, self._send)
        limit = asyncio.timeout(_BREAKING)
        try:
            async with limit:
                await self._send(breaking(error))
        except asyncio.CancelledError:
            raise
        except BaseException:  # noqa: BLE001  # most likely `error` itself, which is on its way anyhow
            if limit.expired():
                cut(self._scope, self._receive, self._send)

    @property
    def _is_unframed(self) -> bool:
        """Whether the body ends where the connection does, so that only a reset can tell that it is not whole."""
        return self._delivery.started and self._scope.get("http_version") == "1.0"

    async def _cut(self, reason: Reason) -> None:
        """Abort the connection: closing it would wait for a client that does not read."""
        if cut(self._scope, self._receive, self._send):
            await asyncio.sleep(0)  # the server hears of it before it sees us return
            await asyncio.sleep(0)
        else:
            await self._break(PipelineTimeout(f"{self._name}: the client {_TOLD[reason]}"))

    async def _pretend(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_BREAKING):
                await PlainTextResponse(b"", _GONE)(self._scope, self._receive, self._send)

    # --- without a framework -------------------------------------------------------------------------------------

    @property
    def _is_bare(self) -> bool:
        """Whether there is no framework that answers for errors: not every server's own 500 has a body."""
        return "app" not in self._scope

    def _is_answered(self, error: BaseException) -> bool:
        refused = isinstance(error, HTTPException) and error.status_code < _SERVER_ERROR
        return refused and self._is_bare and not self._delivery.started

    async def _answer(self, error: BaseException) -> None:
        answer = PlainTextResponse("Internal Server Error", _SERVER_ERROR)
        if isinstance(error, HTTPException):
            answer = PlainTextResponse(error.detail, error.status_code, headers=error.headers)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_BREAKING):
                await answer(self._scope, self._receive, self._send)


_TOLD: dict[Reason, str] = {
    "left": "has left",
    "stalled": "took nothing for longer than send_timeout",
    "slow": "took less than min_rate",
    "cancelled": "was not served any more: the server cancelled the request",
}
