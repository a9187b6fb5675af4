"""The conditions that a request may put on an answer: "only if it changed", "only if it is still that one".

What lives here: versions of a resource (`Version`), and what RFC 9110, 13 makes of a request about one. What must not:
ranges (`ranges.py`), answers.

Two ETags are compared strongly where bytes of two answers are to be put together (`If-Match`, `If-Range`): a weak one
says only that both mean the same. A date counts by its second, as headers have no more.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from starlette.datastructures import Headers

from streamflow.errors import UsageError

__all__ = ["NOT_MODIFIED", "PRECONDITION_FAILED", "Version"]

NOT_MODIFIED = 304
PRECONDITION_FAILED = 412

_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_MEMBERS = re.compile(rf"(?:^|,)\s*{_TAG.pattern}\s*(?=,|$)")


class Version:
    """Which version of a resource the bytes are.

    Example: `Version('"v7"', datetime(2026, 1, 2, tzinfo=UTC)).answer(request.headers)` is 304 for a request with
    `If-None-Match: "v7"`.

    Args:
        etag: names it, `None` if nothing does: with quotes, `"..."` or `W/"..."`; without, they are put around it.
        modified: when it was made, with a time zone; `None` if nobody knows.

    Raises `UsageError` for an ETag that no header can hold, and a time without a zone.
    """

    def __init__(self, etag: str | None = None, modified: datetime | None = None) -> None:
        """Check both."""
        self.etag = None if etag is None else _quoted(etag)
        self.modified = None if modified is None else _to_the_second(modified)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that tell it."""
        named = {} if self.etag is None else {"etag": self.etag}
        return (
            named if self.modified is None else {**named, "last-modified": format_datetime(self.modified, usegmt=True)}
        )

    def answer(self, headers: Headers) -> int | None:
        """Return the status that answers a `GET` or `HEAD` at once: 412, 304; `None`: the resource is the answer."""
        if (tags := _listed(headers, "if-match")) is not None:
            if not self._is_among(tags, weakly=False):
                return PRECONDITION_FAILED
        elif self._modified_since(headers.get("if-unmodified-since")):
            return PRECONDITION_FAILED
        if (tags := _listed(headers, "if-none-match")) is not None:
            return NOT_MODIFIED if self._is_among(tags, weakly=True) else None
        return NOT_MODIFIED if self._modified_since(headers.get("if-modified-since")) is False else None

    def is_still(self, condition: str | None) -> bool:
        """Return whether a part may be sent by what `If-Range` says: nothing, or exactly this version."""
        if condition is None:
            return True
        if tag := _TAG.fullmatch(condition.strip()):
            return not tag[1] and tag[0] == self.etag
        return self.modified is not None and _date(condition) == self.modified

    def _is_among(self, tags: str, *, weakly: bool) -> bool:
        if tags.strip() == "*":
            return True
        mine = _TAG.fullmatch(self.etag or "")
        if mine is None or (mine[1] and not weakly):
            return False
        return any(mine[2] == tag[2] and (weakly or not tag[1]) for tag in _MEMBERS.finditer(tags))

    def _modified_since(self, condition: str | None) -> bool | None:
        """Return whether it was modified after a date of a request; `None` where that cannot be told."""
        date = None if condition is None or self.modified is None else _date(condition)
        return None if date is None or self.modified is None else self.modified > date


def _listed(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    return ", ".join(values) if values else None


def _quoted(etag: object) -> str:
    if isinstance(etag, str):
        if _TAG.fullmatch(etag):
            return etag
        if etag and _TAG.fullmatch(f'"{etag}"'):
            return f'"{etag}"'
    raise UsageError(f"etag={etag!r:.80} cannot be an ETag: write some characters without spaces and quotes")


def _to_the_second(moment: object) -> datetime:
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise UsageError(
            f"last_modified={moment!r:.80} must be a datetime with a time zone: datetime.fromtimestamp(seconds, UTC)"
        )
    return moment.astimezone(UTC).replace(microsecond=0)


def _date(text: str) -> datetime | None:
    """Return the moment that a header says, `None` if it is no date."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
