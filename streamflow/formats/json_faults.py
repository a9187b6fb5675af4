"""What is wrong with a JSON text, and where in it.

What lives here: `fault_of`, which reads the errors of the libraries. What must not: where the text came from.

The libraries say where in different ways, and msgspec often says only "truncated". A text that is no JSON is read once
more by the standard library, whose messages are the best, so they are the same with each library.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from streamflow.formats.json_plain import loads

__all__ = ["BAD", "Fault", "fault_of", "path_of"]

BAD = (ValueError, RecursionError)
"""What the libraries raise for data that is bad. Anything else comes out of a user's own code and stays as it is."""

_BEGUN = re.compile(r"(t(r(ue?)?)?|f(a(l(se?)?)?)?|n(u(ll?)?)?|-|)\Z")
_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{0,4}\Z")


class Fault(NamedTuple):
    """What is wrong with a text: for people, where in it (line and column from 1, 0: unknown), and of which kind."""

    reason: str
    line: int = 0
    column: int = 0
    cut: bool = False
    deep: bool = False


def fault_of(error: Exception, text: bytes) -> Fault:
    """Return what is wrong with a text that a library refused by this error."""
    if isinstance(error, RecursionError):
        return Fault("brackets are nested deeper than Python's recursion limit", deep=True)
    if isinstance(error, UnicodeDecodeError) or not _is_about_types(error):
        try:
            loads(text)
        except json.JSONDecodeError as better:
            return Fault(better.msg, better.lineno, better.colno, cut=_is_cut(better))
        except UnicodeDecodeError as better:
            return _undecodable(better)
        except BAD as better:
            error = better
    if isinstance(error, RecursionError):
        return Fault("brackets are nested deeper than Python's recursion limit", deep=True)
    return Fault(_said(error))


def _is_about_types(error: Exception) -> bool:
    """Return whether the text is JSON and its values are not as the type wants them."""
    if callable(errors := getattr(error, "errors", None)):
        return bool(errors()[0]["type"] != "json_invalid")
    return type(error).__name__ == "ValidationError"


def _undecodable(error: UnicodeDecodeError) -> Fault:
    before = error.object[: error.start].decode()
    line = before.count("\n") + 1
    reason = (
        f"byte 0x{error.object[error.start]:02x} is not UTF-8 ({error.reason}). "
        f"Pass the encoding it has, or errors='replace' to go on with U+FFFD"
    )
    return Fault(reason, line, len(before) - before.rfind("\n"), cut=error.reason == "unexpected end of data")


def _is_cut(error: json.JSONDecodeError) -> bool:
    """Return whether the text may be all right as far as it goes."""
    if error.msg.startswith("Invalid \\u"):
        return _ESCAPE.search(error.doc, max(error.pos - 2, 0)) is not None
    return error.msg.startswith("Unterminated string") or _BEGUN.match(error.doc.rstrip(), error.pos) is not None


def _said(error: Exception) -> str:
    if not callable(errors := getattr(error, "errors", None)):
        return str(error)
    first: dict[str, Any] = errors()[0]
    path = path_of(first["loc"])
    return f"{first['msg']} - at `{path}`" if path != "$" else str(first["msg"])


def path_of(keys: tuple[str | int, ...]) -> str:
    """Return the path to a value as msgspec writes it: `$.lines[2].sku`."""
    return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)
