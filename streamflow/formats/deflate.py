"""Which library does the deflating: zlib of the standard library, or isal where the extra `fast` is installed.

What lives here: that choice. What must not: formats. Both have the same interface and write the same format.
"""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from typing import Any

__all__ = ["for_compression", "for_decompression", "isal"]

isal: Any = importlib.import_module("isal.isal_zlib") if importlib.util.find_spec("isal") else None
"""The faster library, or `None` where it is not installed."""

FAST_LEVELS = range(1, 4)


def for_compression(level: int) -> Any:
    """Return the library for a level: isal knows only the low ones."""
    return isal if isal is not None and level in FAST_LEVELS else zlib


def for_decompression() -> Any:
    """Return the library for reading."""
    return zlib if isal is None else isal
