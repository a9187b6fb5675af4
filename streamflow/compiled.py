"""Modules in C that need not be there: they were compiled when streamflow was installed, or not.

What lives here: whether one is wanted and there. What must not: what it is used for; each has a twin in Python, and the
file that knows both chooses.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

__all__ = ["compiled"]


def compiled(name: str) -> tuple[Any, str]:
    """Return the module and `""`; or `None` and why it is not in use, in words.

    Example: `speedups, why_pure = compiled("streamflow.channel._speed")`.

    With `STREAMFLOW_PURE=1` in the environment all are left alone, which is how the tests hold both forms.
    """
    if os.environ.get("STREAMFLOW_PURE"):
        return None, "STREAMFLOW_PURE is set in the environment"
    try:
        return import_module(name), ""
    except ModuleNotFoundError:
        return None, "it was not compiled when streamflow was installed"
    except ImportError as error:
        return None, str(error)
