"""Which library does the deflating: zlib of the standard library, or what the extra `fast` installs.

What lives here: that choice. What must not: formats. All have the same interface and write the same format.

isal is the fastest by far, but knows only the low levels; zlib-ng does the others at 1.7 times the speed of zlib, with
files that are a hundredth or two larger.
"""

from __future__ import annotations

import importlib
import importlib.util
import zlib
from functools import cache
from typing import Any

__all__ = ["fast", "for_compression", "for_decompression", "thorough"]

_FAST = range(1, 4)
_THOROUGH = range(4, 10)


@cache
def fast() -> Any:
    """Return isal's module, or `None` where it is not installed; imported at the first use."""
    return importlib.import_module("isal.isal_zlib") if importlib.util.find_spec("isal") else None


@cache
def thorough() -> Any:
    """Return zlib-ng's module, or `None` where it is not installed; imported at the first use."""
    return importlib.import_module("zlib_ng.zlib_ng") if importlib.util.find_spec("zlib_ng") else None


def for_compression(level: int) -> Any:
    """Return the library for a level."""
    if level in _FAST:
        return fast() or zlib
    return (thorough() or zlib) if level in _THOROUGH else zlib


def for_decompression() -> Any:
    """Return the library for reading."""
    return fast() or zlib
