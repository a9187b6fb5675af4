"""The loops that `formats` compares with: each around one library, in one thread, as its documentation has it.

What lives here: the loops. What must not: streamflow. A loop takes the chunks or the items, does the work, drops the
result and returns how much there was: rows, or bytes. It checks nothing that the library does not check by itself.

Libraries of extras are imported inside, since a contender must not depend on those of the others.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any

from benchmarks.formats_data import zstd

__all__ = ["LOOPS"]

_GZIP = 31
_BATCH = 1000
_BLOCK = 64 * 1024


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut the chunks to 64 KiB: where a chunk becomes many times its size, a loop is quickest with small ones."""
    for chunk in chunks:
        for at in range(0, len(chunk), _BLOCK):
            yield chunk[at : at + _BLOCK]


def _compressed(library: Any, chunks: Iterable[bytes], level: int) -> int:
    compressor = library.compressobj(level, zlib.DEFLATED, _GZIP)
    size = 0
    for chunk in chunks:
        size += len(compressor.compress(chunk))
    return size + len(compressor.flush())


def _decompressed(library: Any, chunks: Iterable[bytes]) -> int:
    decompressor = library.decompressobj(_GZIP)
    size = 0
    for piece in _pieces(chunks):
        size += len(decompressor.decompress(piece))
    return size + len(decompressor.flush())


def _gzip_plain(chunks: Iterable[bytes]) -> int:
    return _compressed(zlib, chunks, 6)


def _gzip_fast(chunks: Iterable[bytes]) -> int:
    return _compressed(import_module("isal.isal_zlib"), chunks, 1)


def _gzip_ng(chunks: Iterable[bytes]) -> int:
    return _compressed(import_module("zlib_ng.zlib_ng"), chunks, 6)


def _gunzip_plain(chunks: Iterable[bytes]) -> int:
    return _decompressed(zlib, chunks)


def _gunzip_fast(chunks: Iterable[bytes]) -> int:
    return _decompressed(import_module("isal.isal_zlib"), chunks)


def _text(chunks: Iterable[bytes]) -> io.StringIO:
    """All of the data as text at once: the quickest that `csv` can be given, and what no stream can have."""
    return io.StringIO(b"".join(chunks).decode(), newline="")


def _csv_lists(chunks: Iterable[bytes]) -> int:
    count = 0
    for _ in csv.reader(_text(chunks)):
        count += 1
    return count - 1  # the header


def _csv_dicts(chunks: Iterable[bytes]) -> int:
    count = 0
    for _ in csv.DictReader(_text(chunks)):
        count += 1
    return count


def _written(rows: Iterable[Any], text: io.StringIO, write: Callable[[Any], int]) -> int:
    size, held = 0, 0
    for row in rows:
        held += write(row)
        if held >= _BLOCK:
            size += len(text.getvalue().encode())
            text.seek(0)
            text.truncate()
            held = 0
    return size + len(text.getvalue().encode())


def _csv_format_lists(rows: Iterable[list[str]]) -> int:
    text = io.StringIO(newline="")
    return _written(rows, text, csv.writer(text).writerow)


def _csv_format_dicts(rows: list[dict[str, str]]) -> int:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    return _written(rows, text, writer.writerow)


def _json_parse(chunks: Iterable[bytes]) -> int:
    decode = import_module("msgspec").json.Decoder().decode_lines
    count, rest = 0, b""
    for piece in _pieces(chunks):
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        for _ in decode(lines + newline):
            count += 1
    return count + len(decode(rest))


def _json_format(items: list[Any]) -> int:
    encode = import_module("msgspec").json.Encoder().encode_lines
    size = 0
    for at in range(0, len(items), _BATCH):
        size += len(encode(items[at : at + _BATCH]))
    return size


def _zstd_compress(chunks: Iterable[bytes]) -> int:
    library = zstd()
    # With a checksum, as streamflow writes it, and as the program `zstd` does.
    parameter = library.CompressionParameter
    compressor = library.ZstdCompressor(options={parameter.compression_level: 3, parameter.checksum_flag: 1})
    size = 0
    for chunk in chunks:
        size += len(compressor.compress(chunk))
    return size + len(compressor.flush())


def _zstd_decompress(chunks: Iterable[bytes]) -> int:
    decompressor = zstd().ZstdDecompressor()
    size = 0
    for piece in _pieces(chunks):
        size += len(decompressor.decompress(piece))
    return size


def _arrow_csv(chunks: Iterable[bytes]) -> int:
    pyarrow, reading = import_module("pyarrow"), import_module("pyarrow.csv")
    one_thread = reading.ReadOptions(use_threads=False)
    in_quotes = reading.ParseOptions(newlines_in_values=True)
    source = pyarrow.BufferReader(b"".join(chunks))
    count = 0
    for batch in reading.open_csv(source, read_options=one_thread, parse_options=in_quotes):
        count += batch.num_rows
    return count


LOOPS: dict[str, Callable[[Any], int]] = {
    "gzip-compress": _gzip_plain,
    "gzip-compress-fast": _gzip_fast,
    "gzip-compress-ng": _gzip_ng,
    "gzip-decompress": _gunzip_plain,
    "gzip-decompress-fast": _gunzip_fast,
    "csv-lists": _csv_lists,
    "csv-dicts": _csv_dicts,
    "csv-format-lists": _csv_format_lists,
    "csv-format-dicts": _csv_format_dicts,
    "json-parse": _json_parse,
    "json-format": _json_format,
    "zstd-compress": _zstd_compress,
    "zstd-decompress": _zstd_decompress,
    "arrow-csv": _arrow_csv,
}
"""The loop by the name of the work."""
