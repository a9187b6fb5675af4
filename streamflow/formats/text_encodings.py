"""The encodings and error handlers that Python knows.

What lives here: checking the names that a user gives. What must not: decoding and encoding.
"""

from __future__ import annotations

import codecs

from streamflow.errors import UsageError

__all__ = ["check_errors", "find_encoding"]


def find_encoding(name: str) -> str:
    """Return Python's own name of a text encoding, or raise `UsageError`."""
    try:
        info = codecs.lookup(name)
    except (LookupError, TypeError):
        raise UsageError(
            f"encoding={name!r} is not known to Python; write the name of a codec, such as 'utf-8'"
        ) from None
    if not getattr(info, "_is_text_encoding", True):
        raise UsageError(f"encoding={name!r} is not a text encoding; write one such as 'utf-8'")
    return info.name


def check_errors(name: str) -> str:
    """Return the name of an error handler (`strict`, `replace`, ...) that exists, or raise `UsageError`."""
    try:
        codecs.lookup_error(name)
    except (LookupError, TypeError):
        raise UsageError(f"errors={name!r} is not known to Python; write 'strict' or 'replace'") from None
    return name
