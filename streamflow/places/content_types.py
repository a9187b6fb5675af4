"""The media type of an object, guessed from its name.

What lives here: `guessed`. What must not: looking into the bytes, or into files of the system that differ from one
machine to the next.
"""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

__all__ = ["guessed"]

# A compressed object is stored as what it is. `Content-Encoding: gzip` would say the same, but then browsers and
# Google's store decompress it on the way, and readers get other bytes than were written.
_ENCODED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/x-brotli",
}
_MORE = {
    ".arrow": "application/vnd.apache.arrow.file",
    ".arrows": "application/vnd.apache.arrow.stream",
    ".jsonl": "application/jsonl",
    ".ndjson": "application/x-ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".zst": "application/zstd",
}

_types = mimetypes.MimeTypes()
for _suffix, _type in _MORE.items():
    _types.add_type(_type, _suffix)


def guessed(key: str) -> str | None:
    """Return the media type that the suffix stands for, `None` if it stands for none.

    Example: `guessed("orders.csv")` is `"text/csv"`, and `guessed("orders.csv.gz")` is `"application/gzip"`.
    """
    # A scheme before it keeps a key with a colon from being taken for one, quoting one with a `#` from being cut there.
    kind, encoding = _types.guess_type(f"file:///{quote(key)}")
    return kind if encoding is None else _ENCODED.get(encoding, "application/octet-stream")
