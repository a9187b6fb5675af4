"""The place that an address names: a path, a URL, or `-` for standard input and output.

What lives here: that choice, for one address and for a pattern of many. What must not: formats.
"""

from __future__ import annotations

import os
from typing import Any, TypeAlias

from streamflow.errors import UsageError
from streamflow.places import files, objects, stdio
from streamflow.places.walk import parted
from streamflow.stages import Sink, Source

__all__ = ["STANDARD", "Address", "names_of", "opened", "sink_of", "text_of"]

Address: TypeAlias = str | os.PathLike[str]

STANDARD = "-"
"""Standard input, or standard output, as programs of the command line have it."""

_WILD = frozenset("*?[")


def text_of(address: object) -> str:
    """Return an address as text, or raise `UsageError` for what is neither a text nor a path."""
    if isinstance(address, os.PathLike):
        address = os.fspath(address)
    if not isinstance(address, str) or not address:
        raise UsageError(f"An address is a path or a URL such as 's3://bucket/orders.csv.gz', not {address!r:.80}")
    return address


def opened(address: str, config: dict[str, Any]) -> Source[bytes]:
    """Return the source of the bytes at an address."""
    if _is_url(address):
        return objects.read(address, **config)
    _refuse(config, address)
    return stdio.read() if address == STANDARD else files.read(address)


def sink_of(address: str, config: dict[str, Any]) -> Sink[bytes, Any]:
    """Return the sink that writes bytes to an address."""
    if _is_url(address):
        return objects.write(address, **config)
    _refuse(config, address)
    return stdio.write() if address == STANDARD else files.write(address)


def names_of(address: str, config: dict[str, Any]) -> Source[str] | None:
    """Return a source of the addresses that a pattern stands for, or `None` where there is no `*`, `?`, `[` in it.

    A path that exists is that file, whatever characters are in its name.
    """
    if not _WILD & set(address):
        return None
    if _is_url(address):
        return _urls(address, config)
    return None if os.path.lexists(address) else files.walk(*parted(address))


def _urls(pattern: str, config: dict[str, Any]) -> Source[str]:
    found = objects.list(pattern, **config)
    return Source(lambda: (each.url async for each in found), name=found.name, threads=found.threads)


def _is_url(address: str) -> bool:
    return "://" in address


def _refuse(config: dict[str, Any], address: str) -> None:
    if config:
        raise UsageError(f"{', '.join(config)}: options of an object store, and {address!r} is a path")
