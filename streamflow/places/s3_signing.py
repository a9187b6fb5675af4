"""AWS's signature, version 4, in the headers of a request to S3.

What lives here: `Keys`, `signed`, and `reproduces`, which tells whether keys are those that another signed with. What
must not: where keys come from, sending.

How it works. Method, path, query, headers and the digest of the body are written down in one canonical form, and signed
with a key that is derived from the secret, the day, the region and the service. All headers given are signed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlsplit

__all__ = ["UNSIGNED", "Keys", "query_of", "reproduces", "scope_in", "signed"]

UNSIGNED = "UNSIGNED-PAYLOAD"
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Keys:
    """What a request is signed with.

    Args:
        id: names the secret.
        secret: never leaves the process.
        token: of a session, sent along; `None` for keys that last.
    """

    id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def query_of(query: Mapping[str, str]) -> str:
    """Return a query in the one form that is signed: encoded, and in order."""
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed(  # noqa: PLR0917  # it is all in the signature
    keys: Keys, scope: str, date: str, method: str, url: str, digest: str, headers: Mapping[str, str]
) -> dict[str, str]:
    """Return the headers to send, with the signature.

    Example: `signed(keys, "us-east-1/s3/aws4_request", "20260101T000000Z", "GET", url, UNSIGNED, {})`.

    Args:
        keys: to sign with.
        scope: region, service and `aws4_request`, with slashes between.
        date: now, in UTC.
        method: of the request.
        url: of the request, its query as `query_of` writes it.
        digest: SHA-256 of the body in hexadecimal digits, or `UNSIGNED`.
        headers: others to send, with names in small letters.
    """
    parts = urlsplit(url)
    told = {**headers, "host": parts.netloc, "x-amz-content-sha256": digest, "x-amz-date": date}
    if keys.token is not None:
        told["x-amz-security-token"] = keys.token
    names = ";".join(sorted(told))
    lines = "".join(f"{name}:{' '.join(told[name].split())}\n" for name in sorted(told))
    signature = _signature(keys, scope, date, [method, parts.path or "/", parts.query, lines, names, digest])
    credential = f"Credential={keys.id}/{date[:8]}/{scope}"
    return {**told, "authorization": f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"}


def scope_in(url: str) -> str:
    """Return region, service and `aws4_request` from a signed URL; `""` if it is none."""
    return _query(url).get("X-Amz-Credential", "").partition("/")[2].partition("/")[2]


def reproduces(keys: Keys, method: str, url: str) -> bool:
    """Return whether a signed URL was signed with these keys."""
    parts, query = urlsplit(url), _query(url)
    signature = query.pop("X-Amz-Signature", "")
    if not scope_in(url) or query.get("X-Amz-Security-Token") != keys.token:
        return False
    canonical = [method, parts.path or "/", query_of(query), f"host:{parts.netloc}\n", "host", UNSIGNED]
    found = _signature(keys, scope_in(url), query.get("X-Amz-Date", ""), canonical)
    return hmac.compare_digest(found, signature)


def _signature(keys: Keys, scope: str, date: str, canonical: list[str]) -> str:
    digest = hashlib.sha256("\n".join(canonical).encode()).hexdigest()
    text = "\n".join([_ALGORITHM, date, f"{date[:8]}/{scope}", digest])
    key = f"AWS4{keys.secret}".encode()
    for step in (date[:8], *scope.split("/"), text):
        key = hmac.digest(key, step.encode(), "sha256")
    return key.hex()


def _query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
