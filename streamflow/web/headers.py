"""Headers of a response: the name under which a download is saved, and what no header may hold.

What lives here: text to header values. What must not: deciding which headers a response has (responses.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

from streamflow.errors import UsageError

__all__ = ["check_headers", "content_disposition"]

_ATTR = "!#$&+-.^_`|~"  # what RFC 8187 allows unquoted beside letters and digits
_UNSAFE = re.compile(r'["\\%/]|^[. ]+$')  # browsers unquote `%22`, old ones stop at a quote; letters may become paths
_ENDING = re.compile(rb"[\r\n\0]")


def check_headers(raw: Iterable[tuple[bytes, bytes]]) -> None:
    """Refuse what would end a header in its middle: the rest would pass for further headers.

    Example: `check_headers(response.raw_headers)`. Raises `UsageError` that names the header, and does not show it.
    """
    for name, value in raw:
        if _ENDING.search(name) or _ENDING.search(value):
            raise UsageError(
                f"The header {name.decode('latin-1')!r:.80} has a line break or NUL in it, and what follows would pass "
                f"for further headers. Quote what comes from a client before it goes into a header."
            )


def content_disposition(filename: str, kind: str = "attachment") -> str:
    """Return the value of `Content-Disposition` that has a browser save the body under a name (RFC 6266).

    Example: `content_disposition("naïve.csv")` is `attachment; filename="naive.csv"; filename*=UTF-8''na%C3%AFve.csv`

    A name with letters beyond ASCII comes twice: as it is, and as clients read it that do not know better. Folders are
    for the client to choose, so there is none in the name.

    Raises `UsageError` for a name that cannot be one: empty, a path, or with line breaks or other control characters.
    """
    _check(filename)
    plain = _UNSAFE.sub("_", _ascii(filename))
    value = f'{kind}; filename="{plain}"'
    return value if plain == filename else f"{value}; filename*=UTF-8''{quote(filename, safe=_ATTR)}"


def _check(filename: object) -> None:
    if not isinstance(filename, str) or not filename.strip(". "):
        raise UsageError(
            f'filename= is the name under which a download is saved, such as "orders.csv"; not {filename!r}.'
        )
    if "/" in filename or any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in filename):
        raise UsageError(
            f"filename={filename!r:.80} cannot be the name of a file: no folders, line breaks or control characters. "
            f"Whoever downloads chooses the folder."
        )


def _ascii(text: str) -> str:
    """Return it with the nearest ASCII letters; what has none is an underscore."""
    spelled = text.replace("ß", "ss").replace("€", "EUR")
    plain = (
        unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or _blank(letter) for letter in spelled
    )
    return "".join(plain)


def _blank(letter: str) -> str:
    return "" if unicodedata.combining(letter) else "_"
