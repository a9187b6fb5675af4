"""The two ways in which a request of our own to S3 gets its signature.

What lives here: `ByKeys` and `ByObstore`. What must not: sending, repeating, what a request is good for.

Where the keys are at hand (`s3_options.py`), a request is signed in its headers (`s3_signing.py`).

Else obstore signs a URL, for an address that it makes from its endpoint and a key. A store is made whose endpoint is
the whole address with the query, ending in a parameter `x-path` that takes the key: S3 ignores parameters that begin
with `x-`. Headers that begin with `x-amz-` must be signed; S3 takes them as parameters too, but for those of encryption
and of checksums. Each such store takes a moment to make and fetches its credentials anew, so this is for few requests.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from streamflow.places.s3_options import KeyRing, Options
from streamflow.places.s3_signing import UNSIGNED, query_of, signed

__all__ = ["ByKeys", "ByObstore", "Signer"]

_LIFE = 60  # seconds that a signed URL is good for
# A part may have a checksum only if the upload was begun with one, which a signed URL cannot say.
_OTHERWISE = {"endpoint", "aws_endpoint_url_s3", "checksum_algorithm"}


class Signer(Protocol):
    """Signs requests to S3."""

    async def signed(
        self, method: str, address: str, query: Mapping[str, str], headers: Mapping[str, str], digest: bytes
    ) -> tuple[str, Mapping[str, str]]:
        """Return the URL and the headers to send.

        Args:
            method: of the request.
            address: its URL without a query.
            query: to go behind it.
            headers: to send, with names in small letters.
            digest: SHA-256 of the body.
        """


class ByKeys:
    """Signs in the headers.

    Args:
        ring: the keys.
        scope: region, service and `aws4_request`, with slashes between.
        options: of the store.
    """

    def __init__(self, ring: KeyRing, scope: str, options: Options) -> None:
        """Ask nobody yet."""
        self._ring = ring
        self._scope = scope
        self._options = options

    async def signed(
        self, method: str, address: str, query: Mapping[str, str], headers: Mapping[str, str], digest: bytes
    ) -> tuple[str, Mapping[str, str]]:
        """Return the URL and all headers. What is sent by PUT carries its checksum, if the store was told so."""
        told = dict(headers)
        if method == "PUT" and self._options.checksum == "SHA256":
            told["x-amz-checksum-sha256"] = base64.b64encode(digest).decode()
        url, now = f"{address}?{query_of(query)}".rstrip("?"), datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        payload = UNSIGNED if self._options.unsigned else digest.hex()
        return url, signed(await self._ring.keys(), self._scope, now, method, url, payload, told)


class ByObstore:
    """Has URLs signed by obstore.

    Args:
        store: obstore's `S3Store`.
        api: the module `obstore`.
    """

    def __init__(self, store: Any, api: Any) -> None:
        """Ask nobody yet."""
        self._store = store
        self._api = api

    async def signed(
        self,
        method: str,
        address: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        digest: bytes,  # noqa: ARG002  # the body is left out of the signature of a URL
    ) -> tuple[str, Mapping[str, str]]:
        """Return the URL, with some of the headers in it, and the others."""
        inside = {name: value for name, value in headers.items() if name.startswith("x-amz-")}
        store = self.at(address, {**query, **inside})
        url = await self._api.sign_async(store, method, "k", timedelta(seconds=_LIFE))
        return str(url), {name: value for name, value in headers.items() if name not in inside}

    def at(self, address: str, query: Mapping[str, str]) -> Any:
        """Return a store whose every key is this address with this query."""
        endpoint = f"{address}?{urlencode(query, quote_via=quote, safe='')}&x-path="
        config = {name: value for name, value in dict(self._store.config).items() if name not in _OTHERWISE}
        config |= {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint, "virtual_hosted_style_request": "true"}
        return type(self._store)(
            config=config,
            client_options=self._store.client_options,
            retry_config=self._store.retry_config,
            credential_provider=self._store.credential_provider,
        )
