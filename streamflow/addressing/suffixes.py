"""What a suffix means: `orders.csv.gz` is CSV, compressed by gzip.

What lives here: the table of compressions and the table of formats, and how a name is looked up in them. What must not:
places, and how anything is read.

A name is read from its end: at most one suffix of a compression, before it at most one of a format. Anything else is
bytes, as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

from streamflow.errors import UsageError
from streamflow.formats import arrow, bz2, csv, gzip, json, text, xz, zlib, zstd
from streamflow.resolving import resolve_stage
from streamflow.stages import Stage

__all__ = ["PARQUET", "Choice", "Stages", "compression_of", "format_of"]

Stages: TypeAlias = tuple[Stage[Any, Any], ...]

Choice: TypeAlias = str | Stage[Any, Any] | None
"""`"auto"`: by the suffix; a name in the table; a stage of one's own; `None`: bytes as they are."""

Direction: TypeAlias = Literal["reading", "writing"]
PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Compression:
    """A way of compressing: its name, its suffixes in lower case, and its two stages, made when they are wanted."""

    name: str
    suffixes: tuple[str, ...]
    reading: Callable[[], Stage[Any, Any]]
    writing: Callable[[], Stage[Any, Any]]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: how bytes become rows and rows become bytes, and the same for Arrow batches where that is possible.

    Args:
        typed: like `reading`, for rows of a type.
    """

    name: str
    suffixes: tuple[str, ...]
    reading: Callable[[], Stages]
    writing: Callable[[], Stages]
    typed: Callable[[type], Stages] | None = None
    reading_batches: Callable[[], Stages] | None = None
    writing_batches: Callable[[], Stages] | None = None


_COMPRESSIONS = (
    Compression("gzip", (".gz",), gzip.decompress, gzip.compress),
    Compression("zstd", (".zst", ".zstd"), zstd.decompress, zstd.compress),
    Compression("bz2", (".bz2",), bz2.decompress, bz2.compress),
    Compression("zlib", (".zz",), zlib.decompress, zlib.compress),
    Compression("xz", (".xz",), xz.decompress, xz.compress),
)


def _csv(name: str, suffixes: tuple[str, ...], delimiter: str) -> Format:
    return Format(
        name,
        suffixes,
        lambda: (csv.parse(delimiter=delimiter),),
        lambda: (csv.format(delimiter=delimiter),),
        lambda row: (csv.parse(delimiter=delimiter, rows=row),),
        lambda: (arrow.parse_csv(delimiter=delimiter),),
        lambda: (arrow.format_csv(delimiter=delimiter),),
    )


_FORMATS = (
    _csv("csv", (".csv",), ","),
    _csv("tsv", (".tsv", ".tab"), "\t"),
    Format(
        "jsonl",
        (".jsonl", ".ndjson"),
        lambda: (json.parse_lines(),),
        lambda: (json.format_lines(),),
        lambda row: (json.parse_lines(type=row),),
    ),
    Format(
        "json",
        (".json",),
        lambda: (json.parse_array(),),
        lambda: (json.format_array(),),
        lambda row: (json.parse_array(type=row),),
    ),
    Format(
        "arrow",
        (".arrow", ".arrows"),
        lambda: (arrow.read_ipc(), arrow.to_rows()),
        lambda: (arrow.from_rows(), arrow.write_ipc()),
        None,
        lambda: (arrow.read_ipc(),),
        lambda: (arrow.write_ipc(),),
    ),
    # Its bytes are no stream: who reads it opens the file, and these stages come after that.
    Format(
        PARQUET,
        (".parquet", ".pq"),
        lambda: (arrow.to_rows(),),
        lambda: (arrow.from_rows(), arrow.write_parquet()),
        None,
        lambda: (),
        lambda: (arrow.write_parquet(),),
    ),
    Format("lines", (".txt", ".log"), lambda: (text.decode(), text.lines()), lambda: (text.join(), text.encode())),
)


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def suffixes(self) -> tuple[str, ...]: ...


N = TypeVar("N", bound=_Named)


def compression_of(name: str, wanted: Choice, direction: Direction) -> tuple[Stages, str]:
    """Return the stage that the name, or `wanted`, asks for; and the name without that suffix."""
    found, rest = _by_suffix(_COMPRESSIONS, name)
    if isinstance(wanted, str):
        found = _by_name("compression", _COMPRESSIONS, wanted, found)
        return () if found is None else (getattr(found, direction)(),), rest
    return () if wanted is None else (resolve_stage(wanted),), rest


def format_of(name: str, wanted: Choice, *, batches: bool) -> Format | Stages:
    """Return the format that the name, or `wanted`, asks for; a stage of one's own stands for itself."""
    if wanted is not None and not isinstance(wanted, str):
        if batches:
            raise UsageError("batches=True says which of two formats is meant; a stage of your own in format= says all")
        return (resolve_stage(wanted),)
    found = None if wanted is None else _by_name("format", _FORMATS, wanted, _by_suffix(_FORMATS, name)[0])
    if batches and (found is None or found.reading_batches is None):
        known = ", ".join(row.name for row in _FORMATS if row.reading_batches is not None)
        raise UsageError(f"batches=True: {name!r} is none of the formats that have Arrow batches ({known})")
    return () if found is None else found


def _by_suffix(table: Sequence[N], name: str) -> tuple[N | None, str]:
    lowered = name.lower()
    for row in table:
        for suffix in row.suffixes:
            if lowered.endswith(suffix):
                return row, name[: -len(suffix)]
    return None, name


def _by_name(kind: str, table: Sequence[N], wanted: str, by_suffix: N | None) -> N | None:
    if wanted == "auto":
        return by_suffix
    for row in table:
        if row.name == wanted:
            return row
    known = ", ".join(repr(row.name) for row in table)
    raise UsageError(f"{kind}={wanted!r} is not known; write one of {known}, 'auto', None, or a stage of your own")
