"""JSON texts to items of a type: the calls that the parsers make of the libraries.

What lives here: `Decoder`. What must not: where a text begins and ends (`json_lines_parser`, `json_array_parser`).

How it works. A parser passes the texts of a whole block; `map` takes the library's own function over them, at C speed.
The one call for many lines that msgspec has is not used. It does not look where a line ends: `{} {}` would be two
items, `[1,` with `2]` below it one. To find out whether that happened costs more than the call saves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from streamflow.formats.json_faults import BAD
from streamflow.formats.json_library import (
    adapter_of,
    is_plain,
    is_pydantic,
    loaded_msgspec,
    msgspec_for,
    refuse_type,
)
from streamflow.formats.json_plain import loads

__all__ = ["Decoder", "Refused"]

_BLANK = b" \t\r\n"


class Refused(NamedTuple):
    """A text of which no item can be made: which of them it is (0 is the first), and the library's error."""

    at: int
    text: bytes
    error: Exception


class Decoder:
    """Makes items of one type.

    Args:
        kind: the type; `Any` for what `json.loads` gives.
        who: the stage, for errors.
        blanks: whether texts of nothing but whitespace are skipped.

    Attributes:
        array: makes a list of items of the text of a whole array in one call; `None` where no library can.

    Raises `MissingExtra` for a type that needs a library that is not installed, `UsageError` for one that none knows.
    """

    def __init__(self, kind: Any, who: str, *, blanks: bool = False) -> None:
        """Choose the library."""
        self._blanks = blanks
        self._careful: Callable[[bytes], Any] | None = None
        self._one: Callable[[bytes], Any] = loads
        self.array: Callable[[bytes], list[Any]] | None = None
        if is_pydantic(kind):
            self._one = adapter_of(kind, who).validate_json
        elif is_plain(kind):
            # msgspec refuses some texts that are JSON (the longest integers). They are read as without it.
            if (msgspec := loaded_msgspec()) is not None:
                self._one, self._careful = msgspec.json.Decoder().decode, loads
                self.array = msgspec.json.Decoder(list).decode
        else:
            self._one, self.array = _typed(kind, who), _typed(list[kind], who)

    def items(self, texts: list[bytes]) -> Iterator[list[Any] | Refused]:
        """Return the items of texts in order, in lists, with each text that is refused in its place among them."""
        good: list[Any] = []
        rest, taken = iter(texts), 0
        while taken < len(texts):
            before = len(good)
            try:
                good.extend(map(self._one, rest))
            except BAD as error:
                at = taken + len(good) - before
                refused = self._again(at, texts[at], error, good)
            except Exception:
                yield good
                raise
            else:
                break
            taken = at + 1
            if refused is not None:
                yield good
                yield refused
                good = []
        yield good

    def _again(self, at: int, text: bytes, error: Exception, good: list[Any]) -> Refused | None:
        """Look at a text that was refused; it may be blank, or a case for the standard library."""
        if self._blanks and not text.strip(_BLANK):
            return None
        if self._careful is None:
            return Refused(at, text, error)
        try:
            good.append(self._careful(text))
        except BAD as better:
            return Refused(at, text, better)
        return None


def _typed(kind: Any, who: str) -> Callable[[bytes], Any]:
    msgspec = msgspec_for(f"{who}(type={getattr(kind, '__name__', kind)})")
    try:
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(kind).decode
    except (TypeError, NameError) as error:
        raise refuse_type(kind, who, error) from error
    return decode
