"""google-crc32c, where it is installed: the one checksum here that Python's standard library lacks.

What lives here: the one place that imports it, and the error where it is missing. What must not: other checksums.

It is imported when a stage is made, never by `import streamflow`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import cast

from streamflow.errors import MissingExtra

__all__ = ["crc32c"]


def crc32c(who: str) -> Callable[[int, bytes], int]:
    """Return the function that extends a CRC-32C by some bytes; `MissingExtra` where it is not installed."""
    try:
        library = importlib.import_module("google_crc32c")
    except ImportError as error:
        raise MissingExtra(f'{who} needs google-crc32c: pip install -e ".[checksums]"') from error
    return cast("Callable[[int, bytes], int]", library.extend)
