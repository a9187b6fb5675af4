"""What one of obstore's S3 stores was told, as far as requests of our own must say the same.

What lives here: `Options`, with the headers that follow from them, and `KeyRing`, which finds the keys. What must not:
signing, requests.

How it works. obstore knows what it was given, and reads the environment for the rest; so does `Options`. Keys are at
hand where they were given, where they are in the environment, or where a `credential_provider` tells them. Those that
obstore fetches by itself from an instance, a container or a token service are not told to anybody.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from streamflow.engine.threads import Worker
from streamflow.places.s3_signing import Keys, reproduces

__all__ = ["KeyRing", "Options", "key_ring"]

_YES = {"1", "true", "on", "yes", "y", "requester"}
_SSE = "x-amz-server-side-encryption"
_AHEAD = timedelta(minutes=5)


class Options:
    """The options of an `S3Store` that matter to an upload.

    Example: `Options(store).checksum` is `"SHA256"` where parts carry it.
    """

    def __init__(self, store: Any) -> None:
        """Read them once."""
        self._config: Mapping[str, Any] = dict(store.config)
        self.content_type: str | None = dict(store.client_options or {}).get("default_content_type")

    def get(self, *names: str) -> str:
        """Return an option by one of its names; `""` if it was not given."""
        given = (self._config.get(name) for name in names)
        environment = (os.environ.get(f"AWS_{name.upper()}") for name in names)
        return next((str(value) for value in (*given, *environment) if value is not None), "")

    @property
    def checksum(self) -> str:
        """The algorithm of the parts' checksums, in capitals; `""` for none. Requests of ours know SHA-256 only."""
        return self.get("checksum_algorithm").upper()

    @property
    def encrypts(self) -> bool:
        """Whether the store is to encrypt what it is sent in a way that each upload has to name."""
        return bool(self.get("server_side_encryption"))

    @property
    def apart(self) -> bool:
        """Whether requests are not signed by the keys: not at all, or by those of a session with S3 Express."""
        return self._yes("skip_signature") or self._yes("s3_express")

    @property
    def unsigned(self) -> bool:
        """Whether bodies are left out of the signature."""
        return self._yes("unsigned_payload")

    def of_all(self) -> dict[str, str]:
        """Return the headers that every request has."""
        return {"x-amz-request-payer": "requester"} if self._yes("request_payer") else {}

    def of_beginning(self) -> dict[str, str]:
        """Return the headers that an upload begins with."""
        kind = self.get("server_side_encryption")
        told = {} if kind in {"", "sse-c"} else {_SSE: kind}
        if kind.startswith("aws:kms"):
            told |= {f"{_SSE}-aws-kms-key-id": key} if (key := self.get("sse_kms_key_id")) else {}
            kept = self.get("sse_bucket_key_enabled").lower()
            told |= {f"{_SSE}-bucket-key-enabled": str(kept in _YES).lower()} if kept else {}
        if self.checksum == "SHA256":
            told["x-amz-checksum-algorithm"] = "SHA256"
        return {**told, **self.of_part()}

    def of_part(self) -> dict[str, str]:
        """Return the headers of each part: a key of the user's own goes along every time."""
        if self.get("server_side_encryption") != "sse-c":
            return {}
        key = self.get("sse_customer_key_base64")
        digest = hashlib.md5(base64.b64decode(key), usedforsecurity=False).digest()
        told = {"algorithm": "AES256", "key": key, "key-md5": base64.b64encode(digest).decode()}
        return {f"{_SSE}-customer-{name}": value for name, value in told.items()}

    def keys(self) -> Keys | None:
        """Return the keys that were given or that the environment holds."""
        name, secret = self.get("access_key_id"), self.get("secret_access_key")
        return Keys(name, secret, self.get("session_token", "token") or None) if name and secret else None

    def _yes(self, name: str) -> bool:
        return self.get(name).lower() in _YES


class KeyRing:
    """The keys of a store, asked for again before they expire.

    Args:
        provider: a `credential_provider` as obstore has them, plain or async; `None` where the keys last.
        keys: those to begin with.
    """

    def __init__(self, provider: Callable[[], Any] | None = None, keys: Keys | None = None) -> None:
        """Ask nobody yet."""
        self._provider = provider
        self._keys = keys
        self._until: datetime | None = None

    async def keys(self) -> Keys:
        """Return the keys that are good now. Raises what the provider does. Cancellation: waits for a plain one."""
        if self._provider is not None and (self._keys is None or self._old()):
            async with Worker("streamflow-keys") as worker:
                told = await worker.call(self._provider)
            if inspect.isawaitable(told):
                told = await told
            self._keys = Keys(told["access_key_id"], told["secret_access_key"], told.get("token"))
            until = told.get("expires_at")
            self._until = until.astimezone(UTC) if until else None
        if self._keys is None:
            raise PermissionError("no credentials")
        return self._keys

    def _old(self) -> bool:
        return self._until is not None and datetime.now(UTC) > self._until - _AHEAD


async def key_ring(store: Any, url: str) -> KeyRing | None:
    """Return the keys that obstore signed a URL for GET with; `None` where they are not at hand.

    Raises what a `credential_provider` does.
    """
    provider = store.credential_provider
    keys = Options(store).keys() if provider is None else None
    if provider is None and keys is None:
        return None
    ring = KeyRing(provider, keys)
    return ring if reproduces(await ring.keys(), "GET", url) else None
