r"""Server-sent events as bytes (WHATWG HTML, 9.2.5 and 9.2.6): some lines `field: value`, and a blank line.

What lives here: `Event`, and `EventWriter`, which writes events and whatever else stands for one. What must not: a
response, time (`sse.py`).

A line ends at `\r\n`, `\n` or `\r` and at nothing else, so data with newlines becomes a line for each of its lines, and
the browser puts `\n` between them again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from streamflow.errors import FormatError, UsageError
from streamflow.formats.json_encoder import Encoder

__all__ = ["BLOCK", "Event", "EventWriter", "check_retry"]

BLOCK = 64 * 1024
NUL = "\0"

_LINE_END = re.compile(r"\r\n|\n|\r")


class _NoData:
    def __repr__(self) -> str:
        return "NO_DATA"


NO_DATA: Final = _NoData()


@dataclass(frozen=True, slots=True)
class Event:
    r"""One server-sent event.

    Example: `Event({"price": 9.5}, event="tick", id="1042")`.

    Args:
        data: text as it is, or anything that JSON knows. Text may have newlines; the browser gets each as `\n`. Without
            data nothing is dispatched, but `id` and `retry` count.
        event: its type; the browser calls the listeners of that name, those of `"message"` if there is none.
        id: what a browser that lost the connection says when it comes back (see `last_event_id`). `""` forgets it.
        retry: how long the browser is to wait before it comes back, in milliseconds, as the protocol has it.

    Raises `UsageError` for an `event` with a newline, an `id` with a newline or NUL, and a `retry` that is no whole
    number.
    """

    data: object = NO_DATA
    event: str | None = None
    id: str | None = None
    retry: int | None = None

    def __post_init__(self) -> None:
        """Refuse what would break the lines, or what browsers ignore."""
        _check_word("event", self.event, "\r\n")
        _check_word("id", self.id, "\r\n" + NUL)
        check_retry("Event(retry)", self.retry)


class EventWriter:
    r"""Items to the bytes of events, those of a stretch together. One object serves one run.

    Example: `b"".join(EventWriter().apply(iter(["text", {"n": 1}])))` is `b'data: text\n\ndata: {"n":1}\n\n'`.

    Args:
        default: makes something known of data that JSON does not know, as for `json.dumps`.
    """

    done = False

    def __init__(self, default: Callable[[Any], Any] | None = None) -> None:
        """Begin with the first event."""
        self._encoder = Encoder(default)
        self._number = 0

    def apply(self, items: Iterator[Any], /) -> Iterator[bytes]:
        """Take events as they come; yield blocks of whole ones."""
        block = bytearray()
        try:
            for item in items:
                block += self.write(item)
                if len(block) >= BLOCK:
                    yield bytes(block)
                    block.clear()
        except Exception:
            if block:
                yield bytes(block)
            raise
        if block:
            yield bytes(block)

    def finish(self) -> Iterator[bytes]:
        """There is nothing left."""
        return iter(())

    def write(self, item: Any) -> bytes:
        """Return the bytes of one event."""
        self._number += 1
        try:
            if isinstance(item, Event):
                return _text_of(item, self._data_of(item.data)).encode()
            return b"data: %b\n\n" % self._json(item) if not isinstance(item, str) else _data(item).encode() + b"\n"
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            if self._encoder.raised(error):
                raise  # the user's, so it stays bare
            raise FormatError(f"event {self._number} cannot be written: {error}") from error

    def _data_of(self, data: object) -> str | None:
        if isinstance(data, _NoData | str):
            return data if isinstance(data, str) else None
        return self._json(data).decode()

    def _json(self, data: object) -> bytes:
        if isinstance(data, bytes | bytearray | memoryview):
            raise TypeError("its data are bytes, and events are text: decode them")
        return self._encoder.one(data)  # on one line


def _text_of(event: Event, data: str | None) -> str:
    lines = [] if event.event is None else [f"event: {event.event}\n"]
    lines += [] if event.id is None else [f"id: {event.id}\n"]
    lines += [] if event.retry is None else [f"retry: {event.retry}\n"]
    lines += [] if data is None else [_data(data)]
    return "".join([*lines, "\n"]) if lines else ""


def _data(text: str) -> str:
    return "".join([f"data: {line}\n" for line in _LINE_END.split(text)])


def _check_word(name: str, value: object, refused: str) -> None:
    if value is None:
        return
    if not isinstance(value, str) or any(character in value for character in refused):
        raise UsageError(
            f"Event({name}={value!r:.60}) must be text without {'newlines and NUL' if NUL in refused else 'newlines'}; "
            f"what has them belongs into data="
        )


def check_retry(name: str, value: object) -> None:
    """Refuse what is no number of milliseconds."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise UsageError(f"{name} must be a whole number of milliseconds, such as 3000 for 3 s; not {value!r:.60}")
