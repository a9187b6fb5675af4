"""Bytes of a response to its compressed form, piece by piece, so that live data stays live.

What lives here: the codecs (`encoder`), which of them there are (`codings`). What must not: the choice among them
(`negotiation.py`), waiting, sending; compressed files, whose codecs (`formats.gzip`) gather a MiB before they begin.

How it works. What `feed` returns is enough for the client to read all that was fed: nothing stays behind in a library
while the source is quiet. That costs 1 % of the ratio with pieces of 16 KiB and 0.2 % with 64 KiB, and no clock has to
guess when a stream pauses. `finish` is called at the clean end and never after a failure: a response that was cut short
must not look whole.

A response has a compressor of its own, a server has many responses, and they are compressed in the loop's thread, so
the levels are quick and the windows small. Measured on rows of CSV, as MB a second, how many times smaller, and memory
for a response: zstd 430, 3.9, 190 KiB; br 180, 3.7, 440 KiB; gzip 290, 3.5, 150 KiB (by the libraries of the extra
`fast`; without them 80 MB a second and 220 KiB). So a piece of 64 KiB takes less than half a millisecond, and a thread
would cost more than it saves. The next levels up take two to four times as long, and give a few percent.
"""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Protocol, TypeAlias

from streamflow.errors import MissingExtra, UsageError
from streamflow.formats.deflate_library import for_compression
from streamflow.formats.pieces import BytesLike
from streamflow.formats.zstd_library import NAME as ZSTD
from streamflow.formats.zstd_library import zstd

__all__ = ["CODINGS", "Compress", "Encoder", "codings", "encoder"]

Compress: TypeAlias = bool | str | Iterable[str] | None
"""What `compress=` takes: `True` or `"auto"` for what is installed, names in the order of preference, or nothing."""

GZIP_LEVEL = 3
GZIP_WINDOW = 16 + 15
BROTLI_QUALITY = 2
BROTLI_WINDOW = 16
ZSTD_LEVEL = 1
ZSTD_WINDOW = 16

CODINGS = ("zstd", "br", "gzip")
"""The content codings that are known here, the one preferred first."""


class Encoder(Protocol):
    """One response's bytes to compressed ones. One object serves one response.

    Example: `wire = encoder.feed(b"row") + encoder.finish()`.
    """

    def feed(self, data: BytesLike, /) -> bytes:
        """Take bytes; return what the client needs to read all that was fed so far."""

    def finish(self) -> bytes:
        """The bytes ended cleanly: return what makes them whole."""


def codings(compress: Compress) -> tuple[str, ...]:
    """Return the content codings that an option `compress=` stands for, the one preferred first.

    Example: `codings(True)` is `("zstd", "br", "gzip")` where all are installed; `codings(("gzip",))` is `("gzip",)`.

    Raises `UsageError` for a name that is not known here; `MissingExtra` for one that was named and is not installed.
    """
    if compress is None or compress is False:
        return ()
    if compress is True or compress == "auto":
        return tuple(name for name in CODINGS if _is_installed(name))
    names = (compress,) if isinstance(compress, str) else tuple(compress)
    for name in names:
        _check(name)
    return names


def encoder(name: str) -> Encoder:
    """Return a codec that compresses one response in the content coding `name`.

    Example: `encoder("gzip")`. Raises `UsageError` and `MissingExtra` as `codings`.
    """
    _check(name)
    return _MAKERS[name]()


class _Flushing:
    def __init__(
        self, compress: Callable[[BytesLike], bytes], flush: Callable[[], bytes], end: Callable[[], bytes]
    ) -> None:
        self._compress = compress
        self._flush = flush
        self._end = end

    def feed(self, data: BytesLike, /) -> bytes:
        return self._compress(data) + self._flush() if len(data) else b""

    def finish(self) -> bytes:
        return self._end()


def _gzip() -> Encoder:
    library = for_compression(GZIP_LEVEL).compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    return _Flushing(library.compress, lambda: library.flush(zlib.Z_SYNC_FLUSH), library.flush)


def _brotli() -> Encoder:
    library = _brotli_library().Compressor(quality=BROTLI_QUALITY, lgwin=BROTLI_WINDOW)
    return _Flushing(library.process, library.flush, library.finish)


def _zstd() -> Encoder:
    library = zstd("compress=")
    parameter = library.CompressionParameter
    options = {parameter.compression_level: ZSTD_LEVEL, parameter.window_log: ZSTD_WINDOW, parameter.checksum_flag: 1}
    made = library.ZstdCompressor(options=options)
    return _Flushing(made.compress, lambda: made.flush(made.FLUSH_BLOCK), made.flush)


_MAKERS: dict[str, Callable[[], Encoder]] = {"br": _brotli, "gzip": _gzip, "zstd": _zstd}


def _brotli_library() -> Any:
    try:
        return importlib.import_module("brotli")
    except ImportError as error:
        raise MissingExtra('compress="br" needs brotli: pip install -e ".[brotli]"') from error


@cache
def _is_installed(name: str) -> bool:
    module = {"br": "brotli", "zstd": ZSTD}.get(name)
    try:
        return module is None or importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # there is no `backports` at all
        return False


def _check(name: object) -> None:
    if name not in _MAKERS:
        known = ", ".join(map(repr, CODINGS))
        raise UsageError(
            f'compress={name!r:.60} is no content coding that is known here: write {known}, or "auto" for the best one'
        )
    if name == "br":
        _brotli_library()
    elif name == "zstd":
        zstd('compress="zstd"')
