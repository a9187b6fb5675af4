"""The one thing that pyproject.toml cannot say: the C hot path is optional.

Where there is no compiler, no headers, or another Python than CPython with its lock, one line says so and streamflow
is installed without it; everything works the same, slower.
"""

from __future__ import annotations

import platform
import sysconfig

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NAME = "streamflow.channel._speed"


class OptionalBuild(build_ext):
    """Build the extension if that is possible."""

    def run(self) -> None:
        """Build, or say in one line why not."""
        try:
            super().run()
        except Exception as error:  # noqa: BLE001  # whatever a compiler, or its absence, may raise
            self.warn(f"streamflow is installed without its C hot path, it runs in pure Python: {error}")
            self.extensions = []  # else the installer would look for what was not built


def extensions() -> list[Extension]:
    """Return the extension where this Python can use it."""
    if platform.python_implementation() != "CPython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return []
    return [Extension(NAME, ["streamflow/channel/_speed.c"])]


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
