"""S3's requests that obstore has no call for: those with a query, such as `POST /bucket/key?uploads`.

What lives here: `S3Requests`, which has them signed by obstore and sends them. What must not: what they are good for.

How it works. obstore signs a URL for an address that it makes from its endpoint and a key. A store is made whose
endpoint is the whole address with the query, ending in a parameter `x-path` that takes the key: S3 ignores parameters
that begin with `x-`. So credentials of any kind (environment, instance, provider) work as in every other request, and
they never pass through here. Small requests are sent by `urllib` in a thread (`s3_line.py`) and repeated when the
server or the line fails, as long and as often as obstore was told for its own (`patience.py`); a part, which is large,
is sent by obstore itself to the same kind of address.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

from streamflow.engine.threads import Worker
from streamflow.places.obstore_library import translated
from streamflow.places.patience import patience
from streamflow.places.s3_answers import Answer, exchanged
from streamflow.places.s3_line import Line

__all__ = ["S3Requests"]

_LIFE = 60  # seconds that a signed URL is good for


class S3Requests:
    """Requests to one address: an object, or a bucket.

    Example: `root = await requests.send("GET", {"uploads": ""})`.

    Args:
        store: obstore's `S3Store`, for its configuration and credentials.
        api: the module `obstore`.
        address: the HTTP address of the object or of the bucket, without a query.
        url: `s3://bucket/key`, for errors.
        secrets: values that must not appear in errors.
    """

    def __init__(self, store: Any, api: Any, address: str, url: str, secrets: list[str]) -> None:
        """Send nothing yet."""
        self.url = url
        self._store = store
        self._api = api
        self._address = address
        self._secrets = secrets
        self._patience = patience(store)
        self._line = Line(dict(store.client_options or {}), self._patience)

    async def put(self, query: Mapping[str, str], data: bytes) -> str | None:
        """Send a large body by obstore, with its checksums and repetitions. Returns the answer's ETag."""
        try:
            answer = await self._api.put_async(self._at(query), "k", data, use_multipart=False)
        except Exception as error:  # noqa: BLE001  # whatever it is, its text may hold credentials
            failure = translated(error, self.url, self._secrets)
        else:
            tag: str | None = answer["e_tag"]
            return tag
        # Outside the except block, so that the original is not chained to it.
        raise failure

    async def send(
        self, method: str, query: Mapping[str, str], body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> ET.Element | None:
        """Send a small request until it is answered; returns the answer as XML, `None` if it is empty.

        An error inside an answer of status 200 is an error (H65). Raises `OSError`s without credentials:
        `FileNotFoundError` for 404, `FileExistsError` for 409 and 412, `PermissionError` for 401 and 403.

        Args:
            method: of the request.
            body: of the request.
            query: no header that begins with `x-amz-` may go along unsigned; S3 takes those here as well.
            headers: others.

        Cancellation: waits for the request under way.
        """
        answer = await self._answered(method, query, body, headers or {})
        return answer.judged(f"{method} {self._address}", self.url, self._secrets)

    async def ask(self, query: Mapping[str, str]) -> tuple[ET.Element | None, datetime | None]:
        """Return the answer to a GET as XML, and the time of the server's clock. Raises and is cancelled as `send`."""
        answer = await self._answered("GET", query, None, {})
        return answer.judged(f"GET {self._address}", self.url, self._secrets), answer.date

    async def head(self, query: Mapping[str, str]) -> Mapping[str, str]:
        """Return the headers of the object, with names in small letters. Raises and is cancelled as `send`."""
        answer = await self._answered("HEAD", query, None, {})
        answer.judged(f"HEAD {self._address}", self.url, self._secrets)
        return answer.headers

    async def _answered(
        self, method: str, query: Mapping[str, str], body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        waits, latest = self._patience.waits(), time.monotonic() + self._patience.retry_timeout
        async with Worker("streamflow-s3") as worker:
            while True:
                # Signed anew each time: credentials and signatures expire.
                url = await self._signed(method, query)
                request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310  # obstore's
                answer = await worker.call(exchanged, request, self._line)
                wait = next(waits, None)
                if not answer.repeatable or wait is None or time.monotonic() + wait > latest:
                    return answer
                await asyncio.sleep(wait)

    async def _signed(self, method: str, query: Mapping[str, str]) -> str:
        try:
            return str(await self._api.sign_async(self._at(query), method, "k", timedelta(seconds=_LIFE)))
        except Exception as error:  # noqa: BLE001  # whatever it is, its text may hold credentials
            failure = translated(error, self.url, self._secrets)
        raise failure

    def _at(self, query: Mapping[str, str]) -> Any:
        """Return a store whose every key is this address with this query."""
        endpoint = f"{self._address}?{urlencode(query, quote_via=quote, safe='')}&x-path="
        config = {name: value for name, value in dict(self._store.config).items() if "endpoint" not in name}
        config |= {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint, "virtual_hosted_style_request": "true"}
        return type(self._store)(
            config=config,
            client_options=self._store.client_options,
            retry_config=self._store.retry_config,
            credential_provider=self._store.credential_provider,
        )
