"""Which compression a client and a response agree on (RFC 9110, 12.5.3), and what that changes in the headers.

What lives here: reading `Accept-Encoding`, the choice, and the headers that follow from it. What must not: compressing
(`compressing.py`), sending.

Among the codings that a client takes with the same weight the server's order counts. A client that says nothing gets
the bytes as they are: it may be a script that saves them unseen. Where the two cannot agree at all (`identity;q=0` and
nothing else that is known here) the bytes go out as they are too, which the RFC allows and clients prefer to a 406.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders

__all__ = ["choose", "is_compressible", "negotiated", "vary"]

_WEIGHT = re.compile(r"(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\Z", re.ASCII)
_CODING = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")

_BODILESS = {204, 205, 304}
_PARTIAL = 206

_DENSE_KINDS = ("audio/", "font/", "image/", "video/")
_DENSE = {
    "application/epub+zip",
    "application/gzip",
    "application/java-archive",
    "application/pdf",
    "application/vnd.android.package-archive",
    "application/vnd.apache.parquet",
    "application/vnd.ms-fontobject",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-brotli",
    "application/x-bzip2",
    "application/x-gzip",
    "application/x-rar-compressed",
    "application/x-xz",
    "application/x-zip-compressed",
    "application/zip",
    "application/zlib",
    "application/zstd",
}
_LOOSE = {"font/otf", "font/ttf", "image/bmp", "image/svg+xml", "image/x-icon"}
_OFFICE = ("application/vnd.openxmlformats-", "application/vnd.oasis.opendocument.")


def choose(headers: Headers, offered: Sequence[str]) -> str | None:
    """Return the content coding to use, `None` for the bytes as they are.

    Example: `choose(request.headers, ("br", "gzip"))` is `"br"` for `Accept-Encoding: gzip, br`.

    Args:
        headers: the request's.
        offered: the codings that the server has, the one it likes best first.

    Malformed members of the header are passed over. It raises nothing.
    """
    weights = _weights(",".join(headers.getlist("accept-encoding")))
    others = weights.get("*", 0.0)
    best = max(offered, key=lambda coding: weights.get(coding, others), default="")
    weight = weights.get(best, others)
    return best if best and weight > 0 and weight >= weights.get("identity", 0.0) else None


def negotiated(request: Headers, response: MutableHeaders, status: int, offered: Sequence[str]) -> str | None:
    """Choose a content coding for a response, put what follows from it into its headers, and return its name.

    Example: `name = negotiated(Headers(scope=scope), headers, 200, codings(True))`.

    Args:
        request: the headers of the request.
        response: the headers about to be sent; changed in place.
        status: the status about to be sent.
        offered: as for `choose`; empty: nothing is done.

    What is never compressed: a status without a body, a part (206), a body that has a `Content-Encoding` already, one
    that must not be transformed (`Cache-Control: no-transform`), and media types that are compressed by themselves.
    Where it could have been, caches are told to look at the request (`Vary`). Where it is, the length is not known any
    more, ranges of it cannot be asked for, and the ETag becomes a weak one.
    """
    if not offered or not _may_compress(response, status):
        return None
    vary(response, "Accept-Encoding")
    coding = choose(request, offered)
    if coding is not None:
        _say_so(response, coding)
    return coding


def is_compressible(media_type: str | None) -> bool:
    """Return whether data of this media type gets smaller by compression, as far as its name tells.

    Example: `is_compressible("text/csv; charset=utf-8")` is true, `is_compressible("image/png")` is not.
    """
    kind = (media_type or "").partition(";")[0].strip().lower()
    return kind in _LOOSE or not (kind in _DENSE or kind.startswith(_DENSE_KINDS) or kind.startswith(_OFFICE))


def vary(headers: MutableHeaders, name: str) -> None:
    """Say that the response depends on a header of the request, unless the headers say so already.

    Example: `vary(headers, "Accept-Encoding")`.
    """
    said = ",".join(headers.getlist("vary"))
    names = {each.strip().lower() for each in said.split(",")}
    if names.isdisjoint({"*", name.lower()}):
        headers["vary"] = f"{said}, {name}" if said else name


def _may_compress(headers: MutableHeaders, status: int) -> bool:
    if status < 200 or status in _BODILESS or status == _PARTIAL:  # noqa: PLR2004  # 1xx: informational
        return False
    if "content-encoding" in headers or "content-range" in headers:
        return False
    if "no-transform" in headers.get("cache-control", "").lower():
        return False
    return is_compressible(headers.get("content-type"))


def _say_so(headers: MutableHeaders, coding: str) -> None:
    headers["content-encoding"] = coding
    for name in ("content-length", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"):
        del headers[name]
    etag = headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        headers["etag"] = f"W/{etag}"


def _weights(said: str) -> dict[str, float]:
    """Return what `Accept-Encoding` says: a weight from 0 to 1 for each coding that is named."""
    weights: dict[str, float] = {}
    for member in said.lower().split(","):
        coding, *parameters = (part.strip() for part in member.split(";"))
        weight = _weight(parameters)
        if weight is not None and _CODING.match(coding):
            weights[coding.removeprefix("x-") if coding == "x-gzip" else coding] = weight
    return weights


def _weight(parameters: list[str]) -> float | None:
    """Return the weight among the parameters of a member, 1 where there is none, `None` for one that cannot be."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if _WEIGHT.match(value := value.strip()) else None
    return 1.0
