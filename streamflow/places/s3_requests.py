"""S3's requests that obstore has no call for: those with a query, such as `POST /bucket/key?uploads`.

What lives here: `S3Requests`, which sends them. What must not: how they are signed (`s3_signers.py`), what they are
good for.

How it works. A request is sent by `urllib` in a thread (`s3_line.py`) and repeated when the server or the line fails,
as long and as often as obstore was told for its own (`patience.py`). Without keys at hand a part, which is large, is
sent by obstore itself.

Digests are made by as many threads at once as there are processors: more would get ready later, all at the same time,
and nothing would be on its way meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar
from xml.etree import ElementTree as ET

from streamflow.engine.shielding import until_done
from streamflow.engine.threads import Worker
from streamflow.places.obstore_library import translated
from streamflow.places.patience import patience
from streamflow.places.s3_answers import Answer, exchanged
from streamflow.places.s3_line import Line, Sending
from streamflow.places.s3_options import KeyRing, Options
from streamflow.places.s3_signers import ByKeys, ByObstore, Signer

__all__ = ["S3Requests"]

R = TypeVar("R")

_QUICK = 64 * 1024
_SLACK = 0.1  # seconds


class S3Requests:
    """Requests to one address: an object, or a bucket.

    Example: `root = await requests.send("GET", {"uploads": ""})`.

    Args:
        store: obstore's `S3Store`, for its configuration and credentials.
        api: the module `obstore`.
        address: the HTTP address of the object or of the bucket, without a query.
        url: `s3://bucket/key`, for errors.
        secrets: values that must not appear in errors.
        keys: those at hand, and the scope of their signatures; `None` where obstore has to sign.
    """

    def __init__(  # noqa: PLR0917  # made in one place
        self, store: Any, api: Any, address: str, url: str, secrets: list[str], keys: tuple[KeyRing, str] | None
    ) -> None:
        """Send nothing yet."""
        self.url = url
        self.address = address
        self.options = Options(store)
        self.signs = keys is not None
        self._api = api
        self._secrets = secrets
        self._by_obstore = ByObstore(store, api)
        self._signer: Signer = ByKeys(*keys, self.options) if keys else self._by_obstore
        self._patience = patience(store)
        self._keeps = False
        self._idle: list[Worker] = []
        self._digesting = asyncio.Semaphore(os.cpu_count() or 1)
        self._line = Line(dict(store.client_options or {}), self._patience)
        self.obeys = self._line.obeys

    def keep(self) -> None:
        """Keep connections and threads for further requests, as many as were needed at once, until `close`."""
        self._keeps = True
        self._line.keep()

    async def close(self) -> None:
        """Close what was kept; further requests keep nothing. Call it inside `finish`."""
        self._keeps = False
        self._line.close()
        idle, self._idle = self._idle, []
        async with asyncio.TaskGroup() as group:
            for worker in idle:
                group.create_task(worker.close())

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[Worker]:
        worker = self._idle.pop() if self._idle else Worker("streamflow-s3")
        try:
            yield worker
        finally:
            if self._keeps:
                self._idle.append(worker)
            else:
                await worker.close()

    async def digest(self, body: Sequence[memoryview]) -> bytes:
        """Return the SHA-256 of a body. Cancellation: waits for the thread."""
        if sum(map(len, body)) < _QUICK:
            return _digest(body)
        async with self._digesting, self._worker() as worker:
            return await worker.call(_digest, body)

    async def put(
        self,
        query: Mapping[str, str],
        body: Sequence[memoryview],
        digest: bytes,
        headers: Mapping[str, str] | None = None,
        within: float = 1.0,
    ) -> Mapping[str, str]:
        """Send a large body with its checksum. Returns the headers of the answer, with names in small letters.

        Args:
            query: of the request.
            body: in pieces.
            digest: of the body.
            headers: others, for keys at hand only.
            within: how many times longer than other requests it may take.

        Raises as `send`. Cancellation: the request is dropped.
        """
        if not self.signs:
            store = self._by_obstore.at(self.address, query)
            answer = await self._asked(self._api.put_async(store, "k", b"".join(body), use_multipart=False))
            return {"etag": answer["e_tag"] or ""}
        headers = {"content-type": "application/octet-stream", **(headers or {})}  # else urllib calls it a form
        told = await self._answered("PUT", query, (body, digest), headers, within=within, droppable=True)
        told.judged(f"PUT {self.address}", self.url, self._secrets)
        return told.headers

    async def send(
        self,
        method: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        within: float = 1.0,
    ) -> ET.Element | None:
        """Send a small request until it is answered; returns the answer as XML, `None` if it is empty.

        An error inside an answer of status 200 is an error (H65). Raises `OSError`s without credentials:
        `FileNotFoundError` for 404, `FileExistsError` for 409 and 412, `PermissionError` for 401 and 403.

        Args:
            method: of the request.
            query: of the request.
            body: of the request.
            headers: others, with names in small letters.
            within: how many times longer than other requests it may take.

        Cancellation: waits for the request under way.
        """
        views = [memoryview(body)] if body else []
        answer = await self._answered(method, query, (views, _digest(views)), headers or {}, within=within)
        return answer.judged(f"{method} {self.address}", self.url, self._secrets)

    async def ask(self, query: Mapping[str, str]) -> tuple[ET.Element | None, datetime | None]:
        """Return the answer to a GET as XML, and the time of the server's clock. Raises and is cancelled as `send`."""
        answer = await self._answered("GET", query, _NOTHING, {})
        return answer.judged(f"GET {self.address}", self.url, self._secrets), answer.date

    async def head(self, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Mapping[str, str]:
        """Return the headers of the object, with names in small letters. Raises and is cancelled as `send`."""
        answer = await self._answered("HEAD", query, _NOTHING, headers or {})
        answer.judged(f"HEAD {self.address}", self.url, self._secrets)
        return answer.headers

    async def _answered(
        self,
        method: str,
        query: Mapping[str, str],
        body: tuple[Sequence[memoryview], bytes],
        headers: Mapping[str, str],
        *,
        within: float = 1.0,
        droppable: bool = False,
    ) -> Answer:
        waits, latest = self._patience.waits(), time.monotonic() + self._patience.retry_timeout * max(1.0, within)
        headers = {**headers, **self.options.of_all()}
        async with self._worker() as worker:
            while True:
                # Signed anew each time: credentials and signatures expire.
                url, told = await self._asked(self._signer.signed(method, self.address, query, headers, body[1]))
                sending = self._line.request(method, url, body[0], told, within)
                answer = await self._exchanged(worker, sending, droppable=droppable)
                wait = max(next(waits, float("inf")), answer.pause)
                if not answer.repeatable or time.monotonic() + wait > latest:
                    return answer
                await asyncio.sleep(wait)

    async def _exchanged(self, worker: Worker, sending: Sending, *, droppable: bool) -> Answer:
        asking = asyncio.ensure_future(worker.call(exchanged, sending, self._line))
        # The thread looks at the clock between bytes; of a head that trickles it sees none before the end.
        late = asyncio.get_running_loop().call_at(sending.deadline + _SLACK, sending.drop)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            if droppable:
                sending.drop()
            await until_done(asking)
            asking.exception()  # asked for, lest the loop complain
            raise
        finally:
            late.cancel()

    async def _asked(self, request: Awaitable[R]) -> R:
        """Wait for obstore, or for a credential provider, and translate how it failed."""
        try:
            return await request
        except Exception as error:  # noqa: BLE001  # whatever it is, its text may hold credentials
            failure = translated(error, self.url, self._secrets)
        # Outside the except block, so that the original is not chained to it.
        raise failure


def _digest(body: Sequence[memoryview]) -> bytes:
    found = hashlib.sha256()
    for view in body:
        found.update(view)
    return found.digest()


_NOTHING: tuple[Sequence[memoryview], bytes] = ([], _digest([]))
