"""Objects by URL as a source and a sink of bytes: `s3://`, `gs://`, `az://`, `file://`, `memory://`.

What lives here: the face, and the verbs that are one question to a store. What must not: formats; the ways of single
stores (they are in `memory.py`, `cloud.py` and `files.py`, behind the protocols in `stores.py`).

`memory://` and `file://` need nothing installed. The others need the extra `objects`; they are configured by options
(`endpoint=`, `region=`, `access_key_id=`, `secret_access_key=`, `skip_signature=True`, ...) or by the environment
(`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...), or made by yourself and given as `store=`. How patient they are is said
in obstore's words: `client_options={"timeout": "60s", "connect_timeout": "5s"}`, `retry_config={"max_retries": 3,
"retry_timeout": timedelta(minutes=1), "backoff": {"init_backoff": timedelta(milliseconds=100)}}`. All requests keep to
that, also those that obstore has no call for. Of those, what obstore does about certificates and proxies holds for
`root_certificate`, `allow_invalid_certificates` and `proxy_url`; `proxy_excludes`, `proxy_ca_certificate` and HTTP/2
do not reach them.

How an object is read is told in `ranges.py`, how one is written in `uploads.py`.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from streamflow.engine.threads import Worker
from streamflow.errors import UsageError
from streamflow.places.objects_list import clean_leftovers, leftovers
from streamflow.places.objects_list import list_objects as list  # noqa: A004  # the standard word
from streamflow.places.objects_read import read, read_many
from streamflow.places.objects_stores import is_file, store_of
from streamflow.places.objects_write import write
from streamflow.places.stores import Leftover, Stored
from streamflow.places.urls import parse

__all__ = [
    "Leftover",
    "Stored",
    "clean_leftovers",
    "delete",
    "exists",
    "info",
    "leftovers",
    "list",
    "read",
    "read_many",
    "sign",
    "write",
]

_METHODS = ("GET", "HEAD", "PUT", "DELETE")
_LONGEST = 7 * 86400


async def info(url: str, *, store: object = None, **config: Any) -> Stored:
    """Return an object's size in bytes, its ETag, time, content type and metadata, without reading it.

    Example: `(await objects.info("s3://bucket/key")).size`. Raises `FileNotFoundError` and as `read`. Cancellation:
    safe.
    """
    location = parse(url, scheme_needed=store is None)
    if is_file(location, store, config):
        async with Worker("streamflow-file") as worker:
            stat = await worker.call(os.stat, location.key)
        return Stored(stat.st_size, None, datetime.fromtimestamp(stat.st_mtime, UTC))
    return await store_of(location, store, config).info(location.key)


async def exists(url: str, *, store: object = None, **config: Any) -> bool:
    """Return whether there is an object under this URL.

    Example: `if not await objects.exists("memory://out/a.csv"): ...`. Raises as `info`, but for the missing object.
    Cancellation: safe.
    """
    try:
        await info(url, store=store, **config)
    except FileNotFoundError:
        return False
    return True


async def delete(url: str, *, store: object = None, **config: Any) -> None:
    """Remove an object. One that is not there is no error at an object store; a missing file is `FileNotFoundError`.

    Example: `await objects.delete("s3://bucket/key")`. Cancellation: it may have been removed or not.
    """
    location = parse(url, scheme_needed=store is None)
    if is_file(location, store, config):
        async with Worker("streamflow-file") as worker:
            await worker.call(os.unlink, location.key)
    else:
        await store_of(location, store, config).delete(location.key)


async def sign(url: str, method: str = "GET", *, expires: float, store: object = None, **config: Any) -> str:
    """Return a URL by which anybody may do one thing to one object for a while, without credentials of their own.

    Example: `await objects.sign("s3://bucket/report.csv", expires=3600)` for a link to download it.

    The URL is itself a credential: whoever has it may use it. Do not log it.

    Args:
        url: `s3://`, `gs://` or `az://`; the object need not exist.
        method: `GET`, `HEAD`, `PUT` or `DELETE`.
        expires: for how many seconds, at most 7 days.
        store: as for `read`.
        config: as for `read`.

    Raises `UsageError`, `MissingExtra`, `PermissionError` and other `OSError`s when there are no credentials to sign
    with. Cancellation: safe.
    """
    location = parse(url, scheme_needed=store is None)
    if method not in _METHODS:
        raise UsageError(f"method is one of {', '.join(_METHODS)}; not {method!r}")
    if isinstance(expires, bool) or not 0 < expires <= _LONGEST:
        raise UsageError(f"expires is a number of seconds, above 0 and at most {_LONGEST}; not {expires!r}")
    opened = None if is_file(location, store, config) else store_of(location, store, config)
    if (signing := getattr(opened, "sign", None)) is None:
        raise UsageError(f"{location}: only objects in a cloud have signed URLs")
    return str(await signing(location.key, method, expires))
