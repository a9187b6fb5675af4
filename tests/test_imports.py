"""What `import streamflow` brings along, in a process that has imported nothing else."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

import streamflow as sf

EXTRAS = {
    "backports",
    "cronsim",
    "fastapi",
    "google_crc32c",
    "httpx",
    "isal",
    "msgspec",
    "obstore",
    "orjson",
    "pyarrow",
    "pydantic",
    "rich",
    "starlette",
    "tzdata",
}
"""What only an extra installs: imported where it is used, and not before."""

LATER = {
    "aiofiles",
    "anyio.abc",
    "anyio.from_thread",
    "concurrent.futures.thread",
    "datetime",
    "multiprocessing",
    "pickle",
    "random",
    "urllib.request",
    "uvloop",
    "zoneinfo",
}
"""What is always there and takes long: imported with the first file, thread, process or loop that needs it."""

ON_DEMAND = [
    *("arrow", "bz2", "compression", "csv", "deflate", "frames", "gzip", "json", "text", "xz", "zlib", "zstd"),
    *("files", "objects", "processes", "stdio"),
]
"""The modules of the face."""

MEMBERS = {
    "Digest": "formats.checksums",
    "Restart": "serving.restarting",
    "Supervisor": "serving.supervisor",
    "serve": "serving.serve",
    "checksum": "formats.checksums",
    "read": "addressing.reading",
    "write": "addressing.writing",
    "Hub": "operators.hub",
    "HubStats": "operators.hub",
    "Push": "operators.pushing",
    "cron": "operators.ticking",
    "empty": "operators.sources",
    "failing": "operators.sources",
    "from_queue": "operators.queues",
    "from_reader": "operators.queues",
    "interval": "operators.ticking",
    "never": "operators.sources",
    "paginate": "operators.sources",
    "poll": "operators.polling",
    "push": "operators.pushing",
    "range": "operators.sources",
    "threaded": "operators.threaded",
    "unfold": "operators.sources",
}
"""What else comes with the first who asks, and where it lives."""


def _modules_after(code: str) -> set[str]:
    """Run Python on its own, without the plugins that tests have imported; return what it has imported."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_no_extra_is_imported_before_it_is_used() -> None:
    names = "sf.csv, sf.files, sf.gzip, sf.json, sf.objects, sf.read, sf.text, sf.zstd"
    assert not _modules_after(f"import streamflow as sf; {names}") & EXTRAS


def test_what_takes_long_is_imported_when_it_is_needed() -> None:
    assert not (_modules_after("import streamflow") - _modules_after("import asyncio")) & LATER


def test_formats_and_places_are_imported_when_they_are_asked_for() -> None:
    wings = {f"streamflow.{wing}" for wing in ("addressing", "formats", "places", "cli", "testing", "web")}

    assert not wings & _modules_after("import streamflow")


@pytest.mark.slow  # a process for each
@pytest.mark.parametrize("name", ON_DEMAND)
@pytest.mark.parametrize("way", ["import streamflow as sf; sf.{0}", "from streamflow import {0}"])
def test_each_of_them_is_there_however_it_is_asked_for(way: str, name: str) -> None:
    modules = _modules_after(way.format(name))

    assert modules & {f"streamflow.formats.{name}", f"streamflow.places.{name}"}


def test_no_operator_but_those_is_missing_at_first() -> None:
    code = "import streamflow as sf; print(*{*sf.__all__} - vars(sf).keys())"
    command = [sys.executable, "-c", code]
    missing = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    assert {name for name in missing if not isinstance(getattr(sf, name), ModuleType)} == {*MEMBERS}


@pytest.mark.parametrize("name", MEMBERS)
def test_what_comes_later_is_the_same_however_it_is_asked_for(name: str) -> None:
    home = importlib.import_module(f"streamflow.{MEMBERS[name]}")

    assert getattr(sf, name) is getattr(home, name)


def test_the_face_tells_of_what_has_not_been_asked_for() -> None:
    told = _modules_after("import streamflow as sf; print(*dir(sf))")

    assert set(sf.__all__) <= told


def test_a_name_that_is_not_there_is_an_error_as_ever() -> None:
    with pytest.raises(AttributeError, match="module 'streamflow' has no attribute 'nothing'"):
        sf.nothing  # noqa: B018  # asking is the test
