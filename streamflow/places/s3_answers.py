"""One small request to S3, and what its answer means.

What lives here: `exchanged`, which runs in a thread, and `Answer`. What must not: how the server is reached
(`s3_line.py`), signing, repeating, the loop.
"""

from __future__ import annotations

import errno
import http.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from xml.etree import ElementTree as ET

from streamflow.places.s3_line import Line, Sending
from streamflow.places.urls import redact

__all__ = ["Answer", "exchanged"]

_LARGEST = 16 * 1024 * 1024
_OK = 200
_REPEATED = {0, 408, 429, 500, 502, 503, 504}
_PASSING = {"InternalError", "SlowDown", "ServiceUnavailable"}
# What a body suffered on its way.
_DAMAGED = {"RequestTimeout", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"}
_KINDS: dict[int, tuple[type[OSError], int]] = {
    401: (PermissionError, errno.EACCES),
    403: (PermissionError, errno.EACCES),
    404: (FileNotFoundError, errno.ENOENT),
    409: (FileExistsError, errno.EEXIST),
    412: (FileExistsError, errno.EEXIST),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status 0 if nothing did."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeatable(self) -> bool:
        """Whether asking again may help: the line or the server failed, or says so inside a success."""
        return self.status in _REPEATED or self._error() in (_PASSING if self.status == _OK else _DAMAGED)

    @property
    def pause(self) -> float:
        """How many seconds the server wants to be left alone; 0 if it does not say, or not in seconds."""
        told = self.headers.get("retry-after", "")
        return float(told) if told.isdecimal() else 0.0

    def _error(self) -> str:
        """Return the code of the error that the body tells of, if it does."""
        root = _parsed(self.body)
        if root is None or root.tag.rpartition("}")[2] != "Error":
            return ""
        return root.findtext("{*}Code") or "unknown"

    @property
    def date(self) -> datetime | None:
        """When it was given, by the server's clock; `None` if the server does not say, or in no known form."""
        try:
            date = parsedate_to_datetime(self.headers.get("date", ""))
        except ValueError:
            return None
        return date if date.tzinfo else None  # "-0000" is the time of nowhere

    def judged(self, what: str, url: str, secrets: list[str]) -> ET.Element | None:
        """Return the body; raise what it says if that is an error.

        Args:
            what: the request, for the error.
            url: the object or the bucket, for the error.
            secrets: values that must not appear in it.
        """
        code = self._error()
        if self.status // 100 == 2 and not code:  # noqa: PLR2004  # success
            return _parsed(self.body)
        kind, number = _KINDS.get(self.status, (OSError, errno.EIO))
        refused = "The store refused the credentials or the access: " if kind is PermissionError else ""
        told = f"{refused}{what}: status {self.status or 'none'} {code} {_message(self.body, self.status)}"
        raise kind(number, redact(told, secrets)[:500], url)


def exchanged(sending: Sending, line: Line) -> Answer:
    """Send a request and read its whole answer. Runs in a thread."""
    try:
        with line.open(sending) as answer:
            body = line.read(answer, _LARGEST, sending)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            # Reading with a limit does not tell that the line was cut.
            return Answer(0, b"the answer was cut") if answer.length else Answer(answer.status, body, headers)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, _reason(sending, error).encode())
    finally:
        line.over(sending)


def _reason(sending: Sending, error: Exception) -> str:
    """Return why there is no answer: what has no time left ends by all kinds of errors."""
    try:
        sending.left()
    except OSError as reason:
        return str(reason)
    return str(error)


def _parsed(body: bytes) -> ET.Element | None:
    """Return the XML, `None` for an empty body; what is none is an error like any other."""
    if not body.strip():
        return None
    try:
        return ET.fromstring(body.strip())  # noqa: S314  # from the user's own store, and its size is limited
    except ET.ParseError:
        error = ET.Element("Error")
        ET.SubElement(error, "Code").text = "not XML"
        return error


def _message(body: bytes, status: int) -> str:
    root = _parsed(body) if status else None
    return (root.findtext("{*}Message") or "") if root is not None else body[:200].decode(errors="replace")
