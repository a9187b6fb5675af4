"""Keys and patterns of them: `logs/` is everything that begins so, `logs/*/2024-??.csv` is a pattern.

What lives here: `Pattern`. What must not: asking a store.

`*` and `?` do not pass a slash, `**` does, `[abc]` and `[!abc]` stand for one character; `[*]` is a star. Without any
of them it is a plain beginning.
"""

from __future__ import annotations

import re

__all__ = ["Pattern"]

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]")
_ALONE = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


class Pattern:
    """Which keys are meant.

    Example: `Pattern("logs/*.csv").matches("logs/a.csv")` is `True`, and its `prefix` is `"logs/"`.
    """

    def __init__(self, text: str) -> None:
        """Take the pattern apart."""
        first = _TOKEN.search(text)
        self.text = text
        self.prefix = text[: first.start()] if first else text
        self._whole = re.compile(_regular(text), re.DOTALL) if first else None

    @property
    def plain(self) -> bool:
        """Whether it is a mere beginning."""
        return self._whole is None

    def matches(self, key: str) -> bool:
        """Return whether the key is meant."""
        return key.startswith(self.prefix) and (self._whole is None or self._whole.fullmatch(key) is not None)


def _regular(text: str) -> str:
    pieces, at = [], 0
    for token in _TOKEN.finditer(text):
        pieces += [re.escape(text[at : token.start()]), _ALONE.get(token[0]) or _one_of(token[0])]
        at = token.end()
    return "".join([*pieces, re.escape(text[at:])])


def _one_of(token: str) -> str:
    inner = token[1:-1]
    no, inner = ("^/", inner[1:]) if inner.startswith("!") else ("", inner)
    return f"[{no}{inner.translate(_LITERAL)}]"


_LITERAL = str.maketrans({"\\": r"\\", "[": r"\[", "]": r"\]", "^": r"\^", "&": r"\&", "~": r"\~", "|": r"\|"})
