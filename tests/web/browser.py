"""What a browser makes of server-sent events: its parser, by the letter of the standard.

What lives here: `EventSource`, `Got`, `parsed`. What must not: connections, assertions.
"""

from __future__ import annotations

import dataclasses

__all__ = ["EventSource", "Got", "parsed"]


@dataclasses.dataclass
class Got:
    """An event as the browser dispatches it."""

    data: str
    event: str = "message"
    id: str = ""


class EventSource:
    """The browser's parser, by the letter of WHATWG HTML 9.2.6, fed with bytes in any pieces."""

    def __init__(self):
        self.events, self.comments, self.retry, self.last_id = [], 0, None, ""
        self._bytes = b""
        self._begin()
        self._id = ""

    def _begin(self):
        self._data, self._type = "", ""

    def feed(self, data):
        self._bytes += data
        while (line := self._line()) is not None:
            self._take(line)

    def _line(self):
        for at, byte in enumerate(self._bytes):
            if byte == 0x0A or (byte == 0x0D and at + 1 < len(self._bytes)):
                behind = at + 1 + (byte == 0x0D and self._bytes[at + 1] == 0x0A)
                line, self._bytes = self._bytes[:at].decode(), self._bytes[behind:]
                return line
        return None

    def _take(self, line):
        if not line:
            self._dispatch()
        elif line.startswith(":"):
            self.comments += 1
        else:
            name, _, value = line.partition(":")
            self._field(name, value.removeprefix(" "))

    def _field(self, name, value):
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = int(value)

    def _dispatch(self):
        self.last_id = self._id
        if self._data:
            self.events.append(Got(self._data[:-1], self._type or "message", self._id))
        self._begin()


def parsed(*wire):
    browser = EventSource()
    for data in wire:
        browser.feed(data)
    return browser
