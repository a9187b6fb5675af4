r"""Items to lines: the codec behind `text.join`.

What lives here: `Joiner`. What must not: waiting, and knowledge of what stands in the items.

What it writes must be read back as the same items. `split` ends a piece where the end is found first; `lines` ends a
line at each `\n` and takes a `\r` before it away. An item of which they would make something else is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, Literal, TypeAlias, TypeVar, cast

from streamflow.errors import FormatError, UsageError
from streamflow.formats.pieces import refuse_item

__all__ = ["Inside", "Joiner"]

Text = TypeVar("Text", str, bytes)

Inside: TypeAlias = Literal["error", "keep"]
"""What to do with an item that has a line end inside."""

_SHOWN = 40


class Joiner(Generic[Text]):
    """Items to lines. One object serves one run; `join` explains the arguments.

    Example: `data = "".join([*joiner.feed("one"), *joiner.feed("two")])`.
    """

    def __init__(self, end: str | bytes = "\n", *, inside: Inside = "error") -> None:
        """Make it for one run."""
        if not isinstance(cast("object", end), str | bytes) or not end:
            raise UsageError(f"end={end!r} must be text or bytes, of one character at least")
        if inside not in ("error", "keep"):
            raise UsageError(f"inside={inside!r} must be 'error' or 'keep'")
        self._given = end
        self._checks = inside == "error"
        self._kind: type[str | bytes] | None = None
        self._number = 0

    def feed(self, data: Text, /) -> Iterable[Text]:
        """Return one item with its line end. One that would be read back as something else is `FormatError`."""
        given: Any = data
        item: Any = bytes(given) if isinstance(given, bytearray | memoryview) else given
        if self._kind is None:
            self._begin(item)
        elif not isinstance(item, self._kind):
            refuse_item("text.join", item, "one kind, str or bytes throughout")
        self._number += 1
        line: Any = item + self._end
        if self._checks and (line.find(self._mark) != len(line) - len(self._mark) or item.endswith(self._bad_last)):
            raise self._refused(item)
        return (line,)

    def finish(self) -> Iterable[Text]:
        """Return nothing: a line is complete in itself."""
        return ()

    def _begin(self, item: object) -> None:
        """Learn from the first item of which kind they are, and write the end in it."""
        if not isinstance(item, str | bytes):
            refuse_item("text.join", item, "str or bytes")
        end = self._given
        if isinstance(end, bytes) and isinstance(item, str):
            refuse_item("text.join", item, "bytes")
        self._end: Any = end.encode() if isinstance(end, str) and isinstance(item, bytes) else end
        self._kind = type(self._end)
        ends: tuple[Any, Any] = ("\n", "\r") if isinstance(item, str) else (b"\n", b"\r")
        newline, lone = ends
        self._mark: Any = newline if self._end == lone + newline else self._end
        self._bad_last: Any = lone if self._end == newline else ()

    def _refused(self, item: str | bytes) -> FormatError:
        shown = repr(item[:_SHOWN]) + ("..." if len(item) > _SHOWN else "")
        return FormatError(
            f"item {self._number} ({shown}) has a line end inside, or forms one with end={self._given!r}: it would not "
            f"be read back as it is. Pass inside='keep' to write it nevertheless"
        )
