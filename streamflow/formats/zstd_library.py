"""The zstd of the standard library (Python 3.14), or its copy for older ones, where the extra `zstd` is installed.

What lives here: the one place that imports it, and the error where it is missing. What must not: the format.

It is imported when a stage is made, never by `import streamflow`.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from streamflow.errors import MissingExtra

__all__ = ["zstd"]

NAME = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def zstd(who: str) -> Any:
    """Return the library; `MissingExtra` where it is not installed."""
    try:
        return importlib.import_module(NAME)
    except ImportError as error:
        raise MissingExtra(f'{who} needs {NAME}: pip install -e ".[zstd]"') from error
