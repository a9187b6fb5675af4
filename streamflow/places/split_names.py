"""The names of the files that a split writes: a number or a key in a template, and never outside its directory.

What lives here: `Template`, and which keys are refused. What must not: files.

Keys are data: they may come from anybody. So whatever could mean another file than "this key, in this directory", on
any system that may come to read it, is an error that names the key. A link that stands in the way is found where the
file is made (split_files.py).
"""

from __future__ import annotations

import os
import string
import sys
import unicodedata

from streamflow.errors import FormatError, UsageError

__all__ = ["Template", "text_of"]

_LONGEST = 255  # bytes of a name, on every file system in use
_SHOWN = 80  # characters of a key that an error shows
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"}
_DEVICES |= {f"{port}{digit}" for port in ("COM", "LPT") for digit in "0123456789¹²³"}
_FOLDS = sys.platform in {"win32", "darwin"}  # there "a" and "A" are one file
_FORBIDDEN = '<>:"|?*' if sys.platform == "win32" else ""


class Template:
    """A path with one `{}` in its last component, such as `"out/orders-{}.csv"`.

    Example: `Template("out/part-{:03}.csv").numbered(7)` gives `"out/part-007.csv"`.

    Args:
        path: the template.
        keyed: whether keys are put in, not numbers.
    """

    def __init__(self, path: str, *, keyed: bool) -> None:
        """Take it apart. Raises `UsageError` for what is no template."""
        self.path = path
        self.directory, name = os.path.split(path)
        try:
            parts = list(string.Formatter().parse(name))
            self._name = _checked(parts, name, keyed=keyed)
        except ValueError as error:
            if isinstance(error, UsageError) or "{" in self.directory:
                raise _refusal(path, keyed=keyed) from None
            raise _refusal(path, keyed=keyed) from error
        self._known: dict[str, str] = {}

    def numbered(self, number: int) -> str:
        """Return the path of the file with this number."""
        return os.path.join(self.directory, self._name.format(number))

    def keyed(self, key: str) -> str:
        """Return the path of the file of this key. Raises `FormatError` naming a key that cannot be part of a name."""
        name = self._name.format(key)
        if (reason := _reason(key, name)) is not None:
            raise FormatError(
                f"split: the key {_shown(key)} {reason}, so it names no file in {self.directory or '.'!r}. "
                f"Let key= give something that does, such as urllib.parse.quote(key, safe='')."
            )
        if _FOLDS:
            self._check_folded(name, key)
        return os.path.join(self.directory, name)

    def _check_folded(self, name: str, key: str) -> None:
        folded = unicodedata.normalize("NFC", name).casefold()
        if self._known.setdefault(folded, name) != name:
            raise FormatError(f"split: the key {_shown(key)} means the same file as {self._known[folded]!r} here.")


def text_of(key: object) -> str:
    """Return a key as text. Raises `UsageError` for what is neither text nor a whole number."""
    if isinstance(key, str):
        return str(key)
    if isinstance(key, bool) or not isinstance(key, int):
        raise UsageError(f"split(key) must return a str or an int, not {type(key).__name__} {key!r:.60}.")
    return str(key)


def _checked(parts: list[tuple[str, str | None, str | None, str | None]], name: str, *, keyed: bool) -> str:
    fields = [(field, spec, conversion) for _, field, spec, conversion in parts if field is not None]
    if len(fields) != 1 or fields[0][0] or fields[0][2] or (keyed and fields[0][1]):
        raise UsageError(name)
    if not keyed:
        name.format(0)
    return name


def _refusal(path: str, *, keyed: bool) -> UsageError:
    example = "out/orders-{}.csv" if keyed else "out/part-{:05}.csv"
    what = "the key" if keyed else "the number"
    return UsageError(
        f"split({path!r}): the last part of the path needs one {{}} for {what} of each file, such as {example!r}."
    )


def _shown(key: str) -> str:
    return repr(key) if len(key) <= _SHOWN else f"{key[:_SHOWN]!r}... ({len(key)} characters)"


def _reason(key: str, name: str) -> str | None:
    """Return what is wrong with a key, or with the name it makes; `None` for nothing."""
    wrong = {
        "is empty": not key,
        "has a path separator in it": "/" in key or "\\" in key,
        "begins with a dot": key.startswith("."),
        "begins or ends with a space, or ends with a dot": key != key.strip() or key.endswith("."),
        "has a control character or half a surrogate pair in it": not _is_text(key),
        f"has one of the characters {_FORBIDDEN} in it": any(character in _FORBIDDEN for character in key),
        "makes the name of a device of Windows": name.partition(".")[0].strip().upper() in _DEVICES,
        f"makes a name of more than {_LONGEST} bytes": len(name.encode(errors="surrogatepass")) > _LONGEST,
    }
    return next((reason for reason, applies in wrong.items() if applies), None)


def _is_text(key: str) -> bool:
    return not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in key)
