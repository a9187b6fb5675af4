"""obstore, where it is installed: the extra `objects`.

What lives here: the one place that imports it, the error where it is missing, and what its exceptions become. What must
not: requests.

Its errors become Python's own, with one line of text and no credentials. obstore's exception is not chained to them,
because its text holds requests and answers in full.
"""

from __future__ import annotations

import errno
import importlib
import re
from typing import Any

from streamflow.errors import MissingExtra, ObjectChanged, UsageError
from streamflow.places.urls import redact

__all__ = ["config_of", "is_obstore", "obstore", "place_of", "range_refused", "text_of", "translated"]

_PLACES = {"S3Store": ("s3", "bucket"), "GCSStore": ("gs", "bucket"), "AzureStore": ("az", "container_name")}
_MISSING = re.compile("status code: 404")
_REFUSED = re.compile("status code: 40[13]")


def obstore(who: str) -> Any:
    """Return the package with its stores; `MissingExtra` where it is not installed."""
    try:
        package = importlib.import_module("obstore")
        importlib.import_module("obstore.store")
    except ImportError:
        raise MissingExtra(f'{who} needs obstore: pip install -e ".[objects]"') from None
    return package


def is_obstore(store: object) -> bool:
    """Return whether it is one of obstore's own stores, which a user may hand over with credentials of any kind."""
    return any(kind.__module__.partition(".")[0] == "obstore" for kind in type(store).__mro__)


def config_of(store: Any) -> dict[str, Any]:
    """Return the options that a store was made with; none if its kind has none. Raises `UsageError`."""
    try:
        return dict(getattr(store, "config", None) or {})
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
    raise UsageError(
        f"{type(store).__name__}: options of its client (timeout, allow_http, ...) belong into client_options={{...}}"
    )


def place_of(store: Any) -> str:
    """Return what the URL of each of a store's objects begins with: `s3://bucket/`; `""` for a store without a bucket.

    Example: `place_of(S3Store("bucket", prefix="a"))` is `"s3://bucket/a/"`.
    """
    scheme, name = _PLACES.get(type(store).__name__, ("", ""))
    bucket = config_of(store).get(name) if scheme else None
    return f"{scheme}://{bucket}/{f'{store.prefix}/' if store.prefix else ''}" if bucket else ""


def translated(error: Exception, url: str, secrets: list[str]) -> Exception:
    """Return the error of Python's own that says the same, naming the object by its URL and no credential."""
    kinds = obstore(url).exceptions
    text = text_of(error, secrets)
    if isinstance(error, FileNotFoundError) or _MISSING.search(str(error)):
        return FileNotFoundError(errno.ENOENT, f"No such object, or no such bucket: {text}", url)
    if isinstance(error, kinds.AlreadyExistsError):
        return FileExistsError(errno.EEXIST, "There is an object already, and overwrite=False", url)
    if isinstance(error, kinds.PreconditionError):
        return ObjectChanged(f"{url} was overwritten while it was read")
    # A writer tells of its parts in an OSError, where only the text says what it was.
    refused = isinstance(error, (kinds.PermissionDeniedError, kinds.UnauthenticatedError))
    if refused or _REFUSED.search(str(error)):
        return PermissionError(errno.EACCES, f"The store refused the credentials or the access: {text}", url)
    if isinstance(error, (kinds.InvalidPathError, kinds.NotSupportedError, ValueError, TypeError)):
        return UsageError(f"{url}: {text}")
    return OSError(errno.EIO, text, url)


def range_refused(error: Exception) -> bool:
    """Return whether the server said that the range begins at or after the object's end."""
    return "status code: 416" in str(error)


def text_of(error: Exception, secrets: list[str]) -> str:
    """Return what happened without obstore's dump of the request: its first lines, in one, shortened."""
    text = str(error).partition("\n\nDebug source")[0]
    return redact(" ".join(text.split()), secrets)[:500]
