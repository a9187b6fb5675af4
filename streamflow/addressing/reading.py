"""`sf.read`: items from an address.

What lives here: the function, and the row of stages behind it. What must not: the tables of suffixes and of places.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from streamflow.addressing.places import Address, names_of, opened, text_of
from streamflow.addressing.suffixes import PARQUET, Choice, Format, Stages, compression_of, format_of
from streamflow.errors import UsageError
from streamflow.formats import arrow
from streamflow.operators.threaded import threaded
from streamflow.places import files
from streamflow.places.many import many
from streamflow.stages import Source
from streamflow.streams import Stream, stream

__all__ = ["read"]

T = TypeVar("T")

_BATCHES = 2  # of a Parquet file, read ahead


@overload
def read(
    address: Address | Sequence[Address],
    *,
    format: Choice = ...,
    compression: Choice = ...,
    rows: type[T],
    batches: Literal[False] = False,
    concurrency: int = ...,
    ordered: bool = ...,
    **config: Any,
) -> Stream[T]: ...
@overload
def read(
    address: Address | Sequence[Address],
    *,
    format: Choice = ...,
    compression: Choice = ...,
    rows: None = None,
    batches: bool = ...,
    concurrency: int = ...,
    ordered: bool = ...,
    **config: Any,
) -> Stream[Any]: ...
def read(
    address: Address | Sequence[Address],
    *,
    format: Choice = "auto",  # noqa: A002  # the word users look for
    compression: Choice = "auto",
    rows: type[Any] | None = None,
    batches: bool = False,
    concurrency: int = 1,
    ordered: bool = True,
    **config: Any,
) -> Stream[Any]:
    """Read what is at an address, decompressed and parsed as its name says.

    Example: `await sf.read("s3://bucket/2026-*/orders.csv.gz").filter(is_paid).to(sf.write("paid.parquet")).run()`.

    The scheme says the place: a path, `file://`, `s3://`, `gs://`, `az://`, `memory://`, `-` for standard input. The
    last suffix may name a compression (`.gz`, `.zst`, `.bz2`, `.xz`), the one before it a format: `.csv`, `.tsv`,
    `.jsonl` or `.ndjson`, `.json` (one array), `.parquet`, `.arrow` (the stream format) give rows as dictionaries,
    `.txt` and `.log` give lines of text. Everything else gives bytes as they are. `explain()` shows what was chosen.

    With `*`, `?` or `[...]` in it, an address stands for all that fit, by name, one after the other; `**` stands for
    any number of directories. Each is decompressed and parsed by itself, by its own name.

    Args:
        address: a path or a URL, or a list of them.
        format: `"auto"`, a format by name (`"csv"`), a stage of your own (`csv.parse(delimiter=";")`), or `None`.
        compression: the same: `"auto"`, `"gzip"`, `gzip.decompress(max_ratio=None)`, or `None`.
        rows: a dataclass, `TypedDict`, msgspec or pydantic type: CSV and JSON give rows of it.
        batches: give Arrow record batches instead of rows: CSV, Parquet and Arrow only.
        concurrency: of several addresses, how many are read at once.
        ordered: with concurrency: all of the first, then all of the second; else items as they come.
        config: options of the object store: `endpoint=`, `region=`, ...

    Raises `UsageError` at once for what is no address and for choices that exclude each other, and when it runs for a
    pattern that nothing fits; `MissingExtra` that names the extra a format or a place needs; and what the stages raise.

    Cancellation: as of the stages it consists of; all is closed.
    """
    if rows is not None and batches:
        raise UsageError("rows= asks for rows of a type, batches=True for Arrow batches; take one of them")

    def one(name: str) -> Stream[Any]:
        return _one(name, format, compression, rows, batches=batches, config=config)

    several = _several(address, config)
    if several is None:
        return one(text_of(address))
    names, example = several
    like = None if example is None else one(example)
    return stream(many(names, one, like=like, concurrency=concurrency, ordered=ordered, name=f"read({names.name})"))


def _several(address: Address | Sequence[Address], config: dict[str, Any]) -> tuple[Source[str], str | None] | None:
    if isinstance(address, list | tuple):
        texts = [text_of(each) for each in address]
        return Source(lambda: texts, name=f"{len(texts)} addresses", synchronous=True), next(iter(texts), None)
    text = text_of(address)
    found = names_of(text, config)
    return None if found is None else (_some(found, text), text)


def _some(names: Source[str], pattern: str) -> Source[str]:
    """Pass the names on; none at all is more likely a mistake than what was meant."""

    async def passed() -> AsyncIterator[str]:
        none = True
        async for name in names:
            none = False
            yield name
        if none:
            raise FileNotFoundError(f"Nothing fits {pattern!r}")

    return Source(passed, name=names.name, threads=names.threads)


def _one(
    address: str,
    format: Choice,  # noqa: A002  # as in `read`
    compression: Choice,
    rows: type[Any] | None,
    *,
    batches: bool,
    config: dict[str, Any],
) -> Stream[Any]:
    unpacking, rest = compression_of(address, compression, "reading")
    shape = format_of(rest, format, batches=batches)
    parsing = shape if isinstance(shape, tuple) else _parsing(shape, rows, batches=batches)
    if isinstance(shape, tuple) and rows is not None:
        raise UsageError(f"rows= needs a format that is known by name; {address!r} is read as bytes, or by your stage")
    if isinstance(shape, Format) and shape.name == PARQUET:
        if unpacking:
            raise UsageError(f"{address!r}: Parquet is read from its end, so it cannot be compressed as a whole")
        return _joined(_parquet(address, config), parsing)
    return _joined(opened(address, config), (*unpacking, *parsing))


def _joined(source: Source[Any], stages: Stages) -> Stream[Any]:
    flow = stream(source)
    for stage in stages:
        flow = flow.through(stage)
    return flow


def _parsing(shape: Format, rows: type[Any] | None, *, batches: bool) -> Stages:
    if batches and shape.reading_batches is not None:
        return shape.reading_batches()
    if rows is None:
        return shape.reading()
    if shape.typed is None:
        raise UsageError(f"rows= is for CSV and JSON; {shape.name} has types of its own")
    return shape.typed(rows)


def _parquet(address: str, config: dict[str, Any]) -> Source[Any]:
    """Read a Parquet file where it is, an object by way of a file: it is read from its end."""
    source = opened(address, config)
    if source.name == f"files.read({address})":
        local = threaded(arrow.read_parquet(address), maxsize=_BATCHES, name=f"arrow.read_parquet({address})")
        return replace(local, whole=True)

    async def batches() -> AsyncIterator[Any]:
        with tempfile.TemporaryDirectory(prefix="streamflow-") as folder:
            path = Path(folder, "copy.parquet")
            await stream(source).to(files.write(path, sync=False)).run()
            async with stream(threaded(arrow.read_parquet(path), maxsize=_BATCHES)).open() as found:
                async for batch in found:
                    yield batch

    return Source(batches, name=f"arrow.read_parquet({source.name})", threads=2, holds=source.holds, whole=True)
