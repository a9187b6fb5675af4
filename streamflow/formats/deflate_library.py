"""Which library does the deflating: zlib of the standard library, or isal where the extra `fast` is installed.

What lives here: that choice. What must not: formats. Both have the same interface and write the same format.
"""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from functools import cache
from typing import Any

__all__ = ["fast", "for_compression", "for_decompression"]

FAST_LEVELS = range(1, 4)


@cache
def fast() -> Any:
    """Return the faster library, or `None` where it is not installed; imported at the first use."""
    return importlib.import_module("isal.isal_zlib") if importlib.util.find_spec("isal") else None


def for_compression(level: int) -> Any:
    """Return the library for a level: isal knows only the low ones."""
    return (fast() or zlib) if level in FAST_LEVELS else zlib


def for_decompression() -> Any:
    """Return the library for reading."""
    return fast() or zlib
