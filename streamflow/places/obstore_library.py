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

__all__ = ["is_obstore", "obstore", "range_refused", "text_of", "translated"]


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


def translated(error: Exception, key: str, secrets: list[str]) -> Exception:
    """Return the error of Python's own that says the same, naming the key and no credential."""
    kinds = obstore(key).exceptions
    text = text_of(error, secrets)
    if isinstance(error, FileNotFoundError) or _MISSING.search(str(error)):
        return FileNotFoundError(errno.ENOENT, f"No such object, or no such bucket: {text}", key)
    if isinstance(error, kinds.AlreadyExistsError):
        return FileExistsError(errno.EEXIST, "There is an object already, and overwrite=False", key)
    if isinstance(error, kinds.PreconditionError):
        return ObjectChanged(f"{key} was overwritten while it was read")
    # A writer tells of its parts in an OSError, where only the text says what it was.
    refused = isinstance(error, (kinds.PermissionDeniedError, kinds.UnauthenticatedError))
    if refused or _REFUSED.search(str(error)):
        return PermissionError(errno.EACCES, f"The store refused the credentials or the access: {text}", key)
    if isinstance(error, (kinds.InvalidPathError, kinds.NotSupportedError, ValueError, TypeError)):
        return UsageError(f"{key}: {text}")
    return OSError(errno.EIO, text, key)


def range_refused(error: Exception) -> bool:
    """Return whether the server said that the range begins at or after the object's end."""
    return "status code: 416" in str(error)


def text_of(error: Exception, secrets: list[str]) -> str:
    """Return what happened without obstore's dump of the request: its first lines, in one, shortened."""
    text = str(error).partition("\n\nDebug source")[0]
    return redact(" ".join(text.split()), secrets)[:500]
