"""The one thing that pyproject.toml cannot say: what is in C is optional, the hot path and the rows of CSV.

Where there is no compiler, no headers, or another Python than CPython with its lock, one line says so and streamflow
is installed without it; everything works the same, slower.
"""

from __future__ import annotations

import platform
import sysconfig

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NAMES = ("streamflow.channel._speed", "streamflow.formats._rows")


class OptionalBuild(build_ext):
    """Build the extensions if that is possible."""

    def run(self) -> None:
        """Build, or say in one line why not."""
        try:
            super().run()
        except Exception as error:  # noqa: BLE001  # whatever a compiler, or its absence, may raise
            self.warn(f"streamflow is installed without its C hot path, it runs in pure Python: {error}")
            self.extensions = []  # else the installer would look for what was not built


def extensions() -> list[Extension]:
    """Return the extensions where this Python can use them."""
    if platform.python_implementation() != "CPython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return []
    return [Extension(name, [name.replace(".", "/") + ".c"]) for name in NAMES]


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
