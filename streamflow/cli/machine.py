"""What runs here: versions, extras, and the peak of memory.

What lives here: questions to the machine and to the installation. What must not: their drawing.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys

from streamflow.channel.storage import why_pure
from streamflow.formats.csv_rows import why_pure as why_pure_rows

__all__ = ["about", "peak_memory", "version"]

_EXTRAS = {
    "arrow": "pyarrow",
    "checksums": "google_crc32c",
    "cli": "rich",
    "cron": "cronsim",
    "fast": "isal",
    "json": "msgspec",
    "objects": "obstore",
    "web": "starlette",
    "zstd": "backports.zstd" if sys.version_info < (3, 14) else "compression.zstd",
}
"""The package that each brings, by the name it is imported by."""


def peak_memory() -> int | None:
    """Return the most memory this process has had at once, in bytes (resident), or `None` where nobody can say.

    On Linux `VmHWM`: unlike `ru_maxrss` it does not begin with the size of the process that started this one.
    """
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource  # noqa: PLC0415  # not on Windows
    except ImportError:
        return None
    # macOS counts in bytes, the others in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def version() -> str:
    """Return the installed version of streamflow."""
    try:
        return importlib.metadata.version("streamflow-asyncio")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed, run from its source)"


def about() -> list[tuple[str, str]]:
    """Return what a bug report should say, as pairs of a word and its value."""
    return [
        ("streamflow", version()),
        ("python", f"{platform.python_version()} ({platform.python_implementation()}) at {sys.executable}"),
        ("platform", platform.platform()),
        ("event loop", f"uvloop {_version_of('uvloop')}" if _found("uvloop") else "asyncio (uvloop is not installed)"),
        ("hot path", f"pure Python: {why_pure}" if why_pure else "C extension"),
        ("rows of CSV", f"pure Python: {why_pure_rows}" if why_pure_rows else "C extension"),
        *((f"extra {name}", _extra(package)) for name, package in _EXTRAS.items()),
    ]


def _extra(package: str) -> str:
    return f"{package} {_version_of(package)}" if _found(package) else f"not installed ({package})"


def _found(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of what it is in
        return False


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"
