"""Addresses of places, and the one redactor: no credential leaves this package in an error, a name, a note or a `repr`.

What lives here: taking a URL apart, and blotting secrets out of a text. What must not: opening anything.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from streamflow.errors import UsageError

if sys.platform == "win32":
    from urllib.request import url2pathname
else:
    # That is all it does elsewhere, and its module takes an HTTP client and a mail parser along.
    url2pathname = unquote

__all__ = ["Location", "parse", "redact", "secrets_in", "url_of"]

SCHEMES = ("s3", "gs", "az", "file", "memory")

_LONG_ENOUGH = 4
_SECRET_NAME = re.compile(r"(?i)sig|token|key|secret|passw|pwd|cred|auth|amz|sas")
_BLOTS = (
    # user:password@, where the password may hold a slash (AWS secrets do) but a port followed by a path is no password
    (re.compile(r"://[^\s/@:]+:(?!\d+/)[^\s@]*@|://[^\s/@]+@"), "://***@"),
    (
        # also where a client has written `?`, `&`, `;` and `=` as %3F, %26, %3B and %3D
        re.compile(
            r"(?i)((?:[?&;]|%3f|%26|%3b)[^=&;%\s]*(?:sig|token|key|secret|passw|pwd|cred|auth|amz|sas)[^=&;%\s]*(?:=|%3d))"
            r"[^&;\s\"'<>)]+"
        ),
        r"\1***",
    ),
    (
        re.compile(r"(?is)<(AWSAccessKeyId|StringToSign\w*|CanonicalRequest\w*|SignatureProvided)>.*?</\1>"),
        r"<\1>***</\1>",
    ),
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` with user info, signatures, tokens and keys blotted out.

    Example: `redact("https://me:pw@host/x?X-Amz-Signature=ab")` is `"https://***@host/x?X-Amz-Signature=***"`.

    Args:
        text: a URL, or any message that may hold some.
        secrets: values that must not appear, wherever they stand.
    """
    for secret in secrets:
        text = text.replace(secret, "***")
    for pattern, blot in _BLOTS:
        text = pattern.sub(blot, text)
    return text


def secrets_in(config: Mapping[str, object]) -> list[str]:
    """Return the values of options that are secret by their names, also those of options within options.

    Short ones are left: they would blot out words.
    """
    found = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            found += secrets_in(value)
        elif isinstance(value, str) and len(value) >= _LONG_ENOUGH and _SECRET_NAME.search(str(name)):
            found.append(value)
    return found


@dataclass(frozen=True, slots=True)
class Location:
    """A URL taken apart: `s3://bucket/some/key` is scheme `s3`, bucket `bucket`, key `some/key`.

    The key is taken as it is written: S3 keys may hold `?`, `#` and `%`. Of a `file://` URL the key is the path.
    """

    scheme: str
    bucket: str
    key: str

    def __str__(self) -> str:
        """Return the URL again, redacted."""
        return redact(f"{self.scheme}://{self.bucket}/{self.key.lstrip('/')}" if self.scheme else self.key)


def url_of(location: Location, key: str) -> str:
    """Return the URL of another key beside `location`, in full: for use, not for a message."""
    return f"{location.scheme}://{location.bucket}/{key}" if location.scheme else key


def parse(url: str, *, scheme_needed: bool = True, key_needed: bool = True) -> Location:
    """Take a URL apart; with `scheme_needed=False` a bare key is a location too, with `key_needed=False` a bucket is.

    Raises `UsageError` for what is not the URL of an object, saying what to write.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        if scheme_needed or (key_needed and not url):
            raise UsageError(
                f"{redact(url)!r} is not the URL of an object: write s3://bucket/key, or files.read/write for a path"
            )
        return Location("", "", url)
    if scheme not in SCHEMES:
        raise UsageError(
            f"{redact(url)!r}: {scheme}:// is not known here; known are {', '.join(f'{s}://' for s in SCHEMES)}"
        )
    return _file(url) if scheme == "file" else _object(url, scheme, rest, key_needed=key_needed)


def _file(url: str) -> Location:
    # A path has no query and no fragment: they belong to the name, or to a pattern.
    parts = urlsplit(url.replace("?", "%3F").replace("#", "%23"))
    if parts.netloc not in ("", "localhost") or not parts.path:
        raise UsageError(
            f"{redact(url)!r}: a file URL has three slashes and an absolute path, as in file:///tmp/data.csv"
        )
    return Location("file", "", url2pathname(parts.path))


def _object(url: str, scheme: str, rest: str, *, key_needed: bool) -> Location:
    bucket, _, key = rest.partition("/")
    if "@" in bucket or ":" in bucket:
        raise UsageError(
            f"{redact(url)!r}: credentials do not belong in the URL; give them as options "
            f"(access_key_id=..., secret_access_key=...) or in the environment"
        )
    if not bucket or (key_needed and not key):
        raise UsageError(f"{redact(url)!r} does not name an object: write {scheme}://bucket/key")
    return Location(scheme, bucket, key)
