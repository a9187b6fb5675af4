"""`sf.write`: items to an address.

What lives here: the function. What must not: the tables of suffixes and of places.
"""

from __future__ import annotations

from typing import Any

from streamflow.addressing.places import Address, sink_of, text_of
from streamflow.addressing.suffixes import PARQUET, Choice, Format, Stages, compression_of, format_of
from streamflow.errors import UsageError
from streamflow.stages import Sink, composite_sink

__all__ = ["write"]


def write(
    address: Address,
    *,
    format: Choice = "auto",  # noqa: A002  # the word users look for
    compression: Choice = "auto",
    batches: bool = False,
    **config: Any,
) -> Sink[Any, Any]:
    """Write items to an address, formatted and compressed as its name says; all of it appears at the end, or nothing.

    Example: `await sf.pipeline(rows, sf.write("s3://bucket/orders.csv.gz"))`.

    Scheme and suffixes mean what they mean for `sf.read`: rows as dictionaries for CSV, JSON, Parquet and Arrow, lines
    of text for `.txt` and `.log`, bytes for everything else. `explain()` shows the stages that were chosen. `-` is
    standard output, where nothing can be taken back.

    The value is what the place says was written: address, bytes, whether it is durable.

    Args:
        address: a path or a URL.
        format: `"auto"`, a format by name (`"csv"`), a stage of your own (`csv.format(header=["id"])`), or `None`.
        compression: the same: `"auto"`, `"gzip"`, `gzip.compress(9)`, or `None`.
        batches: take Arrow record batches instead of rows: CSV, Parquet and Arrow only.
        config: options of the object store: `endpoint=`, `region=`, ...

    Raises `UsageError` at once for what is no address and for choices that exclude each other; `MissingExtra` that
    names the extra a format or a place needs; and what the stages raise: then nothing is left under that name.

    Cancellation: as of the stages it consists of; before the commit nothing is left.
    """
    name = text_of(address)
    last = sink_of(name, config)
    packing, rest = compression_of(name, compression, "writing")
    shape = format_of(rest, format, batches=batches)
    if isinstance(shape, Format) and shape.name == PARQUET and packing:
        raise UsageError(f"{name!r}: Parquet is read from its end, so it cannot be compressed as a whole")
    return composite_sink((*_shaping(shape, batches=batches), *packing), last, f"write({last.name})")


def _shaping(shape: Format | Stages, *, batches: bool) -> Stages:
    if isinstance(shape, tuple):
        return shape
    return shape.writing_batches() if batches and shape.writing_batches is not None else shape.writing()
